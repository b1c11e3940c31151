//! What the tests of this crate share: package files as payload sources, plans in one line, snapshots.

#![allow(dead_code, missing_docs)]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use xpkg_fixtures::real::{Changes, Snapshot, diff, snapshot};
use xpkg_fixtures::{Apk, Format, Ipk};
use xpkg_formats::{Limits, package};
use xpkg_install::payload::OpenPackage;
use xpkg_install::{ApplyInput, LiveRoot, Options, Ownership, PayloadSource, Receipt, apply};
use xpkg_model::adaptation::{Adaptation, Adaptations};
use xpkg_model::event::Silent;
use xpkg_model::plan::{Reason, Step};
use xpkg_model::{Action, Ecosystem, Package, Plan};

/// A package file in a temporary directory.
pub struct Source {
    pub package: Arc<Package>,
    pub path: PathBuf,
    _dir: Option<TempDir>,
}

impl Source {
    /// Packs a recipe for a world, in that world's format.
    pub fn new(apk: Apk, ecosystem: Ecosystem) -> Self {
        let format = if ecosystem == Ecosystem::Openwrt { Format::Apk3 } else { Format::Apk2 };
        let packed = apk.with(|p| p.ecosystem = ecosystem).pack(format, None).expect("the recipe is good");
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("package.apk");
        std::fs::write(&path, packed.bytes).expect("the package is written");
        Self { package: Arc::new(packed.package), path, _dir: Some(dir) }
    }

    /// Packs a recipe of opkg's.
    pub fn ipk(ipk: Ipk) -> Self {
        let packed = ipk.pack().expect("the recipe is good");
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("package.ipk");
        std::fs::write(&path, packed.bytes).expect("the package is written");
        Self { package: Arc::new(packed.package), path, _dir: Some(dir) }
    }

    /// A package file that exists.
    pub fn file(path: impl Into<PathBuf>, ecosystem: Ecosystem) -> Self {
        let path = path.into();
        let file = File::open(&path).expect("the package is there");
        let opened = package::open(file, "package", ecosystem, &Limits::default()).expect("the package is good");
        Self { package: Arc::new(opened.meta().package.clone()), path, _dir: None }
    }

    pub fn step(&self, old: Option<&Source>) -> Step {
        Step {
            action: if old.is_some() { Action::Replace } else { Action::Install },
            package: self.package.clone(),
            old: old.map(|o| o.package.clone()),
            reason: Reason::Requested,
            explicit: true,
        }
    }

    pub fn removal(&self) -> Step {
        let package = self.package.clone();
        Step { action: Action::Remove, package, old: None, reason: Reason::Requested, explicit: false }
    }
}

impl PayloadSource for Source {
    fn package(&self) -> &Package {
        &self.package
    }
    fn open(&self) -> Result<OpenPackage, Box<dyn std::error::Error + Send + Sync>> {
        Ok(package::open(File::open(&self.path)?, "package", self.package.ecosystem, &Limits::default())?)
    }
}

pub fn plan(steps: impl IntoIterator<Item = Step>) -> Plan {
    Plan { steps: steps.into_iter().collect(), ..Plan::default() }
}

/// Owners need rights that an ordinary user lacks.
pub fn ownership() -> Ownership {
    if rustix::process::geteuid().is_root() { Ownership::Apply } else { Ownership::Ignore }
}

pub fn live(dir: &Path) -> LiveRoot {
    LiveRoot::open(dir, ownership()).expect("the root opens")
}

pub struct Run<'a> {
    pub native: Ecosystem,
    pub sources: Vec<&'a Source>,
    pub provider: Option<Package>,
    pub adaptations: Adaptations,
    pub options: Options,
}

impl<'a> Run<'a> {
    pub fn new(native: Ecosystem, sources: &[&'a Source]) -> Self {
        let options = Options { no_scripts: true, now: 1, ..Options::default() };
        Self { native, sources: sources.to_vec(), provider: None, adaptations: Adaptations::new(), options }
    }

    pub fn provider(mut self, provider: Package) -> Self {
        self.provider = Some(provider);
        self
    }

    /// What is done to one of the packages on its way.
    pub fn adapt(mut self, source: &Source, adaptation: Adaptation) -> Self {
        self.adaptations.insert(source.package.key(), adaptation);
        self
    }

    pub fn options(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(&mut self.options);
        self
    }

    pub fn on(&self, target: &mut LiveRoot, steps: impl IntoIterator<Item = Step>) -> xpkg_install::Result<Receipt> {
        let plan = plan(steps);
        let sources: Vec<&dyn PayloadSource> = self.sources.iter().map(|s| *s as &dyn PayloadSource).collect();
        let input = ApplyInput {
            plan: &plan,
            native: self.native,
            sources: &sources,
            provider: self.provider.as_ref(),
            adaptations: &self.adaptations,
            mark: &[],
            unmark: &[],
            options: self.options.clone(),
        };
        apply(target, &input, &Silent)
    }

    /// Applies to a directory, which must succeed.
    pub fn go(&self, dir: &Path, steps: impl IntoIterator<Item = Step>) -> Receipt {
        self.on(&mut live(dir), steps).unwrap_or_else(|e| panic!("{}", chain(&e)))
    }

    /// Applies to a directory, which must fail and leave it as it was.
    pub fn refused(&self, dir: &Path, steps: impl IntoIterator<Item = Step>) -> String {
        let before = look(dir);
        let error = self.on(&mut live(dir), steps).expect_err("it must be refused");
        assert_same(&before, dir);
        chain(&error)
    }
}

/// An error with its causes.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

pub fn look(dir: &Path) -> Snapshot {
    snapshot(dir).expect("the root can be read")
}

pub fn changes(before: &Snapshot, dir: &Path) -> Changes {
    diff(before, &look(dir))
}

pub fn assert_same(before: &Snapshot, dir: &Path) {
    let changes = changes(before, dir);
    assert!(changes.is_empty(), "{changes:?}");
}
