//! Removing: refused where others need it, unless they go too; and with `--autoremove` what came only for its sake.

use xpkg_model::fnmatch;

use super::Opkg;
use super::database::PackageId;
use super::describe::Strength;
use super::flags::{Flags, Status, Want};
use super::hands::Outgoing;
use super::install::{Failed, Outcome};
use super::names::{NameId, Seen};

impl Opkg<'_> {
    /// `opkg remove PATTERNS`. Answers whether everything went well.
    pub fn remove(&mut self, patterns: &[String]) -> bool {
        let (mut well, mut done) = (true, false);
        let present = self.database.present();
        for wanted in patterns {
            for id in &present {
                let name = self.database[*id].name().to_owned();
                if !fnmatch::matches(wanted, &name, self.settings.no_case) {
                    continue;
                }
                let Some(found) = self.find_installed(&name) else {
                    self.error("opkg_remove_cmd", format!("Package {name} is not installed."));
                    continue;
                };
                if self.database[*id].status == Status::NotInstalled {
                    self.error("opkg_remove_cmd", format!("Package {name} not installed."));
                    continue;
                }
                match self.remove_package(found) {
                    Ok(()) => done = true,
                    Err(Failed) => well = false,
                }
            }
        }
        if !done {
            self.notice("No packages removed.".to_owned());
        }
        well & self.settle()
    }

    /// The installed package of a name, on the chosen destination if one was chosen.
    pub(super) fn find_installed(&self, name: &str) -> Option<PackageId> {
        if self.settings.only_dest {
            self.database.installed_on(name, self.settings.dest)
        } else {
            self.database.installed(name)
        }
    }

    pub(super) fn remove_package(&mut self, id: PackageId) -> Outcome {
        self.refuse_essential(id)?;
        if !self.settings.force_depends && !self.database[id].flags.any(Flags::REPLACE) {
            let (count, dependents) = self.dependents(id);
            if count > 0 {
                if !self.settings.force_removal_of_dependents {
                    self.warn_of_dependents(id, &dependents);
                    return Err(Failed);
                }
                self.remove_dependents(id, &dependents)?;
            }
        }
        let name = self.database[id].name().to_owned();
        let dest = self.database[id].dest.unwrap_or(self.settings.dest);
        self.notice(format!("Removing package {name} from {}...", self.dest(id)));
        self.database[id].want = Want::Deinstall;
        self.changed = true;
        let outgoing = Outgoing { package: &self.database[id], dest };
        if !self.hands.before_removal(&outgoing) && !self.settings.force_remove {
            self.error("opkg_remove_pkg", format!("not removing package \"{name}\", prerm script failed"));
            self.notice(
                "You can force removal of packages with failed prerm scripts with the option: \n\t--force-remove"
                    .to_owned(),
            );
            return Err(Failed);
        }
        let outgoing = Outgoing { package: &self.database[id], dest };
        let mut well = self.hands.remove(&outgoing);
        self.database[id].status = Status::NotInstalled;
        let own = self.database[id].name;
        self.database.names[own].status = Status::NotInstalled;
        if self.settings.autoremove {
            well &= self.remove_auto_installed(id).is_ok();
        }
        if well { Ok(()) } else { Err(Failed) }
    }

    fn refuse_essential(&mut self, id: PackageId) -> Outcome {
        if !self.database[id].essential {
            return Ok(());
        }
        let name = self.database[id].name();
        if self.settings.force_removal_of_essential {
            let text = format!(
                "Removing essential package {name} under your coercion.\n\
                 \tIf your system breaks, you get to keep both pieces"
            );
            self.notice(text);
            return Ok(());
        }
        let text = format!(
            "Refusing to remove essential package {name}.\n\
             \tRemoving an essential package may lead to an unusable system, but if\n\
             \tyou enjoy that kind of pain, you can force opkg to proceed against\n\
             \tits will with the option: --force-removal-of-essential-packages"
        );
        self.notice(text);
        Err(Failed)
    }

    /// How often an installed package's stanza said that it needs one of the names that `id` provides, and those packages'
    /// names, each once.
    pub(super) fn dependents(&mut self, id: PackageId) -> (usize, Vec<NameId>) {
        let database = &mut self.database;
        let provides = database[id].provides.clone();
        let names: Vec<_> = provides.iter().filter_map(|name| database.names.find(name)).collect();
        let needed_by = names.iter().flat_map(|name| database.names[*name].needed_by.clone());
        let all: Vec<_> = needed_by.filter(|by| database.names[*by].status == Status::Installed).collect();
        let mut once = Vec::new();
        for by in &all {
            // A mark that loading left hides a name here: opkg uses the same bit for both.
            if !database.names[*by].marked {
                database.names[*by].marked = true;
                once.push(*by);
            }
        }
        for by in &once {
            database.names[*by].marked = false;
        }
        (all.len(), once)
    }

    fn warn_of_dependents(&mut self, id: PackageId, dependents: &[NameId]) {
        let function = "print_dependents_warning";
        let name = self.database[id].name().to_owned();
        self.error(function, format!("Package {name} is depended upon by packages:"));
        for by in dependents {
            self.error(function, format!("\t{}", self.database.names[*by].text));
        }
        self.error(function, format!("These might cease to work if package {name} is removed.\n"));
        self.error(function, "Force removal of this package with --force-depends.".to_owned());
        self.error(function, "Force removal of this package and its dependents".to_owned());
        self.error(function, "with --force-removal-of-dependent-packages.".to_owned());
    }

    fn remove_dependents(&mut self, id: PackageId, dependents: &[NameId]) -> Outcome {
        let own = self.database[id].name;
        if self.database.names[own].seen == Seen::Removal {
            return Ok(());
        }
        self.database.names[own].seen = Seen::Removal;
        let mut going = Vec::new();
        for by in dependents {
            if self.database.names[*by].seen != Seen::Removal {
                let packages = self.database.names[*by].packages.iter().copied();
                going.extend(packages.filter(|id| self.database[*id].status == Status::Installed));
            }
        }
        going.into_iter().try_for_each(|id| self.remove_package(id))
    }

    /// Removes what `id` needed and nothing needs any more. A need that nothing installed has the name of ends it, as a
    /// failure: in a circle it may just have been removed.
    fn remove_auto_installed(&mut self, id: PackageId) -> Outcome {
        let mut outcome = Ok(());
        for requires in self.database[id].requires.clone() {
            if !matches!(requires.strength, Strength::PreDepend | Strength::Depend | Strength::Recommend) {
                continue;
            }
            for possibility in &requires.any_of {
                let found = self.database.installed(&possibility.name).ok_or(Failed)?;
                if !self.database[found].auto_installed {
                    continue;
                }
                let (count, _) = self.dependents(found);
                let name = self.database[found].name().to_owned();
                if count > 0 {
                    let text = format!("{name} was autoinstalled and is still required by {count} installed packages.");
                    self.info("remove_autoinstalled", text);
                    continue;
                }
                self.notice(format!("{name} was autoinstalled and is now orphaned, removing."));
                if self.remove_package(found).is_err() {
                    outcome = Err(Failed);
                }
            }
        }
        outcome
    }
}
