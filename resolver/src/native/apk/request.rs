//! A question and its answer: the solver asked with a world and wishes, its steps or its reasons put into words. What each
//! verb makes of world is below. Never touches a root.
//!
//! The rules are those of apk-tools' applets (app_add.c, app_del.c, app_upgrade.c, app_fix.c) and of apk-add(8),
//! apk-del(8), apk-upgrade(8), apk-fix(8).

mod add;
mod del;
mod fix;
mod upgrade;

use xpkg_model::{Dependency, fnmatch};

use super::changes::{Ordering, Step};
use super::explain::Explain;
use super::plan::Plan;
use super::pool::{Dep, NameId, Pool};
use super::state::{Solver, Wish};
use super::universe::{Generation, Universe};
use super::verb::{Answer, Line, Options, Verb};

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
}
