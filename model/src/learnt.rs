//! What a failed check or download taught, so that the next solve does not try it again.

use serde::{Deserialize, Serialize};

use crate::{PackageKey, Provide};

/// One learnt fact. All hold for the rest of one run; proven provides are also cached by identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "kebab-case")]
pub enum Fact {
    /// The package's files prove these `so:`/`cmd:` names (and no others).
    Provides {
        /// Which package.
        package: PackageKey,
        /// What its files give.
        provides: Vec<Provide>,
    },
    /// The provider does not satisfy the consumer (or anyone, with `consumer: None`) for that capability.
    Unfit {
        /// Who was to provide.
        provider: PackageKey,
        /// What.
        capability: String,
        /// For whom.
        consumer: Option<PackageKey>,
        /// Why not, in words.
        why: String,
    },
    /// The package cannot be had: download failed, digest wrong, not in the repository.
    Unavailable {
        /// Which package.
        package: PackageKey,
        /// Why, in words.
        why: String,
    },
    /// The package cannot run on this root at all.
    Impossible {
        /// Which package.
        package: PackageKey,
        /// Why, in words.
        why: String,
    },
    /// The host's capability does not satisfy the consumer.
    HostUnfit {
        /// Which capability of the host.
        capability: String,
        /// For whom.
        consumer: PackageKey,
        /// Why not, in words.
        why: String,
    },
    /// Both want the same path and neither may give way.
    Clash {
        /// One.
        first: PackageKey,
        /// The other.
        second: PackageKey,
        /// Which path and why, in words.
        why: String,
    },
}

/// Every fact learnt so far in one run.
pub type Learnt = Vec<Fact>;
