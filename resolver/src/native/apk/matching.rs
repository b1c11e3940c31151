//! Whether a provider meets a condition, in both generations' terms. Never looks at the state of a decision.

use xpkg_model::VersionScheme;
use xpkg_model::version::{self, Relation};
use xpkg_model::{Op, identity};

use super::pool::{Dep, PkgId, Pool, Provider};
use super::universe::Generation;

/// What a dependency is to a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bearing {
    /// It does not concern the package.
    None,
    /// The package meets it.
    Satisfies,
    /// The package breaks it.
    Conflicts,
}

/// Compares versions; an unversioned provide has the empty one.
pub(super) fn compare(left: Option<&str>, right: Option<&str>) -> Relation {
    match (left, right) {
        (None, None) => Relation::Equal,
        (None, Some(_)) => Relation::Less,
        (Some(_), None) => Relation::Greater,
        (Some(l), Some(r)) => version::compare(VersionScheme::Apk, l, r, false),
    }
}

impl Pool {
    /// Whether a provider (`None`: nothing chosen) meets a condition of `of` (`None`: of world).
    ///
    /// An unversioned provide has the empty version: apk 3 compares it as less than any other, apk 2.14 lets it meet
    /// no condition at all. In apk 3 a package's conflict never excludes the package itself.
    pub fn met(&self, of: Option<PkgId>, d: &Dep, by: Option<&Provider>) -> bool {
        let Some(by) = by else { return d.conflict };
        if d.conflict && of == Some(by.pkg) && self.generation == Generation::V3 {
            return true;
        }
        self.meets(d, by.pkg, by.version.as_deref())
    }

    fn meets(&self, d: &Dep, pkg: PkgId, version: Option<&str>) -> bool {
        if d.op == Op::CHECKSUM && !(d.conflict && self.generation == Generation::V3) {
            return self.has_checksum(pkg, d.version.as_deref());
        }
        let hit = match (d.op, version) {
            (Op::ANY, _) => true,
            (_, None) => self.generation == Generation::V3 && d.op.0 & Op::LESS.0 != 0,
            (op, Some(version)) => {
                let wanted = d.version.as_deref().unwrap_or_default();
                match self.relation(version, wanted, op.is_fuzzy()) {
                    Relation::Less => op.0 & Op::LESS.0 != 0,
                    Relation::Equal => op.0 & Op::EQUAL.0 != 0,
                    Relation::Greater => op.0 & Op::GREATER.0 != 0,
                }
            }
        };
        hit != d.conflict
    }

    /// How a version stands to a wanted one. Fuzzy, apk 3 takes a version for equal that goes on where the wanted one ends;
    /// apk 2.14 takes any two for equal of which one has another kind of part where the other still agrees (`1` meets
    /// `~1.1`, `1_p1` meets `~1a`).
    fn relation(&self, version: &str, wanted: &str, fuzzy: bool) -> Relation {
        if fuzzy && self.generation == Generation::V2 && version::apk_agree_in_common(version, wanted) {
            return Relation::Equal;
        }
        version::compare(VersionScheme::Apk, version, wanted, fuzzy)
    }

    fn has_checksum(&self, pkg: PkgId, wanted: Option<&str>) -> bool {
        let own = self.pkgs[pkg].source.identity.map(|i| i.prefix());
        own.is_some() && own == wanted.and_then(identity::parse_q1)
    }

    /// What a dependency of `of` is to `pkg`: by its own name, else by the first provide of the name.
    pub fn bearing(&self, of: Option<PkgId>, d: &Dep, pkg: PkgId) -> Bearing {
        let verdict = |met: bool| if met { Bearing::Satisfies } else { Bearing::Conflicts };
        let package = &self.pkgs[pkg];
        if d.name == package.name {
            return verdict(self.meets(d, pkg, Some(&package.version)));
        }
        match package.provides.iter().find(|p| p.name == d.name) {
            Some(p) => verdict(self.met(of, d, Some(&Provider { pkg, version: p.version.clone() }))),
            None => Bearing::None,
        }
    }
}
