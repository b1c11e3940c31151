//! Writes a catalogue file while its index streams by: beside the old one, in one transaction, renamed into place when whole, so
//! that readers never wait and never see half of it. Keeps one block of packages and eight bytes per name in memory.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};
use tempfile::TempPath;
use xpkg_model::{Package, schema};

use super::codec::Packer;
use super::lookup::{Collector, KINDS, Kind};
use super::meta::Meta;
use super::rows::{PER_BLOCK, write_block};
use crate::cache::readable_temp;
use crate::error::{Error, Result};

/// Most packages of one index; the largest real one has 18,000.
const MAX_PACKAGES: u32 = 1_000_000;
/// Most names, provides and triggers together; real indexes have three per package.
const MAX_NAMES: usize = 8_000_000;

const PREPARE: &str = "PRAGMA page_size = 4096; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;
    PRAGMA locking_mode = EXCLUSIVE; PRAGMA cache_size = -256; PRAGMA temp_store = MEMORY;
    BEGIN;
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE hot (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
    CREATE TABLE cold (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
    CREATE TABLE lookup (id INTEGER PRIMARY KEY, data BLOB NOT NULL);";

/// A catalogue file being written.
pub(crate) struct Builder {
    path: PathBuf,
    temp: TempPath,
    conn: Connection,
    packer: Packer,
    waiting: Vec<Package>,
    blocks: u32,
    packages: u32,
    names: usize,
    newest: u64,
    collectors: [Collector; 3],
}

impl Builder {
    /// Begins a file that will become `path`.
    pub fn create(path: &Path) -> Result<Self> {
        let dir = path.parent().unwrap_or(Path::new("."));
        let temp = readable_temp(dir)?.into_temp_path();
        let conn = Connection::open(&temp).map_err(|e| Error::database(path, e))?;
        conn.execute_batch(PREPARE).map_err(|e| Error::database(path, e))?;
        Ok(Self {
            path: path.to_owned(),
            temp,
            conn,
            packer: Packer::new(),
            waiting: Vec::with_capacity(PER_BLOCK),
            blocks: 0,
            packages: 0,
            names: 0,
            newest: 0,
            collectors: Default::default(),
        })
    }

    /// Takes one package.
    pub fn push(&mut self, package: Package) -> Result<()> {
        let ordinal = self.packages;
        self.names += 1 + package.provides.len() + package.install_if.len();
        if ordinal >= MAX_PACKAGES || self.names > MAX_NAMES {
            return Err(self.damaged("it has too many packages"));
        }
        let mut note = |kind: Kind, name: &str| {
            if let Some(collector) = self.collectors.get_mut(kind as usize) {
                collector.add(name, ordinal);
            }
        };
        note(Kind::Name, &package.name);
        for provide in &package.provides {
            note(Kind::Provide, &provide.name);
        }
        for trigger in package.install_if.iter().filter(|d| !d.conflict) {
            note(Kind::InstallIf, &trigger.name);
        }
        self.packages += 1;
        self.newest = self.newest.max(package.build_time);
        self.waiting.push(package);
        if self.waiting.len() == PER_BLOCK { self.flush() } else { Ok(()) }
    }

    /// Packages taken so far.
    pub fn packages(&self) -> u32 {
        self.packages
    }

    /// Newest build time among them.
    pub fn newest(&self) -> u64 {
        self.newest
    }

    fn damaged(&self, reason: &str) -> Error {
        Error::Damaged { path: self.path.clone(), reason: reason.to_owned() }
    }

    fn flush(&mut self) -> Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let (hot, cold) = write_block(&self.waiting);
        self.waiting.clear();
        for (table, raw) in [("hot", hot), ("cold", cold)] {
            let data = self.packer.pack(&raw).map_err(|e| self.damaged(e.0))?;
            let sql = format!("INSERT INTO {table} (id, data) VALUES (?, ?)");
            let insert = self.conn.prepare_cached(&sql).and_then(|mut s| s.execute(params![self.blocks, data]));
            insert.map_err(|e| Error::database(&self.path, e))?;
        }
        self.blocks += 1;
        Ok(())
    }

    /// Ends the file and puts it in its place.
    pub fn finish(mut self, mut meta: Meta) -> Result<()> {
        self.flush()?;
        let failed = |e| Error::database(&self.path, e);
        for (kind, collector) in KINDS.into_iter().zip(std::mem::take(&mut self.collectors)) {
            let mut insert = self.conn.prepare_cached("INSERT INTO lookup (id, data) VALUES (?, ?)").map_err(failed)?;
            let bits =
                collector.buckets(|bucket, data| insert.execute(params![row_id(kind, bucket), data]).map(|_| ()));
            let bits = bits.map_err(failed)?;
            if let Some(slot) = meta.bits.get_mut(kind as usize) {
                *slot = bits;
            }
        }
        (meta.packages, meta.per_block, meta.schema) = (self.packages, PER_BLOCK as u32, schema::CATALOGUE.to_string());
        meta.newest = self.newest;
        for (key, value) in meta.pairs() {
            let sql = "INSERT INTO meta (key, value) VALUES (?, ?)";
            self.conn.execute(sql, params![key, value]).map_err(failed)?;
        }
        self.conn.execute_batch("COMMIT").map_err(failed)?;
        self.conn.close().map_err(|(_, e)| Error::database(&self.path, e))?;
        let failed = |e| Error::io("write", &self.path, e);
        // Without this a power cut could leave a file whose beginning is new and whose rest is empty.
        fs::File::open(&self.temp).and_then(|f| f.sync_data()).map_err(failed)?;
        self.temp.persist(&self.path).map_err(|e| failed(e.error))
    }
}

/// Where a bucket is in the table of buckets.
pub(super) fn row_id(kind: Kind, bucket: u32) -> i64 {
    (kind as i64) << 32 | i64::from(bucket)
}
