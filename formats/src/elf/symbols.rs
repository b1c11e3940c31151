//! The dynamic symbols: what must be found elsewhere, what may be, and what is offered.

use goblin::elf::section_header::{SHN_ABS, SHN_UNDEF};
use goblin::elf::sym::{
    STB_GLOBAL, STB_GNU_UNIQUE, STB_WEAK, STT_FILE, STT_FUNC, STT_GNU_IFUNC, STT_SECTION, STT_TLS, STV_HIDDEN,
    STV_INTERNAL, Sym, Symtab,
};
use xpkg_model::elf::{ElfFacts, Export};

use super::dynamic::Dynamic;
use super::hash::symbol_count;
use super::image::{Image, Strings};
use crate::Error;
use crate::limits::Limits;

/// Symbols read at once: 96 KiB.
const STEP: u64 = 4096;
/// The bit of DT_VERSYM that makes a version not the default one. musl then does not find the symbol at all
/// (`sysv_lookup`, `gnu_lookup` in ldso/dynlink.c).
const VERSION_HIDDEN: u64 = 0x8000;

/// Sorts every symbol into its list.
pub(super) fn collect(
    facts: &mut ElfFacts,
    image: &mut Image<'_>,
    dynamic: &Dynamic,
    strings: &mut Strings,
    limits: &Limits,
) -> Result<(), Error> {
    if dynamic.symtab == 0 {
        return Ok(());
    }
    let count = symbol_count(image, dynamic, limits)?;
    let mut at = 1;
    while at < count {
        let step = STEP.min(count - at);
        let symbols = read(image, dynamic, at, step)?;
        let versions = versions(image, dynamic, at, step)?;
        for (i, symbol) in symbols.into_iter().enumerate() {
            let hidden = image.number(&versions, i * 2, 2).is_some_and(|v| v & VERSION_HIDDEN != 0);
            sort_in(facts, &symbol, hidden, strings)?;
        }
        at += step;
    }
    facts.undefined.sort_unstable();
    facts.undefined.dedup();
    facts.weak_undefined.sort_unstable();
    facts.weak_undefined.dedup();
    let strong = &facts.undefined;
    facts.weak_undefined.retain(|name| strong.binary_search(name).is_err());
    // Of two definitions of one name the strong one counts.
    facts.exports.sort_unstable_by(|a, b| (&a.name, a.weak).cmp(&(&b.name, b.weak)));
    facts.exports.dedup_by(|b, a| a.name == b.name);
    // Facts are kept for as long as a plan is thought about.
    facts.undefined.shrink_to_fit();
    facts.weak_undefined.shrink_to_fit();
    facts.exports.shrink_to_fit();
    Ok(())
}

/// One symbol, by number.
pub(super) fn one(image: &mut Image<'_>, dynamic: &Dynamic, index: u64) -> Result<Sym, Error> {
    let symbol = read(image, dynamic, index, 1)?.into_iter().next();
    symbol.ok_or_else(|| image.pieces.malformed("a relocation names a symbol that is not there"))
}

fn read(image: &mut Image<'_>, dynamic: &Dynamic, first: u64, count: u64) -> Result<Vec<Sym>, Error> {
    let size = Sym::size(image.ctx.container) as u64;
    let Some(address) = first.checked_mul(size).and_then(|into| dynamic.symtab.checked_add(into)) else {
        return Err(image.pieces.malformed("its symbol table lies outside the address space"));
    };
    let bytes = image.read(address, count * size, STEP * size, "the dynamic symbol table")?;
    let table = Symtab::parse(&bytes, 0, count as usize, image.ctx);
    Ok(table.map_err(|e| image.pieces.malformed(format!("bad dynamic symbol table: {e}")))?.iter().collect())
}

fn versions(image: &mut Image<'_>, dynamic: &Dynamic, first: u64, count: u64) -> Result<Vec<u8>, Error> {
    if dynamic.versym == 0 {
        return Ok(Vec::new());
    }
    image.read(dynamic.versym.saturating_add(first * 2), count * 2, STEP * 2, "the symbol versions")
}

fn sort_in(facts: &mut ElfFacts, symbol: &Sym, hidden: bool, strings: &mut Strings) -> Result<(), Error> {
    let (kind, bind) = (symbol.st_type(), symbol.st_bind());
    let weak = bind == STB_WEAK;
    if symbol.st_name == 0
        || matches!(kind, STT_SECTION | STT_FILE)
        || !matches!(bind, STB_GLOBAL | STB_WEAK | STB_GNU_UNIQUE)
    {
        return Ok(());
    }
    let section = symbol.st_shndx as u32;
    if section == SHN_UNDEF {
        let list = if weak { &mut facts.weak_undefined } else { &mut facts.undefined };
        list.push(strings.get(symbol.st_name as u64)?);
        return Ok(());
    }
    // A definition at address 0 is none, except for absolute and thread-local ones: both loaders pass over it.
    let nowhere = symbol.st_value == 0 && kind != STT_TLS && section != SHN_ABS;
    if hidden || nowhere || matches!(symbol.st_visibility(), STV_HIDDEN | STV_INTERNAL) {
        return Ok(());
    }
    let size = if matches!(kind, STT_FUNC | STT_GNU_IFUNC) { 0 } else { symbol.st_size };
    facts.exports.push(Export { name: strings.get(symbol.st_name as u64)?, size, weak });
    Ok(())
}
