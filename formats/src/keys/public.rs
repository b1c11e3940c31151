//! Public keys: reading them, naming them, and checking one signature.

use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use p256::pkcs8::{DecodePublicKey as _, EncodePublicKey as _};
use ring::digest;
use rsa::pkcs1::EncodeRsaPublicKey as _;
use rsa::traits::PublicKeyParts as _;
use xpkg_model::identity::hex;

use super::{Hash, pem, usign};
use crate::Error;

/// RSA keys shorter than this are refused. Every key that Alpine ever shipped has 2048 or 4096 bits.
const MIN_RSA_BITS: usize = 2048;

/// A key that may vouch for files.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// File name: what apk v2 signatures call the key by.
    pub name: String,
    kind: Kind,
    /// The bytes that apk hashes for the key's id: `RSAPublicKey` DER, uncompressed point, or the Ed25519 key.
    raw: Vec<u8>,
}

#[derive(Clone, PartialEq, Eq)]
enum Kind {
    Rsa(Box<rsa::RsaPublicKey>),
    P256(p256::ecdsa::VerifyingKey),
    Ed25519 { usign_id: [u8; 8] },
}

impl PublicKey {
    /// Reads a key file: PEM (RSA or NIST P-256, whatever stands before it is skipped), or usign's two lines.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self, Error> {
        let bad = |reason: &str| Error::BadKey { name: name.to_owned(), reason: reason.to_owned() };
        if bytes.len() > pem::MAX_KEY_FILE {
            return Err(bad("larger than 64 KiB"));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| bad("not text"))?;
        if !text.contains("-----BEGIN ") {
            return Self::parse_usign(name, text).ok_or_else(|| bad("neither PEM nor a usign key"));
        }
        let (label, der) = pem::decode(text).ok_or_else(|| bad("broken PEM"))?;
        if label != "PUBLIC KEY" {
            return Err(bad(&format!("it holds a `{label}`, not a `PUBLIC KEY`")));
        }
        if let Ok(key) = rsa::RsaPublicKey::from_public_key_der(&der) {
            return Self::from_rsa(name, key);
        }
        match p256::PublicKey::from_public_key_der(&der) {
            Ok(key) => Ok(Self::from_p256(name, key.into())),
            Err(_) => Err(bad("neither an RSA key of at most 4096 bits nor a P-256 key")),
        }
    }

    pub(super) fn from_rsa(name: &str, key: rsa::RsaPublicKey) -> Result<Self, Error> {
        let bad = |reason: String| Error::BadKey { name: name.to_owned(), reason };
        let bits = key.n().bits();
        if bits < MIN_RSA_BITS {
            return Err(bad(format!("an RSA key of {bits} bits; at least {MIN_RSA_BITS} are needed")));
        }
        let raw = key.to_pkcs1_der().map_err(|e| bad(e.to_string()))?.into_vec();
        Ok(Self { name: name.to_owned(), kind: Kind::Rsa(Box::new(key)), raw })
    }

    pub(super) fn from_p256(name: &str, key: p256::ecdsa::VerifyingKey) -> Self {
        let raw = key.to_encoded_point(false).as_bytes().to_vec();
        Self { name: name.to_owned(), kind: Kind::P256(key), raw }
    }

    fn parse_usign(name: &str, text: &str) -> Option<Self> {
        let bytes: [u8; 42] = usign::decode(text)?.try_into().ok()?;
        let rest = bytes.strip_prefix(usign::ALGORITHM)?;
        let (id, raw) = rest.split_first_chunk::<8>()?;
        Some(Self::from_ed25519(name, *id, raw))
    }

    pub(super) fn from_ed25519(name: &str, usign_id: [u8; 8], raw: &[u8]) -> Self {
        Self { name: name.to_owned(), kind: Kind::Ed25519 { usign_id }, raw: raw.to_vec() }
    }

    /// `rsa`, `p256` or `ed25519`.
    pub fn kind(&self) -> &'static str {
        match self.kind {
            Kind::Rsa(_) => "rsa",
            Kind::P256(_) => "p256",
            Kind::Ed25519 { .. } => "ed25519",
        }
    }

    /// SHA-256 of the raw key, in hex: what a person compares.
    pub fn fingerprint(&self) -> String {
        hex(digest::digest(&digest::SHA256, &self.raw).as_ref())
    }

    /// What apk v3 signatures name their key by: the first 16 bytes of the raw key's SHA-512.
    pub fn id(&self) -> [u8; 16] {
        let full = digest::digest(&digest::SHA512, &self.raw);
        let mut id = [0; 16];
        id.iter_mut().zip(full.as_ref()).for_each(|(to, from)| *to = *from);
        id
    }

    /// The eight bytes that usign names its keys by.
    pub fn usign_id(&self) -> Option<[u8; 8]> {
        match self.kind {
            Kind::Ed25519 { usign_id } => Some(usign_id),
            _ => None,
        }
    }

    /// Whether `signature` is this key's over a message whose digest is given. Never for Ed25519, which takes messages only.
    pub fn verify_digest(&self, hash: Hash, digest: &[u8], signature: &[u8]) -> bool {
        if digest.len() != hash.algorithm().output_len() {
            return false;
        }
        match &self.kind {
            Kind::Rsa(key) => {
                let padding = rsa::Pkcs1v15Sign { hash_len: Some(digest.len()), prefix: prefix(hash).into() };
                key.verify(padding, digest, signature).is_ok()
            }
            Kind::P256(key) => p256::ecdsa::Signature::from_der(signature)
                .is_ok_and(|signature| key.verify_prehash(digest, &signature).is_ok()),
            Kind::Ed25519 { .. } => false,
        }
    }

    /// Whether `signature` is this key's over a message. Ed25519 has its own digest and ignores `hash`.
    pub fn verify(&self, hash: Hash, message: &[u8], signature: &[u8]) -> bool {
        match self.kind {
            Kind::Ed25519 { .. } => ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, &self.raw)
                .verify(message, signature)
                .is_ok(),
            _ => self.verify_digest(hash, &hash.of(message), signature),
        }
    }

    /// The key as a file: PEM, or usign's two lines.
    pub fn to_pem(&self) -> String {
        let der = match &self.kind {
            Kind::Rsa(key) => key.to_public_key_der(),
            Kind::P256(key) => key.to_public_key_der(),
            Kind::Ed25519 { usign_id } => {
                let bytes = [usign::ALGORITHM, usign_id, &self.raw].concat();
                return usign::encode(&format!("public key {}", hex(usign_id)), &bytes);
            }
        };
        // Both encoders only fail on lengths that no key reaches.
        der.map(|der| pem::encode("PUBLIC KEY", der.as_bytes())).unwrap_or_default()
    }
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PublicKey({} {} {})", self.name, self.kind(), self.fingerprint())
    }
}

/// DER of `DigestInfo` up to the digest itself: RFC 8017, section 9.2, note 1.
fn prefix(hash: Hash) -> &'static [u8] {
    match hash {
        Hash::Sha1 => b"\x30\x21\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00\x04\x14",
        Hash::Sha256 => b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20",
        Hash::Sha512 => b"\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40",
    }
}
