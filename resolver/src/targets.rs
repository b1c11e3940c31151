//! What the request says about single names: removed, upgraded, pinned. Decides nothing about dependencies.

use std::collections::{BTreeMap, BTreeSet};

use xpkg_model::{Dependency, Ecosystem, Op, Package, Spec};

use crate::explain::{Node, Unsolvable, What};
use crate::universe::meets_by_name;
use crate::{Problem, Upgrade};

type Scoped = (Ecosystem, String);

/// The request, by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Targets {
    /// Removed names, with the reason where it is not the request.
    pub(crate) removed: BTreeMap<Scoped, Option<String>>,
    /// Automatic packages that nothing needs once those are gone: they do not stay for their own sake.
    pub(crate) idle: BTreeSet<Scoped>,
    upgraded: BTreeMap<Scoped, Option<Dependency>>,
    upgrade_all: Vec<Scoped>,
    /// What the native world and earlier requests say of a name.
    pins: BTreeMap<Scoped, Vec<Dependency>>,
    /// What this request says of it.
    wanted: Vec<Spec>,
}

/// The worlds a spec is looked for in, first choice first.
pub(crate) fn scopes(problem: &Problem<'_>, spec: &Spec) -> Vec<Ecosystem> {
    match spec.ecosystem {
        Some(ecosystem) => vec![ecosystem],
        None => {
            let first = problem.request.prefer.unwrap_or(problem.host.native);
            let mut scopes = vec![first];
            scopes.extend(Ecosystem::ALL.into_iter().filter(|e| *e != first));
            scopes
        }
    }
}

impl Targets {
    pub(crate) fn new(problem: &Problem<'_>) -> Result<Self, Unsolvable> {
        let mut targets = Self { wanted: problem.request.install.clone(), ..Self::default() };
        let mut missing = Vec::new();
        let mut find = |spec: &Spec| {
            let found =
                scopes(problem, spec).into_iter().find(|e| problem.installed.get(*e, &spec.dependency.name).is_some());
            if found.is_none() {
                missing.push(Node::leaf(What::NotInstalled { name: spec.to_string() }));
            }
            found.map(|e| (e, spec.dependency.name.clone()))
        };
        for spec in &problem.request.remove {
            if let Some(key) = find(spec) {
                targets.removed.insert(key, None);
            }
        }
        match &problem.request.upgrade {
            Upgrade::None => {}
            Upgrade::All => {
                let all = problem.installed.packages.iter().filter(|p| !p.held);
                targets.upgrade_all = all.map(|p| (p.package.ecosystem, p.package.name.clone())).collect();
                targets.upgrade_all.sort();
            }
            Upgrade::Named(specs) => {
                for spec in specs {
                    if let Some(key) = find(spec) {
                        let narrowed = (spec.dependency.op != Op::ANY).then(|| spec.dependency.clone());
                        targets.upgraded.insert(key, narrowed);
                    }
                }
            }
        }
        if !missing.is_empty() {
            return Err(Unsolvable { reasons: missing });
        }
        let native = problem.host.native;
        let world = problem.installed.world.iter().map(|d| (native, d));
        let wanted = problem.installed.wanted.iter().map(|s| (s.ecosystem.unwrap_or(native), &s.dependency));
        for (ecosystem, dependency) in world.chain(wanted) {
            if dependency.conflict || dependency.op != Op::ANY {
                targets.pins.entry((ecosystem, dependency.name.clone())).or_default().push(dependency.clone());
            }
        }
        Ok(targets)
    }

    pub(crate) fn removes(&self, ecosystem: Ecosystem, name: &str) -> bool {
        self.removed.contains_key(&(ecosystem, name.to_owned()))
    }

    pub(crate) fn upgrades(&self, ecosystem: Ecosystem, name: &str) -> bool {
        let key = (ecosystem, name.to_owned());
        self.upgraded.contains_key(&key) || self.upgrade_all.binary_search(&key).is_ok()
    }

    /// What this request says of a name, if it says a version.
    fn asked(&self, package: &Package) -> Option<&Spec> {
        self.wanted
            .iter()
            .find(|s| s.ecosystem.is_none_or(|e| e == package.ecosystem) && s.dependency.name == package.name)
    }

    /// Whether the request names exactly this older (or differently built) version.
    pub(crate) fn may_go_back(&self, package: &Package) -> bool {
        let exact = |d: &Dependency| {
            (d.op == Op::CHECKSUM || d.op.has(Op::EQUAL) && d.op.0 & 6 == 0) && meets_by_name(package, d)
        };
        self.asked(package).is_some_and(|s| exact(&s.dependency))
            || self
                .upgraded
                .get(&(package.ecosystem, package.name.clone()))
                .is_some_and(|d| d.as_ref().is_some_and(exact))
    }

    /// The pin that keeps the package away, in words.
    pub(crate) fn pinned_away(&self, package: &Package) -> Option<String> {
        let key = (package.ecosystem, package.name.clone());
        if let Some(Some(narrowed)) = self.upgraded.get(&key)
            && !meets_by_name(package, narrowed)
        {
            return Some(format!("the request for {narrowed}"));
        }
        if self.asked(package).is_some() {
            return None; // a person who names the package again has changed their mind about older pins
        }
        let pins = self.pins.get(&key)?;
        let against = pins.iter().find(|d| meets_by_name(package, &positive(d)) == d.conflict)?;
        Some(format!("`{against}` in the world"))
    }
}

fn positive(dependency: &Dependency) -> Dependency {
    Dependency { conflict: false, ..dependency.clone() }
}
