//! Walks the universe of an unsolvable request again, slowly, to say why. Deterministic and bounded; looks for no answer.
//!
//! A plain search that always takes the need with the fewest givers left. Every dead end knows which choices led to it, so that
//! choices which had no part in it are left out of the tree.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::engine::{Owned, Rules, claim};
use crate::explain::{Node, Unsolvable, What};
use crate::rounds::{Root, RootWhy};
use crate::solution::titled;
use crate::universe::{MemberIx, NameIx, NeedIx, Universe};

/// Choices tried before the search gives up and says so.
const MAX_TRIES: usize = 600;
/// Candidates listed below one need.
const MAX_LISTED: usize = 12;

type Consumer = Option<MemberIx>;

#[derive(Clone)]
struct Pick {
    need: NeedIx,
    consumer: Consumer,
    /// Why its rivals were out.
    rivals: Vec<Node>,
    blockers: Vec<MemberIx>,
}

#[derive(Clone, Default)]
struct State {
    picks: HashMap<MemberIx, Pick>,
    by_name: HashMap<NameIx, MemberIx>,
    /// What a pick excludes, and why.
    banned: HashMap<MemberIx, (MemberIx, String)>,
    claims: HashMap<Owned, (String, MemberIx)>,
    pending: Vec<(Consumer, NeedIx)>,
}

struct Dead {
    node: Node,
    /// Choices that took part.
    involved: BTreeSet<MemberIx>,
}

enum Out {
    Dead(Dead),
    /// A way was found, or the search gave up.
    Open,
}

struct Walk<'u, 'a> {
    universe: &'u mut Universe<'a>,
    owned: &'u BTreeSet<Owned>,
    why: HashMap<NeedIx, RootWhy>,
    tries: usize,
}

/// The reasons why the needs cannot be met together.
pub(crate) fn explain(universe: &mut Universe<'_>, roots: &[Root], rules: &Rules) -> Unsolvable {
    // What is installed comes first, so that the tree begins with the request that does not fit it.
    let (stays, asked): (Vec<&Root>, Vec<&Root>) = roots.iter().partition(|r| matches!(r.why, RootWhy::Stays(_)));
    let pending = stays.into_iter().chain(asked).map(|r| (None, r.need)).collect();
    let why = roots.iter().map(|r| (r.need, r.why.clone())).collect();
    let mut walk = Walk { universe, owned: &rules.owned, why, tries: 0 };
    match walk.search(State { pending, ..State::default() }, 0) {
        Out::Dead(dead) => Unsolvable::one(dead.node),
        Out::Open => {
            let asked = roots.iter().filter_map(|r| match &r.why {
                RootWhy::Asked(text) => Some(Node::leaf(What::Requested { requirement: text.clone() })),
                _ => None,
            });
            let why = "no choice of packages meets all of this together with what is installed".to_owned();
            Unsolvable::one(Node::new(What::More { why }, asked.collect()))
        }
    }
}

impl Walk<'_, '_> {
    fn search(&mut self, mut state: State, depth: usize) -> Out {
        loop {
            if self.tries > MAX_TRIES || depth > 48 {
                return Out::Open;
            }
            let mut best: Option<(usize, usize)> = None;
            let mut progressed = false;
            let mut i = 0;
            while let Some((consumer, need)) = state.pending.get(i).copied() {
                if self.is_met(&state, need) {
                    state.pending.remove(i);
                    continue;
                }
                let members: Vec<MemberIx> = self.universe.need(need).members().collect();
                let open: Vec<MemberIx> = members.into_iter().filter(|m| self.blocked(&state, *m).is_none()).collect();
                match open.as_slice() {
                    [] => return Out::Dead(self.dead_end(&state, consumer, need)),
                    [only] => {
                        let (rivals, blockers) = self.rivals(&state, need, None);
                        state.pending.remove(i);
                        self.pick(&mut state, *only, Pick { need, consumer, rivals, blockers });
                        progressed = true;
                    }
                    several => {
                        if best.is_none_or(|(n, _)| several.len() < n) {
                            best = Some((several.len(), i));
                        }
                        i += 1;
                    }
                }
            }
            if progressed {
                continue;
            }
            let Some((_, i)) = best else { return Out::Open };
            return self.branch(&state, i, depth);
        }
    }

    fn branch(&mut self, state: &State, i: usize, depth: usize) -> Out {
        let Some((consumer, need)) = state.pending.get(i).copied() else { return Out::Open };
        let members: Vec<MemberIx> = self.universe.need(need).members().collect();
        let (mut children, blockers) = self.rivals(state, need, None);
        let mut involved = self.ancestry(state, consumer.into_iter().chain(blockers.iter().copied()));
        for member in members {
            if self.blocked(state, member).is_some() {
                continue;
            }
            self.tries += 1;
            let mut next = state.clone();
            next.pending.remove(i);
            // The marker stands for the choice itself: its consumer's part is told by this node.
            self.pick(&mut next, member, Pick { need, consumer, rivals: Vec::new(), blockers: Vec::new() });
            match self.search(next, depth + 1) {
                Out::Open => return Out::Open,
                Out::Dead(dead) if !dead.involved.contains(&member) => return Out::Dead(dead),
                Out::Dead(dead) => {
                    involved.extend(dead.involved.into_iter().filter(|m| *m != member));
                    children.push(self.below(dead.node, member));
                }
            }
        }
        let involved = self.ancestry(state, involved.into_iter());
        let node = self.raise(state, consumer, need, children);
        Out::Dead(Dead { node, involved })
    }

    /// The part of a tree that lies below a choice, told as that candidate's reason.
    fn below(&self, node: Node, member: MemberIx) -> Node {
        let package = titled(self.universe.package(member));
        match find_candidate(&node, &package) {
            Some(found) => found.clone(),
            None => Node::new(What::Candidate { package }, vec![node]),
        }
    }

    fn is_met(&self, state: &State, need: NeedIx) -> bool {
        let need = self.universe.need(need);
        need.host.is_some() || need.members().any(|m| state.picks.contains_key(&m))
    }

    /// Why a package cannot join the picks, and which pick is to blame.
    fn blocked(&mut self, state: &State, member: MemberIx) -> Option<(What, Consumer)> {
        let deps = self.universe.deps(member);
        if let Some(dead) = &deps.dead {
            return Some((dead.clone(), None));
        }
        let conflict = |other: MemberIx, why: String| {
            let (package, other_title) = (titled(self.universe.package(member)), titled(self.universe.package(other)));
            Some((What::Conflict { package, other: other_title, why }, Some(other)))
        };
        let name = self.universe.member(member).name;
        if let Some(other) = state.by_name.get(&name).copied().filter(|o| *o != member) {
            return conflict(other, "only one version can be installed".to_owned());
        }
        if let Some((other, why)) = state.banned.get(&member) {
            return conflict(*other, why.clone());
        }
        for ban in &deps.bans {
            if let Some(other) = ban.members.iter().find(|m| state.picks.contains_key(m)) {
                return conflict(*other, ban.why.clone());
            }
        }
        for owned in self.owned {
            let Some(claimant) = self.claimant(member, owned) else { continue };
            if let Some((holder, other)) = state.claims.get(owned)
                && *holder != claimant
            {
                let why = match owned.0 {
                    None => format!("both are called {}", owned.1),
                    Some(_) => format!("only one package can provide {}", owned.1),
                };
                return conflict(*other, why);
            }
        }
        None
    }

    fn claimant(&self, member: MemberIx, owned: &Owned) -> Option<String> {
        let claimant = claim(self.universe.package(member), owned)?;
        let shared = self.universe.is_installed(member) && self.universe.shared_today(owned);
        Some(if shared { String::new() } else { claimant.to_owned() })
    }

    fn pick(&mut self, state: &mut State, member: MemberIx, pick: Pick) {
        let deps = self.universe.deps(member);
        state.by_name.insert(self.universe.member(member).name, member);
        for ban in &deps.bans {
            for banned in &ban.members {
                state.banned.entry(*banned).or_insert_with(|| (member, ban.why.clone()));
            }
        }
        for owned in self.owned {
            if let Some(claimant) = self.claimant(member, owned) {
                state.claims.entry(owned.clone()).or_insert((claimant, member));
            }
        }
        state.pending.extend(deps.needs.iter().map(|need| (Some(member), *need)));
        state.picks.insert(member, pick);
    }

    /// Why the givers of a need are out, except one; and the picks to blame.
    fn rivals(&mut self, state: &State, need: NeedIx, except: Consumer) -> (Vec<Node>, Vec<MemberIx>) {
        let mut nodes = Vec::new();
        let mut blockers = Vec::new();
        let members: Vec<MemberIx> = self.universe.need(need).members().filter(|m| Some(*m) != except).collect();
        for member in members {
            if let Some((what, blocker)) = self.blocked(state, member) {
                let because = blocker.map(|b| self.presence(state, b)).into_iter().collect();
                nodes.push(Node::new(what, because));
                blockers.extend(blocker);
            }
        }
        nodes.extend(self.universe.refusals(need).into_iter().map(Node::leaf));
        if nodes.len() > MAX_LISTED {
            let why = format!("and {} more", nodes.len() - MAX_LISTED);
            nodes.truncate(MAX_LISTED);
            nodes.push(Node::leaf(What::More { why }));
        }
        (nodes, blockers)
    }

    fn dead_end(&mut self, state: &State, consumer: Consumer, need: NeedIx) -> Dead {
        let (mut children, blockers) = self.rivals(state, need, None);
        if children.is_empty() {
            children.push(Node::leaf(self.universe.not_found(need)));
        }
        let involved = self.ancestry(state, consumer.into_iter().chain(blockers));
        Dead { node: self.raise(state, consumer, need, children), involved }
    }

    /// Why a pick is there, in one line.
    fn presence(&self, state: &State, member: MemberIx) -> Node {
        let Some(pick) = state.picks.get(&member) else {
            return Node::leaf(What::Stays { package: titled(self.universe.package(member)) });
        };
        Node::leaf(self.statement(pick.consumer, pick.need))
    }

    fn statement(&self, consumer: Consumer, need: NeedIx) -> What {
        let requirement = self.universe.need(need).text.clone();
        match consumer {
            Some(member) => What::Needs { consumer: titled(self.universe.package(member)), requirement },
            None => match self.why.get(&need) {
                Some(RootWhy::Stays(member)) => What::Stays { package: titled(self.universe.package(*member)) },
                Some(RootWhy::Asked(text)) => What::Requested { requirement: text.clone() },
                _ => What::Requested { requirement },
            },
        }
    }

    /// The statement about a need, below the chain of choices that led to its consumer.
    fn raise(&self, state: &State, consumer: Consumer, need: NeedIx, children: Vec<Node>) -> Node {
        let mut node = Node::new(self.statement(consumer, need), children);
        let mut consumer = consumer;
        let mut seen = HashSet::new();
        while let Some(member) = consumer.filter(|m| seen.insert(*m)) {
            let Some(pick) = state.picks.get(&member) else { break };
            let what = self.statement(pick.consumer, pick.need);
            let package = titled(self.universe.package(member));
            let stays = matches!(&what, What::Stays { package: p } if *p == package);
            let mut because = if stays { vec![node] } else { vec![Node::new(What::Candidate { package }, vec![node])] };
            because.extend(pick.rivals.iter().cloned());
            node = Node::new(what, because);
            consumer = pick.consumer;
        }
        node
    }

    fn ancestry(&self, state: &State, from: impl Iterator<Item = MemberIx>) -> BTreeSet<MemberIx> {
        let mut all = BTreeSet::new();
        let mut work: Vec<MemberIx> = from.collect();
        while let Some(member) = work.pop() {
            if all.insert(member)
                && let Some(pick) = state.picks.get(&member)
            {
                work.extend(pick.consumer);
                work.extend(&pick.blockers);
            }
        }
        all
    }
}

fn find_candidate<'n>(node: &'n Node, title: &str) -> Option<&'n Node> {
    if matches!(&node.what, What::Candidate { package } if package == title) {
        return Some(node);
    }
    node.because.iter().find_map(|n| find_candidate(n, title))
}
