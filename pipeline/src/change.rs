//! Requests on a live root: prepare, apply, hold, and package files on disk.

use std::path::Path;
use std::sync::Arc;

use xpkg_install::target::Target;
use xpkg_install::{ApplyInput, PayloadSource, transaction};
use xpkg_model::adaptation::LayerPolicy;
use xpkg_model::{Dependency, Observer, Package, Spec};
use xpkg_repos::FetchedPackage;
use xpkg_repos::cache::Clean;
use xpkg_resolver::abi::RelrSupport;
use xpkg_resolver::{Request, Upgrade};

use crate::error::Error;
use crate::identify::System;
use crate::prepare::{Depth, Ground, Prepared, prepare};
use crate::session::Session;

/// How a plan is applied.
#[derive(Clone, Copy, Debug, Default)]
pub struct Apply {
    /// Run no maintainer scripts and triggers.
    pub no_scripts: bool,
    /// Foreign tools may replace busybox applets and alternatives links.
    pub replace_applets: bool,
    /// Files that nobody owns may be overwritten.
    pub overwrite: bool,
}

/// What was done.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    /// Scripts that failed, with their last words. The packages are installed all the same, as apk has it.
    pub script_failures: Vec<String>,
    /// Configuration files whose new version lies beside the person's own.
    pub new_config_files: Vec<String>,
    /// Scripts that were not run, and why.
    pub scripts_skipped: Vec<String>,
    /// Worth telling.
    pub notes: Vec<String>,
}

impl Session {
    /// Reads and verifies a package file. Its world is the one whose signature it carries, else the native one.
    pub fn open_local(&mut self, path: &Path) -> Result<Arc<Package>, Error> {
        let native = self.system.native;
        let mut keys = xpkg_repos::keys::native_keyring(&self.root)?;
        let mut ecosystem = native;
        let mut claimed = None;
        for source in self.sources.iter().filter(|s| s.enabled && !s.is_native()) {
            let own = xpkg_repos::keyring_for(&self.root, source)?;
            if own.iter().next().is_none() {
                continue;
            }
            match FetchedPackage::from_file(&self.cache, path, source.ecosystem, &own, false) {
                Ok(_) => {
                    ecosystem = source.ecosystem;
                    keys = own;
                    break;
                }
                // It names a key that is trusted here, and is not what that key signed.
                Err(error @ xpkg_repos::Error::BadSignature { .. }) => claimed = Some(error),
                Err(_) => {}
            }
        }
        let fetched = FetchedPackage::from_file(&self.cache, path, ecosystem, &keys, self.options.allow_untrusted);
        let fetched = fetched.map_err(|error| match error {
            xpkg_repos::Error::UnknownKey { .. } => claimed.unwrap_or(error),
            error => error,
        })?;
        let package = Arc::clone(fetched.package());
        self.local.push(Arc::new(fetched));
        Ok(package)
    }

    /// Finds a plan for a request. [`Depth::Plan`] downloads nothing; after it only a dry run is possible.
    pub fn prepare(&mut self, request: &Request, depth: Depth) -> Result<Prepared, Error> {
        if depth == Depth::Fetch && self.writable() {
            // What an interrupted run left is completed or undone before anything is decided.
            self.root.lock()?;
            let observer = Arc::clone(&self.observer);
            self.root.recover(observer.as_ref())?;
            self.libraries = None;
            // What only takes away brings nothing that a loader must carry.
            if !request.install.is_empty() || request.upgrade != Upgrade::None {
                self.probe_relr()?;
            }
        }
        self.prepare_with(request, &self.local, depth)
    }

    /// Asks the loader whether it knows DT_RELR, when foreign packages may come and nothing else has answered.
    fn probe_relr(&mut self) -> Result<(), Error> {
        let foreign = self.sources.iter().any(|s| s.enabled && s.ecosystem != self.system.native);
        if self.relr_probe.is_some() || !foreign {
            return Ok(());
        }
        let libraries = Arc::new(crate::libraries::scan(&self.root, &self.cache)?);
        self.libraries = Some(Arc::clone(&libraries));
        let loader = crate::space::loader(&self.root, &self.system, &libraries, None)?;
        if let (RelrSupport::Unknown(_), Some(runner)) = (loader.relr, self.root.script_runner()) {
            self.relr_probe = crate::relr_probe::run(&loader, runner, self.observer.as_ref());
        }
        Ok(())
    }

    pub(crate) fn prepare_with(
        &self,
        request: &Request,
        local: &[Arc<FetchedPackage>],
        depth: Depth,
    ) -> Result<Prepared, Error> {
        let sources = self.enabled();
        let ground = Ground { sources: &sources, ..self.ground() };
        prepare(&ground, request, local, depth)
    }

    pub(crate) fn ground(&self) -> Ground<'_> {
        Ground {
            root: &self.root,
            system: &self.system,
            arches: &self.arches,
            sources: &self.sources,
            cache: &self.cache,
            transport: &self.transport,
            observer: self.observer.as_ref(),
            libraries: self.libraries.clone(),
            relr_probe: self.relr_probe,
            layer: self.layer,
            permissions: self.permissions.clone(),
        }
    }

    /// Carries out a plan. It must have been prepared with [`Depth::Fetch`].
    pub fn apply(&mut self, prepared: &Prepared, apply: &Apply) -> Result<Applied, Error> {
        let observer = Arc::clone(&self.observer);
        self.libraries = None;
        let now = self.options.now;
        let applied = apply_to(&mut self.root, &self.system, prepared, apply, now, observer.as_ref())?;
        // Downloads have served; on a router the cache is memory. Facts save the next run a download, but when the last
        // foreign package has gone, nothing of it stays.
        let bridged = self.installed()?.packages.iter().any(|p| p.foreign);
        self.cache.clean(if bridged { Clean::Packages } else { Clean::Work })?;
        Ok(applied)
    }

    /// What a person wants of private layers in this run.
    pub fn set_layer(&mut self, policy: LayerPolicy) {
        self.layer = policy;
    }

    /// What a person allows this run; it decides which files a plan may take.
    pub fn permit(&mut self, apply: &Apply) {
        self.permissions = options(apply, self.options.now);
    }

    /// Keeps installed packages at their version, or lets them go again.
    pub fn hold(&mut self, specs: &[Spec], held: bool) -> Result<(), Error> {
        let observer = Arc::clone(&self.observer);
        // What an interrupted run left decides what is installed.
        self.root.lock()?;
        self.root.recover(observer.as_ref())?;
        let installed = self.installed()?;
        for spec in specs {
            let found = crate::query::matching(&installed, spec).next();
            let package = &found.ok_or_else(|| Error::NotInstalled(spec.to_string()))?.package;
            transaction::hold(&mut self.root, package.ecosystem, &package.name, held, observer.as_ref())?;
        }
        Ok(())
    }
}

fn options(apply: &Apply, now: u64) -> xpkg_install::Options {
    xpkg_install::Options {
        no_scripts: apply.no_scripts,
        replace_applets: apply.replace_applets,
        overwrite_unowned: apply.overwrite,
        now,
        ..xpkg_install::Options::default()
    }
}

/// Carries out a plan on any target: a live root or an image being made.
pub(crate) fn apply_to(
    target: &mut dyn Target,
    system: &System,
    prepared: &Prepared,
    apply: &Apply,
    now: u64,
    observer: &dyn Observer,
) -> Result<Applied, Error> {
    for step in prepared.plan.incoming() {
        let key = step.package.key();
        if !prepared.fetched.contains_key(&key) {
            return Err(Error::Unchecked);
        }
        let verdict = prepared.verdict(&key);
        if !verdict.allows_install() {
            let found = prepared.verdicts().iter().filter(|v| v.key.as_ref() == Some(&key)).flat_map(|v| &v.findings);
            let evidence = found.map(|f| format!("\n  {}: {}", f.file, f.detail)).collect();
            return Err(Error::Refused { package: key.to_string(), verdict: verdict.as_str().to_owned(), evidence });
        }
    }
    let sources: Vec<&dyn PayloadSource> = prepared.fetched.values().map(|s| s as &dyn PayloadSource).collect();
    let mark: Vec<Spec> = prepared
        .now_explicit
        .iter()
        .map(|(ecosystem, name)| Spec { ecosystem: Some(*ecosystem), dependency: Dependency::any(name.as_str()) })
        .collect();
    let input = ApplyInput {
        plan: &prepared.plan,
        native: system.native,
        sources: &sources,
        provider: prepared.provider.as_ref(),
        adaptations: &prepared.adaptations,
        mark: &mark,
        unmark: &[],
        options: options(apply, now),
    };
    let receipt = transaction::apply(target, &input, observer)?;
    Ok(Applied {
        script_failures: receipt
            .failures
            .iter()
            .map(|f| {
                let kind = f.kind.map_or("hook", xpkg_model::payload::ScriptKind::as_str);
                format!("{kind} of {} failed: {}", f.package, f.reason)
            })
            .collect(),
        new_config_files: receipt.beside.iter().map(ToString::to_string).collect(),
        scripts_skipped: receipt
            .skipped
            .iter()
            .map(|(p, kind, why)| format!("{} of {p} ({why})", kind.as_str()))
            .collect(),
        notes: receipt.notes,
    })
}
