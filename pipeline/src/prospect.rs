//! The root as it would be after a plan: what comes laid over what stays. Nothing is written to find out.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use xpkg_formats::limits::Limits;
use xpkg_model::root::{self, Node, NodeKind, RootView};
use xpkg_model::{ElfFacts, RelPath};

/// One path that a plan brings.
#[derive(Clone, Debug)]
pub struct Coming {
    /// What it will be.
    pub kind: NodeKind,
    /// Permission bits.
    pub mode: u32,
    /// What its ELF headers say, when it is an ELF file.
    pub elf: Option<Arc<ElfFacts>>,
    /// Scoped name of the package that brings it.
    pub owner: String,
}

/// A root with a plan laid over it.
pub struct Prospect<'a> {
    root: &'a dyn RootView,
    coming: BTreeMap<RelPath, Coming>,
    going: BTreeSet<RelPath>,
    facts: RefCell<BTreeMap<RelPath, Option<Arc<ElfFacts>>>>,
}

impl<'a> Prospect<'a> {
    /// The root as it is.
    pub fn new(root: &'a dyn RootView) -> Self {
        Self { root, coming: BTreeMap::new(), going: BTreeSet::new(), facts: RefCell::default() }
    }

    /// Lays one path over the root. Host links above it are followed first, as the installer does.
    pub fn bring(&mut self, path: RelPath, coming: Coming) -> io::Result<()> {
        let path = self.root.real_path(&path, false)?;
        if coming.kind == NodeKind::Dir && self.root.node(&path)?.is_some() {
            return Ok(()); // a directory never replaces what the host has there
        }
        self.going.remove(&path);
        self.coming.insert(path, coming);
        Ok(())
    }

    /// Takes one path away, unless the plan brings it again.
    pub fn take(&mut self, path: RelPath) -> io::Result<()> {
        let path = self.root.real_path(&path, false)?;
        if !self.coming.contains_key(&path) {
            self.going.insert(path);
        }
        Ok(())
    }

    /// Paths that the plan brings.
    pub fn coming(&self) -> impl Iterator<Item = (&RelPath, &Coming)> {
        self.coming.iter()
    }

    /// Whether the plan takes a path away.
    pub fn goes(&self, path: &RelPath) -> bool {
        self.going.contains(path)
    }

    /// Who brings a path, when the plan does.
    pub fn brought(&self, path: &RelPath) -> Option<&Coming> {
        self.coming.get(path)
    }

    /// The ELF facts of a path, links followed, and where the file really lies.
    pub fn elf(&self, path: &RelPath) -> io::Result<Option<(RelPath, Arc<ElfFacts>)>> {
        let real = self.real_path(path, true)?;
        if let Some(coming) = self.coming.get(&real) {
            return Ok(coming.elf.clone().map(|facts| (real, facts)));
        }
        if self.going.contains(&real) {
            return Ok(None);
        }
        if let Some(known) = self.facts.borrow().get(&real) {
            return Ok(known.clone().map(|facts| (real, facts)));
        }
        let facts = match self.root.open(&real)? {
            Some(mut file) => {
                let what = real.to_string();
                // A damaged file on the root is no reason to stop: it simply offers nothing.
                xpkg_formats::elf::read_facts(&mut file, &what, &Limits::default()).ok().flatten().map(Arc::new)
            }
            None => None,
        };
        self.facts.borrow_mut().insert(real.clone(), facts.clone());
        Ok(facts.map(|facts| (real, facts)))
    }

    fn kind(&self, path: &RelPath) -> io::Result<Option<NodeKind>> {
        if let Some(coming) = self.coming.get(path) {
            return Ok(Some(coming.kind.clone()));
        }
        if self.going.contains(path) {
            return Ok(None);
        }
        Ok(self.root.node(path)?.map(|n| n.kind))
    }
}

impl RootView for Prospect<'_> {
    fn node(&self, path: &RelPath) -> io::Result<Option<Node>> {
        let path = self.real_path(path, false)?;
        if let Some(coming) = self.coming.get(&path) {
            return Ok(Some(Node {
                kind: coming.kind.clone(),
                mode: coming.mode,
                uid: 0,
                gid: 0,
                size: 0,
                mtime: 0,
                nlink: 1,
            }));
        }
        if self.going.contains(&path) { Ok(None) } else { self.root.node(&path) }
    }

    fn real_path(&self, path: &RelPath, follow_last: bool) -> io::Result<RelPath> {
        root::follow(path, follow_last, &mut |p| self.kind(p))
    }

    fn open(&self, path: &RelPath) -> io::Result<Option<Box<dyn root::ReadSeek>>> {
        let real = self.real_path(path, true)?;
        if self.coming.contains_key(&real) || self.going.contains(&real) {
            return Ok(None); // contents of what comes are known as facts only
        }
        self.root.open(&real)
    }

    fn list(&self, dir: &RelPath) -> io::Result<Vec<Vec<u8>>> {
        let dir = self.real_path(dir, true)?;
        let mut names: BTreeSet<Vec<u8>> = self.root.list(&dir)?.into_iter().collect();
        names.retain(|name| dir.join(name).is_ok_and(|path| !self.going.contains(&path)));
        names.extend(self.coming.keys().filter(|p| p.parent().as_ref() == Some(&dir)).map(|p| p.file_name().to_vec()));
        Ok(names.into_iter().collect())
    }

    fn xattrs(&self, path: &RelPath) -> io::Result<Vec<(String, Vec<u8>)>> {
        self.root.xattrs(path)
    }
}
