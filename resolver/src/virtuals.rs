//! apk's rule for virtual names: a package that only answers to an unversioned name, without a priority, is taken when
//! something else wants it, never of itself. Checked on an answer; bans nothing.

use std::collections::{HashMap, HashSet};

use crate::explain::{Node, What};
use crate::rounds::{Root, RootWhy};
use crate::solution::titled;
use crate::universe::{MemberIx, NameIx, NeedIx, Universe};

/// A choice that was made for nobody's reason.
pub(crate) struct Ambiguity {
    pub(crate) node: Node,
    /// Names that something asks for in earnest.
    pub(crate) wanted: HashSet<NameIx>,
}

/// Finds the first need that only packages meet which nothing else asks for.
pub(crate) fn check(universe: &mut Universe<'_>, present: &[MemberIx], roots: &[Root]) -> Option<Ambiguity> {
    let there: HashSet<MemberIx> = present.iter().copied().collect();
    let mut wanted: HashSet<MemberIx> = HashSet::new();
    let mut asked: Vec<(Option<MemberIx>, NeedIx)> = roots.iter().map(|r| (None, r.need)).collect();
    let mut consumers: HashMap<NeedIx, Option<MemberIx>> = HashMap::new();
    let mut next = 0;
    while let Some((consumer, need)) = asked.get(next).copied() {
        next += 1;
        consumers.entry(need).or_insert(consumer);
        let groups = universe.need(need).groups.iter().filter(|g| !g.virtually);
        let found: Vec<MemberIx> = groups.flat_map(|g| &g.members).copied().filter(|m| there.contains(m)).collect();
        for member in found {
            if wanted.insert(member) {
                asked.extend(universe.deps(member).needs.iter().map(|n| (Some(member), *n)));
            }
        }
    }
    let (consumer, need) = asked.into_iter().find(|(_, need)| {
        let need = universe.need(*need);
        need.host.is_none() && !need.members().any(|m| wanted.contains(&m))
    })?;
    let why = roots.iter().find(|r| r.need == need).map(|r| &r.why);
    let consumer = match (consumer, why) {
        (Some(member), _) => titled(universe.package(member)),
        (None, Some(RootWhy::Stays(member) | RootWhy::Triggered(member) | RootWhy::Recommended(_, member))) => {
            titled(universe.package(*member))
        }
        (None, _) => "the request".to_owned(),
    };
    let groups = &universe.need(need).groups;
    let mut choices: Vec<String> =
        groups.iter().filter_map(|g| g.members.first()).map(|m| universe.package(*m).scoped()).collect();
    choices.sort();
    let requirement = universe.need(need).text.clone();
    Some(Ambiguity {
        node: Node::leaf(What::Choose { requirement, consumer, choices }),
        wanted: wanted.into_iter().map(|m| universe.member(m).name).collect(),
    })
}
