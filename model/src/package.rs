//! A package as an index or a package file describes it.

use serde::{Deserialize, Serialize};

use crate::opkg::Opkg;
use crate::{Dependency, Ecosystem, Identity, PackageKey, Provide, Requirement, VersionScheme};

/// The facts that resolving, showing and registering a package need. Contents are elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// World the package was made for.
    pub ecosystem: Ecosystem,
    /// Which order its version follows.
    pub scheme: VersionScheme,
    /// Name, unscoped.
    pub name: String,
    /// Version, raw.
    pub version: String,
    /// Architecture word of its world, raw (`x86_64`, `noarch`, `all`, `aarch64_cortex-a53` …).
    pub arch: String,
    /// Digest that its index vouches for; `None` for what was never indexed or is generated.
    pub identity: Option<Identity>,
    /// One line.
    pub description: String,
    /// Home page.
    pub url: String,
    /// SPDX expression, raw.
    pub license: String,
    /// Source package.
    pub origin: String,
    /// Maintainer or packager.
    pub maintainer: String,
    /// Source commit, hex.
    pub commit: String,
    /// Seconds since 1970; 0 when not said.
    pub build_time: u64,
    /// Bytes of the package file; 0 when not said.
    pub size: u64,
    /// Bytes of the contents.
    pub installed_size: u64,
    /// What it needs, conflicts (`!x`) included, in the order written.
    pub depends: Vec<Requirement>,
    /// What else it answers to.
    pub provides: Vec<Provide>,
    /// Whose files it may overwrite.
    pub replaces: Vec<Dependency>,
    /// Installs itself when all of these are there.
    pub install_if: Vec<Dependency>,
    /// Nice to have.
    pub recommends: Vec<Requirement>,
    /// Decides between providers of a virtual name; `None` means: never chosen by itself.
    pub provider_priority: Option<u32>,
    /// Which of two owners keeps a file.
    pub replaces_priority: u32,
    /// apk v3 tags.
    pub tags: Vec<String>,
    /// Storage layer of apk v3: 0 is the root.
    pub layer: u32,
    /// File name or URL relative to the index, where the index says one (opkg `Filename`, apk `pkgname-spec`).
    pub filename: Option<String>,
    /// What only opkg's packages say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opkg: Option<Box<Opkg>>,
    /// Index of the source in the catalogue that offered it; `None` when it came from elsewhere.
    pub source: Option<u16>,
}

impl Package {
    /// Its name with its world, as a person writes it: `alpine:tmux`.
    pub fn scoped(&self) -> String {
        format!("{}:{}", self.ecosystem, self.name)
    }

    /// An empty package of that name.
    pub fn new(ecosystem: Ecosystem, name: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            ecosystem,
            scheme: VersionScheme::Apk,
            name: name.into(),
            version: version.into(),
            arch: String::new(),
            identity: None,
            description: String::new(),
            url: String::new(),
            license: String::new(),
            origin: String::new(),
            maintainer: String::new(),
            commit: String::new(),
            build_time: 0,
            size: 0,
            installed_size: 0,
            depends: Vec::new(),
            provides: Vec::new(),
            replaces: Vec::new(),
            install_if: Vec::new(),
            recommends: Vec::new(),
            provider_priority: None,
            replaces_priority: 0,
            tags: Vec::new(),
            layer: 0,
            filename: None,
            opkg: None,
            source: None,
        }
    }

    /// What learnt facts and plans point at.
    pub fn key(&self) -> PackageKey {
        PackageKey {
            ecosystem: self.ecosystem,
            name: self.name.clone(),
            version: self.version.clone(),
            identity: self.identity,
        }
    }

    /// The conflicts among its dependencies.
    pub fn conflicts(&self) -> impl Iterator<Item = &Dependency> {
        self.depends.iter().filter_map(Requirement::as_conflict)
    }

    /// Its dependencies without the conflicts.
    pub fn requirements(&self) -> impl Iterator<Item = &Requirement> {
        self.depends.iter().filter(|r| r.as_conflict().is_none())
    }

    /// Whether the package itself (not what it provides) meets a condition on its name.
    pub fn meets_by_name(&self, dependency: &Dependency) -> bool {
        if self.name != dependency.name {
            return false;
        }
        if dependency.op == crate::Op::CHECKSUM {
            return self.identity.is_some_and(|id| dependency.version == id.to_q1());
        }
        dependency.met_by_version(self.scheme, &self.version)
    }

    /// Whether one of its provides meets a condition. opkg knows no versions of provides: there the package's own version
    /// counts (pkg_dependence_satisfiable in opkg's pkg_depends.c).
    pub fn meets_by_provide(&self, provide: &Provide, dependency: &Dependency) -> bool {
        match (self.scheme, &provide.version) {
            (VersionScheme::Deb, None) => {
                provide.name == dependency.name && dependency.met_by_version(self.scheme, &self.version)
            }
            _ => dependency.met_by(self.scheme, provide),
        }
    }

    /// Whether the package, by name or by what it provides, meets a condition. The caller has settled the scope.
    pub fn meets(&self, dependency: &Dependency) -> bool {
        self.meets_by_name(dependency) || self.provides.iter().any(|p| self.meets_by_provide(p, dependency))
    }

    /// Whether installing it takes the other one's place: it says so in `Conflicts` and `Replaces` both, which is how opkg's
    /// feeds rename and split packages.
    pub fn takes_the_place_of(&self, other: &Package) -> bool {
        self.scheme == VersionScheme::Deb
            && self.ecosystem == other.ecosystem
            && self.name != other.name
            && self.replaces.iter().any(|r| r.name == other.name)
            && self.conflicts().any(|c| other.meets(c))
    }

    /// Whether it may only go when a person names it.
    pub fn is_essential(&self) -> bool {
        self.opkg.as_ref().is_some_and(|opkg| opkg.essential)
    }
}
