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
            Self::NeedsPrivateLayer => "private layer",
            Self::Impossible => "impossible",
        }
    }

    /// The verdict with the finding that decides it: `private layer because it is made for glibc, …`.
    pub fn words(self, findings: &[Finding]) -> String {
        let word = self.as_str();
        let worst = findings.iter().map(|f| f.severity).max();
        let deciding = findings.iter().find(|f| Some(f.severity) == worst);
        let Some(deciding) = deciding.filter(|_| matches!(self, Self::NeedsPrivateLayer | Self::Impossible)) else {
            return word.to_owned();
        };
        // Some details are sentences of their own, some go on from the file.
        let whole = ["/", "it ", "its ", "the "].iter().any(|start| deciding.detail.starts_with(start));
        format!("{word} because {}{}", if whole { "" } else { "it " }, deciding.detail)
    }

    /// Whether the root may take it as it is.
    pub const fn allows_install(self) -> bool {
        matches!(self, Self::Ok | Self::OkWithWarnings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_finding_is_the_reason() {
        let finding = |severity, detail: &str| Finding {
            severity,
            code: "x".to_owned(),
            file: "/bin/a".to_owned(),
            subject: "y".to_owned(),
            detail: detail.to_owned(),
        };
        let relr = finding(Severity::NeedsPrivateLayer, "uses DT_RELR");
        let findings = [finding(Severity::Warning, "asks for an executable stack"), relr];
        assert_eq!(Verdict::of(&findings).words(&findings), "private layer because it uses DT_RELR");
        let findings = [finding(Severity::Impossible, "it is for arm")];
        assert_eq!(Verdict::of(&findings).words(&findings), "impossible because it is for arm");
        assert_eq!(Verdict::of(&[]).words(&[]), "ok");
    }
}
