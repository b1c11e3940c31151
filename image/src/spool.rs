//! One anonymous file that holds the contents of everything in an image. Never a tree on disk: what is not written to the
//! image disappears with the process.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

/// A piece of the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slice {
    offset: u64,
    /// Bytes.
    pub len: u64,
}

/// The file and its end.
#[derive(Debug)]
pub struct Spool {
    file: Arc<File>,
    end: u64,
}

impl Spool {
    /// An empty spool in the system's temporary directory, already without a name.
    pub fn new() -> io::Result<Self> {
        Ok(Self { file: Arc::new(tempfile::tempfile()?), end: 0 })
    }

    /// Copies a reader to its end into the spool.
    pub fn add(&mut self, reader: &mut dyn Read) -> io::Result<Slice> {
        let offset = self.end;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let n = match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            self.file.write_all_at(&buffer[..n], self.end)?;
            self.end += n as u64;
        }
        Ok(Slice { offset, len: self.end - offset })
    }

    /// Reads a piece back. Readers are independent of each other.
    pub fn reader(&self, slice: Slice) -> SliceReader {
        SliceReader { file: Arc::clone(&self.file), slice, at: 0 }
    }
}

/// Reads one piece of the spool.
#[derive(Debug)]
pub struct SliceReader {
    file: Arc<File>,
    slice: Slice,
    at: u64,
}

impl Read for SliceReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.slice.len.saturating_sub(self.at);
        let wanted = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let n = self.file.read_at(&mut buffer[..wanted], self.slice.offset + self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}

impl Seek for SliceReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.slice.len.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_do_not_disturb_each_other() {
        let mut spool = Spool::new().unwrap();
        let (a, b) = (spool.add(&mut &b"first"[..]).unwrap(), spool.add(&mut &b"second"[..]).unwrap());
        let (mut x, mut y) = (spool.reader(a), spool.reader(b));
        let mut text = String::new();
        y.seek(SeekFrom::Start(3)).unwrap();
        x.read_to_string(&mut text).unwrap();
        y.read_to_string(&mut text).unwrap();
        assert_eq!(text, "firstond");
    }
}
