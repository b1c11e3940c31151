//! What apk's global options say, as a value. Reads no command line: that is the command line's business.

use std::path::{Path, PathBuf};

use xpkg_formats::apk::db::{self, Generation};
use xpkg_install::live::{LiveRoot, Ownership};
use xpkg_model::root::RootView;
use xpkg_model::{Ecosystem, RelPath};

/// How old an index may be before a verb that changes something fetches it anew (apk-tools: four hours).
const MAX_AGE: u64 = 4 * 60 * 60;
/// The database is read as far as its `apk-tools` entry; the rest says nothing about the generation.
const MAX_SCAN: u64 = 64 << 20;

/// How a run of the front is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `--root`
    pub root: PathBuf,
    /// `--arch`, the first being the main one.
    pub arch: Vec<String>,
    /// `--keys-dir`, below the root.
    pub keys_dir: Option<PathBuf>,
    /// `--repositories-file`, of this machine.
    pub repositories_file: Option<PathBuf>,
    /// `--repository`
    pub repositories: Vec<String>,
    /// `--repository-config`
    pub repository_configs: Vec<String>,
    /// `--cache-dir`, below the root.
    pub cache_dir: Option<PathBuf>,
    /// `--no-cache`
    pub no_cache: bool,
    /// Seconds; `--cache-max-age`, `--update-cache`.
    pub cache_max_age: u64,
    /// `--force-refresh`
    pub force_refresh: bool,
    /// `--no-network`
    pub no_network: bool,
    /// `--allow-untrusted`
    pub allow_untrusted: bool,
    /// `--force-missing-repositories`
    pub force_missing_repositories: bool,
    /// `--force-broken-world`
    pub force_broken_world: bool,
    /// `--force-overwrite`
    pub force_overwrite: bool,
    /// `--simulate`
    pub simulate: bool,
    /// `--no-scripts`
    pub no_scripts: bool,
    /// `--no-commit-hooks`
    pub no_commit_hooks: bool,
    /// `--purge`
    pub purge: bool,
    /// `--clean-protected`
    pub clean_protected: bool,
    /// `--usermode`, `--no-chown`
    pub usermode: bool,
    /// `--initdb`
    pub initdb: bool,
    /// `--timeout`, seconds.
    pub timeout: Option<u64>,
    /// Seconds since 1970.
    pub now: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            root: PathBuf::from("/"),
            arch: Vec::new(),
            keys_dir: None,
            repositories_file: None,
            repositories: Vec::new(),
            repository_configs: Vec::new(),
            cache_dir: None,
            no_cache: false,
            cache_max_age: MAX_AGE,
            force_refresh: false,
            no_network: false,
            allow_untrusted: false,
            force_missing_repositories: false,
            force_broken_world: false,
            force_overwrite: false,
            simulate: false,
            no_scripts: false,
            no_commit_hooks: false,
            purge: false,
            clean_protected: false,
            usermode: false,
            initdb: false,
            timeout: None,
            now: 0,
        }
    }
}

/// Whose words a root expects: those of apk 2 where its database names an apk-tools 2, else those of apk 3.
pub fn generation(root: &Path) -> Generation {
    LiveRoot::open(root, Ownership::Ignore).map_or(Generation::Apk3, |root| of_root(&root).0)
}

/// The generation of a root's apk and the world it belongs to. A root that says nothing is treated as apk 3's.
pub(super) fn of_root(root: &LiveRoot) -> (Generation, Ecosystem) {
    let world = xpkg_install::native::ecosystem(root);
    let major = (world != Some(Ecosystem::Openwrt)).then(|| apk_major(root)).flatten();
    let generation = if major == Some(2) { Generation::Apk2 } else { Generation::Apk3 };
    (generation, world.unwrap_or(Ecosystem::Alpine))
}

fn apk_major(root: &LiveRoot) -> Option<u32> {
    use std::io::BufRead as _;
    let file = root.open(&RelPath::literal(db::INSTALLED)).ok()??;
    let mut named = false;
    for line in std::io::BufReader::new(std::io::Read::take(file, MAX_SCAN)).split(b'\n') {
        let line = line.ok()?;
        match line.split_first_chunk::<2>() {
            Some((b"P:", name)) => named = name == b"apk-tools",
            Some((b"V:", version)) if named => {
                return std::str::from_utf8(version).ok()?.split('.').next()?.parse().ok();
            }
            _ => {}
        }
    }
    None
}

/// Adds to the root's log.
pub fn append_log(settings: &Settings, text: &str) -> Result<(), super::Error> {
    let root = LiveRoot::open(&settings.root, Ownership::Ignore)?;
    Ok(root.append(&RelPath::literal("var/log/apk.log"), text.as_bytes())?)
}

/// The architecture that this program was built for, in apk's words.
pub fn built_for() -> &'static str {
    super::database::own_arch().unwrap_or(std::env::consts::ARCH)
}

/// What `--print-arch` shows.
pub fn main_arch(settings: &Settings) -> String {
    let root = LiveRoot::open(&settings.root, Ownership::Ignore);
    let arches = root.ok().and_then(|root| super::database::arches(&root, settings).ok()).unwrap_or_default();
    arches.into_iter().next().unwrap_or_else(|| built_for().to_owned())
}

/// Whether this process has root's rights.
pub fn is_superuser() -> bool {
    rustix::process::geteuid().is_root()
}
