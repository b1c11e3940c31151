//! Automatic packages that nothing needs any more, and dependants of what goes. Looks at installed packages only.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use xpkg_model::installed::{Installed, InstalledPackage};
use xpkg_model::{Ecosystem, VersionScheme};

use crate::needs::Need;
use crate::solution::titled;
use crate::targets::Targets;
use crate::universe::{MemberIx, Universe};
use crate::{Problem, Request, trigger};

pub(crate) type Scoped = (Ecosystem, String);

/// A universe of exactly these packages.
fn universe_of<'a>(problem: &Problem<'a>, installed: &'a Installed, request: &'a Request) -> Universe<'a> {
    Universe::new(Problem { installed, request, ..*problem }, Targets::default(), true)
}

/// Names reachable from the roots: through every package that meets a requirement, and through `install_if`.
fn reach(universe: &mut Universe<'_>, is_root: &dyn Fn(MemberIx) -> bool) -> HashSet<MemberIx> {
    let all = universe.installed();
    let mut reached: HashSet<MemberIx> = HashSet::new();
    let mut work: Vec<MemberIx> = all.iter().copied().filter(|m| is_root(*m)).collect();
    loop {
        while let Some(member) = work.pop() {
            if reached.insert(member) {
                let deps = universe.deps(member);
                let mut needs = deps.needs.clone();
                let package = universe.package(member).clone();
                if package.scheme == VersionScheme::Deb {
                    needs.extend(
                        package.recommends.iter().map(|r| universe.need_of(Some(member), package.ecosystem, r)),
                    );
                }
                for need in needs {
                    work.extend(universe.need(need).members());
                }
            }
        }
        let packages: Vec<_> =
            all.iter().filter(|m| reached.contains(m)).map(|m| universe.package(*m).clone()).collect();
        let fires = |m: &MemberIx| {
            !reached.contains(m)
                && trigger::holds(universe.package(*m), universe.problem.host, packages.iter().map(|p| &**p))
        };
        work = all.iter().copied().filter(fires).collect();
        if work.is_empty() {
            return reached;
        }
    }
}

/// Automatic packages of `after` that something needed `before` and nothing needs now. With `all`, every automatic package that
/// nothing needs now. `after` says of each package whether it is explicit.
pub(crate) fn find(problem: &Problem<'_>, after: &Installed, all: bool) -> BTreeSet<Scoped> {
    let request = Request::default();
    let before = problem.installed;
    // What another world cannot do without (OpenWrt 19.07's libgcc1) is nothing special here.
    let native = problem.host.native;
    let explicit = |i: &Installed, ix: usize| {
        i.packages
            .get(ix)
            .is_some_and(|p| p.explicit || p.held || p.package.is_essential() && p.package.ecosystem == native)
    };
    let mut earlier = universe_of(problem, before, &request);
    let needed = reach(&mut earlier, &|m| explicit(before, m as usize));
    let idle: BTreeSet<Scoped> =
        earlier.installed().into_iter().filter(|m| !needed.contains(m)).map(|m| key(&earlier, m)).collect();
    drop(earlier);
    let mut later = universe_of(problem, after, &request);
    let names: Vec<Scoped> = later.installed().into_iter().map(|m| key(&later, m)).collect();
    let kept = reach(&mut later, &|m| {
        let was_idle = names.get(m as usize).is_some_and(|n| idle.contains(n));
        explicit(after, m as usize) || (was_idle && !all)
    });
    later.installed().into_iter().filter(|m| !kept.contains(m)).map(|m| key(&later, m)).collect()
}

/// Automatic packages that nothing needs any more once the removed ones are gone.
pub(crate) fn left_over(problem: &Problem<'_>, targets: &Targets) -> BTreeSet<Scoped> {
    let stays = |p: &&InstalledPackage| !targets.removes(p.package.ecosystem, &p.package.name);
    let packages = problem.installed.packages.iter().filter(stays).cloned().collect();
    find(problem, &Installed { packages, ..Installed::default() }, false)
}

fn key(universe: &Universe<'_>, ix: MemberIx) -> Scoped {
    let package = universe.package(ix);
    (package.ecosystem, package.name.clone())
}

/// What has to go when the given names go, with the reason in words.
pub(crate) fn dependants(problem: &Problem<'_>, targets: &Targets) -> BTreeMap<Scoped, String> {
    let request = Request::default();
    let mut universe = universe_of(problem, problem.installed, &request);
    let all = universe.installed();
    let mut gone: HashSet<MemberIx> = all
        .iter()
        .copied()
        .filter(|m| targets.removes(universe.package(*m).ecosystem, &universe.package(*m).name))
        .collect();
    let mut found = BTreeMap::new();
    loop {
        let before = gone.len();
        for member in &all {
            if gone.contains(member) {
                continue;
            }
            let deps = universe.deps(*member);
            let lost = |n: &Need| n.host.is_none() && !n.members().any(|m| !gone.contains(&m));
            if let Some(need) = deps.needs.iter().map(|n| universe.need(*n)).find(|n| lost(n)) {
                let giver = need.members().next().map_or_else(String::new, |m| titled(universe.package(m)));
                found.insert(key(&universe, *member), format!("it needs {}, which goes with {giver}", need.text));
                gone.insert(*member);
            }
        }
        if gone.len() == before {
            return found;
        }
    }
}
