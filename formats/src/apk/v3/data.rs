//! The data blocks of a package being written, as one stream.

use std::collections::VecDeque;
use std::io::{self, Cursor, Read, Seek, SeekFrom};

use crate::adb::block::{self, Kind};

/// Where a file's content goes and where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Content {
    /// Slot of its directory and of itself, counted from 1.
    pub(super) slots: (u32, u32),
    /// Where its bytes begin in the spool.
    pub(super) offset: u64,
    pub(super) size: u64,
}

/// Reads as the data blocks of all contents, one after the other.
pub(super) struct Data<'a, R> {
    todo: VecDeque<Content>,
    spool: &'a mut R,
    /// Header of the current block, then the padding of the one before it.
    frame: Cursor<Vec<u8>>,
    left: u64,
}

impl<'a, R: Read + Seek> Data<'a, R> {
    pub(super) fn new(contents: Vec<Content>, spool: &'a mut R) -> Self {
        Self { todo: contents.into(), spool, frame: Cursor::default(), left: 0 }
    }

    /// Goes on to the next content. The padding of the one before is written with its header.
    fn advance(&mut self, padding: &[u8]) -> io::Result<()> {
        let mut frame = padding.to_vec();
        if let Some(next) = self.todo.front() {
            frame.extend(block::header(Kind::Data, next.size + 8));
            frame.extend(next.slots.0.to_le_bytes());
            frame.extend(next.slots.1.to_le_bytes());
            self.spool.seek(SeekFrom::Start(next.offset))?;
            self.left = next.size;
        }
        self.frame = Cursor::new(frame);
        Ok(())
    }
}

impl<R: Read + Seek> Read for Data<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        loop {
            let n = self.frame.read(buf)?;
            if n > 0 {
                return Ok(n);
            }
            if self.left > 0 {
                let n = self.spool.by_ref().take(self.left).read(buf)?;
                if n == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                self.left -= n as u64;
                if self.left == 0 {
                    let done = self.todo.pop_front().map_or(0, |content| content.size);
                    self.advance(block::padding(done + 8))?;
                }
                return Ok(n);
            }
            if self.todo.is_empty() {
                return Ok(0);
            }
            self.advance(&[])?;
        }
    }
}
