//! The version tags a file asks of its libraries (DT_VERNEED): a hint that tells glibc programs from others.

use super::dynamic::Dynamic;
use super::image::{Image, Strings};
use crate::Error;

/// The whole table; libreoffice's largest is below 20 KiB.
const MAX_TABLE: u64 = 1 << 20;
/// Both kinds of record have 16 bytes.
const RECORD: usize = 16;

/// Names of the tags, sorted, each once.
pub(super) fn needs(image: &mut Image<'_>, dynamic: &Dynamic, strings: &mut Strings) -> Result<Vec<String>, Error> {
    if dynamic.verneed == 0 || dynamic.verneed_count == 0 {
        return Ok(Vec::new());
    }
    let bytes = image.read_some(dynamic.verneed, MAX_TABLE, "the version needs")?;
    let mut names = Vec::new();
    // Links lead forward by at least one record, so the table's size bounds both walks; every record counts once.
    let mut left = bytes.len() / RECORD;
    let mut file = 0;
    let field = |image: &Image<'_>, record: usize, at: usize, width: usize| {
        let number = image.number(&bytes, record.saturating_add(at), width);
        number.ok_or_else(|| image.pieces.malformed("its version needs are cut short"))
    };
    for _ in 0..dynamic.verneed_count {
        let count = field(image, file, 2, 2)?;
        let mut tag = file.saturating_add(field(image, file, 8, 4)? as usize);
        let next = field(image, file, 12, 4)? as usize;
        for _ in 0..count {
            let name = field(image, tag, 8, 4)?;
            let step = field(image, tag, 12, 4)? as usize;
            left = match left.checked_sub(1) {
                Some(left) => left,
                None => return Err(image.pieces.malformed("its version needs run in a circle")),
            };
            names.push(strings.get(name)?);
            if step < RECORD {
                break;
            }
            tag = tag.saturating_add(step);
        }
        if next < RECORD {
            break;
        }
        file = file.saturating_add(next);
    }
    names.sort_unstable();
    names.dedup();
    Ok(names)
}
