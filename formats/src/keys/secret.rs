//! Secret keys, for feeds that are made here: fixtures, demonstrations, re-packed packages. Never asks for a passphrase.

use p256::ecdsa::SigningKey;
use p256::ecdsa::signature::hazmat::PrehashSigner as _;
use p256::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _};
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::rsa::KeyPair as RsaKeyPair;
use ring::signature::{KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA512};
use rsa::pkcs1::DecodeRsaPublicKey as _;

use super::{Hash, PublicKey, pem, usign};
use crate::Error;

/// A key that signs.
pub struct SecretKey {
    kind: Kind,
    public: PublicKey,
}

enum Kind {
    Rsa(Box<RsaKeyPair>),
    P256(SigningKey),
    Ed25519(usign::Pair),
}

impl SecretKey {
    /// Reads a key file without passphrase: PEM (PKCS#8, PKCS#1 `RSA PRIVATE KEY`, SEC1 `EC PRIVATE KEY`) or usign's two lines.
    ///
    /// `name` is the secret file's; the public key is called the same with `.pub` behind, as abuild does it.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self, Error> {
        let bad = |reason: &str| Error::BadKey { name: name.to_owned(), reason: reason.to_owned() };
        if bytes.len() > pem::MAX_KEY_FILE {
            return Err(bad("larger than 64 KiB"));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| bad("not text"))?;
        if !text.contains("-----BEGIN ") {
            return usign::Pair::parse(text).map(|pair| Self::from_usign(name, pair)).map_err(|reason| bad(&reason));
        }
        // openssl writes the curve's parameters before the key itself.
        let text = text.find("-----BEGIN EC PRIVATE").map_or(text, |at| text.get(at..).unwrap_or(text));
        let (label, der) = pem::decode(text).ok_or_else(|| bad("broken PEM"))?;
        let rejected = |e: ring::error::KeyRejected| bad(&e.to_string());
        match label {
            "PRIVATE KEY" => match p256::SecretKey::from_pkcs8_der(&der) {
                Ok(key) => Ok(Self::from_p256(name, key.into())),
                Err(_) => Self::from_rsa(name, RsaKeyPair::from_pkcs8(&der).map_err(rejected)?),
            },
            "RSA PRIVATE KEY" => Self::from_rsa(name, RsaKeyPair::from_der(&der).map_err(rejected)?),
            "EC PRIVATE KEY" => match p256::SecretKey::from_sec1_der(&der) {
                Ok(key) => Ok(Self::from_p256(name, key.into())),
                Err(_) => Err(bad("no P-256 key")),
            },
            other => Err(bad(&format!("it holds a `{other}`"))),
        }
    }

    /// Makes a new P-256 key.
    pub fn generate_p256(name: &str) -> Result<Self, Error> {
        let bad = || Error::BadKey { name: name.to_owned(), reason: "the system gives no random numbers".to_owned() };
        let random = SystemRandom::new();
        // A draw is no valid scalar once in 2^32 draws.
        for _ in 0..4 {
            let mut bytes = [0; 32];
            random.fill(&mut bytes).map_err(|_| bad())?;
            if let Ok(key) = SigningKey::from_slice(&bytes) {
                return Ok(Self::from_p256(name, key));
            }
        }
        Err(bad())
    }

    /// Makes a new Ed25519 key with a fingerprint of its own, as `usign -G` does.
    pub fn generate_usign(name: &str) -> Result<Self, Error> {
        let pair = usign::Pair::generate().ok_or_else(|| Error::BadKey {
            name: name.to_owned(),
            reason: "the system gives no random numbers".to_owned(),
        })?;
        Ok(Self::from_usign(name, pair))
    }

    fn from_usign(name: &str, pair: usign::Pair) -> Self {
        let public = PublicKey::from_ed25519(&public_name(name), pair.id(), pair.public());
        Self { kind: Kind::Ed25519(pair), public }
    }

    fn from_p256(name: &str, key: SigningKey) -> Self {
        let public = PublicKey::from_p256(&public_name(name), *key.verifying_key());
        Self { kind: Kind::P256(key), public }
    }

    fn from_rsa(name: &str, key: RsaKeyPair) -> Result<Self, Error> {
        let public = rsa::RsaPublicKey::from_pkcs1_der(key.public_key().as_ref())
            .map_err(|e| Error::BadKey { name: name.to_owned(), reason: e.to_string() })?;
        let public = PublicKey::from_rsa(&public_name(name), public)?;
        Ok(Self { kind: Kind::Rsa(Box::new(key)), public })
    }

    /// What others need to check this key's signatures.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs a message. ring makes no SHA-1 signatures, and neither does this. Ed25519 has its own digest and ignores `hash`.
    pub fn sign(&self, hash: Hash, message: &[u8]) -> Result<Vec<u8>, Error> {
        let bad = |reason: &str| Error::BadKey { name: self.public.name.clone(), reason: reason.to_owned() };
        match &self.kind {
            Kind::Rsa(key) => {
                let padding: &dyn ring::signature::RsaEncoding = match hash {
                    Hash::Sha1 => return Err(bad("SHA-1 signatures are no longer made")),
                    Hash::Sha256 => &RSA_PKCS1_SHA256,
                    Hash::Sha512 => &RSA_PKCS1_SHA512,
                };
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(padding, &SystemRandom::new(), message, &mut signature).map_err(|_| bad("signing failed"))?;
                Ok(signature)
            }
            Kind::P256(key) => {
                let signature: p256::ecdsa::Signature =
                    key.sign_prehash(&hash.of(message)).map_err(|_| bad("signing failed"))?;
                Ok(signature.to_der().as_bytes().to_vec())
            }
            Kind::Ed25519(pair) => Ok(pair.sign(message)),
        }
    }

    /// The key as a file, PKCS#8 PEM or usign's two lines; `None` for RSA, whose secret parts ring does not give back.
    pub fn to_pem(&self) -> Option<String> {
        match &self.kind {
            Kind::Rsa(_) => None,
            Kind::P256(key) => key.to_pkcs8_der().ok().map(|der| pem::encode("PRIVATE KEY", der.as_bytes())),
            Kind::Ed25519(pair) => Some(pair.to_text()),
        }
    }
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SecretKey(of {:?})", self.public)
    }
}

fn public_name(secret: &str) -> String {
    match secret.strip_suffix(".pub") {
        Some(_) => secret.to_owned(),
        None => format!("{secret}.pub"),
    }
}
