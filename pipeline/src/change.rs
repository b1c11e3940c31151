//! Requests on a live root: prepare, apply, hold, and package files on disk.

use std::path::Path;
use std::sync::Arc;

use xpkg_install::target::Target as _;
use xpkg_model::{Package, Spec};
use xpkg_repos::FetchedPackage;
use xpkg_resolver::Request;

use crate::error::Error;
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
}

impl Session {
    /// Reads and verifies a package file. Its world is the one whose signature it carries, else the native one.
    pub fn open_local(&mut self, path: &Path) -> Result<Arc<Package>, Error> {
        let native = self.system.native;
        let mut keys = xpkg_repos::keys::native_keyring(&self.root, native)?;
        let mut ecosystem = native;
        for source in self.sources.iter().filter(|s| s.enabled && !s.is_native()) {
            let own = xpkg_repos::keyring_for(&self.root, source)?;
            if own.iter().next().is_some() && FetchedPackage::from_file(&self.cache, path, source.ecosystem, &own, false).is_ok() {
                ecosystem = source.ecosystem;
                keys = own;
                break;
            }
        }
        let fetched = FetchedPackage::from_file(&self.cache, path, ecosystem, &keys, self.options.allow_untrusted)?;
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
        }
        self.prepare_with(request, &self.local, depth)
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
            relr_probe: self.relr_probe(),
        }
    }
}
