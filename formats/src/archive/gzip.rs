//! Writes gzip whose bytes depend on the content only: no time, no name, no system of its own.

use std::io::Write;

use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};

use crate::Error;

/// One member, in memory.
pub(crate) fn pack(
    what: &str,
    fill: impl FnOnce(&mut GzEncoder<Vec<u8>>) -> Result<(), Error>,
) -> Result<Vec<u8>, Error> {
    let mut out = encoder(Vec::new());
    fill(&mut out)?;
    out.finish().map_err(|e| Error::io(what, e))
}

/// An encoder that writes neither a time nor a system of its own.
pub(crate) fn encoder<W: Write>(out: W) -> GzEncoder<W> {
    GzBuilder::new().mtime(0).operating_system(3).write(out, Compression::best())
}
