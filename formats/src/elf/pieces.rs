//! Bounded reads from a seekable file. Never allocates more than the file holds or the caller's cap allows.

use std::io::{Read, Seek, SeekFrom};

use crate::Error;

/// What can be read and seeked.
pub(super) trait Bytes: Read + Seek {}
impl<T: Read + Seek + ?Sized> Bytes for T {}

/// A file and its name in messages.
pub(super) struct Pieces<'a> {
    file: &'a mut dyn Bytes,
    len: u64,
    what: &'a str,
}

impl<'a> Pieces<'a> {
    pub(super) fn new(file: &'a mut dyn Bytes, what: &'a str) -> Result<Self, Error> {
        let len = file.seek(SeekFrom::End(0)).map_err(|e| Error::io(what, e))?;
        Ok(Self { file, len, what })
    }

    /// Bytes in the file.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// The file's name in messages.
    pub(super) fn what(&self) -> &str {
        self.what
    }

    /// An error about this file.
    pub(super) fn malformed(&self, reason: impl Into<String>) -> Error {
        Error::malformed(self.what, reason)
    }

    /// An error about something of this file that is too large.
    pub(super) fn too_large(&self, part: &str, size: u64, cap: u64) -> Error {
        Error::limit(self.what, format!("{part} ({size})"), cap)
    }

    /// The first bytes: `size` of them, or all there are.
    pub(super) fn head(&mut self, size: u64) -> Result<Vec<u8>, Error> {
        self.read(0, size.min(self.len), size, "the header")
    }

    /// Exactly `size` bytes at `offset`.
    pub(super) fn read(&mut self, offset: u64, size: u64, cap: u64, part: &str) -> Result<Vec<u8>, Error> {
        if size > cap {
            return Err(self.too_large(part, size, cap));
        }
        if offset.checked_add(size).is_none_or(|end| end > self.len) {
            return Err(self.malformed(format!("{part} lies outside the file")));
        }
        // `size` is at most the caller's cap, which is a constant or a limit.
        let mut bytes = vec![0; size as usize];
        let done = self.file.seek(SeekFrom::Start(offset)).and_then(|_| self.file.read_exact(&mut bytes));
        done.map_err(|e| Error::io(self.what, e))?;
        Ok(bytes)
    }
}
