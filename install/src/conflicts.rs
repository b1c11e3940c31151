//! Who may have which path: exact decisions for every entry that a plan brings, against each other, against what is
//! installed from either world, and against files that nobody owns. Reads only; writes nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use xpkg_formats::apk::db::{DbFile, DigestKind, InstalledRecord};
use xpkg_model::payload::{Digest, EntryKind};
use xpkg_model::root::{Node, NodeKind, RootView};
use xpkg_model::{Ecosystem, Package, RelPath};

use crate::protect::Protected;
use crate::state::LinkOwner;
use crate::transaction::outgoing::{Claims, OldFile, Outgoing, digest_of};
use crate::transaction::survey::{Fate, Incoming, Item, Places};
use crate::{Error, Options, Result};

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

/// Everything a decision looks at.
pub struct Judge<'a> {
    /// The root.
    pub root: &'a dyn RootView,
    /// World of its native manager.
    pub native: Ecosystem,
    /// What a person allowed.
    pub options: &'a Options,
    /// Configuration.
    pub protected: &'a Protected,
    /// What goes.
    pub outgoing: &'a Outgoing,
    /// Who owns what a plan brings, among the packages that stay.
    pub owners: HashMap<RelPath, Owner>,
    /// Paths of alternatives links, on OpenWrt.
    pub alternatives: BTreeSet<RelPath>,
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
        if outgoing.dirs.contains_key(&real) {
            claims.dirs.insert(real.clone());
        }
        claims.dirs.extend(real.ancestors().filter(|above| outgoing.dirs.contains_key(above)));
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
    among_incoming(incoming, judge.native, &mut conflicts);
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
fn among_incoming(incoming: &mut [Incoming<'_>], native: Ecosystem, conflicts: &mut Vec<Conflict>) {
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
    let _ = native;
    for (p, i) in skip {
        if let Some(item) = incoming.get_mut(p).and_then(|package| package.items.get_mut(i)) {
            item.fate = Fate::Skip;
        }
    }
}

/// Whether `new` takes a path from `old`: apk's rule (apk-tools database.c, apk_db_install_file). `None`: neither may.
fn stronger(old: &Package, new: &Package, same_world: bool) -> Option<bool> {
    if !same_world {
        return None;
    }
    if old.name == new.name || (!old.origin.is_empty() && old.origin == new.origin) {
        return Some(true);
    }
    let claim = |of: &Package, on: &Package| {
        of.replaces.iter().any(|d| on.meets_by_name(d)).then_some(i64::from(of.replaces_priority)).unwrap_or(-1)
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

type Verdict = std::result::Result<Fate, String>;

impl Judge<'_> {
    fn node(&self, path: &RelPath) -> Result<Option<Node>> {
        self.root.node(path).map_err(|e| Error::io("reading", path, e))
    }

    fn item(
        &self,
        package: &Incoming<'_>,
        item: &Item,
        hardlinks: &HashMap<RelPath, Digest>,
        decided: &mut Decided,
    ) -> Result<Verdict> {
        let node = self.node(&item.real)?;
        let old = self.outgoing.files.get(&item.real);
        if item.entry.kind == EntryKind::Dir {
            return Ok(self.directory(item, node.as_ref(), old));
        }
        if let Some(owner) = self.owners.get(&item.real) {
            return Ok(self.owned(package, item, owner, node, decided));
        }
        let Some(node) = node else { return Ok(Ok(Fate::Write)) };
        if node.kind == NodeKind::Dir {
            return self.over_directory(item);
        }
        let same = self.same(item, &node, hardlinks)?;
        if self.protected.keeps(&item.entry.path) && matches!(node.kind, NodeKind::File | NodeKind::Symlink(_)) {
            if !self.changed(item, &node, old)? {
                return Ok(Ok(Fate::Write));
            }
            if same {
                if old.is_none() {
                    decided.adopted.push(item.real.clone());
                }
                return Ok(Ok(Fate::Adopt));
            }
            decided.notes.push(format!("{} was changed; the new one is {}.apk-new", item.real, item.real));
            return Ok(Ok(Fate::Beside));
        }
        if old.is_some() {
            return Ok(Ok(Fate::Write));
        }
        if same {
            decided.notes.push(format!("{} was there already with the same content", item.real));
            decided.adopted.push(item.real.clone());
            return Ok(Ok(Fate::Adopt));
        }
        Ok(self.unowned(package, item, node, decided))
    }

    fn directory(&self, item: &Item, node: Option<&Node>, old: Option<&OldFile>) -> Verdict {
        match node.map(|n| &n.kind) {
            None => Ok(Fate::Write),
            Some(NodeKind::Dir) => Ok(Fate::Keep),
            // Owned by what goes and by nobody who stays: its place is free.
            Some(_) if old.is_some() && !self.owners.contains_key(&item.real) => Ok(Fate::Write),
            Some(NodeKind::Symlink(target)) => {
                Err(format!("the link to {} there leads to no directory", String::from_utf8_lossy(target)))
            }
            Some(_) => Err("something that is no directory is there".to_owned()),
        }
    }

    fn over_directory(&self, item: &Item) -> Result<Verdict> {
        // Only a directory of outgoing packages that holds nothing else gives way.
        let mut todo = vec![item.real.clone()];
        while let Some(dir) = todo.pop() {
            if !self.outgoing.dirs.contains_key(&dir) {
                return Ok(Err("a directory is there".to_owned()));
            }
            for name in self.root.list(&dir).map_err(|e| Error::io("reading", &dir, e))? {
                let Ok(path) = dir.join(&name) else { return Ok(Err("a directory is there".to_owned())) };
                match self.node(&path)?.map(|n| n.kind) {
                    Some(NodeKind::Dir) => todo.push(path),
                    Some(_) if !self.outgoing.files.contains_key(&path) => {
                        return Ok(Err(format!("a directory is there that holds {path}")));
                    }
                    _ => {}
                }
            }
        }
        Ok(Ok(Fate::Write))
    }

    /// A package that stays has it.
    fn owned(
        &self,
        package: &Incoming<'_>,
        item: &Item,
        owner: &Owner,
        node: Option<Node>,
        decided: &mut Decided,
    ) -> Verdict {
        let same_world = owner.ecosystem == package.package().ecosystem;
        let mut lose = || {
            decided.lose.entry(owner.package.name.clone()).or_default().insert(owner.path.clone());
        };
        match stronger(&owner.package, package.package(), same_world) {
            Some(true) => {
                lose();
                return Ok(Fate::Write);
            }
            Some(false) => return Ok(Fate::Skip),
            None => {}
        }
        let of = format!("{}:{} owns it", owner.ecosystem, owner.package.name);
        let Some(node) = node else { return Err(of) };
        if self.is_lent_link(&item.real, &node) && package.is_foreign(self.native) {
            if self.options.replace_applets {
                lose();
                let by = package.registered.clone();
                let owner = LinkOwner { package: owner.package.name.clone(), file: owner.file.clone() };
                decided.displaced.push((item.real.clone(), node, Some(owner), by));
                return Ok(Fate::Displace);
            }
            return Err(format!("{of} (a link to a small built-in tool; it is replaced only on request)"));
        }
        Err(of)
    }

    /// Nobody has it, but it is there.
    fn unowned(&self, package: &Incoming<'_>, item: &Item, node: Node, decided: &mut Decided) -> Verdict {
        let lent = self.is_lent_link(&item.real, &node);
        if lent && !package.is_foreign(self.native) {
            return Ok(Fate::Write); // the native manager does the same
        }
        if lent && self.options.replace_applets {
            decided.displaced.push((item.real.clone(), node, None, package.registered.clone()));
            return Ok(Fate::Displace);
        }
        if self.options.overwrite_unowned {
            decided.notes.push(format!("{} belonged to nobody and is overwritten", item.real));
            return Ok(Fate::Write);
        }
        Err(match lent {
            true => "a link to a small built-in tool is there; it is replaced only on request".to_owned(),
            false => "it is there already, with other content, and belongs to no package".to_owned(),
        })
    }

    /// A busybox applet or an alternatives link: the host lends the name until a real tool comes.
    fn is_lent_link(&self, path: &RelPath, node: &Node) -> bool {
        let NodeKind::Symlink(target) = &node.kind else { return false };
        let name = target.rsplit(|b| *b == b'/').next().unwrap_or_default();
        matches!(name, b"busybox" | b"toybox" | b"bbsuid") || self.alternatives.contains(path)
    }

    /// Whether what is there has the content that comes.
    fn same(&self, item: &Item, node: &Node, hardlinks: &HashMap<RelPath, Digest>) -> Result<bool> {
        match (&item.entry.kind, &node.kind) {
            (EntryKind::Symlink(new), NodeKind::Symlink(there)) => Ok(new == there),
            (EntryKind::File | EntryKind::Hardlink(_), NodeKind::File) => {
                let digest = match &item.entry.kind {
                    EntryKind::Hardlink(to) => hardlinks.get(to).copied(),
                    _ => item.entry.digest,
                };
                // A size that differs settles it without reading.
                if matches!(item.entry.kind, EntryKind::File) && item.entry.size != node.size {
                    return Ok(false);
                }
                let there = |kind| digest_of(self.root, &item.real, node, kind);
                match digest {
                    Some(Digest::Sha1(new)) => Ok(there(DigestKind::Sha1)? == Some(new)),
                    Some(Digest::Sha256(new)) => {
                        Ok(there(DigestKind::Sha256Short)?.is_some_and(|d| new.starts_with(&d)))
                    }
                    None => Ok(false),
                }
            }
            (EntryKind::Char(a, b), NodeKind::Char(c, d)) | (EntryKind::Block(a, b), NodeKind::Block(c, d)) => {
                Ok((a, b) == (c, d))
            }
            (EntryKind::Fifo, NodeKind::Fifo) => Ok(true),
            _ => Ok(false),
        }
    }

    /// Whether a file is another than its outgoing owner delivered.
    fn changed(&self, item: &Item, node: &Node, old: Option<&OldFile>) -> Result<bool> {
        match old.and_then(|old| Some((old.file.digest?, old.kind))) {
            Some((digest, kind)) => Ok(digest_of(self.root, &item.real, node, kind)? != Some(digest)),
            None => Ok(true),
        }
    }
}
