//! What may be chosen from: the catalogue, with the shipped hints about OpenWrt's sonames, what reading files has taught
//! about needs that no index mentions, and what rules say of single packages' needs on this root.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use xpkg_model::candidates::CandidatesError;
use xpkg_model::{Candidates, Dependency, Ecosystem, Package, PackageKey, Requirement};
use xpkg_repos::Catalogue;
use xpkg_shims::Rules;

/// Needs that a package's ELF files have beyond what its index says: `so:` names by package.
pub type ProvenNeeds = BTreeMap<PackageKey, Vec<String>>;

/// The resolver's view of every enabled source.
pub struct Offers<'a> {
    /// The indexes.
    pub catalogue: &'a Catalogue,
    /// Learnt from files. They become part of the package's dependencies, and so of what the native database is told:
    /// the native manager then knows what must stay.
    pub needs: &'a ProvenNeeds,
    /// `@tags` that the request or the native world names: only then a tagged repository takes part, as with apk.
    pub tags: &'a BTreeSet<String>,
    /// What foreign packages need here that their indexes do not say, and the other way.
    pub rules: &'a Rules,
    /// The root's own world.
    pub native: Ecosystem,
}

impl Offers<'_> {
    fn complete(&self, packages: Vec<Arc<Package>>) -> Vec<Arc<Package>> {
        let named = |package: &Arc<Package>| {
            let tag = self.catalogue.source_of(package).and_then(|source| source.tag.as_ref());
            tag.is_none_or(|tag| self.tags.contains(tag))
        };
        packages
            .into_iter()
            .filter(named)
            .map(|package| match self.rules.depends(self.native, &package) {
                Some(depends) => Arc::new(Package { depends, ..(*package).clone() }),
                None => package,
            })
            .map(|package| match self.needs.get(&package.key()) {
                Some(needs) => Arc::new(with_needs(&package, needs)),
                None => package,
            })
            .collect()
    }
}

/// The package with further dependencies.
pub fn with_needs(package: &Package, needs: &[String]) -> Package {
    let mut package = package.clone();
    for need in needs {
        let requirement = Requirement::from(Dependency::any(need.as_str()));
        if !package.depends.contains(&requirement) {
            package.depends.push(requirement);
        }
    }
    package
}

impl Candidates for Offers<'_> {
    fn named(&self, ecosystem: Ecosystem, name: &str) -> Result<Vec<Arc<Package>>, CandidatesError> {
        self.catalogue.named(ecosystem, name).map(|found| self.complete(found))
    }

    fn providing(&self, ecosystem: Ecosystem, name: &str) -> Result<Vec<Arc<Package>>, CandidatesError> {
        self.catalogue.providing(ecosystem, name).map(|found| self.complete(found))
    }

    fn installed_if(&self, ecosystem: Ecosystem, name: &str) -> Result<Vec<Arc<Package>>, CandidatesError> {
        self.catalogue.installed_if(ecosystem, name).map(|found| self.complete(found))
    }

    fn hinted(&self, ecosystem: Ecosystem, capability: &str) -> Result<Vec<String>, CandidatesError> {
        // Alpine's index publishes its sonames; only OpenWrt's are guessed at.
        match capability.strip_prefix("so:") {
            Some(soname) if ecosystem == Ecosystem::Openwrt => Ok(xpkg_shims::hints::packages_for(soname)),
            _ => Ok(Vec::new()),
        }
    }
}
