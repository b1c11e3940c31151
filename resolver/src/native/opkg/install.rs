//! Installing: one package after the other, what each needs before it, as opkg goes.

use super::database::PackageId;
use super::describe::Strength;
use super::flags::{Flags, Status, Want};
use super::hands::{Incoming, Level};
use super::{Opkg, PackageId as Id};

/// Something could not be done; why was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed;

pub(super) type Outcome = Result<(), Failed>;

impl Opkg<'_> {
    /// `opkg install NAMES`. `time` is what becomes `Installed-Time`. Answers whether everything went well.
    pub fn install(&mut self, names: &[String], time: u64) -> bool {
        if self.settings.force_reinstall {
            let saved = std::mem::replace(&mut self.settings.force_depends, true);
            self.remove(names);
            self.settings.force_depends = saved;
            self.settings.force_reinstall = false;
        }
        let mut well = true;
        for name in names {
            if self.install_by_name(name, time).is_err() {
                self.error("opkg_install_cmd", format!("Cannot install package {name}."));
                well = false;
            }
        }
        well & self.configure(None)
    }

    pub(super) fn install_by_name(&mut self, name: &str, time: u64) -> Outcome {
        let old = self.database.installed(name);
        let Some(new) = self.candidate_by_name(name) else {
            self.notice(format!("Unknown package '{name}'."));
            return Err(Failed);
        };
        self.database[new].flags.set(Flags::USER);
        if let Some(old) = old {
            let order = self.database[old].compare(&self.database[new]);
            if order.is_eq() {
                let package = &self.database[old];
                let text = format!(
                    "Package {} ({}) installed in {} is up to date.",
                    package.name(),
                    package.version(),
                    self.dest(old)
                );
                self.notice(text);
                return Ok(());
            }
            if order.is_gt() && !self.settings.force_downgrade {
                self.not_downgrading(old, new);
                return Ok(());
            }
            self.database[new].dest = self.database[old].dest;
            self.database[old].want = Want::Deinstall;
        }
        self.install_package(new, false, time)
    }

    pub(super) fn not_downgrading(&mut self, old: Id, new: Id) {
        let text = format!(
            "Not downgrading package {} on {} from {} to {}.",
            self.database[old].name(),
            self.dest(old),
            self.database[old].version(),
            self.database[new].version()
        );
        self.notice(text);
    }

    /// Installs what `id` needs and then itself. `upgrade` only changes how it is told.
    pub(super) fn install_package(&mut self, id: Id, upgrade: bool, time: u64) -> Outcome {
        if self.database[id].status == Status::Installed && !self.settings.no_deps {
            self.install_needs(id, time)?;
            let text = format!("Package {} is already installed on {}.", self.database[id].name(), self.dest(id));
            self.notice(text);
            return Ok(());
        }
        let default = self.settings.dest;
        self.database[id].dest.get_or_insert(default);
        let old = self.database.installed(&self.database[id].package.name.clone());
        self.announce(id, old, upgrade)?;
        self.database[id].want = Want::Install;
        if let Some(old) = old {
            self.database[old].want = Want::Deinstall;
        }
        self.refuse_conflicts(id)?;
        if self.database[id].status == Status::Installed {
            return Ok(()); // a circle of needs has installed it
        }
        if !self.ask(id, old, |hands, incoming| hands.has_room(incoming)) {
            return Err(Failed);
        }
        if !self.ask(id, old, |hands, incoming| hands.fetch(incoming)) {
            return Err(Failed);
        }
        self.database[id].fetched = true;
        if self.settings.download_only {
            return if self.settings.no_deps { Ok(()) } else { self.install_needs(id, time) };
        }
        if !self.ask(id, old, |hands, incoming| hands.open(incoming)) {
            return Err(Failed);
        }
        if !self.settings.no_deps {
            self.install_needs(id, time)?;
            if self.database[id].status == Status::Unpacked {
                return Ok(()); // a circle of needs has unpacked it
            }
        }
        self.put(id, old, time)
    }

    /// The part after everything that it needs is there.
    fn put(&mut self, id: Id, old: Option<Id>, time: u64) -> Outcome {
        let replaced = self.replaced(id);
        self.changed = true;
        if let Some(old) = old {
            self.remove_orphans(old);
            self.database[old].upgrade = true;
            self.database[id].upgrade = true;
        }
        let mut outcome = Ok(());
        for replacee in &replaced {
            self.database[*replacee].flags.set(Flags::REPLACE);
            outcome = self.remove_package(*replacee);
            if outcome.is_err() {
                break;
            }
        }
        if outcome.is_ok() && !self.ask(id, old, |hands, incoming| hands.unpack(incoming)) {
            outcome = Err(Failed);
        }
        if outcome.is_err() {
            for replacee in replaced {
                if self.database[replacee].status != Status::Installed {
                    self.install_package(replacee, false, time)?;
                }
            }
            return Err(Failed);
        }
        if self.settings.no_action {
            return Ok(());
        }
        let package = &mut self.database[id];
        package.status = Status::Unpacked;
        package.flags.0 &= !Flags::PREFER;
        package.installed_time = time;
        let name = package.name;
        self.database.names[name].status = Status::Unpacked;
        if let Some(old) = old {
            self.database[old].want = Want::Deinstall;
            self.database[old].status = Status::NotInstalled;
        }
        Ok(())
    }

    fn ask(
        &mut self,
        id: Id,
        old: Option<Id>,
        question: impl FnOnce(&mut dyn super::Hands, &Incoming<'_>) -> bool,
    ) -> bool {
        let package = &self.database[id];
        let old = old.map(|old| &self.database[old]);
        let incoming = Incoming { package, old, dest: package.dest.unwrap_or(self.settings.dest) };
        question(self.hands, &incoming)
    }

    /// Tells what is about to happen; an older or equal version in the place of what is there does not.
    fn announce(&mut self, id: Id, old: Option<Id>, upgrade: bool) -> Outcome {
        let package = &self.database[id];
        let (name, version) = (package.name().to_owned(), package.version());
        let Some(old) = old else {
            let verb = if upgrade { "Upgrading" } else { "Installing" };
            let text = format!("{verb} {name} ({version}) to {}...", self.dest(id));
            if !self.settings.download_only {
                self.notice(text);
            }
            return Ok(());
        };
        let order = self.database[old].compare(package);
        let dest = self.dest(old);
        let from = self.database[old].version();
        let (text, outcome) = match order {
            std::cmp::Ordering::Less => (format!("Upgrading {name} on {dest} from {from} to {version}..."), Ok(())),
            std::cmp::Ordering::Greater if self.settings.force_downgrade => {
                (format!("Downgrading {name} on {dest} from {from} to {version}..."), Ok(()))
            }
            std::cmp::Ordering::Greater => {
                (format!("Not downgrading package {name} on {dest} from {from} to {version}."), Err(Failed))
            }
            std::cmp::Ordering::Equal => (format!("{name} ({version}) already install on {dest}."), Err(Failed)),
        };
        if !self.settings.download_only {
            self.notice(text);
        }
        if outcome.is_ok() {
            self.database[id].dest = self.database[old].dest;
        }
        outcome
    }

    fn install_needs(&mut self, id: Id, time: u64) -> Outcome {
        let mut wanted = Vec::new();
        let mut lost = self.unmet(id, &mut wanted);
        // Told twice only with another one between: two packages of a chain may lack the same.
        lost.dedup();
        if !lost.is_empty() {
            let text = format!("Cannot satisfy the following dependencies for {}:", self.database[id].name());
            self.error("satisfy_dependencies_for", text);
            for need in lost {
                self.hands.say(Level::Error, format!("\t{need}\n"));
            }
            if !self.settings.force_depends {
                let text = "This could mean that your package list is out of date or that the packages\n\
                            mentioned above do not yet exist (try 'opkg update'). To proceed in spite\n\
                            of this problem try again with the '-force-depends' option.";
                self.info("satisfy_dependencies_for", text.to_owned());
                return Err(Failed);
            }
        }
        let dest = self.database[id].dest;
        for need in &wanted {
            let need = &mut self.database[*need];
            need.dest = need.dest.or(dest);
            need.want = Want::Install;
        }
        for need in wanted {
            if !self.database[need].status.present() {
                let outcome = self.install_package(need, false, time);
                self.database[need].auto_installed = true;
                outcome?;
            }
        }
        Ok(())
    }

    /// Packages of a name that it conflicts with, and that are there or on their way, unless it replaces them.
    fn refuse_conflicts(&mut self, id: Id) -> Outcome {
        if self.settings.force_depends {
            return Ok(());
        }
        let package = &self.database[id];
        let mut clashing: Vec<PackageId> = Vec::new();
        for possibility in package.conflicts.iter().flatten() {
            let Some(name) = self.database.names.find(&possibility.name) else { continue };
            for other in self.database.names[name].packages.iter().copied() {
                let theirs = &self.database[other];
                let there = theirs.status == Status::Installed || theirs.want == Want::Install;
                let replaced = package.replaces.iter().any(|r| r == theirs.name());
                if there && theirs.fits(possibility) && !replaced && !self.listed(&clashing, other) {
                    clashing.push(other);
                }
            }
        }
        if clashing.is_empty() {
            return Ok(());
        }
        let text = format!("The following packages conflict with {}:", package.name());
        self.error("check_conflicts_for", text);
        for other in clashing {
            let text = format!("check_conflicts_for: \t{}", self.database[other].name());
            self.hands.say(Level::Error, text);
        }
        self.hands.say(Level::Error, "\n".to_owned());
        Err(Failed)
    }

    /// What is there, is replaced, and is in conflict by one of the names it provides: it goes.
    fn replaced(&self, id: Id) -> Vec<Id> {
        let package = &self.database[id];
        let conflicts = |other: &super::database::Package| {
            package.conflicts.iter().flatten().any(|p| other.provides.contains(&p.name))
        };
        let names = package.replaces.iter().filter_map(|name| self.database.names.find(name));
        names
            .flat_map(|name| self.database.names[name].packages.iter().copied())
            .filter(|other| self.database[*other].status == Status::Installed && conflicts(&self.database[*other]))
            .collect()
    }

    /// Removes what came only for the old version's needs. opkg compares the needs of both versions by address, so
    /// that none is ever found in both; what saves a package that is still needed is that the new version's stanza has
    /// counted its need too.
    fn remove_orphans(&mut self, old: Id) {
        let needs: Vec<_> = self.database[old].requires_with(Strength::Depend).cloned().collect();
        for possibility in needs.iter().flat_map(|r| &r.any_of) {
            let Some(id) = self.database.installed(&possibility.name) else { continue };
            if !self.database[id].auto_installed {
                continue;
            }
            let (count, _) = self.dependents(id);
            let name = self.database[id].name().to_owned();
            // The old version is one of them.
            if count == 1 {
                self.notice(format!("{name} was autoinstalled and is now orphaned, removing."));
                self.database[id].flags.set(Flags::REPLACE);
                let _ = self.remove_package(id); // told already; an upgrade goes on
            } else {
                let count = i64::try_from(count).unwrap_or(i64::MAX) - 1;
                let text = format!("{name} was autoinstalled and is still required by {count} installed packages.");
                self.info("pkg_remove_orphan_dependent", text);
            }
        }
    }
}
