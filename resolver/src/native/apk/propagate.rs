//! What follows from what is known: which names a question touches, which packages are still possible, what all
//! possible packages of a name have in common. Chooses nobody.
//!
//! The rules (apk-tools, solver.c): a package stops being selectable when a condition of somebody who is certain to
//! be there excludes it, when one of its own conditions can no longer be met, or when another owner of a name it owns
//! is chosen. What every selectable provider of a required name needs is required too; a name that every one of them
//! also provides excludes those who provide that name but not this one.

use super::options::Options;
use super::pool::{Dep, NameId, PkgId, tag_bit};
use super::state::{Solver, Wish};

impl Solver<'_> {
    /// Meets a name for the first time, and everything it leads to.
    pub fn discover(&mut self, name: NameId) {
        if std::mem::replace(&mut self.names[name].seen, true) {
            return;
        }
        let pool = self.pool;
        let mut no_iif = true;
        let mut virtuals = 0;
        for p in &pool.names[name].providers {
            self.discover_package(p.pkg);
            no_iif &= self.pkgs[p.pkg].iif_failed;
            virtuals += usize::from(pool.pkgs[p.pkg].name != name);
            self.names[name].chain = self.names[name].chain.max(self.pkgs[p.pkg].chain);
            self.names[name].no_iif = no_iif;
        }
        self.names[name].no_iif = no_iif;
        if !self.is_v3() {
            self.discover_installed_by(name);
            return;
        }
        for &other in &pool.names[name].rinstall_if {
            self.discover(other);
        }
        for p in &pool.names[name].providers {
            let package = &pool.pkgs[p.pkg];
            for &other in &pool.names[package.name].rinstall_if {
                self.discover(other);
            }
            for provided in &package.provides {
                self.discover(provided.name);
            }
        }
        // Names that a verb named come first, then those that real packages own, then those met last.
        self.discovered += 1;
        self.names[name].order = (self.named[name], pool.names[name].providers.len() != virtuals, self.discovered);
        for p in &pool.names[name].providers {
            for d in &pool.pkgs[p.pkg].install_if {
                self.discover(d.name);
            }
        }
    }

    /// What apk 2.14 meets besides dependencies: names that may be installed because of a provider's own name, or of a
    /// provided name that was not met yet. A provided name alone is not met, which shows where it is asked whether all who
    /// may ask for a name are decided.
    fn discover_installed_by(&mut self, name: NameId) {
        let pool = self.pool;
        for p in &pool.names[name].providers {
            let package = &pool.pkgs[p.pkg];
            for &other in &pool.names[package.name].rinstall_if {
                self.discover(other);
            }
            for provided in &package.provides {
                if !self.names[provided.name].seen {
                    for &other in &pool.names[provided.name].rinstall_if {
                        self.discover(other);
                    }
                }
            }
        }
    }

    fn discover_package(&mut self, pkg: PkgId) {
        if std::mem::replace(&mut self.pkgs[pkg].seen, true) {
            return;
        }
        let (pool, v3) = (self.pool, self.is_v3());
        let package = &pool.pkgs[pkg];
        let available = pool.is_available(pkg);
        let reachable = package.repos & pool.available != 0 || package.is_installed();
        let preferred = package.file || package.installed_size == 0 || pool.repos(pkg) & self.default_repos != 0;
        let state = &mut self.pkgs[pkg];
        state.pinning = tag_bit(0);
        state.available = available;
        state.selectable = !package.foreign_arch && (reachable || (v3 && (available || package.installed_size == 0)));
        // Under --available, what is no longer offered is not installed by its install_if again.
        state.iif_failed = package.install_if.is_empty() || (self.inherit.any(Wish::AVAILABLE) && !available);
        state.tag_preferred = preferred;
        state.tag_ok = preferred || package.is_installed();
        for d in &package.depends {
            self.discover(d.name);
            self.pkgs[pkg].chain = self.pkgs[pkg].chain.max(self.names[d.name].chain.saturating_add(1));
        }
    }

    /// Has those looked at again who depend on a name.
    pub fn touch_dependents(&mut self, name: NameId) {
        let pool = self.pool;
        for &other in &pool.names[name].rdepends {
            if self.names[other].seen {
                self.names[other].look_at_deps = true;
                self.touch(other);
            }
        }
    }

    /// Has those looked at again whose install_if names this name.
    pub fn touch_install_if(&mut self, name: NameId) {
        let pool = self.pool;
        for &other in &pool.names[name].rinstall_if {
            if self.names[other].seen && !self.names[other].no_iif {
                self.names[other].look_at_iif = true;
                self.touch(other);
            }
        }
    }

    /// The same for all names of a package.
    pub fn touch_install_if_of(&mut self, pkg: PkgId) {
        let pool = self.pool;
        self.touch_install_if(pool.pkgs[pkg].name);
        for p in &pool.pkgs[pkg].provides {
            self.touch_install_if(p.name);
        }
    }

    /// A package is out.
    pub fn disqualify(&mut self, pkg: PkgId) {
        let pool = self.pool;
        self.pkgs[pkg].selectable = false;
        self.touch_dependents(pool.pkgs[pkg].name);
        for p in &pool.pkgs[pkg].provides {
            self.touch_dependents(p.name);
        }
        self.touch_install_if_of(pkg);
    }

    /// Whether a condition of a package can still be met.
    fn satisfiable(&self, of: PkgId, d: &Dep) -> bool {
        let state = &self.names[d.name];
        if d.conflict && self.ignore_conflicts {
            return true;
        }
        if state.locked {
            return self.met_by_choice(Some(of), d);
        }
        (state.requirers == 0 && d.conflict)
            || self.pool.names[d.name]
                .providers
                .iter()
                .any(|p| self.pkgs[p.pkg].selectable && self.pool.met(Some(of), d, Some(p)))
    }

    fn first_requirer(&mut self, name: NameId) {
        self.wait(name, false);
        self.touch_install_if(name);
        self.touch(name);
    }

    /// Wishes and pinnings pass from who requires to who provides; from world when `from` is none.
    fn inherit(&mut self, pkg: PkgId, from: Option<PkgId>) {
        let repos = self.pool.repos(pkg);
        match from {
            Some(from) => {
                let (wish, pinning) = (self.pkgs[from].wish_on, self.pkgs[from].pinning);
                let state = &mut self.pkgs[pkg];
                state.wish = state.wish.with(wish);
                state.wish_on = state.wish_on.with(wish);
                state.pinning |= pinning;
            }
            None => {
                let (wish, pinning) = (self.inherit, self.inherit_pinning);
                let preferred = repos & self.pool.repos_of(pinning) != 0;
                let state = &mut self.pkgs[pkg];
                state.wish = state.wish.with(wish);
                state.wish_on = state.wish_on.with(wish);
                state.pinning |= pinning;
                state.tag_preferred = preferred;
            }
        }
        let allowed = repos & self.pool.repos_of(self.pkgs[pkg].pinning) != 0;
        self.pkgs[pkg].tag_ok |= allowed;
    }

    /// A condition of somebody who is certain to be there; of world when `of` is none.
    pub fn constrain(&mut self, of: Option<PkgId>, d: &Dep) {
        if d.conflict && self.ignore_conflicts {
            return;
        }
        let pool = self.pool;
        if !d.conflict {
            let state = &mut self.names[d.name];
            state.requirers = state.requirers.wrapping_add(1);
            if state.requirers == 1 {
                self.first_requirer(d.name);
            }
        }
        for p in &pool.names[d.name].providers {
            let met = pool.met(of, d, Some(p));
            self.pkgs[p.pkg].conflicts += u32::from(!met);
            if self.pkgs[p.pkg].selectable && self.pkgs[p.pkg].conflicts > 0 {
                self.disqualify(p.pkg);
            }
            if met {
                self.inherit(p.pkg, of);
            }
        }
    }

    /// Every provider of `required` answers to `name` too, so who answers to `name` only is out.
    fn exclude_others(&mut self, name: NameId, required: NameId, spare_virtuals: bool) {
        if name == required || self.ignore_conflicts {
            return;
        }
        let pool = self.pool;
        for p in &pool.names[name].providers {
            let package = &pool.pkgs[p.pkg];
            let spared = package.name == required
                || !self.pkgs[p.pkg].selectable
                || (spare_virtuals && p.version.is_none())
                || package.provides.iter().any(|d| d.name == required || (spare_virtuals && d.version.is_none()));
            if !spared {
                self.disqualify(p.pkg);
            }
        }
    }

    /// Looks at an install_if that has neither come true nor failed yet.
    fn weigh_install_if(&mut self, pkg: PkgId) {
        let pool = self.pool;
        for d in &pool.pkgs[pkg].install_if {
            if !self.names[d.name].locked {
                if d.conflict && self.is_v3() {
                    self.names[d.name].iif_needed = true;
                    self.wait(d.name, false);
                }
                return;
            }
            if !self.met_by_choice(Some(pkg), d) {
                self.pkgs[pkg].iif_failed = true;
                return;
            }
        }
        self.pkgs[pkg].iif_triggered = true;
    }

    /// Brings what is known of a package's install_if up to date: who made it come true passes on wishes and pinnings.
    fn follow_install_if(&mut self, pkg: PkgId) {
        if !self.pkgs[pkg].iif_triggered && !self.pkgs[pkg].iif_failed {
            self.weigh_install_if(pkg);
        }
        if self.pkgs[pkg].iif_triggered {
            let pool = self.pool;
            for d in &pool.pkgs[pkg].install_if {
                let from = self.names[d.name].chosen.as_ref().map(|c| c.pkg);
                self.inherit(pkg, from);
            }
        }
    }

    /// Draws all conclusions about one name.
    pub fn reconsider(&mut self, name: NameId) {
        let (pool, v3) = (self.pool, self.is_v3());
        let state = &mut self.names[name];
        let (look_at_deps, look_at_iif) =
            (std::mem::take(&mut state.look_at_deps), std::mem::take(&mut state.look_at_iif));
        let required = state.requirers > 0;
        let mut options = Options::new(pool);
        let (mut tags_ok, mut auto, mut has_iif, mut no_iif) = (true, false, false, true);
        for p in &pool.names[name].providers {
            let mut depends = pool.pkgs[p.pkg].depends.iter();
            if look_at_deps && self.pkgs[p.pkg].selectable && depends.any(|d| !self.satisfiable(p.pkg, d)) {
                self.disqualify(p.pkg);
            }
            if !self.pkgs[p.pkg].selectable {
                continue;
            }
            if look_at_iif {
                self.follow_install_if(p.pkg);
            }
            let package = &self.pkgs[p.pkg];
            has_iif |= package.iif_triggered;
            no_iif &= package.iif_failed;
            auto |= package.iif_triggered || (required && self.is_auto_selectable(p));
            if required {
                tags_ok &= package.tag_ok;
                options.push(p);
            }
        }
        let state = &mut self.names[name];
        state.has_options = options.len() > 1 || !tags_ok;
        (state.has_iif, state.no_iif) = (has_iif, no_iif);
        let changed = std::mem::replace(&mut state.auto_selectable, auto) != auto;
        if !v3 {
            self.wait(name, false);
        }
        self.pass_on(name, &options);
        self.names[name].askers_done =
            pool.names[name].rdepends.iter().all(|&n| !self.names[n].seen || self.names[n].locked);
        if v3 {
            self.wait(name, changed);
        }
    }

    /// Applies what all options of a name have in common.
    fn pass_on(&mut self, name: NameId, options: &Options<'_>) {
        let Some(first) = options.first() else { return };
        let pool = self.pool;
        for p in &pool.names[name].providers {
            self.pkgs[p.pkg].was_option = self.pkgs[p.pkg].selectable;
        }
        for d in options.shared_needs() {
            if options.len() == 1 {
                self.constrain(Some(first.pkg), d);
            } else if self.names[d.name].requirers == 0 {
                // Somebody will ask for it; with which version is open until one of the options is left.
                self.names[d.name].requirers = 1;
                self.first_requirer(d.name);
                for p in &pool.names[d.name].providers {
                    self.inherit(p.pkg, Some(first.pkg));
                }
            }
        }
        for shared in options.shared_names() {
            self.exclude_others(shared.name, name, shared.unversioned);
        }
    }
}
