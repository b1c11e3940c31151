//! What ends a verb, in apk's words: scripts look for them.

/// Errors of the apk front. The command line puts `ERROR: ` before the message.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database cannot be opened.
    #[error("{doing}: {why}")]
    Database {
        /// `Unable to lock database`, `Unable to read database`.
        doing: &'static str,
        /// In the words of errno.
        why: String,
    },
    /// A message of its own, complete.
    #[error("{0}")]
    Said(String),
    /// Something else of xpkg failed.
    #[error(transparent)]
    Failed(#[from] crate::Error),
}

impl From<xpkg_install::Error> for Error {
    fn from(error: xpkg_install::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl From<xpkg_repos::Error> for Error {
    fn from(error: xpkg_repos::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl From<xpkg_formats::Error> for Error {
    fn from(error: xpkg_formats::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl Error {
    /// Names what was being read or written.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let name = crate::Error::io(what);
        move |source| Self::Failed(name(source))
    }
}

/// Why a file could not be had or used, in the words apk has for it (apk-tools, `apk_error_str` and strerror).
pub(crate) fn native_words(error: &xpkg_repos::Error) -> String {
    use xpkg_repos::Error as E;
    match error {
        E::NotFound { .. } => "No such file or directory".to_owned(),
        E::Unsigned { .. } | E::UnknownKey { .. } => "UNTRUSTED signature".to_owned(),
        E::BadSignature { .. } => "BAD signature".to_owned(),
        E::Network { reason, .. } if reason.contains("Connection refused") => {
            "could not connect to server (check repositories file)".to_owned()
        }
        E::NoNetwork { .. } | E::Network { .. } => "network error (check Internet connection and firewall)".to_owned(),
        E::Status { status, .. } if *status == 403 => "Permission denied".to_owned(),
        E::Status { .. } => "unexpected HTTP status".to_owned(),
        E::Size { .. } | E::BadDigest { .. } => "BAD archive".to_owned(),
        E::Malformed { .. } => "v2 database format error".to_owned(),
        E::Io { source, .. } => io_words(source),
        other => other.to_string(),
    }
}

/// What libc calls an error.
pub(crate) fn io_words(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "No such file or directory".to_owned(),
        std::io::ErrorKind::PermissionDenied => "Permission denied".to_owned(),
        _ => {
            // Without the ` (os error N)` that is this language's own.
            let text = error.to_string();
            text.split(" (os error").next().unwrap_or_default().to_owned()
        }
    }
}
