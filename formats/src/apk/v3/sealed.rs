//! A package whose envelope was read: digests and signatures are known, no value was looked at.

use std::io::{Read, Seek, SeekFrom};

use xpkg_model::{Ecosystem, Identity};

use super::{Reader, meta};
use crate::adb::Schema;
use crate::adb::container::Container;
use crate::keys::{Keyring, Verified};
use crate::package::Envelope;
use crate::{Error, Limits};

/// An unparsed package.
pub struct Sealed<R> {
    pub(super) file: R,
    pub(super) container: Container,
    pub(super) limits: Limits,
}

impl<R: Read + Seek> Sealed<R> {
    /// Reads the file up to its data.
    pub fn read(mut file: R, what: &str, limits: &Limits) -> Result<Self, Error> {
        let container = Container::read(&mut file, what, Schema::Package, limits.max_metadata, limits)?;
        Ok(Self { file, container, limits: limits.clone() })
    }

    /// Parses the metadata.
    pub fn open(mut self, ecosystem: Ecosystem) -> Result<Reader<R>, Error> {
        let size = self.file.seek(SeekFrom::End(0)).map_err(|e| Error::io(self.container.what(), e))?;
        let (meta, paths) = meta::read(&mut self.container, size, ecosystem, &self.limits)?;
        Ok(Reader { sealed: self, meta, paths })
    }
}

impl<R: Read + Seek> Envelope for Sealed<R> {
    fn identity(&self) -> Identity {
        Identity::ApkSha256(self.container.identity)
    }

    fn verify_signature(&mut self, keys: &Keyring) -> Result<Verified, Error> {
        self.container.verify(keys)
    }
}
