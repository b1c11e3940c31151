//! Makes the database entry of a package that is being installed, in the words of the apk that will read it.

use std::collections::BTreeMap;

use xpkg_model::identity::q1;
use xpkg_model::payload::{Entry, EntryKind};
use xpkg_model::{Dependency, Identity, Package, RelPath, Requirement};

use super::digest::{DigestKind, xattr_digest};
use super::record::{Acl, DbDir, DbFile, InstalledRecord};
use crate::Error;

/// Which apk reads the root's database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// apk 2: knows no `g:`, no flag `S`, no `~hash` in versions, and SHA-1 digests only.
    Apk2,
    /// apk 3.
    Apk3,
}

impl Generation {
    /// How the digests of this package's files are made in a database of this generation.
    pub fn digest_kind(self, package: &Package) -> DigestKind {
        match (self, &package.identity) {
            (Self::Apk3, Some(Identity::ApkSha256(_) | Identity::ApkSha256Short(_))) => DigestKind::Sha256Short,
            _ => DigestKind::Sha1,
        }
    }
}

/// An entry as it came to lie on the root.
#[derive(Clone, Copy, Debug)]
pub struct Placed<'a> {
    /// What the package says.
    pub entry: &'a Entry,
    /// Owner on this root.
    pub uid: u32,
    /// Group on this root.
    pub gid: u32,
    /// Digest of the content, of the kind that [`Generation::digest_kind`] names. May be `None` where
    /// [`DigestKind::of_entry`] finds it, and for hardlinks, which take that of their target.
    pub digest: Option<[u8; 20]>,
}

impl InstalledRecord {
    /// The entry of `package` with what it put on the root. Directories and files are sorted as apk sorts them.
    pub fn for_package<'a>(
        package: &Package,
        placed: impl IntoIterator<Item = Placed<'a>>,
        generation: Generation,
    ) -> Result<Self, Error> {
        let refuse = |reason| Error::Unwritable { what: format!("the database entry of {}", package.name), reason };
        let kind = generation.digest_kind(package);
        let mut record = Self::new(package.clone());
        if generation == Generation::Apk2 {
            plain(&mut record.package);
        }
        if kind == DigestKind::Sha256Short {
            record.flags.push('S');
        }
        let mut dirs: BTreeMap<RelPath, DbDir> = BTreeMap::new();
        let mut links = Vec::new();
        for Placed { entry, uid, gid, digest } in placed {
            let xattr = xattr_digest(&entry.xattrs).map(|d| q1(&d));
            // Links have no mode of their own; apk writes 777 whatever the package says.
            let mode = if matches!(entry.kind, EntryKind::Symlink(_)) { 0o777 } else { entry.mode & 0o7777 };
            let acl = Acl { uid, gid, mode, xattr };
            if entry.kind == EntryKind::Dir {
                if !entry.path.is_root() {
                    dir(&mut dirs, entry.path.clone()).acl = unless_default(acl, 0o755);
                }
                continue;
            }
            let Some(parent) = entry.path.parent() else {
                return Err(refuse("it has a file in place of the root directory".to_owned()));
            };
            let digest = digest.or_else(|| kind.of_entry(entry));
            let name = entry.path.file_name().to_vec();
            match (&entry.kind, digest) {
                (EntryKind::File, None) => {
                    return Err(refuse(format!("{} has no digest", entry.path)));
                }
                (EntryKind::Hardlink(target), None) => links.push((entry.path.clone(), target.clone())),
                _ => {}
            }
            dir(&mut dirs, parent).files.push(DbFile { name, acl: unless_default(acl, 0o644), digest });
        }
        record.dirs = dirs.into_values().collect();
        for (path, target) in links {
            let digest = record.file(&target).and_then(|file| file.digest);
            let parent = path.parent().unwrap_or_else(RelPath::root);
            let files = record.dirs.iter_mut().filter(|d| d.path == parent).flat_map(|d| &mut d.files);
            for file in files.filter(|f| f.name == path.file_name()) {
                file.digest = digest;
            }
        }
        for dir in &mut record.dirs {
            dir.files.sort_by(|a, b| a.name.cmp(&b.name));
        }
        Ok(record)
    }
}

fn dir(dirs: &mut BTreeMap<RelPath, DbDir>, path: RelPath) -> &mut DbDir {
    dirs.entry(path.clone()).or_insert_with(|| DbDir { path, acl: None, files: Vec::new() })
}

fn unless_default(acl: Acl, mode: u32) -> Option<Acl> {
    let default = acl.uid == 0 && acl.gid == 0 && acl.mode == mode && acl.xattr.is_none();
    (!default).then_some(acl)
}

/// Takes out what apk 2 cannot read.
fn plain(package: &mut Package) {
    package.tags.clear();
    package.version = without_hash(&package.version);
    let strip = |d: &mut Dependency| d.version = without_hash(&d.version);
    package.install_if.iter_mut().chain(&mut package.replaces).for_each(strip);
    for provide in &mut package.provides {
        provide.version = provide.version.as_deref().map(without_hash);
    }
    for requirement in &mut package.depends {
        let stripped = requirement.alternatives().iter().cloned().map(|mut d| {
            strip(&mut d);
            d
        });
        if let Some(stripped) = Requirement::any_of(stripped.collect()) {
            *requirement = stripped;
        }
    }
}

/// A version without apk 3's `~hash` part: `6.12.74~88179747-r1` becomes `6.12.74-r1`.
pub fn without_hash(version: &str) -> String {
    let Some((head, tail)) = version.split_once('~') else { return version.to_owned() };
    let end = tail.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(tail.len());
    format!("{head}{}", tail.get(end..).unwrap_or_default())
}

#[cfg(test)]
mod tests;
