//! What `add` makes of world: its arguments take the place of entries of the same names, package files go in by identity,
//! and `--virtual` gathers everything under a package made for it. Reads no files.

use std::sync::Arc;

use xpkg_model::{Dependency, Ecosystem, Op, Package};

use super::super::pool::Dep;
use super::super::state::Wish;
use super::super::verb::{Add, Answer};
use super::Session;

impl Session<'_> {
    pub(super) fn add(mut self, add: &Add) -> Answer {
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
}

/// Puts an entry into world in the place of one of the same name, else at the end.
fn put(world: &mut Vec<Dep>, d: Dep) {
    match world.iter_mut().find(|old| old.name == d.name) {
        Some(old) => *old = d,
        None => world.push(d),
    }
}
