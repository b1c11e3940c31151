//! apk v3 packages (stub: signatures only, its owner replaces this file).
#![allow(missing_docs)]

use std::io::{Read, Seek};
use std::marker::PhantomData;

use xpkg_model::{Ecosystem, Identity};

use crate::keys::{Keyring, Verified};
use crate::package::{EntrySink, Meta};
use crate::{Error, Limits};

pub struct Reader<R> {
    meta: Meta,
    identity: Identity,
    file: PhantomData<R>,
}

impl<R: Read + Seek> Reader<R> {
    pub fn open(_file: R, what: &str, _ecosystem: Ecosystem, _limits: &Limits) -> Result<Self, Error> {
        Err(Error::malformed(what, "apk v3 is not read yet"))
    }
    pub fn meta(&self) -> &Meta {
        &self.meta
    }
    pub fn identity(&self) -> Identity {
        self.identity
    }
    pub fn verify_signature(&mut self, _keys: &Keyring) -> Result<Verified, Error> {
        Err(Error::Unsigned { what: self.meta.package.name.clone() })
    }
    pub fn read_payload(&mut self, _sink: &mut EntrySink<'_>) -> Result<(), Error> {
        Err(Error::malformed(self.meta.package.name.clone(), "apk v3 is not read yet"))
    }
}
