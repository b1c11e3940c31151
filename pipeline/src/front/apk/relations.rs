//! Questions about how packages stand to each other and to files: who owns a path, who needs whom. Changes nothing.

use std::collections::BTreeSet;

use xpkg_formats::apk::db::InstalledRecord;
use xpkg_model::root::{NodeKind, RootView as _};
use xpkg_model::{Dependency, RelPath, Requirement};

use super::database::Database;
use super::universe::{Known, meets};

/// Who owns a path.
pub struct Owner<'a> {
    /// The record of the package.
    pub record: &'a InstalledRecord,
    /// The link that led to the file, where the path asked for is one that nobody owns.
    pub through_link: bool,
}

impl Database {
    /// The package that a path of the root belongs to. A link that nobody owns is followed, as apk does.
    pub fn owner(&self, path: &str) -> Option<Owner<'_>> {
        let path = RelPath::from_package(path.trim_start_matches('/').as_bytes()).ok()?;
        // Directories on the way may be links: the database knows the place they lead to.
        let here = self.root.real_path(&path, false).ok()?;
        for asked in [&path, &here] {
            if let Some(record) = self.holder(asked) {
                return Some(Owner { record, through_link: false });
            }
        }
        let node = self.root.node(&here).ok()??;
        if !matches!(node.kind, NodeKind::Symlink(_)) {
            return None;
        }
        let target = self.root.real_path(&path, true).ok()?;
        self.holder(&target).map(|record| Owner { record, through_link: true })
    }

    fn holder(&self, path: &RelPath) -> Option<&InstalledRecord> {
        self.installed.iter().find(|record| record.file(path).is_some())
    }

    /// Packages that need one, by the order of their names.
    pub fn dependents(&self, of: &Known, only_installed: bool) -> Vec<&Known> {
        let names: BTreeSet<&str> =
            of.package.provides.iter().map(|p| p.name.as_str()).chain([of.package.name.as_str()]).collect();
        let wants = |d: &Dependency| !d.conflict && names.contains(d.name.as_str()) && meets(&of.package, d);
        let needs = |known: &&Known| {
            let package = &known.package;
            (known.installed.is_some() || !only_installed)
                && package.requirements().flat_map(Requirement::alternatives).any(wants)
        };
        self.universe.all().filter(needs).collect()
    }

    /// Packages whose `install_if` names one.
    pub fn install_if_dependents(&self, of: &Known, only_installed: bool) -> Vec<&Known> {
        let wants = |known: &&Known| {
            (known.installed.is_some() || !only_installed)
                && known.package.install_if.iter().any(|d| !d.conflict && meets(&of.package, d))
        };
        self.universe.all().filter(wants).collect()
    }

    /// The newest package of a name, installed or not.
    pub fn newest(&self, name: &str) -> Option<&Known> {
        self.universe.named(name).last()
    }
}
