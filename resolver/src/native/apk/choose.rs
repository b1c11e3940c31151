//! Who is chosen for a name: the order of preference, and what a choice locks. The loop that decides everything.

use std::cmp::Ordering;

use xpkg_model::version::Relation;

use super::matching::compare;
use super::pool::{NameId, PkgId, Provider, tag_bit};
use super::state::{Solver, Wish};

impl Solver<'_> {
    /// Decides until nothing waits.
    pub fn decide(&mut self, world: &[(super::pool::Dep, bool)], wish: Wish) {
        self.inherit = wish;
        for (d, _) in world.iter().filter(|(_, broken)| !broken) {
            self.discover(d.name);
        }
        for (d, _) in world.iter().filter(|(_, broken)| !broken) {
            self.inherit_pinning = tag_bit(d.tag);
            self.constrain(None, d);
        }
        (self.inherit, self.inherit_pinning) = (Wish::default(), 0);
        loop {
            while let Some(name) = self.dirty.pop_front() {
                if std::mem::take(&mut self.names[name].dirty) {
                    self.reconsider(name);
                }
            }
            match self.next() {
                Some(name) => self.select(name),
                None => return,
            }
        }
    }

    /// Whether a provider may be chosen without being named: a virtual one needs a priority or somebody who asks for
    /// its package.
    pub fn is_auto_selectable(&self, p: &Provider) -> bool {
        let package = &self.pool.pkgs[p.pkg];
        p.version.is_some() || package.priority != 0 || self.names[package.name].requirers > 0
    }

    /// The order of preference; the greater one is chosen.
    fn prefer(&self, a: &Provider, b: &Provider) -> Ordering {
        let pool = self.pool;
        let (pa, pb) = (&pool.pkgs[a.pkg], &pool.pkgs[b.pkg]);
        let (sa, sb) = (&self.pkgs[a.pkg], &self.pkgs[b.pkg]);
        let wish = sa.wish.with(sb.wish);
        let when = |on: bool, order: Ordering| if on { order } else { Ordering::Equal };
        let installed = pa.is_installed().cmp(&pb.is_installed());
        let selectable = sa.selectable.cmp(&sb.selectable);
        let tag_ok = sa.tag_ok.cmp(&sb.tag_ok);
        let available = when(wish.any(Wish::AVAILABLE), sa.available.cmp(&sb.available));
        let unpinned = tag_bit(0);
        let state = if wish.any(Wish::LATEST) && sa.pinning == unpinned && sb.pinning == unpinned {
            let again = wish.any(Wish::REINSTALL) && !wish.any(Wish::AVAILABLE);
            tag_ok.then(available).then(when(again, selectable))
        } else {
            let stay = (self.self_upgrade && !wish.any(Wish::UPGRADE)) || wish.any(Wish::INSTALLED);
            let keep = if self.is_v3() {
                !wish.any(Wish::UPGRADE.with(Wish::REMOVE))
                    && (pa.name == pb.name || a.version.is_some() || b.version.is_some())
            } else {
                !wish.any(Wish::UPGRADE)
            };
            selectable
                .then(sa.was_option.cmp(&sb.was_option))
                .then(sb.conflicts.cmp(&sa.conflicts))
                .then(when(stay, installed))
                .then(tag_ok)
                .then(available)
                .then(sa.tag_preferred.cmp(&sb.tag_preferred))
                .then(when(keep, installed))
        };
        let by_own_name = || when(pa.name == pb.name, newer(Some(&pa.version), Some(&pb.version)));
        let priority = pa.priority.cmp(&pb.priority);
        let (first, second) =
            if self.is_v3() { (priority, when(!wish.any(Wish::REMOVE), installed)) } else { (installed, priority) };
        let repository = |repos: u64| if repos == 0 { 0 } else { repos.trailing_zeros() + 1 };
        state
            .then_with(|| {
                when(
                    self.is_v3() || !(a.version.is_none() || b.version.is_none()),
                    newer(a.version.as_deref(), b.version.as_deref()),
                )
            })
            .then_with(by_own_name)
            .then(first)
            .then(second)
            .then(selectable)
            .then_with(|| repository(pb.repos).cmp(&repository(pa.repos)))
    }

    fn select(&mut self, name: NameId) {
        let pool = self.pool;
        let state = &self.names[name];
        let mut best: Option<&Provider> = None;
        if state.requirers > 0 || state.has_iif {
            for p in &pool.names[name].providers {
                let s = &self.pkgs[p.pkg];
                // What an install_if brings must be possible in apk 3; apk 2.14 brings it even if it is not, and fails.
                let by_itself = s.iif_triggered && s.tag_ok && (s.selectable || !self.is_v3());
                if (state.requirers == 0 && !by_itself) || !self.is_auto_selectable(p) {
                    continue;
                }
                if best.is_none_or(|best| self.prefer(p, best).is_gt()) {
                    best = Some(p);
                }
            }
        }
        let Some(pkg) = best.map(|p| p.pkg) else {
            self.assign(name, None);
            self.errors += usize::from(self.names[name].requirers > 0);
            return;
        };
        if !self.pkgs[pkg].selectable || !self.pkgs[pkg].tag_ok {
            self.fail(Some(pkg));
        }
        self.assign(pool.pkgs[pkg].name, Some(self.itself(pkg)));
        for d in &pool.pkgs[pkg].provides {
            self.assign(d.name, Some(Provider { pkg, version: d.version.clone() }));
        }
        for d in &pool.pkgs[pkg].depends {
            self.constrain(Some(pkg), d);
        }
    }

    /// Gives a name to somebody, or to nobody.
    fn assign(&mut self, name: NameId, to: Option<Provider>) {
        let pool = self.pool;
        let is_virtual = to.as_ref().is_none_or(|p| p.version.is_none());
        if self.names[name].locked {
            let taken = self.names[name].chosen.as_ref();
            if (is_virtual && taken.is_none_or(|t| t.version.is_none())) || self.ignore_conflicts {
                return;
            }
            let owner = taken.map(|t| t.pkg);
            self.fail(to.map(|p| p.pkg));
            self.fail(owner);
            return;
        }
        let pkg: Option<PkgId> = to.as_ref().map(|p| p.pkg);
        let state = &mut self.names[name];
        (state.locked, state.chosen, state.dirty) = (true, to, false);
        self.forget(name);
        self.dirty.retain(|&n| n != name);
        if let Some(pkg) = pkg.filter(|&p| self.names[name].requirers == 0 && self.pkgs[p].iif_triggered) {
            for d in &pool.pkgs[pkg].install_if {
                if !self.names[d.name].locked {
                    self.constrain(Some(pkg), d);
                }
            }
        }
        if !self.ignore_conflicts {
            for p in &pool.names[name].providers {
                if Some(p.pkg) != pkg && !(is_virtual && p.version.is_none()) {
                    self.disqualify(p.pkg);
                }
            }
        }
        self.touch_dependents(name);
        match pkg {
            Some(pkg) => self.touch_install_if_of(pkg),
            None => self.touch_install_if(name),
        }
    }
}

/// The newer one is the greater.
fn newer(a: Option<&str>, b: Option<&str>) -> Ordering {
    match compare(a, b) {
        Relation::Less => Ordering::Less,
        Relation::Equal => Ordering::Equal,
        Relation::Greater => Ordering::Greater,
    }
}
