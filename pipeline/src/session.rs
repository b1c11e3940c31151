//! One run on one root: what it is, where its packages come from, what is on it. Every operation starts here.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use xpkg_install::live::{LiveRoot, Ownership};
use xpkg_model::adaptation::LayerPolicy;
use xpkg_model::installed::Installed;
use xpkg_model::root::RootView;
use xpkg_model::{Ecosystem, Observer, RelPath};
use xpkg_repos::{Cache, Catalogue, FetchedPackage, Source, Transport};

use crate::error::Error;
use crate::identify::{System, identify};
use crate::libraries::Library;

/// Where a root keeps xpkg's cache: on OpenWrt `/var` is in memory, which is what a cache may cost there.
const CACHE: &str = "var/cache/xpkg";

/// How a run is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// The root directory.
    pub root: PathBuf,
    /// Where indexes and packages are kept; `None`: in the root.
    pub cache_dir: Option<PathBuf>,
    /// Use no network.
    pub no_network: bool,
    /// Accept what nobody signed.
    pub allow_untrusted: bool,
    /// Record owners and devices, but do not apply them.
    pub usermode: bool,
    /// What time it is, seconds since 1970.
    pub now: u64,
}

/// A root that was opened and recognised.
pub struct Session {
    pub(crate) options: Options,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) root: LiveRoot,
    pub(crate) system: System,
    pub(crate) arches: Vec<(Ecosystem, String)>,
    pub(crate) sources: Vec<Source>,
    pub(crate) cache: Cache,
    pub(crate) transport: Transport,
    /// Package files that a person named, verified.
    pub(crate) local: Vec<Arc<FetchedPackage>>,
    pub(crate) permissions: xpkg_install::Options,
    pub(crate) layer: LayerPolicy,
    /// The root's libraries as this run has read them; nothing after they may have changed.
    pub(crate) libraries: Option<Arc<Vec<Library>>>,
    /// What a probe under the root's own loader said of DT_RELR; `None` where none was run.
    pub(crate) relr_probe: Option<bool>,
}

impl Session {
    /// Opens a root. Writes nothing to it.
    pub fn open(options: Options, observer: Arc<dyn Observer>) -> Result<Self, Error> {
        let ownership = if options.usermode { Ownership::Ignore } else { Ownership::Apply };
        let root = LiveRoot::open(&options.root, ownership)?;
        let system = identify(&root, &options.root)?;
        let arches = xpkg_repos::sources::arch_words(&root, system.native, &[])?;
        let mut sources = xpkg_repos::sources::load(&root, system.native, &arches)?;
        if options.allow_untrusted {
            for source in &mut sources {
                source.trust = xpkg_repos::Trust::None;
            }
        }
        let cache = open_cache(&options, &root)?;
        let transport = Transport::new(xpkg_repos::transport::Options {
            no_network: options.no_network,
            ..xpkg_repos::transport::Options::default()
        });
        Ok(Self {
            options,
            observer,
            root,
            system,
            arches,
            sources,
            cache,
            transport,
            local: Vec::new(),
            permissions: xpkg_install::Options::default(),
            layer: LayerPolicy::Auto,
            libraries: None,
            relr_probe: None,
        })
    }

    /// The world whose manager owns the root.
    pub fn native(&self) -> Ecosystem {
        self.system.native
    }

    /// Every source of the root, enabled or not.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// What is on the root.
    pub fn installed(&self) -> Result<Installed, Error> {
        Ok(xpkg_install::installed::read(&self.root, self.system.native)?)
    }

    /// The indexes that were fetched.
    pub(crate) fn catalogue(&self) -> Result<Catalogue, Error> {
        Ok(Catalogue::open(&self.cache, &self.enabled())?)
    }

    pub(crate) fn enabled(&self) -> Vec<Source> {
        self.sources.iter().filter(|s| s.enabled).cloned().collect()
    }

    /// Reads the sources anew, after they were changed.
    pub(crate) fn reload_sources(&mut self) -> Result<(), Error> {
        self.sources = xpkg_repos::sources::load(&self.root, self.system.native, &self.arches)?;
        Ok(())
    }

    /// Whether this run may change the root.
    pub(crate) fn writable(&self) -> bool {
        writable(&self.options.root)
    }
}

/// Where a path of the root lies on this machine. Links are followed inside the root.
fn outside(root: &LiveRoot, path: &RelPath) -> Result<PathBuf, Error> {
    let real = root.real_path(path, true).map_err(Error::io(format!("following {path}")))?;
    Ok(root.dir().join(real.as_path()))
}

fn open_cache(options: &Options, root: &LiveRoot) -> Result<Cache, Error> {
    let dir = match &options.cache_dir {
        Some(dir) => dir.clone(),
        None => outside(root, &RelPath::literal(CACHE))?,
    };
    if writable(&dir) { Ok(Cache::open(dir)?) } else { Ok(Cache::read_only(dir)) }
}

/// Whether a directory, or the nearest one above it that exists, can be written to: an ordinary user may still ask.
fn writable(dir: &Path) -> bool {
    let existing = dir.ancestors().find(|d| d.exists());
    existing.is_some_and(|d| rustix::fs::access(d, rustix::fs::Access::WRITE_OK).is_ok())
}
