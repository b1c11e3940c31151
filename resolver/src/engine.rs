//! Puts the universe to resolvo: lazily, so that only what is tried is loaded. Knows no package rules of its own.

use std::any::Any;
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::Display;

use resolvo::{
    Candidates, Condition, ConditionId, Dependencies, DependencyProvider, Interner, KnownDependencies, NameId,
    Requirement, SolvableId, Solver, SolverCache, StringId, UnsolvableOrCancelled, VersionSetId, VersionSetUnionId,
};
use xpkg_model::{Ecosystem, Package};

use crate::universe::{MemberIx, NameIx, NeedIx, Universe};

/// A name that only one package may answer to: of one world by name or versioned provide, or (`None`) as the plain package name
/// that a native database holds once.
pub(crate) type Owned = (Option<Ecosystem>, String);

/// Rules found necessary in earlier rounds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    pub(crate) owned: BTreeSet<Owned>,
    /// Names that may be taken as virtual providers; `None`: all.
    pub(crate) virtuals: Option<HashSet<NameIx>>,
}

/// What the engine found.
pub(crate) enum Found {
    /// Packages that would be there.
    Answer(Vec<MemberIx>),
    /// None.
    Nothing,
    /// A source failed.
    Failed,
}

/// What a package claims of an owned name.
pub(crate) fn claim<'p>(package: &'p Package, (ecosystem, name): &Owned) -> Option<&'p str> {
    match ecosystem {
        None => (package.name == *name).then_some(package.ecosystem.as_str()),
        Some(e) => (package.ecosystem == *e
            && (package.name == *name || package.provides.iter().any(|p| p.version.is_some() && p.name == *name)))
        .then_some(package.name.as_str()),
    }
}

/// Solves for the given needs.
pub(crate) fn run(universe: &mut Universe<'_>, roots: &[NeedIx], rules: &Rules) -> Found {
    let provider = Provider {
        universe: RefCell::new(universe),
        rules,
        owned: rules.owned.iter().cloned().collect(),
        sets: RefCell::default(),
        unions: RefCell::default(),
        requirements: RefCell::default(),
        claimants: RefCell::default(),
    };
    let requirements = roots.iter().filter_map(|need| provider.requirement(*need)).map(Into::into).collect();
    let mut solver = Solver::new(provider);
    match solver.solve(resolvo::Problem::new().requirements(requirements)) {
        Ok(solvables) => {
            let mut members: Vec<MemberIx> = solvables
                .into_iter()
                .map(SolvableId::into_raw)
                .filter(|raw| raw.is_multiple_of(2))
                .map(|raw| raw / 2)
                .collect();
            members.sort_unstable();
            Found::Answer(members)
        }
        Err(UnsolvableOrCancelled::Unsolvable(_)) => Found::Nothing,
        Err(UnsolvableOrCancelled::Cancelled(_)) => Found::Failed,
    }
}

struct Set {
    name: NameId,
    solvables: Vec<SolvableId>,
}

/// Even raw ids are packages and their names, odd ones the claims on owned names.
struct Provider<'u, 'a> {
    universe: RefCell<&'u mut Universe<'a>>,
    rules: &'u Rules,
    owned: Vec<Owned>,
    sets: RefCell<Vec<Set>>,
    unions: RefCell<Vec<Vec<VersionSetId>>>,
    requirements: RefCell<HashMap<NeedIx, Option<Requirement>>>,
    claimants: RefCell<Vec<(usize, String)>>,
}

fn member_id(member: MemberIx) -> SolvableId {
    SolvableId::from_raw(member * 2)
}

impl Provider<'_, '_> {
    /// The name of the set that holds nothing.
    fn nowhere(&self) -> NameId {
        NameId::from_raw(self.owned.len() as u32 * 2 + 1)
    }

    fn set(&self, name: NameId, solvables: Vec<SolvableId>) -> VersionSetId {
        let mut sets = self.sets.borrow_mut();
        sets.push(Set { name, solvables });
        VersionSetId((sets.len() - 1) as u32)
    }

    /// The need in resolvo's terms; `None` when the host meets it.
    fn requirement(&self, need: NeedIx) -> Option<Requirement> {
        if let Some(known) = self.requirements.borrow().get(&need) {
            return *known;
        }
        let universe = self.universe.borrow();
        let wanted = universe.need(need);
        let made = if wanted.host.is_some() {
            None
        } else {
            let allowed = |name: NameIx| self.rules.virtuals.as_ref().is_none_or(|v| v.contains(&name));
            let groups = wanted.groups.iter().filter(|g| !g.virtually || allowed(g.name));
            let mut sets: Vec<VersionSetId> = groups
                .map(|g| self.set(NameId::from_raw(g.name * 2), g.members.iter().copied().map(member_id).collect()))
                .collect();
            Some(match sets.len() {
                // A set without members: nothing meets it.
                0 => self.set(self.nowhere(), Vec::new()).into(),
                1 => sets.remove(0).into(),
                _ => {
                    let mut unions = self.unions.borrow_mut();
                    unions.push(sets);
                    VersionSetUnionId((unions.len() - 1) as u32).into()
                }
            })
        };
        self.requirements.borrow_mut().insert(need, made);
        made
    }

    fn claimant(&self, rule: usize, claimant: &str) -> VersionSetId {
        let mut claimants = self.claimants.borrow_mut();
        let known = claimants.iter().position(|(r, c)| *r == rule && c == claimant);
        let ix = known.unwrap_or_else(|| {
            claimants.push((rule, claimant.to_owned()));
            claimants.len() - 1
        });
        self.set(NameId::from_raw(rule as u32 * 2 + 1), vec![SolvableId::from_raw(ix as u32 * 2 + 1)])
    }
}

impl Interner for Provider<'_, '_> {
    type NameId = NameId;
    type SolvableId = SolvableId;

    fn display_solvable(&self, solvable: SolvableId) -> impl Display + '_ {
        solvable.into_raw()
    }

    fn display_name(&self, name: NameId) -> impl Display + '_ {
        name.into_raw()
    }

    fn display_version_set(&self, version_set: VersionSetId) -> impl Display + '_ {
        version_set.0
    }

    fn display_string(&self, string_id: StringId) -> impl Display + '_ {
        string_id.0
    }

    fn version_set_name(&self, version_set: VersionSetId) -> NameId {
        self.sets.borrow().get(version_set.0 as usize).map_or(self.nowhere(), |s| s.name)
    }

    fn solvable_name(&self, solvable: SolvableId) -> NameId {
        let (raw, claims) = (solvable.into_raw() / 2, self.claimants.borrow());
        NameId::from_raw(if solvable.into_raw().is_multiple_of(2) {
            self.universe.borrow().member(raw).name * 2
        } else {
            claims.get(raw as usize).map_or(0, |(rule, _)| *rule as u32) * 2 + 1
        })
    }

    fn version_sets_in_union(&self, union: VersionSetUnionId) -> impl Iterator<Item = VersionSetId> {
        self.unions.borrow().get(union.0 as usize).cloned().unwrap_or_default().into_iter()
    }

    fn resolve_condition(&self, _: ConditionId) -> Condition {
        Condition::Requirement(VersionSetId(0)) // no condition is ever made
    }
}

impl DependencyProvider for Provider<'_, '_> {
    /// Sets are lists of packages: those it holds, or (`inverse`, for constraints) those it bans.
    async fn filter_candidates(&self, _: &[SolvableId], set: VersionSetId, _inverse: bool) -> Vec<SolvableId> {
        self.sets.borrow().get(set.0 as usize).map(|s| s.solvables.clone()).unwrap_or_default()
    }

    async fn get_candidates(&self, _: NameId) -> Option<Candidates> {
        Some(Candidates::default())
    }

    async fn sort_candidates(&self, _: &SolverCache<Self>, _: &mut [SolvableId]) {
        // Sets are made in the right order.
    }

    async fn get_dependencies(&self, solvable: SolvableId) -> Dependencies {
        if solvable.into_raw() % 2 == 1 {
            return Dependencies::Known(KnownDependencies::default());
        }
        let member = solvable.into_raw() / 2;
        let deps = self.universe.borrow_mut().deps(member);
        if deps.dead.is_some() {
            return Dependencies::Unknown(StringId(0));
        }
        let requirements = deps.needs.iter().filter_map(|need| self.requirement(*need)).map(Into::into).collect();
        let mut known = KnownDependencies { requirements, constrains: Vec::new() };
        for ban in &deps.bans {
            let mut names: Vec<(NameIx, Vec<SolvableId>)> = Vec::new();
            for banned in &ban.members {
                let name = self.universe.borrow().member(*banned).name;
                match names.iter_mut().find(|(n, _)| *n == name) {
                    Some((_, list)) => list.push(member_id(*banned)),
                    None => names.push((name, vec![member_id(*banned)])),
                }
            }
            known.constrains.extend(names.into_iter().map(|(name, list)| self.set(NameId::from_raw(name * 2), list)));
        }
        let (package, installed) = {
            let universe = self.universe.borrow();
            (universe.package(member).clone(), universe.is_installed(member))
        };
        for (rule, owned) in self.owned.iter().enumerate() {
            if let Some(claimant) = claim(&package, owned) {
                // Owners that share a name today are left alone.
                let shared = installed && self.universe.borrow().shared_today(owned);
                known.requirements.push(self.claimant(rule, if shared { "" } else { claimant }).into());
            }
        }
        Dependencies::Known(known)
    }

    fn should_cancel_with_value(&self) -> Option<Box<dyn Any>> {
        self.universe.try_borrow().ok().and_then(|u| u.failure.is_some().then(|| Box::new(()) as Box<dyn Any>))
    }
}

impl Universe<'_> {
    /// Whether several installed packages claim the name already.
    pub(crate) fn shared_today(&self, owned: &Owned) -> bool {
        let installed = self.problem.installed.packages.iter();
        installed.filter_map(|p| claim(&p.package, owned)).collect::<BTreeSet<_>>().len() > 1
    }
}
