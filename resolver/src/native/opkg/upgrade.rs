//! Upgrading named packages, telling which could be, and setting flags.

use super::Opkg;
use super::database::PackageId;
use super::flags::{Flags, Status, Want};
use super::install::Outcome;

impl Opkg<'_> {
    /// `opkg upgrade NAMES`: what is not there is installed. Answers whether everything went well.
    pub fn upgrade(&mut self, names: &[String], time: u64) -> bool {
        let mut well = true;
        for name in names {
            let found = self.find_installed(name);
            let outcome = match found {
                Some(id) => self.upgrade_package(id, time),
                None if self.settings.only_dest => {
                    let dest = self.settings.dests.get(self.settings.dest).cloned().unwrap_or_default();
                    self.notice(format!("Package {name} not installed in {dest}."));
                    continue;
                }
                None => self.install_by_name(name, time),
            };
            well &= outcome.is_ok();
        }
        well & self.configure(None)
    }

    fn upgrade_package(&mut self, old: PackageId, time: u64) -> Outcome {
        let package = &self.database[old];
        let (name, version) = (package.name().to_owned(), package.version());
        if package.flags.any(Flags::HOLD) {
            let text = format!("Not upgrading package {name} which is marked hold (flags={:#x}).", package.flags.0);
            self.notice(text);
            return Ok(());
        }
        let Some(new) = self.candidate_by_name(&name) else {
            self.notice(format!("Assuming locally installed package {name} ({version}) is up to date."));
            return Ok(());
        };
        match self.database[old].compare(&self.database[new]) {
            std::cmp::Ordering::Equal => {
                let text = format!("Package {name} ({version}) installed in {} is up to date.", self.dest(old));
                self.info("opkg_upgrade_pkg", text);
                Ok(())
            }
            std::cmp::Ordering::Greater => {
                self.not_downgrading(old, new);
                Ok(())
            }
            std::cmp::Ordering::Less => {
                self.database[new].dest = self.database[old].dest;
                self.database[old].want = Want::Deinstall;
                self.database[new].flags.set(Flags::USER);
                self.install_package(new, true, time)
            }
        }
    }

    /// What is there and has a newer candidate: installed, candidate.
    pub fn upgradable(&mut self) -> Vec<(PackageId, PackageId)> {
        let mut found = Vec::new();
        for old in self.database.present() {
            let name = self.database[old].name().to_owned();
            let Some(new) = self.candidate_by_name(&name) else { continue };
            if self.database[old].compare(&self.database[new]).is_lt() {
                found.push((old, new));
            }
        }
        // The list is made by one walk and told by another, which asks for the candidate anew.
        let mut told = Vec::new();
        for (old, _) in found {
            let name = self.database[old].name().to_owned();
            told.extend(self.candidate_by_name(&name).map(|new| (old, new)));
        }
        told
    }

    /// `opkg flag FLAG NAMES`.
    pub fn flag(&mut self, flag: &str, names: &[String]) {
        for name in names {
            let Some(id) = self.find_installed(name) else {
                self.error("opkg_flag_cmd", format!("Package {name} is not installed."));
                continue;
            };
            match flag {
                "hold" | "noprune" | "user" | "ok" => self.database[id].flags = Flags::parse(flag),
                "installed" | "unpacked" => self.database[id].status = Status::parse(flag),
                _ => {}
            }
            self.changed = true;
            let name = self.database[id].name().to_owned();
            self.notice(format!("Setting flags for package {name} to {flag}."));
        }
    }
}
