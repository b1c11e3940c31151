//! Why a root was not changed. Never carries a partial result: whatever is reported here left the root as it was,
//! except [`Error::Commit`], whose journal stays and is replayed at the next start.

use std::io;

use crate::conflicts::Conflict;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, on what.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A system call failed.
    #[error("{what} failed")]
    Io {
        /// What was done, and to which path.
        what: String,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// A rule file of the root cannot be used.
    #[error("the rules of this root cannot be used")]
    Rules(#[source] xpkg_shims::Error),
    /// An account cannot be made or changed.
    #[error("{0}")]
    Account(String),
    /// Files clash; every clash is listed.
    #[error("{} of the plan clash with what is there:{}", count(.0.len(), "path"), list(.0))]
    Conflicts(Vec<Conflict>),
    /// The plan does not fit, found before anything was written.
    #[error("not enough space at {at}: {need} bytes needed, {free} bytes free")]
    NoSpace {
        /// Directory on the full file system.
        at: String,
        /// Bytes that the whole plan puts there.
        need: u64,
        /// Bytes available.
        free: u64,
    },
    /// The plan needs more inodes than there are.
    #[error("not enough inodes at {at}: {need} needed, {free} free")]
    NoInodes {
        /// Directory on the full file system.
        at: String,
        /// Inodes that the whole plan needs there.
        need: u64,
        /// Inodes available.
        free: u64,
    },
    /// The file system filled up while files were staged; everything staged is gone again.
    #[error("the file system of {path} became full while the files were written; nothing was changed")]
    Full {
        /// What was being written.
        path: String,
    },
    /// The root can not be written at all.
    #[error("the root is read-only ({path})")]
    ReadOnly {
        /// What was being written.
        path: String,
    },
    /// The caller may not write here.
    #[error("no permission to change {path}; run as root, or use a root that you own")]
    NoPermission {
        /// What was being written.
        path: String,
    },
    /// Somebody else changes this root right now.
    #[error("{} is changing this root ({lock} is locked)", if lock == "/" { "another xpkg" } else { "another package manager" })]
    Locked {
        /// Lock file.
        lock: String,
    },
    /// A path that is never written.
    #[error("{path} is refused: {reason}")]
    Refused {
        /// The path.
        path: String,
        /// Why.
        reason: String,
    },
    /// A package could not be read, or is not what its index promised.
    #[error("package {package} can not be unpacked")]
    Package {
        /// Scoped name and version.
        package: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file of the native package manager can not be understood.
    #[error("{file}: {reason}")]
    Native {
        /// Its path.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// A database of the native package manager is damaged; the message names the file and the place in it.
    #[error(transparent)]
    Database(Box<xpkg_formats::Error>),
    /// Our own state can not be read or written.
    #[error("the state file /usr/lib/xpkg/state.sqlite: {0}")]
    State(String),
    /// The plan does not fit the root it is applied to.
    #[error("the plan does not fit this root: {0}")]
    Plan(String),
    /// A journal can not be understood.
    #[error("the journal {file} is damaged: {reason}")]
    Journal {
        /// Its path.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// The renames of a committed transaction did not all succeed. The journal stays; the next start replays it.
    #[error("the transaction is committed but {path} could not be put in place; the next start of xpkg completes it")]
    Commit {
        /// What could not be renamed or removed.
        path: String,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// A script or hook that must succeed before anything changes did not. Nothing was changed, except by scripts.
    #[error("{script} failed: {reason}; nothing was changed")]
    Script {
        /// Which.
        script: String,
        /// What happened.
        reason: String,
    },
    /// A point chosen by a test.
    #[error("stopped at {0}")]
    Stopped(&'static str),
}

impl Error {
    /// Names the path and operation of a system error, and finds the cases that a person should hear in plain words.
    pub fn io(what: &str, path: impl std::fmt::Display, source: impl Into<io::Error>) -> Self {
        let source = source.into();
        let path = path.to_string();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path },
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { path },
            io::ErrorKind::PermissionDenied => Self::NoPermission { path },
            _ => Self::Io { what: format!("{what} {path}"), source },
        }
    }

    pub(crate) fn native(file: impl std::fmt::Display, reason: impl std::fmt::Display) -> Self {
        Self::Native { file: file.to_string(), reason: reason.to_string() }
    }

    pub(crate) fn refused(path: impl std::fmt::Display, reason: impl Into<String>) -> Self {
        Self::Refused { path: path.to_string(), reason: reason.into() }
    }
}

/// Clashes named in a message.
const MAX_LISTED: usize = 12;

fn count(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// The first few in full; a plan that clashes everywhere must not fill the screen.
fn list(conflicts: &[Conflict]) -> String {
    let mut text: String = conflicts.iter().take(MAX_LISTED).map(|c| format!("\n  {c}")).collect();
    if conflicts.len() > MAX_LISTED {
        text.push_str(&format!("\n  and {} more", conflicts.len() - MAX_LISTED));
    }
    text
}
