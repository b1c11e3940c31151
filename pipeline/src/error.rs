//! Everything that may end a run, and what a person can do about it.

use std::path::PathBuf;

use xpkg_model::Ecosystem;
use xpkg_resolver::What;

/// Errors of the pipeline. Messages name the file or package; [`Error::hint`] says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Sources, transport, trust, catalogue.
    #[error(transparent)]
    Repos(#[from] xpkg_repos::Error),
    /// The root could not be read or changed.
    #[error(transparent)]
    Install(#[from] xpkg_install::Error),
    /// A package or index file is damaged or hostile.
    #[error(transparent)]
    Formats(#[from] xpkg_formats::Error),
    /// An image could not be made.
    #[error(transparent)]
    Image(#[from] xpkg_image::Error),
    /// A rule file is wrong.
    #[error(transparent)]
    Rules(#[from] xpkg_shims::Error),
    /// No set of packages meets the request.
    #[error("{0}")]
    Unsolvable(Box<xpkg_resolver::Unsolvable>),
    /// The directory is no root that xpkg knows.
    #[error("{} is no root that packages can come to: {reason}", root.display())]
    UnknownRoot {
        /// Which directory.
        root: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// A world was named and no source offers its packages.
    #[error("no source offers {ecosystem} packages")]
    NoSource {
        /// Which world.
        ecosystem: Ecosystem,
        /// The known release that fits this root, or comes nearest to it.
        fitting: Option<String>,
    },
    /// Sources are there, but no index has been fetched.
    #[error("no index of these packages has been fetched yet")]
    NeverUpdated,
    /// A package of the plan may not go onto this root.
    #[error("{package} cannot be installed here: {verdict}{evidence}")]
    Refused {
        /// Which package.
        package: String,
        /// The verdict's words.
        verdict: String,
        /// Its evidence, one line each.
        evidence: String,
    },
    /// The plan still holds what was never checked.
    #[error("the plan holds packages that were not checked")]
    Unchecked,
    /// Too many rounds of solving and learning.
    #[error("no plan held after {rounds} rounds of checking: {last}")]
    TooManyRounds {
        /// How many.
        rounds: usize,
        /// What failed last.
        last: String,
    },
    /// No installed package has that name.
    #[error("{0} is not installed")]
    NotInstalled(String),
    /// There is no source or key of that name.
    #[error("there is no {what} called `{name}`")]
    NoSuch {
        /// `source`, `key`, `release`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// Something that cannot be done to that source or package, and why.
    #[error("{0}")]
    NotPossible(String),
    /// A description of a package is wrong.
    #[error("{file}: {reason}")]
    Spec {
        /// The file.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A conversion would lose something, and nothing may be lost.
    #[error("the conversion would lose {}, and nothing may be lost:{}", count(lost.len()), list(lost))]
    Lossy {
        /// Which, one each.
        lost: Vec<String>,
    },
    /// Reading or writing failed.
    #[error("{what}")]
    Io {
        /// What was read or written.
        what: String,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
}

impl Error {
    /// Names what was being read or written.
    pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// What a person can do.
    pub fn hint(&self) -> Option<String> {
        use xpkg_install::Error as Inst;
        use xpkg_repos::Error as Repo;
        let text = match self {
            Self::Repos(error) => match error {
                Repo::Unsigned { .. } => {
                    "`--allow-untrusted` accepts it once; `xpkg source set NAME trust=none` accepts a source without signatures for good"
                }
                Repo::UnknownKey { .. } => "add the key of whoever signs this source: `xpkg key add NAME FILE`",
                Repo::BadSignature { .. } | Repo::BadDigest { .. } | Repo::Size { .. } => {
                    "nothing of it was used; the mirror may be damaged, or somebody changed the file on the way"
                }
                Repo::OlderThanSeen { .. } => "if the mirror really went back: `xpkg update --allow-older`",
                Repo::NoNetwork { .. } => "leave out --no-network, or fetch beforehand with `xpkg fetch`",
                Repo::Network { reason, .. } if reason.contains("certificate") || reason.contains("Cert") => {
                    "is the clock right? TLS refuses certificates of the future and of the past"
                }
                Repo::Network { .. } => "is the network up, and the address in `xpkg source list` right?",
                Repo::NotFound { .. } => {
                    "`xpkg update` fetches the current index; `xpkg source list` shows the addresses"
                }
                Repo::NotUpdated { .. } | Repo::Damaged { .. } => "run `xpkg update`",
                Repo::Io { source, .. } if is_not_writable(source) => {
                    "downloads and indexes lie in the root's cache; `--cache-dir DIR` keeps them elsewhere"
                }
                Repo::BadSource { .. } => "correct that file, or delete it; nothing works while it cannot be read",
                Repo::NoSpace { .. } => {
                    "`xpkg cache clean` frees downloaded packages; `--cache-dir DIR` puts them elsewhere"
                }
                _ => return None,
            },
            Self::Install(error) => match error {
                Inst::NoPermission { .. } => {
                    "changing a root needs root rights; `--usermode --root DIR` works on a root of your own"
                }
                Inst::ReadOnly { .. } => "the root is mounted read-only: remount it, or work on a copy with --root",
                Inst::Locked { .. } => "wait until it is done, and try again",
                Inst::NoSpace { .. } | Inst::NoInodes { .. } | Inst::Full { .. } => {
                    "free some space (`xpkg cache clean`, `xpkg autoremove`), and try again"
                }
                Inst::Conflicts(_) => {
                    "`xpkg owns PATH` says whose it is; `--replace-applets` lets a tool take a busybox link's place, `--overwrite` takes files that nobody owns"
                }
                Inst::Database(_) | Inst::Native { .. } => {
                    "the native manager reads that file too: mend the place named, or bring a copy back; nothing was changed"
                }
                Inst::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                    "`--root DIR` names the directory of a root file system"
                }
                _ => return None,
            },
            Self::NoSource { fitting: Some(release), .. } => {
                return Some(format!(
                    "`xpkg source add {release}` adds the known release that comes nearest to this root, or add `--add-source --yes`"
                ));
            }
            Self::NoSource { .. } => "add one: `xpkg source add NAME URL --ecosystem WORLD --keys DIR`",
            Self::NeverUpdated => "run `xpkg update`",
            Self::UnknownRoot { .. } => "`--root DIR` names the directory of a root file system",
            Self::Refused { .. } => "`xpkg check PACKAGE` shows all findings",
            Self::Unchecked => "add `--fetch`",
            Self::Lossy { .. } => "without `--strict` it is converted all the same, and what is lost is told",
            Self::NotInstalled(_) => "`xpkg list` shows what is",
            Self::Unsolvable(unsolvable) => unsolvable_hint(unsolvable),
            Self::Io { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
                "changing a root needs root rights; `--usermode --root DIR` works on a root of your own"
            }
            Self::Io { source, .. } if source.kind() == std::io::ErrorKind::ReadOnlyFilesystem => {
                "the root is mounted read-only: remount it, or work on a copy with --root"
            }
            _ => return None,
        };
        Some(text.to_owned())
    }

    /// The reason tree, where there is one.
    pub fn reasons(&self) -> Option<&xpkg_resolver::Unsolvable> {
        match self {
            Self::Unsolvable(unsolvable) => Some(unsolvable),
            _ => None,
        }
    }

    /// Files that stand in the way of a plan: the package that brings each, its path, and what stands against it.
    pub fn file_conflicts(&self) -> Vec<(String, String, String)> {
        match self {
            Self::Install(xpkg_install::Error::Conflicts(conflicts)) => conflicts
                .iter()
                .map(|c| (c.package.clone(), c.path.to_string().trim_start_matches('/').to_owned(), c.against.clone()))
                .collect(),
            _ => Vec::new(),
        }
    }

    /// The message and all its causes in one line.
    pub fn words(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            if !text.contains(&cause_text) {
                text.push_str(": ");
                text.push_str(&cause_text);
            }
            source = cause.source();
        }
        text
    }
}

/// Losses named in a message.
const MAX_LISTED: usize = 20;

fn count(n: usize) -> String {
    if n == 1 { "1 thing".to_owned() } else { format!("{n} things") }
}

/// The first ones in full, a line each.
fn list(lost: &[String]) -> String {
    let mut text: String = lost.iter().take(MAX_LISTED).map(|lost| format!("\n  {lost}")).collect();
    if lost.len() > MAX_LISTED {
        text.push_str(&format!("\n  and {} more", lost.len() - MAX_LISTED));
    }
    text
}

fn is_not_writable(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem)
}

/// The most useful thing to try, by what stands in the tree of reasons.
fn unsolvable_hint(unsolvable: &xpkg_resolver::Unsolvable) -> &'static str {
    let statements: Vec<_> = unsolvable.reasons.iter().flat_map(xpkg_resolver::Node::statements).collect();
    let has = |test: fn(&What) -> bool| statements.iter().any(|what| test(what));
    if has(|w| matches!(w, What::NotInstalled { .. })) {
        "`xpkg list` shows what is installed"
    } else if has(|w| matches!(w, What::Removing { .. })) {
        "`--cascade` removes what needs it as well; `xpkg why NAME` shows what that is"
    } else if has(|w| matches!(w, What::Impossible { why, .. } if why.contains(xpkg_install::ONLY_ON_REQUEST))) {
        "`--replace-applets` lets a tool take a busybox link's place; its removal brings the link back"
    } else if has(|w| matches!(w, What::Unavailable { .. })) {
        "is the network up? `xpkg update` fetches the current indexes, which may name other versions"
    } else {
        "`xpkg why NAME` goes through the reasons; `xpkg search` finds other names"
    }
}

impl From<Box<xpkg_resolver::Unsolvable>> for Error {
    fn from(unsolvable: Box<xpkg_resolver::Unsolvable>) -> Self {
        Self::Unsolvable(unsolvable)
    }
}
