//! apk v3 packages: an ADB file with all metadata in its heap and one data block per file.
//!
//! Identity is the SHA-256 of the ADB block; it covers the digest of every file, so an index that vouches for the identity
//! vouches for the whole package. Packages of OpenWrt are usually not signed themselves.

mod builder;
mod data;
mod entry;
pub(crate) mod info;
pub(crate) mod info_write;
mod meta;
mod payload;
mod resign;
pub(crate) mod schema;
mod sealed;
mod tree;

use std::io::{Read, Seek};

use xpkg_model::{Ecosystem, Identity};

use super::v2;
use crate::adb::heap::Value;
use crate::adb::{Schema, container};
use crate::keys::{Keyring, Verified};
use crate::package::{EntrySink, Envelope as _, Meta};
use crate::{Error, Limits};

pub use crate::adb::Compression;
pub use builder::Builder;
pub use resign::resign;
pub use sealed::Sealed;
pub use v2::Written;

/// An open package: metadata read, payload not yet.
pub struct Reader<R> {
    sealed: Sealed<R>,
    meta: Meta,
    paths: Value,
}

impl<R: Read + Seek> Reader<R> {
    /// Reads envelope and metadata. [`Sealed`] takes the two steps one at a time.
    pub fn open(file: R, what: &str, ecosystem: Ecosystem, limits: &Limits) -> Result<Self, Error> {
        Sealed::read(file, what, limits)?.open(ecosystem)
    }

    /// What the package says about itself.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// SHA-256 of the ADB block.
    pub fn identity(&self) -> Identity {
        self.sealed.identity()
    }

    /// Checks the package's own signatures.
    pub fn verify_signature(&mut self, keys: &Keyring) -> Result<Verified, Error> {
        self.sealed.verify_signature(keys)
    }

    /// Streams every entry, directories before what they hold, and checks every file's digest.
    pub fn read_payload(&mut self, sink: &mut EntrySink<'_>) -> Result<(), Error> {
        let Sealed { file, container, limits } = &mut self.sealed;
        let what = container.what().to_owned();
        let mut blocks = container::blocks(file, &what, Schema::Package)?;
        payload::read(&mut container.heap, self.paths, &mut blocks, limits, sink)
    }
}

#[cfg(test)]
mod tests;
