//! xpkg's own source files, `/etc/xpkg/sources.d/NAME.toml`: read and written as text. Never touches a root.

use semver::{Version, VersionReq};
use serde::{Deserialize, Serialize};
use xpkg_model::{Ecosystem, RelPath, schema};

use super::{OWN_KEYS, path};
use crate::error::{Error, Result};
use crate::source::{Format, Origin, Source, Trust};

/// The version of these files' schema.
const SCHEMA: Version = Version::new(1, 0, 0);
/// Most components of one file.
const MAX_COMPONENTS: usize = 64;

/// One own source file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct OwnSource {
    /// Schema of the file.
    pub schema: Version,
    /// Which versions of xpkg may read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requires_xpkg: Option<VersionReq>,
    /// World of its packages.
    pub ecosystem: Ecosystem,
    /// Repository, release or index.
    pub url: String,
    /// Parts of a release, each a source of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<String>,
    /// Layout; absent: found out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// Architecture word in its paths; absent: the one that fits the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arch: Option<String>,
    /// Directory of its keys; absent: `/etc/xpkg/keys/NAME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<String>,
    /// Higher is asked first.
    #[serde(default)]
    pub priority: i32,
    /// `signed` or `none`.
    #[serde(default)]
    pub trust: Trust,
    /// Whether it takes part.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Only what is pinned to `@tag` is taken from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

/// A file that the caller writes to a root: a source or one of its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Where.
    pub path: RelPath,
    /// What.
    pub bytes: Vec<u8>,
}

const fn yes() -> bool {
    true
}

/// Names of sources become file names.
pub(crate) fn valid_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

/// Reads the text of a source file. `file` names it in messages.
pub fn parse(file: &str, text: &str) -> Result<OwnSource> {
    let bad = |reason: String| Error::BadSource { file: file.to_owned(), reason };
    // The gates come first: a newer file may hold fields that this version does not know.
    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    struct Gate {
        schema: Version,
        requires_xpkg: Option<VersionReq>,
    }
    let gate: Gate = toml::from_str(text).map_err(|e| bad(one_line(&e)))?;
    if !schema::readable(&SCHEMA, &gate.schema) {
        return Err(bad(format!("its schema {} is not readable by this xpkg (knows {SCHEMA})", gate.schema)));
    }
    let program = schema::program();
    if let Some(wanted) = gate.requires_xpkg.filter(|r| !r.matches(&program)) {
        return Err(bad(format!("it requires xpkg {wanted}, this is {program}")));
    }
    let own: OwnSource = toml::from_str(text).map_err(|e| bad(one_line(&e)))?;
    if own.ecosystem == Ecosystem::Other {
        return Err(bad("its ecosystem is \"alpine\" or \"openwrt\"".to_owned()));
    }
    own.check().map_err(bad)?;
    Ok(own)
}

fn one_line(error: &toml::de::Error) -> String {
    error.to_string().split('\n').map(str::trim).filter(|l| !l.is_empty()).collect::<Vec<_>>().join("; ")
}

impl OwnSource {
    /// A source with nothing but a world and a URL.
    pub fn new(ecosystem: Ecosystem, url: impl Into<String>) -> Self {
        Self {
            schema: SCHEMA,
            requires_xpkg: None,
            ecosystem,
            url: url.into(),
            components: Vec::new(),
            format: None,
            arch: None,
            keys: None,
            priority: 0,
            trust: Trust::Signed,
            enabled: true,
            tag: None,
        }
    }

    fn check(&self) -> Result<(), String> {
        crate::transport::check_url(&self.url).map_err(|e| e.to_string())?;
        let word = |w: &str| {
            !w.is_empty() && w.len() <= 128 && w.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-+".contains(&b))
        };
        let component = |c: &String| c.split('/').all(|part| word(part) && !matches!(part, "." | ".."));
        if self.components.len() > MAX_COMPONENTS || !self.components.iter().all(component) {
            return Err("`components` is too long or holds a bad name".into());
        }
        if self.arch.as_deref().is_some_and(|a| !word(a)) || self.tag.as_deref().is_some_and(|t| !word(t)) {
            return Err("`arch` and `tag` are words of letters, digits, `.`, `_`, `-` and `+`".into());
        }
        if self.format == Some(Format::Index) && !self.components.is_empty() {
            return Err("an index by itself has no components".into());
        }
        Ok(())
    }

    /// The text of its file.
    pub fn to_toml(&self) -> Result<String> {
        let bad = |reason| Error::BadSource { file: "new source".into(), reason };
        self.check().map_err(bad)?;
        toml::to_string(self).map_err(|e| Error::BadSource { file: "new source".into(), reason: e.to_string() })
    }

    /// The file to write for a source of that name.
    pub fn to_file(&self, name: &str) -> Result<SourceFile> {
        Ok(SourceFile { path: super::own_file(name)?, bytes: self.to_toml()?.into_bytes() })
    }

    /// Directory of its keys.
    pub fn keys_dir(&self, name: &str) -> Result<RelPath> {
        match &self.keys {
            Some(dir) => path(dir),
            None => path(&format!("{OWN_KEYS}/{name}")),
        }
    }

    /// One source per component. `arches` gives the word of its world where the file names none.
    pub fn sources(&self, name: &str, arches: &[(Ecosystem, String)]) -> Result<Vec<Source>> {
        let file = super::own_file(name)?;
        let known = || arches.iter().find(|(e, _)| *e == self.ecosystem).map(|(_, a)| a.clone());
        // A missing word matters only where the layout has one; an index by itself needs none.
        let arch = self.arch.clone().or_else(known).unwrap_or_default();
        let keys = vec![self.keys_dir(name)?];
        let one = |component: Option<&String>| Source {
            name: component.map_or_else(|| name.to_owned(), |c| format!("{name}/{c}")),
            group: name.to_owned(),
            ecosystem: self.ecosystem,
            url: self.url.clone(),
            component: component.cloned(),
            arch: arch.clone(),
            format: self.format,
            keys: keys.clone(),
            priority: self.priority,
            trust: self.trust,
            enabled: self.enabled,
            tag: self.tag.clone(),
            origin: Origin::Own { file: file.clone() },
        };
        Ok(if self.components.is_empty() {
            vec![one(None)]
        } else {
            self.components.iter().map(|c| one(Some(c))).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut own = OwnSource::new(Ecosystem::Alpine, "https://dl-cdn.alpinelinux.org/alpine/v3.19");
        own.components = vec!["main".into(), "community".into()];
        own.priority = -5;
        own.trust = Trust::None;
        own.format = Some(Format::ApkV2);
        let text = own.to_toml().unwrap();
        assert_eq!(parse("x.toml", &text).unwrap(), own);
        let sources = own.sources("a", &[(Ecosystem::Alpine, "aarch64".into())]).unwrap();
        assert_eq!(sources[1].name, "a/community");
        assert!(sources[0].index_url().ends_with("/v3.19/main/aarch64/APKINDEX.tar.gz"));
        assert_eq!(sources[0].keys[0].to_string(), "/etc/xpkg/keys/a");
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let good = "schema = \"1.0.0\"\necosystem = \"alpine\"\nurl = \"http://h/\"\n";
        assert!(parse("x", good).is_ok());
        for (bad, word) in [
            (good.replace("1.0.0", "2.0.0"), "schema"),
            (format!("{good}requires-xpkg = \">=99\"\n"), "requires xpkg"),
            (format!("{good}trust = \"maybe\"\n"), "maybe"),
            (format!("{good}bogus = 1\n"), "bogus"),
            (good.replace("\"alpine\"", "\"other\""), "openwrt"),
            (good.replace("http:", "gopher:"), "gopher"),
            (format!("{good}components = [\"../x\"]\n"), "components"),
        ] {
            let message = parse("x", &bad).unwrap_err().to_string();
            assert!(message.contains(word), "{message}");
        }
    }
}
