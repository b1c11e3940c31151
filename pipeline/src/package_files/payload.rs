//! The entries of one package in the order they came, their contents in a temporary file that has no name. Never holds a
//! content in memory as a whole unless it is asked for one, with a bound.

use std::io::{self, Read, Seek, SeekFrom};

use tempfile::SpooledTempFile;
use xpkg_formats::Limits;
use xpkg_model::RelPath;
use xpkg_model::payload::{Entry, EntryKind};

use crate::error::Error;

/// Contents up to this size together stay in memory.
const SPOOL: usize = 4 << 20;

/// Entries and contents.
#[derive(Debug)]
pub struct Payload {
    entries: Vec<(Entry, u64)>,
    contents: SpooledTempFile,
    end: u64,
}

impl Default for Payload {
    fn default() -> Self {
        Self::new()
    }
}

impl Payload {
    /// No entries.
    pub fn new() -> Self {
        Self { entries: Vec::new(), contents: SpooledTempFile::new(SPOOL), end: 0 }
    }

    /// Adds an entry; a regular file's content is read to its end, and its size is what came. Digests are forgotten: the
    /// next writer makes its own.
    pub fn add(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<(), Error> {
        let mut entry = entry.clone();
        entry.digest = None;
        let start = self.end;
        if entry.kind == EntryKind::File {
            let most = Limits::default().max_unpacked;
            let copied = self
                .contents
                .seek(SeekFrom::Start(start))
                .and_then(|_| io::copy(&mut content.take(most.saturating_sub(start)), &mut self.contents))
                .map_err(Error::io(format!("keeping {} aside", entry.path)))?;
            entry.size = copied;
            self.end += copied;
        }
        self.entries.push((entry, start));
        Ok(())
    }

    /// Adds a root-owned regular file.
    pub fn add_file(&mut self, path: RelPath, mode: u32, mtime: u64, content: &[u8]) -> Result<(), Error> {
        let mut entry = Entry::new(path, EntryKind::File, mode);
        entry.mtime = mtime;
        self.add(&entry, &mut &*content)
    }

    /// The entries.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().map(|(entry, _)| entry)
    }

    /// Changes every entry; paths and kinds stay what they are.
    pub fn change(&mut self, change: &mut dyn FnMut(&mut Entry)) {
        self.entries.iter_mut().for_each(|(entry, _)| change(entry));
    }

    /// Keeps only some.
    pub fn retain(&mut self, keep: impl Fn(&Entry) -> bool) {
        self.entries.retain(|(entry, _)| keep(entry));
    }

    /// The entry at a path.
    pub fn get(&self, path: &RelPath) -> Option<&Entry> {
        self.entries().find(|entry| entry.path == *path)
    }

    /// Content of a regular file of at most `most` bytes; `None` when there is none, or it is larger.
    pub fn read(&mut self, path: &RelPath, most: u64) -> Result<Option<Vec<u8>>, Error> {
        let is_it = |(entry, _): &&(Entry, u64)| entry.path == *path && entry.kind == EntryKind::File;
        let Some((entry, start)) = self.entries.iter().find(is_it).filter(|(entry, _)| entry.size <= most) else {
            return Ok(None);
        };
        let mut out = Vec::new();
        Window { file: &mut self.contents, start: *start, len: entry.size, at: 0 }
            .read_to_end(&mut out)
            .map_err(Error::io(format!("reading {path}")))?;
        Ok(Some(out))
    }

    /// Hands out every entry with its content.
    pub fn each(&mut self, see: &mut dyn FnMut(&Entry, &mut Window<'_>) -> Result<(), Error>) -> Result<(), Error> {
        for (entry, start) in &self.entries {
            let len = if entry.kind == EntryKind::File { entry.size } else { 0 };
            see(entry, &mut Window { file: &mut self.contents, start: *start, len, at: 0 })?;
        }
        Ok(())
    }
}

/// One content.
pub struct Window<'a> {
    file: &'a mut SpooledTempFile,
    start: u64,
    len: u64,
    at: u64,
}

impl Read for Window<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.len.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let most = left.min(buf.len());
        let Some(buf) = buf.get_mut(..most).filter(|buf| !buf.is_empty()) else { return Ok(0) };
        self.file.seek(SeekFrom::Start(self.start + self.at))?;
        let n = self.file.read(buf)?;
        self.at += n as u64;
        Ok(n)
    }
}

impl Seek for Window<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.len.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
