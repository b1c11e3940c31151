//! What is on a root, as its native database and our own state tell it.

use std::sync::Arc;

use crate::{Dependency, Ecosystem, Package, Spec};

/// One installed package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstalledPackage {
    /// Its metadata in its own world's words. `provides` also holds the `so:` names proven by reading its files.
    pub package: Arc<Package>,
    /// Named by a person (world, `user` flag), not pulled in.
    pub explicit: bool,
    /// Must not be changed by upgrades.
    pub held: bool,
    /// Put here by xpkg as a foreign package.
    pub foreign: bool,
    /// Name in the native database, where it differs from the package's own.
    pub registered_as: Option<String>,
}

/// Everything installed, and what a person asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Installed {
    /// The packages.
    pub packages: Vec<InstalledPackage>,
    /// The native world, as written.
    pub world: Vec<Dependency>,
    /// What was asked of xpkg: also foreign packages, kept with their scope.
    pub wanted: Vec<Spec>,
}

impl Installed {
    /// Finds a package by scope and name.
    pub fn get(&self, ecosystem: Ecosystem, name: &str) -> Option<&InstalledPackage> {
        self.packages.iter().find(|p| p.package.ecosystem == ecosystem && p.package.name == name)
    }
}
