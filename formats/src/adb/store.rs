//! Where the payload of an ADB block lies while it is read: in memory when small, otherwise in an anonymous file behind a
//! few cached pages, so that an index of 25,000 packages costs no more memory than one of a hundred.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::unix::fs::FileExt as _;

/// Payloads up to this size stay in memory.
const MEMORY_MAX: u64 = 1 << 20;
/// Bytes of a cached page.
const PAGE: usize = 8 << 10;
/// Cached pages: half a mebibyte. Values that belong together lie together, strings that many share lie early.
const PAGES: usize = 64;

/// Bytes at offsets.
pub(crate) trait Source: Send {
    /// How many there are.
    fn len(&self) -> u64;
    /// Fills the buffer from an offset on, or fails.
    fn read_at(&mut self, at: u64, buf: &mut [u8]) -> io::Result<()>;
}

/// Takes exactly `len` bytes and keeps them; `watch` sees them on their way.
pub(crate) fn keep(from: &mut dyn Read, len: u64, watch: &mut dyn FnMut(&[u8])) -> io::Result<Box<dyn Source>> {
    if len <= MEMORY_MAX {
        let mut bytes = vec![0; len as usize];
        from.read_exact(&mut bytes)?;
        watch(&bytes);
        return Ok(Box::new(Memory(bytes)));
    }
    let mut file = tempfile::tempfile()?;
    let mut buf = vec![0; 64 << 10];
    let mut left = len;
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
        let part = buf.get_mut(..most).unwrap_or_default();
        from.read_exact(part)?;
        watch(part);
        file.write_all(part)?;
        left -= part.len() as u64;
    }
    Ok(Box::new(Spool { file, len, pages: Vec::new() }))
}

/// A payload in memory.
pub(crate) struct Memory(pub(crate) Vec<u8>);

impl Source for Memory {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&mut self, at: u64, buf: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(at).map_err(io::Error::other)?;
        let bytes = start.checked_add(buf.len()).and_then(|end| self.0.get(start..end));
        buf.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// A payload in an anonymous file. Pages are mapped directly: page `n` can only lie in slot `n % PAGES`.
struct Spool {
    file: File,
    len: u64,
    pages: Vec<Option<(u64, Box<[u8]>)>>,
}

impl Spool {
    fn page(&mut self, number: u64) -> io::Result<&[u8]> {
        if self.pages.is_empty() {
            self.pages.resize_with(PAGES, || None);
        }
        let slot = (number % PAGES as u64) as usize;
        let page = self.pages.get_mut(slot).ok_or(io::ErrorKind::OutOfMemory)?;
        if page.as_ref().is_none_or(|(have, _)| *have != number) {
            let start = number * PAGE as u64;
            let most = usize::try_from(self.len.saturating_sub(start)).unwrap_or(PAGE).min(PAGE);
            let mut bytes = page.take().map_or_else(|| vec![0; PAGE].into_boxed_slice(), |(_, bytes)| bytes);
            self.file.read_exact_at(bytes.get_mut(..most).unwrap_or_default(), start)?;
            *page = Some((number, bytes));
        }
        page.as_ref().map(|(_, bytes)| &**bytes).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
    }
}

impl Source for Spool {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&mut self, at: u64, buf: &mut [u8]) -> io::Result<()> {
        if at.checked_add(buf.len() as u64).is_none_or(|end| end > self.len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let (mut at, mut rest) = (at, buf);
        while !rest.is_empty() {
            let page = self.page(at / PAGE as u64)?;
            let from = page.get((at % PAGE as u64) as usize..).unwrap_or_default();
            let n = from.len().min(rest.len());
            let (to, later) = rest.split_at_mut(n);
            to.copy_from_slice(from.get(..n).unwrap_or_default());
            at += n as u64;
            rest = later;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_stores_give_the_same_bytes() {
        let bytes: Vec<u8> = (0..MEMORY_MAX + 70_001).map(|i| (i * 31 % 251) as u8).collect();
        let mut seen = 0;
        let mut spool = keep(&mut bytes.as_slice(), bytes.len() as u64, &mut |part| seen += part.len()).unwrap();
        assert_eq!(seen, bytes.len());
        let mut memory = Memory(bytes.clone());
        let end = bytes.len() as u64;
        for (at, len) in [(0, 1), (8191, 2), (8190, 20_000), (end - 1, 1), (end - 9000, 9000), (end, 0)] {
            let (mut a, mut b) = (vec![0; len], vec![1; len]);
            spool.read_at(at, &mut a).unwrap();
            memory.read_at(at, &mut b).unwrap();
            assert!(a == b, "{at}+{len}");
        }
        for (at, len) in [(end, 1), (end - 1, 2), (u64::MAX, 1)] {
            assert!(spool.read_at(at, &mut vec![0; len]).is_err());
            assert!(memory.read_at(at, &mut vec![0; len]).is_err());
        }
        assert!(keep(&mut &b"abc"[..], 4, &mut |_| {}).is_err());
    }
}
