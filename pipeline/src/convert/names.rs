//! Names that packages need, provide and replace, from one world's words into the other's. Pure; what it cannot translate it
//! says.

use std::collections::{BTreeMap, BTreeSet};

use xpkg_model::opkg::Opkg;
use xpkg_model::{Dependency, Op, Package, Provide, Requirement, VersionScheme};
use xpkg_shims::hints;

use super::{Dialect, versions};

/// What the packages that are converted together give each other: capability → package.
#[derive(Debug, Default)]
pub(super) struct Batch(BTreeMap<String, String>);

impl Batch {
    /// Notes a package and what it provides.
    pub(super) fn add(&mut self, package: &Package, sonames: &BTreeSet<String>) {
        let provided = package.provides.iter().map(|p| p.name.clone());
        let files = sonames.iter().map(|soname| format!("so:{soname}"));
        for name in provided.chain(files).chain([package.name.clone()]) {
            self.0.entry(name).or_insert_with(|| package.name.clone());
        }
    }

    fn provider(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// What a package's ELF files say.
#[derive(Debug, Default)]
pub(super) struct Libraries {
    /// Sonames that its files need and none of its own is.
    pub needs: BTreeSet<String>,
    /// Sonames of its own libraries, with the version in the library's file name.
    pub sonames: BTreeMap<String, String>,
    /// Programs in the directories of PATH.
    pub programs: BTreeSet<String>,
}

/// Packages of the base that both worlds have under different names: `(Alpine, OpenWrt)`.
const BASE: [(&str, &str); 5] = [
    ("musl", "libc"),
    ("busybox", "busybox"),
    ("alpine-baselayout", "base-files"),
    ("ca-certificates-bundle", "ca-bundle"),
    ("libgcc", "libgcc1"),
];

/// Whether a soname is musl itself: its loader answers to these names (bridges of formats and field notes: `libc.so` on
/// OpenWrt, `libc.musl-ARCH.so.1` on Alpine).
pub(super) fn is_libc(soname: &str) -> bool {
    soname == "libc.so" || soname.starts_with("libc.musl-")
}

/// One translation.
pub(super) struct Translate<'a> {
    pub from: Dialect,
    pub to: Dialect,
    pub package: &'a Package,
    pub libraries: &'a Libraries,
    pub batch: &'a Batch,
}

impl Translate<'_> {
    /// Whether nothing changes but the grammar: OpenWrt's names before and after 25.12 are the same.
    fn same_world(&self) -> bool {
        (self.from == Dialect::Alpine) == (self.to == Dialect::Alpine)
    }

    /// The dependencies, conflicts among them.
    pub(super) fn depends(&self, lost: &mut dyn FnMut(&'static str, String)) -> Vec<Requirement> {
        let mut out = Vec::new();
        for requirement in &self.package.depends {
            self.requirement(requirement, &mut out, lost);
        }
        if self.to == Dialect::Alpine && self.from != Dialect::Alpine {
            out.extend(self.libraries.needs.iter().map(|soname| self.soname(soname)));
        }
        let mut seen = BTreeSet::new();
        out.retain(|r| seen.insert(r.to_string()));
        out
    }

    /// What is nice to have.
    pub(super) fn recommends(&self, lost: &mut dyn FnMut(&'static str, String)) -> Vec<Requirement> {
        if self.to == Dialect::Alpine {
            for requirement in &self.package.recommends {
                lost("recommends", requirement.to_string());
            }
            return Vec::new();
        }
        let mut out = Vec::new();
        self.package.recommends.iter().for_each(|r| self.requirement(r, &mut out, lost));
        out
    }

    fn requirement(
        &self,
        requirement: &Requirement,
        out: &mut Vec<Requirement>,
        lost: &mut dyn FnMut(&'static str, String),
    ) {
        let all = requirement.alternatives();
        if self.to == Dialect::Opkg {
            let translated: Vec<Dependency> = all.iter().filter_map(|d| self.dependency(d, lost)).collect();
            out.extend(Requirement::any_of(translated));
            return;
        }
        // apk has no alternatives: the one that comes along, else the first.
        let chosen = all.iter().find(|d| self.batch.provider(&d.name).is_some()).or(all.first());
        for dependency in all.iter().filter(|d| Some(*d) != chosen) {
            lost("alternative dependency", format!("{dependency} (of {requirement})"));
        }
        out.extend(chosen.and_then(|d| self.dependency(d, lost)).map(Requirement::from));
    }

    fn dependency(&self, d: &Dependency, lost: &mut dyn FnMut(&'static str, String)) -> Option<Dependency> {
        let mut d = d.clone();
        let original = d.to_string();
        if !d.version.is_empty() && d.op != Op::CHECKSUM {
            let (version, faithful) = versions::version(&d.version, self.package.scheme, self.to);
            if !faithful {
                lost("exact version", format!("{original}: {version} stands for it"));
            }
            d.version = version;
        }
        if self.to == Dialect::Opkg {
            if d.op == Op::CHECKSUM {
                lost("condition", format!("{original}: opkg has no identities in dependencies"));
                (d.op, d.version) = (Op::ANY, String::new());
            } else if d.op.is_fuzzy() {
                lost("condition", format!("{original}: opkg has no `~`; it became `>=`"));
                d.op = Op(Op::GREATER.0 | Op::EQUAL.0);
            }
        } else if self.package.scheme == VersionScheme::Deb && (d.op == Op::LESS || d.op == Op::GREATER) {
            // opkg takes equal versions for any relation.
            d.op = Op(d.op.0 | Op::EQUAL.0);
        }
        if self.same_world() || d.conflict {
            return Some(d);
        }
        if self.to == Dialect::Alpine { self.to_alpine(d, lost) } else { self.to_openwrt(d, lost) }
    }

    fn to_alpine(&self, d: Dependency, lost: &mut dyn FnMut(&'static str, String)) -> Option<Dependency> {
        if d.name == "libc" || ["libpthread", "librt"].contains(&d.name.as_str()) {
            return Some(self.soname("libc.so").alternatives().first().cloned()).flatten();
        }
        if d.name == "kernel" || d.name.starts_with("kmod-") {
            lost("dependency", format!("{d}: kernels are not Alpine's"));
            return None;
        }
        if let Some((alpine, _)) = BASE.iter().find(|(_, openwrt)| *openwrt == d.name) {
            return Some(Dependency::any(*alpine));
        }
        // A library is needed by soname, which the package's own files say.
        let sonames = hints::sonames_of(&d.name);
        if !sonames.is_empty() && sonames.iter().any(|s| self.libraries.needs.contains(s)) {
            return None;
        }
        if self.batch.provider(&d.name).is_none() {
            lost("unproven name", format!("{d}: kept as it is, Alpine may not have it"));
        }
        Some(d)
    }

    fn to_openwrt(&self, d: Dependency, lost: &mut dyn FnMut(&'static str, String)) -> Option<Dependency> {
        if let Some(soname) = d.name.strip_prefix("so:") {
            if is_libc(soname) {
                return Some(Dependency::any("libc"));
            }
            if let Some(provider) = self.batch.provider(&d.name) {
                // apk may ask for the soname itself, since the converted package provides it.
                return Some(if self.to == Dialect::Openwrt { d } else { Dependency::any(provider) });
            }
            let known = hints::packages_for(soname).into_iter().next();
            if let Some(name) = known.filter(|name| hints::sonames_of(name).iter().any(|s| s == soname)) {
                return Some(Dependency::any(name));
            }
            lost("dependency", format!("{d}: no OpenWrt package is known to have it"));
            return (self.to == Dialect::Openwrt).then_some(d);
        }
        if d.name == "/bin/sh" || d.name == "cmd:sh" {
            return Some(Dependency::any("busybox"));
        }
        if let Some(provider) = self.batch.provider(&d.name) {
            let keep = self.to == Dialect::Openwrt || provider == d.name;
            return Some(if keep { d } else { Dependency::any(provider) });
        }
        if let Some((_, openwrt)) = BASE.iter().find(|(alpine, _)| *alpine == d.name) {
            return Some(Dependency::any(*openwrt));
        }
        if xpkg_model::dependency::is_shared(&d.name) {
            lost("dependency", format!("{d}: no OpenWrt package says that it provides it"));
            return None;
        }
        lost("unproven name", format!("{d}: kept as it is, OpenWrt may not have it"));
        Some(d)
    }

    /// A soname as Alpine's packages ask for it.
    fn soname(&self, soname: &str) -> Requirement {
        if is_libc(soname) {
            let arch = versions::arch(&self.package.arch, self.from, Dialect::Alpine);
            let arch = arch.filter(|arch| arch != "noarch").unwrap_or_else(|| "x86_64".to_owned());
            return Dependency::any(format!("so:libc.musl-{arch}.so.1")).into();
        }
        Dependency::any(format!("so:{soname}")).into()
    }

    /// What it provides. `name` and `version` are those it will have.
    pub(super) fn provides(&self, version: &str, lost: &mut dyn FnMut(&'static str, String)) -> Vec<Provide> {
        let opkg = self.package.opkg.as_deref();
        let name = &self.package.name;
        let mut out: Vec<Provide> = Vec::new();
        for provide in &self.package.provides {
            match self.to {
                Dialect::Opkg if xpkg_model::dependency::is_shared(&provide.name) => {} // its files say it again
                Dialect::Opkg => {
                    if provide.version.as_ref().is_some_and(|v| *v != self.package.version) {
                        lost("version of a provided name", provide.to_string());
                    }
                    if provide.name != *name {
                        out.push(Provide::new(&provide.name));
                    }
                }
                _ if self.package.scheme == VersionScheme::Deb => out.extend(owned(provide, name, version, opkg)),
                _ => {
                    let own = provide.version.as_ref().is_some_and(|v| *v == self.package.version);
                    let translated = provide.version.as_ref().map(|v| match own {
                        true => version.to_owned(),
                        false => versions::version(v, VersionScheme::Apk, self.to).0,
                    });
                    out.push(Provide { name: provide.name.clone(), version: translated });
                }
            }
        }
        if self.to == Dialect::Openwrt {
            out.push(Provide::new(format!("{name}-any")));
        }
        if self.to == Dialect::Alpine && self.from != Dialect::Alpine {
            for (soname, version) in &self.libraries.sonames {
                out.push(Provide::versioned(format!("so:{soname}"), version));
            }
            for program in &self.libraries.programs {
                out.push(Provide::versioned(format!("cmd:{program}"), version));
            }
        }
        let mut seen = BTreeSet::new();
        out.retain(|p| p.name != *name && seen.insert(p.name.clone()));
        out
    }

    /// Conditions in lists that are not dependencies: `replaces`, `install_if`.
    pub(super) fn plain(&self, list: &[Dependency]) -> Vec<Dependency> {
        let translated = list.iter().map(|d| {
            let mut d = d.clone();
            if self.to == Dialect::Opkg {
                (d.op, d.version) = (Op::ANY, String::new());
            } else if !d.version.is_empty() && d.op != Op::CHECKSUM {
                d.version = versions::version(&d.version, self.package.scheme, self.to).0;
            }
            d
        });
        translated.collect()
    }
}

/// A name that an opkg package provides, as OpenWrt's build words it for apk (include/package-pack.mk, FormatProvides): the
/// base name of a package with an ABI without a version; others own their name, unless alternatives let several be there.
fn owned(provide: &Provide, name: &str, version: &str, opkg: Option<&Opkg>) -> Option<Provide> {
    if provide.name == *name {
        return None;
    }
    let abi = opkg.map(|o| o.abi_version.as_str()).unwrap_or_default();
    let versioned = match (abi.is_empty(), opkg.is_some_and(|o| !o.alternatives.is_empty())) {
        (false, _) => provide.name.ends_with(abi),
        (true, alternatives) => !alternatives,
    };
    Some(if versioned { Provide::versioned(&provide.name, version) } else { Provide::new(&provide.name) })
}
