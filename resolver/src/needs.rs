//! Requirements as sets of packages, and what one package asks of the others. Filled by `lookup`.

use std::sync::Arc;

use xpkg_model::host::Host;
use xpkg_model::{Dependency, Ecosystem, Requirement};

use crate::explain::What;
use crate::solution::titled;
use crate::universe::{MemberIx, NameIx, NeedIx, Universe};

/// Versions of one package that meet a requirement, best first.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) name: NameIx,
    pub(crate) members: Vec<MemberIx>,
    /// Meets it by an unversioned provide without priority only: apk takes such a package when something else wants it,
    /// never of itself.
    pub(crate) virtually: bool,
}

/// What the host gives for a requirement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gift {
    pub(crate) by: String,
    pub(crate) native: Option<String>,
}

/// One requirement and everything that meets it, best first.
#[derive(Clone, Debug)]
pub(crate) struct Need {
    pub(crate) text: String,
    /// Worlds in which names are meant.
    pub(crate) worlds: Vec<Ecosystem>,
    /// Whose it is, when it is not shared by all who say the same.
    pub(crate) consumer: Option<MemberIx>,
    /// `None` for needs that name packages directly.
    pub(crate) requirement: Option<Requirement>,
    pub(crate) groups: Vec<Group>,
    /// The host meets it: nothing has to be chosen.
    pub(crate) host: Option<Gift>,
    /// Installed packages that meet it now and are being removed.
    pub(crate) leaving: Vec<MemberIx>,
}

impl Need {
    pub(crate) fn members(&self) -> impl Iterator<Item = MemberIx> {
        self.groups.iter().flat_map(|g| g.members.iter().copied())
    }
}

/// Packages that cannot be there together with another one.
#[derive(Clone, Debug)]
pub(crate) struct Ban {
    pub(crate) members: Vec<MemberIx>,
    pub(crate) why: String,
}

/// What a package asks of the others.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deps {
    pub(crate) needs: Vec<NeedIx>,
    pub(crate) bans: Vec<Ban>,
    /// Why it cannot be there at all.
    pub(crate) dead: Option<What>,
}

impl Universe<'_> {
    /// What a package asks of the others. Requirements that an installed package already lacks today are dropped with a note.
    pub(crate) fn deps(&mut self, ix: MemberIx) -> Arc<Deps> {
        if self.frozen.contains(&ix) {
            return Arc::default();
        }
        if let Some(known) = self.deps.get(&ix) {
            return Arc::clone(known);
        }
        let package = Arc::clone(self.package(ix));
        let installed = self.is_installed(ix);
        let mut deps = Deps::default();
        for requirement in package.requirements() {
            let need = self.need_of(Some(ix), package.ecosystem, requirement);
            if self.need(need).members().any(|m| m == ix) || deps.needs.contains(&need) {
                continue;
            }
            let now = |n: &Need| n.host.is_some() || !n.leaving.is_empty() || n.members().any(|m| self.is_installed(m));
            if installed && !now(self.need(need)) {
                self.notes
                    .insert(format!("{} is installed without its {requirement}; left as it is", titled(&package)));
                continue;
            }
            deps.needs.push(need);
        }
        for conflict in package.conflicts() {
            self.ban_conflict(ix, conflict, &mut deps);
        }
        for (key, why) in self.lore.clashes(&package) {
            let name = self.name_ix(key.ecosystem, &key.name);
            let mut members = self.load(name);
            members.retain(|m| crate::lore::is(key, self.package(*m)) && !(installed && self.is_installed(*m)));
            deps.bans.push(Ban { members, why: why.to_owned() });
        }
        deps.bans.retain(|b| !b.members.is_empty());
        let deps = Arc::new(deps);
        self.deps.insert(ix, Arc::clone(&deps));
        deps
    }

    fn ban_conflict(&mut self, ix: MemberIx, conflict: &Dependency, deps: &mut Deps) {
        let package = Arc::clone(self.package(ix));
        let (name, installed) = (self.member(ix).name, self.is_installed(ix));
        let mut members = Vec::new();
        for ecosystem in scopes(self.problem.host, conflict, package.ecosystem) {
            let named = self.name_ix(ecosystem, &conflict.name);
            members.extend(self.load(named));
            members.extend(self.providing(ecosystem, &conflict.name));
        }
        members.retain(|m| {
            self.member(*m).name != name && self.meets(*m, conflict) && !(installed && self.is_installed(*m))
        });
        members.sort_unstable();
        members.dedup();
        deps.bans.push(Ban { members, why: format!("{} says {conflict}", titled(&package)) });
        if package.ecosystem != self.native() && !installed && deps.dead.is_none() {
            deps.dead = self.host_gift(conflict, package.ecosystem, package.scheme).map(|gift| What::Conflict {
                package: titled(&package),
                other: gift.by,
                why: format!("the host gives {}", conflict.name),
            });
        }
    }
}

/// The worlds in which a name is looked up for a consumer of `scope`.
pub(crate) fn scopes(host: &Host, dependency: &Dependency, scope: Ecosystem) -> Vec<Ecosystem> {
    if host.crosses(&dependency.name) { Ecosystem::ALL.to_vec() } else { vec![scope] }
}
