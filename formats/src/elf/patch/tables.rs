//! Headers and tables of an ELF file as bytes, in its own class and byte order. Reads and writes no file.

use goblin::container::Ctx;
use goblin::elf::program_header::ProgramHeader;

/// Class and byte order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) wide: bool,
    pub(super) little: bool,
}

/// Where a field lies: offset and width in 64-bit files, then in 32-bit files.
pub(super) struct Field([(usize, usize); 2]);

/// Fields of the ELF header (System V ABI, "ELF header").
pub(super) const E_PHOFF: Field = Field([(32, 8), (28, 4)]);
pub(super) const E_SHOFF: Field = Field([(40, 8), (32, 4)]);
pub(super) const E_PHNUM: Field = Field([(56, 2), (44, 2)]);
pub(super) const E_SHNUM: Field = Field([(60, 2), (48, 2)]);
pub(super) const E_SHSTRNDX: Field = Field([(62, 2), (50, 2)]);
/// Fields of a section header.
pub(super) const SH_TYPE: Field = Field([(4, 4), (4, 4)]);
pub(super) const SH_ADDR: Field = Field([(16, 8), (12, 4)]);
pub(super) const SH_OFFSET: Field = Field([(24, 8), (16, 4)]);
pub(super) const SH_SIZE: Field = Field([(32, 8), (20, 4)]);

impl Layout {
    pub(super) fn of(ctx: Ctx) -> Self {
        Self { wide: ctx.container.is_big(), little: ctx.le.is_little() }
    }

    /// Bytes of an address.
    pub(super) const fn word(self) -> usize {
        if self.wide { 8 } else { 4 }
    }

    /// Bytes of the ELF header.
    pub(super) const fn header(self) -> usize {
        if self.wide { 64 } else { 52 }
    }

    /// Bytes of an entry of the dynamic section.
    pub(super) const fn entry(self) -> usize {
        2 * self.word()
    }

    /// Bytes of a section header.
    pub(super) const fn section(self) -> usize {
        if self.wide { 64 } else { 40 }
    }

    fn place(self, field: &Field) -> (usize, usize) {
        let Field([wide, narrow]) = field;
        if self.wide { *wide } else { *narrow }
    }

    fn push(self, out: &mut Vec<u8>, value: u64, width: usize) {
        let little = value.to_le_bytes();
        let bytes = little.iter().take(width);
        if self.little { out.extend(bytes) } else { out.extend(bytes.rev()) }
    }

    /// Reads a field; 0 when the bytes are too few.
    pub(super) fn get(self, bytes: &[u8], field: &Field) -> u64 {
        let (at, width) = self.place(field);
        self.number(bytes.get(at..at + width).unwrap_or_default())
    }

    /// Changes a field.
    pub(super) fn set(self, bytes: &mut [u8], field: &Field, value: u64) {
        let (at, width) = self.place(field);
        let mut new = Vec::with_capacity(width);
        self.push(&mut new, value, width);
        bytes.iter_mut().skip(at).zip(new).for_each(|(place, new)| *place = new);
    }

    fn number(self, bytes: &[u8]) -> u64 {
        let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        if self.little { bytes.iter().rev().fold(0, add) } else { bytes.iter().fold(0, add) }
    }

    /// The program headers.
    pub(super) fn program_headers(self, headers: &[ProgramHeader]) -> Vec<u8> {
        let mut out = Vec::new();
        for h in headers {
            let word = self.word();
            self.push(&mut out, h.p_type.into(), 4);
            if self.wide {
                self.push(&mut out, h.p_flags.into(), 4);
            }
            for value in [h.p_offset, h.p_vaddr, h.p_paddr, h.p_filesz, h.p_memsz] {
                self.push(&mut out, value, word);
            }
            if !self.wide {
                self.push(&mut out, h.p_flags.into(), 4);
            }
            self.push(&mut out, h.p_align, word);
        }
        out
    }

    /// The dynamic section's entries up to the one that ends it.
    pub(super) fn entries(self, bytes: &[u8]) -> Vec<(u64, u64)> {
        let word = self.word();
        let pairs = bytes.chunks_exact(self.entry()).map(|pair| {
            let (tag, value) = pair.split_at(word);
            (self.number(tag), self.number(value))
        });
        pairs.take_while(|(tag, _)| *tag != 0).collect()
    }

    /// A dynamic section of these entries, ended, and filled up to `size` bytes.
    pub(super) fn dynamic(self, entries: &[(u64, u64)], size: usize) -> Vec<u8> {
        let mut out = Vec::new();
        for (tag, value) in entries.iter().chain(&[(0, 0)]) {
            self.push(&mut out, *tag, self.word());
            self.push(&mut out, *value, self.word());
        }
        out.resize(out.len().max(size), 0);
        out
    }
}
