//! The packages that a requirement names or might mean, and why each is out. Only for explanations.

use std::collections::BTreeSet;

use xpkg_model::dependency::is_shared;
use xpkg_model::{Dependency, Ecosystem};

use crate::explain::What;
use crate::needs::scopes;
use crate::solution::titled;
use crate::universe::{MemberIx, NeedIx, Universe};

impl Universe<'_> {
    /// Why everything that is not among the givers of a need is not.
    pub(crate) fn refusals(&mut self, need: NeedIx) -> Vec<What> {
        let (givers, worlds): (BTreeSet<MemberIx>, Vec<Ecosystem>) =
            (self.need(need).members().collect(), self.need(need).worlds.clone());
        let consumer = self.need(need).consumer;
        let Some(requirement) = self.need(need).requirement.clone() else {
            return self.refused_versions(&givers);
        };
        let mut found = Vec::new();
        for dependency in requirement.alternatives() {
            let consumer = consumer.map(|c| self.package(c).clone());
            if let Some(what) = self.lore.host_unfit(&dependency.name, consumer.as_deref()) {
                found.push(what);
            }
            for member in self.related(dependency, &worlds) {
                if givers.contains(&member) {
                    continue;
                }
                let package = self.package(member).clone();
                let unfit = self.lore.unfit(&package, &dependency.name, consumer.as_deref());
                let what = if let Some(what) = unfit.or_else(|| self.member(member).refused.clone()) {
                    what
                } else if self.lore.proof(&package).is_some() && is_shared(&dependency.name) {
                    let why = "its files do not give it".to_owned();
                    What::Unfit { package: titled(&package), capability: dependency.name.clone(), why }
                } else {
                    What::Version { package: titled(&package), wanted: dependency.to_string() }
                };
                if !found.contains(&what) {
                    found.push(what);
                }
            }
        }
        found
    }

    /// Packages that go by the name, give it in some version, or are hinted to.
    fn related(&mut self, dependency: &Dependency, worlds: &[Ecosystem]) -> Vec<MemberIx> {
        let mut members = Vec::new();
        for world in worlds {
            for ecosystem in scopes(self.problem.host, dependency, *world) {
                if !is_shared(&dependency.name) {
                    let name = self.name_ix(ecosystem, &dependency.name);
                    members.extend(self.load(name));
                }
                members.extend(self.providing(ecosystem, &dependency.name));
            }
        }
        let native = self.native();
        if self.problem.host.apart {
            // Packages of the root stand in for nothing that lives in a layer.
        } else if is_shared(&dependency.name) {
            for hint in self.hints(native, &dependency.name) {
                let name = self.name_ix(native, &hint);
                members.extend(self.load(name));
            }
        } else if !worlds.contains(&native) {
            for world in worlds {
                members.extend(self.alias(&Dependency::any(dependency.name.clone()), *world));
            }
        }
        let mut seen = BTreeSet::new();
        members.retain(|m| seen.insert(*m));
        members
    }

    /// Other versions of packages that were named directly.
    fn refused_versions(&mut self, givers: &BTreeSet<MemberIx>) -> Vec<What> {
        let names: BTreeSet<_> = givers.iter().map(|m| self.member(*m).name).collect();
        let mut found = Vec::new();
        for name in names {
            let refused = self.load(name).into_iter().filter(|m| !givers.contains(m));
            found.extend(refused.filter_map(|m| self.member(m).refused.clone()));
        }
        found
    }

    /// That nothing at all goes by the name.
    pub(crate) fn not_found(&self, need: NeedIx) -> What {
        let need = self.need(need);
        let names = need.requirement.iter().flat_map(|r| r.alternatives()).map(|d| {
            if is_shared(&d.name) {
                d.name.clone()
            } else {
                need.worlds.iter().map(|w| format!("{w}:{}", d.name)).collect::<Vec<_>>().join(" or ")
            }
        });
        let sources = if self.closed { "the installed packages" } else { "any source" }.to_owned();
        What::NotFound { name: names.collect::<Vec<_>>().join(" or "), sources }
    }
}
