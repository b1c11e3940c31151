//! The section headers of a file that has them: they follow what moved. A loader never looks at them, readelf and
//! debuggers do; a table that makes no sense is dropped.

use goblin::elf::header::Header;
use goblin::elf::program_header::ProgramHeader;

use super::change::{Place, unwritable};
use super::tables::*;
use crate::Error;
use crate::elf::pieces::Pieces;

/// 65,535 headers of 64 bytes.
const MAX_TABLE: u64 = 4 << 20;
/// Bytes behind the ELF file's own that are looked at.
const BEHIND: u64 = 4096;
const SHT_NULL: u64 = 0;
const SHT_NOBITS: u64 = 8;

pub(super) struct Sections {
    layout: Layout,
    offset: u64,
    /// Empty when there is none.
    table: Vec<u8>,
    changed: bool,
}

impl Sections {
    pub(super) const PROGBITS: u64 = 1;
    pub(super) const STRTAB: u64 = 3;
    pub(super) const DYNAMIC: u64 = 6;

    /// Reads the table; one that makes no sense is taken out of the header (`head`).
    pub(super) fn read(
        pieces: &mut Pieces<'_>,
        layout: Layout,
        header: &Header,
        head: &mut [u8],
    ) -> Result<Self, Error> {
        let mut sections = Self { layout, offset: header.e_shoff, table: Vec::new(), changed: false };
        let size = u64::from(header.e_shnum) * layout.section() as u64;
        let sound = usize::from(header.e_shentsize) == layout.section()
            && header.e_shoff.checked_add(size).is_some_and(|end| end <= pieces.len());
        if size > 0 && header.e_shoff > 0 && sound {
            sections.table = pieces.read(header.e_shoff, size, MAX_TABLE, "the section headers")?;
        } else {
            for field in [E_SHOFF, E_SHNUM, E_SHSTRNDX] {
                layout.set(head, &field, 0);
            }
        }
        Ok(sections)
    }

    /// What a program finds by its distance from the end of its own file (an archive, a script) would be lost.
    pub(super) fn nothing_behind(
        &self,
        pieces: &mut Pieces<'_>,
        header: &Header,
        segments: &[ProgramHeader],
    ) -> Result<(), Error> {
        let mut end = header.e_phoff.saturating_add(u64::from(header.e_phnum) * u64::from(header.e_phentsize));
        let mut reach = |offset: u64, size: u64| end = end.max(offset.saturating_add(size));
        segments.iter().for_each(|s| reach(s.p_offset, s.p_filesz));
        if !self.table.is_empty() {
            reach(self.offset, self.table.len() as u64);
        }
        for section in self.table.chunks_exact(self.layout.section()) {
            if !matches!(self.layout.get(section, &SH_TYPE), SHT_NULL | SHT_NOBITS) {
                reach(self.layout.get(section, &SH_OFFSET), self.layout.get(section, &SH_SIZE));
            }
        }
        let behind = pieces.len().saturating_sub(end).min(BEHIND);
        if behind > 0 && pieces.read(end, behind, BEHIND, "what follows the segments")?.iter().any(|b| *b != 0) {
            return Err(unwritable(pieces, "data follow at its end, where the program would no longer find them"));
        }
        Ok(())
    }

    /// Lets the section of a kind that lay at an address say where it is now.
    pub(super) fn moved(&mut self, kind: u64, old_address: u64, place: Place) {
        let layout = self.layout;
        for section in self.table.chunks_exact_mut(layout.section()) {
            if layout.get(section, &SH_TYPE) == kind && layout.get(section, &SH_ADDR) == old_address {
                layout.set(section, &SH_ADDR, place.address);
                layout.set(section, &SH_OFFSET, place.offset);
                layout.set(section, &SH_SIZE, place.size);
                self.changed = true;
            }
        }
    }

    /// The table and where it lies, when it is another.
    pub(super) fn changed(self) -> Option<(u64, Vec<u8>)> {
        self.changed.then_some((self.offset, self.table))
    }
}
