//! The two version orders. Native version strings stay raw and are compared only within their own order.

mod apk;
mod deb;

use serde::{Deserialize, Serialize};

pub use apk::{agree_in_common as apk_agree_in_common, is_valid as is_valid_apk};

/// Which order a version string follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VersionScheme {
    /// apk-tools: Alpine, and OpenWrt since 25.12.
    Apk,
    /// Debian's: opkg.
    Deb,
}

/// How the left version stands to the right one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Older.
    Less,
    /// The same (with `fuzzy`: the same as far as the right one goes).
    Equal,
    /// Newer.
    Greater,
}

impl From<Relation> for std::cmp::Ordering {
    fn from(relation: Relation) -> Self {
        match relation {
            Relation::Less => Self::Less,
            Relation::Equal => Self::Equal,
            Relation::Greater => Self::Greater,
        }
    }
}

/// Compares two raw versions. `fuzzy` (`~`) exists in apk's order only; Debian's ignores it.
pub fn compare(scheme: VersionScheme, left: &str, right: &str, fuzzy: bool) -> Relation {
    match scheme {
        VersionScheme::Apk => apk::compare(left, right, fuzzy),
        VersionScheme::Deb => deb::compare(left, right),
    }
}
