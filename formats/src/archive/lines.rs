//! Lines of a text format, one at a time and of bounded length. Knows nothing of what they mean.

use std::io::{BufRead, Read as _};

use crate::{Error, Limits};

/// A line-based file, its name and the place in it.
pub(crate) struct Lines<'a, R> {
    reader: R,
    line: Vec<u8>,
    number: u64,
    longest: u64,
    what: &'a str,
}

impl<'a, R: BufRead> Lines<'a, R> {
    pub(crate) fn new(reader: R, what: &'a str, limits: &Limits) -> Self {
        Self { reader, line: Vec::new(), number: 0, longest: limits.max_line, what }
    }

    /// The next line without its end, and its number.
    pub(crate) fn next(&mut self) -> Result<Option<(&[u8], u64)>, Error> {
        self.line.clear();
        self.number += 1;
        let mut bounded = (&mut self.reader).take(self.longest.saturating_add(1));
        let read = bounded.read_until(b'\n', &mut self.line).map_err(|e| Error::io(self.what, e))?;
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
        } else if read as u64 > self.longest {
            return Err(Error::limit(self.what, format!("line {}", self.number), self.longest));
        }
        Ok((read > 0).then_some((&self.line, self.number)))
    }
}
