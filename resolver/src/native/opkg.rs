//! opkg's own decisions, re-created from what the program does (OpenWrt's opkg of 19.07 to 24.10 is the model): no
//! solver, but a walk that installs, removes and configures as it goes. Never touches a file: what has to be done to a
//! root is asked of [`Hands`], which answer whether it could be done, and the walk goes on as opkg would.
//!
//! [`Database`] holds every package that the lists and the status files describe, under every name that anybody uses;
//! [`Opkg`] walks it. The rules, each noted where it is followed:
//! a dependency is met by any package that has or provides the name and whose *own* version fits; equal versions fit any
//! relation; of several candidates the last one by name, version and architecture priority is taken; a name that something
//! both replaces and conflicts with is given by that one instead; packages are configured after all are unpacked,
//! dependencies first, in the order of a hash table.

mod candidate;
mod configure;
mod database;
mod describe;
mod flags;
mod hands;
mod install;
mod load;
mod names;
mod needs;
mod query;
mod remove;
mod upgrade;

#[cfg(test)]
mod cases;

pub use database::{Database, Package, PackageId};
pub use describe::{Described, Field, Possibility, Requires, Strength, shown_version};
pub use flags::{Flags, State, Status, Want};
pub use hands::{Hands, Incoming, Level, Outgoing};
pub use query::Relation;

/// Where a package stands in the order of opkg's walks and status files: the chain of its name. Within a chain packages
/// stand as they came.
pub fn walk_order(name: &str) -> u64 {
    names::chain(name)
}

/// How two versions stand to each other.
pub fn compare_versions(left: &str, right: &str) -> std::cmp::Ordering {
    database::versions(left, right)
}

/// What a person allowed or forbade on the command line or in the configuration.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Accepted architectures and their priorities, in the order of the configuration.
    pub arches: Vec<(String, i64)>,
    /// Destinations by name, in the order of the configuration; the first is the default unless [`Settings::dest`] says so.
    pub dests: Vec<String>,
    /// Index of the default destination.
    pub dest: usize,
    /// Only packages of the default destination are looked at (`-d`).
    pub only_dest: bool,
    /// `--force-depends`.
    pub force_depends: bool,
    /// `--force-downgrade`.
    pub force_downgrade: bool,
    /// `--force-reinstall`.
    pub force_reinstall: bool,
    /// `--force-removal-of-dependent-packages`.
    pub force_removal_of_dependents: bool,
    /// `--force-removal-of-essential-packages`.
    pub force_removal_of_essential: bool,
    /// `--force-remove`.
    pub force_remove: bool,
    /// `--nodeps`.
    pub no_deps: bool,
    /// `--noaction`.
    pub no_action: bool,
    /// `--download-only`.
    pub download_only: bool,
    /// `--autoremove`.
    pub autoremove: bool,
    /// `--nocase`.
    pub no_case: bool,
    /// `-A`.
    pub query_all: bool,
    /// `--size`.
    pub size: bool,
}

/// One run of opkg over a [`Database`].
pub struct Opkg<'h> {
    /// Everything that is known; changed as the walk goes.
    pub database: Database,
    settings: Settings,
    hands: &'h mut dyn Hands,
    /// Something was changed that the status files have to say.
    changed: bool,
}

impl<'h> Opkg<'h> {
    /// Starts over what was loaded.
    pub fn new(database: Database, settings: Settings, hands: &'h mut dyn Hands) -> Self {
        Self { database, settings, hands, changed: false }
    }

    /// Whether the status files have to be written.
    pub fn changed(&self) -> bool {
        self.changed
    }

    /// Lines of a message end as opkg ends them: its collected errors are pieces, some without a line's end.
    fn notice(&mut self, text: String) {
        self.hands.say(Level::Notice, text + "\n");
    }

    /// `function` is the word that opkg puts before its errors; scripts that read them know it.
    fn error(&mut self, function: &str, text: String) {
        self.hands.say(Level::Error, format!("{function}: {text}\n"));
    }

    fn info(&mut self, function: &str, text: String) {
        self.hands.say(Level::Info, format!("{function}: {text}\n"));
    }

    /// Lets the hands carry out what was asked for.
    fn settle(&mut self) -> bool {
        let present = self.database.present();
        let named = present.into_iter().map(|id| &self.database[id]).filter(|p| p.flags.any(Flags::USER));
        let named: Vec<String> = named.map(|p| p.name().to_owned()).collect();
        self.hands.settle(&named)
    }

    /// Name of the destination that a package is or will be on.
    fn dest(&self, id: PackageId) -> String {
        let dest = self.database[id].dest.unwrap_or(self.settings.dest);
        self.settings.dests.get(dest).cloned().unwrap_or_else(|| "root".to_owned())
    }
}
