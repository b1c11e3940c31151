//! Makes a copy of a program name another interpreter and search path. Reads headers and tables only; what is copied is
//! streamed. The copy is the original's bytes with a few spans changed and one segment appended. Judges nothing.
//!
//! Where things go (the kernel's `load_elf_binary`, musl's and glibc's loaders read them so):
//! - The new interpreter takes the old one's place where it fits. What does not fit, a copy of the string table with the
//!   search path at its end, and a dynamic section without a free entry, go into a new segment behind everything else.
//! - That segment's header takes the place of one that no loader needs (a note), else all headers move into the segment.
//!   Kernels before 5.18 compute AT_PHDR from `e_phoff` as if the file were mapped in one piece, so the distance between
//!   address and offset there is that of the first segment, and the file may get a gap of the size of .bss.
//! - Section headers, where there are any, follow; ones that make no sense are dropped.

mod change;
mod sections;
mod tables;
mod tail;
#[cfg(test)]
mod tests;

use std::io::{Read, Seek, SeekFrom, Write};

use xpkg_model::adaptation::ElfPatch;

use super::pieces::Pieces;
use crate::Error;

/// Bytes copied at once.
const STEP: usize = 64 << 10;

/// A rewrite that was thought through and not yet done.
#[derive(Debug)]
pub struct Rewrite {
    /// Bytes of the original that are replaced.
    spans: Vec<(u64, Vec<u8>)>,
    /// Length of the original.
    old: u64,
    /// Zero bytes between the original and what is appended.
    gap: u64,
    tail: Vec<Part>,
}

/// A piece of the appended segment.
#[derive(Debug)]
enum Part {
    Bytes(Vec<u8>),
    /// Bytes of the original.
    Copy {
        offset: u64,
        size: u64,
    },
}

impl Part {
    fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Copy { size, .. } => *size,
        }
    }
}

impl Rewrite {
    /// Works out what has to change. `what` names the file in messages.
    pub fn plan(input: &mut (impl Read + Seek + ?Sized), patch: &ElfPatch, what: &str) -> Result<Self, Error> {
        let mut input = input;
        change::plan(Pieces::new(&mut input, what)?, patch)
    }

    /// Bytes of the copy.
    pub fn size(&self) -> u64 {
        let tail: u64 = self.tail.iter().map(Part::len).sum();
        self.old + self.gap + tail
    }

    /// Writes the copy. `input` must be the file that was planned for.
    pub fn write(
        &self,
        input: &mut (impl Read + Seek + ?Sized),
        output: &mut (impl Write + ?Sized),
        what: &str,
    ) -> Result<(), Error> {
        self.copy(input, output, what, 0, self.old, &self.spans)?;
        let mut gap = self.gap;
        let zeros = [0; 4096];
        while gap > 0 {
            let step = gap.min(zeros.len() as u64);
            let part = zeros.get(..step as usize).unwrap_or_default();
            output.write_all(part).map_err(|e| Error::io(what, e))?;
            gap -= step;
        }
        for part in &self.tail {
            match part {
                Part::Bytes(bytes) => output.write_all(bytes).map_err(|e| Error::io(what, e))?,
                Part::Copy { offset, size } => self.copy(input, output, what, *offset, *size, &[])?,
            }
        }
        Ok(())
    }

    fn copy(
        &self,
        input: &mut (impl Read + Seek + ?Sized),
        output: &mut (impl Write + ?Sized),
        what: &str,
        offset: u64,
        size: u64,
        spans: &[(u64, Vec<u8>)],
    ) -> Result<(), Error> {
        input.seek(SeekFrom::Start(offset)).map_err(|e| Error::io(what, e))?;
        let mut buffer = vec![0; STEP.min(size as usize)];
        let (mut at, mut left) = (offset, size);
        while left > 0 {
            let step = (buffer.len() as u64).min(left) as usize;
            let chunk = buffer.get_mut(..step).unwrap_or_default();
            input.read_exact(chunk).map_err(|e| Error::io(what, e))?;
            for (start, bytes) in spans {
                overlay(chunk, at, *start, bytes);
            }
            output.write_all(chunk).map_err(|e| Error::io(what, e))?;
            at += step as u64;
            left -= step as u64;
        }
        Ok(())
    }
}

/// Puts the part of `bytes` (which belong at `start`) that falls into `chunk` (which lies at `at`) there.
fn overlay(chunk: &mut [u8], at: u64, start: u64, bytes: &[u8]) {
    let into = start.saturating_sub(at) as usize;
    let skipped = at.saturating_sub(start) as usize;
    let places = chunk.get_mut(into..).unwrap_or_default();
    let news = bytes.get(skipped..).unwrap_or_default();
    places.iter_mut().zip(news).for_each(|(place, new)| *place = *new);
}

/// Copies an ELF file with its headers changed and says how large the copy is. A file that has nowhere to put what is
/// asked for is [`Error::Unwritable`]; a damaged one [`Error::Malformed`].
pub fn patch(
    input: &mut (impl Read + Seek + ?Sized),
    output: &mut (impl Write + ?Sized),
    patch: &ElfPatch,
    what: &str,
) -> Result<u64, Error> {
    let rewrite = Rewrite::plan(input, patch, what)?;
    rewrite.write(input, output, what)?;
    Ok(rewrite.size())
}
