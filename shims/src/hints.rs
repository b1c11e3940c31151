//! Which OpenWrt package probably has a soname, and which sonames a package probably has. Hints only: the files prove.

use std::sync::LazyLock;

use serde::Deserialize;

/// One row of `hints/openwrt.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Library {
    package: String,
    base: String,
    sonames: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(rename = "schema")]
    _schema: semver::Version,
    #[serde(default)]
    library: Vec<Library>,
}

const TEXT: &str = include_str!("../hints/openwrt.toml");

/// A table that cannot be read hints at nothing; a test reads it.
static TABLE: LazyLock<Vec<Library>> =
    LazyLock::new(|| toml::from_str::<Table>(TEXT).map(|t| t.library).unwrap_or_default());

/// `libfoo.so.1.2` in parts: `libfoo`, `1.2`.
fn split(soname: &str) -> Option<(&str, &str)> {
    let (stem, version) = soname.split_once(".so")?;
    Some((stem, version.strip_prefix('.').unwrap_or(version)))
}

fn push(out: &mut Vec<String>, name: String) {
    if xpkg_model::dependency::valid_package_name(&name) && !out.contains(&name) {
        out.push(name);
    }
}

/// Names of OpenWrt packages (or base names that such packages provide) that might have a soname, likeliest first.
pub fn packages_for(soname: &str) -> Vec<String> {
    let mut out = Vec::new();
    if soname.len() > 255 {
        return out;
    }
    for library in TABLE.iter().filter(|l| l.sonames.iter().any(|s| s == soname)) {
        push(&mut out, library.package.clone());
        push(&mut out, library.base.clone());
    }
    let Some((stem, version)) = split(soname) else { return out };
    // The same library under another version: the base name stays when the ABI suffix changes.
    for library in TABLE.iter().filter(|l| l.sonames.iter().any(|s| split(s).is_some_and(|(other, _)| other == stem))) {
        if !version.is_empty() && library.base != library.package {
            push(&mut out, join(&library.base, version));
        }
        push(&mut out, library.base.clone());
    }
    let major = version.split('.').next().unwrap_or_default();
    for base in bases(stem) {
        for suffix in [version, major] {
            if !suffix.is_empty() {
                push(&mut out, join(&base, suffix));
                push(&mut out, format!("{base}-{suffix}"));
                push(&mut out, format!("{base}{suffix}"));
            }
        }
        push(&mut out, base);
    }
    out
}

/// OpenWrt puts a hyphen before the ABI suffix when the name ends with a digit (`libsqlite3-0`).
fn join(base: &str, abi: &str) -> String {
    let hyphen = if base.ends_with(|c: char| c.is_ascii_digit()) { "-" } else { "" };
    format!("{base}{hyphen}{abi}")
}

/// Ways in which packages call what upstream calls `libFoo_bar-1.2`.
fn bases(stem: &str) -> Vec<String> {
    let lower = stem.to_ascii_lowercase().replace("++", "pp");
    let hyphens = lower.replace('_', "-");
    let bare = lower.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.').trim_end_matches('-').to_owned();
    let mut out = Vec::new();
    for name in [lower, hyphens, bare] {
        push(&mut out, name.clone());
        if let Some(rest) = name.strip_prefix("lib") {
            push(&mut out, rest.to_owned());
        }
    }
    out
}

/// Sonames that a package probably has: from the table, or from a name of the form `libfoo` + ABI. Empty for what does
/// not look like a library.
pub fn sonames_of(package: &str) -> Vec<String> {
    let exact = TABLE.iter().find(|l| l.package == package).or_else(|| TABLE.iter().find(|l| l.base == package));
    if let Some(library) = exact {
        return library.sonames.clone();
    }
    // Another ABI of a known package, where the table's sonames follow the ABI.
    for library in TABLE.iter() {
        let Some(abi) = package.strip_prefix(&library.base).map(|rest| rest.trim_start_matches('-')) else { continue };
        let Some(known) = library.package.strip_prefix(&library.base).map(|r| r.trim_start_matches('-')) else {
            continue;
        };
        let is_abi = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
        let follows = |s: &String| split(s).is_some_and(|(_, version)| version == known);
        if is_abi(abi) && is_abi(known) && library.sonames.iter().all(follows) {
            return library
                .sonames
                .iter()
                .filter_map(|s| split(s))
                .map(|(stem, _)| format!("{stem}.so.{abi}"))
                .collect();
        }
    }
    if !package.starts_with("lib") {
        return Vec::new();
    }
    let base = package.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    let abi = package.get(base.len()..).unwrap_or_default();
    if abi.is_empty() || base.len() < 5 {
        return Vec::new();
    }
    vec![format!("{}.so.{abi}", base.trim_end_matches('-'))]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(soname: &str) -> String {
        packages_for(soname).into_iter().next().unwrap_or_default()
    }

    #[test]
    fn the_table_is_read() {
        assert!(toml::from_str::<Table>(TEXT).unwrap().library.len() > 60);
    }

    #[test]
    fn from_the_table() {
        assert_eq!(
            packages_for("libcrypto.so.3").get(..2),
            Some(&["libopenssl3".to_owned(), "libopenssl".to_owned()][..])
        );
        assert_eq!(first("libz.so.1"), "zlib");
        assert_eq!(first("libstdc++.so.6"), "libstdcpp6");
        assert_eq!(sonames_of("libopenssl3"), ["libcrypto.so.3", "libssl.so.3"]);
        assert_eq!(sonames_of("libmbedtls21"), ["libmbedcrypto.so.16", "libmbedtls.so.21", "libmbedx509.so.7"]);
    }

    #[test]
    fn other_releases() {
        assert!(packages_for("libcrypto.so.1.1").contains(&"libopenssl1.1".to_owned()));
        assert_eq!(sonames_of("libopenssl1.1"), ["libcrypto.so.1.1", "libssl.so.1.1"]);
        assert!(packages_for("libubox.so.20191228").contains(&"libubox20191228".to_owned()));
        assert_eq!(sonames_of("libubox20191228"), ["libubox.so.20191228"]);
        assert!(packages_for("libsqlite3.so.1").contains(&"libsqlite3-1".to_owned()));
    }

    #[test]
    fn by_name() {
        assert!(packages_for("libtiff.so.6").contains(&"libtiff6".to_owned()));
        assert!(packages_for("libfoo_bar.so.2").contains(&"libfoo-bar2".to_owned()));
        assert!(packages_for("libonig.so.5").contains(&"onig".to_owned()));
        assert_eq!(sonames_of("libtiff6"), ["libtiff.so.6"]);
        assert_eq!(sonames_of("tmux"), Vec::<String>::new());
        assert_eq!(packages_for("../../etc/x.so.1").iter().find(|n| n.contains('/')), None);
    }
}
