//! Keys: who may vouch for a file, and the making of signatures. Knows no file names, no sources and no trust decisions.
//!
//! Digests come from ring; RSA verification takes a digest that was computed while the file streamed by, which ring's
//! interface does not offer, so it is `rsa`'s (public operation only). Private RSA operations are ring's.

mod pem;
mod public;
mod secret;
pub mod usign;

use ring::digest;

pub use public::PublicKey;
pub use secret::SecretKey;

/// Which digest a signature is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hash {
    /// apk v2's `RSA`.
    Sha1,
    /// apk v2's `RSA256`.
    Sha256,
    /// apk v2's `RSA512`, and every apk v3 signature.
    Sha512,
}

impl Hash {
    /// ring's name for it.
    pub(crate) fn algorithm(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
            Self::Sha512 => &digest::SHA512,
        }
    }

    /// A digest of what comes piece by piece.
    pub fn begin(self) -> Digest {
        Digest(digest::Context::new(self.algorithm()))
    }

    /// The digest of a short message.
    pub fn of(self, message: &[u8]) -> Vec<u8> {
        digest::digest(self.algorithm(), message).as_ref().to_vec()
    }
}

/// A digest being computed.
pub struct Digest(digest::Context);

impl Digest {
    /// Adds a piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The digest of everything added.
    pub fn finish(self) -> Vec<u8> {
        self.0.finish().as_ref().to_vec()
    }
}

/// Proof that a key of the keyring signed a file: only a successful verification makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// The key's name.
    pub key: String,
    /// Its fingerprint.
    pub fingerprint: String,
}

impl Verified {
    pub(crate) fn by(key: &PublicKey) -> Self {
        Self { key: key.name.clone(), fingerprint: key.fingerprint() }
    }
}

/// The keys that may vouch for one source.
#[derive(Clone, Debug, Default)]
pub struct Keyring(Vec<PublicKey>);

impl Keyring {
    /// No keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one.
    pub fn push(&mut self, key: PublicKey) {
        self.0.push(key);
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// In the order added.
    pub fn iter(&self) -> std::slice::Iter<'_, PublicKey> {
        self.0.iter()
    }

    /// The keys of that file name: apk v2 signatures name their key so.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a PublicKey> {
        self.0.iter().filter(move |key| key.name == name)
    }

    /// The keys of that id: apk v3 signatures name their key so.
    pub fn with_id(&self, id: [u8; 16]) -> impl Iterator<Item = &PublicKey> {
        self.0.iter().filter(move |key| key.id() == id)
    }

    /// The keys of that usign fingerprint.
    pub fn with_usign_id(&self, id: [u8; 8]) -> impl Iterator<Item = &PublicKey> {
        self.0.iter().filter(move |key| key.usign_id() == Some(id))
    }
}

impl FromIterator<PublicKey> for Keyring {
    fn from_iter<T: IntoIterator<Item = PublicKey>>(keys: T) -> Self {
        Self(keys.into_iter().collect())
    }
}

impl<'a> IntoIterator for &'a Keyring {
    type Item = &'a PublicKey;
    type IntoIter = std::slice::Iter<'a, PublicKey>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RSA: &str = include_str!("../../fixtures/keys/xpkg-fixture-0001.rsa");
    const RSA_PUB: &str = include_str!("../../fixtures/keys/xpkg-fixture-0001.rsa.pub");
    const P256_PUB: &str = include_str!("../../fixtures/keys/xpkg-fixture-0001.p256.pub");
    const P256: &str = include_str!("../../fixtures/keys/xpkg-fixture-0001.p256");

    #[test]
    fn signs_and_verifies_with_both_kinds() {
        for (secret, public) in [(RSA, RSA_PUB), (P256, P256_PUB)] {
            let secret = SecretKey::parse("k", secret.as_bytes()).unwrap();
            let public = PublicKey::parse("k.pub", format!("untrusted comment: x\n{public}").as_bytes()).unwrap();
            assert_eq!(secret.public().fingerprint(), public.fingerprint());
            assert_eq!(secret.public().name, "k.pub");
            assert_eq!(PublicKey::parse("k.pub", secret.public().to_pem().as_bytes()).unwrap(), public);
            for hash in [Hash::Sha256, Hash::Sha512] {
                let signature = secret.sign(hash, b"message").unwrap();
                assert!(public.verify(hash, b"message", &signature));
                assert!(public.verify_digest(hash, &hash.of(b"message"), &signature));
                assert!(!public.verify(hash, b"massage", &signature));
                assert!(!public.verify(Hash::Sha1, b"message", &signature));
            }
        }
    }

    #[test]
    fn generated_and_sec1_keys_work() {
        let secret = SecretKey::generate_p256("fresh").unwrap();
        let signature = secret.sign(Hash::Sha512, b"m").unwrap();
        assert!(secret.public().verify(Hash::Sha512, b"m", &signature));
        let again = SecretKey::parse("fresh", secret.to_pem().unwrap().as_bytes()).unwrap();
        assert_eq!(again.public(), secret.public());
    }

    #[test]
    fn usign_keys_are_read() {
        let text = "untrusted comment: OpenWrt usign key\nRWQKAAAAAAAAAAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n";
        match PublicKey::parse("0a", text.as_bytes()) {
            Ok(key) => assert_eq!((key.kind(), key.usign_id()), ("ed25519", Some([10, 0, 0, 0, 0, 0, 0, 0]))),
            Err(e) => panic!("{e}"),
        }
        assert!(PublicKey::parse("x", b"hello").is_err());
        assert!(PublicKey::parse("x", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n").is_err());
    }
}
