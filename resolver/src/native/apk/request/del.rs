//! What `del` makes of world, and what it says of packages that stay all the same. Removes nothing itself.
//!
//! Both walk along those who depend on a package (apk-tools, package.c and app_del.c). In one walk each package is looked
//! at once, even if it turns out not to depend on the package at hand: should it depend on a later one, that is overlooked.

use std::collections::HashSet;

use super::super::layout::Layout;
use super::super::matching::Bearing;
use super::super::pool::{Dep, NameId, PkgId, Pool};
use super::super::state::Wish;
use super::super::verb::{Answer, Line};
use super::{Session, Solved};

impl Session<'_> {
    pub(super) fn del(mut self, names: &[String], recursive: bool) -> Answer {
        let (found, unknown) = self.matching(names);
        if !unknown.is_empty() {
            for name in &unknown {
                self.err(format!("ERROR: No such package: {name}"));
            }
            return self.failed(i32::try_from(unknown.len()).unwrap_or(i32::MAX));
        }
        let mut removal = Removal {
            pool: &self.pool,
            recursive,
            world: self.pool.world.clone(),
            seen: HashSet::new(),
            packages: Vec::new(),
        };
        for &name in &found {
            match self.pool.installed_as(name) {
                Some(pkg) => removal.package(pkg),
                None => take(&mut removal.world, name),
            }
        }
        let (mut world, packages) = (removal.world, removal.packages);
        if self.is_v3() {
            for name in packages {
                self.wish(name, Wish::REMOVE, Wish::default());
            }
        }
        world.sort_by(|a, b| self.pool.name_order(a.name, b.name));
        let solved = self.solve(&world, Wish::default(), false);
        if solved.errors == 0 {
            self.say_what_stays(&found, &world, &solved);
            if !self.check_tags(&world, "committing changes") {
                return self.refused();
            }
        }
        self.finish(world, solved)
    }

    /// Names that are still there after `del`, and for whose sake.
    fn say_what_stays(&mut self, names: &[NameId], world: &[Dep], solved: &Solved) {
        let mut chosen = vec![false; self.pool.pkgs.len()];
        for new in solved.steps.iter().filter_map(|s| s.new) {
            chosen[new] = true;
        }
        let mut lines = Vec::new();
        let mut names = names.to_vec();
        if names.is_empty() && !self.is_v3() {
            names = (0..self.pool.names.len()).collect();
        }
        names.sort_by(|&a, &b| self.pool.name_order(a, b));
        for name in names {
            if self.is_v3() && self.pool.world.iter().any(|d| d.name == name && d.conflict) {
                continue;
            }
            let layout = Layout::new(self.options.width);
            let mut stays = Stays { pool: &self.pool, name, world, chosen: &chosen, seen: HashSet::new(), layout };
            for p in self.pool.names[name].providers.iter().filter(|p| chosen[p.pkg]) {
                stays.because(p.pkg);
            }
            stays.layout.end();
            lines.extend(stays.layout.lines());
        }
        if !lines.is_empty() {
            self.said.push(Line::Out("World updated, but the following packages are not removed due to:".to_owned()));
            self.said.extend(lines.into_iter().map(Line::Out));
            self.said.push(Line::Out(String::new()));
        }
    }
}

/// What leaves world for `del`, under way.
struct Removal<'p> {
    pool: &'p Pool,
    recursive: bool,
    world: Vec<Dep>,
    /// Who was looked at, for all names of the command line together.
    seen: HashSet<PkgId>,
    /// Names of the packages that are to go.
    packages: Vec<NameId>,
}

impl Removal<'_> {
    fn package(&mut self, pkg: PkgId) {
        let package = &self.pool.pkgs[pkg];
        take(&mut self.world, package.name);
        self.packages.push(package.name);
        if !self.recursive {
            return;
        }
        for d in &package.provides {
            take(&mut self.world, d.name);
        }
        for (dependent, needs) in self.pool.who_may_need(pkg) {
            if self.pool.pkgs[dependent].is_installed() && self.seen.insert(dependent) && needs {
                self.package(dependent);
            }
        }
    }
}

/// Why one name stays, under way.
struct Stays<'p> {
    pool: &'p Pool,
    name: NameId,
    world: &'p [Dep],
    chosen: &'p [bool],
    seen: HashSet<PkgId>,
    layout: Layout,
}

impl Stays<'_> {
    fn in_world(&self, name: NameId) -> bool {
        self.world.iter().any(|d| d.name == name && !d.conflict)
    }

    fn because(&mut self, pkg: PkgId) {
        let package = &self.pool.pkgs[pkg];
        self.layout.group(&format!("  {}:", self.pool.names[self.name].text));
        for name in package.names() {
            if self.in_world(name) {
                self.layout.word(&self.pool.names[name].text);
            }
        }
        for (dependent, needs) in self.pool.who_may_need(pkg) {
            if self.chosen[dependent] && self.seen.insert(dependent) && needs {
                self.because(dependent);
            }
        }
        for d in &package.install_if {
            for p in self.pool.names[d.name].providers.iter().filter(|p| self.chosen[p.pkg]) {
                if self.seen.insert(p.pkg) && self.in_world(self.pool.pkgs[p.pkg].name) {
                    self.because(p.pkg);
                }
            }
        }
    }
}

impl Pool {
    /// Packages of all names that have to do with the names of a package, in the order of reverse dependencies, and whether
    /// each has a dependency that the package meets.
    fn who_may_need(&self, pkg: PkgId) -> impl Iterator<Item = (PkgId, bool)> + use<'_> {
        let askers = self.pkgs[pkg].names().flat_map(move |name| &self.names[name].rdepends);
        askers.flat_map(move |&asker| &self.names[asker].providers).map(move |p| {
            let meets = |d: &Dep| self.bearing(Some(p.pkg), d, pkg) == Bearing::Satisfies;
            (p.pkg, self.pkgs[p.pkg].depends.iter().any(meets))
        })
    }
}

/// Takes the entry of a name out of world.
fn take(world: &mut Vec<Dep>, name: NameId) {
    if let Some(at) = world.iter().position(|d| d.name == name) {
        world.swap_remove(at);
    }
}
