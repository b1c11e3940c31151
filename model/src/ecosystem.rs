//! The two worlds, what a root is that belongs to neither, and how a person names a package of one of them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Identity;
use crate::dependency::{Dependency, DependencyError};

/// A package world. Names are scoped by it; capabilities such as `so:` are shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ecosystem {
    /// Alpine Linux.
    Alpine,
    /// OpenWrt and what is built from its sources.
    Openwrt,
    /// What a root is that belongs to neither: Debian, Buildroot, a vendor's own. It has no packages that xpkg reads, and no
    /// person can name one, so everything that comes to such a root is foreign.
    Other,
}

impl Ecosystem {
    /// Those that have packages, in a stable order.
    pub const ALL: [Self; 2] = [Self::Alpine, Self::Openwrt];

    /// The word used on the command line and in every file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alpine => "alpine",
            Self::Openwrt => "openwrt",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for Ecosystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Ecosystem {
    type Err = UnknownEcosystem;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|e| e.as_str() == s).ok_or_else(|| UnknownEcosystem(s.to_owned()))
    }
}

/// The word before the colon names no known world.
#[derive(Debug, thiserror::Error)]
#[error("unknown ecosystem `{0}` (known: alpine, openwrt)")]
pub struct UnknownEcosystem(pub String);

/// One exact package: what learnt facts and plans point at.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PackageKey {
    /// World.
    pub ecosystem: Ecosystem,
    /// Package name, unscoped.
    pub name: String,
    /// Version, raw.
    pub version: String,
    /// Identity, where one is known.
    pub identity: Option<Identity>,
}

impl fmt::Display for PackageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} {}", self.ecosystem, self.name, self.version)
    }
}

/// What a person typed for a package: `alpine:tmux`, `tmux`, `tmux=3.3a-r2`, `openwrt:libubox>5`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// `None`: the native side first.
    pub ecosystem: Option<Ecosystem>,
    /// Name and version condition.
    pub dependency: Dependency,
}

impl FromStr for Spec {
    type Err = DependencyError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        // `so:libz.so.1` is a capability, not a scope: only the two known words scope a name.
        let (ecosystem, rest) = match s.split_once(':') {
            Some((scope, rest)) => match scope.parse::<Ecosystem>() {
                Ok(ecosystem) => (Some(ecosystem), rest),
                Err(_) => (None, s),
            },
            None => (None, s),
        };
        Ok(Self { ecosystem, dependency: rest.parse()? })
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ecosystem {
            Some(ecosystem) => write!(f, "{ecosystem}:{}", self.dependency),
            None => self.dependency.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_worlds_scope_a_name() {
        let spec: Spec = "alpine:tmux".parse().unwrap();
        assert_eq!((spec.ecosystem, spec.dependency.name.as_str()), (Some(Ecosystem::Alpine), "tmux"));
        let spec: Spec = "so:libz.so.1".parse().unwrap();
        assert_eq!((spec.ecosystem, spec.dependency.name.as_str()), (None, "so:libz.so.1"));
        let spec: Spec = "openwrt:uci=1-r0".parse().unwrap();
        assert_eq!(spec.to_string(), "openwrt:uci=1-r0");
    }
}
