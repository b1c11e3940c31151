//! How foreign versions and choices are written so that the root's native manager takes them. Pure text; writes nothing.

use xpkg_model::{Package, VersionScheme, version};

/// Which native manager reads the databases of a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Generation {
    /// apk-tools 2: refuses what it does not know, `~hash` in versions included.
    Apk2,
    /// apk-tools 3.
    Apk3,
    /// opkg.
    Opkg,
}

/// A package's version as the native manager can read it.
pub fn native_version(package: &Package, generation: Generation) -> String {
    let raw = package.version.as_str();
    match (generation, package.scheme) {
        // Debian's order takes any text; apk's own versions are plain text to it.
        (Generation::Opkg, _) => raw.to_owned(),
        (Generation::Apk3, _) => apk_version(raw).unwrap_or_else(|| fallback(raw)),
        (Generation::Apk2, _) => {
            let version = apk_version(raw).unwrap_or_else(|| fallback(raw));
            let plain = without_hash(&version);
            if version::is_valid_apk(&plain) { plain } else { fallback(raw) }
        }
    }
}

/// The line of `/etc/apk/world` that keeps a foreign package: pinned by identity where there is one, since no native
/// repository has it and a newer native package of that name must not take its place.
pub fn native_world_entry(package: &Package, generation: Generation) -> String {
    match (&package.identity, generation) {
        (Some(identity), Generation::Apk2 | Generation::Apk3) => format!("{}><{}", package.name, identity.to_q1()),
        (None, Generation::Apk2 | Generation::Apk3) => {
            format!("{}={}", package.name, native_version(package, generation))
        }
        (_, Generation::Opkg) => package.name.clone(),
    }
}

/// A version in apk's grammar: valid ones as they are, Debian-like ones in the way OpenWrt itself translates them
/// (`1.2.3-4` → `1.2.3-r4`, `2022-08-10-901b0f04-21` → `2022.08.10~901b0f04-r21`). `None` when there is no way.
pub fn apk_version(raw: &str) -> Option<String> {
    if version::is_valid_apk(raw) {
        return Some(raw.to_owned());
    }
    let raw = raw.split_once(':').map_or(raw, |(_, rest)| rest); // an epoch has no counterpart
    let (upstream, revision) = match raw.rsplit_once('-') {
        Some((upstream, revision)) => {
            let digits = revision.strip_prefix('r').unwrap_or(revision);
            if digits.is_empty() || digits.len() > 9 || !digits.bytes().all(|b| b.is_ascii_digit()) {
                (raw, None)
            } else {
                (upstream, Some(digits))
            }
        }
        None => (raw, None),
    };
    let revision = revision.map_or_else(String::new, |digits| format!("-r{digits}"));
    let candidates = [Some(upstream.to_owned()), dated(upstream), Some(upstream.replace('-', "."))];
    candidates.into_iter().flatten().map(|v| format!("{v}{revision}")).find(|v| version::is_valid_apk(v))
}

/// `2022-08-10-901b0f04` → `2022.08.10~901b0f04`
fn dated(upstream: &str) -> Option<String> {
    let mut parts = upstream.splitn(4, '-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let hash = parts.next().map(|hash| format!("~{hash}")).unwrap_or_default();
    Some(format!("{year}.{month}.{day}{hash}"))
}

/// Drops `~hash`.
fn without_hash(version: &str) -> String {
    let Some((before, rest)) = version.split_once('~') else { return version.to_owned() };
    let after = rest.find('-').and_then(|at| rest.get(at..)).unwrap_or_default();
    format!("{before}{after}")
}

/// Digits and dots of what cannot be translated; in the order of the original as far as that goes.
fn fallback(raw: &str) -> String {
    let mut out = String::new();
    for c in raw.chars().take(64) {
        if c.is_ascii_digit() {
            out.push(c);
        } else if !out.is_empty() && !out.ends_with('.') {
            out.push('.');
        }
    }
    let out = out.trim_matches('.').to_owned();
    if version::is_valid_apk(&out) { out } else { "0".to_owned() }
}

/// Which order a native database's versions follow.
pub const fn scheme(generation: Generation) -> VersionScheme {
    match generation {
        Generation::Apk2 | Generation::Apk3 => VersionScheme::Apk,
        Generation::Opkg => VersionScheme::Deb,
    }
}

#[cfg(test)]
mod tests {
    use xpkg_model::{Ecosystem, Identity};

    use super::*;

    fn package(version: &str) -> Package {
        Package::new(Ecosystem::Openwrt, "ucode", version)
    }

    #[test]
    fn versions_for_apk_2() {
        let native = |version: &str| native_version(&package(version), Generation::Apk2);
        assert_eq!(native("2026.01.16~85922056-r1"), "2026.01.16-r1");
        assert_eq!(native("1699~f505120278"), "1699");
        assert_eq!(native("1.2.3-r4"), "1.2.3-r4");
        assert_eq!(native("2022-08-10-901b0f04-21"), "2022.08.10-r21");
        assert_eq!(native("weird"), "0");
        assert_eq!(native_version(&package("2026.01.16~85922056-r1"), Generation::Apk3), "2026.01.16~85922056-r1");
    }

    #[test]
    fn opkg_versions_in_apk_grammar() {
        let cases = [
            ("1.1.24-2", Some("1.1.24-r2")),
            ("1.30.1-6", Some("1.30.1-r6")),
            ("2022-08-10-901b0f04-21", Some("2022.08.10~901b0f04-r21")),
            ("2:1.0-1", Some("1.0-r1")),
            ("20190110-2", Some("20190110-r2")),
            ("git-20.123.4", None),
        ];
        for (raw, wanted) in cases {
            assert_eq!(apk_version(raw).as_deref(), wanted, "{raw}");
        }
    }

    #[test]
    fn world_entries() {
        let mut jq = Package::new(Ecosystem::Alpine, "jq", "1.7.1-r0");
        assert_eq!(native_world_entry(&jq, Generation::Apk3), "jq=1.7.1-r0");
        jq.identity = Some(Identity::ApkSha1([0; 20]));
        assert_eq!(native_world_entry(&jq, Generation::Apk3), "jq><Q1AAAAAAAAAAAAAAAAAAAAAAAAAAA=");
        assert_eq!(native_world_entry(&jq, Generation::Opkg), "jq");
    }
}
