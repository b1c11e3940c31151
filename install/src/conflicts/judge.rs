//! The decision about one entry: against what lies on the root and who owns it.

use std::collections::{BTreeSet, HashMap};

use xpkg_formats::apk::db::{self, DigestKind};
use xpkg_model::payload::{Digest, EntryKind};
use xpkg_model::root::{Node, NodeKind, RootView};
use xpkg_model::{Ecosystem, RelPath};

use super::{Decided, Owner, stronger};
use crate::native::place::OWN;
use crate::protect::Protected;
use crate::state::LinkOwner;
use crate::transaction::outgoing::{OldFile, Outgoing, digest_of};
use crate::transaction::prepare::is_configuration;
use crate::transaction::survey::{Fate, Incoming, Item};
use crate::{Error, Options, Result};

/// How a refusal ends that `replace_applets` would lift.
pub const ONLY_ON_REQUEST: &str = "it is replaced only on request";

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
    /// Whether opkg manages the root.
    pub opkg: bool,
}

type Verdict = std::result::Result<Fate, String>;

impl Judge<'_> {
    pub(super) fn node(&self, path: &RelPath) -> Result<Option<Node>> {
        self.root.node(path).map_err(|e| Error::io("reading", path, e))
    }

    pub(super) fn item(
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
        if is_record(&item.real) {
            return Ok(Err("package managers keep their own records there".to_owned()));
        }
        if let Some(owner) = self.owners.get(&item.real) {
            if let Some(why) = self.gives_way(package, item, owner, node.as_ref(), hardlinks)? {
                decided.notes.push(why);
                return Ok(Ok(Fate::Skip));
            }
            return Ok(self.owned(package, item, owner, node, decided));
        }
        let Some(node) = node else { return Ok(Ok(Fate::Write)) };
        if node.kind == NodeKind::Dir {
            return self.over_directory(item);
        }
        let same = self.same(item, &node, hardlinks)?;
        if self.protected.keeps(&item.entry.path) && matches!(node.kind, NodeKind::File | NodeKind::Symlink(_)) {
            if !self.changed(item, &node, old)? || self.options.force_maintainer {
                return Ok(Ok(Fate::Write));
            }
            if same {
                if old.is_none() {
                    decided.adopted.push(item.real.clone());
                }
                return Ok(Ok(Fate::Adopt));
            }
            let suffix = self.protected.suffix();
            decided.notes.push(format!("{} was changed; the new one is {}{suffix}", item.real, item.real));
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

    /// A foreign package leaves the host's file alone where it can do with it: its own configuration, for which the host's
    /// stands in, and what has the same content. In words, for the person.
    fn gives_way(
        &self,
        package: &Incoming<'_>,
        item: &Item,
        owner: &Owner,
        node: Option<&Node>,
        hardlinks: &HashMap<RelPath, Digest>,
    ) -> Result<Option<String>> {
        let Some(node) = node.filter(|_| package.is_foreign(self.native) && owner.ecosystem == self.native) else {
            return Ok(None);
        };
        let (path, of) = (&item.real, format!("{}:{}", owner.ecosystem, owner.package.name));
        // Packages of apk name no configuration: apk takes what lies below /etc for it.
        if package.conffiles.contains(&item.entry.path) || is_configuration(&item.entry) {
            let left = package.title();
            return Ok(Some(format!("{path} stays as {of} has it; the one of {left} is left out")));
        }
        let same = self.same(item, node, hardlinks)?;
        Ok(same.then(|| format!("{path} is there already with the same content, from {of}")))
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
        if self.options.force_overwrite {
            lose();
            decided.notes.push(format!("{} is taken from {}", item.real, owner.package.name));
            return Ok(Fate::Write);
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
            return Err(format!("{of} (a link to a small built-in tool; {ONLY_ON_REQUEST})"));
        }
        Err(of)
    }

    /// Nobody has it, but it is there.
    fn unowned(&self, package: &Incoming<'_>, item: &Item, node: Node, decided: &mut Decided) -> Verdict {
        let lent = self.is_lent_link(&item.real, &node);
        if lent && !package.is_foreign(self.native) && !self.opkg {
            return Ok(Fate::Write); // the native manager does the same
        }
        if lent && self.options.replace_applets {
            decided.displaced.push((item.real.clone(), node, None, package.registered.clone()));
            return Ok(Fate::Displace);
        }
        if self.options.overwrite_unowned || self.options.force_overwrite {
            decided.notes.push(format!("{} belonged to nobody and is overwritten", item.real));
            return Ok(Fate::Write);
        }
        Err(match lent {
            true => format!("a link to a small built-in tool is there; {ONLY_ON_REQUEST}"),
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

/// Databases, choices and journals of the root's package managers: never payload, whether they are there yet or not.
fn is_record(path: &RelPath) -> bool {
    const RECORDS: [&[u8]; 6] = [
        crate::native::opkg::STATUS.as_bytes(),
        crate::state::STATE.as_bytes(),
        b"etc/xpkg/world",
        b"etc/apk/world",
        b"lib/apk/db/lock",
        db::INSTALLED.as_bytes(),
    ];
    let bytes = path.as_bytes();
    let beside_it =
        |record: &[u8]| bytes.strip_prefix(record).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"-"));
    RECORDS.iter().any(|record| beside_it(record))
        || bytes.starts_with(b"usr/lib/xpkg/journal/")
        || [OWN.installed, OWN.triggers, OWN.scripts[0]].iter().any(|own| bytes.starts_with(own.as_bytes()))
        || bytes.starts_with(b"usr/lib/opkg/info/")
        || bytes.starts_with(b"lib/apk/db/scripts.tar")
        || bytes == b"lib/apk/db/triggers"
}
