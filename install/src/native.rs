//! The native package manager's own files on a root: apk's, or opkg's, or where there is neither our own record ([`place`]). All are spoken to in the same words: packages
//! arrive as [`InstalledRecord`]s, and changes leave as [`Changes`]. Decides nothing; see [`apk`] and [`opkg`].

pub mod apk;
mod lists;
pub mod opkg;
pub mod place;
mod registration;

use std::collections::{BTreeMap, BTreeSet};

use xpkg_formats::BoxError;
use xpkg_formats::apk::db::{self, DbFile, DigestKind, InstalledRecord, Script, Trigger};
use xpkg_model::payload::ScriptKind;
use xpkg_model::root::RootView;
use xpkg_model::{Dependency, Ecosystem, Package, RelPath};

use crate::{Error, Result, Target};

pub use apk::NativeApk;
pub use opkg::NativeOpkg;
pub use registration::{Registration, registered_package};

/// The package manager that a root came with.
#[derive(Clone, Copy, Debug)]
pub enum Native {
    /// apk, of either generation.
    Apk(NativeApk),
    /// opkg.
    Opkg(NativeOpkg),
}

/// What changes in the databases.
#[derive(Debug, Default)]
pub struct Changes {
    /// Names of the packages that go or are replaced.
    pub remove: BTreeSet<String>,
    /// What comes.
    pub add: Vec<Registration>,
    /// Files that a remaining package loses to another.
    pub lose: BTreeMap<String, BTreeSet<RelPath>>,
    /// Links that a remaining package gets back.
    pub regain: BTreeMap<String, Vec<(RelPath, DbFile)>>,
    /// Repository tags of packages that come or stay (apk keeps them; opkg has none).
    pub tags: BTreeMap<String, Option<String>>,
    /// Entries of the world to set.
    pub world_set: Vec<Dependency>,
    /// Names to take out of the world.
    pub world_remove: Vec<String>,
    /// Architectures to add.
    pub arch_add: Vec<String>,
    /// Architectures to take out again.
    pub arch_remove: Vec<String>,
    /// Packages that are held back from now on, and those that are not any more (opkg; apk has no word for it).
    pub hold: BTreeMap<String, bool>,
    /// Seconds since 1970 that are written as the time of installation.
    pub now: u64,
}

/// What a person wants of the installed packages, as the native manager keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Packages that were asked for, with their conditions (opkg knows names only).
    pub world: Vec<Dependency>,
    /// Packages that upgrades leave alone.
    pub held: BTreeSet<String>,
}

impl Native {
    /// Finds the manager that owns a root; `None` when there is no database. On a root of neither world that is our own record,
    /// which may not be there yet.
    pub fn detect(root: &(impl RootView + ?Sized), ecosystem: Ecosystem) -> Result<Option<Self>> {
        if let Some(apk) = NativeApk::detect(root, ecosystem)? {
            return Ok(Some(Self::Apk(apk)));
        }
        if ecosystem == Ecosystem::Other {
            return Ok(None);
        }
        Ok(NativeOpkg::detect(root, ecosystem)?.map(Self::Opkg))
    }

    /// Hands over every installed package. opkg keeps digests of configuration files only: elsewhere there is none.
    pub fn each(
        &self,
        root: &(impl RootView + ?Sized),
        sink: &mut dyn FnMut(InstalledRecord) -> Result<(), BoxError>,
    ) -> Result<()> {
        match self {
            Self::Apk(apk) => apk.each(root, sink),
            Self::Opkg(opkg) => opkg.each(root, sink),
        }
    }

    /// What was asked for and what is held.
    pub fn marks(&self, root: &(impl RootView + ?Sized)) -> Result<Marks> {
        match self {
            Self::Apk(apk) => Ok(Marks { world: apk.world(root)?, held: BTreeSet::new() }),
            Self::Opkg(opkg) => opkg.marks(root),
        }
    }

    /// Architectures that may be installed; empty where the manager has no such list of its own to change.
    pub fn arches(&self, root: &(impl RootView + ?Sized)) -> Result<Vec<String>> {
        match self {
            Self::Apk(apk) => apk.arches(root),
            Self::Opkg(_) => Ok(Vec::new()),
        }
    }

    /// Trigger patterns by the 20 bytes of the package's identity. opkg has none.
    pub fn triggers(&self, root: &(impl RootView + ?Sized)) -> Result<Vec<Trigger>> {
        match self {
            Self::Apk(apk) => apk.triggers(root),
            Self::Opkg(_) => Ok(Vec::new()),
        }
    }

    /// apk's scripts of the packages that `wanted` names by the 20 bytes of their identity.
    pub fn scripts(
        &self,
        root: &(impl RootView + ?Sized),
        wanted: &mut dyn FnMut(&[u8; 20], ScriptKind) -> bool,
    ) -> Result<Vec<Script>> {
        match self {
            Self::Apk(apk) => apk.scripts(root, wanted),
            Self::Opkg(_) => Ok(Vec::new()),
        }
    }

    /// Stages the changed databases. Files whose bytes stay the same are not staged.
    pub fn stage(&self, target: &mut dyn Target, changes: &Changes) -> Result<()> {
        match self {
            Self::Apk(apk) => apk.stage(target, changes),
            Self::Opkg(opkg) => opkg.stage(target, changes),
        }
    }

    /// The package as this manager is told of it. `renamed` maps names of foreign packages to the names they have there.
    pub fn registered(&self, package: &Package, name: &str, renamed: &BTreeMap<String, String>) -> Package {
        match self {
            Self::Apk(apk) => registered_package(package, name, renamed, apk.generation),
            Self::Opkg(opkg) => opkg.registered(package, name, renamed),
        }
    }

    /// How the digests of a package's files are made for the database.
    pub fn digest_kind(&self, package: &Package) -> DigestKind {
        match self {
            Self::Apk(apk) => apk.generation.digest_kind(package),
            Self::Opkg(_) => DigestKind::Sha256Short,
        }
    }

    /// Whether opkg manages the root.
    pub fn is_opkg(&self) -> bool {
        matches!(self, Self::Opkg(_))
    }

    /// Directories of the databases.
    pub fn dirs(&self) -> &'static [&'static str] {
        match self {
            Self::Apk(apk) => apk.place.dirs,
            Self::Opkg(_) => &["usr/lib/opkg", "usr/lib/opkg/info"],
        }
    }

    /// Directories that installed packages have, for triggers that ask for all.
    pub fn directories(&self, root: &(impl RootView + ?Sized)) -> Result<BTreeSet<RelPath>> {
        let mut dirs = BTreeSet::new();
        let Self::Apk(apk) = self else { return Ok(dirs) };
        let path = RelPath::literal(apk.place.installed);
        if let Some(file) = root.open(&path).map_err(|e| Error::io("opening", &path, e))? {
            let file = std::io::BufReader::new(file);
            db::visit_claims(file, apk.place.installed, &xpkg_formats::Limits::default(), &mut |claim| {
                if claim.is_dir && !claim.path.is_empty() {
                    dirs.extend(RelPath::from_package(claim.path));
                }
            })
            .map_err(|e| Error::native(&path, e))?;
        }
        Ok(dirs)
    }
}

/// The world whose files a root consists of, as its release files say.
pub fn ecosystem(root: &(impl RootView + ?Sized)) -> Option<Ecosystem> {
    let exists = |path: &'static str| matches!(root.node(&RelPath::literal(path)), Ok(Some(_)));
    if exists("etc/openwrt_release") || exists("etc/openwrt_version") {
        Some(Ecosystem::Openwrt)
    } else if exists("etc/alpine-release") {
        Some(Ecosystem::Alpine)
    } else {
        None
    }
}
