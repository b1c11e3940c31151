//! What may go wrong while an image is made.

use std::io;

/// Errors of this crate. Every message names the file or path it is about.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Reading or writing failed.
    #[error("{what}")]
    Io {
        /// What was read or written.
        what: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The description of the image is wrong.
    #[error("{file}: {reason}")]
    Description {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// The base root archive is damaged or hostile.
    #[error("{archive}: {reason}")]
    Base {
        /// The archive.
        archive: String,
        /// What is wrong.
        reason: String,
    },
    /// The output format cannot hold something that the root has.
    #[error("{path} has extended attributes, which the squashfs writer cannot store")]
    Xattrs {
        /// Which path.
        path: String,
    },
    /// The squashfs writer gave up. Its own errors say nothing without a logging library.
    #[error("writing the squashfs image: {0:?}")]
    Squashfs(backhand::BackhandError),
}

impl From<backhand::BackhandError> for Error {
    fn from(error: backhand::BackhandError) -> Self {
        match error {
            backhand::BackhandError::StdIo(source) => {
                Self::Io { what: "writing the squashfs image".to_owned(), source }
            }
            other => Self::Squashfs(other),
        }
    }
}

impl Error {
    /// Names what was being read or written.
    pub fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}
