//! What is asked of the resolver. Only values: nothing is looked up here.

use std::sync::Arc;

use xpkg_model::host::Host;
use xpkg_model::installed::Installed;
use xpkg_model::learnt::Fact;
use xpkg_model::{Candidates, Ecosystem, Package, Spec};

/// Which installed packages should become newer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Upgrade {
    /// None for its own sake; what a request needs may still become newer.
    #[default]
    None,
    /// All that are not held.
    All,
    /// These. A version condition narrows what they may become.
    Named(Vec<Spec>),
}

/// What a person asked for, in one piece.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Packages to have. `name=VERSION` may also go back to an older one.
    pub install: Vec<Spec>,
    /// Packages from files on disk, wanted exactly as they are.
    pub local: Vec<Arc<Package>>,
    /// Packages to take away, by name.
    pub remove: Vec<Spec>,
    /// What should become newer.
    pub upgrade: Upgrade,
    /// Also drop every automatic package that nothing needs.
    pub autoremove: bool,
    /// Take away what needs the removed packages as well, instead of refusing.
    pub cascade: bool,
    /// The world asked first for names without one, instead of the native side.
    pub prefer: Option<Ecosystem>,
}

impl Request {
    /// Whether it can be answered from the installed packages alone, without any source.
    pub fn only_takes_away(&self) -> bool {
        self.install.is_empty() && self.local.is_empty() && self.upgrade == Upgrade::None
    }
}

/// Everything one solve looks at.
#[derive(Clone, Copy)]
pub struct Problem<'a> {
    /// What is on the root.
    pub installed: &'a Installed,
    /// What the root gives by itself.
    pub host: &'a Host,
    /// What the sources offer.
    pub candidates: &'a dyn Candidates,
    /// What is asked.
    pub request: &'a Request,
    /// What earlier rounds of checks and downloads taught.
    pub learnt: &'a [Fact],
}
