//! The dependency grammar of apk, and the little that opkg adds (`a | b`).
//!
//! Grammar: `[!]name[@tag][op version]`, apk-package(5) and apk-world(5) of apk-tools 3.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::VersionScheme;
use crate::version::{self, Relation};

/// Longest dependency token accepted, in bytes; the longest one in Alpine's and OpenWrt's indexes is under 200.
pub const MAX_TOKEN: usize = 1024;

/// A set of allowed relations, as apk's bits: `=` 1, `<` 2, `>` 4, `~` 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Op(pub u8);

impl Op {
    /// `=`
    pub const EQUAL: Self = Self(1);
    /// `<`
    pub const LESS: Self = Self(2);
    /// `>`
    pub const GREATER: Self = Self(4);
    /// `~`: equal as far as the wanted version goes.
    pub const FUZZY: Self = Self(8 | 1);
    /// `><`: the version part is an identity (`Q1…`).
    pub const CHECKSUM: Self = Self(2 | 4);
    /// No condition.
    pub const ANY: Self = Self(1 | 2 | 4);

    /// Whether the bits hold `other`'s.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether the comparison is fuzzy.
    pub const fn is_fuzzy(self) -> bool {
        self.0 & 8 != 0
    }

    /// The operator as apk writes it; empty for [`Op::ANY`].
    pub const fn as_str(self) -> &'static str {
        match self.0 {
            1 => "=",
            2 => "<",
            3 => "<=",
            4 => ">",
            5 => ">=",
            6 => "><",
            8 | 9 => "~",
            10 | 11 => "<~",
            12 | 13 => ">~",
            _ => "",
        }
    }
}

/// One condition on one name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Dependency {
    /// Package or capability name, unscoped.
    pub name: String,
    /// Relation to [`Dependency::version`]; [`Op::ANY`] when there is none.
    pub op: Op,
    /// Wanted version; empty when there is none.
    pub version: String,
    /// `!name`: must not be there.
    pub conflict: bool,
    /// `@tag`: only in world files.
    pub tag: Option<String>,
}

impl Dependency {
    /// Any version of `name`.
    pub fn any(name: impl Into<String>) -> Self {
        Self { name: name.into(), op: Op::ANY, version: String::new(), conflict: false, tag: None }
    }

    /// Whether a package or versioned provide of this name with `version` meets the condition.
    /// Ignores [`Dependency::conflict`]: the caller knows what to do with a match. opkg takes equal versions for any
    /// relation, `<<` and `>>` included, and feeds rely on it (version_constraints_satisfied in opkg's pkg_depends.c).
    pub fn met_by_version(&self, scheme: VersionScheme, version: &str) -> bool {
        if self.op == Op::ANY {
            return true;
        }
        if self.op == Op::CHECKSUM {
            return false; // identities are compared by whoever has them
        }
        match version::compare(scheme, version, &self.version, self.op.is_fuzzy()) {
            Relation::Less => self.op.0 & 2 != 0,
            Relation::Equal => self.op.0 & 1 != 0 || self.op.is_fuzzy() || scheme == VersionScheme::Deb,
            Relation::Greater => self.op.0 & 4 != 0,
        }
    }

    /// Whether a provide meets the condition. An unversioned provide meets only an unversioned dependency
    /// (the rule on which apk 2.14 and apk 3.0 agree).
    pub fn met_by(&self, scheme: VersionScheme, provide: &Provide) -> bool {
        provide.name == self.name
            && match &provide.version {
                Some(version) => self.met_by_version(scheme, version),
                None => self.op == Op::ANY,
            }
    }
}

impl fmt::Display for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.conflict {
            f.write_str("!")?;
        }
        f.write_str(&self.name)?;
        if let Some(tag) = &self.tag {
            write!(f, "@{tag}")?;
        }
        if self.op != Op::ANY {
            write!(f, "{}{}", self.op.as_str(), self.version)?;
        }
        Ok(())
    }
}

impl FromStr for Dependency {
    type Err = DependencyError;

    fn from_str(token: &str) -> Result<Self, Self::Err> {
        let bad = |reason| DependencyError { token: token.chars().take(80).collect(), reason };
        if token.len() > MAX_TOKEN {
            return Err(bad("longer than 1024 bytes"));
        }
        let (conflict, rest) = match token.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, token),
        };
        let end = rest.find(['<', '>', '=', '~']).unwrap_or(rest.len());
        let (head, condition) = rest.split_at(end);
        let (name, tag) = match head.split_once('@') {
            // OpenWrt 25.12 writes provides such as `foo-any`; an `@` at the start is no tag but part of nothing.
            Some((name, tag)) if !name.is_empty() => (name, Some(tag)),
            _ => (head, None),
        };
        // One `?` is what apk 2 writes into its database for a condition that it has no sign for, and reads back as part of
        // the name (apk-tools 2.14: `f>~2` becomes `f?2`).
        if !valid_name(name) && !name.split_once('?').is_some_and(|(a, b)| valid_name(&format!("{a}{b}"))) {
            return Err(bad("not a valid name"));
        }
        if tag.is_some_and(|t| t.is_empty() || !t.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))) {
            return Err(bad("not a valid tag"));
        }
        let (op, version) = parse_condition(condition).ok_or_else(|| bad("not a valid version condition"))?;
        Ok(Self { name: name.to_owned(), op, version, conflict, tag: tag.map(str::to_owned) })
    }
}

fn parse_condition(text: &str) -> Option<(Op, String)> {
    if text.is_empty() {
        return Some((Op::ANY, String::new()));
    }
    let end = text.find(|c| !"<>=~".contains(c)).unwrap_or(text.len());
    let (symbols, version) = text.split_at(end);
    let mut bits = 0;
    for symbol in symbols.chars() {
        bits |= match symbol {
            '=' => 1,
            '<' => 2,
            '>' => 4,
            _ => 8 | 1,
        };
    }
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-+~:/=".contains(&b);
    (bits != 7 && bits & 15 != 15 && !version.is_empty() && version.bytes().all(allowed))
        .then(|| (Op(bits), version.to_owned()))
}

/// Names of packages and capabilities. Wider than apk's package names: capabilities hold `: / [ ] ,`, and virtual packages
/// (`apk add --virtual .build-deps`) begin with a dot.
pub fn valid_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_graphic() && !b"<>=~@\"'\\`;&$*?#{}()^%".contains(&b))
        && !name.starts_with(['-', ',', '!'])
        // Nothing is called like a way up.
        && !name.starts_with("..")
        && name != "."
}

/// Names of packages: what may become part of a file name.
pub fn valid_package_name(name: &str) -> bool {
    name.len() <= 128
        && name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '.' || c == '_')
        && !name.starts_with("..")
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._+-".contains(&b))
}

/// One of these must be met. apk writes exactly one, opkg's `a | b` several.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Requirement(Vec<Dependency>);

impl Requirement {
    /// The alternatives, in the order of preference; `None` when there are none.
    pub fn any_of(alternatives: Vec<Dependency>) -> Option<Self> {
        (!alternatives.is_empty()).then_some(Self(alternatives))
    }

    /// The alternatives; never empty.
    pub fn alternatives(&self) -> &[Dependency] {
        &self.0
    }

    /// A conflict (`!name`), where this is one.
    pub fn as_conflict(&self) -> Option<&Dependency> {
        self.0.first().filter(|d| d.conflict)
    }
}

impl From<Dependency> for Requirement {
    fn from(dependency: Dependency) -> Self {
        Self(vec![dependency])
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, dependency) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(" | ")?;
            }
            dependency.fmt(f)?;
        }
        Ok(())
    }
}

/// A name that a package answers to besides its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Provide {
    /// Capability name.
    pub name: String,
    /// With a version it behaves as a package of that name; without, it is virtual.
    pub version: Option<String>,
}

impl Provide {
    /// An unversioned provide.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), version: None }
    }

    /// A versioned provide.
    pub fn versioned(name: impl Into<String>, version: impl Into<String>) -> Self {
        Self { name: name.into(), version: Some(version.into()) }
    }
}

impl From<Dependency> for Provide {
    fn from(d: Dependency) -> Self {
        Self { name: d.name, version: (!d.version.is_empty()).then_some(d.version) }
    }
}

impl fmt::Display for Provide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Some(version) => write!(f, "{}={version}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// Whether a capability means the same on both sides: `so:`, `cmd:`, `pc:` and absolute paths.
pub fn is_shared(name: &str) -> bool {
    name.starts_with('/') || ["so:", "cmd:", "pc:"].iter().any(|prefix| name.starts_with(prefix))
}

/// Splits a list as apk writes it: separated by spaces or newlines.
pub fn parse_list(text: &str) -> Result<Vec<Dependency>, DependencyError> {
    text.split_ascii_whitespace().map(str::parse).collect()
}

/// A token that does not follow the grammar.
#[derive(Debug, thiserror::Error)]
#[error("`{token}` is not a dependency: {reason}")]
pub struct DependencyError {
    /// The token, shortened.
    pub token: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_real_indexes_round_trip() {
        for token in [
            "so:libc.musl-x86_64.so.1",
            "/bin/sh",
            "!foo",
            "a=1-r0",
            "a>=1.2",
            "a<2",
            "a~1.2",
            "a@edge",
            "a><Q1/+=",
            "pc:zlib>=1.2",
            "cmd:[=1",
            "kernel=6.12.74~88179747-r1",
            "cmd:kdevelop!=23.08.4-r0",
            "f?2-r1",
        ] {
            let parsed: Dependency = token.parse().unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(parsed.to_string(), token);
        }
        for token in ["", "!", "!!a", "a=", "=1", "a<>=1", "a b", "a@=1", "-a", "?", "?a?", "a??"] {
            assert!(token.parse::<Dependency>().is_err(), "{token}");
        }
        assert!(!valid_name("f?2"), "no package is called so");
    }
}
