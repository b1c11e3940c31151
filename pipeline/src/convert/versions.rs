//! Versions and architecture words from one grammar into the other. Pure text. A version that has no counterpart becomes one
//! that sorts as near as can be, and the caller hears that it is not the same any more.

use xpkg_model::{Package, VersionScheme};
use xpkg_shims::registration::{Generation, native_version};

use super::Dialect;

/// A version in the grammar of `to`, and whether it says all that the original said.
pub(super) fn version(raw: &str, from: VersionScheme, to: Dialect) -> (String, bool) {
    match (from, to) {
        (VersionScheme::Deb, Dialect::Opkg) | (VersionScheme::Apk, Dialect::Openwrt) => (raw.to_owned(), true),
        (VersionScheme::Apk, Dialect::Opkg) => {
            let out = deb_version(raw);
            let back = as_apk(&out, VersionScheme::Deb, Generation::Apk3);
            (out, back == raw)
        }
        (from, to) => {
            let generation = if to == Dialect::Alpine { Generation::Apk2 } else { Generation::Apk3 };
            let out = as_apk(raw, from, generation);
            let faithful = out == raw || (from == VersionScheme::Deb && deb_version(&out) == raw);
            (out, faithful)
        }
    }
}

fn as_apk(raw: &str, scheme: VersionScheme, generation: Generation) -> String {
    // Debian's `1.0~rc1` and apk's `1.0_rc1` both come before 1.0.
    let mut raw = raw.to_owned();
    if scheme == VersionScheme::Deb {
        for (word, mark) in SUFFIXES {
            raw = raw.replace(&format!("{mark}{word}"), &format!("_{word}"));
        }
    }
    let mut package = Package::new(xpkg_model::Ecosystem::Openwrt, "x", raw);
    package.scheme = scheme;
    native_version(&package, generation)
}

/// apk's suffixes, and what they begin with in Debian's order: `~` sorts before the plain version, `+` behind it and before
/// a further number.
const SUFFIXES: [(&str, char); 9] = [
    ("alpha", '~'),
    ("beta", '~'),
    ("pre", '~'),
    ("rc", '~'),
    ("cvs", '+'),
    ("svn", '+'),
    ("git", '+'),
    ("hg", '+'),
    ("p", '+'),
];

/// apk's version as opkg's feeds write it: `1.2.3-r4` → `1.2.3-4`, `2022.08.10~901b0f04-r21` → `2022-08-10-901b0f04-21`,
/// and suffixes where Debian's order puts them (`1.0_rc1` → `1.0~rc1`, `1.0_p1` → `1.0+p1`).
fn deb_version(raw: &str) -> String {
    let (upstream, revision) = match raw.rsplit_once("-r") {
        Some((upstream, digits)) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
            (upstream, format!("-{digits}"))
        }
        _ => (raw, String::new()),
    };
    let mut upstream = dated(upstream).unwrap_or_else(|| upstream.to_owned());
    for (word, mark) in SUFFIXES {
        upstream = upstream.replace(&format!("_{word}"), &format!("{mark}{word}"));
    }
    upstream + &revision
}

/// `2022.08.10~901b0f04` → `2022-08-10-901b0f04`: only what the way back would make the same again.
fn dated(upstream: &str) -> Option<String> {
    let (date, hash) = upstream.split_once('~')?;
    let parts: Vec<&str> = date.split('.').collect();
    let digits = |text: &str, len| text.len() == len && text.bytes().all(|b| b.is_ascii_digit());
    match parts.as_slice() {
        [year, month, day] if digits(year, 4) && digits(month, 2) && digits(day, 2) => {
            Some(format!("{year}-{month}-{day}-{hash}"))
        }
        _ => None,
    }
}

/// Words that mean the same machine: Alpine's, and the globs of OpenWrt's.
const ARCHES: [(&str, &str, &[&str]); 7] = [
    ("x86_64", "x86_64", &["x86_64"]),
    ("x86", "i386_pentium4", &["i386_*"]),
    ("aarch64", "aarch64_generic", &["aarch64_*"]),
    ("armv7", "arm_cortex-a7_neon-vfpv4", &["arm_cortex-a*_neon*", "arm_cortex-a*_vfpv3*"]),
    ("armhf", "arm_arm1176jzf-s_vfp", &["arm_*_vfp"]),
    ("riscv64", "riscv64_generic", &["riscv64_*"]),
    ("loongarch64", "loongarch64_generic", &["loongarch64_*"]),
];

/// An architecture word in the words of `to`; `None` when there is no counterpart.
pub(super) fn arch(raw: &str, from: Dialect, to: Dialect) -> Option<String> {
    if matches!(raw, "all" | "noarch") {
        return Some(if to == Dialect::Opkg { "all" } else { "noarch" }.to_owned());
    }
    match (from == Dialect::Alpine, to == Dialect::Alpine) {
        (true, false) => ARCHES.iter().find(|(alpine, ..)| *alpine == raw).map(|(_, openwrt, _)| (*openwrt).to_owned()),
        (false, true) => {
            let fits = |glob: &&str| fits(glob, raw);
            ARCHES.iter().find(|(.., globs)| globs.iter().any(fits)).map(|(alpine, ..)| (*alpine).to_owned())
        }
        _ => Some(raw.to_owned()),
    }
}

/// Whether a word fits a pattern of fixed pieces with `*` between them.
fn fits(glob: &str, word: &str) -> bool {
    let mut pieces = glob.split('*');
    let Some(mut rest) = word.strip_prefix(pieces.next().unwrap_or_default()) else { return false };
    let pieces: Vec<&str> = pieces.collect();
    let Some((last, middle)) = pieces.split_last() else { return rest.is_empty() };
    for piece in middle {
        let Some((_, after)) = rest.split_once(piece) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use xpkg_model::version::compare;

    use super::*;

    #[test]
    fn versions_of_feeds_there_and_back() {
        for (deb, apk) in [
            ("1.1.24-2", "1.1.24-r2"),
            ("2020-02-27-7da66430-1", "2020.02.27~7da66430-r1"),
            ("20190110-2", "20190110-r2"),
            ("1.0~rc1-3", "1.0_rc1-r3"),
            ("6.4+p20231125-0", "6.4_p20231125-r0"),
            ("8", "8"),
        ] {
            assert_eq!(version(deb, VersionScheme::Deb, Dialect::Openwrt), (apk.to_owned(), true), "{deb}");
            assert_eq!(version(apk, VersionScheme::Apk, Dialect::Opkg), (deb.to_owned(), true), "{apk}");
        }
        assert_eq!(version("1.2.3-r4", VersionScheme::Apk, Dialect::Alpine), ("1.2.3-r4".to_owned(), true));
        assert_eq!(version("1:1.2-1", VersionScheme::Deb, Dialect::Alpine), ("1.2-r1".to_owned(), false));
        assert!(!version("2026.01.16~85922056-r1", VersionScheme::Apk, Dialect::Alpine).1);
    }

    #[test]
    fn the_order_stays() {
        let apk = [
            "1.0_alpha1",
            "1.0_rc1",
            "1.0",
            "1.0-r1",
            "1.0-r10",
            "1.0_p1-r0",
            "1.0.1",
            "1.2a",
            "6.4_p20231125-r0",
            "10",
        ];
        for (i, a) in apk.iter().enumerate() {
            for b in apk.iter().skip(i + 1) {
                let wanted = compare(VersionScheme::Apk, a, b, false);
                let (da, db) = (deb_version(a), deb_version(b));
                assert_eq!(compare(VersionScheme::Deb, &da, &db, false), wanted, "{a} {b} as {da} {db}");
            }
        }
    }

    #[test]
    fn arches() {
        use Dialect::{Alpine, Openwrt, Opkg};
        assert_eq!(arch("all", Opkg, Alpine).as_deref(), Some("noarch"));
        assert_eq!(arch("noarch", Openwrt, Opkg).as_deref(), Some("all"));
        assert_eq!(arch("aarch64_cortex-a53", Openwrt, Alpine).as_deref(), Some("aarch64"));
        assert_eq!(arch("arm_cortex-a9_vfpv3-d16", Opkg, Alpine).as_deref(), Some("armv7"));
        assert_eq!(arch("mips_24kc", Opkg, Alpine), None);
        assert_eq!(arch("mips_24kc", Opkg, Openwrt).as_deref(), Some("mips_24kc"));
        assert_eq!(arch("s390x", Alpine, Opkg), None);
    }
}
