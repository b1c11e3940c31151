//! Orders the steps: dependants go before what they need, dependencies come before what needs them. Decides nothing.

use petgraph::algo::tarjan_scc;
use petgraph::graph::DiGraph;
use xpkg_model::plan::HostUse;
use xpkg_model::{Action, Dependency, Package, Plan, Step};

use crate::solution::{Giver, titled};
use crate::{Problem, Solution};

/// The steps that lead from the installed packages to the solution, in an order that can be carried out. Cycles are ordered by name.
pub fn plan(problem: &Problem<'_>, solution: &Solution) -> Plan {
    let mut steps = Vec::new();
    let going: Vec<Vec<usize>> = solution.gone.iter().map(|g| g.needs.clone()).collect();
    for i in dependencies_first(&going).into_iter().rev() {
        let Some(gone) = solution.gone.get(i) else { continue };
        steps.push(Step {
            action: Action::Remove,
            package: gone.package.clone(),
            old: None,
            reason: gone.reason.clone(),
            explicit: false,
        });
    }
    let coming: Vec<Vec<usize>> = solution
        .kept
        .iter()
        .map(|k| {
            let givers = k.links.iter().filter_map(|l| if let Giver::Package(i) = l.giver { Some(i) } else { None });
            givers.collect()
        })
        .collect();
    for i in dependencies_first(&coming) {
        let Some(kept) = solution.kept.get(i).filter(|k| !k.unchanged) else { continue };
        steps.push(Step {
            action: if kept.old.is_some() { Action::Replace } else { Action::Install },
            package: kept.package.clone(),
            old: kept.old.clone(),
            reason: kept.reason.clone(),
            explicit: kept.explicit,
        });
    }
    Plan { steps, host_uses: host_uses(problem, solution), notes: solution.notes.clone(), ..Plan::default() }
}

/// What incoming foreign packages take from the host and from native packages.
fn host_uses(problem: &Problem<'_>, solution: &Solution) -> Vec<HostUse> {
    let native = problem.host.native;
    let mut uses = Vec::new();
    for kept in solution.kept.iter().filter(|k| !k.unchanged && k.package.ecosystem != native) {
        for link in &kept.links {
            let (by, package) = match &link.giver {
                Giver::Host { by, native } => (by.clone(), native.clone()),
                Giver::Package(i) => match solution.kept.get(*i) {
                    Some(giver) if giver.package.ecosystem == native => {
                        (titled(&giver.package), Some(giver.package.name.clone()))
                    }
                    _ => continue,
                },
            };
            uses.push(HostUse {
                consumer: kept.package.scoped(),
                requirement: link.requirement.clone(),
                by,
                settled: settled(problem, &kept.package, &link.requirement, package.as_deref()),
                native: package,
            });
        }
    }
    uses
}

/// Why another version than the one asked for does, when a rule of the host says so of the native package that was chosen.
fn settled(problem: &Problem<'_>, consumer: &Package, requirement: &str, native: Option<&str>) -> Option<String> {
    requirement.split(" | ").filter_map(|part| part.parse::<Dependency>().ok()).find_map(|wanted| {
        let mut rules = problem.host.provides.iter().filter(|p| p.native.as_deref() == native);
        let why = rules.find_map(|p| p.settled(&wanted, consumer.ecosystem, consumer.scheme))?;
        Some(why.to_owned())
    })
}

/// All indices, each after those it needs, as far as cycles allow.
fn dependencies_first(needs: &[Vec<usize>]) -> Vec<usize> {
    let mut graph: DiGraph<(), (), u32> = DiGraph::with_capacity(needs.len(), needs.len());
    let nodes: Vec<_> = needs.iter().map(|_| graph.add_node(())).collect();
    for (from, givers) in nodes.iter().zip(needs) {
        // The walk takes the edge added last first; what a package names first shall come first.
        for giver in givers.iter().rev() {
            if let Some(to) = nodes.get(*giver).filter(|to| *to != from) {
                graph.update_edge(*from, *to, ());
            }
        }
    }
    // Components come in reverse topological order of the edges: what is needed first.
    let components = tarjan_scc(&graph);
    components
        .into_iter()
        .flat_map(|mut component| {
            component.sort_unstable();
            component.into_iter().map(|node| node.index())
        })
        .collect()
}
