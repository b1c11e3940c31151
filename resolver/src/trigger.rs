//! `install_if`: packages that come along when all they name is there. Only something new or changed sets them off, and what
//! the host merely stands in for does not, but for the init, whose services are translated.

use std::collections::BTreeMap;

use xpkg_model::dependency::is_shared;
use xpkg_model::host::{Host, HostProvide};
use xpkg_model::{Dependency, Package};

use crate::universe::{MemberIx, NameIx, Universe, meets_by_name};

/// The init that a host stands in for by translating what is written for it: what asks for it is of use there.
const INIT: &str = "openrc";

/// Whether every condition holds among the given packages, or is an init that the host stands in for.
pub(crate) fn holds<'p>(package: &Package, host: &Host, present: impl Iterator<Item = &'p Package> + Clone) -> bool {
    let given = |d: &Dependency| {
        let of_host = |h: &HostProvide| h.ecosystem == Some(package.ecosystem) && d.met_by(package.scheme, &h.provide);
        d.name == INIT && !d.conflict && host.provides.iter().any(of_host)
    };
    let met = |d: &Dependency| {
        present.clone().any(|p| {
            (is_shared(&d.name) || p.ecosystem == package.ecosystem)
                && (meets_by_name(p, d) || p.provides.iter().any(|provide| d.met_by(p.scheme, provide)))
        })
    };
    !package.install_if.is_empty() && package.install_if.iter().all(|d| (met(d) || given(d)) != d.conflict)
}

/// Packages that an answer sets off, by name, best version first.
pub(crate) fn fired(universe: &mut Universe<'_>, present: &[MemberIx]) -> BTreeMap<NameIx, Vec<MemberIx>> {
    let packages: Vec<_> = present.iter().map(|m| universe.package(*m).clone()).collect();
    let mut fired: BTreeMap<NameIx, Vec<MemberIx>> = BTreeMap::new();
    if universe.closed {
        return fired;
    }
    for member in present.iter().copied() {
        if universe.is_installed(member) {
            continue;
        }
        let package = universe.package(member).clone();
        let provided = package.provides.iter().map(|p| p.name.as_str()).filter(|n| !is_shared(n));
        let mut names: Vec<&str> = std::iter::once(package.name.as_str()).chain(provided).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let found = match universe.problem.candidates.installed_if(package.ecosystem, name) {
                Ok(found) => found,
                Err(e) => {
                    universe.fail(&e);
                    return fired;
                }
            };
            for candidate in found {
                if holds(&candidate, universe.problem.host, packages.iter().map(|p| &**p)) {
                    let ix = universe.admit_one(candidate);
                    let known = universe.member(ix);
                    if known.refused.is_none() && known.installed.is_none() && !present.contains(&ix) {
                        fired.entry(known.name).or_default().push(ix);
                    }
                }
            }
        }
    }
    for members in fired.values_mut() {
        members.sort_by(|a, b| universe.compare_members(*a, *b));
        members.dedup();
    }
    fired
}
