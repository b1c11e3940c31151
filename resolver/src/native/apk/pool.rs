//! The universe with numbers instead of names: who provides what, who depends on whom, in the order that apk meets
//! them. Built once per question; never changes while a question is decided.
//!
//! Order matters: apk fills its name table from the installed database first and the repositories then, and collects
//! reverse dependencies by walking that table bucket by bucket (murmur3 of the name, seed 5381, modulo 20,000; newest first in
//! a bucket; apk-tools database.c, hash.c, blob.c). Ties in its decisions are broken by that order, so it is kept here.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use xpkg_model::{Dependency, Op, Package};

use super::universe::{Generation, Universe};

/// Number of a name.
pub(super) type NameId = usize;
/// Number of a package.
pub(super) type PkgId = usize;
/// A set of repositories, one bit each.
pub(super) type Repos = u64;

/// The bit of what needs no repository: package files and virtual packages.
pub(super) const CACHED: Repos = 1;
/// Buckets of apk's name table.
const BUCKETS: u32 = 20_000;

/// A condition on a name, or a provided name.
#[derive(Clone, Debug)]
pub(super) struct Dep {
    pub name: NameId,
    pub op: Op,
    /// `None` when there is none, which for a provided name means virtual.
    pub version: Option<Rc<str>>,
    pub conflict: bool,
    /// Number of the repository tag; 0 is no tag.
    pub tag: usize,
}

/// A package that answers to a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Provider {
    pub pkg: PkgId,
    /// `None`: by an unversioned provide.
    pub version: Option<Rc<str>>,
}

/// One package: all entries of the same identity.
#[derive(Debug)]
pub(super) struct Pkg {
    pub name: NameId,
    pub version: Rc<str>,
    pub depends: Vec<Dep>,
    pub provides: Vec<Dep>,
    pub install_if: Vec<Dep>,
    pub priority: i64,
    pub installed_size: u64,
    pub repos: Repos,
    /// Index of the installed record.
    pub record: Option<usize>,
    /// Tag it was installed with.
    pub installed_tag: usize,
    /// Named as a file on the command line.
    pub file: bool,
    /// Of an architecture that this root does not take.
    pub foreign_arch: bool,
    pub source: Arc<Package>,
}

impl Pkg {
    pub fn is_installed(&self) -> bool {
        self.record.is_some()
    }

    /// The names it answers to: its own, then those it provides.
    pub fn names(&self) -> impl Iterator<Item = NameId> + use<'_> {
        std::iter::once(self.name).chain(self.provides.iter().map(|p| p.name))
    }
}

/// One name.
#[derive(Debug, Default)]
pub(super) struct Name {
    pub text: Rc<str>,
    pub providers: Vec<Provider>,
    /// Names whose providers depend on this one.
    pub rdepends: Vec<NameId>,
    /// Names whose providers have this one in their install_if.
    pub rinstall_if: Vec<NameId>,
    /// 0: only packages of that name; 1: those and others; 2: only others (apk 2.14 resolves in that order).
    pub class: u8,
}

/// A repository tag.
#[derive(Debug, Default)]
pub(super) struct Tag {
    /// Without the `@`; empty for no tag.
    pub text: String,
    /// Repositories that carry it.
    pub repos: Repos,
}

/// The numbered universe.
#[derive(Debug)]
pub(super) struct Pool {
    pub generation: Generation,
    pub names: Vec<Name>,
    pub pkgs: Vec<Pkg>,
    pub tags: Vec<Tag>,
    pub world: Vec<Dep>,
    /// Installed packages in the database's order.
    pub installed: Vec<PkgId>,
    /// Repositories that packages can be had from.
    pub available: Repos,
    by_text: HashMap<Rc<str>, NameId>,
    by_identity: HashMap<[u8; 20], PkgId>,
    arches: Vec<String>,
    opened: bool,
}

impl Pool {
    /// Numbers a universe.
    pub fn new(universe: &Universe) -> Self {
        let mut pool = Self {
            generation: universe.generation,
            names: Vec::new(),
            pkgs: Vec::new(),
            tags: vec![Tag::default()],
            world: Vec::new(),
            installed: Vec::new(),
            available: CACHED,
            by_text: HashMap::new(),
            by_identity: HashMap::new(),
            arches: universe.arches.clone(),
            opened: false,
        };
        pool.world = universe.world.iter().map(|d| pool.dep(d)).collect();
        for (index, record) in universe.installed.iter().enumerate() {
            let tag = pool.tag(record.tag.as_deref());
            let id = pool.add(&record.package, 0);
            if let Some(pkg) = pool.pkgs.get_mut(id).filter(|p| !p.is_installed()) {
                (pkg.record, pkg.installed_tag) = (Some(index), tag);
                pool.installed.push(id);
            }
        }
        for (index, repository) in universe.repositories.iter().enumerate() {
            // More repositories than bits share the last one: apk itself refuses more than 32.
            let bit: Repos = 1 << (index + 1).min(63);
            let tag = pool.tag(repository.tag.as_deref());
            if let Some(tag) = pool.tags.get_mut(tag) {
                tag.repos |= bit;
            }
            if repository.available {
                pool.available |= bit;
            }
            for package in &repository.packages {
                pool.add(package, bit);
            }
        }
        pool.link();
        pool.opened = true;
        for package in &universe.files {
            pool.add_file(package);
        }
        pool
    }

    /// The number of a name, given one if it has none.
    pub fn name(&mut self, text: &str) -> NameId {
        if let Some(&id) = self.by_text.get(text) {
            return id;
        }
        let text: Rc<str> = text.into();
        let id = self.names.len();
        self.names.push(Name { text: text.clone(), ..Name::default() });
        self.by_text.insert(text, id);
        id
    }

    /// The number of a name that somebody has mentioned.
    pub fn known(&self, text: &str) -> Option<NameId> {
        self.by_text.get(text).copied()
    }

    fn tag(&mut self, text: Option<&str>) -> usize {
        let text = text.unwrap_or_default();
        self.tags.iter().position(|t| t.text == text).unwrap_or_else(|| {
            self.tags.push(Tag { text: text.to_owned(), repos: 0 });
            self.tags.len() - 1
        })
    }

    /// Numbers a dependency.
    pub fn dep(&mut self, d: &Dependency) -> Dep {
        let version = (!d.version.is_empty()).then(|| d.version.as_str().into());
        let tag = self.tag(d.tag.as_deref());
        Dep { name: self.name(&d.name), op: d.op, version, conflict: d.conflict, tag }
    }

    /// A package file named on the command line.
    pub fn add_file(&mut self, package: &Arc<Package>) -> PkgId {
        let id = self.add(package, 0);
        if let Some(pkg) = self.pkgs.get_mut(id) {
            pkg.file = true;
            pkg.repos |= CACHED;
        }
        id
    }

    /// A virtual package made for this question.
    pub fn add_virtual(&mut self, package: &Arc<Package>) -> PkgId {
        self.add(package, CACHED)
    }

    fn add(&mut self, package: &Arc<Package>, repos: Repos) -> PkgId {
        let key = package.identity.map(|i| i.prefix());
        if let Some(&id) = key.as_ref().and_then(|k| self.by_identity.get(k)) {
            if let Some(pkg) = self.pkgs.get_mut(id) {
                pkg.repos |= repos;
            }
            return id;
        }
        let name = self.name(&package.name);
        let version: Rc<str> = package.version.as_str().into();
        let depends: Vec<_> =
            package.depends.iter().filter_map(|r| r.alternatives().first()).map(|d| self.dep(d)).collect();
        let mut provides = Vec::with_capacity(package.provides.len());
        for p in &package.provides {
            let op = if p.version.is_some() { Op::EQUAL } else { Op::ANY };
            let version = p.version.as_deref().map(Into::into);
            provides.push(Dep { name: self.name(&p.name), op, version, conflict: false, tag: 0 });
        }
        let install_if: Vec<_> = package.install_if.iter().map(|d| self.dep(d)).collect();
        let id = self.pkgs.len();
        self.names[name].providers.push(Provider { pkg: id, version: Some(version.clone()) });
        for p in &provides {
            self.names[p.name].providers.push(Provider { pkg: id, version: p.version.clone() });
        }
        let foreign_arch = !self.arches.is_empty()
            && !package.arch.is_empty()
            && package.arch != "noarch"
            && !self.arches.contains(&package.arch);
        self.pkgs.push(Pkg {
            name,
            version,
            depends,
            provides,
            install_if,
            priority: i64::from(package.provider_priority.unwrap_or(0)),
            installed_size: package.installed_size,
            repos,
            record: None,
            installed_tag: 0,
            file: false,
            foreign_arch,
            source: package.clone(),
        });
        if let Some(key) = key {
            self.by_identity.insert(key, id);
        }
        if self.opened {
            self.link_late(id);
        }
        id
    }

    /// Reverse dependencies, in the order of apk's name table.
    fn link(&mut self) {
        let mut order: Vec<NameId> = (0..self.names.len()).collect();
        order.sort_by_key(|&n| (murmur3(self.names[n].text.as_bytes()) % BUCKETS, usize::MAX - n));
        // The last one that was noted under a name, so that each is noted once.
        let mut last: Vec<[NameId; 2]> = vec![[usize::MAX; 2]; self.names.len()];
        for name in order {
            let mut others = 0;
            for at in 0..self.names[name].providers.len() {
                let pkg = self.names[name].providers[at].pkg;
                others += usize::from(self.pkgs[pkg].name != name);
                for d in &self.pkgs[pkg].depends {
                    if last[d.name][0] != name {
                        last[d.name][0] = name;
                        self.names[d.name].rdepends.push(name);
                    }
                }
                for d in &self.pkgs[pkg].install_if {
                    if last[d.name][1] != name {
                        last[d.name][1] = name;
                        self.names[d.name].rinstall_if.push(name);
                    }
                }
            }
            let own = self.names[name].providers.len() - others;
            self.names[name].class = if others == 0 {
                0
            } else if own > 0 {
                1
            } else {
                2
            };
        }
    }

    /// The same for a package that came after the table was complete.
    fn link_late(&mut self, id: PkgId) {
        let pkg = &self.pkgs[id];
        let answers: Vec<NameId> = std::iter::once(pkg.name).chain(pkg.provides.iter().map(|p| p.name)).collect();
        let targets = |deps: &[Dep]| deps.iter().map(|d| d.name).collect::<Vec<_>>();
        let (depends, install_if) = (targets(&pkg.depends), targets(&pkg.install_if));
        let note = |list: &mut Vec<NameId>| {
            for &name in &answers {
                if !list.contains(&name) {
                    list.push(name);
                }
            }
        };
        for name in depends {
            note(&mut self.names[name].rdepends);
        }
        for name in install_if {
            note(&mut self.names[name].rinstall_if);
        }
    }

    /// The repositories of a set of tags.
    pub fn repos_of(&self, tags: Repos) -> Repos {
        self.tags.iter().enumerate().filter(|(i, _)| tags & tag_bit(*i) != 0).fold(0, |all, (_, t)| all | t.repos)
    }

    /// Where a package is, counting the repositories of the tag it was installed with.
    pub fn repos(&self, pkg: PkgId) -> Repos {
        let pkg = &self.pkgs[pkg];
        pkg.repos | if pkg.is_installed() { self.tags[pkg.installed_tag].repos } else { 0 }
    }

    /// Whether the package can be had now.
    pub fn is_available(&self, pkg: PkgId) -> bool {
        let pkg = &self.pkgs[pkg];
        pkg.file || pkg.repos & self.available & !CACHED != 0
    }

    /// The installed package of exactly that name.
    pub fn installed_as(&self, name: NameId) -> Option<PkgId> {
        let of = |p: &Provider| self.pkgs[p.pkg].name == name && self.pkgs[p.pkg].is_installed();
        self.names[name].providers.iter().find(|p| of(p)).map(|p| p.pkg)
    }

    /// `name-version`.
    pub fn label(&self, pkg: PkgId) -> String {
        format!("{}-{}", self.names[self.pkgs[pkg].name].text, self.pkgs[pkg].version)
    }

    /// A dependency as apk writes it; the tag only where asked.
    pub fn write_dep(&self, d: &Dep) -> String {
        let (op, version) = match &d.version {
            // apk 2.14 has no sign for a fuzzy comparison other than `~`.
            Some(version) if self.generation == Generation::V2 && d.op.is_fuzzy() && d.op != Op::FUZZY => {
                ("?", version.as_ref())
            }
            Some(version) => (d.op.as_str(), version.as_ref()),
            None => ("", ""),
        };
        format!("{}{}{op}{version}", if d.conflict { "!" } else { "" }, self.names[d.name].text)
    }
}

/// The bit of a tag in a set of tags. apk knows at most 32 tags; more share the last bit.
pub(super) fn tag_bit(tag: usize) -> Repos {
    1 << tag.min(63)
}

/// MurmurHash3, 32 bits, with apk's seed (Austin Appleby's public domain function).
fn murmur3(key: &[u8]) -> u32 {
    let mix = |k: u32| k.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    let mut hash: u32 = 5381;
    let mut blocks = key.chunks_exact(4);
    for block in &mut blocks {
        let k = block.iter().rev().fold(0u32, |k, b| k << 8 | u32::from(*b));
        hash = (hash ^ mix(k)).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    let tail = blocks.remainder();
    if !tail.is_empty() {
        hash ^= mix(tail.iter().rev().fold(0u32, |k, b| k << 8 | u32::from(*b)));
    }
    hash ^= u32::try_from(key.len()).unwrap_or(u32::MAX);
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}
