//! What `add`, `del`, `upgrade` and `fix` mean: the edited world and the wishes that go with it, and all that apk says
//! about it. Never touches a root.
//!
//! The rules are those of apk-tools' applets (app_add.c, app_del.c, app_upgrade.c, app_fix.c) and of apk-add(8),
//! apk-del(8), apk-upgrade(8), apk-fix(8).

use std::collections::HashSet;
use std::sync::Arc;

use xpkg_model::version::Relation;
use xpkg_model::{Dependency, Ecosystem, Op, Package, fnmatch};

use super::changes::{Ordering, Step};
use super::explain::Explain;
use super::layout::Layout;
use super::matching::{Bearing, compare};
use super::plan::Plan;
use super::pool::{CACHED, Dep, NameId, PkgId, Pool};
use super::state::{Solver, Wish};
use super::universe::{Generation, Universe};
use super::verb::{Add, Answer, Fix, Line, Options, Upgrade, Verb};

/// Decides.
pub fn decide(universe: &Universe, verb: &Verb, options: &Options) -> Answer {
    // The walk along dependencies is recursive as apk's is; its depth is bounded by the number of names, which on a
    // thread of its own has room enough for the largest indexes.
    std::thread::scope(|scope| {
        let work = || Session::new(universe, *options).run(verb);
        match std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work) {
            Ok(thread) => thread.join().unwrap_or_else(|_| Answer::error("the decision was not reached", 1)),
            Err(_) => Answer::error("no thread to decide on", 1),
        }
    })
}

/// Room for the deepest chain of names that an index of 100,000 can hold; it is reserved, not used.
const STACK: usize = 256 << 20;

impl Answer {
    fn error(words: &str, status: i32) -> Self {
        Self { said: vec![Line::Err(format!("ERROR: {words}"))], plan: None, first: None, status }
    }
}

/// A question and what was said of it so far.
struct Session<'u> {
    universe: &'u Universe,
    options: Options,
    pool: Pool,
    /// Wishes by name, with those that pass on to dependencies.
    wishes: Vec<(NameId, Wish, Wish)>,
    said: Vec<Line>,
}

/// What the solver came to.
struct Solved {
    steps: Vec<Step>,
    errors: usize,
}

impl<'u> Session<'u> {
    fn new(universe: &'u Universe, options: Options) -> Self {
        Self { universe, options, pool: Pool::new(universe), wishes: Vec::new(), said: Vec::new() }
    }

    fn run(self, verb: &Verb) -> Answer {
        match verb {
            Verb::Add(add) => self.add(add),
            Verb::Del(names, recursive) => self.del(names, *recursive),
            Verb::Upgrade(upgrade) => self.upgrade(upgrade),
            Verb::Fix(fix) => self.fix(fix),
        }
    }

    fn is_v3(&self) -> bool {
        self.pool.generation == Generation::V3
    }

    fn failed(self, status: i32) -> Answer {
        Answer { said: self.said, plan: None, first: None, status }
    }

    /// Not even tried.
    fn refused(self) -> Answer {
        self.failed(99)
    }

    fn err(&mut self, words: impl Into<String>) {
        self.said.push(Line::Err(words.into()));
    }

    fn wish(&mut self, name: NameId, wish: Wish, pass_on: Wish) {
        self.wishes.push((name, wish, pass_on));
    }

    fn solve(&self, world: &[Dep], wish: Wish, self_upgrade: bool) -> Solved {
        let mut world: Vec<(Dep, bool)> = world.iter().map(|d| (d.clone(), false)).collect();
        world.sort_by(|a, b| self.pool.name_order(a.0.name, b.0.name));
        let mut first = true;
        loop {
            let mut solver = Solver::new(&self.pool);
            solver.self_upgrade = self_upgrade;
            for &(name, wish, pass_on) in &self.wishes {
                solver.named[name] = true;
                // Wishes for names are forgotten when world is tried again without its broken entries.
                for p in self.pool.names[name].providers.iter().filter(|_| first) {
                    let state = &mut solver.pkgs[p.pkg];
                    state.wish = state.wish.with(wish);
                    state.wish_on = state.wish_on.with(pass_on);
                }
            }
            solver.decide(&world, wish);
            let steps = Ordering::of(&mut solver, &world);
            if solver.errors > 0 && self.options.force_broken_world {
                let broken = |d: &Dep| solver.names[d.name].chosen.as_ref().is_none_or(|c| solver.pkgs[c.pkg].error);
                let mut more = false;
                for (d, out) in &mut world {
                    if broken(d) {
                        more |= !std::mem::replace(out, true);
                    }
                }
                if more {
                    first = false;
                    continue;
                }
            }
            return Solved { steps, errors: solver.errors };
        }
    }

    /// Tags in world that no repository has.
    fn check_tags(&mut self, world: &[Dep], verb: &str) -> bool {
        if self.options.force_broken_world {
            return true;
        }
        let mut good = true;
        for d in world {
            let tag = &self.pool.tags[d.tag];
            if d.tag != 0 && tag.repos == 0 {
                let text = format!(
                    "WARNING: The repository tag for world dependency '{}@{}' does not exist",
                    self.pool.names[d.name].text, tag.text
                );
                self.said.push(Line::Err(text));
                good = false;
            }
        }
        if !good {
            let hint = if self.is_v3() { "" } else { " Use --force-broken-world to override." };
            self.err(format!("ERROR: Not {verb} due to missing repository tags.{hint}"));
        }
        good
    }

    fn commit(mut self, mut world: Vec<Dep>, wish: Wish) -> Answer {
        if !self.check_tags(&world, "committing changes") {
            return self.refused();
        }
        world.sort_by(|a, b| self.pool.name_order(a.name, b.name));
        let solved = self.solve(&world, wish, false);
        self.finish(world, solved)
    }

    fn finish(mut self, world: Vec<Dep>, solved: Solved) -> Answer {
        if solved.errors > 0 {
            self.err("ERROR: unable to select packages:");
            for line in Explain::of(&self.pool, &world, &solved.steps, self.options.width) {
                self.err(line);
            }
            let status = i32::try_from(solved.errors).unwrap_or(i32::MAX);
            return self.failed(status);
        }
        let plan = Plan::of(&self.pool, self.universe, &solved.steps, self.write_world(&world));
        Answer { said: self.said, plan: Some(plan), first: None, status: 0 }
    }

    fn write_world(&self, world: &[Dep]) -> Vec<Dependency> {
        let dependency = |d: &Dep| Dependency {
            name: self.pool.names[d.name].text.to_string(),
            op: d.op,
            version: d.version.as_deref().unwrap_or_default().to_owned(),
            conflict: d.conflict,
            tag: Some(&self.pool.tags[d.tag].text).filter(|t| !t.is_empty()).cloned(),
        };
        world.iter().map(dependency).collect()
    }

    fn add(mut self, add: &Add) -> Answer {
        let mut world = self.pool.world.clone();
        let mut wish = Wish::default();
        if add.upgrade {
            wish = wish.with(Wish::UPGRADE);
        }
        if add.latest {
            wish = wish.with(Wish::LATEST);
        }
        let by_identity = |p: &Arc<Package>| Dependency {
            name: p.name.clone(),
            op: Op::CHECKSUM,
            version: p.identity.map(|i| i.to_q1()).unwrap_or_default(),
            conflict: false,
            tag: None,
        };
        let mut wanted: Vec<Dependency> = add.wanted.clone();
        wanted.extend(add.files.iter().map(by_identity));
        if let Some((name, version)) = &add.virtual_package {
            if wanted.is_empty() {
                self.err("WARNING: creating empty virtual package");
            }
            let mut package = Package::new(Ecosystem::Alpine, name, version);
            for d in &wanted {
                package.depends.retain(|r| r.alternatives().first().is_none_or(|old| old.name != d.name));
                package.depends.push(d.clone().into());
            }
            package.description = "virtual meta package".to_owned();
            package.arch = "noarch".to_owned();
            self.pool.add_virtual(&Arc::new(package));
            wanted = vec![Dependency {
                name: name.clone(),
                op: Op::EQUAL,
                version: version.clone(),
                conflict: false,
                tag: None,
            }];
        }
        for d in &wanted {
            let d = self.pool.dep(d);
            self.wish(d.name, wish, wish);
            put(&mut world, d);
        }
        self.commit(world, Wish::default())
    }

    fn del(mut self, names: &[String], recursive: bool) -> Answer {
        let mut world = self.pool.world.clone();
        let (found, unknown) = self.matching(names);
        if !unknown.is_empty() {
            for name in &unknown {
                self.err(format!("ERROR: No such package: {name}"));
            }
            return self.failed(i32::try_from(unknown.len()).unwrap_or(i32::MAX));
        }
        let mut visited = HashSet::new();
        for &name in &found {
            match self.pool.installed_as(name) {
                Some(pkg) => self.del_package(pkg, recursive, &mut world, &mut visited),
                None => take(&mut world, name),
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

    fn del_package(&mut self, pkg: PkgId, recursive: bool, world: &mut Vec<Dep>, visited: &mut HashSet<PkgId>) {
        let name = self.pool.pkgs[pkg].name;
        take(world, name);
        if self.is_v3() {
            self.wish(name, Wish::REMOVE, Wish::default());
        }
        if !recursive {
            return;
        }
        for d in &self.pool.pkgs[pkg].provides {
            take(world, d.name);
        }
        for dependent in self.dependents(pkg, |pool, p| pool.pkgs[p].is_installed()) {
            if visited.insert(dependent) {
                self.del_package(dependent, recursive, world, visited);
            }
        }
    }

    /// Packages with a dependency that the package meets, in the order of reverse dependencies.
    fn dependents(&self, pkg: PkgId, which: impl Fn(&Pool, PkgId) -> bool) -> Vec<PkgId> {
        let pool = &self.pool;
        let package = &pool.pkgs[pkg];
        let mut found = Vec::new();
        for name in std::iter::once(package.name).chain(package.provides.iter().map(|p| p.name)) {
            for &other in &pool.names[name].rdepends {
                for p in &pool.names[other].providers {
                    let meets = |d: &Dep| pool.bearing(Some(p.pkg), d, pkg) == Bearing::Satisfies;
                    if which(pool, p.pkg) && pool.pkgs[p.pkg].depends.iter().any(meets) {
                        found.push(p.pkg);
                    }
                }
            }
        }
        found
    }

    /// Names that are still there after `del`, and for whose sake.
    fn say_what_stays(&mut self, names: &[NameId], world: &[Dep], solved: &Solved) {
        let mut stays = vec![false; self.pool.pkgs.len()];
        for new in solved.steps.iter().filter_map(|s| s.new) {
            stays[new] = true;
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
            let mut layout = Layout::new(self.options.width);
            let mut visited = HashSet::new();
            for p in self.pool.names[name].providers.iter().filter(|p| stays[p.pkg]) {
                self.because(p.pkg, name, world, &stays, &mut layout, &mut visited);
            }
            layout.end();
            lines.extend(layout.lines());
        }
        if !lines.is_empty() {
            self.said.push(Line::Out("World updated, but the following packages are not removed due to:".to_owned()));
            self.said.extend(lines.into_iter().map(Line::Out));
            self.said.push(Line::Out(String::new()));
        }
    }

    fn because(
        &self,
        pkg: PkgId,
        name: NameId,
        world: &[Dep],
        stays: &[bool],
        layout: &mut Layout,
        visited: &mut HashSet<PkgId>,
    ) {
        let package = &self.pool.pkgs[pkg];
        let in_world = |n: NameId| world.iter().any(|d| d.name == n && !d.conflict);
        let text = &self.pool.names[name].text;
        layout.group(&format!("  {text}:"));
        for n in std::iter::once(package.name).chain(package.provides.iter().map(|d| d.name)) {
            if in_world(n) {
                layout.word(&self.pool.names[n].text);
            }
        }
        for dependent in self.dependents(pkg, |_, p| stays[p]) {
            if visited.insert(dependent) {
                self.because(dependent, name, world, stays, layout, visited);
            }
        }
        for d in &package.install_if {
            for p in self.pool.names[d.name].providers.iter().filter(|p| stays[p.pkg]) {
                if visited.insert(p.pkg) && in_world(self.pool.pkgs[p.pkg].name) {
                    self.because(p.pkg, name, world, stays, layout, visited);
                }
            }
        }
    }

    /// The names of arguments, and the arguments that nobody knows.
    fn matching(&self, arguments: &[String]) -> (Vec<NameId>, Vec<String>) {
        let (mut found, mut unknown) = (Vec::new(), Vec::new());
        for argument in arguments {
            if argument.contains(['*', '?', '[']) {
                let mut all: Vec<NameId> = (0..self.pool.names.len())
                    .filter(|&n| fnmatch::matches(argument, &self.pool.names[n].text, false))
                    .collect();
                all.sort_by(|&a, &b| self.pool.name_order(a, b));
                found.extend(all);
            } else {
                match self.pool.known(argument) {
                    Some(name) => found.push(name),
                    None => unknown.push(argument.clone()),
                }
            }
        }
        (found, unknown)
    }

    fn upgrade(mut self, upgrade: &Upgrade) -> Answer {
        let world = self.pool.world.clone();
        if !self.check_tags(&world, "continuing with upgrade") {
            return self.refused();
        }
        let mut wish = Wish::UPGRADE;
        if upgrade.available {
            wish = wish.with(Wish::AVAILABLE);
        }
        if upgrade.latest {
            wish = wish.with(Wish::LATEST);
        }
        let mut first = None;
        if !upgrade.no_self_upgrade && upgrade.names.is_empty() {
            first = self.self_upgrade(&world, wish, upgrade.self_upgrade_only);
        }
        if upgrade.self_upgrade_only {
            return Answer { said: self.said, plan: None, first, status: 0 };
        }
        if first.is_some() {
            return Answer { said: self.said, plan: None, first, status: 0 };
        }
        let mut world = world;
        if upgrade.available {
            for d in world.iter_mut().filter(|d| d.op == Op::CHECKSUM) {
                (d.op, d.version) = (Op::ANY, None);
            }
        }
        if upgrade.prune {
            let offered =
                |d: &Dep| self.pool.names[d.name].providers.iter().any(|p| self.pool.pkgs[p.pkg].repos & !CACHED != 0);
            world.retain(offered);
        }
        if !upgrade.names.is_empty() {
            if !upgrade.ignore {
                wish = wish.without(Wish::UPGRADE);
            }
            let (found, unknown) = self.matching(&upgrade.names);
            if !unknown.is_empty() {
                for name in &unknown {
                    self.err(format!("ERROR: Package '{name}' not found"));
                }
                return self.failed(i32::try_from(unknown.len()).unwrap_or(i32::MAX));
            }
            let named = if upgrade.ignore { Wish::INSTALLED } else { Wish::UPGRADE };
            for name in found {
                self.wish(name, named, Wish::default());
            }
        }
        self.commit(world, wish)
    }

    /// A newer apk-tools goes first, and alone.
    fn self_upgrade(&mut self, world: &[Dep], wish: Wish, only: bool) -> Option<Plan> {
        // apk 3 has `--preupgrade-depends` in its place, which names nothing unless it is configured.
        if self.is_v3() {
            return None;
        }
        let name = self.pool.known("apk-tools")?;
        let installed = self.pool.installed_as(name)?;
        let newer = |pkg: PkgId| {
            let package = &self.pool.pkgs[pkg];
            let now = &self.pool.pkgs[installed].version;
            package.name == name
                && package.repos != 0
                && compare(Some(&package.version), Some(now)) == Relation::Greater
        };
        if !self.pool.names[name].providers.iter().any(|p| newer(p.pkg)) {
            return None;
        }
        self.wish(name, wish, Wish::default());
        let solved = self.solve(world, Wish::default(), true);
        self.wishes.clear();
        if solved.errors > 0 {
            self.err("WARNING: Failed to perform initial self-upgrade, continuing with full upgrade.");
            return None;
        }
        if !solved.steps.iter().any(Step::is_change) {
            return None;
        }
        if !only && self.options.simulate {
            self.err("WARNING: This simulation is not reliable as apk-tools upgrade is available.");
            return None;
        }
        self.said.push(Line::Out("Upgrading critical system libraries and apk-tools:".to_owned()));
        Some(Plan::of(&self.pool, self.universe, &solved.steps, self.write_world(world)))
    }

    fn fix(mut self, fix: &Fix) -> Answer {
        let mut wish = Wish::default();
        if fix.reinstall {
            wish = wish.with(Wish::REINSTALL);
        }
        if fix.upgrade {
            wish = wish.with(Wish::UPGRADE);
        }
        if wish == Wish::default() {
            wish = Wish::REINSTALL;
        }
        let pass_on = if fix.depends { wish } else { Wish::default() };
        let names = if fix.names.is_empty() {
            let broken = |id: &&PkgId| {
                let record = self.pool.pkgs[**id].record.and_then(|at| self.universe.installed.get(at));
                record.is_some_and(|r| r.broken || (fix.xattr && r.broken_xattr))
            };
            self.pool.installed.iter().filter(broken).map(|&id| self.pool.pkgs[id].name).collect()
        } else {
            let (found, unknown) = self.matching(&fix.names);
            if !unknown.is_empty() {
                for name in &unknown {
                    self.err(format!("ERROR: Package '{name}' not found"));
                }
                return self.failed(i32::try_from(unknown.len()).unwrap_or(i32::MAX));
            }
            found
        };
        for name in names {
            self.wish(name, wish, pass_on);
        }
        let world = self.pool.world.clone();
        self.commit(world, Wish::default())
    }
}

/// Puts an entry into world in the place of one of the same name, else at the end.
fn put(world: &mut Vec<Dep>, d: Dep) {
    match world.iter_mut().find(|old| old.name == d.name) {
        Some(old) => *old = d,
        None => world.push(d),
    }
}

/// Takes the entry of a name out of world.
fn take(world: &mut Vec<Dep>, name: NameId) {
    if let Some(at) = world.iter().position(|d| d.name == name) {
        world.swap_remove(at);
    }
}
