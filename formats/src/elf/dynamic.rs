//! The dynamic section as plain numbers. Looks nothing up.

use goblin::container::Ctx;
use goblin::elf::Dynamic as Table;
use goblin::elf::dynamic::*;
use goblin::elf::program_header::{PT_DYNAMIC, ProgramHeader};

/// DT_RELRSZ and DT_RELR of the generic ABI; goblin has no names for them.
const DT_RELRSZ: u64 = 35;
const DT_RELR: u64 = 36;
/// Number of dynamic symbols on MIPS.
const DT_MIPS_SYMTABNO: u64 = 0x7000_0011;
/// Libraries one file may need; the largest real ones need some two hundred.
const MAX_NEEDED: usize = 4096;

/// A relocation table.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Relocations {
    pub(super) address: u64,
    pub(super) size: u64,
}

/// What the dynamic section says. Zero stands for: not said (no table lies at address 0).
#[derive(Debug, Default)]
pub(super) struct Dynamic {
    pub(super) needed: Vec<u64>,
    pub(super) soname: Option<u64>,
    pub(super) rpath: Option<u64>,
    pub(super) runpath: Option<u64>,
    pub(super) strtab: u64,
    pub(super) strsz: u64,
    pub(super) symtab: u64,
    pub(super) hash: u64,
    pub(super) gnu_hash: u64,
    pub(super) mips_symbols: u64,
    pub(super) rel: Relocations,
    pub(super) rela: Relocations,
    pub(super) plt: Relocations,
    pub(super) plt_is_rela: bool,
    pub(super) versym: u64,
    pub(super) verneed: u64,
    pub(super) verneed_count: u64,
    pub(super) relr: bool,
    pub(super) textrel: bool,
    pub(super) pie: bool,
    /// Addresses of all tables: one of them follows the symbols.
    pub(super) tables: Vec<u64>,
}

impl Dynamic {
    /// Reads the section's bytes.
    pub(super) fn parse(bytes: &[u8], ctx: Ctx) -> Result<Self, String> {
        // goblin wants a program header; one that spans exactly these bytes, and no PT_LOAD for it to look into.
        let size = bytes.len() as u64;
        let header = ProgramHeader { p_type: PT_DYNAMIC, p_offset: 0, p_filesz: size, ..ProgramHeader::new() };
        let table = Table::parse(bytes, &[header], ctx).map_err(|e| format!("bad dynamic section: {e}"))?;
        let mut found = Self::default();
        let (mut relr_table, mut relr_size) = (false, 0);
        for entry in table.map(|t| t.dyns).unwrap_or_default() {
            let value = entry.d_val;
            match entry.d_tag {
                DT_NEEDED if found.needed.len() >= MAX_NEEDED => {
                    return Err(format!("it needs more than {MAX_NEEDED} libraries"));
                }
                DT_NEEDED => found.needed.push(value),
                DT_SONAME => found.soname = Some(value),
                DT_RPATH => found.rpath = Some(value),
                DT_RUNPATH => found.runpath = Some(value),
                DT_STRTAB => found.strtab = value,
                DT_STRSZ => found.strsz = value,
                DT_SYMTAB => found.symtab = value,
                DT_HASH => found.hash = value,
                DT_GNU_HASH => found.gnu_hash = value,
                DT_MIPS_SYMTABNO => found.mips_symbols = value,
                DT_REL => found.rel.address = value,
                DT_RELSZ => found.rel.size = value,
                DT_RELA => found.rela.address = value,
                DT_RELASZ => found.rela.size = value,
                DT_JMPREL => found.plt.address = value,
                DT_PLTRELSZ => found.plt.size = value,
                DT_PLTREL => found.plt_is_rela = value == DT_RELA,
                DT_VERSYM => found.versym = value,
                DT_VERNEED => found.verneed = value,
                DT_VERNEEDNUM => found.verneed_count = value,
                DT_RELR => relr_table = true,
                DT_RELRSZ => relr_size = value,
                DT_TEXTREL => found.textrel = true,
                DT_FLAGS => found.textrel |= value & DF_TEXTREL != 0,
                DT_FLAGS_1 => found.pie = value & DF_1_PIE != 0,
                _ => {}
            }
            if matches!(
                entry.d_tag,
                DT_STRTAB | DT_HASH | DT_GNU_HASH | DT_REL | DT_RELA | DT_JMPREL | DT_VERSYM | DT_VERNEED | DT_VERDEF
            ) {
                found.tables.push(value);
            }
        }
        found.relr = relr_table && relr_size != 0;
        Ok(found)
    }

    /// Whether names can be looked up.
    pub(super) fn has_strings(&self) -> bool {
        self.strtab != 0 && self.strsz != 0
    }
}
