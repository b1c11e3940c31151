//! What keeps a package on the root: the chains from a person's choices down to it. Looks at installed packages only.

use std::collections::BTreeSet;
use std::sync::Arc;

use xpkg_model::candidates::CandidatesError;
use xpkg_model::host::Host;
use xpkg_model::installed::Installed;
use xpkg_model::{Candidates, Ecosystem, Package, Spec};

use crate::explain::{Node, What};
use crate::solution::titled;
use crate::targets::{Targets, scopes};
use crate::universe::{MemberIx, Universe};
use crate::{Problem, Request, trigger};

/// Longest chain told.
const MAX_DEPTH: usize = 12;

/// Offers nothing: what is installed is all there is.
struct Nothing;

impl Candidates for Nothing {
    fn named(&self, _: Ecosystem, _: &str) -> Result<Vec<Arc<Package>>, CandidatesError> {
        Ok(Vec::new())
    }
    fn providing(&self, _: Ecosystem, _: &str) -> Result<Vec<Arc<Package>>, CandidatesError> {
        Ok(Vec::new())
    }
    fn installed_if(&self, _: Ecosystem, _: &str) -> Result<Vec<Arc<Package>>, CandidatesError> {
        Ok(Vec::new())
    }
    fn hinted(&self, _: Ecosystem, _: &str) -> Result<Vec<String>, CandidatesError> {
        Ok(Vec::new())
    }
}

/// Why the package is there: who asked for it, who needs it and what keeps those. `None` when it is not installed.
pub fn why(installed: &Installed, host: &Host, spec: &Spec) -> Option<Node> {
    let request = Request::default();
    let problem = Problem { installed, host, candidates: &Nothing, request: &request, learnt: &[] };
    let mut universe = Universe::new(problem, Targets::default(), true);
    let name = &spec.dependency.name;
    let worlds = scopes(&problem, spec);
    let named = worlds.iter().find_map(|e| universe.installed_named(*e, name));
    let mut giving = worlds.iter().flat_map(|e| universe.providing(*e, name)).collect::<Vec<_>>().into_iter();
    let member = named.or_else(|| giving.find(|m| universe.meets(*m, &spec.dependency)))?;
    let mut told = BTreeSet::new();
    let because = reasons(&mut universe, member, &mut told, MAX_DEPTH);
    Some(Node::new(What::Installed { package: titled(universe.package(member)) }, because))
}

fn reasons(universe: &mut Universe<'_>, member: MemberIx, told: &mut BTreeSet<MemberIx>, depth: usize) -> Vec<Node> {
    let package = Arc::clone(universe.package(member));
    if !told.insert(member) {
        return vec![Node::leaf(What::More { why: "(told above)".to_owned() })];
    }
    let mut nodes = Vec::new();
    let explicit = universe.member(member).installed.and_then(|i| universe.problem.installed.packages.get(i));
    if explicit.is_some_and(|p| p.explicit) {
        nodes.push(Node::leaf(What::Explicit { package: titled(&package) }));
    }
    let all = universe.installed();
    for consumer in all.iter().copied().filter(|c| *c != member) {
        let deps = universe.deps(consumer);
        let mut needs = deps.needs.iter().map(|n| universe.need(*n));
        let Some(requirement) = needs.find(|n| n.members().any(|m| m == member)).map(|n| n.text.clone()) else {
            continue;
        };
        let what = What::Needs { consumer: titled(universe.package(consumer)), requirement };
        let because = if depth > 1 { reasons(universe, consumer, told, depth - 1) } else { Vec::new() };
        nodes.push(Node::new(what, because));
    }
    let others = all.iter().filter(|m| **m != member).map(|m| &**universe.package(*m));
    if trigger::holds(&package, universe.problem.host, others) {
        let conditions: Vec<String> = package.install_if.iter().map(ToString::to_string).collect();
        nodes.push(Node::leaf(What::InstallIf { package: titled(&package), conditions }));
    }
    if nodes.is_empty() {
        nodes.push(Node::leaf(What::Unneeded { package: titled(&package) }));
    }
    nodes
}
