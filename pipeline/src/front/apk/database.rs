//! Opens a root as apk would: database, world, architectures, repositories, and every package that is known. Creating an
//! empty database is the only thing it writes, and only when asked.

use std::sync::Arc;

use xpkg_formats::apk::db::{self, Generation, InstalledRecord};
use xpkg_formats::keys::Keyring;
use xpkg_install::live::{LiveRoot, Ownership};
use xpkg_install::native::NativeApk;
use xpkg_install::target::Target;
use xpkg_model::root::RootView;
use xpkg_model::{Dependency, Ecosystem, Observer, Package, RelPath};
use xpkg_repos::Transport;

use super::error::io_words;
use super::places::{self, Place};
use super::settings::of_root;
use super::universe::Universe;
use super::{Error, Settings, keys};
use crate::configure::{self, Change};

/// Largest small file read.
const MAX_TEXT: u64 = 1 << 20;

/// What a verb needs of a root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Need {
    /// It will be changed: locked now, and recovered from what was interrupted.
    pub write: bool,
    /// What is installed does not matter, and may be missing.
    pub without_state: bool,
    /// No repository is looked at.
    pub without_repositories: bool,
    /// Indexes are fetched: always, or when they are old.
    pub refresh: Refresh,
}

/// When an index is fetched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Refresh {
    /// Never: what is cached counts.
    #[default]
    Never,
    /// When the cached one is older than `--cache-max-age`.
    WhenOld,
    /// Now.
    Always,
}

/// An open root.
pub struct Database {
    /// What was asked for.
    pub settings: Settings,
    /// Whose words and habits the root has.
    pub generation: Generation,
    /// Architectures that may be installed, the main one first.
    pub arches: Vec<String>,
    /// The repositories, in apk's order.
    pub places: Vec<Place>,
    /// What is installed, in the database's order.
    pub installed: Vec<InstalledRecord>,
    /// What a person asked for.
    pub world: Vec<Dependency>,
    /// Why the file of `--repositories-file` could not be read.
    pub unread: Option<String>,
    /// Every package that is installed or offered.
    pub universe: Universe,
    /// What each repository offers, in its index's order.
    pub(super) offers: Vec<Vec<Arc<Package>>>,
    pub(super) native: Ecosystem,
    pub(super) root: LiveRoot,
    pub(super) keys: Keyring,
    pub(super) transport: Transport,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) cache: RelPath,
}

impl Database {
    /// Opens a root.
    pub fn open(settings: Settings, need: Need, observer: Arc<dyn Observer>) -> Result<Self, Error> {
        let lock_failed = |why: String| Error::Database {
            doing: if need.write { "Unable to lock database" } else { "Unable to read database" },
            why,
        };
        if settings.initdb {
            std::fs::create_dir_all(&settings.root).map_err(|e| lock_failed(io_words(&e)))?;
        }
        let ownership = if settings.usermode { Ownership::Ignore } else { Ownership::Apply };
        let mut root = LiveRoot::open(&settings.root, ownership).map_err(|e| lock_failed(words(&e)))?;
        if settings.initdb {
            create(&mut root, &settings, observer.as_ref())?;
        }
        let there = root.node(&RelPath::literal(db::INSTALLED)).map_err(Error::io("reading the database"))?.is_some();
        if !there && !need.without_state {
            return Err(lock_failed("No such file or directory".to_owned()));
        }
        if need.write && !settings.simulate {
            root.lock().map_err(|e| lock_failed(words(&e)))?;
            root.recover(observer.as_ref())?;
        }
        let (generation, native) = of_root(&root);
        let (mut installed, mut world) = (Vec::new(), Vec::new());
        if let (false, Some(apk)) = (need.without_state, NativeApk::detect(&root, native)?) {
            apk.each(&root, &mut |record| {
                installed.push(record);
                Ok(())
            })?;
            world = apk.world(&root)?;
        }
        let arches = arches(&root, &settings)?;
        let main = arches.first().cloned().unwrap_or_default();
        let places::Places { all: places, unread } = match need.without_repositories {
            true => places::Places::default(),
            false => places::load(&root, &settings, &main)?,
        };
        let cache = cache(&root, &settings)?;
        // apk 2 makes the directory, apk 3 wants it to be there.
        if settings.cache_dir.is_some() && generation == Generation::Apk3 {
            let there = root.node(&cache).map_err(Error::io("reading the cache"))?.is_some();
            if !there {
                return Err(Error::Database {
                    doing: "Unable to setup the cache",
                    why: "No such file or directory".to_owned(),
                });
            }
        }
        let mut transport = xpkg_repos::transport::Options { no_network: settings.no_network, ..Default::default() };
        if let Some(seconds) = settings.timeout {
            transport.timeout = std::time::Duration::from_secs(seconds.clamp(1, 3600));
        }
        let mut database = Self {
            keys: keys::keyring(&root, settings.keys_dir.as_deref())?,
            cache,
            transport: Transport::new(transport),
            universe: Universe::default(),
            offers: Vec::new(),
            settings,
            generation,
            arches,
            places,
            unread,
            installed,
            world,
            native,
            root,
            observer,
        };
        database.universe.install(&database.installed);
        database.load(need.refresh)?;
        database.universe.settle();
        Ok(database)
    }

    /// The record of an installed package.
    pub fn record(&self, name: &str) -> Option<&InstalledRecord> {
        self.universe.installed(name).and_then(|known| self.installed.get(known.installed?))
    }

    /// Bytes that the installed packages say they take.
    pub fn installed_bytes(&self) -> u64 {
        self.installed.iter().map(|r| r.package.installed_size).fold(0, u64::saturating_add)
    }

    /// Distinct directories and files of the installed packages, as apk counts them.
    pub fn counts(&self) -> (usize, usize) {
        // The root is a directory too, whether or not a package says so.
        let root = RelPath::root();
        let dirs: std::collections::BTreeSet<&RelPath> =
            self.installed.iter().flat_map(|r| &r.dirs).map(|d| &d.path).chain([&root]).collect();
        (dirs.len(), self.installed.iter().map(|r| r.files().count()).sum())
    }

    /// How many trigger scripts there are.
    pub fn trigger_count(&self) -> Result<usize, Error> {
        let Some(apk) = NativeApk::detect(&self.root, self.native)? else { return Ok(0) };
        Ok(apk.triggers(&self.root)?.len())
    }

    /// Repository tags that are in use.
    pub fn has_tag(&self, tag: &str) -> bool {
        self.places.iter().any(|place| place.tag.as_deref() == Some(tag))
    }
}

fn words(error: &xpkg_install::Error) -> String {
    match error {
        xpkg_install::Error::Io { source, .. } => io_words(source),
        xpkg_install::Error::Locked { .. } => "Resource temporarily unavailable".to_owned(),
        xpkg_install::Error::NoPermission { .. } => "Permission denied".to_owned(),
        other => other.to_string(),
    }
}

/// `--initdb`: an empty database, as far as there is none.
fn create(root: &mut LiveRoot, settings: &Settings, observer: &dyn Observer) -> Result<(), Error> {
    let generation = of_root(root).0;
    let scripts = if generation == Generation::Apk2 { db::SCRIPTS_TAR } else { db::SCRIPTS_TAR_GZ };
    let mut changes = Vec::new();
    let mut missing = |path: &'static str, bytes: Vec<u8>| -> Result<(), Error> {
        let path = RelPath::literal(path);
        if root.node(&path).map_err(Error::io(format!("reading {path}")))?.is_none() {
            changes.push((path, Change::Write(bytes)));
        }
        Ok(())
    };
    missing(db::INSTALLED, Vec::new())?;
    missing(db::TRIGGERS, Vec::new())?;
    let packing = if scripts == db::SCRIPTS_TAR { db::scripts::Packing::Plain } else { db::scripts::Packing::Gzip };
    let empty = db::ScriptsWriter::new(Vec::new(), packing).finish();
    missing(scripts, empty.map_err(Error::io("writing the scripts"))?)?;
    missing(db::WORLD, Vec::new())?;
    if !settings.arch.is_empty() {
        missing(db::ARCH, (settings.arch.join("\n") + "\n").into_bytes())?;
    } else if let Some(word) = own_arch() {
        missing(db::ARCH, format!("{word}\n").into_bytes())?;
    }
    if changes.is_empty() {
        return Ok(());
    }
    configure::apply(root, &changes, observer)?;
    Ok(())
}

/// What may be installed: `--arch`, else `/etc/apk/arch`, else what this program was built for.
pub(super) fn arches(root: &LiveRoot, settings: &Settings) -> Result<Vec<String>, Error> {
    let path = RelPath::literal(db::ARCH);
    let text = root.read(&path, MAX_TEXT).map_err(Error::io(format!("reading {path}")))?.unwrap_or_default();
    // apk 2 keeps to what the root was made for.
    let fixed = !settings.initdb && !text.trim_ascii().is_empty() && of_root(root).0 == Generation::Apk2;
    if !settings.arch.is_empty() && !fixed {
        return Ok(settings.arch.clone());
    }
    let words: Vec<String> = String::from_utf8_lossy(&text).split_ascii_whitespace().map(str::to_owned).collect();
    Ok(if words.is_empty() { own_arch().map(str::to_owned).into_iter().collect() } else { words })
}

/// apk's word for the machine this program was built for.
pub(super) fn own_arch() -> Option<&'static str> {
    Some(match std::env::consts::ARCH {
        "x86_64" => "x86_64",
        "x86" => "x86",
        "aarch64" => "aarch64",
        "arm" => "armv7",
        "riscv64" => "riscv64",
        "loongarch64" => "loongarch64",
        "powerpc64" => "ppc64le",
        "s390x" => "s390x",
        _ => return None,
    })
}

/// Where indexes are cached: `--cache-dir`, else the directory that /etc/apk/cache leads to, else /var/cache/apk.
fn cache(root: &LiveRoot, settings: &Settings) -> Result<RelPath, Error> {
    if let Some(dir) = &settings.cache_dir {
        return keys::below_root(dir);
    }
    let own = RelPath::literal("etc/apk/cache");
    let there = root.node(&own).map_err(Error::io(format!("reading {own}")))?.is_some();
    Ok(if there { own } else { RelPath::literal("var/cache/apk") })
}
