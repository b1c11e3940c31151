//! Learnt facts, arranged for the questions the solve asks. Never learns anything itself.

use std::collections::HashMap;

use xpkg_model::learnt::Fact;
use xpkg_model::{Dependency, Ecosystem, Package, PackageKey, Provide};

use crate::explain::What;
use crate::solution::titled;

/// The facts of one run.
pub(crate) struct Lore<'a> {
    facts: &'a [Fact],
    /// Capability → packages whose files prove it.
    proven: HashMap<&'a str, Vec<&'a PackageKey>>,
}

/// Whether a key means this package. Identities decide where both are known.
pub(crate) fn is(key: &PackageKey, package: &Package) -> bool {
    key.ecosystem == package.ecosystem
        && key.name == package.name
        && key.version == package.version
        && match (&key.identity, &package.identity) {
            (Some(a), Some(b)) => a.matches(b),
            _ => true,
        }
}

impl<'a> Lore<'a> {
    pub(crate) fn new(facts: &'a [Fact]) -> Self {
        let mut proven: HashMap<&str, Vec<&PackageKey>> = HashMap::new();
        for fact in facts {
            if let Fact::Provides { package, provides } = fact {
                for provide in provides {
                    let keys = proven.entry(provide.name.as_str()).or_default();
                    if !keys.contains(&package) {
                        keys.push(package);
                    }
                }
            }
        }
        Self { facts, proven }
    }

    /// Packages proven to give the capability.
    pub(crate) fn provers(&self, ecosystem: Ecosystem, capability: &str) -> Vec<&'a PackageKey> {
        self.proven.get(capability).into_iter().flatten().filter(|k| k.ecosystem == ecosystem).copied().collect()
    }

    /// What a package's files prove; `None` when they were never read.
    pub(crate) fn proof(&self, package: &Package) -> Option<&'a [Provide]> {
        self.facts.iter().find_map(|fact| match fact {
            Fact::Provides { package: key, provides } if is(key, package) => Some(provides.as_slice()),
            _ => None,
        })
    }

    /// Whether the package is proven to meet the condition.
    pub(crate) fn proves(&self, package: &Package, dependency: &Dependency) -> bool {
        self.proof(package).is_some_and(|provides| provides.iter().any(|p| dependency.met_by(package.scheme, p)))
    }

    /// Why the package is out for everyone.
    pub(crate) fn refusal(&self, package: &Package) -> Option<What> {
        self.facts.iter().find_map(|fact| match fact {
            Fact::Unavailable { package: key, why } if is(key, package) => {
                Some(What::Unavailable { package: titled(package), why: why.clone() })
            }
            Fact::Impossible { package: key, why } if is(key, package) => {
                Some(What::Impossible { package: titled(package), why: why.clone() })
            }
            _ => None,
        })
    }

    /// Why the provider does not do for that capability and consumer.
    pub(crate) fn unfit(&self, provider: &Package, capability: &str, consumer: Option<&Package>) -> Option<What> {
        self.facts.iter().find_map(|fact| match fact {
            Fact::Unfit { provider: key, capability: name, consumer: whom, why }
                if name == capability
                    && is(key, provider)
                    && whom.as_ref().is_none_or(|w| consumer.is_some_and(|c| is(w, c))) =>
            {
                Some(What::Unfit { package: titled(provider), capability: capability.to_owned(), why: why.clone() })
            }
            _ => None,
        })
    }

    /// Why the host's capability does not do for that consumer.
    pub(crate) fn host_unfit(&self, capability: &str, consumer: Option<&Package>) -> Option<What> {
        self.facts.iter().find_map(|fact| match fact {
            Fact::HostUnfit { capability: name, consumer: whom, why }
                if name == capability && consumer.is_some_and(|c| is(whom, c)) =>
            {
                Some(What::HostUnfit { capability: capability.to_owned(), why: why.clone() })
            }
            _ => None,
        })
    }

    /// Whether some fact speaks about what this very consumer takes: its requirements then cannot be shared with others.
    pub(crate) fn is_particular(&self, consumer: &Package) -> bool {
        self.facts.iter().any(|fact| match fact {
            Fact::Unfit { consumer: Some(key), .. } | Fact::HostUnfit { consumer: key, .. } => is(key, consumer),
            _ => false,
        })
    }

    /// Packages that cannot share a root with this one, with the reason.
    pub(crate) fn clashes(&self, package: &Package) -> Vec<(&'a PackageKey, &'a str)> {
        self.facts
            .iter()
            .filter_map(|fact| match fact {
                Fact::Clash { first, second, why } if is(first, package) => Some((second, why.as_str())),
                Fact::Clash { first, second, why } if is(second, package) => Some((first, why.as_str())),
                _ => None,
            })
            .collect()
    }
}
