//! tar, read entry by entry with bounded extensions. Takes blocks and checksums from the `tar` crate's raw entries, and
//! applies long names and pax records itself so that their sizes are bounded before anything is allocated.
//! Never unpacks.

use std::io::{self, Read};
use std::ops::ControlFlow;

use tar::{Archive, EntryType, Header};

use super::bounded::read_all;
use super::pax::Pending;
use crate::{Error, Limits};

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemKind {
    /// Regular file.
    File,
    /// Hard link to an earlier entry.
    Hardlink,
    /// Symbolic link.
    Symlink,
    /// Character device.
    Char,
    /// Block device.
    Block,
    /// Directory.
    Dir,
    /// Named pipe.
    Fifo,
}

/// One entry, its extensions applied. Names are raw: whoever uses them checks them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Name.
    pub name: Vec<u8>,
    /// Type.
    pub kind: ItemKind,
    /// Target of a link; empty otherwise.
    pub link: Vec<u8>,
    /// Permission bits.
    pub mode: u32,
    /// Owner's number.
    pub uid: u32,
    /// Group's number.
    pub gid: u32,
    /// Owner's name.
    pub user: String,
    /// Group's name.
    pub group: String,
    /// Seconds since 1970.
    pub mtime: u64,
    /// Bytes of content.
    pub size: u64,
    /// Major and minor number of a device.
    pub device: (u32, u32),
    /// Extended attributes (`SCHILY.xattr.`).
    pub xattrs: Vec<(String, Vec<u8>)>,
    /// `APK-TOOLS.checksum.SHA1`.
    pub sha1: Option<[u8; 20]>,
}

/// Who receives the entries; [`ControlFlow::Break`] stops early.
pub type ItemSink<'a> = dyn FnMut(Item, &mut dyn Read) -> Result<ControlFlow<()>, Error> + 'a;

/// Hands out every entry. The archive may end without an end-of-archive mark, as apk's fragments do; after the mark only
/// zeros may follow, as in apk-tools (src/tar.c).
pub fn each(reader: impl Read, what: &str, limits: &Limits, sink: &mut ItemSink<'_>) -> Result<(), Error> {
    let io = |e| Error::io(what, e);
    let mut archive = Archive::new(reader);
    let mut pending = Pending::default();
    let mut count = 0;
    for raw in archive.entries().map_err(io)?.raw(true) {
        let mut raw = raw.map_err(io)?;
        count += 1;
        if count > limits.max_entries {
            return Err(Error::limit(what, "the number of entries", limits.max_entries));
        }
        let header = raw.header().clone();
        let size = header.entry_size().map_err(io)?;
        let kind = header.entry_type();
        if kind.is_pax_global_extensions() {
            continue;
        }
        if kind.is_pax_local_extensions() || kind.is_gnu_longname() || kind.is_gnu_longlink() {
            if size > limits.max_tar_header {
                return Err(Error::limit(what, "an extended header", limits.max_tar_header));
            }
            let mut data = read_all(Content { inner: &mut raw, left: size }, size, what, "an extended header")?;
            if kind.is_pax_local_extensions() {
                pending.read(&data, limits.max_xattrs).map_err(|reason| Error::malformed(what, reason))?;
                continue;
            }
            while data.last() == Some(&0) {
                data.pop();
            }
            *if kind.is_gnu_longname() { &mut pending.name } else { &mut pending.link } = Some(data);
            continue;
        }
        let item = item(&header, size, std::mem::take(&mut pending), what)?;
        let mut content = Content { inner: &mut raw, left: size };
        if sink(item, &mut content)?.is_break() {
            return Ok(());
        }
    }
    zeros(archive.into_inner(), what)
}

fn item(header: &Header, size: u64, pending: Pending, what: &str) -> Result<Item, Error> {
    let io = |e| Error::io(what, e);
    let name = pending.name.unwrap_or_else(|| header.path_bytes().into_owned());
    let refuse = |reason: &str| Error::entry(what, &name, reason);
    if name.is_empty() {
        // apk takes such a header for the end of the archive.
        return Err(refuse("it has no name"));
    }
    if pending.size.is_some_and(|declared| declared != size) {
        return Err(refuse("its two sizes differ"));
    }
    let kind = match header.entry_type() {
        EntryType::Regular | EntryType::Continuous => ItemKind::File,
        EntryType::Link => ItemKind::Hardlink,
        EntryType::Symlink => ItemKind::Symlink,
        EntryType::Char => ItemKind::Char,
        EntryType::Block => ItemKind::Block,
        EntryType::Directory => ItemKind::Dir,
        EntryType::Fifo => ItemKind::Fifo,
        other => return Err(refuse(&format!("entries of type {:?} are not understood", char::from(other.as_byte())))),
    };
    if kind != ItemKind::File && size != 0 {
        return Err(refuse("only regular files have content"));
    }
    if kind == ItemKind::File && name.ends_with(b"/") {
        return Err(refuse("a regular file whose name ends in `/`"));
    }
    let is_link = matches!(kind, ItemKind::Symlink | ItemKind::Hardlink);
    let link = pending.link.or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned));
    let device = match kind {
        ItemKind::Char | ItemKind::Block => {
            let number = |n: io::Result<Option<u32>>| n.map_err(io).map(Option::unwrap_or_default);
            (number(header.device_major())?, number(header.device_minor())?)
        }
        _ => (0, 0),
    };
    let id = |n: u64| u32::try_from(n).map_err(|_| refuse("its owner's number is too large"));
    let fields = header.as_old();
    let text = |bytes: Option<&[u8]>| bytes.map(|b| String::from_utf8_lossy(b).into_owned()).unwrap_or_default();
    Ok(Item {
        kind,
        link: link.filter(|_| is_link).unwrap_or_default(),
        mode: header.mode().map_err(io)? & 0o7777,
        uid: pending.uid.map_or_else(|| unset(&fields.uid, header.uid()).map_err(io).and_then(id), Ok)?,
        gid: pending.gid.map_or_else(|| unset(&fields.gid, header.gid()).map_err(io).and_then(id), Ok)?,
        user: pending.user.unwrap_or_else(|| text(header.username_bytes())),
        group: pending.group.unwrap_or_else(|| text(header.groupname_bytes())),
        mtime: pending.mtime.map_or_else(|| unset(&fields.mtime, header.mtime()).map_err(io), Ok)?,
        size,
        device,
        xattrs: pending.xattrs,
        sha1: pending.sha1,
        name,
    })
}

/// Owners and times that nobody set are zero, as opkg and busybox read them: a field of NULs and spaces only.
fn unset(field: &[u8], number: io::Result<u64>) -> io::Result<u64> {
    if field.iter().all(|b| matches!(b, 0 | b' ')) { Ok(0) } else { number }
}

/// Exactly the entry's bytes: an archive that ends earlier is an error here, not a short file.
struct Content<'a, R> {
    inner: &'a mut R,
    left: u64,
}

impl<R: Read> Read for Content<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buf.len());
        if most == 0 {
            return Ok(0);
        }
        match self.inner.read(&mut buf[..most])? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            n => {
                self.left -= n as u64;
                Ok(n)
            }
        }
    }
}

fn zeros(mut rest: impl Read, what: &str) -> Result<(), Error> {
    let mut buf = [0; 4096];
    loop {
        match rest.read(&mut buf) {
            Ok(0) => return Ok(()),
            Ok(n) if buf.iter().take(n).all(|b| *b == 0) => {}
            Ok(_) => return Err(Error::malformed(what, "something follows the archive's end mark")),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(Error::io(what, e)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(uid: &[u8; 8], mtime: &[u8; 12]) -> Vec<u8> {
        let mut header = Header::new_ustar();
        header.set_path("file").unwrap();
        header.set_mode(0o644);
        header.set_size(0);
        header.as_old_mut().uid = *uid;
        header.as_old_mut().gid = *uid;
        header.as_old_mut().mtime = *mtime;
        header.set_cksum();
        header.as_bytes().to_vec()
    }

    #[test]
    fn owners_and_times_that_nobody_set_are_zero() {
        for (uid, mtime, want) in [
            (&[0; 8], &[0; 12], Some((0, 0))),
            (b"       \0", b"            ", Some((0, 0))),
            (b"0000012\0", b"00000000013\0", Some((10, 11))),
            (b"what\0\0\0\0", &[0; 12], None),
            (&[0; 8], b"yesterday\0\0\0", None),
        ] {
            let mut seen = None;
            let read = each(archive(uid, mtime).as_slice(), "x", &Limits::default(), &mut |item, _| {
                seen = Some((item.uid, item.mtime));
                assert_eq!(item.uid, item.gid);
                Ok(ControlFlow::Continue(()))
            });
            assert_eq!(seen, want);
            assert_eq!(read.is_ok(), want.is_some());
        }
    }
}
