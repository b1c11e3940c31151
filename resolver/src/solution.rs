//! The answer: everything that would be on the root, and why. Made by `solve` only; `plan` orders it.

use std::sync::Arc;

use xpkg_model::plan::Reason;
use xpkg_model::{Ecosystem, Package};

/// Who meets a requirement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Giver {
    /// A package of the answer, by its index there.
    Package(usize),
    /// The host itself.
    Host {
        /// The rule's words.
        by: String,
        /// Native package behind it.
        native: Option<String>,
    },
}

/// One requirement and who meets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) requirement: String,
    pub(crate) giver: Giver,
}

/// One package that would be on the root.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) package: Arc<Package>,
    /// It is there already, exactly so.
    pub(crate) unchanged: bool,
    /// The installed package whose place it takes.
    pub(crate) old: Option<Arc<Package>>,
    pub(crate) explicit: bool,
    pub(crate) reason: Reason,
    pub(crate) links: Vec<Link>,
}

/// One package that would go.
#[derive(Clone, Debug)]
pub(crate) struct Gone {
    pub(crate) package: Arc<Package>,
    pub(crate) reason: Reason,
    /// Indices of those going packages that this one needs.
    pub(crate) needs: Vec<usize>,
}

/// A state of the root in which every requirement is met. [`crate::plan`] says how to get there.
#[derive(Clone, Debug, Default)]
pub struct Solution {
    pub(crate) kept: Vec<Kept>,
    pub(crate) gone: Vec<Gone>,
    pub(crate) notes: Vec<String>,
    pub(crate) now_explicit: Vec<(Ecosystem, String)>,
}

impl Solution {
    /// All packages that would be on the root, sorted by world and name.
    pub fn packages(&self) -> impl Iterator<Item = &Arc<Package>> {
        self.kept.iter().map(|k| &k.package)
    }

    /// Those that are not there yet in exactly this form.
    pub fn incoming(&self) -> impl Iterator<Item = &Arc<Package>> {
        self.kept.iter().filter(|k| !k.unchanged).map(|k| &k.package)
    }

    /// Those that would go.
    pub fn outgoing(&self) -> impl Iterator<Item = &Arc<Package>> {
        self.gone.iter().map(|g| &g.package)
    }

    /// Packages named by this request, installed before or not: they are a person's choice from now on.
    pub fn now_explicit(&self) -> &[(Ecosystem, String)] {
        &self.now_explicit
    }

    /// Things a person should know, in words.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}

/// `alpine:tmux 3.3a-r5`
pub(crate) fn titled(package: &Package) -> String {
    format!("{}:{} {}", package.ecosystem, package.name, package.version)
}
