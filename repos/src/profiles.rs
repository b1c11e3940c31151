//! What is publicly known of Alpine's and OpenWrt's releases: where they are, who signs them, which architecture word of
//! one world means which of the other. Data is in `profiles/*.toml`; nothing here fetches or trusts anything by itself.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use semver::Version;
use serde::Deserialize;
use xpkg_model::version::{self, Relation};
use xpkg_model::{Ecosystem, VersionScheme, schema};

use crate::error::{Error, Result};
use crate::sources::own::{OwnSource, SourceFile};

const ALPINE: &str = include_str!("../profiles/alpine.toml");
const OPENWRT: &str = include_str!("../profiles/openwrt.toml");

/// Everything known, one profile per world.
#[derive(Debug)]
pub struct Profiles(Vec<Profile>);

/// One world's public servers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    schema: Version,
    /// World.
    pub ecosystem: Ecosystem,
    url: String,
    /// Parts of every release.
    pub components: Vec<String>,
    #[serde(default)]
    arches: Vec<String>,
    /// Releases, newest first.
    #[serde(rename = "release")]
    pub releases: Vec<Release>,
    #[serde(rename = "key")]
    keys: Vec<ProfileKey>,
    #[serde(default, rename = "arch")]
    arch_map: Vec<ArchEntry>,
    #[serde(default)]
    targets: BTreeMap<String, String>,
}

/// One release.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// As in its URL: `v3.19`, `25.12.2`.
    pub name: String,
    /// The musl it is built against.
    pub musl: String,
    /// No longer maintained: never proposed, only named.
    #[serde(default)]
    pub retired: bool,
}

/// A public key that a profile carries.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileKey {
    /// File name.
    pub name: String,
    /// Architectures whose indexes it signs; empty: all.
    #[serde(default)]
    pub arches: Vec<String>,
    #[serde(default)]
    releases: String,
    /// SHA-256 of the raw key, hex: what is shown to a person.
    pub fingerprint: String,
    /// The key: PEM, or usign's two lines.
    pub pem: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ArchEntry {
    openwrt: String,
    alpine: String,
    back: Option<Back>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Back {
    Safe,
    Unsafe,
}

/// An architecture word of the other world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArchMatch<'a> {
    /// The word.
    pub word: &'a str,
    /// `false`: its packages are tuned for one processor and may use instructions that this machine lacks.
    pub safe: bool,
}

/// A release that suits a root.
#[derive(Clone, Copy, Debug)]
pub struct Proposal<'a> {
    /// Its world's profile.
    pub profile: &'a Profile,
    /// The release.
    pub release: &'a Release,
    /// `false`: every known release is built against a newer musl than the root's; the ABI check has the last word.
    pub fits: bool,
}

impl Profiles {
    /// The profiles that come with xpkg.
    pub fn builtin() -> Result<&'static Self> {
        static BUILTIN: OnceLock<Result<Profiles, String>> = OnceLock::new();
        let parsed = BUILTIN.get_or_init(|| Self::parse(&[ALPINE, OPENWRT]).map_err(|e| e.to_string()));
        parsed.as_ref().map_err(|e| Error::NoProfile(e.clone()))
    }

    /// Reads profiles from text.
    pub fn parse(texts: &[&str]) -> Result<Self> {
        let bad = |reason: String| Error::NoProfile(format!("a profile cannot be read: {reason}"));
        let one = |text: &&str| {
            let profile: Profile = toml::from_str(text).map_err(|e| bad(e.to_string()))?;
            if !schema::readable(&schema::RULES, &profile.schema) {
                return Err(bad(format!("its schema {} is not {}", profile.schema, schema::RULES)));
            }
            Ok(profile)
        };
        texts.iter().map(one).collect::<Result<_>>().map(Self)
    }

    /// The profile of a world.
    pub fn of(&self, ecosystem: Ecosystem) -> Result<&Profile> {
        self.0
            .iter()
            .find(|p| p.ecosystem == ecosystem)
            .ok_or_else(|| Error::NoProfile(format!("no profile for {ecosystem}")))
    }

    /// The word of `to` for an architecture word of `from`; `None` where nothing of `to` runs there.
    pub fn map_arch(&self, from: Ecosystem, word: &str, to: Ecosystem) -> Option<ArchMatch<'_>> {
        let entries = self.0.iter().flat_map(|p| &p.arch_map);
        match (from, to) {
            (Ecosystem::Openwrt, Ecosystem::Alpine) => {
                let entry = entries.into_iter().find(|e| e.openwrt == word)?;
                Some(ArchMatch { word: &entry.alpine, safe: true })
            }
            (Ecosystem::Alpine, Ecosystem::Openwrt) => {
                let mut found = entries.filter(|e| e.alpine == word).filter_map(|e| Some((e, e.back?)));
                let (entry, back) = found.next()?;
                Some(ArchMatch { word: &entry.openwrt, safe: back == Back::Safe })
            }
            _ => None,
        }
    }

    /// What a person means by `alpine@v3.19`.
    pub fn named(&self, text: &str) -> Result<Proposal<'_>> {
        let unknown = || Error::NoProfile(format!("`{text}` is not WORLD@RELEASE, such as alpine@v3.19"));
        let (world, name) = text.split_once('@').ok_or_else(unknown)?;
        let profile = self.of(world.parse().map_err(|_| unknown())?)?;
        let release = profile.releases.iter().find(|r| r.name == name).ok_or_else(|| {
            let known: Vec<_> = profile.releases.iter().map(|r| r.name.as_str()).collect();
            Error::NoProfile(format!("no release `{name}` of {world} is known (known: {})", known.join(", ")))
        })?;
        Ok(Proposal { profile, release, fits: true })
    }

    /// The newest release of a world that a root with this musl can run: the newest one not built against a newer musl,
    /// else the one with the oldest musl.
    pub fn propose(&self, ecosystem: Ecosystem, musl: Option<&str>) -> Result<Proposal<'_>> {
        let profile = self.of(ecosystem)?;
        // `1.2.4_git20230717-r4` counts as 1.2.4: what a distribution patches in is not the symbol set of the next release.
        let root = musl.map(|m| m.split(['_', '-', '~']).next().unwrap_or(m));
        let newer = |r: &&Release| root.is_some_and(|m| compare(&r.musl, m) == Relation::Greater);
        let maintained = || profile.releases.iter().filter(|r| !r.retired);
        let fitting = maintained().find(|r| !newer(r));
        let oldest = || maintained().next_back();
        let release =
            fitting.or_else(oldest).ok_or_else(|| Error::NoProfile(format!("no release of {ecosystem} is known")))?;
        Ok(Proposal { profile, release, fits: fitting.is_some() })
    }
}

fn compare(left: &str, right: &str) -> Relation {
    version::compare(VersionScheme::Apk, left, right, false)
}

impl<'a> Proposal<'a> {
    /// How a person would name it.
    pub fn name(&self) -> String {
        format!("{}@{}", self.profile.ecosystem, self.release.name)
    }

    /// The name its own source gets: `alpine-v3.19`.
    pub fn source_name(&self) -> String {
        format!("{}-{}", self.profile.ecosystem, self.release.name)
    }

    /// Base of the release.
    pub fn url(&self) -> String {
        self.profile.url.replace("${release}", &self.release.name)
    }

    /// The keys that sign its indexes for that architecture.
    pub fn keys(&self, arch: &str) -> Vec<&'a ProfileKey> {
        let signs = |k: &&ProfileKey| {
            (k.arches.is_empty() || k.arches.iter().any(|a| a == arch)) && self.release.name.starts_with(&k.releases)
        };
        self.profile.keys.iter().filter(signs).collect()
    }

    /// The own source for it: what to write, its key files included. Refused where the profile has no key for the
    /// architecture: such a source is added by URL, with its keys.
    pub fn source(&self, arch: &str) -> Result<(OwnSource, Vec<SourceFile>)> {
        let profile = self.profile;
        if !profile.arches.is_empty() && !profile.arches.iter().any(|a| a == arch) {
            return Err(Error::NoProfile(format!("{} has no architecture `{arch}`", self.name())));
        }
        let keys = self.keys(arch);
        if keys.is_empty() {
            return Err(Error::NoProfile(format!(
                "no key of {} for {arch} is known: add it by url, with its keys",
                self.name()
            )));
        }
        let mut own = OwnSource::new(profile.ecosystem, self.url());
        own.components = profile.components.clone();
        if let Some(target) = profile.targets.get(arch) {
            own.components.push(format!("targets/{target}/packages"));
        }
        own.arch = Some(arch.to_owned());
        let name = self.source_name();
        let dir = own.keys_dir(&name)?;
        let mut files = vec![own.to_file(&name)?];
        for key in keys {
            let path = dir.join(key.name.as_bytes()).map_err(|e| Error::NoProfile(e.to_string()))?;
            files.push(SourceFile { path, bytes: key.pem.trim_start().as_bytes().to_vec() });
        }
        Ok((own, files))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn architectures_map_as_far_as_they_run() {
        let p = Profiles::builtin().unwrap();
        let to_alpine = |w| p.map_arch(Ecosystem::Openwrt, w, Ecosystem::Alpine).map(|m| m.word);
        assert_eq!(to_alpine("aarch64_cortex-a53"), Some("aarch64"));
        assert_eq!(to_alpine("arm_cortex-a7_neon-vfpv4"), Some("armv7"));
        assert_eq!(to_alpine("mipsel_24kc"), None);
        assert_eq!(to_alpine("arm_cortex-a7"), None, "soft-float");
        assert_eq!(to_alpine("i386_pentium-mmx"), None);
        let back = |w| p.map_arch(Ecosystem::Alpine, w, Ecosystem::Openwrt).map(|m| (m.word, m.safe));
        assert_eq!(back("x86_64"), Some(("x86_64", true)));
        assert_eq!(back("armv7"), Some(("arm_cortex-a9_vfpv3-d16", false)));
    }

    #[test]
    fn releases_fit_by_musl() {
        let p = Profiles::builtin().unwrap();
        let best = |e, m| p.propose(e, m).map(|r| (r.release.name.clone(), r.fits)).unwrap();
        assert_eq!(best(Ecosystem::Alpine, Some("1.2.5-r5")), ("v3.22".into(), true));
        assert_eq!(best(Ecosystem::Alpine, Some("1.2.4_git20230717-r4")), ("v3.19".into(), true));
        assert_eq!(best(Ecosystem::Alpine, Some("1.1.24")), ("v3.15".into(), false));
        assert!(!best(Ecosystem::Openwrt, Some("1.2.4")).1);
    }

    #[test]
    fn a_release_becomes_a_source_with_its_keys_and_their_fingerprints() {
        let p = Profiles::builtin().unwrap();
        let alpine = p.named("alpine@v3.19").unwrap();
        let (own, files) = alpine.source("x86_64").unwrap();
        assert_eq!(own.url, "https://dl-cdn.alpinelinux.org/alpine/v3.19");
        assert!(files.iter().any(|f| {
            f.path.to_string().ends_with("/alpine-v3.19/alpine-devel@lists.alpinelinux.org-6165ee59.rsa.pub")
        }));
        let (own, _) = p.named("openwrt@25.12.2").unwrap().source("x86_64").unwrap();
        assert!(own.components.iter().any(|c| c == "targets/x86/64/packages"));
        assert!(p.named("alpine@v9").is_err());
        for key in p.0.iter().flat_map(|p| &p.keys) {
            let parsed = xpkg_formats::keys::PublicKey::parse(&key.name, key.pem.as_bytes()).unwrap();
            assert_eq!(parsed.fingerprint(), key.fingerprint, "{}", key.name);
        }
    }
}
