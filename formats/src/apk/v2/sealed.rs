//! A package of which only the envelope was read: signatures, and where the members lie. Nothing inside the control member
//! was parsed; its identity and signatures can be checked first.

use std::io::{Read, Seek, SeekFrom};
use std::ops::ControlFlow;

use xpkg_model::payload::ScriptKind;
use xpkg_model::{Ecosystem, Identity};

use super::signature::{Signatures, leading};
use super::{Reader, pkginfo};
use crate::archive::bounded::{drain, read_all};
use crate::archive::member::{Digests, Metered};
use crate::archive::tar;
use crate::keys::{Hash, Keyring, Verified};
use crate::package::{Envelope, Meta};
use crate::{Error, Limits};

/// A package before its metadata is parsed.
pub struct Sealed<R> {
    file: R,
    what: String,
    limits: Limits,
    signatures: Signatures,
    control: u64,
    control_end: u64,
    length: u64,
    digests: Digests,
}

impl<R: Read + Seek> Sealed<R> {
    /// Finds the members and hashes the control member.
    pub fn read(mut file: R, what: &str, limits: &Limits) -> Result<Self, Error> {
        let length = file.seek(SeekFrom::End(0)).map_err(|e| Error::io(what, e))?;
        let (signatures, control) = leading(&mut file, what, limits)?;
        let mut member = Metered::at(&mut file, control, what)?;
        if member.at_end(what)? {
            return Err(Error::malformed(what, "it ends after its signatures"));
        }
        // SHA-1 is the identity; the others are cheap for the few kilobytes of a control member.
        member.start(&[Hash::Sha1, Hash::Sha256, Hash::Sha512]);
        drain(member.inflate(limits.max_metadata, what, "the control member"), what)?;
        let digests = member.finish();
        let control_end = member.offset();
        Ok(Self {
            file,
            what: what.to_owned(),
            limits: limits.clone(),
            signatures,
            control,
            control_end,
            length,
            digests,
        })
    }

    /// Parses the metadata.
    pub fn open(mut self, ecosystem: Ecosystem) -> Result<Reader<R>, Error> {
        let mut meta = None;
        let mut scripts = Vec::new();
        let what = self.what.as_str();
        let limits = &self.limits;
        let mut member = Metered::at(&mut self.file, self.control, what)?;
        member.start(&[Hash::Sha1]);
        let inflated = member.inflate(limits.max_metadata, what, "the control member");
        tar::each(inflated, what, limits, &mut |item, content| {
            let Some(name) = item.name.strip_prefix(b".").filter(|name| !name.contains(&b'/')) else {
                return Err(not_control(what, &item.name));
            };
            if name == b"INSTALL" {
                return Err(obsolete(what));
            }
            if name == b"PKGINFO" {
                if meta.is_some() {
                    return Err(Error::malformed(what, "two .PKGINFO"));
                }
                meta = Some(pkginfo::read(content, what, ecosystem, limits)?);
            } else if let Some(kind) = std::str::from_utf8(name).ok().and_then(ScriptKind::parse) {
                let script = read_all(content, limits.max_script, what, "a script")?;
                if scripts.iter().any(|(known, _)| *known == kind) {
                    return Err(Error::malformed(what, format!("two {} scripts", kind.as_str())));
                }
                scripts.push((kind, script));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        if member.finish().get(Hash::Sha1) != self.digests.get(Hash::Sha1) {
            return Err(Error::malformed(what, "it changed while it was read"));
        }
        let mut meta: Meta = meta.ok_or_else(|| Error::malformed(what, "no .PKGINFO"))?;
        meta.scripts = scripts.into_iter().collect();
        meta.package.identity = Some(self.identity());
        meta.package.size = self.length;
        if meta.datahash.is_none() && self.control_end != self.length {
            return Err(obsolete(&self.what));
        }
        Ok(Reader { sealed: self, meta })
    }

    /// Where the control member lies in the file.
    pub(super) fn control_range(&self) -> (u64, u64) {
        (self.control, self.control_end)
    }

    /// The file, wherever it stands.
    pub(super) fn into_file(self) -> R {
        self.file
    }

    /// What reading the payload needs.
    pub(super) fn data(&mut self) -> (&mut R, &str, &Limits, u64) {
        (&mut self.file, &self.what, &self.limits, self.control_end)
    }
}

impl<R: Read + Seek> Envelope for Sealed<R> {
    fn identity(&self) -> Identity {
        Identity::ApkSha1(self.digests.array(Hash::Sha1))
    }

    fn verify_signature(&mut self, keys: &Keyring) -> Result<Verified, Error> {
        self.signatures.verify(&self.what, &self.digests, keys)
    }
}

/// apk-tools calls these "v1.0" and refuses them since 3.0 (src/extract_v2.c).
fn obsolete(what: &str) -> Error {
    Error::malformed(what, "an obsolete apk v1 package, whose payload no digest protects")
}

fn not_control(what: &str, name: &[u8]) -> Error {
    match name {
        b"./debian-binary" | b"debian-binary" | b"./control.tar.gz" | b"./data.tar.gz" => {
            Error::malformed(what, "an ipk, not an apk")
        }
        b"APKINDEX" | b"DESCRIPTION" => Error::malformed(what, "an index, not a package"),
        _ => obsolete(what),
    }
}
