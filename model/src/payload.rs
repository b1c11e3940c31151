//! What a package puts on a root: one entry per path, the same for every format.

use crate::RelPath;

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// Regular file; its bytes follow the entry.
    File,
    /// Directory.
    Dir,
    /// Symbolic link and its target text.
    Symlink(Vec<u8>),
    /// Another name of an earlier regular file of the same package.
    Hardlink(RelPath),
    /// Character device (major, minor).
    Char(u32, u32),
    /// Block device (major, minor).
    Block(u32, u32),
    /// Named pipe.
    Fifo,
}

/// The digest that the package itself declares for an entry's content (a symlink's: of its target text).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digest {
    /// apk v2.
    Sha1([u8; 20]),
    /// apk v3.
    Sha256([u8; 32]),
}

/// One entry of a package, verified against its declared digest by the reader that hands it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where.
    pub path: RelPath,
    /// What.
    pub kind: EntryKind,
    /// Permission bits, 0o7777.
    pub mode: u32,
    /// Owner's number as written; the name decides where the target root knows it.
    pub uid: u32,
    /// Group's number as written.
    pub gid: u32,
    /// Owner's name; empty when not written.
    pub user: String,
    /// Group's name; empty when not written.
    pub group: String,
    /// Seconds since 1970.
    pub mtime: u64,
    /// Bytes of content; 0 unless a regular file.
    pub size: u64,
    /// Extended attributes, by name.
    pub xattrs: Vec<(String, Vec<u8>)>,
    /// Declared digest.
    pub digest: Option<Digest>,
}

impl Entry {
    /// A root-owned entry without content.
    pub fn new(path: RelPath, kind: EntryKind, mode: u32) -> Self {
        Self {
            path,
            kind,
            mode,
            uid: 0,
            gid: 0,
            user: String::new(),
            group: String::new(),
            mtime: 0,
            size: 0,
            xattrs: Vec::new(),
            digest: None,
        }
    }
}

/// When a maintainer script runs. The names are apk's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ScriptKind {
    /// Before the first install.
    PreInstall,
    /// After the first install.
    PostInstall,
    /// Before removal.
    PreDeinstall,
    /// After removal.
    PostDeinstall,
    /// Before an upgrade.
    PreUpgrade,
    /// After an upgrade.
    PostUpgrade,
    /// When a watched directory changed.
    Trigger,
}

impl ScriptKind {
    /// All, in the order of apk's script archive.
    pub const ALL: [Self; 7] = [
        Self::PreInstall,
        Self::PostInstall,
        Self::PreDeinstall,
        Self::PostDeinstall,
        Self::PreUpgrade,
        Self::PostUpgrade,
        Self::Trigger,
    ];

    /// apk's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PreInstall => "pre-install",
            Self::PostInstall => "post-install",
            Self::PreDeinstall => "pre-deinstall",
            Self::PostDeinstall => "post-deinstall",
            Self::PreUpgrade => "pre-upgrade",
            Self::PostUpgrade => "post-upgrade",
            Self::Trigger => "trigger",
        }
    }

    /// Reads apk's word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.as_str() == word)
    }
}

/// The maintainer scripts of one package.
pub type Scripts = std::collections::BTreeMap<ScriptKind, Vec<u8>>;
