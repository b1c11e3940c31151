//! How a package of another world is told to opkg: plain package names instead of sonames and commands. Pure.

use std::collections::{BTreeMap, BTreeSet};

use xpkg_model::{Dependency, Ecosystem, Package, Requirement, VersionScheme};
use xpkg_shims::registration::{Generation, native_version};

/// Packages that are installed once the plan is done, under the names that opkg knows.
pub type Neighbours = Vec<(String, Package)>;

/// The package without its dependencies' translation: that needs to know who else is there.
pub(super) fn registered(
    native: Ecosystem,
    package: &Package,
    name: &str,
    renamed: &BTreeMap<String, String>,
) -> Package {
    let mut out = package.clone();
    out.name = name.to_owned();
    if package.ecosystem == native && package.scheme == VersionScheme::Deb {
        return out;
    }
    out.version = native_version(package, Generation::Opkg);
    out.scheme = VersionScheme::Deb;
    if matches!(out.arch.as_str(), "noarch" | "") {
        out.arch = "all".to_owned();
    }
    let translate = |dependency: &Dependency| {
        let name = renamed.get(&dependency.name).unwrap_or(&dependency.name);
        Dependency::any(name.clone())
    };
    out.depends =
        package.requirements().filter_map(|r| r.alternatives().first()).map(|d| translate(d).into()).collect();
    out.provides.retain(|provide| is_plain(&provide.name));
    for provide in &mut out.provides {
        provide.version = None;
    }
    out.install_if.clear();
    out.recommends.clear();
    out.tags.clear();
    out.replaces = package.replaces.iter().filter(|d| is_plain(&d.name)).map(translate).collect();
    out
}

/// Names the packages that meet each dependency of `package`. What nobody meets by a package is met by the host itself, and
/// left out: opkg would refuse every later change over a name that it does not know.
pub fn translated(package: &Package, own: &str, neighbours: &Neighbours) -> Vec<Requirement> {
    let mut names: BTreeSet<&str> = BTreeSet::new();
    let mut out = Vec::new();
    for requirement in package.requirements() {
        let meets = |(name, other): &&(String, Package)| {
            name != own && requirement.alternatives().iter().any(|d| other.meets(d))
        };
        // A package of its own world is the one that was chosen for it.
        let chosen = neighbours.iter().filter(|(_, other)| other.ecosystem == package.ecosystem).find(meets);
        let Some((name, _)) = chosen.or_else(|| neighbours.iter().find(meets)) else { continue };
        if names.insert(name) {
            out.push(Dependency::any(name.clone()).into());
        }
    }
    out
}

/// A name that opkg's lists can hold: no `so:`, no path.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'+' | b'-' | b'_'))
}
