//! The rounds of one solve: the engine's answer is held against the rules that are cheaper to check than to state, and what
//! was broken is added until nothing is. Bounded.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use xpkg_model::{Requirement, VersionScheme};

use crate::engine::{self, Found, Owned, Rules, claim};
use crate::explain::{Node, Unsolvable, What};
use crate::needs::Group;
use crate::solution::titled;
use crate::universe::{MemberIx, NameIx, NeedIx, Universe};
use crate::virtuals::Ambiguity;
use crate::{recommend, refute, trigger, virtuals};

/// More rounds than any real request came near to (the largest took under ten).
const MAX_ROUNDS: usize = 400;
/// How often packages set off by others may set off more.
const MAX_TRIGGERS: usize = 8;

/// Why a need must be met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RootWhy {
    /// A person asks for it.
    Asked(String),
    /// It is installed.
    Stays(MemberIx),
    /// Its `install_if` holds.
    Triggered(MemberIx),
    /// The second recommends it.
    Recommended(MemberIx, MemberIx),
}

/// A need of nobody but the request or the root itself.
#[derive(Clone, Debug)]
pub(crate) struct Root {
    pub(crate) need: NeedIx,
    pub(crate) why: RootWhy,
}

/// What would be there.
pub(crate) struct Answer {
    pub(crate) present: Vec<MemberIx>,
    pub(crate) roots: Vec<Root>,
}

/// The state of the rounds.
pub(crate) struct Rounds<'u, 'a> {
    pub(crate) universe: &'u mut Universe<'a>,
    asked: Vec<Root>,
    rules: Rules,
    triggered: Vec<Root>,
    trial: Vec<Root>,
    waiting: Vec<Root>,
    rejected: HashSet<NameIx>,
    ambiguity: Option<Ambiguity>,
    /// All installed packages may change.
    full: bool,
    /// Names of installed packages that may change.
    thawed: HashSet<NameIx>,
    /// Newer versions of what came along by `install_if`, whose own condition does not hold.
    kept_back: HashSet<MemberIx>,
}

impl<'u, 'a> Rounds<'u, 'a> {
    pub(crate) fn new(universe: &'u mut Universe<'a>, asked: Vec<Root>, all_may_change: bool) -> Self {
        let installed = universe.installed();
        let mut thawed = HashSet::new();
        for member in installed {
            let name = universe.member(member).name;
            if all_may_change || universe.name(name).upgrade {
                thawed.insert(name);
            } else {
                universe.frozen.insert(member);
            }
        }
        let mut rounds = Self {
            universe,
            asked,
            rules: Rules::default(),
            triggered: Vec::new(),
            trial: Vec::new(),
            waiting: Vec::new(),
            rejected: HashSet::new(),
            ambiguity: None,
            full: all_may_change,
            thawed,
            kept_back: HashSet::new(),
        };
        if !all_may_change {
            let first: Vec<NameIx> = rounds.thawed.iter().copied().collect();
            rounds.thaw(first);
        }
        rounds
    }

    /// The needs of the present round.
    fn roots(&mut self) -> Vec<Root> {
        let successors = self.successors();
        let mut roots = self.asked.clone();
        roots.extend(self.triggered.iter().cloned());
        roots.extend(self.trial.iter().cloned());
        for member in self.universe.installed() {
            let package = self.universe.package(member);
            let idle = self.universe.targets.idle.contains(&(package.ecosystem, package.name.clone()));
            if idle || self.universe.member(member).refused.is_some() {
                continue; // being removed, or of no use without what is
            }
            let name = self.universe.member(member).name;
            let mut members = if self.thawed.contains(&name) { self.universe.load(name) } else { vec![member] };
            members.retain(|m| self.universe.member(*m).refused.is_none() && !self.kept_back.contains(m));
            let text = self.universe.package(member).scoped();
            let need = self.universe.need_exactly(text, members);
            for (_, successor) in successors.iter().filter(|(old, _)| *old == member) {
                let group =
                    Group { name: self.universe.member(*successor).name, members: vec![*successor], virtually: false };
                self.universe.needs[need as usize].groups.push(group);
            }
            roots.push(Root { need, why: RootWhy::Stays(member) });
        }
        roots
    }

    /// Installed packages and those met so far that would take their place. The former, and what needs them, may then change.
    fn successors(&mut self) -> Vec<(MemberIx, MemberIx)> {
        let able = |m: &MemberIx| {
            let member = self.universe.member(*m);
            let new = member.installed.is_none() && member.refused.is_none();
            new && member.package.scheme == VersionScheme::Deb && !member.package.replaces.is_empty()
        };
        let mut found = Vec::new();
        for new in (0..self.universe.members.len() as MemberIx).filter(able) {
            let (package, own) = (self.universe.package(new), self.universe.member(new).name);
            for old in self.universe.installed() {
                let replaced = self.universe.package(old);
                let goes = self.universe.member(old).name != own && package.takes_the_place_of(replaced);
                if goes && !replaced.is_essential() {
                    found.push((old, new));
                }
            }
        }
        let cold = found.iter().map(|(old, _)| self.universe.member(*old).name);
        let cold: BTreeSet<NameIx> = cold.filter(|name| !self.thawed.contains(name)).collect();
        self.thaw(cold.into_iter().collect());
        found
    }

    /// Runs until nothing is broken.
    pub(crate) fn run(mut self) -> Result<Answer, Unsolvable> {
        let mut triggers = 0;
        for round in 0..MAX_ROUNDS {
            let before = self.universe.needs.len();
            let roots = self.roots();
            let needs: Vec<NeedIx> = roots.iter().map(|r| r.need).collect();
            let found = engine::run(self.universe, &needs, &self.rules);
            if let Some(why) = self.universe.failure.take() {
                return Err(Unsolvable::one(Node::leaf(What::Source { why })));
            }
            tracing::debug!(
                round,
                packages = self.universe.members.len(),
                needs = self.universe.needs.len() - before,
                "solved"
            );
            if self.thaw_what_could_change() {
                continue;
            }
            let members = match found {
                Found::Answer(members) => members,
                Found::Nothing | Found::Failed if self.back_off() => continue,
                Found::Nothing | Found::Failed => return Err(self.refuse(&roots)),
            };
            let present = trim(self.universe, &members, &roots);
            if self.enforce_owners(&present) || self.thaw_offended(&present) || self.keep_back(&present) {
                continue;
            }
            if let Some(ambiguity) = virtuals::check(self.universe, &present, &roots) {
                let wanted = ambiguity.wanted.clone();
                self.rules.virtuals = Some(match self.rules.virtuals.take() {
                    None => wanted,
                    Some(before) => before.intersection(&wanted).copied().collect(),
                });
                self.ambiguity.get_or_insert(ambiguity);
                continue;
            }
            self.triggered.append(&mut self.trial);
            if let Some(next) = self.waiting.pop() {
                self.trial.push(next);
                continue;
            }
            if triggers < MAX_TRIGGERS && self.fire(&present) {
                triggers += 1;
                continue;
            }
            return Ok(Answer { present, roots });
        }
        Err(Unsolvable::one(Node::leaf(What::More { why: format!("gave up after {MAX_ROUNDS} rounds") })))
    }

    /// There is no answer: gives up what is not essential. False when there is nothing left to give up.
    fn back_off(&mut self) -> bool {
        if !self.trial.is_empty() {
            if self.trial.len() > 1 {
                self.waiting.append(&mut self.trial);
            } else if let Some(Root { why: RootWhy::Triggered(member) | RootWhy::Recommended(member, _), .. }) =
                self.trial.pop()
            {
                self.rejected.insert(self.universe.member(member).name);
            }
            self.trial.extend(self.waiting.pop());
            return true;
        }
        if self.full {
            return false;
        }
        self.full = true;
        self.universe.frozen.clear();
        let all = self.universe.installed().into_iter().map(|m| self.universe.member(m).name).collect();
        self.thawed = all;
        // What only looked ambiguous may have another way now.
        self.rules.virtuals = None;
        self.ambiguity = None;
        true
    }

    fn refuse(&mut self, roots: &[Root]) -> Unsolvable {
        match self.ambiguity.take() {
            Some(ambiguity) => Unsolvable::one(ambiguity.node),
            None => refute::explain(self.universe, roots, &self.rules),
        }
    }

    /// Lets those installed packages change that could then meet a need which they do not meet as they are.
    fn thaw_what_could_change(&mut self) -> bool {
        if self.full {
            return false;
        }
        let mut names: BTreeSet<NameIx> = BTreeSet::new();
        for need in &self.universe.needs {
            for group in need.groups.iter().filter(|_| need.host.is_none()) {
                let installed = |m: &MemberIx| self.universe.is_installed(*m);
                let known = self.universe.name(group.name).members.iter().any(installed);
                if known && !self.thawed.contains(&group.name) && !group.members.iter().any(installed) {
                    names.insert(group.name);
                }
            }
        }
        self.thaw(names.into_iter().collect())
    }

    /// Lets names change, and has their consumers' requirements looked at again.
    fn thaw(&mut self, names: Vec<NameIx>) -> bool {
        let changed = !names.is_empty();
        for name in names {
            self.thawed.insert(name);
            let here = |m: &MemberIx| self.universe.is_installed(*m);
            let Some(giver) = self.universe.name(name).members.iter().copied().find(here) else { continue };
            self.universe.frozen.remove(&giver);
            let host = self.universe.problem.host;
            let native = &self.universe.package(giver).name;
            let by_rule: Vec<&str> = host
                .provides
                .iter()
                .filter(|p| p.native.as_deref() == Some(native.as_str()))
                .map(|p| p.provide.name.as_str())
                .collect();
            let takes = |r: &Requirement| {
                r.alternatives().iter().any(|d| self.universe.meets(giver, d) || by_rule.contains(&d.name.as_str()))
            };
            let consumers: Vec<MemberIx> = self
                .universe
                .frozen
                .iter()
                .copied()
                .filter(|m| self.universe.package(*m).depends.iter().any(takes))
                .collect();
            for consumer in consumers {
                self.universe.frozen.remove(&consumer);
            }
        }
        changed
    }

    /// Installed packages that object to something new are asked in full.
    fn thaw_offended(&mut self, present: &[MemberIx]) -> bool {
        let new: Vec<MemberIx> = present.iter().copied().filter(|m| !self.universe.is_installed(*m)).collect();
        let offended: Vec<MemberIx> = (self.universe.frozen.iter().copied())
            .filter(|m| {
                let package = self.universe.package(*m);
                package.conflicts().any(|c| {
                    let worlds = crate::needs::scopes(self.universe.problem.host, c, package.ecosystem);
                    new.iter().any(|n| {
                        worlds.contains(&self.universe.package(*n).ecosystem)
                            && self.universe.member(*n).name != self.universe.member(*m).name
                            && self.universe.meets(*n, c)
                    })
                })
            })
            .collect();
        for member in &offended {
            self.universe.frozen.remove(member);
        }
        !offended.is_empty()
    }

    /// Finds names that two packages claim; they are exclusive from the next round on.
    fn enforce_owners(&mut self, present: &[MemberIx]) -> bool {
        let mut claims: BTreeMap<Owned, BTreeSet<MemberIx>> = BTreeMap::new();
        for member in present {
            let package = self.universe.package(*member);
            claims.entry((None, package.name.clone())).or_default().insert(*member);
            claims.entry((Some(package.ecosystem), package.name.clone())).or_default().insert(*member);
            for provide in package.provides.iter().filter(|p| p.version.is_some()) {
                claims.entry((Some(package.ecosystem), provide.name.clone())).or_default().insert(*member);
            }
        }
        claims.retain(|owned, members| {
            let claimants: BTreeSet<Option<&str>> =
                members.iter().map(|m| claim(self.universe.package(*m), owned)).collect();
            let changed = members.iter().any(|m| !self.universe.is_installed(*m));
            claimants.len() > 1 && changed && !self.rules.owned.contains(owned)
        });
        let broken = !claims.is_empty();
        self.rules.owned.extend(claims.into_keys());
        broken
    }

    /// What only came along, and would lose its reason by becoming newer, stays as it is.
    fn keep_back(&mut self, present: &[MemberIx]) -> bool {
        let packages: Vec<_> = present.iter().map(|m| self.universe.package(*m).clone()).collect();
        let mut back = Vec::new();
        for new in present.iter().copied() {
            let package = self.universe.package(new).clone();
            let settled = self.universe.is_installed(new) || self.kept_back.contains(&new);
            if settled
                || package.install_if.is_empty()
                || trigger::holds(&package, self.universe.problem.host, packages.iter().map(|p| &**p))
            {
                continue;
            }
            let Some(old) = self.universe.installed_named(package.ecosystem, &package.name) else { continue };
            let automatic = self.universe.problem.installed.get(package.ecosystem, &package.name);
            let others = packages.iter().filter(|p| p.name != package.name || p.ecosystem != package.ecosystem);
            if automatic.is_some_and(|p| !p.explicit)
                && trigger::holds(self.universe.package(old), self.universe.problem.host, others.map(|p| &**p))
                && !self.is_needed(new, present)
            {
                back.push(new);
            }
        }
        self.kept_back.extend(&back);
        !back.is_empty()
    }

    /// Whether another package or the request itself needs it.
    fn is_needed(&mut self, member: MemberIx, present: &[MemberIx]) -> bool {
        let asked = self.asked.iter().any(|r| self.universe.need(r.need).members().any(|m| m == member));
        asked
            || present.iter().filter(|m| **m != member).any(|other| {
                let deps = self.universe.deps(*other);
                deps.needs.iter().any(|n| self.universe.need(*n).members().any(|m| m == member))
            })
    }

    /// Tries the packages whose `install_if` holds now.
    fn fire(&mut self, present: &[MemberIx]) -> bool {
        for (name, members) in trigger::fired(self.universe, present) {
            let known = self
                .triggered
                .iter()
                .any(|r| matches!(r.why, RootWhy::Triggered(m) if self.universe.member(m).name == name));
            let Some(first) = members.first().copied() else { continue };
            if known || self.rejected.contains(&name) {
                continue;
            }
            let text = format!("install_if of {}", titled(self.universe.package(first)));
            let need = self.universe.need_exactly(text, members);
            self.trial.push(Root { need, why: RootWhy::Triggered(first) });
        }
        self.recommend(present);
        !self.trial.is_empty()
    }

    /// What new packages recommend is tried like what they set off.
    fn recommend(&mut self, present: &[MemberIx]) {
        for (by, need) in recommend::missing(self.universe, present) {
            let Some(first) = self.universe.need(need).members().next() else { continue };
            let name = self.universe.member(first).name;
            let known = self.triggered.iter().chain(&self.trial).any(|r| r.need == need);
            if !known && !self.rejected.contains(&name) {
                self.trial.push(Root { need, why: RootWhy::Recommended(first, by) });
            }
        }
    }
}

/// Drops what the engine took on the way and nothing needs in the end. Needs with one giver come first, the others take who
/// is there already.
pub(crate) fn trim(universe: &mut Universe<'_>, members: &[MemberIx], roots: &[Root]) -> Vec<MemberIx> {
    let there: HashSet<MemberIx> = members.iter().copied().collect();
    let mut kept: HashSet<MemberIx> = HashSet::new();
    let mut open: Vec<NeedIx> = Vec::new();
    let mut work: Vec<NeedIx> = roots.iter().rev().map(|r| r.need).collect();
    let mut seen: HashSet<NeedIx> = HashSet::new();
    loop {
        let take = if let Some(need) = work.pop() {
            if !seen.insert(need) || universe.need(need).host.is_some() {
                continue;
            }
            let mut givers = universe.need(need).members().filter(|m| there.contains(m));
            match (givers.next(), givers.next()) {
                (Some(only), None) => only,
                (Some(_), Some(_)) => {
                    open.push(need);
                    continue;
                }
                (None, _) => continue,
            }
        } else if !open.is_empty() {
            let need = universe.need(open.remove(0));
            let Some(best) = need.members().find(|m| there.contains(m)) else { continue };
            if need.members().any(|m| kept.contains(&m)) {
                continue;
            }
            best
        } else {
            break;
        };
        if kept.insert(take) {
            work.extend(universe.deps(take).needs.iter().rev());
        }
    }
    let mut kept: Vec<MemberIx> = kept.into_iter().collect();
    kept.sort_unstable();
    kept
}
