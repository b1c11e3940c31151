//! What the files of a package say, read once while the package is verified and kept by its identity: ELF facts, and the list of its
//! entries. A cache: what cannot be kept is read again.

use std::fs;
use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use rusqlite::{Connection, OptionalExtension as _, params};
use serde::{Deserialize, Serialize};
use xpkg_model::{ElfFacts, Identity};

use crate::cache::Cache;
use crate::error::{Error, Result};

/// The layout of the table and of what is in it; another number: everything is forgotten.
const VERSION: i64 = 1;
/// Largest facts read back; those of the largest libraries have a few MiB.
const MAX_FACTS: u64 = 256 << 20;

/// An ELF file of a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFact {
    /// Absolute within the root; not quite the name where that is no UTF-8.
    pub path: String,
    /// What it needs and gives.
    pub elf: ElfFacts,
}

/// What an entry is, as far as plans look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryType {
    /// Regular file.
    File,
    /// Directory.
    Dir,
    /// Symbolic link and its text.
    Symlink(String),
    /// Another name of an earlier file of the package.
    Hardlink(String),
    /// Device, pipe.
    Special,
}

/// One entry of a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryFact {
    /// Absolute within the root.
    pub path: String,
    /// What it is.
    pub kind: EntryType,
    /// Permission bits.
    pub mode: u32,
    /// Bytes of content.
    pub size: u64,
}

/// Everything kept of one package.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageFacts {
    /// Its ELF files, hardlinks under each of their names.
    pub files: Vec<FileFact>,
    /// Everything it puts on a root, in its order.
    pub entries: Vec<EntryFact>,
    /// Files that begin as ELF and make no sense further on, with the reason: nothing can be said about them.
    pub unreadable: Vec<(String, String)>,
    /// Bytes of all contents.
    pub unpacked: u64,
}

/// The facts of a package, where they are known.
pub fn facts(cache: &Cache, identity: &Identity) -> Result<Option<PackageFacts>> {
    with(cache, false, |conn| {
        let select = "SELECT data FROM facts WHERE identity = ?";
        conn.query_row(select, [identity.to_string()], |row| row.get::<_, Vec<u8>>(0)).optional()
    })
    .map(|found| found.flatten().and_then(|data| decode(&data)))
}

/// Whether the facts of a package are known, without reading them.
pub fn has_facts(cache: &Cache, identity: &Identity) -> bool {
    let select = "SELECT 1 FROM facts WHERE identity = ?";
    let found = with(cache, false, |conn| conn.query_row(select, [identity.to_string()], |_| Ok(())).optional());
    matches!(found, Ok(Some(Some(()))))
}

/// Keeps the facts of a package.
pub fn store(cache: &Cache, identity: &Identity, facts: &PackageFacts) -> Result<()> {
    let failed = |e: std::io::Error| Error::io("write", &cache.facts_path(), e);
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    serde_json::to_writer(&mut encoder, facts).map_err(|e| failed(e.into()))?;
    encoder.flush().map_err(failed)?;
    let data = encoder.finish().map_err(failed)?;
    with(cache, true, |conn| {
        conn.execute("INSERT OR REPLACE INTO facts (identity, data) VALUES (?, ?)", params![identity.to_string(), data])
    })
    .map(|_| ())
}

fn decode(data: &[u8]) -> Option<PackageFacts> {
    let mut text = Vec::new();
    DeflateDecoder::new(data).take(MAX_FACTS).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Runs a question or a change on the facts file, opening it first where needed. `None`: there is no file and none is made.
fn with<T>(cache: &Cache, make: bool, run: impl Fn(&Connection) -> rusqlite::Result<T>) -> Result<Option<T>> {
    let path = cache.facts_path();
    let mut slot = cache.facts_lock();
    let damaged = |e: &rusqlite::Error| {
        matches!(e.sqlite_error_code(), Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase))
    };
    for attempt in 0..2 {
        if slot.is_none() {
            if !make && !path.exists() {
                return Ok(None);
            }
            *slot = open(&path).ok();
        }
        let result = match slot.as_ref() {
            Some(conn) => run(conn),
            None => open(&path).and_then(|conn| run(&conn)),
        };
        match result {
            Ok(value) => return Ok(Some(value)),
            // A damaged cache is a lost cache, no more.
            Err(e) if attempt == 0 && damaged(&e) => {
                *slot = None;
                let _ = fs::remove_file(&path);
                if !make {
                    return Ok(None);
                }
            }
            Err(e) => return Err(Error::database(&path, e)),
        }
    }
    Ok(None)
}

fn open(path: &std::path::Path) -> rusqlite::Result<Connection> {
    let conn = Connection::open(path)?;
    conn.busy_timeout(std::time::Duration::from_secs(5))?;
    conn.execute_batch("PRAGMA journal_mode = TRUNCATE; PRAGMA synchronous = OFF; PRAGMA cache_size = -128;")?;
    let version: i64 = conn.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version != VERSION {
        conn.execute_batch(&format!(
            "BEGIN; DROP TABLE IF EXISTS facts;
             CREATE TABLE facts (identity TEXT PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID;
             PRAGMA user_version = {VERSION}; COMMIT;"
        ))?;
    }
    Ok(conn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_kept_and_damage_only_forgets_them() {
        let dir = tempfile::tempdir().unwrap();
        let id = Identity::ApkSha256([5; 32]);
        let entry = EntryFact { path: "/usr/bin/a".into(), kind: EntryType::File, mode: 0o755, size: 3 };
        let known = PackageFacts { entries: vec![entry], unpacked: 3, ..PackageFacts::default() };
        let cache = Cache::open(dir.path().to_owned()).unwrap();
        assert_eq!(facts(&cache, &id).unwrap(), None);
        store(&cache, &id, &known).unwrap();
        assert_eq!(facts(&cache, &id).unwrap(), Some(known.clone()));
        drop(cache);
        let cache = Cache::open(dir.path().to_owned()).unwrap();
        assert!(has_facts(&cache, &id));
        drop(cache);
        fs::write(dir.path().join("facts.sqlite"), [7; 5000]).unwrap();
        let cache = Cache::open(dir.path().to_owned()).unwrap();
        assert_eq!(facts(&cache, &id).unwrap(), None);
        store(&cache, &id, &known).unwrap();
        assert_eq!(facts(&cache, &id).unwrap(), Some(known));
    }
}
