//! What makes one package file that package: the digest its index vouches for.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// A package's identity. The families never compare equal with each other.
///
/// The text form is stable and goes into state files: `sha1:…`, `sha256:…`, `sha256-160:…`, `file:…` (hex).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Identity {
    /// apk v2: SHA-1 of the compressed control member.
    ApkSha1([u8; 20]),
    /// apk v3: SHA-256 of the ADB block's payload.
    ApkSha256([u8; 32]),
    /// apk v3 as the installed database and short indexes keep it: the first 20 bytes.
    ApkSha256Short([u8; 20]),
    /// A whole file's SHA-256 (ipk).
    File([u8; 32]),
}

impl Identity {
    /// The 20 bytes that apk's databases store.
    pub fn prefix(&self) -> [u8; 20] {
        match self {
            Self::ApkSha1(b) | Self::ApkSha256Short(b) => *b,
            Self::ApkSha256(b) | Self::File(b) => std::array::from_fn(|i| b[i]),
        }
    }

    /// apk's text form: `Q1` and 20 bytes in base64.
    pub fn to_q1(&self) -> String {
        q1(&self.prefix())
    }

    /// Same package, as far as both sides know: a short v3 identity equals the long one it begins.
    pub fn matches(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::ApkSha256(_), Self::ApkSha256Short(_)) | (Self::ApkSha256Short(_), Self::ApkSha256(_)) => {
                self.prefix() == other.prefix()
            }
            _ => self == other,
        }
    }

    /// Lower-case hex of all bytes.
    pub fn hex(&self) -> String {
        match self {
            Self::ApkSha1(b) | Self::ApkSha256Short(b) => hex(b),
            Self::ApkSha256(b) | Self::File(b) => hex(b),
        }
    }
}

/// `Q1` text of 20 bytes, as apk writes SHA-1 and shortened SHA-256 digests.
pub fn q1(bytes: &[u8; 20]) -> String {
    format!("Q1{}", STANDARD.encode(bytes))
}

/// Reads `Q1…`.
pub fn parse_q1(text: &str) -> Option<[u8; 20]> {
    STANDARD.decode(text.strip_prefix("Q1")?).ok()?.try_into().ok()
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, b| {
        let _ = write!(out, "{b:02x}");
        out
    })
}

/// Reads hex of exactly `N` bytes.
pub fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let text = text.as_bytes();
    if text.len() != N * 2 {
        return None;
    }
    let digit = |c: u8| (c as char).to_digit(16);
    let mut out = [0; N];
    for (byte, pair) in out.iter_mut().zip(text.chunks_exact(2)) {
        *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
    }
    Some(out)
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = match self {
            Self::ApkSha1(_) => "sha1",
            Self::ApkSha256(_) => "sha256",
            Self::ApkSha256Short(_) => "sha256-160",
            Self::File(_) => "file",
        };
        write!(f, "{family}:{}", self.hex())
    }
}

impl FromStr for Identity {
    type Err = BadIdentity;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let bad = || BadIdentity(s.to_owned());
        let (family, text) = s.split_once(':').ok_or_else(bad)?;
        match family {
            "sha1" => parse_hex(text).map(Self::ApkSha1),
            "sha256" => parse_hex(text).map(Self::ApkSha256),
            "sha256-160" => parse_hex(text).map(Self::ApkSha256Short),
            "file" => parse_hex(text).map(Self::File),
            _ => None,
        }
        .ok_or_else(bad)
    }
}

impl TryFrom<String> for Identity {
    type Error = BadIdentity;

    fn try_from(value: String) -> Result<Self, Self::Error> {
        value.parse()
    }
}

impl From<Identity> for String {
    fn from(value: Identity) -> Self {
        value.to_string()
    }
}

/// Text that is no identity.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a package identity")]
pub struct BadIdentity(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_forms_round_trip() {
        for id in [Identity::ApkSha1([7; 20]), Identity::ApkSha256([9; 32]), Identity::ApkSha256Short([9; 20])] {
            assert_eq!(id.to_string().parse::<Identity>().unwrap(), id);
            assert_eq!(parse_q1(&id.to_q1()), Some(id.prefix()));
        }
        assert!(Identity::ApkSha256([9; 32]).matches(&Identity::ApkSha256Short([9; 20])));
        assert!(!Identity::ApkSha1([9; 20]).matches(&Identity::ApkSha256Short([9; 20])));
    }
}
