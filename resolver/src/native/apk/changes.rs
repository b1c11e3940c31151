//! The steps from what is installed to what was chosen, in apk's order: what is needed goes before who needs it, what
//! gives way goes before what replaces it, and what nobody needs any more goes as soon as the last who needed it went.
//!
//! The rules (apk-tools, solver.c, "changeset"): installed packages that nobody depends on and nobody was chosen for
//! go first; then world is walked name by name, each choice after its own dependencies; then the rest of the database.

use super::matching::Bearing;
use super::pool::{Dep, NameId, PkgId, tag_bit};
use super::state::{Solver, Wish};

/// One step of a plan, in numbers.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub old: Option<PkgId>,
    pub new: Option<PkgId>,
    pub old_tag: usize,
    pub new_tag: usize,
    pub reinstall: bool,
}

impl Step {
    /// Whether something is done at all: a package that merely stays is a step too, but a silent one.
    pub fn is_change(&self) -> bool {
        self.old != self.new || self.reinstall || self.old_tag != self.new_tag
    }
}

/// Where a name stands while the steps are put in order.
#[derive(Clone, Debug, Default)]
struct Place {
    /// The installed package of this very name.
    held_by: Option<PkgId>,
    /// The name of the installed package that owns this one.
    owner: Option<NameId>,
    /// How many packages that are there by now need what this name owns. apk counts in 16 bits and lets the count wrap.
    dependents: u16,
    /// Nothing is left to do for it.
    settled: bool,
    /// Its package went.
    gone: bool,
}

/// Orders what was decided.
pub(super) struct Ordering<'s, 'a> {
    solver: &'s mut Solver<'a>,
    places: Vec<Place>,
    /// Packages that are in a step already.
    stepped: Vec<bool>,
    steps: Vec<Step>,
}

impl<'s, 'a> Ordering<'s, 'a> {
    /// The steps; marks what turns out not to hold.
    pub fn of(solver: &'s mut Solver<'a>, world: &[(Dep, bool)]) -> Vec<Step> {
        let (places, stepped) = (vec![Place::default(); solver.names.len()], vec![false; solver.pkgs.len()]);
        let mut ordering = Self { solver, places, stepped, steps: Vec::new() };
        ordering.run(world);
        ordering.steps
    }

    fn run(&mut self, world: &[(Dep, bool)]) {
        let pool = self.solver.pool;
        for &pkg in &pool.installed {
            let package = &pool.pkgs[pkg];
            let own = &mut self.places[package.name];
            (own.held_by, own.owner) = (Some(pkg), Some(package.name));
            for p in package.provides.iter().filter(|p| p.version.is_some()) {
                self.places[p.name].owner = Some(package.name);
            }
        }
        for &pkg in &pool.installed {
            self.count_in(pkg);
        }
        for &pkg in &pool.installed {
            self.drop_unneeded(pkg);
        }
        for (d, _) in world {
            self.dependency(None, d);
        }
        for &pkg in &pool.installed {
            self.change(pool.pkgs[pkg].name);
        }
    }

    /// Counts a package among those who need its dependencies.
    fn count_in(&mut self, pkg: PkgId) {
        for d in self.solver.pool.pkgs[pkg].depends.iter().filter(|d| !d.conflict) {
            if let Some(owner) = self.places[d.name].owner {
                let count = &mut self.places[owner].dependents;
                *count = count.wrapping_add(1);
            }
        }
    }

    /// Counts it out; who is needed by nobody then goes. The count is taken from the owner of the name, but who goes
    /// is the package installed under the name itself.
    fn count_out(&mut self, pkg: PkgId) {
        for d in self.solver.pool.pkgs[pkg].depends.iter().filter(|d| !d.conflict) {
            let Some(owner) = self.places[d.name].owner else { continue };
            let count = &mut self.places[owner].dependents;
            *count = count.wrapping_sub(1);
            if *count == 0
                && let Some(unneeded) = self.places[d.name].held_by
            {
                self.remove(unneeded);
            }
        }
    }

    fn drop_unneeded(&mut self, pkg: PkgId) {
        let name = self.solver.pool.pkgs[pkg].name;
        if self.places[name].dependents == 0 && !self.is_chosen(name) {
            self.remove(pkg);
        }
    }

    fn is_chosen(&self, name: NameId) -> bool {
        self.solver.names[name].chosen.is_some()
    }

    /// Whether the chosen package of a name is of that very name.
    fn chosen_as_itself(&self, name: NameId) -> bool {
        self.solver.names[name].chosen.as_ref().is_some_and(|c| self.solver.pool.pkgs[c.pkg].name == name)
    }

    /// A name is about to change: who held it goes first.
    fn make_way(&mut self, name: NameId) {
        if std::mem::replace(&mut self.places[name].settled, true) {
            return;
        }
        if let Some(installed) = self.places[name].held_by.filter(|_| !self.chosen_as_itself(name)) {
            self.remove(installed);
        }
        let pool = self.solver.pool;
        for p in &pool.names[name].providers {
            let own = pool.pkgs[p.pkg].name;
            if self.places[own].held_by == Some(p.pkg) && !self.is_chosen(own) {
                self.remove(p.pkg);
            }
        }
    }

    /// Brings a name to what was chosen for it.
    fn change(&mut self, name: NameId) {
        let pool = self.solver.pool;
        if self.places[name].settled {
            return;
        }
        self.make_way(name);
        let Some(pkg) = self.solver.names[name].chosen.as_ref().map(|c| c.pkg) else { return };
        if std::mem::replace(&mut self.stepped[pkg], true) {
            return;
        }
        let package = &pool.pkgs[pkg];
        self.make_way(package.name);
        for p in &package.provides {
            self.make_way(p.name);
        }
        let old = self.places[package.name].held_by;
        if let Some(old) = old {
            self.around_install_if(old, Self::removal_by_install_if);
        }
        for d in &package.depends {
            self.dependency(Some(pkg), d);
        }
        self.record(old, Some(pkg));
        self.around_install_if(pkg, Self::install_by_install_if);
        self.count_in(pkg);
        if let Some(old) = old {
            self.count_out(old);
        }
    }

    /// Calls for each name whose install_if names this package, by its own name or by one that it provides.
    fn around_install_if(&mut self, pkg: PkgId, visit: fn(&mut Self, NameId)) {
        let pool = self.solver.pool;
        let package = &pool.pkgs[pkg];
        for &other in &pool.names[package.name].rinstall_if {
            visit(self, other);
        }
        for p in &package.provides {
            for &other in &pool.names[p.name].rinstall_if {
                visit(self, other);
            }
        }
    }

    fn install_by_install_if(&mut self, name: NameId) {
        let pool = self.solver.pool;
        let state = &self.solver.names[name];
        let Some(pkg) = state.chosen.as_ref().map(|c| c.pkg).filter(|_| state.seen && !self.places[name].settled)
        else {
            return;
        };
        for d in &pool.pkgs[pkg].install_if {
            // apk 2.14 waits for the names of conflicts too.
            let settled = self.places[d.name].settled || (d.conflict && self.solver.is_v3());
            if !settled || !self.solver.met_by_choice(Some(pkg), d) {
                return;
            }
        }
        self.change(name);
    }

    fn removal_by_install_if(&mut self, name: NameId) {
        let place = &self.places[name];
        if place.settled || place.gone || self.is_chosen(name) {
            return;
        }
        let Some(pkg) = place.held_by else { return };
        let v3 = self.solver.is_v3();
        let gone = |d: &Dep| {
            let place = &self.places[d.name];
            !self.is_chosen(d.name) && if v3 { place.gone } else { place.settled }
        };
        if self.solver.pool.pkgs[pkg].install_if.iter().any(gone) {
            self.drop_unneeded(pkg);
        }
    }

    fn remove(&mut self, pkg: PkgId) {
        let pool = self.solver.pool;
        let package = &pool.pkgs[pkg];
        if self.stepped[pkg] || self.chosen_as_itself(package.name) {
            return;
        }
        let v3 = self.solver.is_v3();
        let place = &mut self.places[package.name];
        place.gone = true;
        // To apk 2.14 a name whose package went is dealt with, even if it is world that asks for it.
        place.settled |= !v3;
        self.stepped[pkg] = true;
        for name in std::iter::once(package.name).chain(package.provides.iter().map(|p| p.name)) {
            for &other in &pool.names[name].rdepends {
                for p in &pool.names[other].providers {
                    let dependent = &pool.pkgs[p.pkg];
                    if !dependent.is_installed() {
                        continue;
                    }
                    for d in &dependent.depends {
                        if pool.bearing(Some(p.pkg), d, pkg) == Bearing::Satisfies {
                            self.remove(p.pkg);
                        }
                    }
                }
            }
        }
        self.around_install_if(pkg, Self::removal_by_install_if);
        self.record(Some(pkg), None);
        self.count_out(pkg);
    }

    fn dependency(&mut self, of: Option<PkgId>, d: &Dep) {
        if d.conflict && self.solver.ignore_conflicts {
            return;
        }
        if !self.solver.met_by_choice(of, d) {
            self.solver.fail(of);
        }
        let chosen = self.solver.names[d.name].chosen.as_ref().map(|c| c.pkg);
        self.change(d.name);
        if chosen.is_some_and(|pkg| self.solver.pkgs[pkg].error) {
            self.solver.fail(of);
        }
    }

    fn record(&mut self, old: Option<PkgId>, new: Option<PkgId>) {
        let pool = self.solver.pool;
        let new_tag = new.map_or(0, |new| {
            let (pinning, repos) = (self.solver.pkgs[new].pinning, pool.repos(new));
            (0..pool.tags.len()).find(|&t| tag_bit(t) & pinning != 0 && pool.tags[t].repos & repos != 0).unwrap_or(0)
        });
        self.steps.push(Step {
            old,
            new,
            old_tag: old.map_or(0, |old| pool.pkgs[old].installed_tag),
            new_tag,
            reinstall: new.is_some_and(|new| self.solver.pkgs[new].wish.any(Wish::REINSTALL)),
        });
    }
}
