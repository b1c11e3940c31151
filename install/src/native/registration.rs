//! How a package appears in the native database: its own words where they can be read there, translated where not.

use std::collections::BTreeMap;

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use xpkg_formats::apk::db::{Generation, InstalledRecord};
use xpkg_model::payload::Scripts;
use xpkg_model::{Dependency, Identity, Package, Requirement, VersionScheme};

use super::opkg::Entry;
use xpkg_shims::registration::{Generation as ShimGeneration, native_version};

/// A package to be written into the native database.
#[derive(Clone, Debug)]
pub struct Registration {
    /// Metadata and files.
    pub record: InstalledRecord,
    /// Scripts that the native manager shall run later.
    pub scripts: Scripts,
    /// Patterns of its trigger.
    pub triggers: Vec<String>,
    /// What only opkg wants to know.
    pub opkg: Option<Box<Entry>>,
}

/// The package as the native manager is told of it. `renamed` maps names of foreign packages to the names they have there.
pub fn registered_package(
    package: &Package,
    name: &str,
    renamed: &BTreeMap<String, String>,
    generation: Generation,
) -> Package {
    let mut out = package.clone();
    out.name = name.to_owned();
    // What was never indexed has no digest; apk wants one, and it must not change between two runs.
    let made_up = || {
        let text = format!("{}:{}={}", package.ecosystem, package.name, package.version);
        let bytes = digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
        Identity::ApkSha1(std::array::from_fn(|i| bytes.as_ref().get(i).copied().unwrap_or_default()))
    };
    out.identity.get_or_insert_with(made_up);
    if matches!(out.arch.as_str(), "all" | "") {
        out.arch = "noarch".to_owned();
    }
    if package.scheme != VersionScheme::Apk {
        let generation = if generation == Generation::Apk2 { ShimGeneration::Apk2 } else { ShimGeneration::Apk3 };
        out.version = native_version(package, generation);
        out.scheme = VersionScheme::Apk;
    }
    let translate = |dependency: &Dependency| {
        let mut dependency = dependency.clone();
        if let Some(name) = renamed.get(&dependency.name) {
            dependency.name.clone_from(name);
        }
        dependency
    };
    // apk has no words for a choice: its first alternative stands for it.
    let depends = package.depends.iter().filter_map(|r| r.alternatives().first());
    out.depends = depends.map(|d| Requirement::from(translate(d))).collect();
    out.install_if = package.install_if.iter().map(translate).collect();
    out.recommends.clear();
    // apk knows tags only since 3, and only where the package itself is of that kind.
    if generation == Generation::Apk2 {
        out.tags.clear();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use xpkg_model::Ecosystem;

    #[test]
    fn names_and_versions_are_those_of_the_native_side() {
        let mut package = Package::new(Ecosystem::Openwrt, "tmux", "3.3-1");
        package.scheme = VersionScheme::Deb;
        package.arch = "all".into();
        package.depends = vec!["ncurses".parse::<Dependency>().unwrap().into()];
        let renamed = BTreeMap::from([("ncurses".to_owned(), "xpkg-openwrt-ncurses".to_owned())]);
        let registered = registered_package(&package, "tmux", &renamed, Generation::Apk2);
        assert_eq!((registered.version.as_str(), registered.arch.as_str()), ("3.3-r1", "noarch"));
        assert_eq!(registered.depends[0].to_string(), "xpkg-openwrt-ncurses");
        assert_eq!(registered.identity, registered_package(&package, "tmux", &renamed, Generation::Apk3).identity);
    }
}
