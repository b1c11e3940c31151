//! COPY relocations: data that a program takes over from a library, with the size it was linked for.

use goblin::elf::reloc::{Reloc, RelocSection};

use super::dynamic::{Dynamic, Relocations};
use super::image::{Image, Strings};
use super::symbols;
use crate::Error;

/// Relocations read at once.
const STEP: u64 = 4096;
/// Data symbols one program may copy; real ones copy a few dozen.
const MAX_COPIES: usize = 65_536;

/// R_*_COPY of the machine; `None` where programs have none, or where the layout of MIPS64's `r_info` would mislead.
fn copy_type(machine: u16, wide: bool) -> Option<u32> {
    Some(match machine {
        3 | 62 => 5,       // i386, x86-64
        8 if !wide => 126, // MIPS: programs that are not position-independent
        20 | 21 => 19,     // PowerPC
        22 => 9,           // s390
        40 => 20,          // ARM
        183 => 1024,       // AArch64
        243 | 258 => 4,    // RISC-V, LoongArch
        _ => return None,
    })
}

/// Names and sizes, sorted by name.
pub(super) fn copies(
    image: &mut Image<'_>,
    dynamic: &Dynamic,
    strings: &mut Strings,
) -> Result<Vec<(String, u64)>, Error> {
    let Some(wanted) = copy_type(image.machine, image.wide()).filter(|_| dynamic.symtab != 0) else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    let tables = [(dynamic.rel, false), (dynamic.rela, true), (dynamic.plt, dynamic.plt_is_rela)];
    for (table, is_rela) in tables.into_iter().filter(|(table, _)| table.address != 0 && table.size != 0) {
        scan(image, table, is_rela, wanted, &mut found)?;
    }
    found.sort_unstable();
    found.dedup();
    let mut copies = Vec::with_capacity(found.len());
    for index in found {
        let symbol = symbols::one(image, dynamic, index)?;
        copies.push((strings.get(symbol.st_name as u64)?, symbol.st_size));
    }
    copies.sort_unstable();
    copies.dedup();
    Ok(copies)
}

fn scan(
    image: &mut Image<'_>,
    table: Relocations,
    is_rela: bool,
    wanted: u32,
    found: &mut Vec<u64>,
) -> Result<(), Error> {
    let what = "the relocations";
    let size = Reloc::size(is_rela, image.ctx) as u64;
    let (mut offset, left) = image.locate(table.address, what)?;
    if table.size > left {
        return Err(image.pieces.malformed("its relocations reach past their segment"));
    }
    let mut rest = table.size / size;
    while rest > 0 {
        let step = STEP.min(rest);
        let bytes = image.pieces.read(offset, step * size, STEP * size, what)?;
        let section = RelocSection::parse(&bytes, 0, bytes.len(), is_rela, image.ctx)
            .map_err(|e| image.pieces.malformed(format!("bad relocations: {e}")))?;
        found.extend(section.iter().filter(|r| r.r_type == wanted).map(|r| r.r_sym as u64));
        if found.len() > MAX_COPIES {
            return Err(image.pieces.too_large("its number of copied symbols", found.len() as u64, MAX_COPIES as u64));
        }
        offset += step * size;
        rest -= step;
    }
    Ok(())
}
