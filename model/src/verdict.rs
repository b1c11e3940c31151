//! The ABI verdict on one file or package: a value with its evidence.

use serde::{Deserialize, Serialize};

/// How serious one finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Works, but a person should know.
    Warning,
    /// Cannot share the host's loader or libraries; a private layer could carry it.
    NeedsPrivateLayer,
    /// Nothing makes it run here.
    Impossible,
}

/// One piece of evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How serious.
    pub severity: Severity,
    /// Stable word for programs: `missing-symbol`, `missing-library`, `relr`, `interpreter`, `architecture`, `copy-size` …
    pub code: String,
    /// The file it is about, absolute within the root.
    pub file: String,
    /// The library, symbol or feature it is about.
    pub subject: String,
    /// One sentence for people.
    pub detail: String,
}

/// What the check says about a package or a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every need is met.
    Ok,
    /// Runs; read the warnings.
    OkWithWarnings,
    /// Not looked at: its file is not here yet.
    Unchecked,
    /// Only with its own loader and libraries.
    NeedsPrivateLayer,
    /// Not on this root.
    Impossible,
}

impl Verdict {
    /// The verdict that the findings add up to.
    pub fn of(findings: &[Finding]) -> Self {
        match findings.iter().map(|f| f.severity).max() {
            None => Self::Ok,
            Some(Severity::Warning) => Self::OkWithWarnings,
            Some(Severity::NeedsPrivateLayer) => Self::NeedsPrivateLayer,
            Some(Severity::Impossible) => Self::Impossible,
        }
    }

    /// The words of the plan.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::OkWithWarnings => "ok with warnings",
            Self::Unchecked => "unchecked",
            Self::NeedsPrivateLayer => "needs private layer",
            Self::Impossible => "impossible",
        }
    }

    /// Whether the root may take it as it is.
    pub const fn allows_install(self) -> bool {
        matches!(self, Self::Ok | Self::OkWithWarnings)
    }
}
