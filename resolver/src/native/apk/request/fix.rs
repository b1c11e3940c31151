//! What `fix` wishes for: the named packages again, or what is broken. World stays as it is.

use super::super::pool::PkgId;
use super::super::state::Wish;
use super::super::verb::{Answer, Fix};
use super::Session;

impl Session<'_> {
    pub(super) fn fix(mut self, fix: &Fix) -> Answer {
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
