//! Why nothing fits, in apk's words: for each name that nobody was chosen for who could be chosen and who asks, for
//! each chosen package what it clashes with and what it breaks. Decides nothing.
//!
//! The rules (apk-tools, commit.c): names and packages are walked in the order of the failed plan. A name counts as
//! there when a chosen package owns it, or provides it with a priority or a version; a package is reported when it is
//! masked, when it clashes with another chosen one, or when it breaks a condition, and then also for whom it is there.

use std::cmp::Ordering;
use std::collections::HashSet;

use super::changes::Step;
use super::layout::Layout;
use super::matching::{Bearing, compare};
use super::pool::{CACHED, Dep, NameId, PkgId, Pool, tag_bit};
use super::universe::Generation;
use crate::native::smoothsort;

/// How a name came to be there.
const PRESENT: u8 = 1;
const MISSING: u8 = 2;
const VIRTUAL_ONLY: u8 = 4;
const INSTALL_IF: u8 = 8;

pub(super) struct Explain<'a> {
    pool: &'a Pool,
    world: &'a [Dep],
    marked: Vec<bool>,
    names: Vec<u8>,
    pkgs: Vec<u8>,
    out: Layout,
    label: Option<String>,
    labels: usize,
}

impl<'a> Explain<'a> {
    /// The lines below `ERROR: unable to select packages:`.
    pub fn of(pool: &'a Pool, world: &'a [Dep], steps: &[Step], width: usize) -> Vec<String> {
        let mut explain = Self {
            pool,
            world,
            marked: vec![false; pool.pkgs.len()],
            names: vec![0; pool.names.len()],
            pkgs: vec![0; pool.pkgs.len()],
            out: Layout::new(width),
            label: None,
            labels: 0,
        };
        for new in steps.iter().filter_map(|s| s.new) {
            explain.marked[new] = true;
        }
        explain.discover_all(world);
        explain.missing_names(world);
        for step in steps {
            if let Some(new) = step.new {
                explain.package(new, step.new_tag);
                explain.missing_names(&pool.pkgs[new].depends);
            }
        }
        if explain.labels == 0 {
            explain.out.line("Huh? Error reporter did not find the broken constraints.");
        }
        explain.out.lines()
    }

    fn discover_all(&mut self, deps: &[Dep]) {
        for d in deps.iter().filter(|d| !d.conflict) {
            self.discover(d.name, PRESENT);
        }
    }

    fn discover(&mut self, name: NameId, as_state: u8) {
        let pool = self.pool;
        for p in pool.names[name].providers.iter().filter(|p| self.marked[p.pkg]).collect::<Vec<_>>() {
            let package = &pool.pkgs[p.pkg];
            let concrete =
                package.name == name || package.provides.iter().any(|d| d.name == name && d.version.is_some());
            let state =
                if as_state != VIRTUAL_ONLY && package.priority == 0 && !concrete { VIRTUAL_ONLY } else { as_state };
            if self.pkgs[p.pkg] & state != 0 {
                continue;
            }
            self.pkgs[p.pkg] |= state;
            self.names[package.name] |= state;
            for d in &package.provides {
                let only = state == INSTALL_IF && d.version.is_none();
                self.names[d.name] |= if only { VIRTUAL_ONLY } else { state };
            }
            self.discover_all(&package.depends);
            if state != VIRTUAL_ONLY {
                self.discover_install_if(package.name);
                for d in &package.provides {
                    self.discover_install_if(d.name);
                }
            }
        }
    }

    fn discover_install_if(&mut self, name: NameId) {
        let pool = self.pool;
        for &other in &pool.names[name].rinstall_if {
            for p in &pool.names[other].providers {
                let package = &pool.pkgs[p.pkg];
                let there = |d: &Dep| self.names[d.name] & (PRESENT | INSTALL_IF) != 0;
                if self.marked[p.pkg]
                    && !package.install_if.is_empty()
                    && package.install_if.iter().all(|d| d.conflict != there(d))
                {
                    self.discover(package.name, INSTALL_IF);
                    for d in &package.provides {
                        self.discover(d.name, INSTALL_IF);
                    }
                }
            }
        }
    }

    fn missing_names(&mut self, deps: &[Dep]) {
        for d in deps.iter().filter(|d| !d.conflict) {
            if self.names[d.name] & (INSTALL_IF | PRESENT | MISSING) == 0 {
                self.names[d.name] |= MISSING;
                self.missing_name(d.name);
            }
        }
    }

    /// Opens a list below the current label, which is written with the first one.
    fn start(&mut self, list: &str) {
        if let Some(label) = self.label.take() {
            self.out.line(&format!("  {label}:"));
            self.labels += 1;
        }
        self.out.group(&format!("    {list}"));
    }

    fn list(&mut self, list: &str, words: impl IntoIterator<Item = String>) {
        for word in words {
            self.start(list);
            self.out.word(&word);
        }
        self.out.end();
    }

    /// A condition of world, as the generation writes it: apk 3 with its tag.
    fn of_world(&self, d: &Dep) -> String {
        let tag = &self.pool.tags[d.tag].text;
        match self.pool.generation {
            Generation::V3 if !tag.is_empty() => format!("world[{}@{tag}]", self.pool.write_dep(d)),
            _ => format!("world[{}]", self.pool.write_dep(d)),
        }
    }

    fn of_package(&self, pkg: PkgId, d: &Dep) -> String {
        format!("{}[{}]", self.pool.label(pkg), self.pool.write_dep(d))
    }

    fn missing_name(&mut self, name: NameId) {
        let pool = self.pool;
        let text = &pool.names[name].text;
        if pool.names[name].providers.is_empty() {
            self.label = Some(format!("{text} (no such package)"));
        } else {
            self.label = Some(format!("{text} (virtual)"));
            let advice = "please select one of the 'provided by' packages explicitly";
            self.list("note:", advice.split(' ').map(str::to_owned));
            self.list("provided by:", self.providers(name));
        }
        self.start("required by:");
        let mut asks: Vec<String> =
            self.world.iter().filter(|d| d.name == name && !d.conflict).map(|d| self.of_world(d)).collect();
        let mut visited = HashSet::new();
        for &other in &pool.names[name].rdepends {
            // apk 2.14 looks at the first chosen provider of an asking name only, whether it is the one that asks or not.
            let only = if pool.generation == Generation::V2 { 1 } else { usize::MAX };
            let fresh = pool.names[other].providers.iter().filter(|p| self.marked[p.pkg] && visited.insert(p.pkg));
            asks.extend(fresh.take(only).find_map(|p| {
                let mut depends = pool.pkgs[p.pkg].depends.iter();
                depends.find(|d| d.name == name && !d.conflict).map(|d| self.of_package(p.pkg, d))
            }));
        }
        self.list("required by:", asks);
    }

    /// Who could be chosen: by name alone where every package of that name could.
    fn providers(&self, name: NameId) -> Vec<String> {
        let pool = self.pool;
        let mut left = vec![0usize; pool.names.len()];
        for p in &pool.names[name].providers {
            left[pool.pkgs[p.pkg].name] += 1;
        }
        let mut words = Vec::new();
        for p in &pool.names[name].providers {
            let own = pool.pkgs[p.pkg].name;
            if left[own] == pool.names[own].providers.len() {
                words.push(pool.names[own].text.to_string());
                left[own] = 0;
            } else if left[own] > 0 {
                words.push(pool.label(p.pkg));
                left[own] -= 1;
            }
        }
        words
    }

    fn package(&mut self, pkg: PkgId, tag: usize) {
        self.label = Some(self.pool.label(pkg));
        let package = &self.pool.pkgs[pkg];
        if package.foreign_arch && self.pool.generation == Generation::V3 {
            self.list("error:", ["uninstallable".to_owned()]);
            self.list("arch:", [package.source.arch.clone()]);
        }
        self.list("masked in:", self.masks(pkg, tag));
        self.list("conflicts:", self.clashes(pkg));
        self.conditions(pkg, Bearing::Conflicts, "breaks:");
        if self.label.is_none() {
            self.conditions(pkg, Bearing::Satisfies, "satisfies:");
        }
    }

    /// The tags that hide a package which none of the allowed repositories offers.
    fn masks(&self, pkg: PkgId, tag: usize) -> Vec<String> {
        let pool = self.pool;
        let package = &pool.pkgs[pkg];
        if package.is_installed() {
            return Vec::new();
        }
        let v3 = pool.generation == Generation::V3;
        let reachable = if v3 {
            pool.is_available(pkg) || package.repos & CACHED != 0
        } else {
            package.repos & pool.available != 0
        };
        if !reachable {
            return vec!["--no-network".to_owned()];
        }
        if package.repos == CACHED && !package.file {
            return vec!["cache".to_owned()];
        }
        if package.repos & pool.repos_of(tag_bit(0) | tag_bit(tag)) != 0 {
            return Vec::new();
        }
        pool.tags.iter().filter(|t| t.repos & package.repos != 0).map(|t| format!("@{}", t.text)).collect()
    }

    /// Other chosen packages that own or provide the same names, one of the two with a version.
    fn clashes(&self, pkg: PkgId) -> Vec<String> {
        let pool = self.pool;
        let package = &pool.pkgs[pkg];
        let own = pool.names[package.name].providers.iter();
        let mut words: Vec<String> =
            own.filter(|p| p.pkg != pkg && self.marked[p.pkg]).map(|p| pool.label(p.pkg)).collect();
        for d in &package.provides {
            let mut itself = true;
            for p in pool.names[d.name].providers.iter().filter(|p| self.marked[p.pkg]) {
                if d.version.is_none() && p.version.is_none() {
                    continue;
                }
                if itself && p.pkg == pkg && p.version == d.version {
                    itself = false;
                    continue;
                }
                words.push(self.of_package(p.pkg, d));
            }
        }
        words
    }

    /// Conditions of world and of chosen packages that the package meets or breaks.
    fn conditions(&mut self, pkg: PkgId, bearing: Bearing, list: &str) {
        let pool = self.pool;
        let mut of_world: Vec<&Dep> = self.world.iter().filter(|d| pool.bearing(None, d, pkg) == bearing).collect();
        if pool.generation == Generation::V3 {
            smoothsort::sort_by(&mut of_world, |a, b| bits(a).cmp(&bits(b)));
        }
        let mut words: Vec<String> = of_world.into_iter().map(|d| self.of_world(d)).collect();
        let mut found: Vec<(PkgId, &Dep)> = Vec::new();
        let mut visited = HashSet::new();
        let package = &pool.pkgs[pkg];
        for name in std::iter::once(package.name).chain(package.provides.iter().map(|p| p.name)) {
            for &other in &pool.names[name].rdepends {
                for p in pool.names[other].providers.iter().filter(|p| self.marked[p.pkg]) {
                    if visited.insert(p.pkg) {
                        let depends = pool.pkgs[p.pkg].depends.iter();
                        found.extend(
                            depends.filter(|d| pool.bearing(Some(p.pkg), d, pkg) == bearing).map(|d| (p.pkg, d)),
                        );
                    }
                }
            }
        }
        if pool.generation == Generation::V3 {
            smoothsort::sort_by(&mut found, |a, b| pool.display_order(a.0, b.0).then(bits(a.1).cmp(&bits(b.1))));
        }
        words.extend(found.into_iter().map(|(pkg, d)| self.of_package(pkg, d)));
        self.list(list, words);
    }
}

fn bits(d: &Dep) -> u8 {
    d.op.0 | u8::from(d.conflict) << 4
}

impl Pool {
    /// apk 3's order for people: by name without regard to case, then by version.
    pub fn display_order(&self, a: PkgId, b: PkgId) -> Ordering {
        let (a, b) = (&self.pkgs[a], &self.pkgs[b]);
        let by_version = || match compare(Some(&a.version), Some(&b.version)) {
            xpkg_model::version::Relation::Less => Ordering::Less,
            xpkg_model::version::Relation::Equal => Ordering::Equal,
            xpkg_model::version::Relation::Greater => Ordering::Greater,
        };
        self.name_order(a.name, b.name).then_with(by_version)
    }

    /// Names in the order in which both generations sort them: without regard to case first.
    pub fn name_order(&self, a: NameId, b: NameId) -> Ordering {
        let (a, b) = (&self.names[a].text, &self.names[b].text);
        let folded = a.bytes().map(|c| c.to_ascii_lowercase()).cmp(b.bytes().map(|c| c.to_ascii_lowercase()));
        folded.then_with(|| a.cmp(b))
    }
}
