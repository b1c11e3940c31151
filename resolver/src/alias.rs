//! Native packages that may stand in for a plain name of the other world: they give every library the named package would give.
//!
//! `libcrypto3>=3` of an Alpine package is met by OpenWrt's `libopenssl3` when that is proven to give Alpine's sonames and its
//! version fits; `zlib` of an OpenWrt package is met by Alpine's `zlib` package. Never by the name alone.

use std::collections::{BTreeSet, HashMap};

use xpkg_model::{Dependency, Ecosystem, Op, Package};

use crate::universe::{MemberIx, Universe};

impl Universe<'_> {
    /// Native packages that may stand in for a plain name of `scope`, which is not the native world.
    pub(crate) fn alias(&mut self, dependency: &Dependency, scope: Ecosystem) -> Vec<MemberIx> {
        let name = self.name_ix(scope, &dependency.name);
        let mut named = self.load(name);
        named.extend(self.providing(scope, &dependency.name));
        named.retain(|m| self.meets(*m, dependency));
        // Standing in for any package that meets the name is enough.
        let mut wanted: BTreeSet<BTreeSet<String>> = named.iter().map(|m| self.sonames(*m)).collect();
        wanted.extend(self.published_sonames(dependency, scope));
        wanted.remove(&BTreeSet::new());
        let mut found = Vec::new();
        for sonames in &wanted {
            found.extend(self.natives_with_all(sonames));
        }
        if wanted.is_empty() && scope == Ecosystem::Openwrt {
            found = self.hinted_alias(&dependency.name);
        }
        let mut seen = BTreeSet::new();
        found.retain(|m| seen.insert(*m));
        found.retain(|m| {
            let package = self.package(*m);
            dependency.op == Op::ANY || dependency.met_by_version(package.scheme, &package.version)
        });
        found
    }

    /// The libraries a package gives, by index or proof.
    fn sonames(&self, ix: MemberIx) -> BTreeSet<String> {
        let package = self.package(ix);
        let proven = self.lore.proof(package).unwrap_or_default();
        let all = package.provides.iter().chain(proven);
        all.filter(|p| p.name.starts_with("so:")).map(|p| p.name.clone()).collect()
    }

    /// The same from the sources, when only installed packages count otherwise.
    fn published_sonames(&self, dependency: &Dependency, scope: Ecosystem) -> Vec<BTreeSet<String>> {
        if !self.closed {
            return Vec::new();
        }
        // A source that cannot be read does not stop a removal: the need is then known by its libraries only.
        let named = self.problem.candidates.named(scope, &dependency.name).unwrap_or_default();
        let provided = self.problem.candidates.providing(scope, &dependency.name).unwrap_or_default();
        let meeting = named.iter().chain(&provided).filter(|p| p.meets(dependency));
        let libraries =
            |p: &Package| p.provides.iter().filter(|v| v.name.starts_with("so:")).map(|v| v.name.clone()).collect();
        meeting.map(|p| libraries(p)).collect()
    }

    fn natives_with_all(&mut self, wanted: &BTreeSet<String>) -> Vec<MemberIx> {
        let native = self.native();
        let Some(first) = wanted.first() else { return Vec::new() };
        let mut found = self.providing(native, first);
        found.retain(|m| {
            let given = self.sonames(*m);
            wanted.iter().all(|soname| given.contains(soname))
        });
        found
    }

    /// Installed native packages that give all the libraries the soname hints expect of an OpenWrt package.
    fn hinted_alias(&mut self, name: &str) -> Vec<MemberIx> {
        if self.aliases.is_none() {
            let table = self.invert_hints();
            self.aliases = Some(table);
        }
        self.aliases.as_ref().and_then(|t| t.get(name)).cloned().unwrap_or_default()
    }

    /// OpenWrt name → installed native packages, by asking the hints for every library that is installed.
    fn invert_hints(&mut self) -> HashMap<String, Vec<MemberIx>> {
        let mut libraries: HashMap<String, Vec<(MemberIx, String)>> = HashMap::new();
        for member in self.installed() {
            if self.package(member).ecosystem != self.native() || self.member(member).refused.is_some() {
                continue;
            }
            for soname in self.sonames(member) {
                for name in self.hints(Ecosystem::Openwrt, &soname) {
                    libraries.entry(name).or_default().push((member, soname.clone()));
                }
            }
        }
        let mut table = HashMap::new();
        for (name, pairs) in libraries {
            let all: BTreeSet<&String> = pairs.iter().map(|(_, soname)| soname).collect();
            let mut members: Vec<MemberIx> = pairs.iter().map(|(m, _)| *m).collect();
            members.sort_unstable();
            members.dedup();
            members.retain(|m| all.iter().all(|s| pairs.iter().any(|(p, soname)| p == m && soname == *s)));
            table.insert(name, members);
        }
        table
    }
}
