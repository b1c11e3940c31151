//! What only opkg's packages say: alternatives, accounts, and the few fields that apk has no words for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Dependency, RelPath, Requirement};

/// Fields of a control file beyond those that every [`crate::Package`] has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Opkg {
    /// `ABIVersion`: the suffix that its name ends in; empty when there is none.
    pub abi_version: String,
    /// `Alternatives`.
    pub alternatives: Vec<Alternative>,
    /// `Require-User`, one word per account: `user=uid:group=gid:…`.
    pub require_user: Vec<String>,
    /// `Essential: yes`: never removed unasked.
    pub essential: bool,
    /// `Section`.
    pub section: String,
    /// `Pre-Depends`; they are among the package's dependencies too.
    pub pre_depends: Vec<Requirement>,
    /// `Suggests`.
    pub suggests: Vec<Dependency>,
    /// Every other field, as written: `(name, value)`.
    pub other: Vec<(String, String)>,
}

/// One `priority:link:target` of an `Alternatives` field: the installed package with the highest priority gets the link.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Alternative {
    /// Higher wins.
    pub priority: i32,
    /// Where the link stands.
    pub link: RelPath,
    /// What it points at, as written.
    pub target: String,
}

impl FromStr for Alternative {
    type Err = BadAlternative;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || BadAlternative(text.chars().take(200).collect());
        let mut parts = text.splitn(3, ':');
        let mut next = || parts.next().map(str::trim).filter(|p| !p.is_empty()).ok_or_else(bad);
        let priority = next()?.parse().map_err(|_| bad())?;
        let (link, target) = (next()?, next()?);
        if !link.starts_with('/') || target.contains(['\n', '\0']) || target.len() > crate::path::MAX_PATH {
            return Err(bad());
        }
        let link = RelPath::from_absolute(link).map_err(|_| bad())?;
        if link.is_root() {
            return Err(bad());
        }
        Ok(Self { priority, link, target: target.to_owned() })
    }
}

impl fmt::Display for Alternative {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.priority, self.link, self.target)
    }
}

impl TryFrom<String> for Alternative {
    type Error = BadAlternative;

    fn try_from(value: String) -> Result<Self, Self::Error> {
        value.parse()
    }
}

impl From<Alternative> for String {
    fn from(value: Alternative) -> Self {
        value.to_string()
    }
}

/// Text that is no alternative.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no alternative: `priority:/link:target` is")]
pub struct BadAlternative(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alternatives_round_trip_and_stay_inside() {
        let text = "200:/usr/bin/wget:/usr/bin/wget-ssl";
        assert_eq!(text.parse::<Alternative>().unwrap().to_string(), text);
        for bad in ["", "200:/a", "x:/a:/b", "1:a:/b", "1:/../a:/b", "1:/:/b"] {
            assert!(bad.parse::<Alternative>().is_err(), "{bad}");
        }
    }
}
