//! Every package that a run knows, installed or offered, each once: by name, with who offers it. Selects nothing.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use xpkg_formats::apk::db::InstalledRecord;
use xpkg_model::version::{self, Relation};
use xpkg_model::{Dependency, Package, VersionScheme};

/// One package: a name, a version and an identity.
#[derive(Clone, Debug)]
pub struct Known {
    /// What its index, or else the database, says. [`Package::source`] is left empty.
    pub package: Arc<Package>,
    /// Repositories that offer it, by their place in the run's list.
    pub places: Vec<usize>,
    /// Its record in the database, by its place there.
    pub installed: Option<usize>,
}

impl Known {
    /// Name and version.
    pub fn id(&self) -> String {
        format!("{}-{}", self.package.name, self.package.version)
    }
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub struct Universe {
    names: BTreeMap<String, Vec<Known>>,
    provided: BTreeMap<String, Vec<(String, usize)>>,
}

impl Universe {
    /// Adds what a repository offers.
    pub(super) fn offer(&mut self, package: &Arc<Package>, place: usize) {
        let same =
            self.names.get_mut(&package.name).and_then(|all| all.iter_mut().find(|k| is_same(&k.package, package)));
        match same {
            // A mirror of a repository offers the same again.
            Some(known) if known.places.contains(&place) => {}
            Some(known) => {
                // The index says more than the database: the size of the file.
                if known.places.is_empty() {
                    known.package = Arc::clone(package);
                }
                known.places.push(place);
            }
            None => {
                let known = Known { package: Arc::clone(package), places: vec![place], installed: None };
                self.names.entry(known.package.name.clone()).or_default().push(known);
            }
        }
    }

    /// Adds what is installed. To be called before anything is offered.
    pub(super) fn install(&mut self, records: &[InstalledRecord]) {
        for (at, record) in records.iter().enumerate() {
            let known = Known { package: Arc::new(record.package.clone()), places: Vec::new(), installed: Some(at) };
            self.names.entry(record.package.name.clone()).or_default().push(known);
        }
    }

    /// Sorts, and learns what is provided. To be called when everything was added.
    pub(super) fn settle(&mut self) {
        for all in self.names.values_mut() {
            all.sort_by(|a, b| by_version(&a.package.version, &b.package.version));
        }
        self.provided.clear();
        for (name, all) in &self.names {
            for (at, known) in all.iter().enumerate() {
                for provide in &known.package.provides {
                    let providers = self.provided.entry(provide.name.clone()).or_default();
                    if providers.last() != Some(&(name.clone(), at)) {
                        providers.push((name.clone(), at));
                    }
                }
            }
        }
    }

    /// Every package, by name and then version.
    pub fn all(&self) -> impl Iterator<Item = &Known> {
        self.names.values().flatten()
    }

    /// Packages of that name.
    pub fn named(&self, name: &str) -> &[Known] {
        self.names.get(name).map_or(&[], Vec::as_slice)
    }

    /// Packages of that name and those that provide it, with the version that they provide it with.
    pub fn providers<'a>(&'a self, name: &str) -> Vec<(&'a Known, Option<&'a str>)> {
        let mut found: Vec<_> = self.named(name).iter().map(|k| (k, Some(k.package.version.as_str()))).collect();
        for (provider, at) in self.provided.get(name).map_or(&[][..], Vec::as_slice) {
            if provider == name {
                continue;
            }
            let Some(known) = self.named(provider).get(*at) else { continue };
            let provide = known.package.provides.iter().find(|p| p.name == name);
            found.push((known, provide.and_then(|p| p.version.as_deref())));
        }
        found
    }

    /// The installed package of that name.
    pub fn installed(&self, name: &str) -> Option<&Known> {
        self.named(name).iter().find(|k| k.installed.is_some())
    }

    /// Installed packages, by name.
    pub fn all_installed(&self) -> impl Iterator<Item = &Known> {
        self.all().filter(|k| k.installed.is_some())
    }

    /// Names of packages, in order.
    pub fn package_names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }

    /// Names of packages, and of all that they provide, need or wait for.
    pub fn name_count(&self) -> usize {
        let mut names: BTreeSet<&str> = self.names.keys().chain(self.provided.keys()).map(String::as_str).collect();
        for package in self.all().map(|known| &known.package) {
            let needs = package.depends.iter().flat_map(|r| r.alternatives());
            names.extend(needs.chain(&package.install_if).map(|d| d.name.as_str()));
        }
        names.len()
    }

    /// How many packages there are.
    pub fn len(&self) -> usize {
        self.names.values().map(Vec::len).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

/// Whether a package meets a condition, by its name or by what it provides.
pub(super) fn meets(package: &Package, dependency: &Dependency) -> bool {
    package.meets(dependency)
}

fn is_same(a: &Package, b: &Package) -> bool {
    a.version == b.version
        && match (&a.identity, &b.identity) {
            (Some(a), Some(b)) => a.prefix() == b.prefix(),
            (a, b) => a.is_none() && b.is_none(),
        }
}

/// apk's order of two versions.
pub(super) fn by_version(a: &str, b: &str) -> Ordering {
    Ordering::from(version::compare(VersionScheme::Apk, a, b, false))
}

/// apk's word for how `a` stands to `b`: `<`, `=`, `>`, `?`.
pub fn relation_sign(a: &str, b: &str) -> &'static str {
    match version::compare(VersionScheme::Apk, a, b, false) {
        Relation::Less => "<",
        Relation::Equal => "=",
        Relation::Greater => ">",
    }
}
