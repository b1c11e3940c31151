//! One source: where an index is, who may sign it, and where the files that it lists are. Never fetches anything.

use std::fmt;

use serde::{Deserialize, Serialize};
use xpkg_formats::apk::db::repositories::{Kind, RepoLine};
use xpkg_model::dependency::valid_package_name;
use xpkg_model::{Ecosystem, Package, RelPath};

use crate::error::{Error, Result};

/// How an index is laid out on a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// `URL/ARCH/APKINDEX.tar.gz`, packages in `URL/ARCH/`.
    ApkV2,
    /// `URL/ARCH/Packages.adb`, packages in `URL/ARCH/`.
    ApkV3,
    /// The URL is the index itself, packages lie beside it.
    Index,
    /// opkg's: `URL/Packages.gz`, its signature `URL/Packages.sig`, packages below `URL`.
    Opkg,
    /// The same with an uncompressed `Packages`.
    OpkgPlain,
}

/// Whether an index must be signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trust {
    /// By a key of this source.
    #[default]
    Signed,
    /// Not at all: its file says `trust = "none"`.
    None,
}

/// Which file of the root describes a source.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A file of the native package manager.
    Native {
        /// Which file.
        file: RelPath,
        /// Line, from 1.
        line: u32,
    },
    /// One of xpkg's own: `/etc/xpkg/sources.d/NAME.toml`.
    Own {
        /// Which file.
        file: RelPath,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Native { file, line } => write!(f, "{file}:{line}"),
            Self::Own { file } => write!(f, "{file}"),
        }
    }
}

/// A place that offers packages of one world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Unique among the sources of a root: `alpine`, or `alpine/community` where one file names several components.
    pub name: String,
    /// What a person enables, disables or removes: the own file's stem; a native source's own name.
    pub group: String,
    /// World of its packages.
    pub ecosystem: Ecosystem,
    /// Base of a repository or URL of an index, variables replaced.
    pub url: String,
    /// Part of a release (`main`, `base` …), below the URL.
    pub component: Option<String>,
    /// Architecture word in its paths, of its own world.
    pub arch: String,
    /// Layout; `None`: told from the URL's ending, else tried.
    pub format: Option<Format>,
    /// Directories or files of its keys; empty for native sources, whose keys are the native manager's.
    pub keys: Vec<RelPath>,
    /// Higher is asked first.
    pub priority: i32,
    /// Whether its index must be signed.
    pub trust: Trust,
    /// Disabled sources stay in their file and offer nothing.
    pub enabled: bool,
    /// `@tag` of a native line or own file: only what is pinned to it is taken from here.
    pub tag: Option<String>,
    /// The file it comes from.
    pub origin: Origin,
}

/// Where an index is, and what its packages' paths are relative to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexUrl {
    /// The index.
    pub url: String,
    /// Base of `ARCH/NAME-VERSION.apk`; `None`: packages lie beside the index.
    pub repository: Option<String>,
}

/// opkg's index, compressed.
const FEED_GZ: &str = "Packages.gz";
/// opkg's index.
const FEED: &str = "Packages";

/// Whether a URL names an index of opkg.
fn is_feed(url: &str) -> bool {
    url.rsplit('/').next().is_some_and(|last| last == FEED || last == FEED_GZ)
}

impl Source {
    /// Whether the root's native manager uses it too.
    pub fn is_native(&self) -> bool {
        matches!(self.origin, Origin::Native { .. })
    }

    /// The places where its index may be, the likeliest first. More than one only where the layout is not known.
    pub fn index_urls(&self) -> Vec<IndexUrl> {
        let url = self.url.trim_end_matches('/');
        let direct = |url: String| IndexUrl { url, repository: None };
        let v2 =
            |base: String| IndexUrl { url: format!("{base}/{}/APKINDEX.tar.gz", self.arch), repository: Some(base) };
        let v3 = |base: String| IndexUrl { url: format!("{base}/{}/Packages.adb", self.arch), repository: Some(base) };
        let base = match &self.component {
            Some(component) => format!("{url}/{component}"),
            None => url.to_owned(),
        };
        let feed = |base: &str| direct(format!("{base}/{FEED_GZ}"));
        let is_index = self.component.is_none() && (url.ends_with(".adb") || url.ends_with(".tar.gz") || is_feed(url));
        match self.format {
            Some(Format::ApkV2) => vec![v2(base)],
            Some(Format::ApkV3) => vec![v3(base)],
            Some(Format::Index) => vec![direct(base)],
            Some(_) if is_feed(url) && self.component.is_none() => vec![direct(base)],
            Some(Format::Opkg) => {
                // A whole release, as with apk below.
                let below = self.component.as_ref().map(|c| feed(&format!("{url}/packages/{}/{c}", self.arch)));
                std::iter::once(feed(&base)).chain(below).collect()
            }
            Some(Format::OpkgPlain) => vec![direct(format!("{base}/{FEED}"))],
            None if is_index => vec![direct(base)],
            None if self.ecosystem == Ecosystem::Alpine => {
                vec![v2(base.clone()), v3(base.clone()), direct(format!("{base}/APKINDEX.tar.gz"))]
            }
            None => {
                let mut all = vec![direct(format!("{base}/packages.adb"))];
                if let Some(component) = &self.component {
                    // A whole release: https://downloads.openwrt.org/releases/25.12.2 and its feeds.
                    all.push(direct(format!("{url}/packages/{}/{component}/packages.adb", self.arch)));
                }
                all.push(direct(format!("{base}/{}/packages.adb", self.arch)));
                // Releases before 25.12 have opkg.
                all.push(feed(&base));
                if let Some(component) = &self.component {
                    all.push(feed(&format!("{url}/packages/{}/{component}", self.arch)));
                }
                all.push(direct(format!("{base}/{FEED}")));
                all
            }
        }
    }

    /// The likeliest place of its index.
    pub fn index_url(&self) -> String {
        self.index_urls().into_iter().next().map_or_else(|| self.url.clone(), |index| index.url)
    }

    /// Where a package of this source is, if its index is at the likeliest place. After an update
    /// `Catalogue::package_url` knows the place that was really found.
    pub fn package_url(&self, package: &Package) -> Result<String> {
        let index = self.index_urls().into_iter().next();
        let index = index.unwrap_or_else(|| IndexUrl { url: self.url.clone(), repository: None });
        index.package_url(&self.arch, None, package)
    }

    /// A file name for what belongs to this source: its name, and a hash of everything that makes it this source, so that
    /// an edited source never meets the cache or the memory of the one it was.
    pub fn file_stem(&self) -> String {
        let mut hash = crate::catalogue::Fnv::new();
        for part in [self.ecosystem.as_str(), &self.url, self.component.as_deref().unwrap_or(""), &self.arch] {
            hash.write(part.as_bytes());
            hash.write(b"\0");
        }
        let safe = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
        let name: String = self.name.chars().take(80).map(safe).collect();
        format!("{}-{:016x}", name.trim_start_matches('.'), hash.finish())
    }
}

impl IndexUrl {
    /// Where the signature is that lies beside the index: opkg's is in a file of its own, apk's inside.
    pub fn signature_url(&self) -> Option<String> {
        let (dir, _) = self.url.rsplit_once('/')?;
        is_feed(&self.url).then(|| format!("{dir}/{FEED}.sig"))
    }

    /// Where a package of this index is. `arch` is the source's own, where architecture-independent packages lie.
    /// `spec` is the index's own `pkgname-spec`.
    pub fn package_url(&self, arch: &str, spec: Option<&str>, package: &Package) -> Result<String> {
        let bad = |reason: &str| Error::BadUrl {
            url: self.url.clone(),
            reason: format!("{package}: {reason}", package = package.key()),
        };
        // The reader of repository lines knows where each layout keeps its files, and refuses names that leave it.
        let line = RepoLine {
            tag: None,
            kind: if self.repository.is_some() { Kind::V2 } else { Kind::Ndx },
            url: self.repository.clone().unwrap_or_else(|| self.url.clone()),
            component: None,
            line: 0,
        };
        if let Some(file) = &package.filename {
            // A name of the index's own making (opkg): relative to the index.
            if RelPath::from_package(file.as_bytes()).is_err() || file.contains(['?', '#', '%', '\\', ' ']) {
                return Err(bad("its file name leaves the repository"));
            }
            return Ok(format!("{}/{file}", line.package_base()));
        }
        if !valid_package_name(&package.name) || package.version.contains(['/', '?', '#', '%']) {
            return Err(bad("its name or version cannot be part of a url"));
        }
        line.package_url(package, arch, spec).map_err(|e| bad(&e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(ecosystem: Ecosystem, url: &str, component: Option<&str>) -> Source {
        Source {
            name: "x".into(),
            group: "x".into(),
            ecosystem,
            url: url.into(),
            component: component.map(str::to_owned),
            arch: "x86_64".into(),
            format: None,
            keys: Vec::new(),
            priority: 0,
            trust: Trust::Signed,
            enabled: true,
            tag: None,
            origin: Origin::Own { file: RelPath::literal("/etc/xpkg/sources.d/x.toml") },
        }
    }

    #[test]
    fn indexes_are_found_in_every_layout() {
        let first = |s: &Source| s.index_url();
        assert_eq!(
            first(&source(Ecosystem::Alpine, "http://h/v3.19/main/", None)),
            "http://h/v3.19/main/x86_64/APKINDEX.tar.gz"
        );
        assert_eq!(
            first(&source(Ecosystem::Alpine, "http://h/v3.19", Some("main"))),
            "http://h/v3.19/main/x86_64/APKINDEX.tar.gz"
        );
        assert_eq!(first(&source(Ecosystem::Alpine, "/d/APKINDEX.tar.gz", None)), "/d/APKINDEX.tar.gz");
        assert_eq!(first(&source(Ecosystem::Openwrt, "http://h/f/packages.adb", None)), "http://h/f/packages.adb");
        assert_eq!(first(&source(Ecosystem::Openwrt, "http://h/f", None)), "http://h/f/packages.adb");
        let feeds = source(Ecosystem::Openwrt, "http://h/25.12.2", Some("base")).index_urls();
        assert!(feeds.iter().any(|i| i.url == "http://h/25.12.2/packages/x86_64/base/packages.adb"));
        assert!(feeds.iter().any(|i| i.url == "http://h/25.12.2/packages/x86_64/base/Packages.gz"));
        let mut opkg = source(Ecosystem::Openwrt, "http://h/f/Packages.gz", None);
        assert_eq!(opkg.index_urls(), [IndexUrl { url: "http://h/f/Packages.gz".into(), repository: None }]);
        (opkg.url, opkg.format) = ("http://h/f".into(), Some(Format::OpkgPlain));
        assert_eq!(first(&opkg), "http://h/f/Packages");
        assert_eq!(opkg.index_urls()[0].signature_url().unwrap(), "http://h/f/Packages.sig");
        assert_eq!(feeds[0].signature_url(), None);
    }

    #[test]
    fn package_urls_stay_below_the_repository() {
        let alpine = source(Ecosystem::Alpine, "http://h/main", None);
        let mut package = Package::new(Ecosystem::Alpine, "a", "1.0~ab-r0");
        package.arch = "noarch".into();
        assert_eq!(alpine.package_url(&package).unwrap(), "http://h/main/x86_64/a-1.0~ab-r0.apk");
        package.filename = Some("../../b.apk".into());
        assert!(alpine.package_url(&package).is_err());
        package.filename = None;
        package.version = "1/../..".into();
        assert!(alpine.package_url(&package).is_err());
        let feed = source(Ecosystem::Openwrt, "/srv/feed", None);
        let package = Package::new(Ecosystem::Openwrt, "a", "1-r0");
        assert_eq!(feed.package_url(&package).unwrap(), "/srv/feed/a-1-r0.apk");
    }
}
