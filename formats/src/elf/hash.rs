//! How many dynamic symbols there are: nothing says it outright once section headers are gone.

use super::dynamic::Dynamic;
use super::image::Image;
use crate::Error;
use crate::limits::Limits;

/// Entries read at once from a hash table.
const STEP: u64 = 4096;
/// Alpha and 64-bit s390 have hash tables of 8-byte words.
const WIDE_HASH: [u16; 2] = [22, 0x9026];

/// Number of entries of the symbol table, the empty first one included.
pub(super) fn symbol_count(image: &mut Image<'_>, dynamic: &Dynamic, limits: &Limits) -> Result<u64, Error> {
    let count = if dynamic.hash != 0 {
        by_hash(image, dynamic.hash)?
    } else if dynamic.mips_symbols != 0 {
        dynamic.mips_symbols
    } else if dynamic.gnu_hash != 0 {
        match by_gnu_hash(image, dynamic.gnu_hash, limits)? {
            Some(count) => count,
            None => by_next_table(image, dynamic)?,
        }
    } else {
        by_next_table(image, dynamic)?
    };
    if count > limits.max_entries {
        return Err(image.pieces.too_large("its number of dynamic symbols", count, limits.max_entries));
    }
    Ok(count)
}

fn by_hash(image: &mut Image<'_>, address: u64) -> Result<u64, Error> {
    let width = if image.wide() && WIDE_HASH.contains(&image.machine) { 8 } else { 4 };
    let head = image.read(address, 2 * width as u64, 16, "the hash table")?;
    image.number(&head, width, width).ok_or_else(|| image.pieces.malformed("its hash table is cut short"))
}

/// Walks to the last symbol of the last chain. `None` when the table is empty, as linkers write it for a file that
/// exports nothing: GNU ld then does not say where the symbols end.
fn by_gnu_hash(image: &mut Image<'_>, address: u64, limits: &Limits) -> Result<Option<u64>, Error> {
    let head = image.read(address, 16, 16, "the GNU hash table")?;
    let field = |at| image.number(&head, at, 4).unwrap_or_default();
    let (buckets, first, blooms) = (field(0), field(4), field(8));
    if buckets > limits.max_entries {
        return Err(image.pieces.too_large("its number of hash buckets", buckets, limits.max_entries));
    }
    let word = if image.wide() { 8 } else { 4 };
    // All three are 32-bit numbers: nothing here can overflow except the last addition.
    let Some(table) = address.checked_add(16 + blooms * word) else {
        return Err(image.pieces.malformed("its GNU hash table lies outside the address space"));
    };
    let mut last = 0;
    let mut at = 0;
    while at < buckets {
        let step = STEP.min(buckets - at);
        let bytes = image.read(table.saturating_add(at * 4), step * 4, STEP * 4, "the GNU hash table")?;
        for i in 0..step as usize {
            last = last.max(image.number(&bytes, i * 4, 4).unwrap_or_default());
        }
        at += step;
    }
    if last == 0 {
        return Ok(None);
    }
    let Some(skip) = last.checked_sub(first) else {
        return Err(image.pieces.malformed("a GNU hash bucket names a symbol before the first hashed one"));
    };
    let chains = table.saturating_add(buckets * 4);
    let mut at = skip;
    loop {
        // A chain ends at the first odd hash; the segment's end and the limit on symbols bound the walk.
        let bytes = image.read_some(chains.saturating_add(at * 4), STEP * 4, "a GNU hash chain")?;
        let words = bytes.len() / 4;
        for i in 0..words {
            if image.number(&bytes, i * 4, 4).unwrap_or_default() & 1 == 1 {
                return Ok(Some(first + at + i as u64 + 1));
            }
        }
        at += words as u64;
        if words == 0 || at > limits.max_entries {
            return Err(image.pieces.malformed("a GNU hash chain has no end"));
        }
    }
}

/// Linkers put another table right after the symbols: the string table (GNU ld) or the versions (lld).
fn by_next_table(image: &Image<'_>, dynamic: &Dynamic) -> Result<u64, Error> {
    let size = if image.wide() { 24 } else { 16 };
    let next = dynamic.tables.iter().filter(|table| **table > dynamic.symtab).min();
    match next {
        Some(next) => Ok((next - dynamic.symtab) / size),
        None => Err(image.pieces.malformed("nothing says how many dynamic symbols it has")),
    }
}
