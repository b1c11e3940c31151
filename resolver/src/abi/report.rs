//! What goes into a check and what comes out: subjects, findings, and failures that can be learnt from.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use xpkg_model::elf::{ElfFacts, Kind};
use xpkg_model::verdict::{Finding, Severity, Verdict};

use super::Owner;

/// How a file takes part in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Started by the kernel: its names must all be found.
    Program,
    /// A library that no checked program loads (a plugin, or a library on its own): whoever opens it may give the names
    /// that its own libraries do not.
    Plugin,
}

impl Role {
    /// What the file itself says.
    pub fn of(facts: &ElfFacts) -> Self {
        if facts.kind == Kind::Program { Self::Program } else { Self::Plugin }
    }
}

/// One file to check.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Absolute path inside the root.
    pub path: String,
    /// Its facts.
    pub facts: Arc<ElfFacts>,
    /// Program or plugin.
    pub role: Role,
    /// Permission bits, where known: set-id bits are warned about.
    pub mode: Option<u32>,
    /// Whether it carries file capabilities (`security.capability`).
    pub capabilities: bool,
}

impl Subject {
    /// A subject whose role is what its facts say.
    pub fn new(path: impl Into<String>, facts: Arc<ElfFacts>) -> Self {
        let role = Role::of(&facts);
        Self { path: path.into(), facts, role, mode: None, capabilities: false }
    }
}

/// Why something failed, for who turns failures into learnt facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// No file of that soname.
    MissingLibrary,
    /// The library is there, names are not.
    MissingSymbols,
    /// A copied data object has another size in the library.
    CopySize,
    /// The library is for another machine or another libc, or asks for what the loader cannot do.
    Unusable,
}

/// A library that could have been meant to give the missing names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspect {
    /// As the consumer calls it.
    pub soname: String,
    /// Where it was found.
    pub file: String,
    /// Whose it is.
    pub owner: Option<Owner>,
}

/// A need that is not met: who needs it, and who was to give it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What failed.
    pub kind: FailureKind,
    /// The program whose closure this is.
    pub program: String,
    /// The object that needs it: the program or one of its libraries.
    pub consumer_file: String,
    /// Whose that object is.
    pub consumer: Option<Owner>,
    /// The library it is about, as the consumer calls it. `None`: no library of the consumer comes into question.
    pub soname: Option<String>,
    /// Whose library that is; `None` when it is missing or nobody's.
    pub provider: Option<Owner>,
    /// Where the library was found.
    pub provider_file: Option<String>,
    /// Missing names (at most [`Failure::MAX_NAMES`]).
    pub missing: Vec<String>,
    /// How many are missing altogether.
    pub missing_total: usize,
    /// Other libraries of the consumer that could have been meant, likeliest first.
    pub also: Vec<Suspect>,
}

impl Failure {
    /// How many missing names one failure lists.
    pub const MAX_NAMES: usize = 256;

    /// The capability that the provider failed to give: `so:` and the soname.
    pub fn capability(&self) -> Option<String> {
        self.soname.as_ref().map(|soname| format!("so:{soname}"))
    }
}

/// Everything a check found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The evidence.
    pub findings: Vec<Finding>,
    /// The unmet needs.
    pub failures: Vec<Failure>,
    /// Real paths of every object that the checked programs load, themselves included; sorted.
    pub objects: Vec<String>,
}

impl Report {
    /// What it adds up to.
    pub fn verdict(&self) -> Verdict {
        Verdict::of(&self.findings)
    }

    pub(super) fn find(&mut self, severity: Severity, code: &str, file: &str, subject: &str, detail: String) {
        let finding =
            Finding { severity, code: code.to_owned(), file: file.to_owned(), subject: subject.to_owned(), detail };
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    /// Takes another report in; what both say is said once.
    pub fn absorb(&mut self, other: Self) {
        for finding in other.findings {
            if !self.findings.contains(&finding) {
                self.findings.push(finding);
            }
        }
        for failure in other.failures {
            // The same library fails in the same way in every program that loads it: once is enough.
            let known = |f: &Failure| {
                (f.kind, &f.consumer_file, &f.soname, &f.missing)
                    == (failure.kind, &failure.consumer_file, &failure.soname, &failure.missing)
            };
            if !self.failures.iter().any(known) {
                self.failures.push(failure);
            }
        }
        self.objects.extend(other.objects);
        self.objects.sort_unstable();
        self.objects.dedup();
    }
}
