//! What this root gives to foreign packages: the rules applied to its files, and its own libraries.

use std::collections::BTreeMap;

use xpkg_model::adaptation::Placement;
use xpkg_model::host::{Host, HostProvide};
use xpkg_model::installed::Installed;
use xpkg_model::root::RootView;
use xpkg_shims::{Apart, NativeSoname, RootProbe, Rules};

use crate::error::Error;
use crate::libraries::Library;
use crate::prepare::Ground;

/// The built-in rules and those of the root.
pub fn rules(root: &dyn RootView) -> Result<Rules, Error> {
    Ok(Rules::of_root(root)?)
}

/// Answers rules' and translators' questions about the root.
pub fn probe<'a>(ground: &Ground<'a>, installed: &Installed, libraries: &[Library]) -> RootProbe<'a> {
    let native = ground.system.native;
    let packages = installed
        .packages
        .iter()
        .filter(|p| p.package.ecosystem == native && !p.foreign)
        .map(|p| (p.package.name.clone(), p.package.version.clone()));
    let owners: BTreeMap<String, String> =
        libraries.iter().filter_map(|l| Some((l.file.to_string(), l.owner.clone()?))).collect();
    let sonames = libraries
        .iter()
        .filter_map(|l| Some(NativeSoname { soname: l.soname.clone(), package: l.owner.clone()? }))
        .collect();
    let words = ground.arches.iter().filter(|(e, _)| *e == native).map(|(_, word)| word.clone()).collect();
    RootProbe::new(ground.root, packages, words)
        .with_sonames(sonames)
        .with_owner(Box::new(move |path| owners.get(path).cloned()))
}

/// The host as the resolver sees it.
///
/// To packages in a private layer it gives no libraries and no libc.
pub fn host(
    rules: &Rules,
    ground: &Ground<'_>,
    installed: &Installed,
    libraries: &[Library],
    placement: Placement,
) -> Host {
    let probe = probe(ground, installed, libraries);
    let apart = placement == Placement::Layer;
    let mut host = match apart {
        true => rules.host(ground.system.native, &Apart(&probe)),
        false => rules.host(ground.system.native, &probe),
    };
    host.apart = apart;
    for (ecosystem, word) in ground.arches {
        if !host.arches.contains(&(*ecosystem, word.clone())) {
            host.arches.push((*ecosystem, word.clone()));
        }
    }
    // Libraries that no package owns, put there by hand or by a vendor.
    for library in libraries.iter().filter(|l| l.owner.is_none() && !apart) {
        let provide = library.provide();
        if !host.provides.iter().any(|p| p.provide.name == provide.name) {
            let by = format!("{}, which no package owns", library.file);
            host.provides.push(HostProvide { ecosystem: None, provide, by, native: None, any_version: None });
        }
    }
    host
}
