//! What would be done to a root: a value that can be shown, checked and carried out.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Ecosystem, Package};

/// What happens to one package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Was not there.
    Install,
    /// Another version was there (upgrade, downgrade, or the same version rebuilt).
    Replace,
    /// Goes away.
    Remove,
}

/// Why a step is in the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "because", rename_all = "kebab-case")]
pub enum Reason {
    /// A person named it.
    Requested,
    /// Something needs it.
    Needed {
        /// Scoped name of the consumer.
        by: String,
        /// The requirement it meets.
        requirement: String,
    },
    /// Its `install_if` came true.
    InstallIf,
    /// A newer version is there.
    Upgrade,
    /// Nothing needs it any more.
    Orphan,
    /// What it needs goes away, or it clashes with what was asked for.
    Displaced {
        /// In words.
        why: String,
    },
}

/// One step. For [`Action::Remove`], `package` is what goes away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What happens.
    pub action: Action,
    /// The package that comes, or goes.
    pub package: Arc<Package>,
    /// What it replaces.
    pub old: Option<Arc<Package>>,
    /// Why.
    pub reason: Reason,
    /// Becomes an explicit choice of the person.
    pub explicit: bool,
}

/// A requirement of a planned package that something already there meets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostUse {
    /// The consumer, scoped.
    pub consumer: String,
    /// What it needs.
    pub requirement: String,
    /// What gives it: a native package (`openwrt:zlib 1.3.1-r1`), or the host rule's words.
    pub by: String,
    /// Name of the native package, when it is one.
    pub native: Option<String>,
    /// Why it does although the package asks for another version. The native manager is then told of the name alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<String>,
}

/// The steps in the order they are carried out, and what they lean on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Removals and installs, dependencies first.
    pub steps: Vec<Step>,
    /// What foreign packages take from the host.
    pub host_uses: Vec<HostUse>,
    /// Things a person should know, in words.
    pub notes: Vec<String>,
    /// The repository tag of native packages, by name, where it is decided anew: apk keeps it beside the package.
    pub tags: BTreeMap<String, Option<String>>,
}

impl Plan {
    /// Whether nothing would change.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Steps that bring a package.
    pub fn incoming(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|s| s.action != Action::Remove)
    }

    /// Whether it brings a package of a world other than `native`.
    pub fn brings_foreign(&self, native: Ecosystem) -> bool {
        self.incoming().any(|s| s.package.ecosystem != native)
    }
}
