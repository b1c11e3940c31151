//! Filling a [`Database`]: the lists in full, or only as far as what was asked for reaches; and the status files.

use super::database::Database;
use super::describe::Described;
use super::flags::Flags;
use super::hands::{Hands, Level};
use super::{Settings, shown_version};

impl Database {
    /// Takes in every stanza of the lists, in the order of the configuration: what all verbs but `install` do.
    pub fn load_all(&mut self, lists: &[Described], settings: &Settings, hands: &mut dyn Hands) {
        self.pass(lists, true, false, settings, hands);
    }

    /// Takes in status files, in the order of the destinations.
    pub fn load_status(&mut self, stanzas: &[Described], settings: &Settings, hands: &mut dyn Hands) {
        self.pass(stanzas, true, true, settings, hands);
    }

    /// Says that a name was asked for.
    pub fn ask_for(&mut self, name: &str) {
        let id = self.names.ensure(name);
        self.names[id].wanted = true;
    }

    /// Takes in a package file that a person named; it wins over other versions of its name.
    pub fn take_file(&mut self, described: &Described, settings: &Settings) {
        let (mut package, _) = self.meet(described, true);
        package.arch_priority = priority(settings, &package.package.arch);
        package.want = super::Want::Install;
        package.flags.set(Flags::PREFER | Flags::DETAIL);
        self.keep(package, true);
    }

    /// Takes in what is asked for and whatever that leads to: the lists are read again until a reading brings no name
    /// that was not wanted before, and each reading counts what it meets anew.
    pub fn load_wanted(&mut self, lists: &[Described], settings: &Settings, hands: &mut dyn Hands) {
        loop {
            self.pass(lists, false, false, settings, hands);
            let fresh: Vec<_> =
                self.names.walk().into_iter().filter(|id| self.names[*id].wanted && !self.names[*id].marked).collect();
            if fresh.is_empty() {
                return;
            }
            for id in fresh {
                self.names[id].marked = true;
            }
        }
    }

    fn pass(&mut self, stanzas: &[Described], all: bool, set_status: bool, settings: &Settings, hands: &mut dyn Hands) {
        for described in stanzas {
            let (mut package, wanted) = self.meet(described, all);
            if !wanted {
                continue;
            }
            package.flags.set(Flags::DETAIL);
            package.arch_priority = priority(settings, &package.package.arch);
            if package.arch_priority == 0 {
                let version = shown_version(&package.package.version);
                let text =
                    format!("Package {} version {version} has no valid architecture, ignoring.\n", package.name());
                hands.say(Level::Notice, text);
                continue;
            }
            self.keep(package, set_status);
        }
    }
}

/// Priority of an architecture; 0 when it is not accepted.
fn priority(settings: &Settings, arch: &str) -> i64 {
    settings.arches.iter().find(|(name, _)| name == arch).map_or(0, |(_, priority)| *priority)
}
