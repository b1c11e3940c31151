//! The way from a request to a plan that may be carried out: solve → fetch → check → learn, and again while something was
//! learnt. Writes to the cache only.

use std::collections::BTreeMap;
use std::sync::Arc;

use xpkg_install::target::Target;
use xpkg_model::adaptation::{Adaptations, LayerPolicy, Placement};
use xpkg_model::installed::Installed;
use xpkg_model::learnt::{Fact, Learnt};
use xpkg_model::verdict::{Finding, Severity, Verdict};
use xpkg_model::{Action, Ecosystem, Event, Observer, Package, PackageKey, Plan, Provide};
use xpkg_repos::{Cache, Catalogue, FetchedPackage, PackageFacts, Source, Transport};
use xpkg_resolver::{Problem, Request, Upgrade};

use crate::abi;
use crate::clashes::{clashes, passed_over};
use crate::error::Error;
use crate::identify::System;
use crate::libraries::Library;
use crate::offers::{Offers, ProvenNeeds};

/// Rounds of solving and learning before giving up. Each failing round costs a download and a solve; real plans need two
/// or three.
const MAX_ROUNDS: usize = 16;
/// Downloads at once.
const PARALLEL: usize = 4;

/// How far a preparation goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Index metadata and what is cached; nothing is downloaded.
    Plan,
    /// Everything is fetched, verified and checked.
    Fetch,
}

/// The verdict on one package or file, with its evidence.
#[derive(Clone, Debug)]
pub struct PackageVerdict {
    /// Scoped package name or path.
    pub subject: String,
    /// Which package, when it is one.
    pub key: Option<PackageKey>,
    /// The verdict.
    pub verdict: Verdict,
    /// Its evidence.
    pub findings: Vec<Finding>,
}

/// What a preparation looks at. A live root and an image being made give the same.
pub struct Ground<'a> {
    /// The root.
    pub root: &'a dyn Target,
    /// Which system it is.
    pub system: &'a System,
    /// Architecture words by world.
    pub arches: &'a [(Ecosystem, String)],
    /// Enabled sources.
    pub sources: &'a [Source],
    /// Where files are kept.
    pub cache: &'a Cache,
    /// The only way to the network.
    pub transport: &'a Transport,
    /// Who watches.
    pub observer: &'a dyn Observer,
    /// The root's libraries, where somebody has read them already.
    pub libraries: Option<Arc<Vec<Library>>>,
    /// What a probe under the root's loader said of DT_RELR.
    pub relr_probe: Option<bool>,
    /// What a person wants of private layers.
    pub layer: LayerPolicy,
    /// What a person allowed.
    pub permissions: xpkg_install::Options,
}

/// A plan with everything that was found out about it. Only a fetched and checked one can be applied.
pub struct Prepared {
    pub(crate) plan: Plan,
    pub(crate) fetched: BTreeMap<PackageKey, Arc<FetchedPackage>>,
    pub(crate) provider: Option<Package>,
    pub(crate) adaptations: Adaptations,
    pub(crate) now_explicit: Vec<(Ecosystem, String)>,
    pub(crate) chosen: Vec<(Ecosystem, String)>,
    incomplete: bool,
    verdicts: Vec<PackageVerdict>,
    notes: Vec<String>,
    source_names: Vec<String>,
    cached: Vec<PackageKey>,
    downloaded: u64,
}

impl Prepared {
    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Verdicts on the packages that come, those that were checked.
    pub fn verdicts(&self) -> &[PackageVerdict] {
        &self.verdicts
    }

    /// The verdict on one package.
    pub fn verdict(&self, key: &PackageKey) -> Verdict {
        let found = self.verdicts.iter().find(|v| v.key.as_ref() == Some(key));
        found.map_or(Verdict::Unchecked, |v| v.verdict)
    }

    /// What is done to packages on their way, by package; those that come as they are have no entry.
    pub fn adaptations(&self) -> &Adaptations {
        &self.adaptations
    }

    /// Things a person should know.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Name of the source that a package comes from.
    pub fn source_name(&self, package: &Package) -> &str {
        package.source.and_then(|i| self.source_names.get(usize::from(i))).map_or("file", String::as_str)
    }

    /// Bytes still to be downloaded.
    pub fn download_size(&self) -> u64 {
        let missing = |p: &&Arc<Package>| !self.cached.contains(&p.key());
        self.plan.incoming().map(|s| &s.package).filter(missing).map(|p| p.size).sum()
    }

    /// Bytes that were downloaded to prepare this.
    pub fn downloaded(&self) -> u64 {
        self.downloaded
    }

    /// Bytes that the root grows by; negative when it shrinks. What the packages declare, without the file system's share.
    pub fn disk_change(&self) -> i64 {
        let size = |p: &Package| i64::try_from(p.installed_size).unwrap_or(i64::MAX);
        self.plan.steps.iter().fold(0i64, |sum, step| {
            let old = step.old.as_ref().map_or(0, |p| size(p));
            sum.saturating_add(match step.action {
                Action::Install | Action::Replace => size(&step.package).saturating_sub(old),
                Action::Remove => size(&step.package).saturating_neg(),
            })
        })
    }

    /// Whether an upgrade that was asked for is left out because its file could not be had.
    pub fn is_incomplete(&self) -> bool {
        self.incomplete
    }

    /// Packages that are there and become a person's choice: nothing takes them away as no longer needed.
    pub fn chosen(&self) -> &[(Ecosystem, String)] {
        &self.chosen
    }

    /// Whether something becomes a person's choice although no package changes.
    pub fn changes_intent(&self) -> bool {
        !self.chosen.is_empty()
    }
}

/// Finds a plan that holds: among the root's own files, or where those cannot carry it, in a private layer.
///
/// `local` are the files on disk that the request names as [`Request::local`].
pub fn prepare(
    ground: &Ground<'_>,
    request: &Request,
    local: &[Arc<FetchedPackage>],
    depth: Depth,
) -> Result<Prepared, Error> {
    let native = ground.system.native;
    let mut installed = xpkg_install::installed::read(ground.root, native)?;
    let libraries = match &ground.libraries {
        Some(known) => Arc::clone(known),
        None => Arc::new(crate::libraries::scan(ground.root, ground.cache)?),
    };
    prove_native_libraries(&mut installed, &libraries, native);
    let there = There { installed: &installed, libraries: &libraries };
    let (first, because) = crate::layer::placement(ground, &installed)?;
    let mut wants_layer = false;
    let outcome = attempt(ground, &there, request, local, depth, first, &mut wants_layer);
    let refused = |p: &Prepared| p.verdicts.iter().any(|v| v.verdict == Verdict::NeedsPrivateLayer);
    let failed = match &outcome {
        Ok(prepared) => refused(prepared),
        Err(_) => wants_layer,
    };
    if first == Placement::Layer {
        let mut outcome = outcome?;
        let comes = outcome.plan.incoming().any(|step| step.package.ecosystem != native);
        if let Some(why) = because.filter(|_| comes) {
            outcome.notes.insert(0, format!("foreign packages live in a private layer, because {why}"));
        }
        return Ok(outcome);
    }
    if !failed || ground.layer != LayerPolicy::Auto {
        return outcome;
    }
    ground
        .observer
        .event(Event::Detail("the root's own loader and libraries do not do: trying a private layer".into()));
    match attempt(ground, &there, request, local, depth, Placement::Layer, &mut wants_layer) {
        Ok(mut inside) if !refused(&inside) => {
            let words = outcome.as_ref().err().map(Error::words);
            let why = words.as_deref().and_then(|w| w.lines().rfind(|line| !line.trim().is_empty()));
            let why = why.unwrap_or("the root's own loader does not start them").trim();
            inside.notes.insert(0, format!("foreign packages live in a private layer, because otherwise: {why}"));
            Ok(inside)
        }
        // What stood against the plain way says more than why the other does not help.
        Ok(_) => outcome,
        Err(error) => {
            ground.observer.event(Event::Detail(format!("nor would a private layer: {}", error.words())));
            outcome
        }
    }
}

/// What is on the root before the plan.
struct There<'a> {
    installed: &'a Installed,
    libraries: &'a [Library],
}

fn attempt(
    ground: &Ground<'_>,
    there: &There<'_>,
    request: &Request,
    local: &[Arc<FetchedPackage>],
    depth: Depth,
    placement: Placement,
    wants_layer: &mut bool,
) -> Result<Prepared, Error> {
    let native = ground.system.native;
    let everything = there.installed;
    // To a layer the root gives no libraries.
    let (moving, libraries) = match placement {
        Placement::Layer => (crate::layer::outside(ground.root, everything)?, &[][..]),
        Placement::Host => (Vec::new(), there.libraries),
    };
    let asked = request;
    let moved = (!moving.is_empty()).then(|| crate::layer::without(everything, &moving, request));
    let (installed, request) = moved.as_ref().map_or((everything, request), |(rest, asked)| (rest, asked));
    let rules = crate::host::rules(ground.root)?;
    let host = crate::host::host(&rules, ground, installed, there.libraries, placement);
    let catalogue = Catalogue::open(ground.cache, ground.sources)?;
    require_sources(ground, request, &catalogue)?;
    let checker = abi::RootAbi::new(ground, there.libraries, everything)?;
    let mut state = Learning { placement, ..Learning::default() };
    for package in local {
        state.facts.insert(package.package().key(), Arc::new(package.facts(ground.cache)?));
        state.cached.push(package.package().key());
        state.fetched.insert(package.package().key(), Arc::clone(package));
    }
    let tagged = request.install.iter().map(|s| &s.dependency).chain(&installed.world);
    let tags = tagged.filter_map(|d| d.tag.clone()).collect();
    let mut rounds = 0;
    loop {
        let stage = |name| ground.observer.event(Event::Stage { name, items: None });
        stage("resolving");
        let offers = Offers { catalogue: &catalogue, needs: &state.needs, tags: &tags, rules: &rules, native };
        let problem = Problem { installed, host: &host, candidates: &offers, request, learnt: &state.learnt };
        let solution = xpkg_resolver::solve(&problem).map_err(Box::new)?;
        let mut plan = xpkg_resolver::plan(&problem, &solution);
        crate::layer::move_in(&mut plan, &moving, asked);
        let before = state.learnt.len() + state.needs.values().map(Vec::len).sum::<usize>();
        gather(ground, &catalogue, &plan, depth, &mut state)?;
        let mut verdicts = Vec::new();
        let learnt = |state: &Learning| state.learnt.len() + state.needs.values().map(Vec::len).sum::<usize>();
        if learnt(&state) == before {
            stage("checking");
            let adaptations = crate::adapt::adapt(ground, &plan, installed, &rules, &state)?;
            verdicts = checker.check(&plan, &adaptations, &mut state)?;
            *wants_layer |= state.wants_layer;
            let provider = crate::provider::generate(ground, &host, installed, libraries, &plan)?;
            if learnt(&state) == before && depth == Depth::Fetch {
                stage("comparing files");
                let compared = clashes(ground, request, &plan, provider.as_ref(), &adaptations, &mut state);
                *wants_layer |= state.wants_layer;
                compared?;
            }
            if learnt(&state) == before {
                let plan = complete(ground, &catalogue, plan)?;
                let automatic = |key: &&(Ecosystem, String)| everything.get(key.0, &key.1).is_some_and(|p| !p.explicit);
                let now_explicit = solution.now_explicit().to_vec();
                let (passed_over, incomplete) = passed_over(request, installed, &state.learnt);
                return Ok(Prepared {
                    chosen: now_explicit.iter().filter(automatic).cloned().collect(),
                    now_explicit,
                    plan,
                    provider,
                    adaptations,
                    verdicts,
                    incomplete,
                    notes: passed_over.into_iter().chain(state.notes).collect(),
                    source_names: ground.sources.iter().map(|s| s.name.clone()).collect(),
                    cached: state.cached,
                    downloaded: state.downloaded,
                    fetched: state.fetched,
                });
            }
        }
        rounds += 1;
        for fact in state.learnt.iter().skip(before.min(state.learnt.len())) {
            ground.observer.event(Event::Detail(format!("round {rounds} taught: {fact:?}")));
        }
        if rounds == MAX_ROUNDS {
            let last = verdicts.iter().flat_map(|v| &v.findings).next_back().map(|f| f.detail.clone());
            return Err(Error::TooManyRounds { rounds, last: last.unwrap_or_else(|| "nothing settled".into()) });
        }
    }
}

/// What the rounds have found so far.
#[derive(Default)]
pub(crate) struct Learning {
    pub(crate) learnt: Learnt,
    pub(crate) needs: ProvenNeeds,
    pub(crate) facts: BTreeMap<PackageKey, Arc<PackageFacts>>,
    pub(crate) notes: Vec<String>,
    /// Where foreign packages go in this plan.
    pub(crate) placement: Placement,
    /// Something failed that a private layer might carry.
    pub(crate) wants_layer: bool,
    pub(crate) fetched: BTreeMap<PackageKey, Arc<FetchedPackage>>,
    cached: Vec<PackageKey>,
    downloaded: u64,
}

impl Learning {
    pub(crate) fn learn(&mut self, fact: Fact) {
        if !self.learnt.contains(&fact) {
            self.learnt.push(fact);
        }
    }
}

/// A world that is named but has no source is the commonest first mistake: say so instead of "not found".
fn require_sources(ground: &Ground<'_>, request: &Request, catalogue: &Catalogue) -> Result<(), Error> {
    for spec in &request.install {
        let Some(ecosystem) = spec.ecosystem else { continue };
        let of_world = |s: &&Source| s.ecosystem == ecosystem;
        let known = ground.sources.iter().filter(of_world).count();
        if known == 0 {
            return Err(Error::NoSource { ecosystem, fitting: crate::sources::fitting_release(ground, ecosystem) });
        }
        if known == catalogue.missing().filter(of_world).count() {
            return Err(Error::NeverUpdated);
        }
    }
    let wants_source = !request.install.is_empty() || request.upgrade != Upgrade::None;
    if wants_source && !ground.sources.is_empty() && ground.sources.len() == catalogue.missing().count() {
        return Err(Error::NeverUpdated);
    }
    Ok(())
}

/// OpenWrt's database does not say which sonames a package gives; its files do.
pub(crate) fn prove_native_libraries(installed: &mut Installed, libraries: &[Library], native: Ecosystem) {
    for library in libraries {
        let Some(owner) = &library.owner else { continue };
        let package = installed.packages.iter_mut().find(|p| {
            let registered = p.registered_as.as_deref().unwrap_or(&p.package.name);
            registered == owner && p.package.ecosystem == native
        });
        let provide = library.provide();
        if let Some(package) = package
            && !package.package.provides.iter().any(|p| p.name == provide.name)
        {
            Arc::make_mut(&mut package.package).provides.push(provide);
        }
    }
}

/// Fetches what the plan brings (or reads what is known of it) and learns what its files give.
fn gather(
    ground: &Ground<'_>,
    catalogue: &Catalogue,
    plan: &Plan,
    depth: Depth,
    state: &mut Learning,
) -> Result<(), Error> {
    let coming: Vec<&Package> = plan
        .incoming()
        .map(|s| s.package.as_ref())
        .filter(|p| !state.fetched.contains_key(&p.key()) && p.source.is_some())
        .collect();
    if depth == Depth::Fetch && !coming.is_empty() {
        let missing = |p: &&&Package| p.identity.is_some_and(|id| !ground.cache.package_path(&id).exists());
        state.downloaded += coming.iter().filter(missing).map(|p| p.size).sum::<u64>();
        let results = xpkg_repos::fetch(&coming, catalogue, ground.cache, ground.transport, ground.observer, PARALLEL);
        for (key, result) in results {
            match result {
                Ok(package) => {
                    state.facts.insert(key.clone(), Arc::new(package.facts(ground.cache)?));
                    state.cached.push(key.clone());
                    state.fetched.insert(key, Arc::new(package));
                }
                // A package that is not what its index promised ends the run: somebody should know.
                Err(error) if error.is_trust() || !is_absence(&error) => return Err(error.into()),
                Err(error) => state.learn(Fact::Unavailable { package: key, why: error.to_string() }),
            }
        }
    } else {
        for package in coming {
            let Some(identity) = &package.identity else { continue };
            if state.facts.contains_key(&package.key()) {
                continue;
            }
            if let Some(facts) = xpkg_repos::facts::facts(ground.cache, identity)? {
                state.facts.insert(package.key(), Arc::new(facts));
            }
            if ground.cache.package_path(identity).exists() {
                state.cached.push(package.key());
            }
        }
    }
    for step in plan.incoming().filter(|s| s.package.ecosystem == Ecosystem::Openwrt) {
        let key = step.package.key();
        let known = state.learnt.iter().any(|f| matches!(f, Fact::Provides { package, .. } if *package == key));
        if let Some(facts) = state.facts.get(&key).filter(|_| !known) {
            let provides = provides_of(facts, &step.package);
            state.learn(Fact::Provides { package: key, provides });
        }
    }
    Ok(())
}

/// The native database also wants what the resolver never asked for: descriptions, licences, build times; and a person the
/// size of what goes, where the native database does not keep it.
fn complete(ground: &Ground<'_>, catalogue: &Catalogue, mut plan: Plan) -> Result<Plan, Error> {
    for step in &mut plan.steps {
        let gone = if step.action == Action::Remove { Some(&mut step.package) } else { step.old.as_mut() };
        if let Some(gone) = gone.filter(|p| p.installed_size == 0 && p.ecosystem == ground.system.native) {
            let size = xpkg_install::installed::declared_size(ground.root, gone.ecosystem, &gone.name)?;
            Arc::make_mut(gone).installed_size = size;
        }
    }
    for step in plan.steps.iter_mut().filter(|s| s.action != Action::Remove && s.package.source.is_some()) {
        catalogue.complete(Arc::make_mut(&mut step.package))?;
    }
    Ok(plan)
}

fn is_absence(error: &xpkg_repos::Error) -> bool {
    use xpkg_repos::Error as E;
    matches!(error, E::NotFound { .. } | E::Status { .. } | E::Network { .. } | E::NoNetwork { .. })
}

/// The `so:` and `cmd:` names that a package's files give.
fn provides_of(facts: &PackageFacts, package: &Package) -> Vec<Provide> {
    let version = if xpkg_model::version::is_valid_apk(&package.version) { package.version.as_str() } else { "0" };
    let mut provides = Vec::new();
    for (soname, version_from_name) in abi::sonames(facts) {
        provides
            .push(Provide::versioned(format!("so:{soname}"), version_from_name.unwrap_or_else(|| version.to_owned())));
    }
    for name in abi::commands(facts) {
        provides.push(Provide::versioned(format!("cmd:{name}"), version));
    }
    provides
}

/// The verdict that covers everything the plan brings; what was not read is `unchecked`.
pub(crate) fn grade(findings: Vec<Finding>, subject: String, key: Option<PackageKey>) -> PackageVerdict {
    PackageVerdict { verdict: Verdict::of(&findings), subject, key, findings }
}

/// Whether a finding keeps a package away.
pub(crate) fn refuses(finding: &Finding) -> bool {
    finding.severity != Severity::Warning
}
