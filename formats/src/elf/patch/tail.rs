//! The segment that is appended: where in the file and in memory it may begin, and what it holds. Writes nothing.

use goblin::elf::header::{ET_EXEC, Header};
use goblin::elf::program_header::*;

use super::Part;
use super::change::{Place, unwritable};
use super::tables::Layout;
use crate::Error;
use crate::elf::pieces::Pieces;

/// EM_386 and EM_X86_64, whose pages always have 4 KiB, and EM_RISCV.
const SMALL_PAGES: [u16; 3] = [3, 62, 243];
/// The largest page of the others that Linux runs userland with (arm64, mips, ppc64, loongarch).
const LARGE_PAGE: u64 = 64 << 10;
const SMALL_PAGE: u64 = 4 << 10;

/// How far .bss may blow the copy up; beyond it a launcher is cheaper.
const MAX_GAP: u64 = 16 << 20;

/// What is appended, as it grows.
pub(super) struct Tail {
    offset: u64,
    address: u64,
    align: u64,
    size: u64,
    parts: Vec<Part>,
}

/// The header that a new one may replace: notes tell debuggers and linkers something, and loaders only of features that a
/// process then does without (PT_GNU_PROPERTY: indirect branch tracking).
pub(super) fn spare(segments: &[ProgramHeader]) -> Option<usize> {
    [PT_NULL, PT_NOTE, PT_GNU_PROPERTY].into_iter().find_map(|kind| segments.iter().position(|s| s.p_type == kind))
}

impl Tail {
    /// Finds the place. `in_place`: the program headers stay where they are.
    pub(super) fn start(
        pieces: &Pieces<'_>,
        header: &Header,
        segments: &[ProgramHeader],
        in_place: bool,
    ) -> Result<Self, Error> {
        let loads = || segments.iter().filter(|s| s.p_type == PT_LOAD);
        let Some(first) = loads().next() else { return Err(unwritable(pieces, "it has no segment to load")) };
        let end = loads().try_fold(0u64, |end, s| Some(end.max(s.p_vaddr.checked_add(s.p_memsz)?)));
        let align = loads().map(|s| s.p_align).max().unwrap_or(0);
        let largest = if SMALL_PAGES.contains(&header.e_machine) { SMALL_PAGE } else { LARGE_PAGE };
        let align = if align >= largest { largest } else { SMALL_PAGE };
        let end = end.and_then(|end| end.checked_next_multiple_of(align));
        let Some(end) = end else { return Err(pieces.malformed("its segments reach past the end of memory")) };
        // The kernel tells a program where its headers are; of a library only its loader reads them.
        let told = header.e_type == ET_EXEC || segments.iter().any(|s| s.p_type == PT_INTERP);
        let (offset, address) = if in_place || !told {
            let offset = pieces.len().next_multiple_of(16);
            (offset, end.saturating_add(offset % align))
        } else {
            let shift = first.p_vaddr.checked_sub(first.p_offset).filter(|shift| shift % align == 0);
            let Some(shift) = shift else {
                return Err(unwritable(pieces, "its first segment lies at an odd distance from its place in the file"));
            };
            let behind = pieces.len().saturating_add(shift).checked_next_multiple_of(align);
            let address = behind.map_or(u64::MAX, |behind| behind.max(end));
            (address.saturating_sub(shift), address)
        };
        if offset.saturating_sub(pieces.len()) > MAX_GAP {
            return Err(unwritable(pieces, "its zeroed memory is so large that moved headers would blow the file up"));
        }
        Ok(Self { offset, address, align, size: 0, parts: Vec::new() })
    }

    /// Where the next piece will lie in memory.
    pub(super) fn next_address(&self) -> u64 {
        self.address.saturating_add(self.size)
    }

    /// Appends a piece; its parts follow each other closely.
    pub(super) fn add(&mut self, parts: impl IntoIterator<Item = Part>) -> Place {
        let begin = self.size;
        for part in parts {
            self.size = self.size.saturating_add(part.len());
            self.parts.push(part);
        }
        let place = Place {
            offset: self.offset.saturating_add(begin),
            address: self.address.saturating_add(begin),
            size: self.size - begin,
        };
        let fill = (16 - self.size % 16) % 16;
        self.size = self.size.saturating_add(fill);
        self.parts.push(Part::Bytes(vec![0; fill as usize]));
        place
    }

    /// The segment's own header. The loader writes to a dynamic section (DT_DEBUG), to nothing else of it.
    pub(super) fn segment(&self, writable: bool) -> ProgramHeader {
        ProgramHeader {
            p_type: PT_LOAD,
            p_flags: if writable { PF_R | PF_W } else { PF_R },
            p_offset: self.offset,
            p_vaddr: self.address,
            p_paddr: self.address,
            p_filesz: self.size,
            p_memsz: self.size,
            p_align: self.align,
        }
    }

    /// Bytes between the file and the segment, and what the segment holds.
    pub(super) fn finish(self, pieces: &Pieces<'_>, layout: Layout) -> Result<(u64, Vec<Part>), Error> {
        let highest = if layout.wide { u64::MAX >> 1 } else { u64::from(u32::MAX) };
        let end = self.address.saturating_add(self.size).max(self.offset.saturating_add(self.size));
        if end > highest {
            return Err(unwritable(pieces, "no memory is left behind its segments"));
        }
        Ok((self.offset.saturating_sub(pieces.len()), self.parts))
    }
}
