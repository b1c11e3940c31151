//! How the entries of one package look after its adaptation: where they land, what their links say then, and what is added.
//! Carries out what an [`Adaptation`] says and decides nothing of it; stages nothing.

use std::collections::BTreeSet;
use std::io::{Read, Seek, SeekFrom};

use tempfile::SpooledTempFile;
use xpkg_model::RelPath;
use xpkg_model::adaptation::{Adaptation, AddedKind, ElfPatch};
use xpkg_model::payload::{Digest, Entry, EntryKind};

use super::survey::{Fate, Item, Origin};
use crate::{Error, Result};

/// Files up to this size are rewritten in memory.
const SPOOL: usize = 1 << 20;
/// What a rewritten program may need beyond its old size: a segment of headers, and the gap that keeps it where old kernels
/// look for it. Only the space check uses it.
const GROWTH: u64 = 128 << 10;

/// Where an entry lands and what it is there; `None` when it does not come.
pub(super) fn landed(entry: &Entry, adaptation: &Adaptation, title: &str) -> Result<Option<Entry>> {
    let Some(path) = adaptation.lands(&entry.path) else { return Ok(None) };
    let mut landed = entry.clone();
    match &entry.kind {
        EntryKind::Hardlink(to) => {
            let Some(at) = adaptation.lands(to) else {
                let text = format!("{title}: {} is a second name of {to}, which is left out", entry.path);
                return Err(Error::Plan(text));
            };
            landed.kind = EntryKind::Hardlink(at);
            if adaptation.patched.contains_key(to) {
                landed.digest = None;
            }
        }
        EntryKind::Symlink(text) => {
            if let Some(text) = link_text(&entry.path, &path, text, adaptation) {
                landed.kind = EntryKind::Symlink(text);
                landed.digest = None;
            }
        }
        EntryKind::File if adaptation.patched.contains_key(&entry.path) => {
            landed.digest = None;
            landed.size = entry.size.saturating_add(GROWTH);
        }
        _ => {}
    }
    landed.path = path;
    Ok(Some(landed))
}

/// The text of a link that would otherwise lead elsewhere once it, or what it leads to, has moved.
fn link_text(path: &RelPath, at: &RelPath, text: &[u8], adaptation: &Adaptation) -> Option<Vec<u8>> {
    if adaptation.moved.is_empty() {
        return None;
    }
    let led = path.linked(text)?;
    let leads_now = at.linked(text)?;
    let should = adaptation.lands(&led)?;
    (leads_now != should).then(|| [b"/", should.as_bytes()].concat())
}

/// Items for what is added. Directories that the package brings itself are left out.
pub(super) fn added(adaptation: &Adaptation, items: &[Item], title: &str) -> Result<Vec<Item>> {
    let mut taken: BTreeSet<&RelPath> = items.iter().map(|i| &i.entry.path).collect();
    let mut out = Vec::new();
    for added in &adaptation.added {
        if !taken.insert(&added.path) {
            if added.kind == AddedKind::Dir {
                continue;
            }
            return Err(Error::Plan(format!("{title}: {} is added to it, and it has that path itself", added.path)));
        }
        let (kind, origin) = match &added.kind {
            AddedKind::Dir => (EntryKind::Dir, Origin::Added(Vec::new())),
            AddedKind::File(bytes) => (EntryKind::File, Origin::Added(bytes.clone())),
            AddedKind::Symlink(text) => (EntryKind::Symlink(text.clone()), Origin::Added(Vec::new())),
        };
        let mut entry = Entry::new(added.path.clone(), kind, added.mode & 0o7777);
        if let AddedKind::File(bytes) = &added.kind {
            entry.size = bytes.len() as u64;
            // Conflicts are decided by content.
            entry.digest =
                Some(Digest::Sha1(super::survey::sha1(&mut bytes.as_slice()).map_err(|source| Error::Io {
                    what: format!("reading what is added as {}", added.path),
                    source,
                })?));
        }
        out.push(Item { real: entry.path.clone(), entry, fate: Fate::Write, digest: None, origin });
    }
    Ok(out)
}

/// Two paths of a package that land as one: directories become one, anything else is refused.
pub(super) fn unite(items: &mut Vec<Item>, title: &str) -> Result<()> {
    let mut seen: std::collections::BTreeMap<RelPath, bool> = std::collections::BTreeMap::new();
    let mut twice = None;
    items.retain(|item| {
        let dir = item.entry.kind == EntryKind::Dir;
        match seen.insert(item.entry.path.clone(), dir) {
            None => true,
            Some(true) if dir => false,
            Some(_) => {
                twice = Some(item.entry.path.clone());
                true
            }
        }
    });
    match twice {
        Some(path) => Err(Error::Plan(format!("{title}: two of its paths would become {path}"))),
        None => Ok(()),
    }
}

/// A rewritten copy of a program, to be read from its start, and its size.
pub(super) fn rewritten(content: &mut dyn Read, patch: &ElfPatch, what: &str) -> Result<(SpooledTempFile, u64)> {
    let failed = |source| Error::Io { what: format!("rewriting {what}"), source };
    let mut original = SpooledTempFile::new(SPOOL);
    std::io::copy(content, &mut original).map_err(failed)?;
    let mut copy = SpooledTempFile::new(SPOOL);
    let size = xpkg_formats::elf::patch::patch(&mut original, &mut copy, patch, what)
        .map_err(|source| Error::Package { package: what.to_owned(), source: Box::new(source) })?;
    copy.seek(SeekFrom::Start(0)).map_err(failed)?;
    Ok((copy, size))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &'static str) -> RelPath {
        RelPath::literal(text)
    }

    #[test]
    fn links_lead_where_they_led() {
        let moved = [
            (path("usr/lib/liba.so.1"), path("usr/lib/xpkg/alpine/usr/lib/liba.so.1")),
            (path("usr/lib/liba.so.1.2"), path("usr/lib/xpkg/alpine/usr/lib/liba.so.1.2")),
            (path("etc/init.d"), path("usr/lib/xpkg/alpine/init.d")),
        ];
        let adaptation = Adaptation { moved: moved.into(), ..Adaptation::default() };
        for (link, text, want) in [
            ("usr/lib/liba.so.1", "liba.so.1.2", None),
            ("usr/lib/liba.so.1", "/usr/lib/liba.so.1.2", Some("/usr/lib/xpkg/alpine/usr/lib/liba.so.1.2")),
            ("usr/lib/sub/liba.so", "../liba.so.1", Some("/usr/lib/xpkg/alpine/usr/lib/liba.so.1")),
            ("etc/init.d/net.eth0", "net.lo", None),
            ("etc/init.d/x", "../rc.conf", Some("/etc/rc.conf")),
            ("usr/bin/vi", "vim", None),
        ] {
            let entry = Entry::new(path(link), EntryKind::Symlink(text.into()), 0o777);
            let landed = landed(&entry, &adaptation, "alpine:x").unwrap().unwrap();
            assert_eq!(landed.kind, EntryKind::Symlink(want.unwrap_or(text).into()), "{link}");
        }
    }

    #[test]
    fn a_second_name_of_what_does_not_come_is_refused() {
        let left_out = [(path("sbin/init"), "the root's own".to_owned())].into();
        let adaptation = Adaptation { left_out, ..Adaptation::default() };
        let entry = Entry::new(path("sbin/halt"), EntryKind::Hardlink(path("sbin/init")), 0o755);
        let error = landed(&entry, &adaptation, "alpine:x").unwrap_err().to_string();
        assert!(error.contains("/sbin/init") && error.contains("left out"), "{error}");
    }
}
