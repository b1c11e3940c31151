//! What apk's decisions are made from: the installed database, `world`, the repositories in their order, and what the
//! command line gave. Values only; never reads a file.

use std::sync::Arc;

use xpkg_model::{Dependency, Package};

/// Whose rules and wording are followed. The two differ in a few rules and in many words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Generation {
    /// apk-tools 2.14, as Alpine 3.18 to 3.22 have it. Measured against 2.14.4.
    V2,
    /// apk-tools 3.0, as OpenWrt 25.12 has it. Measured against 3.0.5.
    V3,
}

/// One repository of `etc/apk/repositories` or `--repository`. The earlier one is preferred between equals.
#[derive(Clone, Debug)]
pub struct Repository {
    /// The tag of `@tag URL` lines, without the `@`.
    pub tag: Option<String>,
    /// Its index, in the index's order.
    pub packages: Vec<Arc<Package>>,
    /// Whether packages can be had from it now: false for a remote one under `--no-network`.
    pub available: bool,
}

impl Repository {
    /// An untagged repository that can be reached.
    pub fn new(packages: Vec<Arc<Package>>) -> Self {
        Self { tag: None, packages, available: true }
    }
}

/// One record of the installed database.
#[derive(Clone, Debug)]
pub struct Record {
    /// The package.
    pub package: Arc<Package>,
    /// The repository tag it was installed from (`s:`), without the `@`.
    pub tag: Option<String>,
    /// `f:f` or `f:s`: files or a script went wrong, so that `fix` reinstalls it and a plan counts it as an error.
    pub broken: bool,
    /// `f:x`: extended attributes went wrong; counts for `fix --xattr` only.
    pub broken_xattr: bool,
}

impl Record {
    /// A sound record without a tag.
    pub fn new(package: Arc<Package>) -> Self {
        Self { package, tag: None, broken: false, broken_xattr: false }
    }
}

/// Everything apk knows when it decides.
#[derive(Clone, Debug)]
pub struct Universe {
    /// Whose rules.
    pub generation: Generation,
    /// The installed database, in its order.
    pub installed: Vec<Record>,
    /// `world`, in its order.
    pub world: Vec<Dependency>,
    /// `--repository` first, then the lists.
    pub repositories: Vec<Repository>,
    /// Package files named on the command line. They count as available wherever they lie.
    pub files: Vec<Arc<Package>>,
    /// Architectures that may be installed, `noarch` apart; empty: every one.
    pub arches: Vec<String>,
}

impl Universe {
    /// An empty universe.
    pub fn new(generation: Generation) -> Self {
        Self {
            generation,
            installed: Vec::new(),
            world: Vec::new(),
            repositories: Vec::new(),
            files: Vec::new(),
            arches: Vec::new(),
        }
    }
}
