//! `ar`, the container of Debian's packages and of some third-party ipk files: reads its plain members one by one, and
//! writes them. The `ar` crate is not used: it allocates name tables of whatever size a header claims before it reads
//! them. Knows no name tables itself; no package needs one.

use std::io::{self, Read, Write};
use std::ops::ControlFlow;

use super::bounded::drain;
use crate::{Error, Limits};

/// What every archive begins with.
pub(crate) const MAGIC: &[u8; 8] = b"!<arch>\n";
const HEADER: usize = 60;
const END: &[u8] = b"`\n";

/// Who receives a member: its name and content. [`ControlFlow::Break`] stops early.
pub(crate) type MemberSink<'a> = dyn FnMut(&[u8], &mut dyn Read) -> Result<ControlFlow<()>, Error> + 'a;

/// Hands out every member.
pub(crate) fn each(mut reader: impl Read, what: &str, limits: &Limits, sink: &mut MemberSink<'_>) -> Result<(), Error> {
    let io = |e| Error::io(what, e);
    let mut magic = [0; 8];
    reader.read_exact(&mut magic).map_err(io)?;
    if magic != *MAGIC {
        return Err(Error::malformed(what, "no `ar` archive"));
    }
    for count in 0.. {
        let mut header = Vec::with_capacity(HEADER);
        reader.by_ref().take(HEADER as u64).read_to_end(&mut header).map_err(io)?;
        if header.is_empty() {
            break;
        }
        if count >= limits.max_entries {
            return Err(Error::limit(what, "the number of members", limits.max_entries));
        }
        let (name, size) = parse(&header).ok_or_else(|| Error::malformed(what, "a broken member header"))?;
        let mut content = Exactly { inner: reader.by_ref(), left: size };
        if sink(name, &mut content)?.is_break() {
            return Ok(());
        }
        drain(&mut content, what)?;
        if size % 2 == 1 {
            // Some writers leave the pad byte of the last member out.
            drain(reader.by_ref().take(1), what)?;
        }
    }
    Ok(())
}

/// Name and size: `name/` or `name` padded with blanks (16 bytes), time (12), owner (6), group (6), mode (8), size (10).
fn parse(header: &[u8]) -> Option<(&[u8], u64)> {
    let (fields, end) = header.split_at_checked(HEADER - END.len())?;
    let name = fields.get(..16)?.trim_ascii_end();
    let name = name.strip_suffix(b"/").unwrap_or(name);
    let size = std::str::from_utf8(fields.get(48..)?.trim_ascii()).ok()?.parse().ok()?;
    (end == END && !name.is_empty() && !name.contains(&b'/')).then_some((name, size))
}

/// Exactly the member's bytes.
struct Exactly<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Exactly<R> {
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

/// Appends a member of root's with mode 0644; exactly `size` bytes come from `content`. The magic is the caller's.
pub(crate) fn append(
    out: &mut (impl Write + ?Sized),
    name: &str,
    mtime: u64,
    size: u64,
    content: &mut dyn Read,
    what: &str,
) -> Result<(), Error> {
    let unfit =
        |reason: &str| Error::Unwritable { what: what.to_owned(), reason: format!("member `{name}`: {reason}") };
    let io = |e| Error::io(what, e);
    let header = format!("{name:<16}{mtime:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, "100644");
    if header.len() != HEADER {
        return Err(unfit("its header has no room for its name, time or size"));
    }
    out.write_all(header.as_bytes()).map_err(io)?;
    if io::copy(&mut content.take(size), out).map_err(io)? != size {
        return Err(unfit("its content is shorter than its size"));
    }
    if size % 2 == 1 {
        out.write_all(b"\n").map_err(io)?;
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

    #[test]
    fn members_round_trip() {
        let mut bytes = MAGIC.to_vec();
        append(&mut bytes, "debian-binary", 0, 4, &mut &b"2.0\n"[..], "x").unwrap();
        append(&mut bytes, "odd/", 1_700_000_000, 3, &mut &b"abc"[..], "x").unwrap();
        append(&mut bytes, "empty", 0, 0, &mut io::empty(), "x").unwrap();
        let members = read(&bytes).unwrap();
        assert_eq!(members[0], ("debian-binary".to_owned(), b"2.0\n".to_vec()));
        assert_eq!(members[1], ("odd".to_owned(), b"abc".to_vec()));
        assert_eq!(members.len(), 3);
        assert!(append(&mut bytes, "a-name-of-17-byte", 0, 0, &mut io::empty(), "x").is_err());
        assert!(append(&mut bytes, "short", 0, 5, &mut io::empty(), "x").is_err());
    }

    #[test]
    fn broken_archives_are_refused() {
        let good = |name: &str, size: &str| format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, 644);
        for body in [
            good("big", "9999999999"),
            good("big", "-1"),
            good("", "0"),
            good("//", "99999999"),
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
