//! Turns the packages that would be there into a [`Solution`]: what goes besides, reasons, and who meets whose requirements.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use xpkg_model::dependency::is_shared;
use xpkg_model::installed::{Installed, InstalledPackage};
use xpkg_model::plan::Reason;
use xpkg_model::{Ecosystem, Package, Requirement};

use crate::orphan::{self, Scoped};
use crate::rounds::{Answer, RootWhy};
use crate::solution::{Giver, Gone, Kept, Link, Solution, titled};
use crate::targets::Targets;
use crate::universe::{MemberIx, Universe, compare_versions};
use crate::{Problem, Request};

fn key(package: &Package) -> Scoped {
    (package.ecosystem, package.name.clone())
}

/// The answer with its reasons.
pub(crate) fn solution(universe: &mut Universe<'_>, answer: &Answer) -> Solution {
    let asked = asked(universe, answer);
    let problem = universe.problem;
    let mut removed = universe.targets.removed.clone();
    removed.extend(displaced(universe, answer));
    let changes = answer.present.iter().any(|m| !universe.is_installed(*m)) || !removed.is_empty();
    let mut orphans = BTreeSet::new();
    if changes || problem.request.autoremove {
        let after = after(universe, answer, &asked);
        orphans = orphan::find(&problem, &after, problem.request.autoremove);
        orphans.retain(|(e, n)| problem.installed.get(*e, n).is_some());
        let there: BTreeSet<Scoped> = answer.present.iter().map(|m| key(universe.package(*m))).collect();
        orphans.extend(universe.targets.idle.iter().filter(|n| !there.contains(*n)).cloned());
    }
    let mut present: Vec<MemberIx> =
        answer.present.iter().copied().filter(|m| !orphans.contains(&key(universe.package(*m)))).collect();
    present.sort_by_cached_key(|m| key(universe.package(*m)));
    let places: HashMap<MemberIx, usize> = present.iter().enumerate().map(|(i, m)| (*m, i)).collect();
    let mut kept: Vec<Kept> = present.iter().map(|m| keep(universe, *m, &places, &asked)).collect();
    let reasons = reasons(universe, answer, &kept, &present);
    for (kept, reason) in kept.iter_mut().zip(reasons) {
        kept.reason = reason;
    }
    let gone = gone(&problem, &removed, &orphans);
    let mut notes: BTreeSet<String> = universe.notes.clone();
    notes.extend(present.iter().filter_map(|m| held_back(universe, *m)));
    notes.extend(met_otherwise(&problem, &universe.targets, &kept));
    Solution { kept, gone, notes: notes.into_iter().collect(), now_explicit: asked.into_iter().collect() }
}

/// What needed a package that the request takes away and has another giver: opkg refuses such a removal, and a person should
/// know why this one goes on.
fn met_otherwise(problem: &Problem<'_>, targets: &Targets, kept: &[Kept]) -> Vec<String> {
    let requested = targets.removed.iter().filter(|(_, why)| why.is_none());
    let gone: Vec<&Arc<Package>> =
        requested.filter_map(|((e, n), _)| problem.installed.get(*e, n)).map(|p| &p.package).collect();
    let mut notes = Vec::new();
    for package in kept.iter().filter(|k| k.unchanged && !gone.is_empty()).map(|k| &k.package) {
        for wanted in package.requirements().flat_map(Requirement::alternatives) {
            let meets = |p: &&Arc<Package>| p.ecosystem == package.ecosystem && p.meets(wanted);
            let Some(left) = gone.iter().copied().find(meets) else { continue };
            let Some(giver) = kept.iter().map(|k| &k.package).find(meets) else { continue };
            notes.push(format!(
                "{} needs {wanted}: without {}, {} gives it",
                package.scoped(),
                left.scoped(),
                titled(giver)
            ));
        }
    }
    notes
}

/// Installed packages whose place another one takes, with the reason in words.
fn displaced(universe: &Universe<'_>, answer: &Answer) -> Vec<(Scoped, Option<String>)> {
    let there: HashSet<MemberIx> = answer.present.iter().copied().collect();
    let stays = answer.roots.iter().filter_map(|r| match r.why {
        RootWhy::Stays(member) => Some((member, r.need)),
        _ => None,
    });
    stays
        .filter_map(|(member, need)| {
            let giver = universe.need(need).members().find(|m| there.contains(m))?;
            let taken = universe.member(giver).name != universe.member(member).name;
            let why = || format!("{} takes its place", titled(universe.package(giver)));
            taken.then(|| (key(universe.package(member)), Some(why())))
        })
        .collect()
}

/// The packages that the request names.
fn asked(universe: &Universe<'_>, answer: &Answer) -> BTreeSet<Scoped> {
    let there: HashSet<MemberIx> = answer.present.iter().copied().collect();
    let roots = answer.roots.iter().filter(|r| matches!(r.why, RootWhy::Asked(_)));
    roots
        .filter_map(|r| universe.need(r.need).members().find(|m| there.contains(m)))
        .map(|m| key(universe.package(m)))
        .collect()
}

/// The root as it would be, for the question what is needless then. New packages count as wanted: nothing of them is.
fn after(universe: &Universe<'_>, answer: &Answer, asked: &BTreeSet<Scoped>) -> Installed {
    let installed = universe.problem.installed;
    let packages = answer.present.iter().map(|m| {
        let member = universe.member(*m);
        let old = installed.get(member.package.ecosystem, &member.package.name);
        let mut package = Arc::clone(&member.package);
        if let Some(old) = old.filter(|_| member.installed.is_none() && package.ecosystem == Ecosystem::Openwrt) {
            // OpenWrt's indexes are silent about libraries: what the old build was proven to give is presumed of the new one.
            let shared = old.package.provides.iter().filter(|p| is_shared(&p.name) && !package.provides.contains(p));
            let shared: Vec<_> = shared.cloned().collect();
            if !shared.is_empty() {
                Arc::make_mut(&mut package).provides.extend(shared);
            }
        }
        InstalledPackage {
            explicit: old.is_none_or(|o| o.explicit) || asked.contains(&key(&member.package)),
            held: old.is_some_and(|o| o.held),
            foreign: package.ecosystem != universe.native(),
            registered_as: None,
            package,
        }
    });
    Installed { packages: packages.collect(), ..Installed::default() }
}

fn keep(universe: &mut Universe<'_>, m: MemberIx, places: &HashMap<MemberIx, usize>, asked: &BTreeSet<Scoped>) -> Kept {
    let package = Arc::clone(universe.package(m));
    let unchanged = universe.is_installed(m);
    let old = universe.problem.installed.get(package.ecosystem, &package.name);
    let explicit = old.is_some_and(|o| o.explicit) || asked.contains(&key(&package));
    let mut links = Vec::new();
    if !unchanged {
        let deps = universe.deps(m);
        for need in deps.needs.iter().map(|n| universe.need(*n)) {
            let best = need.members().find(|g| places.contains_key(g));
            let giver = match (&need.host, best) {
                (Some(gift), best) if best.is_none_or(|b| !universe.is_installed(b)) => {
                    Giver::Host { by: gift.by.clone(), native: gift.native.clone() }
                }
                (_, Some(best)) => match places.get(&best) {
                    Some(place) => Giver::Package(*place),
                    None => continue,
                },
                _ => continue,
            };
            links.push(Link { requirement: need.text.clone(), giver });
        }
    }
    let old = old.filter(|_| !unchanged).map(|o| Arc::clone(&o.package));
    Kept { package, unchanged, old, explicit, reason: Reason::Requested, links }
}

fn reasons(universe: &Universe<'_>, answer: &Answer, kept: &[Kept], present: &[MemberIx]) -> Vec<Reason> {
    let mut needed: HashMap<usize, Reason> = HashMap::new();
    for consumer in kept {
        for link in &consumer.links {
            if let Giver::Package(i) = link.giver {
                let reason = Reason::Needed { by: consumer.package.scoped(), requirement: link.requirement.clone() };
                needed.entry(i).or_insert(reason);
            }
        }
    }
    let root = |m: MemberIx| {
        let mut roots = answer.roots.iter().filter(|r| !matches!(r.why, RootWhy::Stays(_)));
        roots.find(|r| universe.need(r.need).members().any(|g| g == m)).map(|r| &r.why)
    };
    let reason = |(i, m): (usize, &MemberIx)| match root(*m) {
        Some(RootWhy::Asked(_)) => Reason::Requested,
        Some(RootWhy::Recommended(_, by)) => Reason::Needed {
            by: universe.package(*by).scoped(),
            requirement: format!("{} (recommended)", universe.package(*m).scoped()),
        },
        Some(_) => Reason::InstallIf,
        None if universe.name(universe.member(*m).name).upgrade => Reason::Upgrade,
        None => needed.get(&i).cloned().unwrap_or(Reason::Upgrade),
    };
    present.iter().enumerate().map(reason).collect()
}

fn gone(problem: &Problem<'_>, removed: &BTreeMap<Scoped, Option<String>>, orphans: &BTreeSet<Scoped>) -> Vec<Gone> {
    if removed.is_empty() && orphans.is_empty() {
        return Vec::new();
    }
    let request = Request::default();
    let mut universe = Universe::new(Problem { request: &request, ..*problem }, Targets::default(), true);
    let reason = |name: &Scoped| match removed.get(name) {
        Some(None) => Some(Reason::Requested),
        Some(Some(why)) => Some(Reason::Displaced { why: why.clone() }),
        None => orphans.contains(name).then_some(Reason::Orphan),
    };
    let leaving: Vec<(MemberIx, Reason)> =
        (universe.installed().into_iter()).filter_map(|m| reason(&key(universe.package(m))).map(|r| (m, r))).collect();
    let places: HashMap<MemberIx, usize> = leaving.iter().enumerate().map(|(i, (m, _))| (*m, i)).collect();
    let mut gone = Vec::new();
    for (member, reason) in leaving {
        let deps = universe.deps(member);
        let mut needs: Vec<usize> = deps
            .needs
            .iter()
            .flat_map(|n| universe.need(*n).members())
            .filter_map(|m| places.get(&m).copied())
            .collect();
        needs.sort_unstable();
        needs.dedup();
        gone.push(Gone { package: Arc::clone(universe.package(member)), reason, needs });
    }
    gone
}

/// That a package which should become newer does not.
fn held_back(universe: &Universe<'_>, m: MemberIx) -> Option<String> {
    let member = universe.member(m);
    let name = universe.name(member.name);
    if !name.upgrade {
        return None;
    }
    let newer = name.members.iter().copied().filter(|o| universe.member(*o).refused.is_none());
    let best = newer.min_by(|a, b| universe.compare_members(*a, *b))?;
    let better = compare_versions(universe.package(best), &member.package).is_gt();
    better
        .then(|| format!("{} stays: {} does not fit the rest", titled(&member.package), universe.package(best).version))
}
