//! Asks the ABI check about a plan, and grades what comes.
//!
//! - [`learn`]: failures become facts for the next solve
//! - [`plugins`]: files that known programs open at run time
//! - [`payload`]: what a package's files are on the root, and which names they give

mod learn;
mod payload;
mod plugins;

use std::collections::BTreeMap;
use std::sync::Arc;

use xpkg_model::adaptation::{Adaptations, Placement};
use xpkg_model::installed::Installed;
use xpkg_model::verdict::Severity;
use xpkg_model::{Ecosystem, ElfFacts, PackageKey, Plan, RelPath, Step};
use xpkg_resolver::abi::{Gone, Loader, Owner, Report, Subject, check_all, reverse_check, touched};

use crate::error::Error;
use crate::libraries::Library;
use crate::prepare::{Ground, Learning, PackageVerdict, grade, refuses};
use crate::prospect::Prospect;
use crate::space::{Space, coming_loader, layer_loader, loader, subjects};

use learn::words;
pub(crate) use payload::{bring, commands, sonames};

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
            bring(&mut prospect, facts, &step.package.scoped(), adaptations.get(&key))
                .map_err(Error::io("reading the root"))?;
            keys.insert(step.package.scoped(), key);
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
        let worlds = Ecosystem::ALL.into_iter().filter(|e| *e != self.ground.system.native);
        let layers: Vec<Ecosystem> = worlds.filter(|_| state.placement == Placement::Layer).collect();
        let guest = |subject: &Subject| {
            let path = RelPath::from_absolute(subject.path.as_bytes()).ok()?;
            let owner = prospect.brought(&path).map(|c| c.owner.as_str())?;
            layers.iter().copied().find(|world| owner.starts_with(&format!("{world}:")))
        };
        let (inside, checked): (Vec<Subject>, Vec<Subject>) = checked.into_iter().partition(|s| guest(s).is_some());
        let (mut report, checked) = plugins::check(&space, checked)?;
        report.absorb(check_all(&space, &checked));
        for world in layers.iter().copied() {
            let inside: Vec<Subject> = inside.iter().filter(|s| guest(s) == Some(world)).cloned().collect();
            if inside.is_empty() {
                continue;
            }
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

    fn grade(&self, plan: &Plan, prospect: &Prospect<'_>, report: &Report, state: &Learning) -> Vec<PackageVerdict> {
        let mut verdicts = Vec::new();
        for step in plan.incoming() {
            let key = step.package.key();
            if !state.facts.contains_key(&key) {
                continue;
            }
            let name = step.package.scoped();
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
