//! Compares a root with its database, as `apk audit` does: what was added, changed or is missing. Changes nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read as _;

use xpkg_formats::apk::db::{Acl, DbFile, DigestKind, InstalledRecord};
use xpkg_formats::keys::Hash;
use xpkg_install::protect::Protected;
use xpkg_model::RelPath;
use xpkg_model::root::{Node, NodeKind, RootView as _};

use super::Error;
use super::database::Database;

/// What an audit looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Protected paths: what a backup needs.
    #[default]
    Backup,
    /// Files of packages that are not protected.
    System,
    /// Everything that is not protected.
    Full,
}

/// How an audit goes about it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Audit {
    /// What it looks at.
    pub scope: Scope,
    /// Owners and modes count.
    pub check_permissions: bool,
    /// Directories that nobody owns are gone into.
    pub recursive: bool,
    /// Links to busybox are passed over.
    pub ignore_busybox_links: bool,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// apk's letter: `A` added, `D`/`d` directory added (`d`: gone into), `U` changed, `M`/`m` owner or mode of a file or
    /// directory, `X` missing.
    pub sign: char,
    /// The path; directories end in `/`.
    pub path: String,
    /// Whose it is, by its place among the installed.
    pub owner: Option<usize>,
    /// What the database expects: mode, owner, group, digest.
    pub expected: Option<String>,
    /// What is there.
    pub found: Option<String>,
}

/// Directories that hold no files of a system at rest.
const PASSED_OVER: [&str; 4] = ["proc", "sys", "dev", "run"];

struct Walk<'a> {
    database: &'a Database,
    audit: Audit,
    protected: Protected,
    files: HashMap<RelPath, (usize, &'a DbFile)>,
    dirs: BTreeMap<&'a RelPath, (usize, Option<&'a Acl>)>,
    seen: BTreeSet<RelPath>,
    found: Vec<Difference>,
}

impl Database {
    /// Audits the whole root, or the directories given (absolute, without a slash at their end).
    pub fn audit(&self, audit: Audit, below: &[RelPath]) -> Result<Vec<Difference>, Error> {
        let mut walk = Walk {
            database: self,
            audit,
            protected: Protected::load(&self.root)?,
            files: HashMap::new(),
            dirs: BTreeMap::new(),
            seen: BTreeSet::new(),
            found: Vec::new(),
        };
        for (at, record) in self.installed.iter().enumerate() {
            for dir in &record.dirs {
                let known = walk.dirs.entry(&dir.path).or_insert((at, None));
                known.1 = known.1.or(dir.acl.as_ref());
            }
            walk.files.extend(record.file_paths().map(|(path, file)| (path, (at, file))));
        }
        let start = if below.is_empty() { vec![RelPath::root()] } else { below.to_vec() };
        for dir in &start {
            walk.dir(dir)?;
        }
        if audit.scope != Scope::Backup {
            walk.missing(&start)?;
        }
        Ok(walk.found)
    }
}

impl Walk<'_> {
    fn dir(&mut self, dir: &RelPath) -> Result<(), Error> {
        let failed = || format!("reading {dir}");
        for name in self.database.root.list(dir).map_err(Error::io(failed()))? {
            let Ok(path) = dir.join(&name) else { continue };
            let Some(node) = self.database.root.node(&path).map_err(Error::io(failed()))? else { continue };
            if node.kind == NodeKind::Dir { self.sub_dir(&path, &node)? } else { self.file(&path, &node)? }
        }
        Ok(())
    }

    fn sub_dir(&mut self, path: &RelPath, node: &Node) -> Result<(), Error> {
        if PASSED_OVER.map(RelPath::literal).contains(path) {
            return Ok(());
        }
        let shown = format!("{}/", plain(path));
        let Some((owner, acl)) = self.dirs.get(path).copied() else {
            if !self.counts(path, node, false) {
                return Ok(());
            }
            let sign = if self.audit.recursive { 'd' } else { 'D' };
            self.found.push(Difference { sign, path: shown, owner: None, expected: None, found: Some(modes(node)) });
            return if self.audit.recursive { self.dir(path) } else { Ok(()) };
        };
        let expected = acl.map_or((0, 0, 0o755), |a| (a.uid, a.gid, a.mode));
        if self.audit.check_permissions && self.counts(path, node, true) && expected != (node.uid, node.gid, node.mode)
        {
            self.found.push(Difference {
                sign: 'm',
                path: shown,
                owner: Some(owner),
                expected: Some(triple(expected)),
                found: Some(modes(node)),
            });
        }
        self.dir(path)
    }

    fn file(&mut self, path: &RelPath, node: &Node) -> Result<(), Error> {
        self.seen.insert(path.clone());
        let known = self.files.get(path).copied();
        if !self.counts(path, node, known.is_some()) {
            return Ok(());
        }
        let Some((owner, file)) = known else {
            if let (NodeKind::Symlink(target), true) = (&node.kind, self.audit.ignore_busybox_links)
                && target.ends_with(b"/busybox")
            {
                return Ok(());
            }
            self.add('A', path, None, None, Some(modes(node)));
            return Ok(());
        };
        let record = self.database.installed.get(owner);
        // What is always kept is always listed, whoever owns it.
        if self.audit.scope == Scope::Backup && self.protected.rule(path) == Some(b'!') {
            self.add('A', path, Some(owner), None, Some(modes(node)));
            return Ok(());
        }
        let default = if matches!(node.kind, NodeKind::Symlink(_)) { 0o777 } else { 0o644 };
        let expected = file.acl.as_ref().map_or((0, 0, default), |a| (a.uid, a.gid, a.mode));
        let kind = record.map_or(DigestKind::Sha1, InstalledRecord::digest_kind);
        let digest = self.digest(path, node, kind)?;
        let changed = file.digest.is_some_and(|expected| digest != Some(expected));
        let moved = expected != (node.uid, node.gid, node.mode);
        let sign = match (changed, moved && self.audit.check_permissions) {
            (true, _) => 'U',
            (false, true) => 'M',
            (false, false) => return Ok(()),
        };
        let hash =
            |d: Option<[u8; 20]>| d.map_or(String::new(), |d| format!(" hash={}", xpkg_model::identity::hex(&d)));
        let was = format!("{}{}", triple(expected), hash(file.digest));
        let is = format!("{}{}", modes(node), hash(digest));
        self.add(sign, path, Some(owner), Some(was), Some(is));
        Ok(())
    }

    fn add(
        &mut self,
        sign: char,
        path: &RelPath,
        owner: Option<usize>,
        expected: Option<String>,
        found: Option<String>,
    ) {
        self.found.push(Difference { sign, path: plain(path), owner, expected, found });
    }

    /// Whether a path belongs to what is audited.
    fn counts(&self, path: &RelPath, node: &Node, owned: bool) -> bool {
        let is_link = matches!(node.kind, NodeKind::Symlink(_));
        let protected = match self.protected.rule(path) {
            Some(b'+' | b'!') => true,
            Some(b'@') => is_link,
            _ => false,
        };
        match self.audit.scope {
            Scope::Backup => protected,
            Scope::System => owned && !protected,
            Scope::Full => !protected,
        }
    }

    fn digest(&self, path: &RelPath, node: &Node, kind: DigestKind) -> Result<Option<[u8; 20]>, Error> {
        let hash = if kind == DigestKind::Sha1 { Hash::Sha1 } else { Hash::Sha256 };
        match &node.kind {
            NodeKind::Symlink(target) => Ok(hash.of(target).get(..20).and_then(|d| d.try_into().ok())),
            NodeKind::File => {
                let failed = || format!("reading {path}");
                let Some(mut file) = self.database.root.open(path).map_err(Error::io(failed()))? else {
                    return Ok(None);
                };
                let mut digest = hash.begin();
                let mut buffer = vec![0; 64 << 10];
                loop {
                    let n = file.read(&mut buffer).map_err(Error::io(failed()))?;
                    match buffer.get(..n) {
                        Some(chunk) if n > 0 => digest.update(chunk),
                        _ => break,
                    }
                }
                Ok(digest.finish().get(..20).and_then(|d| d.try_into().ok()))
            }
            _ => Ok(None),
        }
    }

    fn missing(&mut self, below: &[RelPath]) -> Result<(), Error> {
        let mut missing: Vec<(RelPath, usize)> = Vec::new();
        for (path, (owner, _)) in &self.files {
            let wanted = below.iter().any(|dir| dir.is_root() || path.starts_with(dir));
            if !wanted || self.seen.contains(path) {
                continue;
            }
            // Behind a link the walk saw it under another name.
            if self.database.root.node(path).map_err(Error::io(format!("reading {path}")))?.is_none() {
                missing.push((path.clone(), *owner));
            }
        }
        missing.sort();
        for (path, owner) in missing {
            self.add('X', &path, Some(owner), None, None);
        }
        Ok(())
    }
}

fn plain(path: &RelPath) -> String {
    path.to_string().trim_start_matches('/').to_owned()
}

fn modes(node: &Node) -> String {
    triple((node.uid, node.gid, node.mode))
}

fn triple((uid, gid, mode): (u32, u32, u32)) -> String {
    format!("mode={mode:o} uid={uid} gid={gid}")
}
