//! A whole ADB file: opened up to where its data begin, digests computed on the way. Values are not looked at here, so
//! signatures can be checked before anything is parsed.

use std::io::{Cursor, Read, Seek, Write};

use ring::digest::{Context, SHA256, SHA512};

use super::block::{self, Block, Blocks, Kind};
use super::envelope::{self, Compression, Plain};
use super::heap::Heap;
use super::{Schema, signature, store};
use crate::keys::{Keyring, SecretKey, Verified};
use crate::{Error, Limits};

/// An opened ADB file.
pub(crate) struct Container {
    what: String,
    schema: Schema,
    pub(crate) heap: Heap,
    /// SHA-256 of the ADB payload: what indexes know a package by.
    pub(crate) identity: [u8; 32],
    sha512: Vec<u8>,
    signatures: Vec<Vec<u8>>,
}

impl Container {
    /// Reads up to the first data block. `most` bounds the ADB payload.
    pub(crate) fn read(
        file: &mut (impl Read + Seek),
        what: &str,
        schema: Schema,
        most: u64,
        limits: &Limits,
    ) -> Result<Self, Error> {
        let mut blocks = Blocks::open(Plain::open(file, what)?, what, schema)?;
        let Some(Block { kind: Kind::Adb, len }) = blocks.next_block()? else {
            return Err(Error::malformed(what, "its first block is not the ADB block"));
        };
        if len > most {
            return Err(Error::limit(what, "the ADB block", most));
        }
        let (mut sha256, mut sha512) = (Context::new(&SHA256), Context::new(&SHA512));
        let kept = store::keep(&mut blocks, len, &mut |part| {
            sha256.update(part);
            sha512.update(part);
        });
        let heap = Heap::open(kept.map_err(|e| Error::io(what, e))?, what)?;
        let mut identity = [0; 32];
        identity.iter_mut().zip(sha256.finish().as_ref()).for_each(|(to, from)| *to = *from);
        let sha512 = sha512.finish().as_ref().to_vec();
        let mut signatures = Vec::new();
        let mut left = limits.max_signatures;
        while let Some(block) = blocks.next_block()? {
            if block.kind == Kind::Data {
                if schema == Schema::Index {
                    return Err(Error::malformed(what, "an index with data blocks"));
                }
                break;
            }
            // Empty blocks cost too, or a file could hold any number of them.
            let cost = block.len.saturating_add(8);
            left = left
                .checked_sub(cost)
                .ok_or_else(|| Error::limit(what, "the signatures together", limits.max_signatures))?;
            let mut payload = Vec::new();
            blocks.read_to_end(&mut payload).map_err(|e| Error::io(what, e))?;
            signatures.push(payload);
        }
        Ok(Self { what: what.to_owned(), schema, heap, identity, sha512, signatures })
    }

    /// Checks the signatures.
    pub(crate) fn verify(&self, keys: &Keyring) -> Result<Verified, Error> {
        signature::verify(&self.what, self.schema, &self.sha512, &self.signatures, keys)
    }

    /// The name that messages call the file by.
    pub(crate) fn what(&self) -> &str {
        &self.what
    }
}

/// The blocks of a file again, from its first byte on.
pub(crate) fn blocks<'w, R: Read + Seek>(
    file: R,
    what: &'w str,
    schema: Schema,
) -> Result<Blocks<'w, Plain<R>>, Error> {
    Blocks::open(Plain::open(file, what)?, what, schema)
}

/// Writes a file: header, ADB block, signatures, then `data`, which holds whole data blocks.
pub(crate) fn write(
    out: &mut dyn Write,
    what: &str,
    schema: Schema,
    adb: &[u8],
    key: Option<&SecretKey>,
    data: impl Read,
    compression: Compression,
) -> Result<(), Error> {
    let digest = ring::digest::digest(&SHA512, adb);
    let head = [b"ADB.".as_slice(), &schema.bytes(), &block::header(Kind::Adb, adb.len() as u64)].concat();
    let mut rest = block::padding(adb.len() as u64).to_vec();
    if let Some(key) = key {
        let payload = signature::sign(schema, digest.as_ref(), key)?;
        let len = payload.len() as u64;
        rest.extend(block::header(Kind::Signature, len));
        rest.extend(payload);
        rest.extend(block::padding(len));
    }
    let plain = Cursor::new(head).chain(adb).chain(Cursor::new(rest)).chain(data);
    envelope::write(plain, out, compression).map_err(|e| Error::io(what, e))
}
