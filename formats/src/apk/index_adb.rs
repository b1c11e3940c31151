//! packages.adb (stub: signatures only, its owner replaces this file).
#![allow(missing_docs)]

use std::io::{Read, Seek, Write};
use std::marker::PhantomData;

use xpkg_model::{Ecosystem, Package};

use super::index::{IndexInfo, PackageSink};
use crate::keys::{Keyring, SecretKey, Verified};
use crate::{Error, Limits};

pub struct Reader<R> {
    what: String,
    file: PhantomData<R>,
}

impl<R: Read + Seek> Reader<R> {
    pub fn open(_file: R, what: &str, _limits: &Limits) -> Result<Self, Error> {
        Err(Error::malformed(what, "apk v3 is not read yet"))
    }
    pub fn verify(&mut self, _keys: &Keyring) -> Result<Verified, Error> {
        Err(Error::Unsigned { what: self.what.clone() })
    }
    pub fn read(&mut self, _ecosystem: Ecosystem, _sink: &mut PackageSink<'_>) -> Result<IndexInfo, Error> {
        Err(Error::malformed(self.what.clone(), "apk v3 is not read yet"))
    }
}

pub fn write_adb(_out: &mut dyn Write, _description: &str, _packages: &[Package], _key: Option<&SecretKey>) -> Result<(), Error> {
    Err(Error::Unwritable { what: "packages.adb".into(), reason: "apk v3 is not written yet".into() })
}
