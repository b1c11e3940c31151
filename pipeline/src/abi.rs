//! Asks the ABI check about a plan, and turns its failures into facts for the next solve.

use std::collections::BTreeMap;
use std::sync::Arc;

use xpkg_model::adaptation::{Adaptation, Adaptations, Placement};
use xpkg_model::elf::Kind;
use xpkg_model::installed::Installed;
use xpkg_model::learnt::Fact;
use xpkg_model::root::NodeKind;
use xpkg_model::verdict::{Finding, Severity};
use xpkg_model::{Ecosystem, ElfFacts, Package, PackageKey, Plan, RelPath, Step};
use xpkg_repos::facts::EntryType;
use xpkg_repos::{EntryFact, PackageFacts};
use xpkg_resolver::abi::{
    Failure, FailureKind, Gone, Loader, Owner, Report, Subject, check_all, reverse_check, touched,
};

use crate::error::Error;
use crate::libraries::Library;
use crate::offers::ProvenNeeds;
use crate::prepare::{Ground, Learning, PackageVerdict, grade, refuses};
use crate::prospect::{Coming, Prospect};
use crate::space::{Space, coming_loader, layer_loader, loader, subjects};

/// Names of missing symbols that one explanation lists.
const NAMED: usize = 4;

/// What is known of the root's programs and libraries, once per run.
pub(crate) struct RootAbi<'a> {
    ground: &'a Ground<'a>,
    installed: &'a Installed,
    search: Vec<String>,
    loader: Loader,
    libraries: &'a [Library],
}

impl<'a> RootAbi<'a> {
    pub(crate) fn new(
        ground: &'a Ground<'a>,
        libraries: &'a [Library],
        installed: &'a Installed,
    ) -> Result<Self, Error> {
        Ok(Self {
            ground,
            installed,
            search: crate::libraries::search_path(ground.root)?,
            loader: loader(ground.root, ground.system, libraries, ground.relr_probe)?,
            libraries,
        })
    }

    /// Verdicts on everything that comes and was read; failures become facts.
    pub(crate) fn check(
        &self,
        plan: &Plan,
        adaptations: &Adaptations,
        state: &mut Learning,
    ) -> Result<Vec<PackageVerdict>, Error> {
        let mut prospect = Prospect::new(self.ground.root);
        let mut keys = BTreeMap::new();
        let mut complete = true;
        for step in plan.incoming() {
            let key = step.package.key();
            let Some(facts) = state.facts.get(&key) else {
                complete = false;
                continue;
            };
            bring(&mut prospect, facts, &scoped(&step.package), adaptations.get(&key))
                .map_err(Error::io("reading the root"))?;
            keys.insert(scoped(&step.package), key);
        }
        let gone = self.take_old(&mut prospect, plan)?;
        let owners = self.owners();
        let version_of = |owner: &str| keys.get(owner).map(|key: &PackageKey| key.version.clone());
        let coming = coming_loader(&prospect, self.ground.system, &version_of)?;
        let space = Space {
            prospect: &prospect,
            search: self.search.clone(),
            loader: coming.unwrap_or_else(|| self.loader.clone()),
            keys: &keys,
            owners: &owners,
        };
        let checked: Vec<Subject> = subjects(&prospect)
            .map(|(path, facts, mode, _)| Subject {
                mode: Some(mode),
                ..Subject::new(path.to_string(), Arc::clone(facts))
            })
            .collect();
        let world = Ecosystem::ALL.into_iter().find(|e| *e != self.ground.system.native);
        let layer = world.filter(|_| state.placement == Placement::Layer);
        let guest = |subject: &Subject| {
            let path = RelPath::from_absolute(subject.path.as_bytes()).ok()?;
            let owner = prospect.brought(&path).map(|c| c.owner.as_str())?;
            layer.filter(|world| owner.starts_with(&format!("{world}:")))
        };
        let (inside, checked): (Vec<Subject>, Vec<Subject>) = checked.into_iter().partition(|s| guest(s).is_some());
        let mut report = check_all(&space, &checked);
        if let Some(world) = layer {
            let loader = layer_loader(&prospect, world, &version_of)?;
            let search = xpkg_shims::layer::search_path(world);
            let within = Space { prospect: &prospect, search, loader, keys: &keys, owners: &owners };
            report.absorb(check_all(&within, &inside));
        }
        // A library that is still to be fetched is not missing; what was not read is not judged.
        if complete {
            let known = state.needs.clone();
            for failure in &report.failures {
                // Where no library is at fault, what was found about the file itself says why.
                let own = report.findings.iter().find(|f| refuses(f) && f.file == failure.consumer_file);
                let why = match (failure.capability(), own) {
                    (None, Some(own)) => format!("{} {}", own.file, own.detail),
                    _ => words(failure),
                };
                self.learn(failure, why, &keys, &known, state);
            }
            if !gone.is_empty() {
                let before = Prospect::new(self.ground.root);
                let none = BTreeMap::new();
                let was = Space {
                    prospect: &before,
                    search: self.search.clone(),
                    loader: self.loader.clone(),
                    keys: &none,
                    owners: &owners,
                };
                let remaining = self.remaining(&prospect, &gone)?;
                let broken = reverse_check(&was, &space, &remaining, &gone);
                self.learn_broken(&broken, plan, state)?;
            }
        }
        Ok(self.grade(plan, &prospect, &report, state))
    }

    /// Takes away the files of what goes or is replaced; gives back the libraries among them.
    fn take_old(&self, prospect: &mut Prospect<'_>, plan: &Plan) -> Result<Vec<Gone>, Error> {
        let old: Vec<&str> = plan.steps.iter().filter_map(|s| old_name(s, self.installed)).collect();
        if old.is_empty() {
            return Ok(Vec::new());
        }
        let mut paths = Vec::new();
        crate::claims::visit(self.ground.root, &mut |claim| {
            if !claim.is_dir
                && old.contains(&claim.package)
                && let Ok(path) = RelPath::from_package(claim.path)
            {
                paths.push(path);
            }
        })?;
        let mut gone = Vec::new();
        for path in paths {
            if is_library_name(&path) {
                let facts = crate::libraries::outline(self.ground.root, &path)?;
                gone.push(Gone { path: path.to_string(), soname: facts.and_then(|f| f.soname.clone()) });
            }
            prospect.take(path).map_err(Error::io("reading the root"))?;
        }
        Ok(gone)
    }

    fn owners(&self) -> BTreeMap<RelPath, Owner> {
        let mut owners = BTreeMap::new();
        for library in self.libraries {
            let Some(name) = &library.owner else { continue };
            let known =
                self.installed.packages.iter().find(|p| p.registered_as.as_deref().unwrap_or(&p.package.name) == name);
            let owner = known.map_or_else(|| Owner::Native(name.clone()), |p| Owner::Package(p.package.key()));
            owners.insert(library.file.clone(), owner);
        }
        owners
    }

    /// ELF files of the root that neither come nor go, and need something that goes. Only their names are read: those of
    /// a whole root would fill the memory of a router.
    fn remaining(&self, prospect: &Prospect<'_>, gone: &[Gone]) -> Result<Vec<(String, Arc<ElfFacts>)>, Error> {
        let mut outlines = Vec::new();
        for path in crate::check::elf_paths(self.ground.root)? {
            if prospect.brought(&path).is_some() || prospect.goes(&path) {
                continue;
            }
            if let Some(facts) = crate::libraries::outline(self.ground.root, &path)? {
                outlines.push((path.to_string(), facts));
            }
        }
        let mut remaining = Vec::new();
        for (path, _) in touched(&outlines, gone) {
            let Ok(file) = RelPath::from_absolute(path.as_bytes()) else { continue };
            if let Some((_, facts)) = prospect.elf(&file).map_err(Error::io(format!("reading {path}")))? {
                remaining.push((path.clone(), facts));
            }
        }
        Ok(remaining)
    }

    /// `known`: the needs that earlier rounds have taught already, and that nothing has met.
    fn learn(
        &self,
        failure: &Failure,
        why: String,
        keys: &BTreeMap<String, PackageKey>,
        known: &ProvenNeeds,
        state: &mut Learning,
    ) {
        let consumer = match &failure.consumer {
            Some(Owner::Package(key)) if keys.values().any(|k| k == key) => key.clone(),
            _ => return, // what was there before is the reverse check's matter
        };
        if consumer.ecosystem != self.ground.system.native {
            state.wants_layer = true;
        } else {
            return; // the native side's own packages are its own promise; findings are shown as warnings
        }
        let Some(capability) = failure.capability() else {
            return state.learn(Fact::Impossible { package: consumer, why });
        };
        if failure.kind == FailureKind::MissingLibrary {
            // Its files need what its index does not mention: let the solver look for it, once.
            if known.get(&consumer).is_some_and(|needs| needs.contains(&capability)) {
                return state.learn(Fact::Impossible { package: consumer, why });
            }
            let needs = state.needs.entry(consumer).or_default();
            if !needs.contains(&capability) {
                needs.push(capability);
            }
            return;
        }
        state.learn(match &failure.provider {
            Some(Owner::Package(provider)) => {
                Fact::Unfit { provider: provider.clone(), capability, consumer: Some(consumer), why }
            }
            Some(Owner::Native(_)) | None => Fact::HostUnfit { capability, consumer, why },
        });
    }

    /// What would lose a library or a name. A package that comes is at fault; a removal that was asked for is refused.
    fn learn_broken(&self, broken: &Report, plan: &Plan, state: &mut Learning) -> Result<(), Error> {
        let serious: Vec<&Finding> = broken.findings.iter().filter(|f| refuses(f)).collect();
        let Some(first) = serious.first() else { return Ok(()) };
        let why = format!("{} would no longer run: {}", first.file, first.detail);
        let foreign = plan.incoming().find(|s| s.package.ecosystem != self.ground.system.native || s.old.is_some());
        match foreign {
            Some(step) => state.learn(Fact::Impossible { package: step.package.key(), why }),
            None => {
                let removed = plan.steps.first().map(|s| scoped(&s.package)).unwrap_or_default();
                let evidence = format!("\n  {why}");
                return Err(Error::Refused { package: removed, verdict: "something still needs it".into(), evidence });
            }
        }
        Ok(())
    }

    fn grade(&self, plan: &Plan, prospect: &Prospect<'_>, report: &Report, state: &Learning) -> Vec<PackageVerdict> {
        let mut verdicts = Vec::new();
        for step in plan.incoming() {
            let key = step.package.key();
            if !state.facts.contains_key(&key) {
                continue;
            }
            let name = scoped(&step.package);
            let native = step.package.ecosystem == self.ground.system.native;
            let findings = report
                .findings
                .iter()
                .filter(|f| {
                    RelPath::from_absolute(f.file.as_bytes())
                        .is_ok_and(|p| prospect.brought(&p).is_some_and(|c| c.owner == name))
                })
                .cloned()
                .map(|mut finding| {
                    if native {
                        finding.severity = Severity::Warning;
                    }
                    finding
                })
                .collect();
            verdicts.push(grade(findings, name, Some(key)));
        }
        verdicts
    }
}

/// `alpine:jq`
pub(crate) fn scoped(package: &Package) -> String {
    format!("{}:{}", package.ecosystem, package.name)
}

/// The native database's name of what a step takes away.
fn old_name<'i>(step: &'i Step, installed: &'i Installed) -> Option<&'i str> {
    let old = match step.action {
        xpkg_model::Action::Remove => &step.package,
        _ => step.old.as_ref()?,
    };
    let found = installed.get(old.ecosystem, &old.name)?;
    Some(found.registered_as.as_deref().unwrap_or(&found.package.name))
}

fn is_library_name(path: &RelPath) -> bool {
    path.file_name().windows(3).any(|w| w == b".so")
}

fn words(failure: &Failure) -> String {
    let names = failure.missing.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    let more = failure.missing_total.saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let from = failure.provider_file.as_deref().or(failure.soname.as_deref()).unwrap_or("any of its libraries");
    match failure.kind {
        FailureKind::MissingLibrary => {
            format!(
                "{} needs {}, which is not here",
                failure.consumer_file,
                failure.soname.as_deref().unwrap_or("a library")
            )
        }
        FailureKind::MissingSymbols => format!("{} needs {names}{more}, which {from} lacks", failure.consumer_file),
        FailureKind::CopySize => {
            format!("{} copies {names}{more} with another size than {from} has", failure.consumer_file)
        }
        FailureKind::Unusable => format!("{} cannot use {from}", failure.consumer_file),
    }
}

/// Lays a package's files over the prospect, where and as they land.
pub(crate) fn bring(
    prospect: &mut Prospect<'_>,
    facts: &PackageFacts,
    owner: &str,
    adaptation: Option<&Adaptation>,
) -> std::io::Result<()> {
    let elf: BTreeMap<&str, Arc<ElfFacts>> =
        facts.files.iter().map(|f| (f.path.as_str(), Arc::new(f.elf.clone()))).collect();
    for entry in &facts.entries {
        let Ok(path) = RelPath::from_absolute(&entry.path) else { continue };
        let kind = match &entry.kind {
            EntryType::File | EntryType::Hardlink(_) => NodeKind::File,
            EntryType::Dir => NodeKind::Dir,
            EntryType::Symlink(target) => NodeKind::Symlink(target.clone().into_bytes()),
            EntryType::Special => NodeKind::Fifo,
        };
        let coming =
            Coming { kind, mode: entry.mode, elf: elf.get(entry.path.as_str()).cloned(), owner: owner.to_owned() };
        match adaptation {
            None => prospect.bring(path, coming)?,
            Some(adaptation) => {
                let Some(at) = adaptation.lands(&path) else { continue };
                let elf = coming.elf.map(|elf| crate::adapt::patched(elf, adaptation.patched.get(&path)));
                prospect.bring(at, Coming { elf, ..coming })?;
            }
        }
    }
    Ok(())
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// Sonames that a package's libraries answer to, with the version in the file's name.
pub(crate) fn sonames(facts: &PackageFacts) -> Vec<(String, Option<String>)> {
    let library = |f: &&xpkg_repos::FileFact| {
        f.elf.kind == Kind::Library && matches!(split(&f.path).0, "/lib" | "/usr/lib" | "/usr/local/lib")
    };
    facts
        .files
        .iter()
        .filter(library)
        .filter_map(|f| {
            let name = split(&f.path).1;
            let soname = f.elf.soname.clone().or_else(|| name.contains(".so").then(|| name.to_owned()))?;
            let version = name.split_once(".so.").map(|(_, v)| v.to_owned());
            Some((soname, version.filter(|v| xpkg_model::version::is_valid_apk(v))))
        })
        .collect()
}

/// Commands that a package has.
pub(crate) fn commands(facts: &PackageFacts) -> Vec<String> {
    const DIRS: [&str; 4] = ["/bin", "/sbin", "/usr/bin", "/usr/sbin"];
    let runs = |e: &&EntryFact| match e.kind {
        EntryType::Symlink(_) => true,
        EntryType::File | EntryType::Hardlink(_) => e.mode & 0o111 != 0,
        _ => false,
    };
    facts
        .entries
        .iter()
        .filter(runs)
        .map(|e| split(&e.path))
        .filter(|(dir, name)| DIRS.contains(dir) && xpkg_model::dependency::valid_name(name))
        .map(|(_, name)| name.to_owned())
        .collect()
}
