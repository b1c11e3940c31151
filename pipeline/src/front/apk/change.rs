//! Puts apk's decisions into practice: what the solver is told, the package files that its plan needs, and the transaction. All
//! packages are fetched and checked before the first file of the root changes; apk itself works package by package.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use xpkg_install::{ApplyInput, PayloadSource, Receipt, transaction};
use xpkg_model::adaptation::AS_THEY_ARE;
use xpkg_model::payload::ScriptKind;
use xpkg_model::plan::{Reason, Step};
use xpkg_model::{Dependency, Package, Plan as Steps, Spec};
use xpkg_resolver::native::apk as solver;

use super::database::Database;
use super::files::PackageFile;
use super::{Error, Generation};

pub use xpkg_resolver::native::apk::{Action, Add, Answer, Change, Fix, Line, Options, Plan, Upgrade, Verb};

/// What was done.
#[derive(Clone, Debug, Default)]
pub struct Done {
    /// Scripts that failed: `name-version`, kind, reason.
    pub failed_scripts: Vec<(String, String, String)>,
    /// Worth telling.
    pub notes: Vec<String>,
}

/// Package files named by a person, opened and verified.
#[derive(Default)]
pub struct LocalFiles {
    files: Vec<PackageFile>,
}

impl LocalFiles {
    /// Their packages.
    pub fn packages(&self) -> Vec<Arc<Package>> {
        self.files.iter().map(|f| Arc::clone(f.shared())).collect()
    }
}

impl Database {
    /// Opens a package file. It must be signed by a key of the root, unless untrusted files are allowed.
    pub fn open_local(&self, path: &Path, into: &mut LocalFiles) -> Result<(), Error> {
        into.files.push(PackageFile::given(path, self.native, (!self.settings.allow_untrusted).then_some(&self.keys))?);
        Ok(())
    }

    /// What apk would do.
    pub fn decide(&self, verb: &Verb, files: &LocalFiles, width: usize) -> Answer {
        solver::decide(&self.told(files), verb, &self.options(width))
    }

    /// What apk would do on a root without packages and without a world.
    pub fn decide_on_empty(&self, verb: &Verb, files: &LocalFiles) -> Answer {
        let empty = solver::Universe { installed: Vec::new(), world: Vec::new(), ..self.told(files) };
        solver::decide(&empty, verb, &self.options(50))
    }

    fn options(&self, width: usize) -> Options {
        Options { force_broken_world: self.settings.force_broken_world, simulate: self.settings.simulate, width }
    }

    /// Everything the solver is told.
    fn told(&self, files: &LocalFiles) -> solver::Universe {
        solver::Universe {
            generation: match self.generation {
                Generation::Apk2 => solver::Generation::V2,
                Generation::Apk3 => solver::Generation::V3,
            },
            installed: self
                .installed
                .iter()
                .map(|record| solver::Record {
                    package: Arc::new(record.package.clone()),
                    tag: record.repo_tag.clone(),
                    broken: record.flags.contains(['f', 's']),
                    broken_xattr: record.flags.contains('x'),
                })
                .collect(),
            world: self.world.clone(),
            repositories: self
                .places
                .iter()
                .enumerate()
                .map(|(at, place)| solver::Repository {
                    tag: place.tag.clone(),
                    packages: self.offers.get(at).cloned().unwrap_or_default(),
                    available: place.local().is_some() || !self.settings.no_network,
                })
                .collect(),
            files: files.packages(),
            arches: self.arches.clone(),
        }
    }

    /// Bytes that a plan still has to fetch.
    pub fn download_size(&self, plan: &Plan) -> u64 {
        let remote =
            |c: &&Change| c.repositories.iter().all(|r| self.places.get(*r).is_none_or(|p| p.local().is_none()));
        let new = |c: &Change| c.new.as_ref().filter(|_| c.action != Action::Repin).map_or(0, |p| p.size);
        plan.changes.iter().filter(remote).map(new).fold(0, u64::saturating_add)
    }

    /// Carries out a plan. An error leaves the root as it was.
    pub fn carry_out(&mut self, plan: &Plan, files: &LocalFiles) -> Result<Done, Error> {
        let spool = tempfile::tempdir().map_err(Error::io("making a directory for downloads"))?;
        let mut sources: Vec<PackageFile> = Vec::new();
        let mut steps = Vec::new();
        for change in &plan.changes {
            if let Some(step) = self.step(change, files, &mut sources, spool.path())? {
                steps.push(step);
            }
        }
        let named = |c: &Change| c.new.as_ref().map(|new| (new.name.clone(), c.tag.clone()));
        let tags = plan.changes.iter().filter_map(named).collect();
        let steps = Steps { steps, tags, ..Steps::default() };
        let (mark, unmark) = self.world_changes(&plan.world);
        let provider = self.provider(&steps)?;
        let all: Vec<&dyn PayloadSource> =
            sources.iter().chain(&files.files).map(|source| source as &dyn PayloadSource).collect();
        let input = ApplyInput {
            plan: &steps,
            native: self.native,
            sources: &all,
            provider: provider.as_ref(),
            adaptations: &AS_THEY_ARE,
            mark: &mark,
            unmark: &unmark,
            options: xpkg_install::Options {
                no_scripts: self.settings.no_scripts,
                no_commit_hooks: self.settings.no_commit_hooks,
                replace_applets: true,
                force_overwrite: self.settings.force_overwrite,
                purge: self.settings.purge,
                // apk takes what nobody owns.
                overwrite_unowned: true,
                now: self.settings.now,
                ..xpkg_install::Options::default()
            },
        };
        let observer = Arc::clone(&self.observer);
        let receipt = transaction::apply(&mut self.root, &input, observer.as_ref())?;
        Ok(done(receipt))
    }

    fn step(
        &self,
        change: &Change,
        files: &LocalFiles,
        sources: &mut Vec<PackageFile>,
        spool: &Path,
    ) -> Result<Option<Step>, Error> {
        let old = change.old.as_ref().map(|old| self.as_installed(old));
        let step = |action, package, old| Step { action, package, old, reason: Reason::Requested, explicit: false };
        use xpkg_model::Action as Deed;
        Ok(match (change.action, &change.new, old) {
            (Action::Repin, ..) => None,
            (Action::Reinstall, ..) if !change.available => None,
            (Action::Purge, _, Some(old)) => Some(step(Deed::Remove, old, None)),
            (_, Some(new), old) => {
                let package = self.obtain(new, change, files, sources, spool)?;
                Some(step(if old.is_some() { Deed::Replace } else { Deed::Install }, package, old))
            }
            (_, None, _) => None,
        })
    }

    /// Makes sure that a package's file is here.
    fn obtain(
        &self,
        new: &Arc<Package>,
        change: &Change,
        files: &LocalFiles,
        sources: &mut Vec<PackageFile>,
        spool: &Path,
    ) -> Result<Arc<Package>, Error> {
        let same = |p: &Package| p.name == new.name && p.version == new.version && p.identity == new.identity;
        if let Some(file) = files.files.iter().find(|f| same(f.shared())) {
            return Ok(Arc::clone(file.shared()));
        }
        let Some(place) = change.repositories.first().and_then(|at| self.places.get(*at)) else {
            let file =
                PackageFile::made(new, self.native, self.generation, &spool.join(format!("{}.apk", sources.len())))?;
            let package = Arc::clone(file.shared());
            sources.push(file);
            return Ok(package);
        };
        let file = self.bring_package(place, new, &spool.join(format!("{}.apk", sources.len())))?;
        let package = Arc::clone(file.shared());
        sources.push(file);
        Ok(package)
    }

    /// A record as our own memory knows it: a foreign package keeps its world and its own name.
    fn as_installed(&self, old: &Arc<Package>) -> Arc<Package> {
        let Ok(known) = xpkg_install::installed::read(&self.root, self.native) else { return Arc::clone(old) };
        let registered = |p: &&xpkg_model::installed::InstalledPackage| {
            p.foreign && *p.registered_as.as_ref().unwrap_or(&p.package.name) == old.name
        };
        known.packages.iter().find(registered).map_or_else(|| Arc::clone(old), |p| Arc::clone(&p.package))
    }

    /// The generated package stays as it is, unless the plan takes it away.
    fn provider(&self, steps: &Steps) -> Result<Option<Package>, Error> {
        let state = xpkg_install::state::State::load(&self.root)?;
        let Some(name) = state.provider else { return Ok(None) };
        let gone = steps.steps.iter().any(|s| s.action == xpkg_model::Action::Remove && s.package.name == name);
        Ok(self.record(&name).filter(|_| !gone).map(|record| record.package.clone()))
    }

    /// The world as it will be, and what leaves it, as the transaction wants it.
    fn world_changes(&self, new: &[Dependency]) -> (Vec<Spec>, Vec<Spec>) {
        let spec = |dependency: &Dependency| Spec { ecosystem: Some(self.native), dependency: dependency.clone() };
        let after: BTreeSet<&str> = new.iter().map(|d| d.name.as_str()).collect();
        let mark = new.iter().map(spec).collect();
        let unmark = self.world.iter().filter(|d| !after.contains(d.name.as_str())).map(spec).collect();
        (mark, unmark)
    }
}

fn done(receipt: Receipt) -> Done {
    Done {
        failed_scripts: receipt
            .failures
            .into_iter()
            .map(|f| (f.package, f.kind.map_or("hook", ScriptKind::as_str).to_owned(), f.reason))
            .collect(),
        notes: receipt.notes,
    }
}
