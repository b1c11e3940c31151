//! Which packages meet a requirement, and in which order they are tried. Chooses nothing.
//!
//! Order: installed → what host rules say of native packages → native sources → presumed native packages (soname hints) →
//! the consumer's world → the other.

use std::cmp::Ordering;
use std::collections::HashMap;

use xpkg_model::dependency::is_shared;
use xpkg_model::{Dependency, Ecosystem, Op, Requirement, VersionScheme, version};

use crate::needs::{Gift, Group, Need, scopes};
use crate::universe::{MemberIx, NameIx, NeedIx, Universe, meets_by_name};

const INSTALLED: u8 = 0;
const HOST: u8 = 1;
const NATIVE: u8 = 2;
const HINTED: u8 = 3;
const OWN: u8 = 4;
const OTHER: u8 = 5;

/// One package version that meets a condition, and how.
struct Offer {
    member: MemberIx,
    class: u8,
    alternative: usize,
    named: bool,
    /// Version under which it answers to the name.
    provided: Option<String>,
    virtually: bool,
}

impl Universe<'_> {
    /// The packages that meet a requirement of `consumer` (`None`: of a person).
    pub(crate) fn need_of(
        &mut self,
        consumer: Option<MemberIx>,
        scope: Ecosystem,
        requirement: &Requirement,
    ) -> NeedIx {
        let particular = consumer.is_none_or(|c| self.lore.is_particular(self.package(c)));
        let key = (scope, requirement.to_string());
        if !particular && let Some(known) = self.need_ids.get(&key) {
            return *known;
        }
        let scheme = consumer.map_or(VersionScheme::Apk, |c| self.package(c).scheme);
        let mut offers = Vec::new();
        let mut host = None;
        for (alternative, dependency) in requirement.alternatives().iter().enumerate() {
            if consumer.is_some() && scope != self.native() {
                let refused = self.lore.host_unfit(&dependency.name, consumer.map(|c| &**self.package(c))).is_some();
                if !refused {
                    host = host.or_else(|| self.host_gift(dependency, scope, scheme));
                    self.offer_host(dependency, scope, scheme, alternative, &mut offers);
                }
                if !is_shared(&dependency.name) && !self.problem.host.apart {
                    for member in self.alias(dependency, scope) {
                        offers.push(self.offer(member, NATIVE, alternative));
                    }
                }
            }
            self.offer_packages(dependency, scope, alternative, &mut offers);
            let fits =
                |m: MemberIx| self.lore.unfit(self.package(m), &dependency.name, consumer.map(|c| &**self.package(c)));
            offers.retain(|o| o.alternative != alternative || fits(o.member).is_none());
        }
        let leaving = |o: &Offer| self.member(o.member).refused.is_some() && self.is_installed(o.member);
        let leaving = offers.iter().filter(|o| leaving(o)).map(|o| o.member).collect();
        offers.retain(|o| self.member(o.member).refused.is_none());
        // Who names one of opkg's packages means it, whoever else answers to the name (opkg takes what bears the name first:
        // pkg_hash_fetch_best_installation_candidate).
        if consumer.is_none() && offers.iter().any(|o| o.named && self.package(o.member).scheme == VersionScheme::Deb) {
            offers.retain(|o| o.named);
        }
        let groups = self.group(offers);
        let need = Need {
            text: requirement.to_string(),
            worlds: vec![scope],
            consumer: consumer.filter(|_| particular),
            requirement: Some(requirement.clone()),
            groups,
            host,
            leaving,
        };
        let ix = self.push_need(need);
        if !particular {
            self.need_ids.insert(key, ix);
        }
        ix
    }

    /// A need for one of these very packages.
    pub(crate) fn need_exactly(&mut self, text: String, mut members: Vec<MemberIx>) -> NeedIx {
        members.sort_by(|a, b| self.compare_members(*a, *b));
        let scope = members.first().map_or(self.native(), |m| self.package(*m).ecosystem);
        let mut groups: Vec<Group> = Vec::new();
        for member in members {
            let name = self.member(member).name;
            match groups.iter_mut().find(|g| g.name == name) {
                Some(group) => group.members.push(member),
                None => groups.push(Group { name, members: vec![member], virtually: false }),
            }
        }
        self.push_need(Need {
            text,
            worlds: vec![scope],
            consumer: None,
            requirement: None,
            groups,
            host: None,
            leaving: Vec::new(),
        })
    }

    fn push_need(&mut self, need: Need) -> NeedIx {
        self.needs.push(need);
        (self.needs.len() - 1) as NeedIx
    }

    /// What the host gives by itself, without a native package that could go away.
    pub(crate) fn host_gift(&self, dependency: &Dependency, scope: Ecosystem, scheme: VersionScheme) -> Option<Gift> {
        let host = self.problem.host;
        host.provides.iter().filter(|p| p.meets(dependency, scope, scheme)).find_map(|p| {
            let package = p.native.as_deref().filter(|n| self.problem.installed.get(host.native, n).is_some());
            package.is_none().then(|| Gift { by: p.by.clone(), native: p.native.clone() })
        })
    }

    /// Installed native packages that host rules name for the capability. Newer builds of them are presumed to give it too.
    fn offer_host(
        &mut self,
        d: &Dependency,
        scope: Ecosystem,
        scheme: VersionScheme,
        alternative: usize,
        offers: &mut Vec<Offer>,
    ) {
        let host = self.problem.host;
        for rule in host.provides.iter().filter(|p| p.meets(d, scope, scheme)) {
            let Some(native) = &rule.native else { continue };
            if self.installed_named(host.native, native).is_some() {
                let name = self.name_ix(host.native, native);
                for member in self.load(name) {
                    offers.push(self.offer(member, HOST, alternative));
                }
            }
        }
    }

    fn offer(&self, member: MemberIx, class: u8, alternative: usize) -> Offer {
        let class = if self.is_installed(member) { INSTALLED } else { class };
        Offer { member, class, alternative, named: false, provided: None, virtually: false }
    }

    fn class(&self, member: MemberIx, scope: Ecosystem) -> u8 {
        let ecosystem = self.package(member).ecosystem;
        match () {
            () if self.is_installed(member) => INSTALLED,
            () if ecosystem == self.native() => NATIVE,
            () if ecosystem == scope || self.problem.request.prefer == Some(ecosystem) => OWN,
            () => OTHER,
        }
    }

    fn offer_packages(&mut self, d: &Dependency, scope: Ecosystem, alternative: usize, offers: &mut Vec<Offer>) {
        let shared = is_shared(&d.name);
        for ecosystem in scopes(self.problem.host, d, scope) {
            if !shared {
                let name = self.name_ix(ecosystem, &d.name);
                for member in self.load(name) {
                    if meets_by_name(self.package(member), d) {
                        let class = self.class(member, scope);
                        offers.push(Offer { named: true, ..self.offer(member, class, alternative) });
                    }
                }
            }
            for member in self.providing(ecosystem, &d.name) {
                if let Some(offer) = self.offer_provider(member, d, scope, alternative) {
                    offers.push(offer);
                }
            }
        }
        if shared && d.op == Op::ANY {
            self.offer_presumed(d, scope, alternative, offers);
        }
    }

    fn offer_provider(&self, member: MemberIx, d: &Dependency, scope: Ecosystem, alternative: usize) -> Option<Offer> {
        let package = self.package(member);
        let proven = self.lore.proves(package, d);
        let matching = package.provides.iter().filter(|p| package.meets_by_provide(p, d));
        let best = matching.max_by(|a, b| compare_provided(package.scheme, a.version.as_deref(), b.version.as_deref()));
        if (best.is_none() && !proven) || (!is_shared(&d.name) && meets_by_name(package, d)) {
            return None;
        }
        let provided = best.and_then(|p| p.version.clone());
        let unranked = package.provider_priority.unwrap_or(0) == 0;
        // opkg knows no versions or priorities of provides and takes what it finds.
        let choosy = package.scheme == VersionScheme::Apk && !is_shared(&d.name);
        let chosen = self.is_installed(member) || self.member(member).local;
        let virtually = choosy && provided.is_none() && unranked && !chosen;
        Some(Offer { provided, virtually, ..self.offer(member, self.class(member, scope), alternative) })
    }

    /// Packages that may give a capability no index speaks of: soname hints, and other builds of a package that is proven
    /// to give it. Whatever was read and does not give it is out.
    fn offer_presumed(&mut self, d: &Dependency, scope: Ecosystem, alternative: usize, offers: &mut Vec<Offer>) {
        let native = self.native();
        let mut names: Vec<(NameIx, u8)> = Vec::new();
        let hints = if scope == native || self.problem.host.crosses(&d.name) {
            self.hints(native, &d.name)
        } else {
            Vec::new()
        };
        for hint in hints {
            names.push((self.name_ix(native, &hint), HINTED));
        }
        if scope != native {
            for hint in self.hints(scope, &d.name) {
                names.push((self.name_ix(scope, &hint), OWN));
            }
        }
        for offer in offers.iter().filter(|o| o.alternative == alternative) {
            // Alpine's indexes list what each version gives; OpenWrt's do not.
            if self.package(offer.member).ecosystem == Ecosystem::Openwrt {
                names.push((self.member(offer.member).name, NATIVE));
            }
        }
        for (name, class) in names {
            for member in self.load(name) {
                let known = offers.iter().any(|o| o.member == member && o.alternative == alternative);
                if !known && !self.is_installed(member) && self.lore.proof(self.package(member)).is_none() {
                    offers.push(self.offer(member, class, alternative));
                }
            }
        }
    }

    /// Names of packages that might give a capability.
    pub(crate) fn hints(&mut self, ecosystem: Ecosystem, capability: &str) -> Vec<String> {
        let key = (ecosystem, capability.to_owned());
        if let Some(known) = self.hints.get(&key) {
            return known.clone();
        }
        let names = self.problem.candidates.hinted(ecosystem, capability).unwrap_or_else(|e| {
            self.fail(&e);
            Vec::new()
        });
        self.hints.insert(key, names.clone());
        names
    }

    /// Groups offers by name, best group first, best version first.
    fn group(&self, offers: Vec<Offer>) -> Vec<Group> {
        let mut by_name: Vec<(NameIx, Vec<Offer>)> = Vec::new();
        let mut places: HashMap<NameIx, usize> = HashMap::new();
        for offer in offers {
            let name = self.member(offer.member).name;
            let place = *places.entry(name).or_insert_with(|| {
                by_name.push((name, Vec::new()));
                by_name.len() - 1
            });
            if let Some((_, list)) = by_name.get_mut(place) {
                list.push(offer);
            }
        }
        let mut ranked: Vec<(Offer, Group)> = Vec::new();
        for (name, mut list) in by_name {
            let mut members: Vec<MemberIx> = list.iter().map(|o| o.member).collect();
            members.sort_by(|a, b| self.compare_members(*a, *b));
            members.dedup();
            let virtually = list.iter().all(|o| o.virtually);
            list.sort_by(|a, b| self.compare_offers(a, b));
            if let Some(best) = list.into_iter().next() {
                ranked.push((best, Group { name, members, virtually }));
            }
        }
        ranked.sort_by(|(a, _), (b, _)| self.compare_offers(a, b));
        // Collected in place it would keep the room of the offers, ten times its own.
        let mut groups: Vec<Group> = ranked.into_iter().map(|(_, group)| group).collect();
        groups.shrink_to_fit();
        groups
    }

    fn compare_offers(&self, a: &Offer, b: &Offer) -> Ordering {
        let (left, right) = (self.package(a.member), self.package(b.member));
        let known = |o: &Offer| self.name(self.member(o.member).name).members.iter().any(|m| self.is_installed(*m));
        let priority = |p: &xpkg_model::Package| p.provider_priority.unwrap_or(0);
        (a.class, a.alternative, a.virtually)
            .cmp(&(b.class, b.alternative, b.virtually))
            .then_with(|| known(b).cmp(&known(a)))
            .then_with(|| b.named.cmp(&a.named))
            .then_with(|| compare_provided(left.scheme, b.provided.as_deref(), a.provided.as_deref()))
            .then_with(|| priority(right).cmp(&priority(left)))
            // Hints come in the order of their table: the first met is the likelier one.
            .then_with(|| if a.class == HINTED { a.member.cmp(&b.member) } else { Ordering::Equal })
            .then_with(|| left.source.cmp(&right.source))
            .then_with(|| left.name.cmp(&right.name))
            .then_with(|| self.compare_members(a.member, b.member))
    }
}

/// An unversioned provide is the least.
fn compare_provided(scheme: VersionScheme, a: Option<&str>, b: Option<&str>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => version::compare(scheme, a, b, false).into(),
        _ => a.is_some().cmp(&b.is_some()),
    }
}
