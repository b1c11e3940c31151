//! One catalogue file, read: a question inflates the few blocks it needs and nothing else. Never writes.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, Weak};

use rusqlite::{Connection, OpenFlags, OptionalExtension as _};
use xpkg_model::{Ecosystem, Package};

use super::builder::row_id;
use super::codec::{Bad, Unpacker};
use super::lookup::{self, Kind};
use super::meta::Meta;
use super::rows;
use crate::error::{Error, Result};

/// Inflated hot blocks kept: some 20 KiB each.
const BLOCKS_KEPT: usize = 16;
/// Packages remembered at least before those that nobody holds any more are forgotten. A remembered one keeps its memory.
const PACKAGES_KNOWN: usize = 128;

/// A catalogue file.
pub(super) struct CatalogueFile {
    path: PathBuf,
    conn: Connection,
    /// What it says of itself.
    pub meta: Meta,
    ecosystem: Ecosystem,
    /// Index of the source, put into each package.
    source: u16,
    /// Shared by all files: an inflater keeps 40 KiB.
    unpacker: Rc<RefCell<Unpacker>>,
    /// The last ones used, newest at the end.
    blocks: RefCell<Vec<(u32, Rc<[u8]>)>>,
    packages: RefCell<Known>,
}

/// Packages that somebody may still hold, so that one asked for twice exists once.
#[derive(Default)]
struct Known {
    by_ordinal: HashMap<u32, Weak<Package>>,
    /// How many there were that somebody held, when it was last looked at.
    held: usize,
}

impl Known {
    fn get(&self, ordinal: u32) -> Option<Arc<Package>> {
        self.by_ordinal.get(&ordinal)?.upgrade()
    }

    fn add(&mut self, ordinal: u32, package: &Arc<Package>) {
        if self.by_ordinal.len() >= PACKAGES_KNOWN.max(self.held * 2) {
            self.by_ordinal.retain(|_, package| package.strong_count() > 0);
            self.held = self.by_ordinal.len();
        }
        self.by_ordinal.insert(ordinal, Arc::downgrade(package));
    }
}

impl CatalogueFile {
    /// Opens a file; `None` when there is none.
    pub fn open(
        path: &Path,
        ecosystem: Ecosystem,
        source: u16,
        unpacker: &Rc<RefCell<Unpacker>>,
    ) -> Result<Option<Self>> {
        if !path.exists() {
            return Ok(None);
        }
        // Immutable: the file is replaced by renaming and never written again, so that no lock and no journal is needed.
        let escaped: String = path.to_string_lossy().chars().flat_map(escape).collect();
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let failed = |e| Error::database(path, e);
        let conn = Connection::open_with_flags(format!("file:{escaped}?immutable=1"), flags).map_err(failed)?;
        // Blocks are kept inflated, above: the page cache is for the few inner pages of the trees.
        conn.execute_batch("PRAGMA cache_size = -32; PRAGMA temp_store = MEMORY;").map_err(failed)?;
        let meta = Meta::read(&conn, path)?;
        Ok(Some(Self {
            path: path.to_owned(),
            conn,
            meta,
            ecosystem,
            source,
            unpacker: Rc::clone(unpacker),
            blocks: RefCell::default(),
            packages: RefCell::default(),
        }))
    }

    fn damaged(&self, bad: Bad) -> Error {
        Error::Damaged { path: self.path.clone(), reason: bad.0.to_owned() }
    }

    fn blob<T>(&self, table: &str, id: i64, read: impl FnOnce(&[u8]) -> Result<T, Bad>) -> Result<Option<T>> {
        let failed = |e| Error::database(&self.path, e);
        let mut select = self.conn.prepare_cached(&format!("SELECT data FROM {table} WHERE id = ?")).map_err(failed)?;
        let found = select.query_row([id], |row| Ok(read(row.get_ref(0)?.as_blob()?))).optional().map_err(failed)?;
        found.transpose().map_err(|bad| self.damaged(bad))
    }

    /// Number of blocks.
    pub fn block_count(&self) -> u32 {
        self.meta.packages.div_ceil(self.meta.per_block)
    }

    /// A hot block, inflated. `keep`: it is likely to be asked for again.
    pub fn hot(&self, block: u32, keep: bool) -> Result<Rc<[u8]>> {
        let mut blocks = self.blocks.borrow_mut();
        if let Some(at) = blocks.iter().position(|(id, _)| *id == block) {
            let found = blocks.remove(at);
            blocks.push(found.clone());
            return Ok(found.1);
        }
        let raw: Rc<[u8]> = self.inflated("hot", block)?.into();
        if keep {
            if blocks.len() >= BLOCKS_KEPT {
                blocks.remove(0);
            }
            blocks.push((block, raw.clone()));
        }
        Ok(raw)
    }

    /// A cold block, inflated.
    pub fn cold(&self, block: u32) -> Result<Vec<u8>> {
        self.inflated("cold", block)
    }

    fn inflated(&self, table: &str, block: u32) -> Result<Vec<u8>> {
        let raw = self.blob(table, block.into(), |data| self.unpacker.borrow_mut().unpack(data))?;
        raw.ok_or_else(|| self.damaged(Bad("a block is missing")))
    }

    /// The packages that bear, provide or are triggered by a name.
    pub fn find(&self, kind: Kind, name: &str) -> Result<Vec<Arc<Package>>> {
        let bits = self.meta.bits.get(kind as usize).copied().unwrap_or(0);
        let id = row_id(kind, lookup::bucket(name, bits));
        let ordinals = self.blob("lookup", id, |data| lookup::ordinals(data, name, bits))?.unwrap_or_default();
        let mut found = Vec::new();
        for ordinal in ordinals {
            let package = self.package(ordinal)?;
            let meant = match kind {
                Kind::Name => package.name == name,
                Kind::Provide => package.provides.iter().any(|p| p.name == name),
                Kind::InstallIf => package.install_if.iter().any(|d| !d.conflict && d.name == name),
            };
            if meant {
                found.push(package);
            }
        }
        Ok(found)
    }

    /// The package at a place, without its cold fields.
    pub fn package(&self, ordinal: u32) -> Result<Arc<Package>> {
        if let Some(package) = self.packages.borrow().get(ordinal) {
            return Ok(package);
        }
        let hot = self.hot(ordinal / self.meta.per_block, true)?;
        let package = Arc::new(self.decode(&hot, ordinal)?);
        self.packages.borrow_mut().add(ordinal, &package);
        Ok(package)
    }

    /// Reads a package out of its block.
    pub fn decode(&self, hot: &[u8], ordinal: u32) -> Result<Package> {
        let row = (ordinal % self.meta.per_block) as usize;
        let mut package = rows::read_hot(hot, row, self.ecosystem).map_err(|bad| self.damaged(bad))?;
        package.source = Some(self.source);
        Ok(package)
    }

    /// The names of a hot block.
    pub fn names<'a>(&self, hot: &'a [u8]) -> Result<Vec<&'a str>> {
        rows::names(hot).map_err(|bad| self.damaged(bad))
    }

    /// Whether each package of a cold block has a description that is meant.
    pub fn descriptions(&self, cold: &[u8], mut is_meant: impl FnMut(&str) -> bool) -> Result<Vec<bool>> {
        let all: Result<_, _> = rows::descriptions(cold).map(|d| d.map(&mut is_meant)).collect();
        all.map_err(|bad| self.damaged(bad))
    }

    /// Adds the cold fields.
    pub fn complete(&self, package: &mut Package, cold: &[u8], ordinal: u32) -> Result<()> {
        let row = (ordinal % self.meta.per_block) as usize;
        rows::read_cold(cold, row, package).map_err(|bad| self.damaged(bad))
    }

    /// Adds the cold fields to a package of this file, found again by what identifies it.
    pub fn complete_by_key(&self, package: &mut Package) -> Result<()> {
        let bits = self.meta.bits.first().copied().unwrap_or(0);
        let id = row_id(Kind::Name, lookup::bucket(&package.name, bits));
        let name = package.name.clone();
        for ordinal in self.blob("lookup", id, |data| lookup::ordinals(data, &name, bits))?.unwrap_or_default() {
            let found = self.package(ordinal)?;
            if found.name == package.name && found.version == package.version && found.identity == package.identity {
                let cold = self.cold(ordinal / self.meta.per_block)?;
                return self.complete(package, &cold, ordinal);
            }
        }
        Ok(())
    }
}

/// What a `file:` URI cannot hold as it is.
fn escape(c: char) -> Vec<char> {
    match c {
        '%' => "%25".chars().collect(),
        '?' => "%3f".chars().collect(),
        '#' => "%23".chars().collect(),
        c => vec![c],
    }
}
