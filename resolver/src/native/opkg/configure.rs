//! Configuring what was unpacked, dependencies first.

use std::collections::HashSet;

use xpkg_model::fnmatch;

use super::Opkg;
use super::database::PackageId;
use super::flags::{Flags, Status};

impl Opkg<'_> {
    /// `opkg configure [PATTERN]`, and what ends every install and upgrade. Answers whether everything went well.
    pub fn configure(&mut self, wanted: Option<&str>) -> bool {
        let mut well = true;
        if !self.settle() {
            return false;
        }
        for id in self.configuration_order() {
            let package = &self.database[id];
            if wanted.is_some_and(|w| !fnmatch::matches(w, package.name(), self.settings.no_case))
                || package.status != Status::Unpacked
            {
                continue;
            }
            let text = format!("Configuring {}.", package.name());
            self.notice(text);
            if !self.hands.configure(&self.database[id]) {
                well = false;
                continue;
            }
            let package = &mut self.database[id];
            package.status = Status::Installed;
            package.flags.0 &= !Flags::PREFER;
            let name = package.name;
            self.database.names[name].status = Status::Installed;
            self.changed = true;
        }
        well
    }

    /// Everything that is there in some way, each after what it needs, as far as circles allow.
    fn configuration_order(&self) -> Vec<PackageId> {
        let mut visited = HashSet::new();
        let mut order = Vec::new();
        // A stack instead of recursion: chains of needs are as long as a list makes them.
        for start in self.database.walk() {
            let mut stack = vec![(start, None::<std::vec::IntoIter<PackageId>>)];
            while let Some((id, needs)) = stack.last_mut() {
                let id = *id;
                if needs.is_none() {
                    let package = &self.database[id];
                    if package.status == Status::NotInstalled || !visited.insert(package.name) {
                        stack.pop();
                        continue;
                    }
                    *needs = Some(self.needed_there(id).into_iter());
                }
                match needs.as_mut().and_then(Iterator::next) {
                    Some(next) => stack.push((next, None)),
                    None => {
                        order.push(id);
                        stack.pop();
                    }
                }
            }
        }
        order
    }

    /// For each alternative of each need, the first package among its providers that is there in some way.
    fn needed_there(&self, id: PackageId) -> Vec<PackageId> {
        let names = &self.database.names;
        let possibilities = self.database[id].requires.iter().flat_map(|r| &r.any_of);
        possibilities
            .filter_map(|possibility| {
                let providers = names[names.find(&possibility.name)?].provided_by.iter();
                providers
                    .flat_map(|provider| names[*provider].packages.iter())
                    .copied()
                    .find(|id| self.database[*id].status != Status::NotInstalled)
            })
            .collect()
    }
}
