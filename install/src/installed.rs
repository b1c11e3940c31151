//! What is installed on a root, as the native database and our own state tell it together. Reads only.

use std::collections::BTreeSet;
use std::sync::Arc;

use xpkg_model::adaptation::Placement;
use xpkg_model::installed::{Installed, InstalledPackage};
use xpkg_model::root::RootView;
use xpkg_model::{Dependency, Ecosystem, Package};

use crate::Result;
use crate::native::Native;
use crate::state::{ForeignPackage, State, read_world};

/// What reading its files taught belongs to its dependencies: who asks what is still needed must see it.
fn with_needs(foreign: &ForeignPackage) -> Package {
    let mut package = foreign.package.clone();
    package.depends.extend(foreign.needs.iter().map(|name| Dependency::any(name).into()));
    package
}

/// How large an installed package says it is, where only its own files know: opkg's list of packages says nothing of it.
pub fn declared_size(root: &dyn RootView, native: Ecosystem, name: &str) -> Result<u64> {
    match Native::detect(root, native)? {
        Some(Native::Opkg(opkg)) => opkg.declared_size(root, name),
        _ => Ok(0),
    }
}

/// The foreign packages that live in a private layer.
pub fn layered(root: &dyn RootView) -> Result<BTreeSet<(Ecosystem, String)>> {
    let state = State::load(root)?;
    let inside = state.packages.into_iter().filter(|(_, p)| p.placement == Placement::Layer);
    Ok(inside.map(|(key, _)| key).collect())
}

/// Reads a root. Without a native database nothing is installed. The generated provider is not a package of either world
/// and is left out, here and in the world.
pub fn read(root: &dyn RootView, native: Ecosystem) -> Result<Installed> {
    let state = State::load(root)?;
    let mut installed = Installed { wanted: read_world(root)?, ..Installed::default() };
    let Some(manager) = Native::detect(root, native)? else { return Ok(installed) };
    let marks = manager.marks(root)?;
    installed.world = marks.world;
    let explicit: BTreeSet<String> = installed.world.iter().filter(|d| !d.conflict).map(|d| d.name.clone()).collect();
    manager.each(root, &mut |record| {
        let name = record.package.name.clone();
        if state.provider.as_ref() == Some(&name) {
            return Ok(());
        }
        let ours = state.registered(&name).filter(|f| match (&f.package.identity, &record.package.identity) {
            (Some(a), Some(b)) => a.prefix() == b.prefix(),
            _ => true,
        });
        installed.packages.push(match ours {
            Some(foreign) => InstalledPackage {
                package: Arc::new(with_needs(foreign)),
                explicit: foreign.explicit || explicit.contains(&name),
                held: state.held.contains(&(foreign.package.ecosystem, foreign.package.name.clone())),
                foreign: true,
                registered_as: (foreign.registered != foreign.package.name).then(|| foreign.registered.clone()),
            },
            None => InstalledPackage {
                explicit: explicit.contains(&name),
                held: marks.held.contains(&name) || state.held.contains(&(native, name.clone())),
                package: Arc::new(record.package),
                foreign: false,
                registered_as: None,
            },
        });
        Ok(())
    })?;
    let provider = state.provider.as_deref();
    installed.world.retain(|d| Some(d.name.as_str()) != provider && state.registered(&d.name).is_none());
    Ok(installed)
}
