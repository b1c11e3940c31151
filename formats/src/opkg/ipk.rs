//! ipk packages: `debian-binary`, `control.tar.gz` and `data.tar.gz` in a gzip'd tar (what opkg reads) or in an `ar` (what
//! some third parties make). Members in any order, with or without `./`; both inner archives also plain or zstd.
//!
//! Identity is the SHA-256 of the whole file; nothing inside declares a digest, and nothing inside is signed. Whoever reads
//! the payload reads the file that was identified: it is hashed again on the way.

mod builder;
mod members;
mod sealed;

use std::io::{Read, Seek};
use std::ops::ControlFlow;

use xpkg_model::payload::ScriptKind;
use xpkg_model::{Ecosystem, Identity, Package};

use crate::archive::bounded::Bounded;
use crate::archive::tar;
use crate::keys::{Keyring, Verified};
use crate::package::paths::Paths;
use crate::package::{EntrySink, Envelope as _, Meta, items};
use crate::{Error, Limits};

pub use builder::{Builder, Outer};
pub(crate) use members::is_member;
use members::{Member, decoded};
pub use sealed::Sealed;

/// The maintainer scripts of an ipk and when they run. `postinst-pkg` and `prerm-pkg` are no scripts of their own: the
/// stock `postinst` and `prerm` run them.
pub const SCRIPTS: [(&str, ScriptKind); 4] = [
    ("preinst", ScriptKind::PreInstall),
    ("postinst", ScriptKind::PostInstall),
    ("prerm", ScriptKind::PreDeinstall),
    ("postrm", ScriptKind::PostDeinstall),
];

/// The `postinst` that OpenWrt's build gives every package: what it does is in the root's `functions.sh`.
pub const STOCK_POSTINST: &str = "#!/bin/sh\n\
    [ \"${IPKG_NO_SCRIPT}\" = \"1\" ] && exit 0\n\
    [ -s ${IPKG_INSTROOT}/lib/functions.sh ] || exit 0\n\
    . ${IPKG_INSTROOT}/lib/functions.sh\n\
    default_postinst $0 $@\n";

/// The `prerm` that OpenWrt's build gives every package.
pub const STOCK_PRERM: &str = "#!/bin/sh\n\
    [ -s ${IPKG_INSTROOT}/lib/functions.sh ] || exit 0\n\
    . ${IPKG_INSTROOT}/lib/functions.sh\n\
    default_prerm $0 $@\n";

/// What OpenWrt calls a package's file.
pub fn file_name(package: &Package) -> String {
    format!("{}_{}_{}.ipk", package.name, package.version, package.arch)
}

/// An open package: metadata read, payload not yet.
pub struct Reader<R> {
    sealed: Sealed<R>,
    meta: Meta,
}

impl<R: Read + Seek> Reader<R> {
    /// Opens a package; [`Sealed`] allows to check its identity before its metadata is parsed.
    pub fn open(file: R, what: &str, ecosystem: Ecosystem, limits: &Limits) -> Result<Self, Error> {
        Sealed::read(file, what, limits)?.open(ecosystem)
    }

    /// What the package says about itself.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// SHA-256 of the file.
    pub fn identity(&self) -> Identity {
        self.sealed.identity()
    }

    /// An ipk is never signed; its feed is.
    pub fn verify_signature(&mut self, keys: &Keyring) -> Result<Verified, Error> {
        self.sealed.verify_signature(keys)
    }

    /// Streams every entry. Entries have no declared digest; an error at the end means that the file changed meanwhile.
    pub fn read_payload(&mut self, sink: &mut EntrySink<'_>) -> Result<(), Error> {
        let limits = self.sealed.limits().clone();
        let what = self.sealed.what().to_owned();
        self.sealed.each(&mut |member, content| {
            if member == Member::Data {
                let mut paths = Paths::new();
                let plain = Bounded::new(decoded(content, &what)?, limits.max_unpacked, &what, "the unpacked payload");
                tar::each(plain, &what, &limits, &mut |item, content| {
                    items::hand_out(item, content, &what, &mut paths, sink)
                })?;
            }
            Ok(ControlFlow::Continue(()))
        })
    }
}

#[cfg(test)]
mod tests;
