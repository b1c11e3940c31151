//! What can be wrong with rule and hint files.

/// A rule file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text is not what the schema says.
    #[error("{file}: {reason}")]
    Malformed {
        /// Name of the file.
        file: String,
        /// What is wrong, with the line where known.
        reason: String,
    },
    /// Written for another version of the schema.
    #[error("{file}: its schema {found} is not one that this xpkg reads ({known})")]
    Schema {
        /// Name of the file.
        file: String,
        /// Its schema.
        found: semver::Version,
        /// Ours.
        known: semver::Version,
    },
    /// It asks for another xpkg.
    #[error("{file}: needs xpkg {wanted}, this is {program}")]
    Program {
        /// Name of the file.
        file: String,
        /// What it asks for.
        wanted: semver::VersionReq,
        /// What this is.
        program: semver::Version,
    },
    /// Too large to be a rule file.
    #[error("{file}: {what} is more than {limit}")]
    Limit {
        /// Name of the file.
        file: String,
        /// What is too large.
        what: &'static str,
        /// How much is allowed.
        limit: usize,
    },
    /// Rule files of a root could not be read.
    #[error("{dir} could not be read")]
    Unread {
        /// Their directory.
        dir: String,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
}
