//! What may be typed. Parsing only; every command's work is in its own file under `commands/`.

mod package;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use package::{Convert, Format, Index, KeyKind, Package};

/// OpenWrt and Alpine packages on one root.
#[derive(Debug, Parser)]
#[command(name = "xpkg", version, propagate_version = true, max_term_width = 110, arg_required_else_help = true)]
#[command(after_help = crate::fronts::HELP)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Options that every command takes.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// Work on the root file system in DIR instead of `/`
    #[arg(long, global = true, value_name = "DIR", default_value = "/")]
    pub root: PathBuf,
    /// Answer in JSON on standard output
    #[arg(long, global = true)]
    pub json: bool,
    /// Show what would be done and change nothing
    #[arg(long, global = true, alias = "simulate")]
    pub dry_run: bool,
    /// With --dry-run: fetch what the plan needs into the cache, so that nothing stays `unchecked`
    #[arg(long, global = true)]
    pub fetch: bool,
    /// Do not ask
    #[arg(short, long, global = true, visible_alias = "assume-yes")]
    pub yes: bool,
    /// Use only what is in the cache and on this machine
    #[arg(long, global = true, alias = "offline")]
    pub no_network: bool,
    /// Accept packages and indexes that nobody signed
    #[arg(long, global = true)]
    pub allow_untrusted: bool,
    /// Do not run maintainer scripts and triggers
    #[arg(long, global = true)]
    pub no_scripts: bool,
    /// Do not apply owners and devices: for an ordinary user and a root of one's own
    #[arg(long, global = true)]
    pub usermode: bool,
    /// Say more; twice: what the libraries note
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Say only what failed
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Keep indexes and packages in DIR (default: ROOT/var/cache/xpkg)
    #[arg(long, global = true, value_name = "DIR")]
    pub cache_dir: Option<PathBuf>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Fetch and verify the indexes of all sources
    Update(Update),
    /// Find packages by name or description
    Search(Search),
    /// Show a package
    #[command(visible_alias = "show")]
    Info(Info),
    /// Install packages: `alpine:tmux`, `openwrt:procd`, `tmux`, `tmux=3.3a-r2`, `./file.apk`
    #[command(visible_alias = "add")]
    Install(Install),
    /// Upgrade all packages, or those named
    Upgrade(Upgrade),
    /// Remove packages and what only they needed
    #[command(visible_aliases = ["del", "rm", "uninstall"])]
    Remove(Remove),
    /// Remove what was installed for others and is no longer needed
    Autoremove,
    /// Keep packages at their version, or let them go again
    Hold(Hold),
    /// List installed packages
    #[command(visible_aliases = ["list-installed", "ls"])]
    List(List),
    /// List the files of an installed package
    #[command(alias = "contents")]
    Files(Files),
    /// Say which package a path belongs to
    #[command(visible_alias = "who-owns")]
    Owns(Owns),
    /// Say why a package is here, or could not be
    Why(Why),
    /// Check programs and libraries against this root's loader: a package, a file, or everything
    Check(Check),
    /// Download packages without installing them
    #[command(alias = "download")]
    Fetch(Fetch),
    /// Look after services, of both worlds
    #[command(subcommand)]
    Service(Service),
    /// Look after the cache
    #[command(subcommand)]
    Cache(Cache),
    /// Look after the package sources
    #[command(subcommand, visible_alias = "repo")]
    Source(Source),
    /// Look after the keys that sources are trusted by
    #[command(subcommand)]
    Key(Key),
    /// Build images
    #[command(subcommand)]
    Image(Image),
    /// Make, inspect, verify, extract and sign package files
    #[command(subcommand, visible_alias = "pkg")]
    Package(Package),
    /// Write the index of a directory of packages
    Index(Index),
    /// Make packages of one format from packages of another
    Convert(Convert),
    /// Show the whole bridge on generated roots and feeds; needs no network and no root rights
    #[cfg(feature = "demo")]
    Demo(Demo),
    /// Print completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages into a directory
    Man {
        /// Where to
        dir: PathBuf,
    },
}

#[derive(Debug, Args)]
pub struct Update {
    /// Accept an index older than one seen before (a mirror that went back in time, or an attack)
    #[arg(long)]
    pub allow_older: bool,
    /// Only these sources
    pub sources: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Search {
    /// Part of a name or description; `*` and `?` match a whole name
    #[arg(required = true)]
    pub patterns: Vec<String>,
    /// Look at names only
    #[arg(short, long)]
    pub name_only: bool,
}

#[derive(Debug, Args)]
pub struct Info {
    /// Packages
    #[arg(required = true)]
    pub packages: Vec<String>,
}

/// What is common to commands that change a root.
#[derive(Clone, Debug, Default, Args)]
pub struct Change {
    /// Let a foreign tool replace a busybox applet or an alternatives link; removal brings the link back
    #[arg(long)]
    pub replace_applets: bool,
    /// Overwrite files that no package owns
    #[arg(long)]
    pub overwrite: bool,
    /// Private layer of foreign packages: where it is needed, never, or always
    #[arg(long, value_enum, default_value_t = Layer::Auto, value_name = "WHEN")]
    pub layer: Layer,
}

/// When foreign packages live with a loader and libraries of their own world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Layer {
    /// Where the root's own cannot carry them
    #[default]
    Auto,
    /// What cannot live among the root's own files is refused
    Never,
    /// Even where the root's own would do
    Always,
}

#[derive(Debug, Args)]
pub struct Install {
    /// Packages or package files
    #[arg(required = true)]
    pub packages: Vec<String>,
    /// Add the release that fits this root when a world has no source yet (asked on a terminal)
    #[arg(long)]
    pub add_source: bool,
    #[command(flatten)]
    pub change: Change,
}

#[derive(Debug, Args)]
pub struct Upgrade {
    /// Only these
    pub packages: Vec<String>,
    #[command(flatten)]
    pub change: Change,
}

#[derive(Debug, Args)]
pub struct Remove {
    /// Packages
    #[arg(required = true)]
    pub packages: Vec<String>,
    /// Remove what depends on them too
    #[arg(short = 'r', long, alias = "rdepends")]
    pub cascade: bool,
}

#[derive(Debug, Args)]
pub struct Hold {
    /// Packages
    #[arg(required = true)]
    pub packages: Vec<String>,
    /// Let them go again
    #[arg(long, alias = "off")]
    pub release: bool,
}

#[derive(Debug, Args)]
pub struct List {
    /// Only those whose names hold one of these
    pub patterns: Vec<String>,
    /// Only those of the other world
    #[arg(long)]
    pub foreign: bool,
    /// Only those a person asked for
    #[arg(long)]
    pub explicit: bool,
    /// Only those with a newer version
    #[arg(long, alias = "upgradable")]
    pub upgradeable: bool,
}

#[derive(Debug, Args)]
pub struct Files {
    /// Package
    pub package: String,
}

#[derive(Debug, Args)]
pub struct Owns {
    /// Paths
    #[arg(required = true)]
    pub paths: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Why {
    /// Package or capability
    pub name: String,
}

#[derive(Debug, Args)]
pub struct Check {
    /// Packages, or paths inside the root; nothing: the whole root
    pub targets: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Fetch {
    /// Packages
    #[arg(required = true)]
    pub packages: Vec<String>,
    /// Put them here (default: the current directory)
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    pub output: PathBuf,
    /// And everything that installing them here would need
    #[arg(short = 'R', long)]
    pub recursive: bool,
}

#[derive(Debug, Subcommand)]
pub enum Service {
    /// List services: what runs, what is enabled, and where it stands in the start order
    #[command(visible_alias = "ls")]
    List,
    /// Say whether services run; exit status 1 when one does not
    Status {
        /// Services
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Start services with the system
    Enable {
        /// Services
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Start them with the system no more
    Disable {
        /// Services
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Start services now
    Start {
        /// Services
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Stop services now
    Stop {
        /// Services
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Stop and start services
    Restart {
        /// Services
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Have services read their configuration again
    Reload {
        /// Services
        #[arg(required = true)]
        names: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub enum Cache {
    /// Delete downloaded packages and facts; with --all the indexes too
    Clean {
        /// Indexes too
        #[arg(long)]
        all: bool,
    },
    /// Say where it is and how large
    Info,
}

/// A world, as clap reads it.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum World {
    Alpine,
    Openwrt,
}

/// Whether a source must be signed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Trust {
    Signed,
    None,
}

#[derive(Debug, Subcommand)]
pub enum Source {
    /// Add a source: `NAME URL --ecosystem WORLD`, or a release that xpkg knows: `alpine@v3.19`
    Add {
        /// Name, or a known release
        name: String,
        /// Index, or directory that holds it; several make one source each
        urls: Vec<String>,
        /// Which world its packages belong to
        #[arg(long, visible_alias = "world")]
        ecosystem: Option<World>,
        /// Directory or file with the public keys it is signed with
        #[arg(long, value_name = "DIR")]
        keys: Option<PathBuf>,
        /// Whether it must be signed
        #[arg(long, value_enum)]
        trust: Option<Trust>,
        /// Higher wins among sources of one world
        #[arg(long, allow_negative_numbers = true)]
        priority: Option<i32>,
    },
    /// List sources
    #[command(visible_alias = "ls")]
    List,
    /// Forget a source
    #[command(visible_aliases = ["rm", "del"])]
    Remove {
        /// Its name
        name: String,
    },
    /// Use it again
    Enable {
        /// Its name
        name: String,
    },
    /// Keep it but do not use it
    Disable {
        /// Its name
        name: String,
    },
    /// Change a setting: `url`, `priority`, `trust`
    Set {
        /// Its name
        name: String,
        /// `key=value`
        #[arg(required = true)]
        settings: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub enum Key {
    /// Make a key pair: FILE and FILE.pub
    Generate {
        /// Where the secret half goes
        file: PathBuf,
        /// What kind
        #[arg(long = "type", value_enum, default_value = "p256")]
        kind: KeyKind,
    },
    /// List the keys of every source
    #[command(visible_alias = "ls")]
    List,
    /// Add a public key to a source
    Add {
        /// The source it vouches for
        source: String,
        /// PEM or usign file
        file: PathBuf,
    },
    /// Take a key away from a source
    #[command(visible_aliases = ["rm", "del"])]
    Remove {
        /// The source
        source: String,
        /// File name of the key
        key: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum Image {
    /// Build the image that a file describes
    Build {
        /// image.toml
        file: PathBuf,
        /// Where to write it (default: the file's own `output`)
        #[arg(short, long)]
        output: Option<PathBuf>,
        /// Accepted, and without effect yet: the squashfs writer compresses with one thread. The bytes never depend on it
        #[arg(short = 'j', long)]
        threads: Option<std::num::NonZeroUsize>,
    },
}

#[cfg(feature = "demo")]
#[derive(Debug, Args)]
pub struct Demo {
    /// Make it here and keep it (default: a directory of its own under the system's temporary directory)
    pub dir: Option<PathBuf>,
}
