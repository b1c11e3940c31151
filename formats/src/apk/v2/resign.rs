//! Signs a package that is there already: only the signature member changes, so its identity stays the same.

use std::io::{self, Read, Seek, SeekFrom, Write};

use super::{Sealed, signature};
use crate::keys::SecretKey;
use crate::{Error, Limits};

/// Writes the package in `file` to `out` with one signature, by `key`, in place of those it had. Nothing but its envelope
/// is read; what follows is copied.
pub fn resign<R: Read + Seek>(
    file: R,
    what: &str,
    limits: &Limits,
    key: &SecretKey,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let io = |e| Error::io(what, e);
    let sealed = Sealed::read(file, what, limits)?;
    let (start, end) = sealed.control_range();
    let len = end.saturating_sub(start);
    if len > limits.max_metadata {
        return Err(Error::limit(what, "the control member", limits.max_metadata));
    }
    let mut file = sealed.into_file();
    file.seek(SeekFrom::Start(start)).map_err(io)?;
    let mut control = Vec::new();
    file.by_ref().take(len).read_to_end(&mut control).map_err(io)?;
    let member = signature::member(&control, key, 0, what)?;
    out.write_all(&member).and_then(|()| out.write_all(&control)).map_err(io)?;
    io::copy(&mut file, out).map_err(io).map(drop)
}
