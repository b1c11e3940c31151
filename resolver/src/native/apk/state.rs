//! What is known of each name and package while a question is decided, and the two queues that say what to look at
//! next. Decides nothing itself.

use std::collections::VecDeque;
use std::rc::Rc;

use super::pool::{Dep, NameId, PkgId, Pool, Provider, Repos, tag_bit};
use super::universe::Generation;

/// What a verb wishes for a package, as a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wish(pub u8);

impl Wish {
    /// The newest version wanted.
    pub const UPGRADE: Self = Self(1);
    /// Only what repositories offer.
    pub const AVAILABLE: Self = Self(2);
    /// Installed again even if it is the same.
    pub const REINSTALL: Self = Self(4);
    /// The newest by number, whatever else speaks against it.
    pub const LATEST: Self = Self(8);
    /// Stay with what is installed.
    pub const INSTALLED: Self = Self(16);
    /// On its way out: being installed counts for nothing.
    pub const REMOVE: Self = Self(32);

    /// Both.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Without these.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether any of these is in it.
    pub const fn any(self, of: Self) -> bool {
        self.0 & of.0 != 0
    }
}

/// State of a name.
#[derive(Clone, Debug, Default)]
pub(super) struct NameState {
    pub seen: bool,
    /// How many ask for it. apk counts in 16 bits and lets the count wrap, which shows when it goes below zero.
    pub requirers: u16,
    /// Decided; `chosen` says for whom, `None` for nobody.
    pub locked: bool,
    pub chosen: Option<Provider>,
    pub has_iif: bool,
    pub no_iif: bool,
    pub iif_needed: bool,
    pub look_at_deps: bool,
    pub look_at_iif: bool,
    pub has_options: bool,
    pub auto_selectable: bool,
    pub askers_done: bool,
    /// Longest chain of dependencies below it (2.14's order).
    pub chain: u16,
    /// Named by the verb, owned by real packages, place in the order of discovery; the greatest first (3.0's order).
    pub order: (bool, bool, u32),
    pub now: bool,
    pub dirty: bool,
    pub queued: bool,
}

/// State of a package.
#[derive(Clone, Debug, Default)]
pub(super) struct PkgState {
    pub seen: bool,
    pub available: bool,
    pub selectable: bool,
    pub pinning: Repos,
    pub tag_ok: bool,
    pub tag_preferred: bool,
    pub iif_triggered: bool,
    pub iif_failed: bool,
    /// Could be chosen when its name was last looked at.
    pub was_option: bool,
    pub conflicts: u32,
    pub wish: Wish,
    pub wish_on: Wish,
    pub chain: u16,
    pub error: bool,
}

/// The names that wait for a decision.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// 3.0: nothing is left to choose; in order of arrival.
    now: VecDeque<NameId>,
    /// 3.0: somebody can be chosen; in descending order.
    selectable: Vec<NameId>,
    /// Everybody else; in 2.14 everybody, newest first.
    rest: VecDeque<NameId>,
}

/// A decision under way.
pub(super) struct Solver<'a> {
    pub pool: &'a Pool,
    pub names: Vec<NameState>,
    pub pkgs: Vec<PkgState>,
    pub dirty: VecDeque<NameId>,
    pub waiting: Waiting,
    pub errors: usize,
    pub inherit: Wish,
    pub inherit_pinning: Repos,
    pub default_repos: Repos,
    pub discovered: u32,
    /// Names that a verb named (3.0 decides them first).
    pub named: Vec<bool>,
    /// apk-tools itself is being upgraded, before everything else.
    pub self_upgrade: bool,
    /// `--force-conflicts` and the like: conflicts count for nothing.
    pub ignore_conflicts: bool,
}

impl<'a> Solver<'a> {
    pub fn new(pool: &'a Pool) -> Self {
        Self {
            pool,
            names: vec![NameState::default(); pool.names.len()],
            pkgs: vec![PkgState::default(); pool.pkgs.len()],
            dirty: VecDeque::new(),
            waiting: Waiting::default(),
            errors: 0,
            inherit: Wish::default(),
            inherit_pinning: 0,
            default_repos: pool.repos_of(tag_bit(0)),
            discovered: 0,
            named: vec![false; pool.names.len()],
            self_upgrade: false,
            ignore_conflicts: false,
        }
    }

    pub fn is_v3(&self) -> bool {
        self.pool.generation == Generation::V3
    }

    /// Whether a condition holds once its name is decided as it now stands.
    pub fn met_by_choice(&self, of: Option<PkgId>, d: &Dep) -> bool {
        self.pool.met(of, d, self.names[d.name].chosen.as_ref())
    }

    pub fn fail(&mut self, pkg: Option<PkgId>) {
        if let Some(pkg) = pkg.filter(|&p| !self.pkgs[p].error) {
            self.pkgs[pkg].error = true;
            self.errors += 1;
        }
    }

    /// Has a name looked at again, if it matters.
    pub fn touch(&mut self, name: NameId) {
        let state = &mut self.names[name];
        if !state.dirty && !state.locked && (state.requirers != 0 || state.look_at_iif) {
            state.dirty = true;
            self.dirty.push_back(name);
        }
    }

    /// Queues a name for a decision, or takes it out.
    pub fn wait(&mut self, name: NameId, again: bool) {
        if self.names[name].locked {
            return;
        }
        if self.is_v3() {
            self.wait_v3(name, again);
            return;
        }
        let state = &mut self.names[name];
        let want = state.requirers > 0 || state.has_iif;
        if want && !state.queued {
            state.queued = true;
            self.waiting.rest.push_front(name);
        } else if !want && state.queued {
            self.forget(name);
        }
    }

    fn wait_v3(&mut self, name: NameId, again: bool) {
        let state = &self.names[name];
        let now = state.askers_done && state.requirers > 0 && state.auto_selectable && !state.has_options;
        if state.queued {
            if state.now || (!now && !again) {
                return;
            }
            self.forget(name);
            self.names[name].now = now;
        } else {
            if state.requirers == 0 && !state.has_iif && !state.iif_needed {
                return;
            }
            self.names[name].now = now;
        }
        let state = &mut self.names[name];
        state.queued = true;
        let (auto, order) = (state.auto_selectable, state.order);
        let names = &self.names;
        if now {
            self.waiting.now.push_back(name);
        } else if auto {
            let at = self.waiting.selectable.partition_point(|&n| names[n].order > order);
            self.waiting.selectable.insert(at, name);
        } else {
            let at = self.waiting.rest.partition_point(|&n| names[n].order > order);
            self.waiting.rest.insert(at, name);
        }
    }

    /// Takes a name out of the queue.
    pub fn forget(&mut self, name: NameId) {
        if std::mem::take(&mut self.names[name].queued) {
            self.waiting.now.retain(|&n| n != name);
            self.waiting.selectable.retain(|&n| n != name);
            self.waiting.rest.retain(|&n| n != name);
        }
    }

    /// The name to decide next, taken out of the queue.
    pub fn next(&mut self) -> Option<NameId> {
        let name = if self.is_v3() {
            self.waiting
                .now
                .front()
                .or_else(|| self.waiting.selectable.first())
                .or_else(|| self.waiting.rest.front())
                .copied()
        } else {
            let settled = |n: &&NameId| {
                let state = &self.names[**n];
                state.askers_done && state.requirers > 0 && !state.has_options
            };
            let key = |n: &&NameId| {
                let state = &self.names[**n];
                (!self.named[**n], self.pool.names[**n].class, u16::MAX - state.chain, state.requirers == 0)
            };
            self.waiting.rest.iter().find(settled).or_else(|| self.waiting.rest.iter().min_by_key(key)).copied()
        }?;
        self.forget(name);
        Some(name)
    }

    /// A package as a provider of its own name.
    pub fn itself(&self, pkg: PkgId) -> Provider {
        Provider { pkg, version: Some(Rc::clone(&self.pool.pkgs[pkg].version)) }
    }
}
