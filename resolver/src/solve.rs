//! Finds the answer to a request: needs from the request and the root, rounds, what becomes needless, and the reasons.

use xpkg_model::{Requirement, Spec};

use crate::explain::{Node, What};
use crate::orphan;
use crate::outcome;
use crate::rounds::{Root, RootWhy, Rounds};
use crate::solution::titled;
use crate::targets::{Targets, scopes};
use crate::universe::Universe;
use crate::{Problem, Solution, Unsolvable, Upgrade};

/// What the root would hold after the request, or why that cannot be.
///
/// Everything installed stays, in some version, except what the request removes and what nothing needs because of it.
pub fn solve(problem: &Problem<'_>) -> Result<Solution, Unsolvable> {
    let mut targets = Targets::new(problem)?;
    let closed = problem.request.only_takes_away();
    if closed && problem.request.cascade {
        take_dependants(problem, &mut targets)?;
    }
    if closed && !targets.removed.is_empty() {
        targets.idle = orphan::left_over(problem, &targets);
    }
    match attempt(problem, targets.clone(), closed) {
        Err(_) if problem.request.cascade && !closed && !targets.removed.is_empty() => {
            take_dependants(problem, &mut targets)?;
            attempt(problem, targets, closed)
        }
        result => result,
    }
}

fn take_dependants(problem: &Problem<'_>, targets: &mut Targets) -> Result<(), Unsolvable> {
    for (name, why) in orphan::dependants(problem, targets) {
        let package = problem.installed.get(name.0, &name.1).map(|p| &p.package);
        if let Some(package) = package.filter(|p| p.is_essential() && !targets.removed.contains_key(&name)) {
            return Err(Unsolvable::one(Node::leaf(What::Essential { package: titled(package), why })));
        }
        targets.removed.entry(name).or_insert(Some(why));
    }
    Ok(())
}

fn attempt(problem: &Problem<'_>, targets: Targets, closed: bool) -> Result<Solution, Unsolvable> {
    let mut universe = Universe::new(*problem, targets, closed);
    let mut asked = Vec::new();
    for spec in &problem.request.install {
        asked.push(wanted(&mut universe, spec)?);
    }
    for package in &problem.request.local {
        let is_it = |m: &u32| universe.member(*m).local && universe.package(*m).key() == package.key();
        let members: Vec<u32> = (0..universe.members.len() as u32).filter(is_it).collect();
        let text = format!("{} (a file)", titled(package));
        if let Some(what) = members.first().and_then(|m| universe.member(*m).refused.clone()) {
            return Err(Unsolvable::one(Node::new(What::Requested { requirement: text }, vec![Node::leaf(what)])));
        }
        let need = universe.need_exactly(text.clone(), members);
        asked.push(Root { need, why: RootWhy::Asked(text) });
    }
    let all_may_change = closed || problem.request.upgrade == Upgrade::All;
    let answer = Rounds::new(&mut universe, asked, all_may_change).run()?;
    Ok(outcome::solution(&mut universe, &answer))
}

/// The need behind a spec: in the first world that has a package of its own for it, else in the first that has any.
fn wanted(universe: &mut Universe<'_>, spec: &Spec) -> Result<Root, Unsolvable> {
    let text = spec.to_string();
    if spec.dependency.conflict {
        let why = format!("`{spec}` cannot be installed: it says what must not be there");
        return Err(Unsolvable::one(Node::leaf(What::More { why })));
    }
    let mut dependency = spec.dependency.clone();
    dependency.tag = None;
    let requirement = Requirement::from(dependency.clone());
    let mut worlds = scopes(&universe.problem, spec);
    // What is installed under the name is meant before anything else.
    worlds.sort_by_key(|e| universe.problem.installed.get(*e, &dependency.name).is_none());
    let mut found = Vec::new();
    for world in &worlds {
        let need = universe.need_of(None, *world, &requirement);
        let groups = &universe.need(need).groups;
        if groups.iter().any(|g| !g.virtually) {
            return Ok(Root { need, why: RootWhy::Asked(text) });
        }
        found.push((groups.is_empty(), need));
    }
    let need = found.iter().find(|(empty, _)| !empty).or(found.first()).map(|(_, need)| *need);
    let need = need.unwrap_or_else(|| universe.need_exactly(text.clone(), Vec::new()));
    if let Some(need) = universe.needs.get_mut(need as usize) {
        need.worlds = worlds;
    }
    Ok(Root { need, why: RootWhy::Asked(text) })
}
