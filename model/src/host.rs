//! What the root already gives without any foreign package: the answers of `shims/rules` for one root.

use serde::{Deserialize, Serialize};

use crate::{Dependency, Ecosystem, Provide, VersionScheme};

/// One capability that the host satisfies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostProvide {
    /// Scope of the name; `None` for shared capabilities.
    pub ecosystem: Option<Ecosystem>,
    /// Name and version.
    pub provide: Provide,
    /// Native package, file or rule it comes from, for the reader of a plan.
    pub by: String,
    /// The native package it comes from, when there is one: the generated provider then depends on it.
    pub native: Option<String>,
    /// Why it does for every version that is asked for, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub any_version: Option<String>,
}

impl HostProvide {
    /// Whether it does for what a package of `scope` asks, its versions read in that package's order.
    pub fn meets(&self, wanted: &Dependency, scope: Ecosystem, scheme: VersionScheme) -> bool {
        wanted.name == self.provide.name
            && self.ecosystem.is_none_or(|e| e == scope)
            && (wanted.met_by(scheme, &self.provide) || self.settles(wanted))
    }

    /// Whether the version that is asked for is passed over by a rule.
    fn settles(&self, wanted: &Dependency) -> bool {
        self.any_version.is_some() && !wanted.conflict
    }

    /// Why another version than the one that is asked for does; `None` when this is such a version, or none is asked for.
    pub fn settled(&self, wanted: &Dependency, scope: Ecosystem, scheme: VersionScheme) -> Option<&str> {
        let passed_over = self.meets(wanted, scope, scheme) && !wanted.met_by(scheme, &self.provide);
        self.any_version.as_deref().filter(|_| passed_over)
    }
}

/// The host as the resolver sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// The world whose manager owns the root.
    pub native: Ecosystem,
    /// Architecture words that packages of each world may have here.
    pub arches: Vec<(Ecosystem, String)>,
    /// What it gives to foreign packages.
    pub provides: Vec<HostProvide>,
    /// Foreign packages that are never put here, with the reason.
    pub masked: Vec<(Ecosystem, String, String)>,
    /// Foreign packages live in a private layer: libraries (`so:`, `pc:`) of one world are nothing to the other.
    pub apart: bool,
}

impl Host {
    /// Whether packages of that architecture may be put here.
    pub fn accepts(&self, ecosystem: Ecosystem, arch: &str) -> bool {
        matches!(arch, "noarch" | "all" | "") || self.arches.iter().any(|(e, a)| *e == ecosystem && a == arch)
    }

    /// Whether a capability that both worlds share is met by the packages of either.
    pub fn crosses(&self, name: &str) -> bool {
        crate::dependency::is_shared(name) && !(self.apart && ["so:", "pc:"].iter().any(|p| name.starts_with(p)))
    }

    /// Why a package is never put here, where it is masked.
    pub fn masked(&self, ecosystem: Ecosystem, name: &str) -> Option<&str> {
        self.masked.iter().find(|(e, n, _)| *e == ecosystem && n == name).map(|(_, _, why)| why.as_str())
    }
}
