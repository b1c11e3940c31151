//! Writes tar entries as the native builds do. abuild: ustar headers, pax records where ustar has no room. OpenWrt: GNU
//! headers and GNU long names, the only extension that opkg reads. Output depends on its input only.

use std::io::{self, Read, Write};

use tar::{EntryType, Header};

use super::pax;
use super::tar::{Item, ItemKind};
use crate::Error;

const BLOCK: usize = 512;
/// Seven octal digits.
const MAX_ID: u32 = 1 << 21;

/// Appends one entry as abuild does; exactly `item.size` bytes come from `content`.
pub(crate) fn append(out: &mut impl Write, item: &Item, content: &mut dyn Read, what: &str) -> Result<(), Error> {
    let mut records = Vec::new();
    let mut header = header(item, Header::new_ustar(), what)?;
    let unfit = |reason: &str| unfit(item, reason, what);
    let plain = header.as_old_mut();
    if !fill(&mut plain.name, &item.name) {
        pax::write_record(&mut records, "path", &item.name);
    }
    if !fill(&mut plain.linkname, &item.link) {
        pax::write_record(&mut records, "linkpath", &item.link);
    }
    if let Some(ustar) = header.as_ustar_mut() {
        if !fill(&mut ustar.uname, item.user.as_bytes()) {
            pax::write_record(&mut records, "uname", item.user.as_bytes());
        }
        if !fill(&mut ustar.gname, item.group.as_bytes()) {
            pax::write_record(&mut records, "gname", item.group.as_bytes());
        }
    }
    for (key, id) in [("uid", item.uid), ("gid", item.gid)] {
        if id >= MAX_ID {
            pax::write_record(&mut records, key, id.to_string().as_bytes());
        }
    }
    for (name, value) in &item.xattrs {
        pax::write_record(&mut records, &format!("SCHILY.xattr.{name}"), value);
    }
    if let Some(sha1) = &item.sha1 {
        pax::write_record(&mut records, "APK-TOOLS.checksum.SHA1", xpkg_model::identity::hex(sha1).as_bytes());
    }
    header.set_cksum();

    let io = |e| Error::io(what, e);
    if !records.is_empty() {
        let mut extended = header.clone();
        extended.set_entry_type(EntryType::XHeader);
        extended.set_size(records.len() as u64);
        extended.as_old_mut().linkname = [0; 100];
        extended.set_cksum();
        out.write_all(extended.as_bytes()).map_err(io)?;
        out.write_all(&records).map_err(io)?;
        pad(out, records.len() as u64).map_err(io)?;
    }
    content_of(out, &header, item, content, what)?.then_some(()).ok_or_else(|| unfit(SHORT))
}

/// Appends one entry as GNU tar does; exactly `item.size` bytes come from `content`. There is no room for attributes.
pub(crate) fn append_gnu(out: &mut impl Write, item: &Item, content: &mut dyn Read, what: &str) -> Result<(), Error> {
    let unfit = |reason: &str| unfit(item, reason, what);
    let io = |e| Error::io(what, e);
    if !item.xattrs.is_empty() {
        return Err(unfit("it has extended attributes, which opkg's tar cannot hold"));
    }
    if item.uid >= MAX_ID || item.gid >= MAX_ID {
        return Err(unfit("its owner's number is too large"));
    }
    let mut header = header(item, Header::new_gnu(), what)?;
    let plain = header.as_old_mut();
    for (kind, field, text) in [
        (EntryType::GNULongLink, &mut plain.linkname, &item.link),
        (EntryType::GNULongName, &mut plain.name, &item.name),
    ] {
        if !fill(field, text) {
            let mut long = Header::new_gnu();
            fill(&mut long.as_old_mut().name, b"././@LongLink");
            long.set_entry_type(kind);
            long.set_mode(0);
            long.set_uid(0);
            long.set_gid(0);
            long.set_mtime(0);
            long.set_size(text.len() as u64 + 1);
            long.set_cksum();
            out.write_all(long.as_bytes()).and_then(|()| out.write_all(text)).map_err(io)?;
            out.write_all(&[0]).and_then(|()| pad(out, text.len() as u64 + 1)).map_err(io)?;
        }
    }
    if let Some(gnu) = header.as_gnu_mut()
        && !(fill(&mut gnu.uname, item.user.as_bytes()) && fill(&mut gnu.gname, item.group.as_bytes()))
    {
        return Err(unfit("its owner's name is too long"));
    }
    header.set_cksum();
    content_of(out, &header, item, content, what)?.then_some(()).ok_or_else(|| unfit(SHORT))
}

const SHORT: &str = "its content is shorter than its size";

fn unfit(item: &Item, reason: &str, what: &str) -> Error {
    Error::Unwritable {
        what: what.to_owned(),
        reason: format!("entry `{}`: {reason}", String::from_utf8_lossy(&item.name).escape_debug()),
    }
}

/// Header and content; `false` when the content was too short.
fn content_of(
    out: &mut impl Write,
    header: &Header,
    item: &Item,
    content: &mut dyn Read,
    what: &str,
) -> Result<bool, Error> {
    let io = |e| Error::io(what, e);
    out.write_all(header.as_bytes()).map_err(io)?;
    let copied = io::copy(&mut content.take(item.size), out).map_err(io)?;
    pad(out, item.size).map_err(io)?;
    Ok(copied == item.size)
}

/// Everything but names and checksum.
fn header(item: &Item, mut header: Header, what: &str) -> Result<Header, Error> {
    let unfit = |reason: &str| unfit(item, reason, what);
    header.set_entry_type(match item.kind {
        ItemKind::File => EntryType::Regular,
        ItemKind::Hardlink => EntryType::Link,
        ItemKind::Symlink => EntryType::Symlink,
        ItemKind::Char => EntryType::Char,
        ItemKind::Block => EntryType::Block,
        ItemKind::Dir => EntryType::Directory,
        ItemKind::Fifo => EntryType::Fifo,
    });
    if item.size >= 1 << 33 {
        return Err(unfit("larger than 8 GiB"));
    }
    header.set_uid(u64::from(item.uid % MAX_ID));
    header.set_gid(u64::from(item.gid % MAX_ID));
    if item.mtime >= 1 << 33 {
        return Err(unfit("its time lies too far in the future"));
    }
    header.set_mtime(item.mtime);
    header.set_mode(item.mode);
    header.set_size(item.size);
    let device = if matches!(item.kind, ItemKind::Char | ItemKind::Block) { item.device } else { (0, 0) };
    header
        .set_device_major(device.0)
        .and_then(|()| header.set_device_minor(device.1))
        .map_err(|e| Error::io(what, e))?;
    Ok(header)
}

/// The end-of-archive mark.
pub(crate) fn end(out: &mut impl Write, what: &str) -> Result<(), Error> {
    out.write_all(&[0; BLOCK * 2]).map_err(|e| Error::io(what, e))
}

/// A field that is always followed by a NUL: old apks read it as a C string. When the text does not fit, its start goes in.
fn fill(field: &mut [u8], text: &[u8]) -> bool {
    let room = field.len().saturating_sub(1);
    field.fill(0);
    field.iter_mut().take(room).zip(text).for_each(|(to, from)| *to = *from);
    text.len() <= room
}

fn pad(out: &mut impl Write, size: u64) -> io::Result<()> {
    let over = (size % BLOCK as u64) as usize;
    out.write_all([0; BLOCK].get(over..).filter(|_| over != 0).unwrap_or_default())
}
