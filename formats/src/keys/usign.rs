//! usign's files, which are signify's: a comment line and a line of base64. Keys, and detached signatures over a whole
//! message. Decides nothing about whose key may sign what.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use xpkg_model::identity::hex;

use super::{Hash, Keyring, PublicKey, SecretKey, Verified};
use crate::Error;

/// The only algorithm there is.
pub(super) const ALGORITHM: &[u8] = b"Ed";
/// How a secret key would be derived from a passphrase.
const KDF: &[u8] = b"BK";
/// Signature files have some 150 bytes.
const MAX_SIGNATURE_FILE: usize = 4096;
const COMMENT: &str = "untrusted comment:";

/// The bytes of the first line that is no comment.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let line = text.lines().find(|line| !line.starts_with(COMMENT) && !line.trim().is_empty())?;
    STANDARD.decode(line.trim()).ok()
}

pub(super) fn encode(comment: &str, bytes: &[u8]) -> String {
    format!("{COMMENT} {comment}\n{}\n", STANDARD.encode(bytes))
}

/// A detached signature: who made it, and the signature itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Fingerprint of the key.
    pub key: [u8; 8],
    bytes: [u8; 64],
}

impl Signature {
    /// Reads a signature file. `what` names it in messages.
    pub fn parse(what: &str, file: &[u8]) -> Result<Self, Error> {
        let bad = || Error::malformed(what, "not a usign signature");
        if file.len() > MAX_SIGNATURE_FILE {
            return Err(Error::limit(what, "the file", MAX_SIGNATURE_FILE as u64));
        }
        let bytes = std::str::from_utf8(file).ok().and_then(decode).ok_or_else(bad)?;
        let rest = bytes.strip_prefix(ALGORITHM).ok_or_else(bad)?;
        let (key, rest) = rest.split_first_chunk::<8>().ok_or_else(bad)?;
        Ok(Self { key: *key, bytes: rest.try_into().map_err(|_| bad())? })
    }

    /// The keys that it may be checked with; an error when there are none.
    pub fn known<'a>(&self, what: &str, keys: &'a Keyring) -> Result<Vec<&'a PublicKey>, Error> {
        let known: Vec<_> = keys.with_usign_id(self.key).collect();
        match known.is_empty() {
            false => Ok(known),
            true => Err(Error::UnknownKey { what: what.to_owned(), names: vec![hex(&self.key)] }),
        }
    }

    /// Checks it over a message; `what` names the signed file.
    pub fn verify(&self, what: &str, keys: &Keyring, message: &[u8]) -> Result<Verified, Error> {
        self.known(what, keys)?
            .into_iter()
            .find(|key| key.verify(Hash::Sha512, message, &self.bytes))
            .map(Verified::by)
            .ok_or_else(|| Error::BadSignature { what: what.to_owned(), key: hex(&self.key) })
    }
}

/// Signs a message: the text of a `.sig` file, worded as usign words it.
pub fn sign(key: &SecretKey, message: &[u8]) -> Result<String, Error> {
    let public = key.public();
    let id = public.usign_id().ok_or_else(|| Error::BadKey {
        name: public.name.clone(),
        reason: format!("opkg's feeds are signed by usign keys, and this is {}", public.kind()),
    })?;
    let bytes = [ALGORITHM, &id, &key.sign(Hash::Sha512, message)?].concat();
    Ok(encode(&format!("signed by key {}", hex(&id)), &bytes))
}

/// A secret key and its fingerprint.
pub(super) struct Pair {
    pair: Ed25519KeyPair,
    seed: [u8; 32],
    id: [u8; 8],
    salt: [u8; 16],
}

impl Pair {
    /// Reads a secret key that no passphrase protects: algorithm, derivation, rounds, salt, checksum, fingerprint, and the
    /// seed with its public half (signify's `enckey`).
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let bad = || "neither PEM nor a usign key".to_owned();
        let bytes = decode(text).filter(|bytes| bytes.len() == 104).ok_or_else(bad)?;
        let rest = bytes.strip_prefix(ALGORITHM).and_then(|rest| rest.strip_prefix(KDF)).ok_or_else(bad)?;
        let (rounds, rest) = rest.split_first_chunk::<4>().ok_or_else(bad)?;
        if *rounds != [0; 4] {
            return Err("it is protected by a passphrase".to_owned());
        }
        let (salt, rest) = rest.split_first_chunk::<16>().ok_or_else(bad)?;
        let (checksum, rest) = rest.split_first_chunk::<8>().ok_or_else(bad)?;
        let (id, secret) = rest.split_first_chunk::<8>().ok_or_else(bad)?;
        if !Hash::Sha512.of(secret).starts_with(checksum) {
            return Err("its checksum is wrong".to_owned());
        }
        let (seed, public) = secret.split_first_chunk::<32>().ok_or_else(bad)?;
        let pair = Ed25519KeyPair::from_seed_and_public_key(seed, public).map_err(|e| e.to_string())?;
        Ok(Self { pair, seed: *seed, id: *id, salt: *salt })
    }

    pub(super) fn generate() -> Option<Self> {
        let random = SystemRandom::new();
        let (mut seed, mut id, mut salt) = ([0; 32], [0; 8], [0; 16]);
        random.fill(&mut seed).and_then(|()| random.fill(&mut id)).and_then(|()| random.fill(&mut salt)).ok()?;
        Some(Self { pair: Ed25519KeyPair::from_seed_unchecked(&seed).ok()?, seed, id, salt })
    }

    pub(super) fn id(&self) -> [u8; 8] {
        self.id
    }

    pub(super) fn public(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }

    pub(super) fn to_text(&self) -> String {
        let secret = [&self.seed, self.public()].concat();
        let checksum: Vec<u8> = Hash::Sha512.of(&secret).into_iter().take(8).collect();
        let bytes = [ALGORITHM, KDF, &[0; 4], &self.salt, &checksum, &self.id, &secret].concat();
        encode(&format!("private key {}", hex(&self.id)), &bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_signatures_round_trip() {
        let secret = SecretKey::generate_usign("feed").unwrap();
        let text = secret.to_pem().unwrap();
        let again = SecretKey::parse("feed", text.as_bytes()).unwrap();
        assert_eq!(again.public(), secret.public());
        assert_eq!(PublicKey::parse("feed.pub", secret.public().to_pem().as_bytes()).unwrap(), *secret.public());
        let signed = sign(&again, b"message").unwrap();
        let signature = Signature::parse("x.sig", signed.as_bytes()).unwrap();
        let keys: Keyring = [secret.public().clone()].into_iter().collect();
        assert!(signature.verify("x", &keys, b"message").is_ok());
        assert!(matches!(signature.verify("x", &keys, b"massage"), Err(Error::BadSignature { .. })));
        assert!(matches!(signature.verify("x", &Keyring::new(), b"message"), Err(Error::UnknownKey { .. })));
        assert!(sign(&SecretKey::generate_p256("p").unwrap(), b"m").is_err());
    }

    #[test]
    fn broken_files_are_refused() {
        let secret = SecretKey::generate_usign("feed").unwrap();
        let text = secret.to_pem().unwrap();
        let mut bytes = decode(&text).unwrap();
        assert_eq!(bytes.len(), 104);
        for (at, reason) in [(7, "passphrase"), (25, "checksum"), (0, "neither"), (50, "checksum")] {
            bytes[at] ^= 1;
            let e = SecretKey::parse("x", encode("c", &bytes).as_bytes()).unwrap_err().to_string();
            assert!(e.contains(reason), "{at}: {e}");
            bytes[at] ^= 1;
        }
        for bad in ["", "untrusted comment: x\n", "untrusted comment: x\nRWQ=\n", "!!\n"] {
            assert!(Signature::parse("x", bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert!(Signature::parse("x", text.as_bytes()).is_err());
    }
}
