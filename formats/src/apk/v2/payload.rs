//! From tar items to entries: checks names and links, and verifies each file's declared SHA-1 while its content passes.

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
pub(super) fn hand_out(
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

/// A top-level name with a dot: `.dummy`.
pub(super) fn is_dot_name(name: &[u8]) -> bool {
    name.starts_with(b".") && name != b"." && name != b".." && !name.contains(&b'/')
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

#[cfg(test)]
mod tests {
    use super::is_dot_name;

    #[test]
    fn only_names_at_the_top_are_dot_names() {
        for (name, expected) in
            [(".dummy", true), ("./usr", false), (".", false), ("..", false), ("etc/.x", false), (".config/x", false)]
        {
            assert_eq!(is_dot_name(name.as_bytes()), expected, "{name}");
        }
    }
}
