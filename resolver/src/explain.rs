//! Why there is no answer: a tree of who needs what and why each way to give it was refused. Text and JSON.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One statement of the tree. Package names are scoped (`alpine:tmux 3.3a-r5`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the fields repeat the words of Display below")]
pub enum What {
    /// The request itself cannot be met.
    Requested { requirement: String },
    /// An installed package cannot stay.
    Stays { package: String },
    /// A consumer's requirement that nothing meets.
    Needs { consumer: String, requirement: String },
    /// No source has anything of that name.
    NotFound { name: String, sources: String },
    /// A package that could have met it; what follows says why it does not.
    Candidate { package: String },
    /// Wrong version.
    Version { package: String, wanted: String },
    /// A host rule keeps the package away.
    Masked { package: String, why: String },
    /// Made for another architecture.
    Architecture { package: String, arch: String },
    /// Not for the root's storage layer.
    Layer { package: String, layer: u32 },
    /// Older than what is installed, and nobody asked to go back.
    Downgrade { package: String, installed: String },
    /// A pin or hold says otherwise.
    Pinned { package: String, pin: String },
    /// The same request takes it away.
    Removing { package: String },
    /// Cannot be had.
    Unavailable { package: String, why: String },
    /// Cannot run here.
    Impossible { package: String, why: String },
    /// Was tried and does not do what the consumer needs.
    Unfit { package: String, capability: String, why: String },
    /// The host's own capability does not do.
    HostUnfit { capability: String, why: String },
    /// Two packages exclude each other.
    Conflict { package: String, other: String, why: String },
    /// Only one of several virtual providers, and nobody said which.
    Choose { requirement: String, consumer: String, choices: Vec<String> },
    /// opkg's `Essential`: nothing takes it away unasked.
    Essential { package: String, why: String },
    /// Named for removal or upgrade, but not there.
    NotInstalled { name: String },
    /// It is there.
    Installed { package: String },
    /// A person asked for it.
    Explicit { package: String },
    /// Its `install_if` holds.
    InstallIf { package: String, conditions: Vec<String> },
    /// Nothing needs it.
    Unneeded { package: String },
    /// A source could not be read.
    Source { why: String },
    /// Left out or given up.
    More { why: String },
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requested { requirement } => write!(f, "{requirement} was asked for"),
            Self::Stays { package } => write!(f, "{package} is installed and stays"),
            Self::Needs { consumer, requirement } => write!(f, "{consumer} needs {requirement}"),
            Self::NotFound { name, sources } => write!(f, "{name}: not found in {sources}"),
            Self::Candidate { package } => write!(f, "{package} could give it, but"),
            Self::Version { package, wanted } => write!(f, "{package} does not meet {wanted}"),
            Self::Masked { package, why } => write!(f, "{package} is not put on this host: {why}"),
            Self::Architecture { package, arch } => {
                write!(f, "{package} is made for architecture {arch}, not accepted here")
            }
            Self::Layer { package, layer } => write!(f, "{package} belongs to storage layer {layer}, not to the root"),
            Self::Downgrade { package, installed } => write!(f, "{package} is older than the installed {installed}"),
            Self::Pinned { package, pin } => write!(f, "{package} is kept away by {pin}"),
            Self::Removing { package } => write!(f, "{package} is being removed"),
            Self::Unavailable { package, why } => write!(f, "{package} cannot be had: {why}"),
            Self::Impossible { package, why } => write!(f, "{package} cannot be installed here: {why}"),
            Self::Unfit { package, capability, why } => write!(f, "{package} does not do for {capability}: {why}"),
            Self::HostUnfit { capability, why } => write!(f, "the host's {capability} does not do: {why}"),
            Self::Conflict { package, other, why } => write!(f, "{package} and {other} exclude each other: {why}"),
            Self::Choose { requirement, consumer, choices } => {
                write!(f, "{consumer} needs {requirement}, which is virtual; select one of: {}", choices.join(", "))
            }
            Self::Essential { package, why } => write!(f, "{package} is essential and was not named: {why}"),
            Self::NotInstalled { name } => write!(f, "{name} is not installed"),
            Self::Installed { package } => write!(f, "{package} is installed"),
            Self::Explicit { package } => write!(f, "{package} was asked for"),
            Self::InstallIf { package, conditions } => {
                write!(f, "{package} comes along where {} are installed", conditions.join(" and "))
            }
            Self::Unneeded { package } => write!(f, "nothing needs {package}"),
            Self::Source { why } => write!(f, "a source could not be read: {why}"),
            Self::More { why } => f.write_str(why),
        }
    }
}

/// A statement and what it follows from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// The statement.
    #[serde(flatten)]
    pub what: What,
    /// Why it is so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub because: Vec<Node>,
}

impl Node {
    /// A statement that needs no further reason.
    pub(crate) fn leaf(what: What) -> Self {
        Self { what, because: Vec::new() }
    }

    /// A statement with reasons.
    pub(crate) fn new(what: What, because: Vec<Self>) -> Self {
        Self { what, because }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        if depth > 0 {
            write!(f, "\n{:1$}", "", depth * 2)?;
        }
        write!(f, "{}", self.what)?;
        self.because.iter().try_for_each(|node| node.write(f, depth + 1))
    }

    /// Every statement of the tree, from the top.
    pub fn statements(&self) -> Vec<&What> {
        let mut found = vec![&self.what];
        for node in &self.because {
            found.extend(node.statements());
        }
        found
    }
}

/// The tree as indented lines.
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0)
    }
}

/// There is no answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsolvable {
    /// The reasons; each alone is enough.
    pub reasons: Vec<Node>,
}

impl Unsolvable {
    pub(crate) fn one(node: Node) -> Self {
        Self { reasons: vec![node] }
    }

    /// Whether a source that cannot be read is the reason, not the request.
    pub fn is_source_failure(&self) -> bool {
        self.reasons.iter().any(|n| matches!(n.what, What::Source { .. }))
    }
}

impl fmt::Display for Unsolvable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request cannot be met:")?;
        self.reasons.iter().try_for_each(|node| node.write(f, 1))
    }
}

impl std::error::Error for Unsolvable {}
