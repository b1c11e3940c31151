//! Whether a loader understands DT_RELR when it cannot be tried: a table by release, and it says that it is one.
//!
//! A program with DT_RELR on a loader without it resolves every name and then crashes. The libc's version does not
//! decide: some distributions patched the support into older versions.

use xpkg_model::version::{self, Relation};
use xpkg_model::{Ecosystem, VersionScheme};

use super::RelrSupport;

/// Which release a root is, as its own files say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// Whose.
    pub ecosystem: Ecosystem,
    /// `25.12.2`, `3.19.1`, `edge`, `SNAPSHOT` …
    pub version: String,
}

/// First release of each world whose loader is known to work with it.
/// Alpine: 3.15 to 3.17 carry the patch in musl 1.2.2 and 1.2.3; 3.18 has 1.2.4. OpenWrt: 23.05 has 1.2.4.
const FIRST: [(Ecosystem, &str); 2] = [(Ecosystem::Alpine, "3.15"), (Ecosystem::Openwrt, "23.05")];

/// Last release known not to work. Between the two nothing is known.
const LAST_WITHOUT: [(Ecosystem, &str); 2] = [(Ecosystem::Alpine, "3.12"), (Ecosystem::Openwrt, "19.07")];

/// musl itself understands it since this version.
const MUSL: &str = "1.2.4";

fn order(left: &str, right: &str) -> Relation {
    version::compare(VersionScheme::Apk, left, right, true)
}

/// What the table says; `None` when it says nothing.
pub fn table(release: Option<&Release>, musl: Option<&str>) -> Option<bool> {
    if let Some(musl) = musl
        && order(musl, MUSL) != Relation::Less
    {
        return Some(true);
    }
    let release = release?;
    let bound = |rows: &[(Ecosystem, &'static str)]| rows.iter().find(|(e, _)| *e == release.ecosystem).map(|r| r.1);
    if !version::is_valid_apk(&release.version) {
        return None; // edge, snapshots: the libc's version has to tell
    }
    if order(&release.version, bound(&FIRST)?) != Relation::Less {
        return Some(true);
    }
    (order(&release.version, bound(&LAST_WITHOUT)?) != Relation::Greater).then_some(false)
}

/// Puts the evidence in order: a run under the loader, native programs that use it, the table.
pub fn judge(probe: Option<bool>, natives_use_it: bool, table: Option<bool>) -> RelrSupport {
    match probe {
        Some(true) => RelrSupport::Yes,
        Some(false) => RelrSupport::No,
        None if natives_use_it => RelrSupport::Yes,
        None => RelrSupport::Unknown(table),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_of_the_bridges_table() {
        let table =
            |ecosystem, version: &str, musl| table(Some(&Release { ecosystem, version: version.to_owned() }), musl);
        assert_eq!(table(Ecosystem::Openwrt, "19.07.2", Some("1.1.24")), Some(false));
        assert_eq!(table(Ecosystem::Openwrt, "25.12.2", None), Some(true));
        assert_eq!(table(Ecosystem::Openwrt, "SNAPSHOT", Some("1.2.5")), Some(true));
        assert_eq!(table(Ecosystem::Openwrt, "SNAPSHOT", None), None);
        assert_eq!(table(Ecosystem::Openwrt, "22.03.5", Some("1.2.3")), None);
        assert_eq!(table(Ecosystem::Alpine, "3.12.12", Some("1.1.24")), Some(false));
        assert_eq!(table(Ecosystem::Alpine, "3.15.0", Some("1.2.2")), Some(true));
        assert_eq!(table(Ecosystem::Alpine, "3.13.1", Some("1.2.2")), None);
    }

    #[test]
    fn a_run_outweighs_everything() {
        assert_eq!(judge(Some(false), true, Some(true)), RelrSupport::No);
        assert_eq!(judge(None, true, Some(false)), RelrSupport::Yes);
        assert_eq!(judge(None, false, Some(false)), RelrSupport::Unknown(Some(false)));
    }
}
