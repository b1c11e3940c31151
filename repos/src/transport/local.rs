//! Files of this machine. They are copied, so that what was verified is not what somebody else may still write.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::{Get, Got, Transfer, Validators};
use crate::error::{Error, Result};

/// Bytes moved at once.
const CHUNK: usize = 64 * 1024;

pub(super) fn get(path: &Path, get: &Get<'_>, dest: &mut File, transfer: &Transfer<'_>) -> Result<Got> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Error::NotFound { url: get.url.to_owned() },
        _ => Error::io("read", path, source),
    };
    // Asked before opening: opening a pipe would wait for its other end.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(Error::NotFound { url: get.url.to_owned() });
    }
    let mut file = File::open(path).map_err(failed)?;
    let meta = file.metadata().map_err(failed)?;
    let tag = format!("\"{}-{}-{}.{}\"", meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec());
    let validators = Validators { etag: Some(tag), last_modified: None };
    if get.known == Some(&validators) {
        return Ok(Got::NotModified);
    }
    if let Some(expected) = get.expected.filter(|e| *e != meta.len()) {
        return Err(Error::Size { url: get.url.to_owned(), expected, found: meta.len() });
    }
    if meta.len() > get.limit {
        return Err(Error::TooLarge { url: get.url.to_owned(), limit: get.limit });
    }
    let cannot_write = |e| Error::io("write a copy of", path, e);
    dest.set_len(0).and_then(|()| dest.seek(SeekFrom::Start(0))).map_err(cannot_write)?;
    let (mut bytes, mut buffer) = (0, vec![0; CHUNK]);
    loop {
        let n = file.read(&mut buffer).map_err(failed)?;
        let Some(chunk) = buffer.get(..n).filter(|c| !c.is_empty()) else { break };
        bytes += n as u64;
        if bytes > get.limit.min(get.expected.unwrap_or(u64::MAX)) {
            return Err(Error::TooLarge { url: get.url.to_owned(), limit: get.limit });
        }
        dest.write_all(chunk).map_err(cannot_write)?;
        transfer.progress(bytes);
    }
    if let Some(expected) = get.expected.filter(|e| *e != bytes) {
        return Err(Error::Size { url: get.url.to_owned(), expected, found: bytes });
    }
    Ok(Got::Whole { bytes, validators })
}
