//! Directory and file objects as entries. Checks everything an entry says before it is handed out; knows no content.

use xpkg_model::RelPath;
use xpkg_model::path::MAX_PATH;
use xpkg_model::payload::{Digest, Entry, EntryKind};

use super::schema::{acl, dir, file, file_type};
use crate::adb::heap::{Array, Heap, Value};
use crate::{Error, Limits};

/// What apk takes for an owner whom the root does not know (src/extract_v3.c).
const NOBODY: u32 = 65534;
/// The kernel's bounds for an extended attribute: 255 bytes of name, 64 KiB of value.
const MAX_XATTR: u64 = 255 + 1 + (64 << 10);

/// Reads a directory: its entry and where its files are.
pub(super) fn read_dir(heap: &mut Heap, value: Value, limits: &Limits) -> Result<(Entry, Array), Error> {
    let object = heap.object(value, dir::SLOTS)?;
    let name = heap.blob(object.get(dir::NAME), MAX_PATH as u64, "a path")?;
    let path = RelPath::from_package(&name).map_err(|e| Error::entry(heap.what(), &name, e.reason))?;
    if path.as_bytes() != name {
        return Err(Error::entry(heap.what(), &name, "a path written in an unusual way"));
    }
    let mut entry = Entry::new(path, EntryKind::Dir, 0o755);
    read_acl(heap, object.get(dir::ACL), &mut entry, limits)?;
    let files = heap.array(object.get(dir::FILES), limits.max_entries, "the files of one directory")?;
    Ok((entry, files))
}

/// Reads what a directory holds, files' sizes and digests included.
pub(super) fn read_file(heap: &mut Heap, value: Value, dir: &RelPath, limits: &Limits) -> Result<Entry, Error> {
    let object = heap.object(value, file::SLOTS)?;
    let name = heap.blob(object.get(file::NAME), 255, "a file name")?;
    if matches!(name.as_slice(), b"" | b"." | b"..") || name.contains(&b'/') {
        let shown = [dir.as_bytes(), b"/", name.as_slice()].concat();
        return Err(Error::entry(heap.what(), &shown, "its last component is no file name"));
    }
    let path = dir.join(&name).map_err(|e| Error::entry(heap.what(), &name, e.reason))?;
    let mut entry = Entry::new(path, EntryKind::File, 0o644);
    read_acl(heap, object.get(file::ACL), &mut entry, limits)?;
    let size = heap.int(object.get(file::SIZE))?;
    entry.mtime = heap.int(object.get(file::MTIME))?;
    let hash = heap.blob(object.get(file::HASH), 64, "a digest")?;
    let target = heap.blob(object.get(file::TARGET), MAX_PATH as u64 + 2, "the target of a link")?;
    let refuse = |reason: &str| Error::entry(heap.what(), entry.path.as_bytes(), reason);
    entry.kind = match target.split_first_chunk::<2>() {
        None if target.is_empty() => EntryKind::File,
        None => return Err(refuse("a target without a type")),
        Some((kind, rest)) => special(u16::from_le_bytes(*kind), rest).map_err(refuse)?,
    };
    if entry.kind == EntryKind::File {
        entry.size = size;
        entry.digest = match <[u8; 32]>::try_from(hash.as_slice()) {
            Ok(hash) => Some(Digest::Sha256(hash)),
            Err(_) if hash.is_empty() => return Err(refuse("a file without a digest")),
            Err(_) => return Err(refuse("a digest that is no SHA-256")),
        };
    }
    Ok(entry)
}

fn special(kind: u16, rest: &[u8]) -> Result<EntryKind, &'static str> {
    let device = || match <[u8; 8]>::try_from(rest) {
        Ok(bytes) => Ok(device_numbers(u64::from_le_bytes(bytes))),
        Err(_) => Err("a device without a number"),
    };
    match kind {
        file_type::SYMLINK if rest.is_empty() || rest.contains(&0) => {
            Err("a link whose target is empty or holds a NUL")
        }
        file_type::SYMLINK if rest.len() >= MAX_PATH => Err("a link whose target is too long"),
        file_type::SYMLINK => Ok(EntryKind::Symlink(rest.to_vec())),
        file_type::REGULAR => match RelPath::from_package(rest) {
            Ok(path) => Ok(EntryKind::Hardlink(path)),
            Err(e) => Err(e.reason),
        },
        file_type::CHAR => device().map(|(major, minor)| EntryKind::Char(major, minor)),
        file_type::BLOCK => device().map(|(major, minor)| EntryKind::Block(major, minor)),
        file_type::FIFO => Ok(EntryKind::Fifo),
        _ => Err("a file of unknown type"),
    }
}

/// Splits a `dev_t` as glibc and musl encode it.
fn device_numbers(device: u64) -> (u32, u32) {
    let major = ((device >> 8) & 0xfff) | ((device >> 32) & 0xffff_f000);
    let minor = (device & 0xff) | ((device >> 12) & 0xffff_ff00);
    (major as u32, minor as u32)
}

/// The other way round.
pub(super) fn device_word(major: u32, minor: u32) -> u64 {
    let (major, minor) = (u64::from(major), u64::from(minor));
    ((major & 0xfff) << 8) | ((major & 0xffff_f000) << 32) | (minor & 0xff) | ((minor & 0xffff_ff00) << 12)
}

/// Without an ACL the entry keeps the usual one: root's, 0755 or 0644.
fn read_acl(heap: &mut Heap, value: Value, entry: &mut Entry, limits: &Limits) -> Result<(), Error> {
    if value.is_null() {
        return Ok(());
    }
    let object = heap.object(value, acl::SLOTS)?;
    let mode = heap.int(object.get(acl::MODE))?;
    if mode > 0o7777 {
        return Err(Error::entry(heap.what(), entry.path.as_bytes(), format!("its mode {mode:o} is none")));
    }
    entry.mode = mode as u32;
    (entry.user, entry.uid) = read_owner(heap, object.get(acl::USER), entry)?;
    (entry.group, entry.gid) = read_owner(heap, object.get(acl::GROUP), entry)?;
    let xattrs = heap.array(object.get(acl::XATTRS), limits.max_xattrs, "the extended attributes of one entry")?;
    for index in 0..xattrs.len {
        let value = heap.element(&xattrs, index)?;
        let bytes = heap.blob(value, MAX_XATTR, "an extended attribute")?;
        let refuse = || Error::entry(heap.what(), entry.path.as_bytes(), "an extended attribute that is none");
        let end = bytes.iter().position(|b| *b == 0).filter(|end| (1..=255).contains(end)).ok_or_else(refuse)?;
        let (name, content) = bytes.split_at_checked(end).ok_or_else(refuse)?;
        let name = String::from_utf8(name.to_vec()).map_err(|_| refuse())?;
        if entry.xattrs.iter().any(|(have, _)| *have == name) {
            return Err(refuse());
        }
        entry.xattrs.push((name, content.get(1..).unwrap_or_default().to_vec()));
    }
    Ok(())
}

/// The format has names only. Numbers are root's 0, or nobody's until the target root says better.
fn read_owner(heap: &mut Heap, value: Value, entry: &Entry) -> Result<(String, u32), Error> {
    let bytes = heap.blob(value, 256, "the name of an owner")?;
    match String::from_utf8(bytes) {
        Ok(name) if name == "root" => Ok((name, 0)),
        Ok(name) if name.bytes().all(|b| b.is_ascii_graphic() && b != b':') => Ok((name, NOBODY)),
        _ => Err(Error::entry(heap.what(), entry.path.as_bytes(), "the name of its owner is none")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_numbers_round_trip() {
        for (major, minor) in [(0, 0), (1, 3), (8, 17), (0xfff, 0xff), (0x1234_5678, 0x9abc_def0), (u32::MAX, u32::MAX)]
        {
            assert_eq!(device_numbers(device_word(major, minor)), (major, minor));
        }
        assert_eq!(device_word(1, 3), 0x103);
    }
}
