//! What can go wrong with a source, each way as a value of its own: the six ways in which trust fails are never mixed
//! with each other, nor with a network that is down. Never prints and never decides what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use xpkg_formats::Error as FormatError;

/// Everything this crate reports. URLs are shown without passwords.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing in the file says who made it.
    #[error("{url} is not signed")]
    Unsigned {
        /// Where it came from.
        url: String,
    },
    /// Signed, but by nobody this source trusts.
    #[error("{url} is signed by {}, which is not among the keys of this source", names.join(", "))]
    UnknownKey {
        /// Where it came from.
        url: String,
        /// Names or ids of the signing keys.
        names: Vec<String>,
    },
    /// The key is trusted, the signature is wrong.
    #[error("{url} carries a bad signature by {key}: it was changed after signing, or damaged")]
    BadSignature {
        /// Where it came from.
        url: String,
        /// The key it claims.
        key: String,
    },
    /// The bytes are not the ones that the signed index, or the package itself, declares.
    #[error("{url} is not what was promised: {what} is {found}, expected {expected}")]
    BadDigest {
        /// Where it came from.
        url: String,
        /// Which digest: `identity`, or the reader's words for one inside the package.
        what: String,
        /// Declared.
        expected: String,
        /// Found.
        found: String,
    },
    /// A correctly signed index that is older than one accepted before.
    #[error(
        "the index {url} is older than one seen before ({found}, seen {seen}): a mirror that lags, or an attempt to bring back old packages"
    )]
    OlderThanSeen {
        /// Which index.
        url: String,
        /// What this one says of its age.
        found: String,
        /// What the newest accepted one said.
        seen: String,
    },
    /// The file has another size than the index says.
    #[error("{url} has {found} bytes, the index says {expected}")]
    Size {
        /// Where it came from.
        url: String,
        /// Bytes declared.
        expected: u64,
        /// Bytes found.
        found: u64,
    },
    /// Larger than anything reasonable.
    #[error("{url} is larger than the {limit} bytes allowed")]
    TooLarge {
        /// Where it came from.
        url: String,
        /// The bound.
        limit: u64,
    },
    /// The server or the file system does not have it.
    #[error("{url} does not exist")]
    NotFound {
        /// What was asked for.
        url: String,
    },
    /// Another answer than the ones that are understood.
    #[error("{url}: the server answered {status}")]
    Status {
        /// What was asked for.
        url: String,
        /// HTTP status.
        status: u16,
    },
    /// The server could not be reached or the transfer broke, after every retry.
    #[error("{url} could not be fetched: {reason}")]
    Network {
        /// What was asked for.
        url: String,
        /// Every cause, outermost first.
        reason: String,
    },
    /// The network was switched off for this run.
    #[error("{url} needs the network, which is switched off")]
    NoNetwork {
        /// What was asked for.
        url: String,
    },
    /// A redirect that is not followed.
    #[error("{url} redirects to {target}, which is refused: {reason}")]
    Redirect {
        /// What was asked for.
        url: String,
        /// Where it points.
        target: String,
        /// Why it is not followed.
        reason: &'static str,
    },
    /// A URL that means nothing here.
    #[error("`{url}` is no usable url: {reason}")]
    BadUrl {
        /// The text.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The file is not what its format says.
    #[error("{url} cannot be read")]
    Malformed {
        /// Where it came from.
        url: String,
        /// What the reader found.
        #[source]
        source: FormatError,
    },
    /// No room left, found by asking beforehand or while writing.
    #[error("no space left for {}{}", path.display(), needed(*need, *free))]
    NoSpace {
        /// What was to be written.
        path: PathBuf,
        /// Bytes needed; 0 when found while writing.
        need: u64,
        /// Bytes free; 0 when found while writing.
        free: u64,
    },
    /// Reading or writing failed.
    #[error("{what}")]
    Io {
        /// What failed, on which file.
        what: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A source's file says something that cannot be used.
    #[error("{file}: {reason}")]
    BadSource {
        /// The file, absolute within the root.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No profile knows this release, architecture or ecosystem.
    #[error("{0}")]
    NoProfile(String),
    /// The source's index was never read here (or its cache was cleaned).
    #[error("the index of source `{source_name}` is not here: run `xpkg update`")]
    NotUpdated {
        /// Which source.
        source_name: String,
    },
    /// The package names no source, so that nothing says where its file is.
    #[error("{package} comes from no known source")]
    NoSource {
        /// Which package.
        package: String,
    },
    /// The index gives no digest for the package, so that its file could not be checked.
    #[error("the index gives no digest for {package}: its file could not be checked")]
    NoIdentity {
        /// Which package.
        package: String,
    },
    /// A catalogue or facts file is damaged; it is a cache and may be deleted.
    #[error("{} is damaged ({reason}): run `xpkg update`", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// SQLite refused.
    #[error("{}", path.display())]
    Database {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
}

fn needed(need: u64, free: u64) -> String {
    if need == 0 { String::new() } else { format!(": {need} bytes needed, {free} free") }
}

/// The result of nearly everything here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Wraps an I/O failure on a path; a full disk is told apart.
    pub(crate) fn io(doing: &str, path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::NoSpace { path: path.to_owned(), need: 0, free: 0 }
            }
            _ => Self::Io { what: format!("cannot {doing} {}", path.display()), source },
        }
    }

    /// Wraps what SQLite says about a file; a full disk and damage are told apart.
    pub(crate) fn database(path: &Path, source: rusqlite::Error) -> Self {
        match source.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::NoSpace { path: path.to_owned(), need: 0, free: 0 },
            Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
                Self::Damaged { path: path.to_owned(), reason: source.to_string() }
            }
            _ => Self::Database { path: path.to_owned(), source },
        }
    }

    /// What a reader's complaint means for the file behind a URL.
    pub(crate) fn format(url: &str, error: FormatError) -> Self {
        let url = url.to_owned();
        match error {
            FormatError::Unsigned { .. } => Self::Unsigned { url },
            FormatError::UnknownKey { names, .. } => Self::UnknownKey { url, names },
            FormatError::BadSignature { key, .. } => Self::BadSignature { url, key },
            FormatError::Digest { part, expected, found, .. } => Self::BadDigest { url, what: part, expected, found },
            FormatError::Io { what, source }
                if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) =>
            {
                Self::NoSpace { path: PathBuf::from(what), need: 0, free: 0 }
            }
            FormatError::Receiver(inner) => match inner.downcast::<Self>() {
                Ok(own) => *own,
                Err(other) => Self::Malformed { url, source: FormatError::Receiver(other) },
            },
            source => Self::Malformed { url, source },
        }
    }

    /// Whether trust failed, as opposed to transport: such a file must not be used whatever else is tried.
    pub fn is_trust(&self) -> bool {
        matches!(
            self,
            Self::Unsigned { .. }
                | Self::UnknownKey { .. }
                | Self::BadSignature { .. }
                | Self::BadDigest { .. }
                | Self::Size { .. }
                | Self::OlderThanSeen { .. }
        )
    }
}
