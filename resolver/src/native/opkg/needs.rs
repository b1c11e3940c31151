//! What a package needs that is not there: the packages to install before it, needs of needs first, and what cannot be met.

use super::Opkg;
use super::database::{Package, PackageId};
use super::describe::{Possibility, Requires, Strength};
use super::flags::Want;
use super::names::Seen;

impl Opkg<'_> {
    /// Adds to `wanted` what `id` needs and is not there, and answers the needs that nothing meets, as shown. Each name is
    /// walked once in a run: what a name needs was settled the first time.
    pub(super) fn unmet(&mut self, id: PackageId, wanted: &mut Vec<PackageId>) -> Vec<String> {
        let name = self.database[id].name;
        if self.database.names[name].seen != Seen::No {
            return Vec::new();
        }
        self.database.names[name].seen = Seen::Needs;
        let mut lost = Vec::new();
        for requires in self.database[id].requires.clone() {
            if requires.strength == Strength::Greedy {
                self.take_all(&requires, wanted);
                continue;
            }
            if requires.any_of.iter().any(|p| self.satisfier(p, true).is_some()) {
                continue;
            }
            let soft = matches!(requires.strength, Strength::Recommend | Strength::Suggest);
            let Some(found) = self.absent_satisfier(id, &requires, soft) else {
                if soft {
                    let first = requires.any_of.first().map(|p| p.name.clone()).unwrap_or_default();
                    let text = format!("{}: unsatisfied recommendation for {first}", self.database[id].name());
                    self.notice(text);
                } else {
                    lost.push(requires.shown());
                }
                continue;
            };
            if requires.strength == Strength::Suggest {
                let text =
                    format!("package {} suggests installing {}", self.database[id].name(), self.database[found].name());
                self.notice(text);
            } else if found != id && !self.listed(wanted, found) {
                lost.extend(self.unmet(found, wanted));
                wanted.push(found);
            }
        }
        lost
    }

    /// The first alternative that something not yet there would meet.
    fn absent_satisfier(&mut self, id: PackageId, requires: &Requires, soft: bool) -> Option<PackageId> {
        for possibility in &requires.any_of {
            let Some(found) = self.satisfier(possibility, false) else { continue };
            if soft && matches!(self.database[found].want, Want::Deinstall | Want::Purge) {
                let (ours, theirs) = (self.database[id].name(), self.database[found].name());
                let text = format!("{ours}: ignoring recommendation for {theirs} at user request");
                self.notice(text);
                continue;
            }
            return Some(found);
        }
        None
    }

    fn satisfier(&mut self, possibility: &Possibility, there: bool) -> Option<PackageId> {
        let name = self.database.names.find(&possibility.name)?;
        let does = |package: &Package| (!there || package.status.present()) && package.fits(possibility);
        let found = self.candidate(name, &|opkg, id| does(&opkg.database[id]), true)?;
        does(&self.database[found]).then_some(found)
    }

    /// A need for everything that gives a name: each package of it that is not wanted yet and whose own needs are met.
    fn take_all(&mut self, requires: &Requires, wanted: &mut Vec<PackageId>) {
        for possibility in &requires.any_of {
            let Some(name) = self.database.names.find(&possibility.name) else { continue };
            for provider in self.database.names[name].provided_by.clone() {
                for id in self.database.names[provider].packages.clone() {
                    let package = &self.database[id];
                    let known = package.want == Want::Install || self.database.names[package.name].seen != Seen::No;
                    if known || self.listed(wanted, id) {
                        continue;
                    }
                    let mut theirs = Vec::new();
                    let complete = self.unmet(id, &mut theirs).is_empty();
                    if complete && theirs.iter().all(|id| self.database[*id].want == Want::Install) {
                        let text = format!("Adding satisfier for greedy dependence {}.", self.database[id].name());
                        self.notice(text);
                        wanted.push(id);
                    }
                }
            }
        }
    }

    /// Whether the same version for the same architecture is in a list of packages.
    pub(super) fn listed(&self, list: &[PackageId], id: PackageId) -> bool {
        let ours = &self.database[id];
        list.iter().map(|id| &self.database[*id]).any(|other| {
            other.name() == ours.name() && other.compare(ours).is_eq() && other.package.arch == ours.package.arch
        })
    }
}
