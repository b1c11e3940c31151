//! apk v2 packages: gzip members of tar, one after the other: signatures, control, payload.
//!
//! Identity is the SHA-1 of the compressed control member; that member declares the SHA-256 of the compressed payload;
//! signatures are over the compressed control member. Obsolete packages without a payload digest are refused.

mod builder;
pub(crate) mod fields;
mod pkginfo;
mod resign;
mod sealed;
pub(crate) mod signature;

use std::io::{Read, Seek};
use std::ops::ControlFlow;

use xpkg_model::{Ecosystem, Identity};

use crate::archive::member::Metered;
use crate::archive::tar;
use crate::keys::{Hash, Keyring, Verified};
use crate::package::paths::Paths;
use crate::package::{EntrySink, Envelope as _, Meta, items};
use crate::{Error, Limits};

pub use builder::{Builder, Written};
pub use resign::resign;
pub use sealed::Sealed;

/// An open package: metadata read, payload not yet.
pub struct Reader<R> {
    sealed: Sealed<R>,
    meta: Meta,
}

impl<R: Read + Seek> Reader<R> {
    /// Opens a package; [`Sealed`] allows to check it before its metadata is parsed.
    pub fn open(file: R, what: &str, ecosystem: Ecosystem, limits: &Limits) -> Result<Self, Error> {
        Sealed::read(file, what, limits)?.open(ecosystem)
    }

    /// What the package says about itself.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// SHA-1 of the compressed control member.
    pub fn identity(&self) -> Identity {
        self.sealed.identity()
    }

    /// Checks the package's own signatures.
    pub fn verify_signature(&mut self, keys: &Keyring) -> Result<Verified, Error> {
        self.sealed.verify_signature(keys)
    }

    /// Streams every entry and checks every digest that the package declares.
    pub fn read_payload(&mut self, sink: &mut EntrySink<'_>) -> Result<(), Error> {
        let datahash = self.meta.datahash;
        let (file, what, limits, start) = self.sealed.data();
        let mut member = Metered::at(file, start, what)?;
        let Some(expected) = datahash else {
            // `Sealed::open` made sure that nothing follows.
            return Ok(());
        };
        if member.at_end(what)? {
            return Err(Error::malformed(what, "its payload is missing"));
        }
        member.start(&[Hash::Sha256]);
        let mut paths = Paths::new();
        let mut started = false;
        tar::each(
            member.inflate(limits.max_unpacked, what, "the unpacked payload"),
            what,
            limits,
            &mut |item, content| {
                // apk-tools 2.14, src/package.c: until the first other name, top-level names with a dot are no files of
                // the package (abuild puts a `.dummy` into packages that have none).
                started |= !is_dot_name(&item.name);
                if !started {
                    return Ok(ControlFlow::Continue(()));
                }
                items::hand_out(item, content, what, &mut paths, sink)
            },
        )?;
        // apk-tools, src/extract_v2.c: a member after the payload is a format error.
        if !member.at_end(what)? {
            return Err(Error::malformed(what, "something follows its payload"));
        }
        let found = member.finish();
        if found.get(Hash::Sha256) != expected {
            return Err(Error::digest(what, "the payload", &expected, found.get(Hash::Sha256)));
        }
        Ok(())
    }
}

/// A top-level name with a dot: `.dummy`.
fn is_dot_name(name: &[u8]) -> bool {
    name.starts_with(b".") && name != b"." && name != b".." && !name.contains(&b'/')
}

#[cfg(test)]
mod tests {
    use super::is_dot_name;

    #[test]
    fn only_names_at_the_top_are_dot_names() {
        for (name, expected) in
            [(".dummy", true), ("./usr", false), (".", false), ("..", false), ("etc/.x", false), (".config/x", false)]
        {
            assert_eq!(is_dot_name(name.as_bytes()), expected, "{name}");
        }
    }
}
