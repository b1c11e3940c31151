//! The memory of the newest index accepted from each source, so that nobody can bring back an old one with a good signature.
//!
//! What "older" means. Neither index format carries a date, so two signed statements are compared:
//! 1. the description, where both indexes have one as `git describe` writes it (Alpine: `v3.19.1-643-gec825d20535`): a lower
//!    release or a lower count is older, a higher one is newer and settles it;
//! 2. else the newest build time among the packages: a lower one is older. An index from which only the newest package was
//!    withdrawn looks exactly like the one before that package came: it is refused too, and a person may allow it.
//!
//! opkg's indexes say neither. There the versions are compared with those of the catalogue that is here: an index in which
//! some package has become older and none newer is an older one. Without a catalogue it cannot be judged and is accepted, as
//! is any other index that says neither. Dates of servers and of this machine play no part: the first are not signed, the
//! second may be wrong.

use std::collections::HashMap;
use std::fs;
use std::io;

use xpkg_model::root::RootView;
use xpkg_model::version::{self, Relation};
use xpkg_model::{Package, RelPath, VersionScheme};

use crate::cache::{Cache, write_atomic};
use crate::catalogue::for_each_of;
use crate::error::{Error, Result};
use crate::source::Source;

/// Where a root remembers.
const ON_ROOT: &str = "usr/lib/xpkg/seen";
/// Descriptions are short; what is longer is no memory of ours.
const MAX_MEMORY: u64 = 64 << 10;

/// What an index says of its age.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Age {
    /// Newest build time of its packages; 0 when none says one.
    pub newest: u64,
    /// Its description.
    pub description: String,
}

impl Age {
    /// Whether this is older than what was seen.
    pub fn is_older_than(&self, seen: &Self) -> bool {
        if let (Some((base, found)), Some((seen_base, was))) =
            (describe(&self.description), describe(&seen.description))
        {
            // Another line of releases (`latest-stable` moved on, or back) compares by release first.
            match base.cmp(&seen_base).then(found.cmp(&was)) {
                std::cmp::Ordering::Less => return true,
                std::cmp::Ordering::Greater => return false,
                std::cmp::Ordering::Equal => {}
            }
        }
        self.newest != 0 && self.newest < seen.newest
    }

    /// For messages.
    pub fn shown(&self) -> String {
        match self.description.as_str() {
            "" => format!("newest package built at {}", self.newest),
            description => format!("{description}, newest package built at {}", self.newest),
        }
    }
}

/// How the versions of an index moved since the catalogue that is here.
#[derive(Debug, Default)]
pub(crate) struct Drift {
    /// The highest version of each name that is known.
    known: HashMap<String, String>,
    newer: bool,
    /// The first package that became older: what it is, and what was known.
    older: Option<(String, String)>,
}

impl Drift {
    /// What is known of a source.
    pub fn since(cache: &Cache, source: &Source) -> Result<Self> {
        let mut drift = Self::default();
        for_each_of(cache, source, &mut |package| {
            let known = drift.known.entry(package.name).or_default();
            if known.is_empty() || moved(package.scheme, known, &package.version) == Relation::Greater {
                *known = package.version;
            }
        })?;
        Ok(drift)
    }

    /// Takes note of a package of the new index.
    pub fn see(&mut self, package: &Package) {
        let Some(known) = self.known.get(&package.name) else { return };
        match moved(package.scheme, known, &package.version) {
            Relation::Greater => self.newer = true,
            Relation::Less if self.older.is_none() => {
                let said = |version: &str| format!("{} {version}", package.name);
                self.older = Some((said(&package.version), said(known)));
            }
            _ => {}
        }
    }

    /// What became older, when nothing became newer.
    pub fn goes_back(self) -> Option<(String, String)> {
        self.older.filter(|_| !self.newer)
    }
}

fn moved(scheme: VersionScheme, from: &str, to: &str) -> Relation {
    version::compare(scheme, to, from, false)
}

/// `v3.19.1-643-gec825d20535` as ([3, 19, 1], 643); a tag by itself counts 0.
fn describe(text: &str) -> Option<(Vec<u64>, u64)> {
    let text = text.trim().strip_prefix('v')?;
    let (tag, count) = match text.rsplit_once("-g") {
        Some((rest, hash)) if hash.len() >= 7 && hash.bytes().all(|b| b.is_ascii_hexdigit()) => {
            let (tag, count) = rest.rsplit_once('-')?;
            (tag, count.parse().ok()?)
        }
        _ => (text, 0),
    };
    let numbers = tag.split('.').map(|n| n.parse().ok()).collect::<Option<Vec<u64>>>()?;
    (2..=4).contains(&numbers.len()).then_some((numbers, count))
}

/// The newest seen of a source, as the cache remembers it.
pub(crate) fn recall(cache: &Cache, source: &Source) -> Result<Option<Age>> {
    let path = cache.seen_path(source);
    match fs::read(&path) {
        Ok(bytes) => Ok(parse(&bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io("read", &path, e)),
    }
}

/// The newest seen of a source, as the root remembers it.
pub(crate) fn recall_from_root(root: &dyn RootView, source: &Source) -> Result<Option<Age>> {
    let path = path_on_root(source)?;
    let failed = |source| Error::Io { what: format!("cannot read {path}"), source };
    Ok(root.read(&path, MAX_MEMORY).map_err(failed)?.and_then(|bytes| parse(&bytes)))
}

/// Remembers an accepted index in the cache.
pub(crate) fn remember(cache: &Cache, source: &Source, age: &Age) -> Result<()> {
    write_atomic(&cache.seen_path(source), &text(age))
}

/// What a root keeps of the newest index of one source. A cache may be memory (OpenWrt's `/var` is), and forgets at the next
/// boot; this lasts. The caller writes it, as whatever is written to a root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Where it belongs.
    pub path: RelPath,
    /// Its content: a number and a description, a line each.
    pub bytes: Vec<u8>,
}

impl Memory {
    /// What is new to a root that remembers `seen`; `None` also where an index says nothing of its age, as opkg's.
    pub(crate) fn of(source: &Source, age: &Age, seen: Option<&Age>) -> Result<Option<Self>> {
        if seen == Some(age) || *age == Age::default() {
            return Ok(None);
        }
        Ok(Some(Self { path: path_on_root(source)?, bytes: text(age) }))
    }
}

fn path_on_root(source: &Source) -> Result<RelPath> {
    let path = format!("{ON_ROOT}/{}", source.file_stem());
    RelPath::from_package(path.as_bytes()).map_err(|e| Error::BadSource { file: path, reason: e.to_string() })
}

fn text(age: &Age) -> Vec<u8> {
    format!("{}\n{}\n", age.newest, age.description.replace('\n', " ")).into_bytes()
}

fn parse(bytes: &[u8]) -> Option<Age> {
    let text = String::from_utf8_lossy(bytes);
    let (newest, description) = text.split_once('\n').unwrap_or((&text, ""));
    Some(Age { newest: newest.parse().ok()?, description: description.trim_end().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn age(newest: u64, description: &str) -> Age {
        Age { newest, description: description.into() }
    }

    #[test]
    fn versions_tell_where_nothing_else_does() {
        let package = |name: &str, version: &str| {
            let mut package = Package::new(xpkg_model::Ecosystem::Openwrt, name, version);
            package.scheme = VersionScheme::Deb;
            package
        };
        let known = HashMap::from([("a".to_owned(), "2-1".to_owned()), ("b".to_owned(), "1-9".to_owned())]);
        for (found, back) in [
            (&[("a", "2-1"), ("b", "1-9")][..], false),
            (&[("a", "1-1"), ("b", "1-9")], true),
            (&[("a", "1-1"), ("b", "1-10")], false), // a package may be taken back while others move on
            (&[("a", "1-1"), ("c", "7")], true),
            (&[("c", "7")], false),
        ] {
            let mut drift = Drift { known: known.clone(), ..Drift::default() };
            found.iter().for_each(|(name, version)| drift.see(&package(name, version)));
            assert_eq!(drift.goes_back().is_some(), back, "{found:?}");
        }
    }

    #[test]
    fn older_is_told_from_newer() {
        let seen = age(100, "v3.19.1-643-gec825d20535");
        assert!(age(100, "v3.19.1-642-g9e5b575ce97").is_older_than(&seen));
        assert!(age(200, "v3.18.9-999-g9e5b575ce97").is_older_than(&seen));
        assert!(!age(90, "v3.19.1-644-g9e5b575ce97").is_older_than(&seen), "its newest package was withdrawn");
        assert!(!age(90, "v3.19.2").is_older_than(&seen));
        assert!(age(90, "v3.19.1-643-gec825d20535").is_older_than(&seen));
        assert!(age(90, "").is_older_than(&seen));
        assert!(!age(100, "").is_older_than(&seen));
        assert!(!age(0, "").is_older_than(&seen), "nothing to judge by");
    }
}
