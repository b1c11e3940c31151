//! The writing half of a transaction up to the scripts: every item is staged with its final attributes, and its digest for
//! the native database is made while it streams by.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;

use ring::digest::{Context, SHA256};
use xpkg_formats::apk::db::Acl;
use xpkg_formats::apk::db::DigestKind;
use xpkg_model::identity::hex;
use xpkg_model::payload::{Digest, EntryKind};
use xpkg_model::root::NodeKind;
use xpkg_model::{Event, Observer, RelPath};

use super::adapted::rewritten;
use super::outgoing::beside;
use super::prepare::{Prepared, is_configuration};
use super::survey::{Fate, Incoming, Item, Origin};
use super::{ApplyInput, Receipt};
use crate::accounts::Accounts;
use crate::native::opkg::Neighbours;
use crate::{Error, Meta, Result, Special, Target};

/// A transaction whose payload is staged.
pub(crate) struct Work<'a> {
    pub(crate) prepared: Prepared<'a>,
    pub accounts: Accounts,
    /// Everything that is installed once the plan is done, under the names that opkg knows; empty on roots of apk.
    pub neighbours: Neighbours,
}

pub(super) fn stage<'a>(
    target: &mut dyn Target,
    input: &ApplyInput<'a>,
    mut prepared: Prepared<'a>,
    receipt: &mut Receipt,
    observer: &dyn Observer,
) -> Result<Work<'a>> {
    let accounts = Accounts::load(target)?;
    observer.event(Event::Stage { name: "staging", items: Some(prepared.incoming.len() as u64) });
    let mut incoming = std::mem::take(&mut prepared.incoming);
    let suffix = prepared.suffix;
    for package in &mut incoming {
        let kind = prepared.native.digest_kind(&package.step.package);
        let foreign = package.is_foreign(input.native);
        let mut stager = Stager {
            target,
            accounts: &accounts,
            prepared: &mut prepared,
            foreign,
            kind,
            lost: false,
            places: places_of(&package.items, suffix),
            suffix,
            conffiles: package.conffiles.iter().cloned().collect(),
            configuration: BTreeMap::new(),
            bytes: 0,
            last_dir: None,
        };
        stager.package(package)?;
        receipt.bytes += stager.bytes;
        if stager.lost {
            receipt.notes.push(format!("{}: some extended attributes could not be set here", package.title()));
        }
        for item in package.items.iter().filter(|i| i.fate == Fate::Beside) {
            receipt.beside.push(beside(&item.real, suffix)?);
        }
        observer.event(Event::Item { name: package.title() });
    }
    prepared.incoming = incoming;
    receipt.kept.clone_from(&prepared.removals.kept);
    receipt.notes.append(&mut prepared.decided.notes);
    let mut neighbours = std::mem::take(&mut prepared.staying);
    if prepared.native.is_opkg() {
        neighbours.extend(prepared.incoming.iter().map(|p| (p.registered.clone(), p.package().clone())));
        neighbours.extend(input.provider.map(|p| (p.name.clone(), p.clone())));
    }
    Ok(Work { prepared, accounts, neighbours })
}

/// Where hard links find what they name: its real path, or the path beside it.
fn places_of(items: &[Item], suffix: &str) -> HashMap<RelPath, RelPath> {
    let wanted: std::collections::HashSet<&RelPath> = items
        .iter()
        .filter_map(|i| if let EntryKind::Hardlink(to) = &i.entry.kind { Some(to) } else { None })
        .collect();
    let found = items.iter().filter(|i| wanted.contains(&i.entry.path));
    found.filter_map(|i| Some((i.entry.path.clone(), destination(i, suffix).ok()?))).collect()
}

/// The path at which an item is staged.
fn destination(item: &Item, suffix: &str) -> Result<RelPath> {
    if item.fate == Fate::Beside { beside(&item.real, suffix) } else { Ok(item.real.clone()) }
}

struct Stager<'s, 'a> {
    target: &'s mut dyn Target,
    accounts: &'s Accounts,
    prepared: &'s mut Prepared<'a>,
    foreign: bool,
    kind: DigestKind,
    lost: bool,
    places: HashMap<RelPath, RelPath>,
    suffix: &'static str,
    /// Configuration that the package names.
    conffiles: std::collections::HashSet<RelPath>,
    /// SHA-256 of configuration files, for OpenWrt's lists.
    configuration: BTreeMap<RelPath, String>,
    bytes: u64,
    /// The directory that was made sure of last: items come directory by directory.
    last_dir: Option<RelPath>,
}

impl Stager<'_, '_> {
    fn package(&mut self, package: &mut Incoming<'_>) -> Result<()> {
        let title = package.title();
        let failed = |source| Error::Package { package: title.clone(), source };
        let changed = || failed("its content is not what it was a moment ago".into());
        let mut opened = package.source.open().map_err(failed)?;
        let adaptation = package.adaptation;
        let wants_configuration = package.items.iter().any(|i| i.origin == Origin::Sidecar);
        let registered = package.registered.clone();
        let mut items = package.items.iter_mut().filter(|i| !i.is_generated()).peekable();
        let read = opened.read_payload(&mut |entry, content| {
            if entry.path.is_root() {
                return Ok(());
            }
            let same = |item: &&mut Item| matches!(&item.origin, Origin::Payload(path) if *path == entry.path);
            let Some(item) = items.next_if(same) else {
                // What is left out, and directories that became one with others.
                let absent = entry.kind == EntryKind::Dir || adaptation.lands(&entry.path).is_none();
                return if absent { Ok(()) } else { Err(changed().into()) };
            };
            if std::mem::discriminant(&item.entry.kind) != std::mem::discriminant(&entry.kind) {
                return Err(changed().into());
            }
            match adaptation.patched.get(&entry.path).filter(|_| entry.kind == EntryKind::File) {
                Some(patch) if item.fate != Fate::Skip => {
                    let what = format!("{} of {title}", entry.path);
                    let (mut copy, size) = rewritten(content, patch, &what)?;
                    item.entry.size = size;
                    Ok(self.item(item, &mut copy, wants_configuration, &registered)?)
                }
                _ => Ok(self.item(item, content, wants_configuration, &registered)?),
            }
        });
        read.map_err(|e| from_reader(e, &title))?;
        if items.next().is_some() {
            return Err(changed());
        }
        drop(items);
        for item in package.items.iter_mut().filter(|i| i.fate != Fate::Skip) {
            let Origin::Added(content) = &item.origin else { continue };
            let content = content.clone();
            self.item(item, &mut content.as_slice(), wants_configuration, &registered)?;
        }
        for item in package.items.iter_mut().filter(|i| i.origin == Origin::Sidecar && i.fate != Fate::Skip) {
            let with_digest = item.entry.path.as_bytes().ends_with(b"_static");
            let mut text = String::new();
            for (path, digest) in &self.configuration {
                text.push_str(&path.to_string());
                if with_digest {
                    text.push(' ');
                    text.push_str(digest);
                }
                text.push('\n');
            }
            item.entry.size = text.len() as u64;
            self.item(item, &mut text.as_bytes(), false, &registered)?;
        }
        package.configuration = std::mem::take(&mut self.configuration);
        Ok(())
    }

    fn item(
        &mut self,
        item: &mut Item,
        content: &mut dyn Read,
        wants_configuration: bool,
        registered: &str,
    ) -> Result<()> {
        if item.fate == Fate::Skip {
            return Ok(());
        }
        let (uid, gid) = self.accounts.owner(&item.entry);
        let xattrs: Vec<_> =
            item.entry.xattrs.iter().filter(|(name, _)| !name.starts_with("trusted.overlay.")).cloned().collect();
        let mtime = (!item.is_generated()).then(|| i64::try_from(item.entry.mtime).unwrap_or(0));
        let meta = Meta { mode: item.entry.mode, uid, gid, mtime, xattrs };
        item.digest = self.kind.of_entry(&item.entry);
        let path = destination(item, self.suffix)?;
        if item.entry.kind != EntryKind::Dir && item.fate != Fate::Adopt {
            self.ensure_dir(&path.parent().unwrap_or_else(RelPath::root))?;
        }
        let write = item.fate != Fate::Adopt;
        let staged = match &item.entry.kind {
            EntryKind::Dir if item.fate == Fate::Keep => {
                self.existing_dir(item, &meta, registered)?;
                return Ok(());
            }
            EntryKind::Dir => {
                self.ensure_dir(&path.parent().unwrap_or_else(RelPath::root))?;
                if self.foreign {
                    self.prepared.state.made.insert(path.clone());
                }
                self.target.stage_dir(&path, &meta, true)?
            }
            EntryKind::File => return self.file(item, &path, &meta, content, wants_configuration),
            EntryKind::Symlink(to) if write => self.target.stage_symlink(&path, to, &meta)?,
            EntryKind::Hardlink(to) if write => {
                let to = self.places.get(to).unwrap_or(to);
                self.target.stage_hardlink(&path, to)?
            }
            EntryKind::Char(major, minor) if write => {
                self.target.stage_special(&path, Special::Char(*major, *minor), &meta)?
            }
            EntryKind::Block(major, minor) if write => {
                self.target.stage_special(&path, Special::Block(*major, *minor), &meta)?
            }
            EntryKind::Fifo if write => self.target.stage_special(&path, Special::Fifo, &meta)?,
            _ => return Ok(()),
        };
        self.lost |= staged.xattrs_lost;
        Ok(())
    }

    fn file(
        &mut self,
        item: &mut Item,
        path: &RelPath,
        meta: &Meta,
        content: &mut dyn Read,
        wants_configuration: bool,
    ) -> Result<()> {
        let listed =
            self.conffiles.contains(&item.entry.path) || (wants_configuration && is_configuration(&item.entry));
        let mut reader = Digesting {
            inner: content,
            native: item.digest.is_none().then(|| self.kind.start()),
            sha256: listed.then(|| Context::new(&SHA256)),
        };
        if item.fate == Fate::Adopt {
            std::io::copy(&mut reader, &mut std::io::sink())
                .map_err(|source| Error::Io { what: format!("reading the content of {path}"), source })?;
        } else {
            let staged = self.target.stage_file(path, meta, &mut reader)?;
            self.lost |= staged.xattrs_lost;
            self.bytes += staged.bytes;
        }
        if let Some(native) = reader.native {
            item.digest = Some(native.finish());
        }
        if let Some(sha256) = reader.sha256 {
            let digest = match &item.entry.digest {
                Some(Digest::Sha256(known)) => hex(known),
                _ => hex(sha256.finish().as_ref()),
            };
            self.configuration.insert(item.entry.path.clone(), digest);
        }
        Ok(())
    }

    /// A directory that is there keeps its attributes, unless they are still those that the outgoing version gave it.
    fn existing_dir(&mut self, item: &Item, meta: &Meta, registered: &str) -> Result<()> {
        let Some(record) = self.prepared.outgoing.records.get(registered) else { return Ok(()) };
        let Some(old) = record.dirs.iter().find(|dir| dir.path == item.entry.path) else { return Ok(()) };
        let old = old.acl.clone().unwrap_or(Acl { uid: 0, gid: 0, mode: 0o755, xattr: None });
        let failed = |e| Error::io("reading", &item.real, e);
        let Some(node) = self.target.node(&item.real).map_err(failed)? else { return Ok(()) };
        let as_delivered = (node.uid, node.gid, node.mode) == (old.uid, old.gid, old.mode);
        if node.kind == NodeKind::Dir && as_delivered && (old.uid, old.gid, old.mode) != (meta.uid, meta.gid, meta.mode)
        {
            self.target.stage_attributes(&item.real, &Meta { mtime: None, ..meta.clone() })?;
        }
        Ok(())
    }

    fn ensure_dir(&mut self, dir: &RelPath) -> Result<()> {
        if self.last_dir.as_ref() == Some(dir) {
            return Ok(());
        }
        let made = ensure_dir(self.target, dir)?;
        if self.foreign {
            self.prepared.state.made.extend(made);
        }
        self.last_dir = Some(dir.clone());
        Ok(())
    }
}

/// Makes what is missing of a resolved directory path, as apk does for packages that name only their files. Answers what
/// was made.
pub(crate) fn ensure_dir(target: &mut dyn Target, dir: &RelPath) -> Result<Vec<RelPath>> {
    let failed = |e| Error::io("reading", dir, e);
    if dir.is_root()
        || target.staged(dir)?.is_some()
        || target.node(dir).map_err(failed)?.is_some_and(|n| n.kind == NodeKind::Dir)
    {
        return Ok(Vec::new());
    }
    let mut made = ensure_dir(target, &dir.parent().unwrap_or_else(RelPath::root))?;
    target.stage_dir(dir, &Meta::new(0o755), false)?;
    made.push(dir.clone());
    Ok(made)
}

/// Scripts may have made the accounts that packages name, or they are `staged`: what was staged for them gets its owner now.
pub(super) fn settle_owners(target: &mut dyn Target, work: &mut Work<'_>, staged: Option<Accounts>) -> Result<()> {
    let now = match staged {
        Some(accounts) => accounts,
        None => Accounts::load(target)?,
    };
    if now == work.accounts {
        return Ok(());
    }
    for item in work.prepared.incoming.iter().flat_map(|p| &p.items) {
        let (before, after) = (work.accounts.owner(&item.entry), now.owner(&item.entry));
        let path = destination(item, work.prepared.suffix)?;
        if before != after
            && matches!(item.fate, Fate::Write | Fate::Displace | Fate::Beside)
            && target.staged(&path)?.is_some()
        {
            target.set_owner(&path, after.0, after.1)?;
        }
    }
    work.accounts = now;
    Ok(())
}

/// What went wrong while a payload streamed: our own error, or the package's.
pub(super) fn from_reader(error: xpkg_formats::Error, title: &str) -> Error {
    let error = match error {
        xpkg_formats::Error::Receiver(inner) => match inner.downcast::<Error>() {
            Ok(error) => *error,
            Err(source) => return Error::Package { package: title.to_owned(), source },
        },
        other => return Error::Package { package: title.to_owned(), source: Box::new(other) },
    };
    match error {
        // The reader's own error, passed through the writer.
        Error::Io { what, source } => match source.downcast::<xpkg_formats::Error>() {
            Ok(inner) => Error::Package { package: title.to_owned(), source: Box::new(inner) },
            Err(source) => Error::Io { what, source },
        },
        other => other,
    }
}

/// Makes digests of what passes through.
struct Digesting<'a> {
    inner: &'a mut dyn Read,
    native: Option<xpkg_formats::apk::db::digest::Running>,
    sha256: Option<Context>,
}

impl Read for Digesting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(buffer)?;
        let bytes = buffer.get(..n).unwrap_or_default();
        if let Some(native) = &mut self.native {
            native.update(bytes);
        }
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(bytes);
        }
        Ok(n)
    }
}
