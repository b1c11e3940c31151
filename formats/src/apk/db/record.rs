//! One installed package with its directories and files, as the database keeps it.

use xpkg_model::{Package, RelPath};

use super::digest::DigestKind;

/// Owner, mode and digest of the extended attributes, where they are not apk's default
/// (0:0:755 for directories, 0:0:644 for the rest).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acl {
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
    /// `Q1…` digest of the extended attributes, as written.
    pub xattr: Option<String>,
}

/// A file, link or device in a directory of the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DbFile {
    /// Name within its directory.
    pub name: Vec<u8>,
    /// Owner and mode; `None` for 0:0:644.
    pub acl: Option<Acl>,
    /// Digest of the content or of the link's text: SHA-1, or the first 20 bytes of SHA-256 (flag `S`).
    /// Devices and pipes have none.
    pub digest: Option<[u8; 20]>,
}

/// A directory that a package owns or has files in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DbDir {
    /// The directory; the root for files in `/`.
    pub path: RelPath,
    /// Owner and mode; `None` for 0:0:755.
    pub acl: Option<Acl>,
    /// What the package has in it.
    pub files: Vec<DbFile>,
}

/// One paragraph of the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstalledRecord {
    /// The package's metadata; `replaces`, `replaces_priority` and `tags` included.
    pub package: Package,
    /// `s:`: tag of the repository it came from, without `@`.
    pub repo_tag: Option<String>,
    /// `f:`: `f` broken files, `s` broken script, `x` broken attributes, `S` SHA-256 digests.
    pub flags: String,
    /// Directories and what is in them, in the order written.
    pub dirs: Vec<DbDir>,
    /// Kept when the header was written otherwise than we would write it.
    pub(super) verbatim: Option<Box<Verbatim>>,
}

/// A header as it was read, and as it would have been written then: while the latter holds, nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verbatim {
    pub(super) read: Vec<u8>,
    pub(super) written: Vec<u8>,
}

impl InstalledRecord {
    /// A record without files.
    pub fn new(package: Package) -> Self {
        Self { package, repo_tag: None, flags: String::new(), dirs: Vec::new(), verbatim: None }
    }

    /// How its files' digests were made.
    pub fn digest_kind(&self) -> DigestKind {
        if self.flags.contains('S') { DigestKind::Sha256Short } else { DigestKind::Sha1 }
    }

    /// Its files, with the directory of each.
    pub fn files(&self) -> impl Iterator<Item = (&DbDir, &DbFile)> {
        self.dirs.iter().flat_map(|dir| dir.files.iter().map(move |file| (dir, file)))
    }

    /// Paths of its files. A name that is no valid path component is left out: the reader lets none pass.
    pub fn file_paths(&self) -> impl Iterator<Item = (RelPath, &DbFile)> {
        self.files().filter_map(|(dir, file)| Some((dir.path.join(&file.name).ok()?, file)))
    }

    /// What the database says of one file.
    pub fn file(&self, path: &RelPath) -> Option<&DbFile> {
        let parent = path.parent()?;
        let mut dirs = self.dirs.iter().filter(|dir| dir.path == parent);
        dirs.find_map(|dir| dir.files.iter().find(|file| file.name == path.file_name()))
    }
}
