//! The file as the loader would map it: from addresses to offsets, and the string table.

use goblin::container::Ctx;

use super::dynamic::Dynamic;
use super::pieces::Pieces;
use crate::Error;
use crate::limits::Limits;

/// The largest string table read: some five times that of the largest library in Alpine (LLVM's, about 6 MiB).
const MAX_STRINGS: u64 = 32 << 20;
/// Bytes read at first for a name on its own.
const SHORT_NAME: u64 = 256;
/// One name; mangled C++ reaches some ten thousand bytes.
const MAX_NAME: usize = 65_536;

/// One PT_LOAD segment's part in the file.
pub(super) struct Load {
    pub(super) address: u64,
    pub(super) offset: u64,
    pub(super) size: u64,
}

/// The file and how it is mapped.
pub(super) struct Image<'a> {
    pub(super) pieces: Pieces<'a>,
    loads: Vec<Load>,
    pub(super) ctx: Ctx,
    pub(super) machine: u16,
}

impl<'a> Image<'a> {
    pub(super) fn new(pieces: Pieces<'a>, loads: Vec<Load>, ctx: Ctx, machine: u16) -> Self {
        Self { pieces, loads, ctx, machine }
    }

    /// Whether this is a 64-bit file.
    pub(super) fn wide(&self) -> bool {
        self.ctx.container.is_big()
    }

    /// Where an address lies in the file, and how many bytes of its segment follow there.
    pub(super) fn locate(&self, address: u64, part: &str) -> Result<(u64, u64), Error> {
        for load in &self.loads {
            let Some(into) = address.checked_sub(load.address).filter(|into| *into < load.size) else { continue };
            let Some(offset) = load.offset.checked_add(into) else { break };
            let left = (load.size - into).min(self.pieces.len().saturating_sub(offset));
            return Ok((offset, left));
        }
        Err(self.pieces.malformed(format!("{part} at {address:#x} lies in no segment of the file")))
    }

    /// Exactly `size` bytes at an address.
    pub(super) fn read(&mut self, address: u64, size: u64, cap: u64, part: &str) -> Result<Vec<u8>, Error> {
        let (offset, left) = self.locate(address, part)?;
        if size > left {
            return Err(self.pieces.malformed(format!("{part} reaches past its segment")));
        }
        self.pieces.read(offset, size, cap, part)
    }

    /// Up to `size` bytes at an address: what the segment holds.
    pub(super) fn read_some(&mut self, address: u64, size: u64, part: &str) -> Result<Vec<u8>, Error> {
        let (offset, left) = self.locate(address, part)?;
        self.pieces.read(offset, size.min(left), size, part)
    }

    /// Reads a number of 2, 4 or 8 bytes; `None` past the end.
    pub(super) fn number(&self, bytes: &[u8], at: usize, width: usize) -> Option<u64> {
        let bytes = bytes.get(at..at.checked_add(width)?)?;
        let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        Some(if self.ctx.le.is_little() { bytes.iter().rev().fold(0, add) } else { bytes.iter().fold(0, add) })
    }

    /// One name of the dynamic string table, without reading the rest of the table.
    pub(super) fn text(&mut self, dynamic: &Dynamic, at: u64) -> Result<String, Error> {
        let (address, left) = (dynamic.strtab.saturating_add(at), dynamic.strsz.saturating_sub(at));
        for size in [SHORT_NAME, MAX_NAME as u64] {
            let bytes = self.read_some(address, size.min(left), "the string table")?;
            if let Some(name) = bytes.iter().position(|b| *b == 0).and_then(|end| bytes.get(..end)) {
                return Ok(String::from_utf8_lossy(name).into_owned());
            }
        }
        Err(self.pieces.malformed(format!("the name at {at:#x} of the string table has no end")))
    }

    /// The dynamic string table.
    pub(super) fn strings(&mut self, dynamic: &Dynamic, limits: &Limits) -> Result<Strings, Error> {
        let bytes = self.read(dynamic.strtab, dynamic.strsz, MAX_STRINGS, "the string table")?;
        Ok(Strings {
            bytes,
            budget: limits.max_metadata,
            limit: limits.max_metadata,
            what: self.pieces.what().to_owned(),
        })
    }
}

/// The string table, and how much text may still be taken from it: a hostile file can point a million symbols at one
/// long string.
pub(super) struct Strings {
    bytes: Vec<u8>,
    budget: u64,
    limit: u64,
    what: String,
}

impl Strings {
    /// The name at an offset.
    pub(super) fn get(&mut self, at: u64) -> Result<String, Error> {
        let tail = usize::try_from(at).ok().and_then(|at| self.bytes.get(at..)).unwrap_or_default();
        let window = tail.get(..MAX_NAME).unwrap_or(tail);
        let Some(name) = window.iter().position(|b| *b == 0).and_then(|end| window.get(..end)) else {
            return Err(Error::malformed(&self.what, format!("the name at {at:#x} of the string table has no end")));
        };
        self.budget = match self.budget.checked_sub(name.len() as u64 + 32) {
            Some(left) => left,
            None => return Err(Error::limit(&self.what, "the names together", self.limit)),
        };
        Ok(String::from_utf8_lossy(name).into_owned())
    }
}
