//! What the packages that go, or are replaced, leave behind: which of their paths are taken away and which stay.
//! Reads only.

use std::collections::{BTreeMap, BTreeSet};

use xpkg_formats::apk::db::{DbFile, DigestKind, InstalledRecord};
use xpkg_model::RelPath;
use xpkg_model::root::{Node, NodeKind, RootView};

use super::survey::Places;
use crate::native::Native;
use crate::protect::Protected;
use crate::state::State;
use crate::{Error, Result};

/// A file of a package that goes.
#[derive(Clone, Debug)]
pub struct OldFile {
    /// As its package said.
    pub path: RelPath,
    /// Registered name of its package.
    pub package: String,
    /// What the database says of it.
    pub file: DbFile,
    /// How its digest was made.
    pub kind: DigestKind,
    /// The native manager takes it away whatever it holds now: opkg keeps digests of configuration only.
    pub by_name: bool,
}

/// Everything the outgoing packages had, by real path.
#[derive(Debug, Default)]
pub struct Outgoing {
    /// Their records.
    pub records: BTreeMap<String, InstalledRecord>,
    /// Their files.
    pub files: BTreeMap<RelPath, OldFile>,
    /// Their directories, and the packages that had them.
    pub dirs: BTreeMap<RelPath, BTreeSet<String>>,
    /// The directories above those: opkg lists none, and one that was made for a foreign package may serve another.
    pub above: BTreeSet<RelPath>,
}

impl Outgoing {
    /// Whether a directory is one of theirs, or lies above one.
    pub fn touches(&self, dir: &RelPath) -> bool {
        self.dirs.contains_key(dir) || self.above.contains(dir)
    }

    /// Resolves the records' paths.
    pub fn new(
        mut records: BTreeMap<String, InstalledRecord>,
        places: &mut Places<'_>,
        native: &Native,
        state: &State,
    ) -> Result<Self> {
        let mut out = Self::default();
        for (name, record) in &mut records {
            // opkg's database has no digests of what a foreign package brought; our own state has.
            let ours = state.registered(name).filter(|_| native.is_opkg());
            let digests: BTreeMap<RelPath, [u8; 20]> = ours
                .iter()
                .flat_map(|f| f.files.iter())
                .filter_map(|(_, digest, path)| Some((path, digest?)))
                .collect();
            let by_name = native.is_opkg() && ours.is_none();

            let kind = record.digest_kind();
            for dir in &mut record.dirs {
                let real = places.dir(&dir.path)?;
                for file in &mut dir.files {
                    let Ok(path) = dir.path.join(&file.name) else { continue };
                    let Ok(at) = real.join(&file.name) else { continue };
                    file.digest = file.digest.or_else(|| digests.get(&at).copied());
                    let old = OldFile { path, package: name.clone(), file: file.clone(), kind, by_name };
                    out.files.insert(at, old);
                }
                // A link to a directory is the host's own; what lies behind it is not the package's to remove.
                if !real.is_root() && places.file(&dir.path)? == real {
                    out.dirs.entry(real).or_default().insert(name.clone());
                }
            }
        }
        out.above = out.dirs.keys().flat_map(|dir| dir.ancestors().collect::<Vec<_>>()).collect();
        out.records = records;
        Ok(out)
    }
}

/// What is taken away, and what is left for a reason worth telling.
#[derive(Debug, Default)]
pub struct Removals {
    /// Files, links and devices.
    pub files: Vec<RelPath>,
    /// Directories, if they are empty then.
    pub dirs: Vec<RelPath>,
    /// What stays because somebody changed it.
    pub kept: Vec<RelPath>,
}

/// What others claim of the paths of outgoing packages.
#[derive(Debug, Default)]
pub struct Claims {
    /// Files that packages which stay own too.
    pub files: BTreeSet<RelPath>,
    /// Directories that packages which stay, or come, have.
    pub dirs: BTreeSet<RelPath>,
}

/// By what it is decided what goes.
pub struct Rules<'a> {
    /// The root's own manager.
    pub native: &'a Native,
    /// Configuration.
    pub protected: &'a Protected,
    /// Our own memory.
    pub state: &'a State,
    /// Whether a real path is brought again.
    pub delivered: &'a dyn Fn(&RelPath) -> bool,
    /// Whether a registered name is a foreign package's, whose directories go only when they were made for it.
    pub foreign: &'a dyn Fn(&str) -> bool,
    /// No foreign package is there afterwards.
    pub last_foreign: bool,
    /// Whether what was changed goes, too.
    pub purge: bool,
}

/// Decides what goes.
pub fn removals(root: &dyn RootView, outgoing: &Outgoing, claims: &Claims, rules: &Rules<'_>) -> Result<Removals> {
    let Rules { native, protected, state, delivered, foreign, last_foreign, purge } = *rules;
    let mut out = Removals::default();
    for (real, old) in &outgoing.files {
        if delivered(real) || claims.files.contains(real) || state.adopted.contains(real) {
            continue;
        }
        let Some(node) = root.node(real).map_err(|e| Error::io("reading", real, e))? else { continue };
        if old.by_name && leads_to_directory(root, real, &node)? {
            continue;
        }
        if purge && !matches!(node.kind, NodeKind::Dir) || as_delivered(root, real, &node, old)? {
            out.files.push(real.clone());
        } else {
            out.kept.push(real.clone());
        }
        // Configuration that was put beside a changed file is ours as well; opkg leaves what it put there.
        if !old.by_name
            && protected.keeps(&old.path)
            && let Ok(beside) = beside(real, protected.suffix())
            && !delivered(real)
            && root
                .node(&beside)
                .map_err(|e| Error::io("reading", &beside, e))?
                .is_some_and(|n| n.kind == NodeKind::File)
        {
            out.files.push(beside);
        }
    }
    let mut dirs: BTreeSet<RelPath> = BTreeSet::new();
    for (real, owners) in &outgoing.dirs {
        // opkg lists no directories and leaves them.
        if !native.is_opkg() && owners.iter().any(|name| !foreign(name)) {
            dirs.insert(real.clone());
        }
        if owners.iter().any(|name| foreign(name)) {
            let above = real.ancestors().chain([real.clone()]);
            dirs.extend(above.filter(|dir| state.made.contains(dir)));
        }
    }
    // opkg lists no directories, so nothing says whose an empty one was that was made for a foreign package.
    if native.is_opkg() && last_foreign {
        dirs.extend(state.made.iter().cloned());
    }
    dirs.retain(|dir| !claims.dirs.contains(dir) && !delivered(dir));
    for dir in dirs {
        if root.node(&dir).map_err(|e| Error::io("reading", &dir, e))?.is_some_and(|n| n.kind == NodeKind::Dir) {
            out.dirs.push(dir);
        }
    }
    Ok(out)
}

/// A link to a directory. opkg takes it for the directory that it leads to, and leaves it (opkg-lede, libopkg/pkg.c and
/// opkg_install.c, which ask `file_is_dir` of every listed path): `/var` of base-files stays when its package goes.
fn leads_to_directory(root: &dyn RootView, real: &RelPath, node: &Node) -> Result<bool> {
    if !matches!(node.kind, NodeKind::Symlink(_)) {
        return Ok(false);
    }
    // A link in a circle, or out of the root, leads nowhere.
    let Ok(end) = root.real_path(real, true) else { return Ok(false) };
    Ok(root.node(&end).map_err(|e| Error::io("reading", &end, e))?.is_some_and(|n| n.kind == NodeKind::Dir))
}

/// Where new configuration is put beside what a person changed.
pub fn beside(path: &RelPath, suffix: &str) -> Result<RelPath> {
    let name = [path.file_name(), suffix.as_bytes()].concat();
    let parent = path.parent().unwrap_or_else(RelPath::root);
    parent.join(&name).map_err(|e| Error::refused(path, e.to_string()))
}

/// Whether a node is still what its package put there.
fn as_delivered(root: &dyn RootView, real: &RelPath, node: &Node, old: &OldFile) -> Result<bool> {
    match (&node.kind, &old.file.digest) {
        (NodeKind::Dir | NodeKind::Socket, _) => Ok(false),
        (_, Some(digest)) => Ok(digest_of(root, real, node, old.kind)?.as_ref() == Some(digest)),
        (_, None) if old.by_name => Ok(true),
        // Devices and pipes have no digest; a file in their place is somebody else's.
        (kind, None) => Ok(!matches!(kind, NodeKind::File | NodeKind::Symlink(_))),
    }
}

/// apk's digest of what is on the root: of a file's content or a link's text.
pub fn digest_of(root: &dyn RootView, real: &RelPath, node: &Node, kind: DigestKind) -> Result<Option<[u8; 20]>> {
    match &node.kind {
        NodeKind::Symlink(target) => Ok(Some(kind.of(target))),
        NodeKind::File => {
            let failed = |e| Error::io("reading", real, e);
            let Some(mut file) = root.open(real).map_err(failed)? else { return Ok(None) };
            let mut running = kind.start();
            let mut buffer = vec![0; 64 * 1024];
            loop {
                match std::io::Read::read(&mut file, &mut buffer).map_err(failed)? {
                    0 => return Ok(Some(running.finish())),
                    n => running.update(buffer.get(..n).unwrap_or_default()),
                }
            }
        }
        _ => Ok(None),
    }
}
