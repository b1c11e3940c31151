//! `ar`, the container of Debian's packages and of some third-party ipk files: reads its plain members one by one, and
//! writes them. The `ar` crate does both, behind a guard: left alone it allocates name tables of whatever size a header
//! claims, panics at an index outside of them, and takes a cut member for a whole one. Never lets a name table through; no
//! package needs one.

use std::io::{self, Read, Write};
use std::ops::ControlFlow;

use super::bounded::drain;
use crate::{Error, Limits};

/// What every archive begins with.
pub(crate) const MAGIC: &[u8; 8] = b"!<arch>\n";
const HEADER: usize = 60;
const END: &[u8] = b"`\n";
/// Most members of one archive, whatever the limits: a package has three.
const MEMBERS: u64 = 64;

/// Who receives a member: its name and content. [`ControlFlow::Break`] stops early.
pub(crate) type MemberSink<'a> = dyn FnMut(&[u8], &mut dyn Read) -> Result<ControlFlow<()>, Error> + 'a;

/// Hands out every member.
pub(crate) fn each(reader: impl Read, what: &str, limits: &Limits, sink: &mut MemberSink<'_>) -> Result<(), Error> {
    let mut archive = ar::Archive::new(Guard::new(reader, what, limits.max_entries.min(MEMBERS)));
    while let Some(entry) = archive.next_entry() {
        let mut entry = entry.map_err(|e| match e.kind() {
            io::ErrorKind::InvalidData => Error::malformed(what, e.to_string()),
            _ => Error::io(what, e),
        })?;
        let name = entry.header().identifier().to_vec();
        if sink(&name, &mut entry)?.is_break() {
            return Ok(());
        }
        drain(&mut entry, what)?;
    }
    Ok(())
}

/// Passes an archive on, header by header, as long as nothing in it could harm its reader.
struct Guard<'a, R> {
    inner: R,
    what: &'a str,
    most: u64,
    members: u64,
    /// What comes next of a magic or header that was looked at.
    seen: io::Cursor<Vec<u8>>,
    /// How much content comes before the next header.
    left: u64,
    padded: bool,
    ended: bool,
}

impl<'a, R: Read> Guard<'a, R> {
    fn new(inner: R, what: &'a str, most: u64) -> Self {
        let seen = io::Cursor::default();
        Self { inner, what, most, members: 0, seen, left: MAGIC.len() as u64, padded: false, ended: false }
    }

    /// Looks at what is between two members. Behind the last one there is nothing; some writers leave its pad byte out.
    fn look(&mut self) -> io::Result<()> {
        let pad = u64::from(std::mem::take(&mut self.padded));
        let mut header = Vec::with_capacity(HEADER + 1);
        self.inner.by_ref().take(HEADER as u64 + pad).read_to_end(&mut header)?;
        self.ended = header.len() as u64 <= pad;
        if !self.ended {
            self.members += 1;
            if self.members > self.most {
                return Err(Error::limit(self.what, "the number of members", self.most).into_io());
            }
            let size = header.get(usize::from(pad == 1)..).and_then(size);
            let refuse = || Error::malformed(self.what, "a broken member header").into_io();
            self.left = size.ok_or_else(refuse)?;
            self.padded = self.left % 2 == 1;
        }
        self.seen = io::Cursor::new(header);
        Ok(())
    }
}

impl<R: Read> Read for Guard<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let seen = self.seen.read(buf)?;
        if seen > 0 || buf.is_empty() || (self.ended && self.left == 0) {
            return Ok(seen);
        }
        if self.left == 0 {
            self.look()?;
            return self.seen.read(buf);
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buf.len());
        match self.inner.read(&mut buf[..most])? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            n => {
                self.left -= n as u64;
                Ok(n)
            }
        }
    }
}

/// The size in a header of a plain member: `name/` or `name` padded with blanks (16 bytes), time (12), owner (6), group (6),
/// mode (8), size (10). Names with another slash are tables or refer to them.
fn size(header: &[u8]) -> Option<u64> {
    let (fields, end) = header.split_at_checked(HEADER - END.len())?;
    let name = fields.get(..16)?.trim_ascii_end();
    let name = name.strip_suffix(b"/").unwrap_or(name);
    let size = std::str::from_utf8(fields.get(48..)?.trim_ascii()).ok()?.parse().ok()?;
    (end == END && !name.is_empty() && !name.contains(&b'/')).then_some(size)
}

/// Writes an archive of members of root's with mode 0644: name, size and content.
pub(crate) fn write<const N: usize>(
    out: &mut impl Write,
    mtime: u64,
    members: [(&str, u64, &mut dyn Read); N],
    what: &str,
) -> Result<(), Error> {
    let mut archive = ar::Builder::new(out);
    for (name, size, content) in members {
        let reason = || format!("member `{name}`: its header has no room for its name, time or size");
        // The crate writes such headers all the same, or BSD's long names.
        if name.len() > 16 || mtime.to_string().len() > 12 || size.to_string().len() > 10 {
            return Err(Error::Unwritable { what: what.to_owned(), reason: reason() });
        }
        let mut header = ar::Header::new(name.as_bytes().to_vec(), size);
        header.set_mtime(mtime);
        header.set_mode(0o100_644);
        archive.append(&header, content).map_err(|e| Error::io(what, e))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let mut out = Vec::new();
        each(bytes, "x", &Limits { max_entries: 4, ..Limits::default() }, &mut |name, content| {
            let mut data = Vec::new();
            content.read_to_end(&mut data).map_err(|e| Error::io("x", e))?;
            out.push((String::from_utf8_lossy(name).into_owned(), data));
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(out)
    }

    fn write<const N: usize>(mut members: [(&str, u64, &[u8]); N]) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let members = members.each_mut().map(|(name, size, content)| (*name, *size, content as &mut dyn Read));
        super::write(&mut bytes, 1_700_000_000, members, "x").map(|()| bytes)
    }

    #[test]
    fn members_round_trip() {
        let bytes = write([("debian-binary", 4, b"2.0\n"), ("odd/", 3, b"abc"), ("empty", 0, b"")]).unwrap();
        let members = read(&bytes).unwrap();
        assert_eq!(members[0], ("debian-binary".to_owned(), b"2.0\n".to_vec()));
        assert_eq!(members[1], ("odd".to_owned(), b"abc".to_vec()));
        assert_eq!(members.len(), 3);
        // The pad byte of the last member may be missing.
        let odd = write([("odd", 3, b"abc")]).unwrap();
        assert_eq!(read(&odd[..odd.len() - 1]).unwrap(), read(&odd).unwrap());
        assert!(read(&odd[..odd.len() - 2]).is_err());
        assert!(write([("a-name-of-17-byte", 0, b"")]).is_err());
        assert!(write([("short", 5, b"")]).is_err());
    }

    #[test]
    fn broken_archives_are_refused() {
        let good = |name: &str, size: &str| format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, 644);
        for body in [
            good("big", "9999999999"),
            good("big", "-1"),
            good("", "0"),
            good("//", "99999999"),
            good("//", "0"),
            good("/", "0"),
            good("/77", "0"),
            good("#1/20", "20"),
            good("a/b", "0"),
            good("x", "1"),
            "short".to_owned(),
            good("x", "0").repeat(5),
            good("x", "0").replace('`', "'"),
        ] {
            assert!(read(&[MAGIC.as_slice(), body.as_bytes()].concat()).is_err(), "{body:?}");
        }
        assert!(read(b"!<arch>").is_err() && read(b"!<arch>\r").is_err());
    }
}
