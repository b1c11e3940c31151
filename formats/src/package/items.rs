//! Between tar items and entries, for every layout that keeps its payload as tar: checks names and links, and verifies each file's declared SHA-1 while its content passes.

use std::io::{self, Read};
use std::ops::ControlFlow;

use ring::digest::Context;
use xpkg_model::RelPath;
use xpkg_model::path::MAX_PATH;
use xpkg_model::payload::{Digest, Entry, EntryKind};

use crate::Error;
use crate::archive::tar::{Item, ItemKind};
use crate::keys::Hash;
use crate::package::EntrySink;
use crate::package::paths::Paths;

/// Turns an item into an entry, hands it out, and verifies what it declared.
pub(crate) fn hand_out(
    item: Item,
    content: &mut dyn Read,
    what: &str,
    paths: &mut Paths,
    sink: &mut EntrySink<'_>,
) -> Result<ControlFlow<()>, Error> {
    let mut entry = entry(item, what)?;
    entry.digest = paths.admit(what, &entry)?;
    let mut checked = Checked { inner: content, context: Context::new(Hash::Sha1.algorithm()), failed: None };
    let outcome = sink(&entry, &mut checked);
    // A receiver that stopped because reading failed says less than the failure itself.
    if let Some(failed) = checked.failed.take() {
        return Err(Error::io(what, failed));
    }
    outcome.map_err(Error::receiver)?;
    io::copy(&mut checked, &mut io::sink()).map_err(|e| Error::io(what, checked.failed.take().unwrap_or(e)))?;
    if let (EntryKind::File, Some(Digest::Sha1(expected))) = (&entry.kind, entry.digest) {
        let found = checked.context.finish();
        if found.as_ref() != expected {
            return Err(Error::digest(what, format!("`{}`", entry.path), &expected, found.as_ref()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

fn entry(item: Item, what: &str) -> Result<Entry, Error> {
    let refuse = |reason: String| Error::entry(what, &item.name, reason);
    let path = RelPath::from_package(&item.name).map_err(|e| refuse(e.reason.to_owned()))?;
    let kind = match item.kind {
        ItemKind::File => EntryKind::File,
        ItemKind::Dir => EntryKind::Dir,
        ItemKind::Symlink => {
            if item.link.is_empty() || item.link.len() >= MAX_PATH || item.link.contains(&0) {
                return Err(refuse("a link whose target is empty or too long".to_owned()));
            }
            if let Some(expected) = item.sha1 {
                let found = Hash::Sha1.of(&item.link);
                if found != expected {
                    return Err(Error::digest(what, format!("the target of `{path}`"), &expected, &found));
                }
            }
            EntryKind::Symlink(item.link.clone())
        }
        ItemKind::Hardlink => match RelPath::from_package(&item.link) {
            Ok(target) => EntryKind::Hardlink(target),
            Err(e) => return Err(refuse(format!("its hard link's target: {}", e.reason))),
        },
        ItemKind::Char => EntryKind::Char(item.device.0, item.device.1),
        ItemKind::Block => EntryKind::Block(item.device.0, item.device.1),
        ItemKind::Fifo => EntryKind::Fifo,
    };
    let has_digest = matches!(kind, EntryKind::File | EntryKind::Symlink(_));
    Ok(Entry {
        mode: item.mode,
        uid: item.uid,
        gid: item.gid,
        user: item.user,
        group: item.group,
        mtime: item.mtime,
        size: item.size,
        xattrs: item.xattrs,
        digest: item.sha1.filter(|_| has_digest).map(Digest::Sha1),
        path,
        kind,
    })
}

/// The item that stands for an entry in an archive; names and links as paths, without a digest and of size 0.
pub(crate) fn item(entry: &Entry) -> Item {
    let (kind, link, device) = match &entry.kind {
        EntryKind::File => (ItemKind::File, Vec::new(), (0, 0)),
        EntryKind::Dir => (ItemKind::Dir, Vec::new(), (0, 0)),
        EntryKind::Symlink(target) => (ItemKind::Symlink, target.clone(), (0, 0)),
        EntryKind::Hardlink(target) => (ItemKind::Hardlink, target.as_bytes().to_vec(), (0, 0)),
        EntryKind::Char(major, minor) => (ItemKind::Char, Vec::new(), (*major, *minor)),
        EntryKind::Block(major, minor) => (ItemKind::Block, Vec::new(), (*major, *minor)),
        EntryKind::Fifo => (ItemKind::Fifo, Vec::new(), (0, 0)),
    };
    Item {
        name: entry.path.as_bytes().to_vec(),
        kind,
        link,
        mode: entry.mode & 0o7777,
        uid: entry.uid,
        gid: entry.gid,
        user: entry.user.clone(),
        group: entry.group.clone(),
        mtime: entry.mtime,
        size: 0,
        device,
        xattrs: entry.xattrs.clone(),
        sha1: None,
    }
}

/// Content that is hashed as it passes; a failure is kept for whoever knows what it means.
struct Checked<'a> {
    inner: &'a mut dyn Read,
    context: Context,
    failed: Option<io::Error>,
}

impl Read for Checked<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.inner.read(buf) {
            Ok(n) => {
                self.context.update(&buf[..n]);
                Ok(n)
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Err(e),
            Err(e) => {
                let again = io::Error::new(e.kind(), "the package cannot be read on");
                self.failed = Some(e);
                Err(again)
            }
        }
    }
}
