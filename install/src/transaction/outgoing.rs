//! What the packages that go, or are replaced, leave behind: which of their paths are taken away and which stay.
//! Reads only.

use std::collections::{BTreeMap, BTreeSet};

use xpkg_formats::apk::db::{DbFile, DigestKind, InstalledRecord};
use xpkg_model::RelPath;
use xpkg_model::root::{Node, NodeKind, RootView};

use super::survey::Places;
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
}

impl Outgoing {
    /// Resolves the records' paths.
    pub fn new(records: BTreeMap<String, InstalledRecord>, places: &mut Places<'_>) -> Result<Self> {
        let mut out = Self::default();
        for (name, record) in &records {
            for dir in &record.dirs {
                let real = places.dir(&dir.path)?;
                for file in &dir.files {
                    let Ok(path) = dir.path.join(&file.name) else { continue };
                    let Ok(at) = real.join(&file.name) else { continue };
                    let old = OldFile { path, package: name.clone(), file: file.clone(), kind: record.digest_kind() };
                    out.files.insert(at, old);
                }
                // A link to a directory is the host's own; what lies behind it is not the package's to remove.
                if !real.is_root() && places.file(&dir.path)? == real {
                    out.dirs.entry(real).or_default().insert(name.clone());
                }
            }
        }
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

/// Decides what goes. `delivered` says whether a real path is brought again; `foreign` whether a registered name is a
/// foreign package's, whose directories go only when they were made for it.
pub fn removals(
    root: &dyn RootView,
    outgoing: &Outgoing,
    claims: &Claims,
    protected: &Protected,
    state: &State,
    delivered: &dyn Fn(&RelPath) -> bool,
    foreign: &dyn Fn(&str) -> bool,
) -> Result<Removals> {
    let mut out = Removals::default();
    for (real, old) in &outgoing.files {
        if delivered(real) || claims.files.contains(real) || state.adopted.contains(real) {
            continue;
        }
        let Some(node) = root.node(real).map_err(|e| Error::io("reading", real, e))? else { continue };
        if as_delivered(root, real, &node, old)? {
            out.files.push(real.clone());
        } else {
            out.kept.push(real.clone());
        }
        // Configuration that was put beside a changed file is ours as well.
        if protected.keeps(&old.path)
            && let Ok(beside) = beside(real)
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
        if owners.iter().any(|name| !foreign(name)) {
            dirs.insert(real.clone());
        }
        if owners.iter().any(|name| foreign(name)) {
            let above = real.ancestors().chain([real.clone()]);
            dirs.extend(above.filter(|dir| state.made.contains(dir)));
        }
    }
    dirs.retain(|dir| !claims.dirs.contains(dir) && !delivered(dir));
    for dir in dirs {
        if root.node(&dir).map_err(|e| Error::io("reading", &dir, e))?.is_some_and(|n| n.kind == NodeKind::Dir) {
            out.dirs.push(dir);
        }
    }
    Ok(out)
}

/// Where new configuration is put beside what a person changed.
pub fn beside(path: &RelPath) -> Result<RelPath> {
    let name = [path.file_name(), b".apk-new"].concat();
    let parent = path.parent().unwrap_or_else(RelPath::root);
    parent.join(&name).map_err(|e| Error::refused(path, e.to_string()))
}

/// Whether a node is still what its package put there.
fn as_delivered(root: &dyn RootView, real: &RelPath, node: &Node, old: &OldFile) -> Result<bool> {
    match (&node.kind, &old.file.digest) {
        (NodeKind::Dir | NodeKind::Socket, _) => Ok(false),
        (_, Some(digest)) => Ok(digest_of(root, real, node, old.kind)?.as_ref() == Some(digest)),
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
