//! Lines of a database, one at a time and of bounded length.

use std::io::{BufRead, Read as _};

use crate::{Error, Limits};

/// A line-based file, its name and the place in it.
pub(super) struct Lines<'a, R> {
    reader: R,
    line: Vec<u8>,
    number: u64,
    longest: u64,
    what: &'a str,
}

impl<'a, R: BufRead> Lines<'a, R> {
    pub(super) fn new(reader: R, what: &'a str, limits: &Limits) -> Self {
        Self { reader, line: Vec::new(), number: 0, longest: limits.max_line, what }
    }

    /// Moves to the next line, without its end; `false` when there is none.
    pub(super) fn advance(&mut self) -> Result<bool, Error> {
        self.line.clear();
        let mut bounded = (&mut self.reader).take(self.longest.saturating_add(1));
        let read = bounded.read_until(b'\n', &mut self.line).map_err(|e| Error::io(self.what, e))?;
        self.number += 1;
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
        } else if read as u64 > self.longest {
            return Err(Error::limit(self.what, format!("line {}", self.number), self.longest));
        }
        Ok(read > 0)
    }

    /// The line last moved to.
    pub(super) fn line(&self) -> &[u8] {
        &self.line
    }

    /// An error about this line.
    pub(super) fn bad(&self, reason: impl std::fmt::Display) -> Error {
        Error::malformed(self.what, format!("line {}: {reason}", self.number))
    }
}
