//! `image.toml`: what an image is made of. Parsing and checking only.
//!
//! ```toml
//! schema = "1.0.0"
//! output = "router.squashfs"
//! format = "squashfs"
//! compression = "xz"                  # or "gzip"
//! source-date-epoch = 1700000000      # every time that is not a package's own
//!
//! [base]
//! archive = "openwrt-rootfs.tar.gz"   # a root to start from; or
//! # ecosystem = "alpine"              # an empty root of that world, made of packages only
//!
//! [packages]
//! install = ["alpine:jq", "openwrt:ucode"]
//! remove = []
//! layer = "auto"                      # or "never", "always": whether foreign programs live in a private layer
//!
//! [[source]]
//! name = "alpine"
//! ecosystem = "alpine"
//! url = "https://example.org/alpine/v3.19/main"
//! keys = "keys/alpine"
//! ```

use std::path::PathBuf;

use semver::{Version, VersionReq};
use serde::Deserialize;
use xpkg_model::adaptation::LayerPolicy;
use xpkg_model::{Ecosystem, schema};

use crate::error::Error;
use crate::squashfs::Compression;

/// A described image.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Spec {
    /// Version of this format.
    pub schema: Version,
    /// Which xpkg can build it.
    #[serde(default)]
    pub requires_xpkg: Option<VersionReq>,
    /// File to write, relative to the description.
    pub output: PathBuf,
    /// What to write.
    #[serde(default)]
    pub format: Format,
    /// How it is compressed.
    #[serde(default)]
    pub compression: Compression,
    /// The time of everything that has none of its own, seconds since 1970.
    #[serde(default)]
    pub source_date_epoch: u64,
    /// What to start from.
    pub base: Base,
    /// What to add and take away.
    #[serde(default)]
    pub packages: Packages,
    /// Where packages come from, besides the root's own sources.
    #[serde(default)]
    pub source: Vec<Source>,
    /// Whether the root's own source files are asked too.
    #[serde(default = "yes")]
    pub native_sources: bool,
}

fn yes() -> bool {
    true
}

/// Output formats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A squashfs 4.0 image.
    #[default]
    Squashfs,
}

/// What an image starts from.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Base {
    /// A root archive: tar or tar.gz, relative to the description.
    pub archive: Option<PathBuf>,
    /// An empty root of that world.
    pub ecosystem: Option<Ecosystem>,
    /// Its architecture, for an empty root.
    pub arch: Option<String>,
}

/// Packages to add and take away.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Packages {
    /// As on the command line: `alpine:jq`, `tmux=3.3a-r2`.
    #[serde(default)]
    pub install: Vec<String>,
    /// Names.
    #[serde(default)]
    pub remove: Vec<String>,
    /// Let foreign tools replace busybox applets.
    #[serde(default)]
    pub replace_applets: bool,
    /// Whether foreign programs live in a private layer: `auto`, `never` or `always`.
    #[serde(default)]
    pub layer: LayerPolicy,
}

/// One source.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Source {
    /// Its name.
    pub name: String,
    /// Which world.
    pub ecosystem: Ecosystem,
    /// Index, or directory that holds it.
    pub url: String,
    /// Directory or file of public keys, relative to the description.
    pub keys: Option<PathBuf>,
    /// `"none"`: it need not be signed.
    pub trust: Option<String>,
    /// Higher is asked first.
    #[serde(default)]
    pub priority: i32,
    /// Whether it stays in the image as a source of `xpkg` there.
    #[serde(default)]
    pub keep: bool,
}

impl Spec {
    /// Reads a description; `file` is for messages.
    pub fn parse(file: &str, text: &str) -> Result<Self, Error> {
        let bad = |reason: String| Error::Description { file: file.to_owned(), reason };
        let spec: Self = toml::from_str(text).map_err(|e| bad(e.to_string()))?;
        if !schema::readable(&schema::RULES, &spec.schema) {
            return Err(bad(format!("schema {} is not known here (known: {})", spec.schema, schema::RULES)));
        }
        if let Some(wanted) = &spec.requires_xpkg
            && !wanted.matches(&schema::program())
        {
            return Err(bad(format!("needs xpkg {wanted}, this is {}", schema::program())));
        }
        if spec.base.archive.is_some() == spec.base.ecosystem.is_some() {
            return Err(bad("[base] takes either `archive` or `ecosystem`".into()));
        }
        let named = spec.base.ecosystem.into_iter().chain(spec.source.iter().map(|s| s.ecosystem));
        if named.into_iter().any(|world| world == Ecosystem::Other) {
            return Err(bad("an `ecosystem` here is \"alpine\" or \"openwrt\"".into()));
        }
        if let Some(source) =
            spec.source.iter().find(|s| s.trust.as_deref().is_some_and(|t| t != "none" && t != "signed"))
        {
            return Err(bad(format!("source {}: trust is \"signed\" or \"none\"", source.name)));
        }
        Ok(spec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_named() {
        let good = "schema = \"1.0.0\"\noutput = \"x.squashfs\"\n[base]\narchive = \"root.tar\"\n";
        assert!(Spec::parse("image.toml", good).is_ok());
        for (text, word) in [
            (good.replace("1.0.0", "2.0.0"), "schema"),
            (good.replace("archive", "archiv"), "archiv"),
            (format!("{good}ecosystem = \"alpine\"\n"), "either"),
            (good.replace("archive = \"root.tar\"", "ecosystem = \"other\""), "\"openwrt\""),
            (good.replacen("output", "requires-xpkg = \">=99\"\noutput", 1), "needs xpkg"),
        ] {
            assert!(Spec::parse("image.toml", &text).unwrap_err().to_string().contains(word), "{word}");
        }
    }
}
