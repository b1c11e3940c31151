//! Writes tar entries as abuild does: ustar headers, pax records where ustar has no room. Output depends on its input only.

use std::io::{self, Read, Write};

use tar::{EntryType, Header};

use super::pax;
use super::tar::{Item, ItemKind};
use crate::Error;

const BLOCK: usize = 512;

/// Appends one entry; exactly `item.size` bytes come from `content`.
pub(crate) fn append(out: &mut impl Write, item: &Item, content: &mut dyn Read, what: &str) -> Result<(), Error> {
    let mut records = Vec::new();
    let mut header = Header::new_ustar();
    let unfit = |reason: &str| Error::Unwritable {
        what: what.to_owned(),
        reason: format!("entry `{}`: {reason}", String::from_utf8_lossy(&item.name).escape_debug()),
    };
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
    // Seven octal digits.
    for (key, id) in [("uid", item.uid), ("gid", item.gid)] {
        if id >= 1 << 21 {
            pax::write_record(&mut records, key, id.to_string().as_bytes());
        }
    }
    header.set_uid(u64::from(item.uid) & 0o7_777_777);
    header.set_gid(u64::from(item.gid) & 0o7_777_777);
    if item.mtime >= 1 << 33 {
        return Err(unfit("its time lies too far in the future"));
    }
    header.set_mtime(item.mtime);
    header.set_mode(item.mode);
    header.set_size(item.size);
    if matches!(item.kind, ItemKind::Char | ItemKind::Block) {
        header.set_device_major(item.device.0).map_err(|e| Error::io(what, e))?;
        header.set_device_minor(item.device.1).map_err(|e| Error::io(what, e))?;
    } else {
        header.set_device_major(0).and_then(|()| header.set_device_minor(0)).map_err(|e| Error::io(what, e))?;
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
    out.write_all(header.as_bytes()).map_err(io)?;
    let copied = io::copy(&mut content.take(item.size), out).map_err(io)?;
    if copied != item.size {
        return Err(unfit("its content is shorter than its size"));
    }
    pad(out, item.size).map_err(io)
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
