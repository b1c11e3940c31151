//! What can be wrong with a file: one enum for every reader and writer of this crate. Never decides what to do about it.

use std::io;

/// What a callback may fail with.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a file was refused. `what` names it as the caller did.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes do not follow the format.
    #[error("{what} is malformed: {reason}")]
    Malformed {
        /// The file.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// One entry of a package must not be put on a root.
    #[error("{what}: entry `{entry}` is refused: {reason}")]
    Entry {
        /// The package.
        what: String,
        /// The entry's name, escaped.
        entry: String,
        /// Why.
        reason: String,
    },
    /// Larger, or more of something, than is allowed.
    #[error("{what}: {part} exceeds the limit of {limit}")]
    Limit {
        /// The file.
        what: String,
        /// The part that is too large.
        part: String,
        /// The bound.
        limit: u64,
    },
    /// A digest that the file itself declares does not match its content.
    #[error("{what}: {part} does not match its digest (declared {expected}, found {found})")]
    Digest {
        /// The file.
        what: String,
        /// The part that the digest is of.
        part: String,
        /// Declared, in hex.
        expected: String,
        /// Computed, in hex.
        found: String,
    },
    /// No signature at all.
    #[error("{what} is not signed")]
    Unsigned {
        /// The file.
        what: String,
    },
    /// Signed, but by none of the keys given.
    #[error("{what} is signed by an unknown key: {}", names.join(", "))]
    UnknownKey {
        /// The file.
        what: String,
        /// What the signatures say of their keys.
        names: Vec<String>,
    },
    /// Signed in the name of a known key, but that key did not sign these bytes.
    #[error("{what}: the signature by {key} is wrong")]
    BadSignature {
        /// The file.
        what: String,
        /// The key's name.
        key: String,
    },
    /// A key file that cannot be used.
    #[error("key {name} cannot be used: {reason}")]
    BadKey {
        /// The key's name.
        name: String,
        /// Why.
        reason: String,
    },
    /// Something a writer was asked for cannot be expressed in the format.
    #[error("{what} cannot be written: {reason}")]
    Unwritable {
        /// The file.
        what: String,
        /// Why.
        reason: String,
    },
    /// Reading or writing failed.
    #[error("{what} could not be read or written")]
    Io {
        /// The file.
        what: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Whoever received the entries or packages stopped.
    #[error(transparent)]
    Receiver(BoxError),
}

impl Error {
    /// The bytes do not follow the format.
    pub fn malformed(what: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Malformed { what: what.into(), reason: reason.into() }
    }

    /// Larger than allowed.
    pub fn limit(what: impl Into<String>, part: impl Into<String>, limit: u64) -> Self {
        Self::Limit { what: what.into(), part: part.into(), limit }
    }

    /// An entry that must not be put on a root; its name is escaped.
    pub fn entry(what: impl Into<String>, name: &[u8], reason: impl Into<String>) -> Self {
        let entry = String::from_utf8_lossy(name).chars().take(256).collect::<String>().escape_debug().to_string();
        Self::Entry { what: what.into(), entry, reason: reason.into() }
    }

    /// A digest that does not match.
    pub fn digest(what: impl Into<String>, part: impl Into<String>, expected: &[u8], found: &[u8]) -> Self {
        let hex = xpkg_model::identity::hex;
        Self::Digest { what: what.into(), part: part.into(), expected: hex(expected), found: hex(found) }
    }

    /// What an I/O error means for a file: an [`Error`] that travelled inside it, a failure of the system, or (decoders
    /// report bad data as I/O errors without a system code) bytes that do not follow the format.
    pub fn io(what: impl Into<String>, source: io::Error) -> Self {
        match source.downcast::<Self>() {
            Ok(inner) => inner,
            Err(source) if source.raw_os_error().is_some() || source.kind() == io::ErrorKind::StorageFull => {
                Self::Io { what: what.into(), source }
            }
            Err(source) if source.kind() == io::ErrorKind::UnexpectedEof => Self::malformed(what, "it ends too early"),
            Err(source) => Self::malformed(what, source.to_string()),
        }
    }

    /// What a receiver's error means: an error of this crate that the receiver passed on stays itself.
    pub fn receiver(error: BoxError) -> Self {
        match error.downcast::<Self>() {
            Ok(inner) => *inner,
            Err(other) => Self::Receiver(other),
        }
    }

    /// As an I/O error, for readers in the middle of a chain; [`Error::io`] takes it out again.
    pub fn into_io(self) -> io::Error {
        io::Error::other(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_survives_the_trip_through_io() {
        let limit = Error::limit("x.apk", "the payload", 5);
        assert!(matches!(Error::io("y", limit.into_io()), Error::Limit { what, limit: 5, .. } if what == "x.apk"));
        assert!(matches!(Error::io("y", io::Error::from_raw_os_error(28)), Error::Io { .. }));
        assert!(matches!(Error::io("y", io::Error::other("bad block")), Error::Malformed { .. }));
        assert!(matches!(Error::receiver(Box::new(Error::Unsigned { what: "z".into() })), Error::Unsigned { .. }));
    }
}
