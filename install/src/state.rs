//! What xpkg itself must remember about a root: foreign packages, holds, links that were displaced, directories that were
//! made. Small, and absent where there is nothing to remember. Never says what the native database can say.

mod store;

use std::collections::{BTreeMap, BTreeSet};

use xpkg_formats::apk::db::{Acl, DbFile};
use xpkg_model::adaptation::Placement;
use xpkg_model::identity::{parse_q1, q1};
use xpkg_model::root::RootView;
use xpkg_model::{Ecosystem, Package, RelPath, Spec};

use crate::{Error, Result};

/// Our state file.
pub const STATE: &str = "usr/lib/xpkg/state.sqlite";
/// What a person asked of xpkg: one scoped name per line.
pub const WORLD: &str = "etc/xpkg/world";
/// A state of ten thousand packages has some ten megabytes.
const MAX_STATE: u64 = 64 << 20;
/// Lines of the transaction log that are kept.
const MAX_LOG: usize = 200;

/// One foreign package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignPackage {
    /// In its own world's words.
    pub package: Package,
    /// Its name in the native database.
    pub registered: String,
    /// Named by a person.
    pub explicit: bool,
    /// Foreign packages of its world that it needs although its metadata does not say so: found by reading its files.
    pub needs: BTreeSet<String>,
    /// Source that offered it.
    pub source: Option<String>,
    /// Where its files live.
    pub placement: Placement,
    /// What it delivered.
    pub files: Files,
}

/// Paths of one package, packed: one line each, `kind digest path`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files(pub(crate) Vec<u8>);

impl Files {
    /// Adds a path: `d` directory, `f` file, `l` link, `c` special; the digest is apk's 20 bytes.
    pub fn add(&mut self, kind: char, digest: Option<&[u8; 20]>, path: &RelPath) {
        let digest = digest.map_or_else(|| "-".to_owned(), |d| xpkg_model::identity::hex(d));
        self.0.extend_from_slice(format!("{kind} {digest} ").as_bytes());
        self.0.extend_from_slice(path.as_bytes());
        self.0.push(b'\n');
    }

    /// Kind, digest and path of each.
    pub fn iter(&self) -> impl Iterator<Item = (char, Option<[u8; 20]>, RelPath)> + '_ {
        self.0.split(|b| *b == b'\n').filter_map(|line| {
            let mut parts = line.splitn(3, |b| *b == b' ');
            let kind = *parts.next()?.first()? as char;
            let digest = std::str::from_utf8(parts.next()?).ok().and_then(xpkg_model::identity::parse_hex);
            Some((kind, digest, RelPath::from_package(parts.next()?).ok()?))
        })
    }
}

/// A link of the host that a foreign file replaced on request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Displaced {
    /// What the link pointed to.
    pub target: Vec<u8>,
    /// Owner and group of the link.
    pub ids: (u32, u32),
    /// Registered name of the package that took its place.
    pub by: String,
    /// Native package whose link it was; `None` for links that nobody owns.
    pub owner: Option<LinkOwner>,
}

/// How the native database spoke of a displaced link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkOwner {
    /// The package.
    pub package: String,
    /// What its record said of the link.
    pub file: DbFile,
}

impl LinkOwner {
    /// The record as apk writes it: owner and mode, then the digest; `-` for what it does not say.
    pub(crate) fn record(&self) -> String {
        let acl = self.file.acl.as_ref().map(|a| format!("{}:{}:{:o}", a.uid, a.gid, a.mode));
        let digest = self.file.digest.as_ref().map(q1);
        format!("{} {}", acl.as_deref().unwrap_or("-"), digest.as_deref().unwrap_or("-"))
    }

    /// Reads what [`LinkOwner::record`] wrote.
    pub(crate) fn parse(package: String, name: &[u8], record: &str) -> Option<Self> {
        let (acl, digest) = record.split_once(' ')?;
        let acl = match acl {
            "-" => None,
            acl => {
                let mut parts = acl.split(':');
                let (uid, gid) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
                Some(Acl { uid, gid, mode: u32::from_str_radix(parts.next()?, 8).ok()?, xattr: None })
            }
        };
        let digest = if digest == "-" { None } else { Some(parse_q1(digest)?) };
        Some(Self { package, file: DbFile { name: name.to_vec(), acl, digest } })
    }
}

/// What an account is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A line of passwd.
    User,
    /// A line of group.
    Group,
}

impl Kind {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Group => "group",
        }
    }
}

/// An account that was made for foreign packages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeAccount {
    /// Its number.
    pub number: u32,
    /// Packages that need it; empty when none does any more and it had to stay.
    pub by: BTreeSet<(Ecosystem, String)>,
}

/// Everything remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Foreign packages by world and name.
    pub packages: BTreeMap<(Ecosystem, String), ForeignPackage>,
    /// Packages of either world that upgrades must not change.
    pub held: BTreeSet<(Ecosystem, String)>,
    /// Displaced links by path.
    pub displaced: BTreeMap<RelPath, Displaced>,
    /// Directories made for foreign packages.
    pub made: BTreeSet<RelPath>,
    /// Files that were there before a foreign package delivered the same content: they stay when it goes.
    pub adopted: BTreeSet<RelPath>,
    /// Accounts made for foreign packages.
    pub accounts: BTreeMap<(Kind, String), MadeAccount>,
    /// Lines added to `/etc/apk/arch`.
    pub arches: BTreeSet<String>,
    /// Name of the generated provider package in the native database.
    pub provider: Option<String>,
    /// When, and what in words; the newest last.
    pub log: Vec<(u64, String)>,
}

impl State {
    /// Reads the state of a root; an empty one when there is none.
    pub fn load(root: &(impl RootView + ?Sized)) -> Result<Self> {
        let path = RelPath::literal(STATE);
        match root.read(&path, MAX_STATE).map_err(|e| Error::io("reading", &path, e))? {
            Some(bytes) => store::read(&bytes),
            None => Ok(Self::default()),
        }
    }

    /// The state file's bytes: the same state gives the same bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        store::write(self)
    }

    /// Whether there is nothing worth a file. The log alone is not.
    pub fn is_empty(&self) -> bool {
        let Self { packages, held, displaced, made: _, adopted: _, accounts, arches, provider, log: _ } = self;
        let none = packages.is_empty() && held.is_empty() && displaced.is_empty() && accounts.is_empty();
        none && arches.is_empty() && provider.is_none()
    }

    /// Adds a line to the log and drops the oldest ones.
    pub fn note(&mut self, time: u64, text: String) {
        self.log.push((time, text));
        let old = self.log.len().saturating_sub(MAX_LOG);
        self.log.drain(..old);
    }

    /// The foreign package that has this name in the native database.
    pub fn registered(&self, name: &str) -> Option<&ForeignPackage> {
        self.packages.values().find(|p| p.registered == name)
    }

    /// The name under which the native database knows a package.
    pub fn native_name<'a>(&'a self, ecosystem: Ecosystem, name: &'a str) -> &'a str {
        self.packages.get(&(ecosystem, name.to_owned())).map_or(name, |p| p.registered.as_str())
    }
}

/// Reads `/etc/xpkg/world`. Lines that nobody understands are an error: they would be lost at the next write.
pub fn read_world(root: &(impl RootView + ?Sized)) -> Result<Vec<Spec>> {
    let path = RelPath::literal(WORLD);
    let bytes = root.read(&path, 1 << 20).map_err(|e| Error::io("reading", &path, e))?.unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(|line| line.parse().map_err(|e| Error::native(&path, e))).collect()
}

/// The file's text, sorted.
pub(crate) fn write_world(specs: &[Spec]) -> String {
    let lines: BTreeSet<String> = specs.iter().map(|spec| format!("{spec}\n")).collect();
    lines.into_iter().collect()
}
