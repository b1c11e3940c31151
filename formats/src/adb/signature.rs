//! Signatures of ADB files: checking them against keys and making them. Says who signed; whether that key may vouch for a
//! source is the keyring's matter.

use xpkg_model::identity::hex;

use super::Schema;
use crate::Error;
use crate::keys::{Hash, Keyring, SecretKey, Verified};

/// Version, digest and key id before the signature itself.
const HEADER: usize = 18;
/// apk's number for SHA-512, the only digest it signs with.
const SHA512: u8 = 4;

/// What a signature is over: the schema, the signature's own header, and the digest of the ADB payload.
fn message(schema: Schema, header: &[u8; HEADER], digest: &[u8]) -> Vec<u8> {
    [&schema.bytes()[..], header, digest].concat()
}

/// Checks the payloads of all signature blocks. `digest` is the ADB payload's SHA-512. One good signature is enough.
pub(crate) fn verify(
    what: &str,
    schema: Schema,
    digest: &[u8],
    signatures: &[Vec<u8>],
    keys: &Keyring,
) -> Result<Verified, Error> {
    let mut unknown = Vec::new();
    let mut wrong = None;
    for block in signatures {
        let Some((header, signature)) = block.split_first_chunk::<HEADER>() else {
            return Err(Error::malformed(what, "a signature block is too short"));
        };
        let [version, hash, id @ ..] = *header;
        if version != 0 || hash != SHA512 {
            unknown.push(format!("{} (of the unknown kind {version}.{hash})", hex(&id)));
            continue;
        }
        let message = message(schema, header, digest);
        let mut known = false;
        // apk v3 has no Ed25519 signatures; a usign key of the same id would be an accident.
        for key in keys.with_id(id).filter(|key| key.usign_id().is_none()) {
            known = true;
            if key.verify(Hash::Sha512, &message, signature) {
                return Ok(Verified::by(key));
            }
            wrong = Some(key.name.clone());
        }
        if !known {
            unknown.push(hex(&id));
        }
    }
    match wrong {
        Some(key) => Err(Error::BadSignature { what: what.to_owned(), key }),
        None if signatures.is_empty() => Err(Error::Unsigned { what: what.to_owned() }),
        None => Err(Error::UnknownKey { what: what.to_owned(), names: unknown }),
    }
}

/// The payload of a signature block.
pub(crate) fn sign(schema: Schema, digest: &[u8], key: &SecretKey) -> Result<Vec<u8>, Error> {
    let mut header = [0; HEADER];
    let [_, hash, id @ ..] = &mut header;
    *hash = SHA512;
    *id = key.public().id();
    let signature = key.sign(Hash::Sha512, &message(schema, &header, digest))?;
    Ok([&header[..], &signature].concat())
}
