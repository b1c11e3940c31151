//! Which package is taken for a name.

use super::Opkg;
use super::database::PackageId;
use super::flags::Flags;
use super::names::NameId;

impl Opkg<'_> {
    /// The package taken for `name`. `fits` says which ones would do; without any, held and preferred ones come first, then
    /// the newest of a name that is there, then the best architecture (unless `quiet`), then the only one.
    pub(super) fn candidate(
        &mut self,
        name: NameId,
        fits: &dyn Fn(&Self, PackageId) -> bool,
        quiet: bool,
    ) -> Option<PackageId> {
        let providers = self.database.names[name].provided_by.clone();
        if providers.is_empty() {
            return None;
        }
        let matching = self.matching(name, &providers)?;
        let many = matching.len() > 1;
        let mut good = None;
        for id in &matching {
            if fits(self, *id) {
                good = Some(*id);
                if self.database[*id].by_hand {
                    break;
                }
            }
        }
        let mut held: Option<PackageId> = None;
        let mut there = None;
        for id in &matching {
            let package = &self.database[*id];
            if self.database.names[package.name].status.present() {
                there = Some(*id);
            }
            if package.flags.any(Flags::HOLD | Flags::PREFER) {
                if let Some(other) = held {
                    let text = format!(
                        "Multiple packages ({} and {}) providing same name marked HOLD or PREFER. Using latest.",
                        self.database[other].name(),
                        package.name()
                    );
                    self.notice(text);
                }
                held = Some(*id);
            }
        }
        if good.is_some() || held.is_some() || there.is_some() {
            return good.or(held).or(there);
        }
        if !many {
            return matching.last().copied();
        }
        // The first of the best architecture; a caller that keeps quiet gets nothing.
        let best = matching.iter().map(|id| self.database[*id].arch_priority).max()?;
        matching.into_iter().find(|id| self.database[*id].arch_priority == best && best > 0).filter(|_| !quiet)
    }

    /// Every acceptable package of the providers, or of what replaces them, by name, version and architecture priority.
    fn matching(&mut self, name: NameId, providers: &[NameId]) -> Option<Vec<PackageId>> {
        let mut matching: Vec<PackageId> = Vec::new();
        let mut other_architectures = false;
        for provider in providers {
            let mut provider = *provider;
            let replacers = &self.database.names[provider].replaced_by;
            if let Some(first) = replacers.first().copied() {
                if replacers.len() > 1 {
                    let text = format!(
                        "Multiple replacers for {}, using first one ({}).",
                        self.database.names[provider].text, self.database.names[first].text
                    );
                    self.notice(text);
                }
                if first != provider {
                    if providers.contains(&first) {
                        continue;
                    }
                    provider = first;
                }
            }
            let packages = &self.database.names[provider].packages;
            for id in packages {
                if self.database[*id].arch_priority > 0 && !matching.contains(id) {
                    matching.push(*id);
                }
            }
            other_architectures |= !packages.is_empty() && matching.is_empty();
        }
        if matching.is_empty() {
            if other_architectures {
                let text = format!(
                    "Packages for {} found, but incompatible with the architectures configured",
                    self.database.names[name].text
                );
                self.error("pkg_hash_fetch_best_installation_candidate", text);
            }
            return None;
        }
        let database = &self.database;
        crate::native::smoothsort::sort_by(&mut matching, |a, b| {
            let (a, b) = (&database[*a], &database[*b]);
            a.name().cmp(b.name()).then_with(|| a.compare(b)).then_with(|| a.arch_priority.cmp(&b.arch_priority))
        });
        Some(matching)
    }

    /// The package taken for a name that a person or an upgrade uses: of that very name if there is one.
    pub(super) fn candidate_by_name(&mut self, text: &str) -> Option<PackageId> {
        let name = self.database.names.find(text)?;
        self.candidate(name, &|opkg, id| opkg.database[id].name() == text, false)
    }
}
