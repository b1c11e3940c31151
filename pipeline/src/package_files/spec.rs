//! The description of a package to be made: a small TOML file (docs/packages.md). Parses and checks words; reads no payload.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use xpkg_model::opkg::{Alternative, Opkg};
use xpkg_model::{Dependency, Ecosystem, Package, Provide, RelPath, Requirement, VersionScheme};

use crate::error::Error;

/// Nothing larger is a description.
const MAX: u64 = 1 << 20;

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Spec {
    pub package: Words,
    #[serde(default)]
    pub scripts: BTreeMap<String, PathBuf>,
    #[serde(default)]
    pub files: Files,
}

/// `[package]`. Dependencies are written as apk writes them: `name`, `name>=1.2`, `!name`; and `a | b` for opkg.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Words {
    pub name: String,
    pub version: String,
    pub arch: String,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub url: String,
    #[serde(default)]
    pub license: String,
    #[serde(default)]
    pub origin: String,
    #[serde(default)]
    pub maintainer: String,
    #[serde(default)]
    pub commit: String,
    pub build_time: Option<u64>,
    #[serde(default)]
    pub depends: Vec<String>,
    #[serde(default)]
    pub recommends: Vec<String>,
    #[serde(default)]
    pub provides: Vec<String>,
    #[serde(default)]
    pub replaces: Vec<String>,
    #[serde(default)]
    pub install_if: Vec<String>,
    #[serde(default)]
    pub triggers: Vec<String>,
    #[serde(default)]
    pub tags: Vec<String>,
    pub provider_priority: Option<u32>,
    #[serde(default)]
    pub replaces_priority: u32,
    #[serde(default)]
    pub section: String,
    #[serde(default)]
    pub essential: bool,
    #[serde(default)]
    pub abi_version: String,
    #[serde(default)]
    pub users: Vec<String>,
    #[serde(default)]
    pub alternatives: Vec<String>,
    #[serde(default)]
    pub conffiles: Vec<String>,
}

/// `[files]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Files {
    /// The payload's directory; `root` beside the description when it is not said.
    pub root: Option<PathBuf>,
    /// Entries that differ from what lies in the directory.
    #[serde(default)]
    pub entry: Vec<Attributes>,
}

/// `[[files.entry]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Attributes {
    pub path: String,
    /// Octal digits.
    pub mode: Option<String>,
    pub user: Option<String>,
    pub group: Option<String>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
}

impl Spec {
    /// Reads a description.
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        let reading = || Error::io(format!("reading {}", path.display()));
        if std::fs::metadata(path).map_err(reading())?.len() > MAX {
            return Err(Error::Spec { file: path.display().to_string(), reason: "larger than 1 MiB".to_owned() });
        }
        let text = std::fs::read_to_string(path).map_err(reading())?;
        toml::from_str(&text).map_err(|e| Error::Spec { file: path.display().to_string(), reason: e.to_string() })
    }
}

impl Words {
    /// The package that the words describe; `scheme` is that of the format to be written.
    pub(super) fn package(&self, scheme: VersionScheme, now: u64) -> Result<Package, String> {
        let mut package = Package::new(Ecosystem::Openwrt, &self.name, &self.version);
        package.scheme = scheme;
        if scheme == VersionScheme::Apk && !xpkg_model::version::is_valid_apk(&self.version) {
            return Err(format!("version: `{}` is no version of apk (`1.2.3-r0` is)", self.version));
        }
        self.arch.clone_into(&mut package.arch);
        self.description.trim().clone_into(&mut package.description);
        self.url.clone_into(&mut package.url);
        self.license.clone_into(&mut package.license);
        package.origin = if self.origin.is_empty() { self.name.clone() } else { self.origin.clone() };
        self.maintainer.clone_into(&mut package.maintainer);
        self.commit.clone_into(&mut package.commit);
        package.build_time = self.build_time.unwrap_or(now);
        package.depends = list("depends", &self.depends, requirement)?;
        package.recommends = list("recommends", &self.recommends, requirement)?;
        package.provides = list("provides", &self.provides, |text| plain(text).map(Provide::from))?;
        package.replaces = list("replaces", &self.replaces, plain)?;
        package.install_if = list("install-if", &self.install_if, plain)?;
        package.tags.clone_from(&self.tags);
        package.provider_priority = self.provider_priority;
        package.replaces_priority = self.replaces_priority;
        package.opkg = Some(Box::new(Opkg {
            abi_version: self.abi_version.clone(),
            alternatives: list("alternatives", &self.alternatives, |text| {
                text.parse::<Alternative>().map_err(|e| e.to_string())
            })?,
            require_user: list("users", &self.users, account)?,
            essential: self.essential,
            section: self.section.clone(),
            ..Opkg::default()
        }));
        Ok(package)
    }

    /// The configuration files.
    pub(super) fn conffiles(&self) -> Result<Vec<RelPath>, String> {
        list("conffiles", &self.conffiles, |text| RelPath::from_absolute(text).map_err(|e| e.to_string()))
    }
}

fn list<T>(field: &str, texts: &[String], read: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    texts.iter().map(|text| read(text.trim()).map_err(|e| format!("{field}: {e}"))).collect()
}

fn plain(text: &str) -> Result<Dependency, String> {
    text.parse().map_err(|e: xpkg_model::dependency::DependencyError| e.to_string())
}

fn requirement(text: &str) -> Result<Requirement, String> {
    let all: Result<Vec<_>, _> = text.split('|').map(|part| plain(part.trim())).collect();
    Requirement::any_of(all?).ok_or_else(|| "an empty dependency".to_owned())
}

fn account(text: &str) -> Result<String, String> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"._-=:,".contains(&b);
    if text.is_empty() || !text.bytes().all(fits) {
        return Err(format!("`{}` is no account: `user=uid:group=gid` is", text.escape_debug()));
    }
    Ok(text.to_owned())
}
