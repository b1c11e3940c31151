//! Repository indexes of both generations behind one door: told apart by their first bytes, verified, then read as a
//! stream of packages. Keeps no package in memory.

use std::io::{Read, Seek, SeekFrom};

use xpkg_model::{Ecosystem, Package};

use super::{index_adb, index_v2};
use crate::keys::{Keyring, Verified};
use crate::package::Format;
use crate::{BoxError, Error, Limits};

pub use index_adb::write_adb;
pub use index_v2::write_v2;

/// Who receives the packages of an index.
pub type PackageSink<'a> = dyn FnMut(Package) -> Result<(), BoxError> + 'a;

/// What an index says beside its packages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexInfo {
    /// Free text; Alpine puts its `git describe` there.
    pub description: String,
    /// Packages handed out.
    pub count: u64,
    /// Packages left out because they need something that is not understood.
    pub skipped: u64,
    /// Why, for the first few of them.
    pub reasons: Vec<String>,
    /// Generation.
    pub format: Format,
    /// Where package files lie, when the index says so (`${name}-${version}.apk` otherwise).
    pub pkgname_spec: Option<String>,
}

impl IndexInfo {
    /// Most reasons kept.
    const MAX_REASONS: usize = 16;

    /// Nothing read yet.
    pub(crate) fn new(format: Format) -> Self {
        Self { description: String::new(), count: 0, skipped: 0, reasons: Vec::new(), format, pkgname_spec: None }
    }

    /// Counts a package that is left out.
    pub(crate) fn skip(&mut self, name: &str, reason: impl std::fmt::Display) {
        self.skipped += 1;
        if self.reasons.len() < Self::MAX_REASONS {
            self.reasons.push(format!("{name}: {reason}"));
        }
    }
}

/// An index whose envelope was read, and nothing more.
pub struct OpenedIndex<R> {
    reader: Reader<R>,
}

enum Reader<R> {
    V2(index_v2::Reader<R>),
    Adb(index_adb::Reader<R>),
}

/// Opens an index. `what` names it in messages.
pub fn open<R: Read + Seek>(mut file: R, what: &str, limits: &Limits) -> Result<OpenedIndex<R>, Error> {
    let mut magic = [0; 4];
    let io = |e| Error::io(what, e);
    file.seek(SeekFrom::Start(0)).map_err(io)?;
    file.read_exact(&mut magic).map_err(io)?;
    file.seek(SeekFrom::Start(0)).map_err(io)?;
    let reader = match &magic {
        [0x1f, 0x8b, ..] => Reader::V2(index_v2::Reader::open(file, what, limits)?),
        [b'A', b'D', b'B', b'.' | b'd' | b'c'] => Reader::Adb(index_adb::Reader::open(file, what, limits)?),
        _ => return Err(Error::malformed(what, "neither APKINDEX.tar.gz nor packages.adb")),
    };
    Ok(OpenedIndex { reader })
}

impl<R: Read + Seek> OpenedIndex<R> {
    /// Generation of the file.
    pub fn format(&self) -> Format {
        match self.reader {
            Reader::V2(_) => Format::Apk2,
            Reader::Adb(_) => Format::Apk3,
        }
    }

    /// Checks the signatures before anything inside is looked at: one good signature by one of the keys is enough.
    pub fn verify(&mut self, keys: &Keyring) -> Result<Verified, Error> {
        match &mut self.reader {
            Reader::V2(reader) => reader.verify(keys),
            Reader::Adb(reader) => reader.verify(keys),
        }
    }

    /// Streams the packages in the order of the file.
    pub fn read(&mut self, ecosystem: Ecosystem, sink: &mut PackageSink<'_>) -> Result<IndexInfo, Error> {
        match &mut self.reader {
            Reader::V2(reader) => reader.read(ecosystem, sink),
            Reader::Adb(reader) => reader.read(ecosystem, sink),
        }
    }
}
