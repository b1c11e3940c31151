//! A reader that fails once more bytes come than are allowed. Unlike `Read::take` it never cuts silently.

use std::io::{self, Read};

use crate::Error;

/// Passes bytes on until the bound; one byte more is an error.
pub(crate) struct Bounded<'a, R> {
    inner: R,
    left: u64,
    limit: u64,
    what: &'a str,
    part: &'static str,
}

impl<'a, R: Read> Bounded<'a, R> {
    pub(crate) fn new(inner: R, limit: u64, what: &'a str, part: &'static str) -> Self {
        Self { inner, left: limit, limit, what, part }
    }
}

impl<R: Read> Read for Bounded<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        if self.left == 0 {
            return match self.inner.read(&mut [0])? {
                0 => Ok(0),
                _ => Err(Error::limit(self.what, self.part, self.limit).into_io()),
            };
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buf.len());
        let n = self.inner.read(&mut buf[..most])?;
        self.left -= n as u64;
        Ok(n)
    }
}

/// Reads a whole stream that may hold at most `limit` bytes.
pub(crate) fn read_all(reader: impl Read, limit: u64, what: &str, part: &'static str) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    Bounded::new(reader, limit, what, part).read_to_end(&mut out).map_err(|e| Error::io(what, e))?;
    Ok(out)
}

/// Reads to the end and forgets.
pub(crate) fn drain(mut reader: impl Read, what: &str) -> Result<u64, Error> {
    io::copy(&mut reader, &mut io::sink()).map_err(|e| Error::io(what, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_byte_too_many_is_an_error() {
        assert_eq!(read_all(&b"abc"[..], 3, "x", "it").unwrap(), b"abc");
        assert!(matches!(read_all(&b"abcd"[..], 3, "x", "it"), Err(Error::Limit { limit: 3, .. })));
    }
}
