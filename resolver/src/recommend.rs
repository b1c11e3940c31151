//! Recommendations of opkg's packages: what a new package recommends comes along where it can be had (opkg's
//! pkg_depends.c takes them for dependencies whose absence is no error). apk's indexes have the field too, and apk passes
//! it over, and so does this.

use xpkg_model::VersionScheme;

use crate::universe::{MemberIx, NeedIx, Universe};

/// What the new packages of an answer recommend and it does not have, with who does.
pub(crate) fn missing(universe: &mut Universe<'_>, present: &[MemberIx]) -> Vec<(MemberIx, NeedIx)> {
    let mut found = Vec::new();
    if universe.closed {
        return found;
    }
    for member in present.iter().copied() {
        let package = universe.package(member).clone();
        if universe.is_installed(member) || package.scheme != VersionScheme::Deb {
            continue;
        }
        for requirement in &package.recommends {
            let need = universe.need_of(Some(member), package.ecosystem, requirement);
            let met = universe.need(need);
            if met.host.is_none() && !met.members().any(|m| present.contains(&m)) && met.members().next().is_some() {
                found.push((member, need));
            }
        }
    }
    found
}
