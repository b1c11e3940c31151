//! The payload of a package: entries in the order of `paths`, each file with exactly its data block. Verifies sizes, order and
//! digests while the content streams by.

use std::io::{self, Read};

use ring::digest::{Context, SHA256};
use xpkg_model::payload::{Digest, Entry, EntryKind};

use super::entry::{read_dir, read_file};
use crate::adb::block::{Block, Blocks, Kind};
use crate::adb::heap::{Heap, Value};
use crate::package::EntrySink;
use crate::package::paths::Paths;
use crate::{Error, Limits};

/// Bytes before the content of a data block: the slots of its directory and file.
const DATA_HEADER: u64 = 8;

/// Hands out everything below `paths`, with content from `blocks`, which stands at the first block of the file.
pub(super) fn read<R: Read>(
    heap: &mut Heap,
    paths: Value,
    blocks: &mut Blocks<'_, R>,
    limits: &Limits,
    sink: &mut EntrySink<'_>,
) -> Result<(), Error> {
    let what = heap.what().to_owned();
    heap.begin_walk();
    let mut data = skip_to_data(blocks)?;
    let mut admitted = Paths::new();
    let mut entries = 0;
    let mut left = limits.max_unpacked;
    let dirs = heap.array(paths, limits.max_entries, "the number of directories")?;
    for dir_index in 0..dirs.len {
        heap.begin_item();
        let value = heap.element(&dirs, dir_index)?;
        let (mut dir, files) = read_dir(heap, value, limits)?;
        entries += u64::from(files.len) + 1;
        if entries > limits.max_entries {
            return Err(Error::limit(&what, "the number of entries", limits.max_entries));
        }
        dir.digest = admitted.admit(&what, &dir)?;
        sink(&dir, &mut io::empty()).map_err(Error::receiver)?;
        for file_index in 0..files.len {
            heap.begin_item();
            let value = heap.element(&files, file_index)?;
            let mut entry = read_file(heap, value, &dir.path, limits)?;
            entry.digest = admitted.admit(&what, &entry)?;
            let size = entry.size;
            left = left
                .checked_sub(size)
                .ok_or_else(|| Error::limit(&what, "the unpacked payload", limits.max_unpacked))?;
            if size > 0 {
                expect(&what, &entry, data, blocks, (dir_index + 1, file_index + 1))?;
            }
            hand_out(&what, &entry, blocks, sink)?;
            if size > 0 {
                data = blocks.next_block()?;
            }
        }
    }
    match data {
        Some(_) => Err(Error::malformed(what, "a data block that belongs to no file")),
        None => Ok(()),
    }
}

fn skip_to_data<R: Read>(blocks: &mut Blocks<'_, R>) -> Result<Option<Block>, Error> {
    loop {
        match blocks.next_block()? {
            Some(block) if block.kind != Kind::Data => {}
            other => return Ok(other),
        }
    }
}

/// Makes sure that the current data block is this file's.
fn expect<R: Read>(
    what: &str,
    entry: &Entry,
    data: Option<Block>,
    blocks: &mut Blocks<'_, R>,
    slots: (u32, u32),
) -> Result<(), Error> {
    let refuse = |reason: &str| Error::entry(what, entry.path.as_bytes(), reason);
    let Some(block) = data else { return Err(refuse("its content is missing")) };
    if block.len < DATA_HEADER {
        return Err(Error::malformed(what, "a data block without a header"));
    }
    let (mut dir, mut file) = ([0; 4], [0; 4]);
    blocks.read_exact(&mut dir).and_then(|()| blocks.read_exact(&mut file)).map_err(|e| Error::io(what, e))?;
    if (u32::from_le_bytes(dir), u32::from_le_bytes(file)) != slots {
        return Err(refuse("another file's content stands in place of its own"));
    }
    if block.len - DATA_HEADER != entry.size {
        return Err(refuse("its content has another size than declared"));
    }
    Ok(())
}

fn hand_out<R: Read>(
    what: &str,
    entry: &Entry,
    blocks: &mut Blocks<'_, R>,
    sink: &mut EntrySink<'_>,
) -> Result<(), Error> {
    let (EntryKind::File, Some(Digest::Sha256(expected))) = (&entry.kind, entry.digest) else {
        return sink(entry, &mut io::empty()).map_err(Error::receiver);
    };
    let context = Context::new(&SHA256);
    let mut content = Content { what, entry, blocks, left: entry.size, context, expected, failed: None };
    // An empty file has no block whose end would be met.
    let outcome = content.check_end().and_then(|()| sink(entry, &mut content).map_err(Error::receiver));
    // A receiver that stopped because reading failed says less than the failure itself.
    if let Some(failed) = content.failed.take() {
        return Err(failed);
    }
    outcome?;
    let rest = io::copy(&mut content, &mut io::sink());
    match content.failed.take() {
        Some(failed) => Err(failed),
        None => rest.map(drop).map_err(|e| Error::io(what, e)),
    }
}

/// One file's content. Its last byte is given out only together with the verdict on its digest.
struct Content<'a, 'w, R> {
    what: &'a str,
    entry: &'a Entry,
    blocks: &'a mut Blocks<'w, R>,
    left: u64,
    context: Context,
    expected: [u8; 32],
    failed: Option<Error>,
}

impl<R: Read> Content<'_, '_, R> {
    fn check_end(&mut self) -> Result<(), Error> {
        if self.left > 0 {
            return Ok(());
        }
        let found = self.context.clone().finish();
        if found.as_ref() == self.expected {
            return Ok(());
        }
        Err(Error::digest(self.what, format!("`{}`", self.entry.path), &self.expected, found.as_ref()))
    }

    fn fail(&mut self, error: Error) -> io::Error {
        let again = io::Error::new(io::ErrorKind::InvalidData, error.to_string());
        self.failed = Some(error);
        again
    }
}

impl<R: Read> Read for Content<'_, '_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buf.len());
        let Some(buf) = buf.get_mut(..most).filter(|buf| !buf.is_empty()) else { return Ok(0) };
        let n = match self.blocks.read(buf) {
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => return Err(e),
            Err(e) => return Err(self.fail(Error::io(self.what, e))),
        };
        self.context.update(buf.get(..n).unwrap_or_default());
        self.left -= n as u64;
        match self.check_end() {
            Ok(()) => Ok(n),
            Err(error) => Err(self.fail(error)),
        }
    }
}
