//! The packages met so far in one solve: loaded by name when something asks for them, each with the reason why it is out,
//! if it is. Its indices never leave the crate.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use xpkg_model::{Dependency, Ecosystem, Op, Package, version};

use crate::Problem;
use crate::explain::What;
use crate::lore::Lore;
use crate::needs::{Deps, Need};
use crate::solution::titled;
use crate::targets::Targets;

/// Index of a package in the universe.
pub(crate) type MemberIx = u32;
/// Index of a scoped name.
pub(crate) type NameIx = u32;
/// Index of a requirement.
pub(crate) type NeedIx = u32;

/// Most packages one solve looks at; the largest public world has 23,030.
const MAX_MEMBERS: usize = 200_000;

/// One package version.
pub(crate) struct Member {
    pub(crate) package: Arc<Package>,
    pub(crate) name: NameIx,
    /// Index among the installed packages, when it is there already.
    pub(crate) installed: Option<usize>,
    pub(crate) local: bool,
    /// Why it can never be chosen.
    pub(crate) refused: Option<What>,
}

/// One scoped name.
pub(crate) struct Name {
    pub(crate) ecosystem: Ecosystem,
    pub(crate) name: Arc<str>,
    pub(crate) members: Vec<MemberIx>,
    /// The sources have been asked.
    loaded: bool,
    /// Newest first, even when an older one is installed.
    pub(crate) upgrade: bool,
}

pub(crate) struct Universe<'a> {
    pub(crate) problem: Problem<'a>,
    pub(crate) lore: Lore<'a>,
    pub(crate) targets: Targets,
    /// Only the installed packages count.
    pub(crate) closed: bool,
    pub(crate) members: Vec<Member>,
    pub(crate) names: Vec<Name>,
    by_name: HashMap<(Ecosystem, Arc<str>), NameIx>,
    /// Capability → installed and local packages that give it.
    here: HashMap<String, Vec<MemberIx>>,
    providers: HashMap<(Ecosystem, String), Vec<MemberIx>>,
    pub(crate) hints: HashMap<(Ecosystem, String), Vec<String>>,
    pub(crate) needs: Vec<Need>,
    pub(crate) need_ids: HashMap<(Ecosystem, String), NeedIx>,
    pub(crate) deps: HashMap<MemberIx, Arc<Deps>>,
    /// Installed packages that stay as they are without further questions: what they need is there and stays too.
    pub(crate) frozen: HashSet<MemberIx>,
    pub(crate) aliases: Option<HashMap<String, Vec<MemberIx>>>,
    pub(crate) notes: BTreeSet<String>,
    /// The first question a source failed to answer.
    pub(crate) failure: Option<String>,
}

impl<'a> Universe<'a> {
    pub(crate) fn new(problem: Problem<'a>, targets: Targets, closed: bool) -> Self {
        let mut universe = Self {
            problem,
            lore: Lore::new(problem.learnt),
            targets,
            closed,
            members: Vec::new(),
            names: Vec::new(),
            by_name: HashMap::new(),
            here: HashMap::new(),
            providers: HashMap::new(),
            hints: HashMap::new(),
            needs: Vec::new(),
            need_ids: HashMap::new(),
            deps: HashMap::new(),
            frozen: HashSet::new(),
            aliases: None,
            notes: BTreeSet::new(),
            failure: None,
        };
        for (i, installed) in problem.installed.packages.iter().enumerate() {
            universe.add(Arc::clone(&installed.package), Some(i), false);
        }
        for package in &problem.request.local {
            universe.add(Arc::clone(package), None, true);
        }
        universe
    }

    pub(crate) fn member(&self, ix: MemberIx) -> &Member {
        &self.members[ix as usize]
    }

    pub(crate) fn package(&self, ix: MemberIx) -> &Arc<Package> {
        &self.members[ix as usize].package
    }

    pub(crate) fn name(&self, ix: NameIx) -> &Name {
        &self.names[ix as usize]
    }

    pub(crate) fn need(&self, ix: NeedIx) -> &Need {
        &self.needs[ix as usize]
    }

    pub(crate) fn native(&self) -> Ecosystem {
        self.problem.host.native
    }

    /// The index of a scoped name; its packages need not be loaded.
    pub(crate) fn name_ix(&mut self, ecosystem: Ecosystem, name: &str) -> NameIx {
        if let Some(ix) = self.by_name.get(&(ecosystem, Arc::from(name))) {
            return *ix;
        }
        let ix = self.names.len() as NameIx;
        let name: Arc<str> = Arc::from(name);
        let upgrade = self.targets.upgrades(ecosystem, &name);
        self.names.push(Name { ecosystem, name: Arc::clone(&name), members: Vec::new(), loaded: false, upgrade });
        self.by_name.insert((ecosystem, name), ix);
        ix
    }

    /// The installed package of that name.
    pub(crate) fn installed_named(&mut self, ecosystem: Ecosystem, name: &str) -> Option<MemberIx> {
        let ix = self.name_ix(ecosystem, name);
        self.name(ix).members.iter().copied().find(|m| self.member(*m).installed.is_some())
    }

    /// Adds a package unless it is known, and says where it is.
    fn add(&mut self, package: Arc<Package>, installed: Option<usize>, local: bool) -> MemberIx {
        let name = self.name_ix(package.ecosystem, &package.name);
        let same = |m: &MemberIx| {
            let known = self.member(*m);
            known.package.version == package.version
                && match (&known.package.identity, &package.identity) {
                    (Some(a), Some(b)) => a.matches(b),
                    // A file on disk without an identity to compare is not assumed to be the installed one.
                    _ => !local,
                }
        };
        if installed.is_none()
            && let Some(known) = self.name(name).members.iter().copied().find(same)
        {
            if local {
                self.members[known as usize].local = true;
            }
            return known;
        }
        let ix = self.members.len() as MemberIx;
        if installed.is_some() || local {
            for provide in &package.provides {
                let here = self.here.entry(provide.name.clone()).or_default();
                if here.last() != Some(&ix) {
                    here.push(ix);
                }
            }
        }
        let refused =
            if installed.is_some() { self.refuse_installed(&package) } else { self.refuse(&package, name, local) };
        self.members.push(Member { package, name, installed, local, refused });
        self.names[name as usize].members.push(ix);
        ix
    }

    fn refuse_installed(&self, package: &Package) -> Option<What> {
        self.targets.removes(package.ecosystem, &package.name).then(|| What::Removing { package: titled(package) })
    }

    /// Why a package that is not installed can never be chosen.
    fn refuse(&self, package: &Package, name: NameIx, local: bool) -> Option<What> {
        let host = self.problem.host;
        let title = || titled(package);
        if self.targets.removes(package.ecosystem, &package.name) {
            return Some(What::Removing { package: title() });
        }
        if let Some(why) = host.masked(package.ecosystem, &package.name) {
            return Some(What::Masked { package: title(), why: why.to_owned() });
        }
        if !host.accepts(package.ecosystem, &package.arch) {
            return Some(What::Architecture { package: title(), arch: package.arch.clone() });
        }
        if package.layer != 0 {
            return Some(What::Layer { package: title(), layer: package.layer });
        }
        if let Some(what) = self.lore.refusal(package) {
            return Some(what);
        }
        if local {
            return None;
        }
        if let Some(pin) = self.targets.pinned_away(package) {
            return Some(What::Pinned { package: title(), pin });
        }
        let old = self.name(name).members.iter().find(|m| self.member(**m).installed.is_some())?;
        let old = self.member(*old);
        if old.installed.and_then(|i| self.problem.installed.packages.get(i)).is_some_and(|p| p.held) {
            return Some(What::Pinned { package: title(), pin: format!("the hold on {}", titled(&old.package)) });
        }
        let may_go_back = self.targets.may_go_back(package);
        match compare_versions(package, &old.package) {
            Ordering::Less if !may_go_back => {
                Some(What::Downgrade { package: title(), installed: old.package.version.clone() })
            }
            Ordering::Equal if !may_go_back => Some(What::Pinned {
                package: title(),
                pin: "the installed package of the same version, built differently".to_owned(),
            }),
            _ => None,
        }
    }

    /// Asks the sources for a name, once.
    pub(crate) fn load(&mut self, ix: NameIx) -> Vec<MemberIx> {
        if !self.closed && !self.name(ix).loaded {
            self.names[ix as usize].loaded = true;
            let (ecosystem, name) = (self.name(ix).ecosystem, Arc::clone(&self.name(ix).name));
            match self.problem.candidates.named(ecosystem, &name) {
                Ok(found) => found.into_iter().for_each(|p| self.admit(p)),
                Err(e) => self.fail(&e),
            }
        }
        self.name(ix).members.clone()
    }

    /// Adds a package that a source offered on another way than by name.
    pub(crate) fn admit_one(&mut self, package: Arc<Package>) -> MemberIx {
        self.add(package, None, false)
    }

    fn admit(&mut self, package: Arc<Package>) {
        if self.members.len() < MAX_MEMBERS {
            self.add(package, None, false);
        } else if self.failure.is_none() {
            self.failure = Some(format!("more than {MAX_MEMBERS} packages would have to be looked at"));
        }
    }

    pub(crate) fn fail(&mut self, error: &xpkg_model::candidates::CandidatesError) {
        if self.failure.is_none() {
            self.failure = Some(error.to_string());
        }
    }

    /// Packages of that world that list the name among their provides or are proven to give it.
    pub(crate) fn providing(&mut self, ecosystem: Ecosystem, name: &str) -> Vec<MemberIx> {
        let key = (ecosystem, name.to_owned());
        if let Some(known) = self.providers.get(&key) {
            return known.clone();
        }
        let mut found: Vec<MemberIx> = self.here.get(name).into_iter().flatten().copied().collect();
        found.retain(|m| self.package(*m).ecosystem == ecosystem);
        if !self.closed {
            match self.problem.candidates.providing(ecosystem, name) {
                Ok(packages) => {
                    for package in packages {
                        let before = self.members.len();
                        let ix = self.add(package, None, false);
                        if before >= MAX_MEMBERS {
                            self.fail(&"too many packages would have to be looked at".into());
                        }
                        found.push(ix);
                    }
                }
                Err(e) => self.fail(&e),
            }
            let proven: BTreeSet<String> = self.lore.provers(ecosystem, name).iter().map(|k| k.name.clone()).collect();
            for prover in proven {
                let ix = self.name_ix(ecosystem, &prover);
                found.extend(self.load(ix));
            }
        }
        let mut seen = HashSet::new();
        found.retain(|m| seen.insert(*m));
        self.providers.insert(key, found.clone());
        found
    }

    /// Which of two versions of one name is tried first.
    pub(crate) fn compare_members(&self, a: MemberIx, b: MemberIx) -> Ordering {
        let (left, right) = (self.member(a), self.member(b));
        let keep = !self.name(left.name).upgrade;
        (right.local.cmp(&left.local))
            .then_with(|| if keep { right.installed.is_some().cmp(&left.installed.is_some()) } else { Ordering::Equal })
            .then_with(|| compare_versions(&right.package, &left.package))
            .then_with(|| right.installed.is_some().cmp(&left.installed.is_some()))
            .then_with(|| a.cmp(&b))
    }

    /// Whether a package is unchanged.
    pub(crate) fn is_installed(&self, ix: MemberIx) -> bool {
        self.member(ix).installed.is_some()
    }

    /// All installed packages, in the order of the database.
    pub(crate) fn installed(&self) -> Vec<MemberIx> {
        (0..self.members.len() as MemberIx).filter(|m| self.is_installed(*m)).collect()
    }

    /// Whether a package meets a condition by what is known of it: name, index, proof.
    pub(crate) fn meets(&self, ix: MemberIx, dependency: &Dependency) -> bool {
        let package = self.package(ix);
        meets_by_name(package, dependency)
            || package.provides.iter().any(|p| package.meets_by_provide(p, dependency))
            || self.lore.proves(package, dependency)
    }
}

/// As [`Package::meets_by_name`]; identities also match by what both sides know of them.
pub(crate) fn meets_by_name(package: &Package, dependency: &Dependency) -> bool {
    dependency.op == Op::ANY && package.name == dependency.name || package.meets_by_name(dependency)
}

pub(crate) fn compare_versions(a: &Package, b: &Package) -> Ordering {
    version::compare(a.scheme, &a.version, &b.version, false).into()
}
