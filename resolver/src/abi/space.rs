//! What the check asks of the root that is to be: files by path, where libraries are searched, and its loader.
//! Never looks anything up itself.

use std::fmt;
use std::sync::Arc;

use xpkg_model::elf::ElfFacts;
use xpkg_model::{Ecosystem, PackageKey};

use super::Arch;

/// musl's search path where `/etc/ld-musl-ARCH.path` does not exist.
pub const DEFAULT_SEARCH: [&str; 3] = ["/lib", "/usr/local/lib", "/usr/lib"];

/// The prospective root, as far as dynamic linking is concerned.
pub trait LinkSpace {
    /// The ELF file at an absolute path inside the root, links followed. `None` when there is none.
    fn find(&self, path: &str) -> Option<Found>;

    /// Directories in which the loader searches, in order.
    fn search_path(&self) -> Vec<String>;

    /// The root's own loader.
    fn loader(&self) -> Loader;
}

/// One ELF file of the space.
#[derive(Clone, Debug)]
pub struct Found {
    /// Absolute path with every link followed: two names of one file are one library.
    pub path: String,
    /// Its facts.
    pub facts: Arc<ElfFacts>,
    /// Who put it there.
    pub owner: Option<Owner>,
}

/// Who owns a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Owner {
    /// A package that is known exactly.
    Package(PackageKey),
    /// A package of the root's native manager, by name.
    Native(String),
}

impl Owner {
    /// The package, when it is known exactly.
    pub fn package(&self) -> Option<&PackageKey> {
        match self {
            Self::Package(key) => Some(key),
            Self::Native(_) => None,
        }
    }

    /// Its world; `None` for a native package that is only known by name.
    pub fn ecosystem(&self) -> Option<Ecosystem> {
        self.package().map(|key| key.ecosystem)
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Package(key) => key.fmt(f),
            Self::Native(name) => f.write_str(name),
        }
    }
}

/// The program loader (and, with musl, libc) of the root.
#[derive(Clone, Debug)]
pub struct Loader {
    /// Which libc it belongs to.
    pub kind: LoaderKind,
    /// Absolute path with links followed; empty for [`LoaderKind::None`].
    pub path: String,
    /// Its own facts: the names that libc gives.
    pub facts: Option<Arc<ElfFacts>>,
    /// Whether it understands DT_RELR.
    pub relr: RelrSupport,
    /// What it is built for; taken from any native program when there is no loader.
    pub arch: Option<Arch>,
    /// Whose build of libc it is; some behave differently under the same names.
    pub made_by: Option<Ecosystem>,
}

impl Loader {
    /// A musl loader, its architecture taken from its facts and its path.
    pub fn musl(path: impl Into<String>, facts: Arc<ElfFacts>, version: Option<String>, relr: RelrSupport) -> Self {
        let path = path.into();
        let arch = Some(Arch::of(&facts, Some(&path)));
        Self { kind: LoaderKind::Musl { version }, path, facts: Some(facts), relr, arch, made_by: None }
    }

    /// A root without any loader: only static programs run.
    pub fn none(arch: Option<Arch>) -> Self {
        let (path, relr) = (String::new(), RelrSupport::No);
        Self { kind: LoaderKind::None, path, facts: None, relr, arch, made_by: None }
    }

    /// Whether it is musl's.
    pub fn is_musl(&self) -> bool {
        matches!(self.kind, LoaderKind::Musl { .. })
    }
}

/// The libc of a root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoaderKind {
    /// musl, with its version where it was read from the loader.
    Musl {
        /// `1.2.5`.
        version: Option<String>,
    },
    /// GNU libc.
    Glibc,
    /// uClibc or uClibc-ng.
    Uclibc,
    /// None found.
    None,
}

impl fmt::Display for LoaderKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Musl { version: Some(version) } => write!(f, "musl {version}"),
            Self::Musl { version: None } => f.write_str("musl"),
            Self::Glibc => f.write_str("glibc"),
            Self::Uclibc => f.write_str("uClibc"),
            Self::None => f.write_str("no loader"),
        }
    }
}

/// Whether a loader understands DT_RELR. The libc's version alone does not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelrSupport {
    /// Proven by a run, or by native programs of the root that use it.
    Yes,
    /// Proven not to.
    No,
    /// Not proven; the table by release says so, where it says anything.
    Unknown(Option<bool>),
}

/// Reads `/etc/ld-musl-ARCH.path`: separated by colons or line breaks.
pub fn parse_path_file(text: &str) -> Vec<String> {
    text.split([':', '\n']).map(str::trim).filter(|dir| !dir.is_empty()).map(str::to_owned).collect()
}
