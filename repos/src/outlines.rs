//! What a root's libraries say of themselves, without their names, kept by where each lies and by its stamp: a second plan does
//! not read them again. A cache: what is damaged, does not fit or has changed is as if it were not there. Opens no file of a root.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read as _};
use std::time::{SystemTime, UNIX_EPOCH};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use serde::{Deserialize, Serialize};
use xpkg_model::root::Stamp;
use xpkg_model::{ElfFacts, RelPath};

use crate::cache::{Cache, write_atomic};
use crate::error::{Error, Result};

/// The layout; another number: everything is forgotten.
const VERSION: u32 = 1;
/// Bytes of the file unpacked; a hundred libraries have 60 KiB, a desktop's five thousand 3 MiB.
const MAX_TEXT: u64 = 4 << 20;
/// A file that was changed less than this many seconds ago may change again within one tick of the clock, unseen.
const SETTLED: i64 = 2;

#[derive(Serialize, Deserialize)]
struct Kept {
    version: u32,
    rows: Vec<Row>,
}

#[derive(Serialize, Deserialize)]
struct Row {
    path: String,
    stamp: Stamp,
    /// `None`: it is no ELF file.
    elf: Option<ElfFacts>,
}

/// What is known, and what this run has seen.
pub struct Outlines {
    known: BTreeMap<String, Row>,
    seen: BTreeMap<String, Row>,
    /// Something is not as it was kept.
    changed: bool,
    now: i64,
}

impl Outlines {
    /// Reads what was kept.
    pub fn open(cache: &Cache) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        Self::open_at(cache, i64::try_from(now).unwrap_or(0))
    }

    /// As [`Outlines::open`], at a given time in seconds since 1970.
    pub fn open_at(cache: &Cache, now: i64) -> Self {
        let rows = read(cache).unwrap_or_default();
        let known = rows.into_iter().map(|row| (row.path.clone(), row)).collect();
        Self { known, seen: BTreeMap::new(), changed: false, now }
    }

    /// The outline of a file, where its stamp is the one that was kept. The inner `None`: it is no ELF file.
    pub fn get(&mut self, path: &RelPath, stamp: &Stamp) -> Option<Option<ElfFacts>> {
        let row = self.known.remove(std::str::from_utf8(path.as_bytes()).ok()?)?;
        if row.stamp != *stamp {
            self.changed = true;
            return None;
        }
        let elf = row.elf.clone();
        self.seen.insert(row.path.clone(), row);
        Some(elf)
    }

    /// Keeps the outline of a file, unless it may still change unseen.
    pub fn put(&mut self, path: &RelPath, stamp: Stamp, elf: Option<&ElfFacts>) {
        let Ok(path) = std::str::from_utf8(path.as_bytes()) else { return };
        let settled = [stamp.changed.0, stamp.modified.0].iter().all(|at| at.saturating_add(SETTLED) < self.now);
        if settled {
            let row = Row { path: path.to_owned(), stamp, elf: elf.cloned() };
            self.known.remove(path);
            self.seen.insert(path.to_owned(), row);
            self.changed = true;
        }
    }

    /// Writes what this run has seen, when that is not what was kept; files that it did not meet are forgotten.
    pub fn close(self, cache: &Cache) -> Result<()> {
        if !self.changed && self.known.is_empty() {
            return Ok(());
        }
        let path = cache.outlines_path();
        let failed = |e: std::io::Error| Error::io("write", &path, e);
        let kept = Kept { version: VERSION, rows: self.seen.into_values().collect() };
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        serde_json::to_writer(&mut encoder, &kept).map_err(|e| failed(e.into()))?;
        if encoder.total_in() > MAX_TEXT {
            return Ok(());
        }
        write_atomic(&path, &encoder.finish().map_err(failed)?)
    }
}

fn read(cache: &Cache) -> Option<Vec<Row>> {
    let file = File::open(cache.outlines_path()).ok()?;
    let text = BufReader::new(DeflateDecoder::new(file).take(MAX_TEXT));
    let kept: Kept = serde_json::from_reader(text).ok()?;
    // An outline has no names; what has some was not written here, and lookups count on their order.
    let plain = |elf: &ElfFacts| elf.exports.is_empty() && elf.undefined.is_empty() && elf.weak_undefined.is_empty();
    let whole = kept.version == VERSION && kept.rows.iter().all(|row| row.elf.as_ref().is_none_or(plain));
    whole.then_some(kept.rows)
}

#[cfg(test)]
mod tests {
    use xpkg_model::elf::{Class, Export, Kind};

    use super::*;

    fn outline() -> ElfFacts {
        ElfFacts { soname: Some("libz.so.1".to_owned()), ..ElfFacts::new(Kind::Library, Class::Elf64, 62) }
    }

    fn stamp(inode: u64, changed: i64) -> Stamp {
        Stamp { device: 1, inode, size: 10, modified: (5, 0), changed: (changed, 0) }
    }

    #[test]
    fn what_is_settled_is_kept_and_what_changed_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path().to_owned()).unwrap();
        let [z, young, script] = ["usr/lib/libz.so.1", "usr/lib/libnew.so", "usr/lib/a.so"].map(RelPath::literal);
        let mut first = Outlines::open_at(&cache, 100);
        first.put(&z, stamp(7, 50), Some(&outline()));
        first.put(&young, stamp(8, 99), Some(&outline()));
        first.put(&script, stamp(9, 50), None);
        first.close(&cache).unwrap();
        let mut second = Outlines::open_at(&cache, 200);
        assert_eq!(second.get(&z, &stamp(7, 50)), Some(Some(outline())));
        assert_eq!(second.get(&young, &stamp(8, 99)), None, "it may have changed again in the same second");
        assert_eq!(second.get(&script, &stamp(9, 51)), None, "another stamp");
        second.close(&cache).unwrap();
        let mut third = Outlines::open_at(&cache, 200);
        assert_eq!(third.get(&script, &stamp(9, 50)), None, "what a run does not meet is forgotten");
        assert_eq!(third.get(&z, &stamp(7, 50)), Some(Some(outline())));
    }

    #[test]
    fn hostile_content_is_as_if_it_were_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path().to_owned()).unwrap();
        let z = RelPath::literal("usr/lib/libz.so.1");
        let deflated = |text: &[u8]| {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
            std::io::Write::write_all(&mut encoder, text).unwrap();
            encoder.finish().unwrap()
        };
        let text = |version: u32, elf: ElfFacts| {
            let row = Row { path: "usr/lib/libz.so.1".to_owned(), stamp: stamp(7, 50), elf: Some(elf) };
            serde_json::to_vec(&Kept { version, rows: vec![row] }).unwrap()
        };
        let export = |name: &str| Export { name: name.to_owned(), size: 0, weak: false };
        let named = ElfFacts { exports: vec![export("z"), export("a")], ..outline() };
        let mut bomb = text(VERSION, outline());
        bomb.splice(1..1, std::iter::repeat_n(b' ', 64 << 20));
        for (bytes, there) in [
            (deflated(&text(VERSION, outline())), true),
            (deflated(&text(VERSION + 1, outline())), false),
            (deflated(&text(VERSION, named)), false),
            (deflated(&bomb), false),
            (text(VERSION, outline()), false),
            (vec![0xff; 4096], false),
        ] {
            std::fs::write(cache.outlines_path(), bytes).unwrap();
            assert_eq!(Outlines::open_at(&cache, 100).get(&z, &stamp(7, 50)).is_some(), there);
        }
    }
}
