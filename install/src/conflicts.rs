//! Who may have which path: exact decisions for every entry that a plan brings, against each other, against what is
//! installed from either world, and against files that nobody owns. Reads only; writes nothing.

mod judge;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use xpkg_formats::apk::db::{DbFile, InstalledRecord};
use xpkg_model::payload::{Digest, EntryKind};
use xpkg_model::root::{Node, NodeKind};
use xpkg_model::{Dependency, Ecosystem, Package, RelPath, VersionScheme};

use crate::state::LinkOwner;
use crate::transaction::outgoing::{Claims, Outgoing};
use crate::transaction::survey::{Fate, Incoming, Item, Places};
use crate::{Error, Result};

pub use judge::{Judge, ONLY_ON_REQUEST};

/// Two claims on one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The path.
    pub path: RelPath,
    /// Who brings it, scoped.
    pub package: String,
    /// What stands against it, in words.
    pub against: String,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}: {}", self.path, self.package, self.against)
    }
}

/// A package that stays and owns a path which a plan brings.
#[derive(Clone, Debug)]
pub struct Owner {
    /// Metadata, in the native database's words.
    package: Package,
    /// The path, as its owner says it.
    path: RelPath,
    /// What its record says of it.
    file: DbFile,
    /// World it is from.
    ecosystem: Ecosystem,
}

/// What the decisions mean for packages that stay.
#[derive(Debug, Default)]
pub struct Decided {
    /// Files that packages which stay lose: registered name and path as recorded.
    pub lose: BTreeMap<String, BTreeSet<RelPath>>,
    /// Links that are displaced: real path, link text, owner, by whom.
    pub displaced: Vec<(RelPath, Node, Option<LinkOwner>, String)>,
    /// Worth telling.
    pub notes: Vec<String>,
    /// Real paths that were there with the same content and belonged to nobody.
    pub adopted: Vec<RelPath>,
}

/// Goes over the installed packages that stay, once: finds owners of what comes, and claims on what goes.
pub fn look_at(
    record: &InstalledRecord,
    ecosystem: Ecosystem,
    places: &mut Places<'_>,
    incoming: &HashMap<RelPath, ()>,
    outgoing: &Outgoing,
    owners: &mut HashMap<RelPath, Owner>,
    claims: &mut Claims,
) -> Result<()> {
    for dir in &record.dirs {
        let real = places.dir(&dir.path)?;
        if outgoing.touches(&real) {
            claims.dirs.insert(real.clone());
        }
        claims.dirs.extend(real.ancestors().filter(|above| outgoing.touches(above)));
        for file in &dir.files {
            let Ok(at) = real.join(&file.name) else { continue };
            if outgoing.files.contains_key(&at) {
                claims.files.insert(at.clone());
            }
            if incoming.contains_key(&at) {
                let path = dir.path.join(&file.name).unwrap_or_else(|_| at.clone());
                owners.insert(at, Owner { package: record.package.clone(), path, file: file.clone(), ecosystem });
            }
        }
    }
    Ok(())
}

/// Decides about every entry. All conflicts are found before any is reported.
pub fn decide(judge: &Judge<'_>, incoming: &mut [Incoming<'_>]) -> Result<Decided> {
    let mut decided = Decided::default();
    let mut conflicts = Vec::new();
    among_incoming(incoming, &mut conflicts);
    below_non_directories(judge, incoming, &mut conflicts)?;
    for package in incoming.iter_mut() {
        let title = package.title();
        let mut items = std::mem::take(&mut package.items);
        let hardlinks = content_of_hardlinks(&items);
        for item in &mut items {
            if item.fate != Fate::Write {
                continue;
            }
            match judge.item(package, item, &hardlinks, &mut decided)? {
                Ok(fate) => item.fate = fate,
                Err(against) => {
                    conflicts.push(Conflict { path: item.entry.path.clone(), package: title.clone(), against });
                }
            }
        }
        package.items = items;
    }
    if conflicts.is_empty() { Ok(decided) } else { Err(Error::Conflicts(conflicts)) }
}

/// Digests of the files that hard links name.
fn content_of_hardlinks(items: &[Item]) -> HashMap<RelPath, Digest> {
    let targets: BTreeSet<&RelPath> = items
        .iter()
        .filter_map(|i| if let EntryKind::Hardlink(to) = &i.entry.kind { Some(to) } else { None })
        .collect();
    let found = items.iter().filter(|i| targets.contains(&i.entry.path));
    found.filter_map(|i| Some((i.entry.path.clone(), i.entry.digest?))).collect()
}

/// Two packages of the plan with one path: the stronger one keeps it.
fn among_incoming(incoming: &mut [Incoming<'_>], conflicts: &mut Vec<Conflict>) {
    let mut seen: HashMap<RelPath, (usize, usize)> = HashMap::new();
    let mut skip = Vec::new();
    for (p, package) in incoming.iter().enumerate() {
        for (i, item) in package.items.iter().enumerate().filter(|(_, i)| i.entry.kind != EntryKind::Dir) {
            let Some((other, at)) = seen.insert(item.real.clone(), (p, i)) else { continue };
            let Some(first) = incoming.get(other) else { continue };
            let (a, b) = (first.package(), package.package());
            if other == p {
                let path = item.entry.path.clone();
                let against = "the package brings it twice, through a link of this root".to_owned();
                conflicts.push(Conflict { path, package: package.title(), against });
                continue;
            }
            match stronger(a, b, a.ecosystem == b.ecosystem) {
                Some(true) => skip.push((other, at)),
                Some(false) => {
                    skip.push((p, i));
                    seen.insert(item.real.clone(), (other, at));
                }
                None => {
                    let against = format!("{} brings it too", first.title());
                    conflicts.push(Conflict { path: item.entry.path.clone(), package: package.title(), against });
                }
            }
        }
    }
    for (p, i) in skip {
        if let Some(item) = incoming.get_mut(p).and_then(|package| package.items.get_mut(i)) {
            item.fate = Fate::Skip;
        }
    }
}

/// Whether `new` takes a path from `old`: apk's rule (apk-tools database.c, apk_db_install_file), or opkg's between two of its
/// packages. `None`: neither may.
fn stronger(old: &Package, new: &Package, same_world: bool) -> Option<bool> {
    if !same_world {
        return None;
    }
    let deb = old.scheme == VersionScheme::Deb && new.scheme == VersionScheme::Deb;
    if old.name == new.name || (!deb && !old.origin.is_empty() && old.origin == new.origin) {
        return Some(true);
    }
    if deb {
        // opkg asks only whom the newcomer replaces, by any name that one answers to (opkg-lede, pkg_replaces).
        return new.replaces.iter().any(|d| old.meets(&Dependency::any(&d.name))).then_some(true);
    }
    let claim = |of: &Package, on: &Package| {
        if of.replaces.iter().any(|d| on.meets_by_name(d)) { i64::from(of.replaces_priority) } else { -1 }
    };
    let (old_claim, new_claim) = (claim(old, new), claim(new, old));
    if old_claim > new_claim {
        Some(false)
    } else if new_claim >= 0 {
        Some(true)
    } else {
        None
    }
}

/// Nothing may lie below a path that the plan itself makes a link or file: it would be written through it.
fn below_non_directories(judge: &Judge<'_>, incoming: &[Incoming<'_>], conflicts: &mut Vec<Conflict>) -> Result<()> {
    let mut others: HashMap<&RelPath, (&Item, String)> = HashMap::new();
    for package in incoming {
        for item in package.items.iter().filter(|i| i.entry.kind != EntryKind::Dir && i.fate != Fate::Skip) {
            others.insert(&item.entry.path, (item, package.title()));
            others.insert(&item.real, (item, package.title()));
        }
    }
    for package in incoming {
        let mut told = BTreeSet::new();
        for item in &package.items {
            let real = item.real.ancestors();
            for above in item.entry.path.ancestors().chain(real) {
                let Some((blocker, title)) = others.get(&above) else { continue };
                // A link that the host has already, unchanged, is the host's: it was followed.
                if let EntryKind::Symlink(target) = &blocker.entry.kind
                    && let Some(node) = judge.node(&blocker.real)?
                    && node.kind == NodeKind::Symlink(target.clone())
                    && blocker.entry.path == above
                {
                    continue;
                }
                if told.insert(above.clone()) {
                    let against =
                        format!("{above}, which {title} brings as something that is no directory, lies above it");
                    conflicts.push(Conflict { path: item.entry.path.clone(), package: package.title(), against });
                }
            }
        }
    }
    Ok(())
}
