//! What `upgrade` wishes for: everything, or what is named, or everything else; and apk-tools itself first. Changes world
//! only where it is told to forget what no repository offers.

use xpkg_model::Op;
use xpkg_model::version::Relation;

use super::super::changes::Step;
use super::super::matching::compare;
use super::super::plan::Plan;
use super::super::pool::{CACHED, Dep, PkgId};
use super::super::state::Wish;
use super::super::verb::{Answer, Line, Upgrade};
use super::Session;

impl Session<'_> {
    pub(super) fn upgrade(mut self, upgrade: &Upgrade) -> Answer {
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
}
