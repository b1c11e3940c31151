//! Same names, different behaviour: a short list of known differences between builds of one libc, told as warnings.
//! ELF files cannot show them.

use xpkg_model::Ecosystem;
use xpkg_model::elf::ElfFacts;
use xpkg_model::verdict::Severity;

use super::{Loader, Report};

/// One known difference.
struct Difference {
    /// In whose build of musl.
    libc: Ecosystem,
    /// Names whose use makes it matter.
    names: &'static [&'static str],
    /// Stable word.
    code: &'static str,
    /// What a person should know.
    detail: &'static str,
}

const KNOWN: [Difference; 3] = [
    Difference {
        libc: Ecosystem::Openwrt,
        names: &["crypt", "crypt_r"],
        code: "crypt-hashes",
        detail: "OpenWrt's musl is usually built without the password hashes $2, $5 and $6: such passwords do not match",
    },
    Difference {
        libc: Ecosystem::Openwrt,
        names: &["iconv_open"],
        code: "iconv-charsets",
        detail: "OpenWrt's musl is usually built with few character sets: conversions other than UTF-8 and ASCII may fail",
    },
    Difference {
        libc: Ecosystem::Openwrt,
        names: &["tzset"],
        code: "time-zone",
        detail: "OpenWrt's musl takes the time zone from /etc/TZ when TZ is not set, not from /etc/localtime",
    },
];

/// Warns about what the program or its own world's libraries use.
pub(super) fn warn(report: &mut Report, loader: &Loader, file: &str, facts: &ElfFacts, made_for: Option<Ecosystem>) {
    let Some(libc) = loader.made_by else { return };
    // What is built for this libc knows it.
    if made_for == Some(libc) || made_for.is_none() {
        return;
    }
    for difference in KNOWN.iter().filter(|d| d.libc == libc) {
        let used = facts.undefined.iter().find(|name| difference.names.contains(&name.as_str()));
        if let Some(name) = used {
            let detail = format!("uses {name}: {}", difference.detail);
            report.find(Severity::Warning, difference.code, file, name, detail);
        }
    }
}
