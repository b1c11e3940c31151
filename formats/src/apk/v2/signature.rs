//! The signature members that stand before a package's control member and before an index: `.SIGN.<ALG>.<key name>`.

use std::io::{Read, Seek};
use std::ops::ControlFlow;

use crate::archive::bounded::read_all;
use crate::archive::gzip;
use crate::archive::member::{Digests, Metered};
use crate::archive::tar::{self, Item, ItemKind};
use crate::archive::tar_write;
use crate::keys::{Hash, Keyring, SecretKey, Verified};
use crate::{Error, Limits};

const PREFIX: &[u8] = b".SIGN.";
/// RSA-4096 needs 512.
const MAX_SIGNATURE: u64 = 4096;
/// abuild makes one member; re-signing tools may prepend more.
const MAX_MEMBERS: usize = 8;

/// The signatures of one file.
#[derive(Debug, Default)]
pub(crate) struct Signatures {
    usable: Vec<Signature>,
    /// Key names of signatures whose algorithm is not supported.
    other: Vec<String>,
}

#[derive(Debug)]
struct Signature {
    hash: Hash,
    key: String,
    bytes: Vec<u8>,
}

/// Reads the leading signature members; the offset is that of the first other member.
pub(crate) fn leading<R: Read + Seek>(file: &mut R, what: &str, limits: &Limits) -> Result<(Signatures, u64), Error> {
    let mut signatures = Signatures::default();
    let mut offset = 0;
    for _ in 0..MAX_MEMBERS {
        let mut member = Metered::at(&mut *file, offset, what)?;
        let mut is_signature = false;
        let inflated = member.inflate(limits.max_signatures, what, "the signature member");
        tar::each(inflated, what, limits, &mut |item, content| {
            if !item.name.starts_with(PREFIX) {
                // Everything of a signature member is a signature; anything else begins the next part.
                return match is_signature {
                    true => Err(Error::malformed(what, "signatures and other entries share a member")),
                    false => Ok(ControlFlow::Break(())),
                };
            }
            is_signature = true;
            let bytes = read_all(content, MAX_SIGNATURE, what, "a signature")?;
            signatures.push(&item.name, bytes);
            Ok(ControlFlow::Continue(()))
        })?;
        if !is_signature {
            return Ok((signatures, offset));
        }
        offset = member.offset();
    }
    Err(Error::limit(what, "the number of signature members", MAX_MEMBERS as u64))
}

impl Signatures {
    fn push(&mut self, name: &[u8], bytes: Vec<u8>) {
        let text = String::from_utf8_lossy(name.strip_prefix(PREFIX).unwrap_or(name)).into_owned();
        let (algorithm, key) = text.split_once('.').unwrap_or((&text, ""));
        let hash = match algorithm {
            "RSA" => Hash::Sha1,
            "RSA256" => Hash::Sha256,
            "RSA512" => Hash::Sha512,
            _ => return self.other.push(format!("{} ({})", key.escape_debug(), algorithm.escape_debug())),
        };
        self.usable.push(Signature { hash, key: key.to_owned(), bytes });
    }

    /// Which digests checking them needs.
    pub(crate) fn hashes(&self) -> Vec<Hash> {
        let mut hashes: Vec<Hash> = Vec::new();
        for signature in &self.usable {
            if !hashes.contains(&signature.hash) {
                hashes.push(signature.hash);
            }
        }
        hashes
    }

    /// One good signature by one of the keys is enough. apk finds the key by its file name, and so does this.
    pub(crate) fn verify(&self, what: &str, digests: &Digests, keys: &Keyring) -> Result<Verified, Error> {
        if self.usable.is_empty() && self.other.is_empty() {
            return Err(Error::Unsigned { what: what.to_owned() });
        }
        let mut bad = None;
        for signature in &self.usable {
            for key in keys.named(&signature.key) {
                if key.verify_digest(signature.hash, digests.get(signature.hash), &signature.bytes) {
                    return Ok(Verified::by(key));
                }
                bad = Some(key.name.clone());
            }
        }
        match bad {
            Some(key) => Err(Error::BadSignature { what: what.to_owned(), key }),
            None => {
                let names = self.usable.iter().map(|s| s.key.escape_debug().to_string());
                Err(Error::UnknownKey {
                    what: what.to_owned(),
                    names: names.chain(self.other.iter().cloned()).collect(),
                })
            }
        }
    }
}

/// The signature member for a compressed member: RSA with SHA-256, which apk 2.12 and later accept.
pub(crate) fn member(signed: &[u8], key: &SecretKey, mtime: u64, what: &str) -> Result<Vec<u8>, Error> {
    let public = key.public();
    if public.kind() != "rsa" {
        let reason = format!("apk v2 files are signed by RSA keys, and {} is {}", public.name, public.kind());
        return Err(Error::Unwritable { what: what.to_owned(), reason });
    }
    let bytes = key.sign(Hash::Sha256, signed)?;
    let name = [PREFIX, b"RSA256.", public.name.as_bytes()].concat();
    let item = file(name, 0o644, mtime, bytes.len() as u64);
    gzip::pack(what, |out| tar_write::append(out, &item, &mut bytes.as_slice(), what))
}

/// A root-owned regular file for the metadata members.
pub(crate) fn file(name: Vec<u8>, mode: u32, mtime: u64, size: u64) -> Item {
    Item {
        name,
        kind: ItemKind::File,
        link: Vec::new(),
        mode,
        uid: 0,
        gid: 0,
        user: "root".to_owned(),
        group: "root".to_owned(),
        mtime,
        size,
        device: (0, 0),
        xattrs: Vec::new(),
        sha1: None,
    }
}
