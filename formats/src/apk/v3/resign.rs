//! Signs a package that is there already: the ADB block and the data stay byte for byte, so its identity stays the same.

use std::io::{self, Read, Seek, Write};

use crate::adb::block::{self, Blocks, Kind};
use crate::adb::container::{self, Container};
use crate::adb::{Compression, Schema};
use crate::keys::SecretKey;
use crate::{Error, Limits};

/// Writes the package in `file` to `out` with one signature, by `key`, in place of those it had. No value of it is looked at.
pub fn resign<R: Read + Seek>(
    mut file: R,
    what: &str,
    limits: &Limits,
    key: &SecretKey,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let mut container = Container::read(&mut file, what, Schema::Package, limits.max_metadata, limits)?;
    let len = usize::try_from(container.heap.len()).map_err(|_| Error::limit(what, "the ADB block", u64::MAX))?;
    let mut adb = vec![0; len];
    container.heap.raw(0, &mut adb)?;
    drop(container);
    let blocks = container::blocks(&mut file, what, Schema::Package)?;
    let data = DataBlocks { blocks, pending: io::Cursor::new(Vec::new()), open: None };
    container::write(out, what, Schema::Package, &adb, Some(key), data, Compression::default())
}

/// The data blocks of a file as they stand there, headers and padding included.
struct DataBlocks<'w, R> {
    blocks: Blocks<'w, R>,
    /// Header or padding that comes before anything else.
    pending: io::Cursor<Vec<u8>>,
    /// Length of the block whose payload is being handed out.
    open: Option<u64>,
}

impl<R: Read> Read for DataBlocks<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        loop {
            let n = self.pending.read(buf)?;
            if n > 0 {
                return Ok(n);
            }
            if let Some(len) = self.open {
                let n = self.blocks.read(buf)?;
                if n > 0 {
                    return Ok(n);
                }
                self.open = None;
                self.pending = io::Cursor::new(block::padding(len).to_vec());
                continue;
            }
            match self.blocks.next_block().map_err(Error::into_io)? {
                None => return Ok(0),
                Some(next) if next.kind == Kind::Data => {
                    self.pending = io::Cursor::new(block::header(Kind::Data, next.len));
                    self.open = Some(next.len);
                }
                Some(_) => {}
            }
        }
    }
}
