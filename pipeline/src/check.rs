//! `check`: the verdict on what is on a root, or on a package that is not there yet.

use std::collections::{BTreeMap, BTreeSet};

use xpkg_model::elf::Kind;
use xpkg_model::root::{NodeKind, RootView};
use xpkg_model::{Ecosystem, ElfFacts, RelPath, Spec};
use xpkg_resolver::Request;
use xpkg_resolver::abi::{Checker, Report, Subject};

use crate::error::Error;
use crate::prepare::{Depth, PackageVerdict, grade};
use crate::prospect::Prospect;
use crate::session::Session;
use crate::space::{Space, layer_loader, loader};

/// Directories that hold programs and libraries.
const DIRS: [&str; 11] = [
    "bin",
    "sbin",
    "lib",
    "usr/bin",
    "usr/sbin",
    "usr/lib",
    "usr/libexec",
    "usr/local/bin",
    "usr/local/sbin",
    "usr/local/lib",
    "opt",
];
/// Most files looked at; a full desktop has fewer.
const MAX_FILES: usize = 200_000;
/// How deep below those directories.
const MAX_DEPTH: usize = 12;

impl Session {
    /// Checks packages (installed or offered), paths, or with no target the whole root.
    pub fn check(&mut self, targets: &[String]) -> Result<Vec<PackageVerdict>, Error> {
        let mut verdicts = Vec::new();
        let mut paths = Vec::new();
        let mut named = BTreeSet::new();
        for target in targets {
            if target.starts_with('/') {
                let path = RelPath::from_absolute(target).map_err(|e| Error::NotPossible(e.to_string()))?;
                let real = self.root.real_path(&path, true).map_err(Error::io(format!("reading {target}")))?;
                if self.root.node(&real).map_err(Error::io(format!("reading {target}")))?.is_none() {
                    return Err(Error::NoSuch { what: "file", name: target.clone() });
                }
                named.insert(real.clone());
                paths.push(real);
                continue;
            }
            let spec: Spec = target
                .parse()
                .map_err(|e: xpkg_model::dependency::DependencyError| Error::NotPossible(e.to_string()))?;
            match self.files(&spec) {
                Ok(files) => paths.extend(files),
                Err(Error::NotInstalled(_)) => {
                    let request = Request { install: vec![spec], ..Request::default() };
                    verdicts.extend(self.prepare(&request, Depth::Fetch)?.verdicts().iter().cloned());
                }
                Err(error) => return Err(error),
            }
        }
        if targets.is_empty() {
            paths = elf_paths(&self.root)?;
        }
        verdicts.extend(self.check_paths(&paths, &named)?);
        Ok(verdicts)
    }

    /// `named`: files that were asked for by their paths, each judged on its own.
    fn check_paths(&self, paths: &[RelPath], named: &BTreeSet<RelPath>) -> Result<Vec<PackageVerdict>, Error> {
        let libraries = crate::libraries::scan(&self.root, &self.cache)?;
        let prospect = Prospect::new(&self.root);
        let (keys, owners) = (BTreeMap::new(), BTreeMap::new());
        let space = Space {
            prospect: &prospect,
            search: crate::libraries::search_path(&self.root)?,
            loader: loader(&self.root, &self.system, &libraries, self.relr_probe)?,
            keys: &keys,
            owners: &owners,
        };
        let checker = Checker::new(&space);
        let mut layers = BTreeMap::new();
        for world in Ecosystem::ALL {
            let loader = layer_loader(&prospect, world, &|_| None)?;
            let search = xpkg_shims::layer::search_path(world);
            layers.insert(world, Space { prospect: &prospect, search, loader, keys: &keys, owners: &owners });
        }
        let layers: BTreeMap<Ecosystem, Checker<'_>> = layers.iter().map(|(w, s)| (*w, Checker::new(s))).collect();
        let fitting = |path: &RelPath, facts: &ElfFacts| {
            layer_of(path, facts).and_then(|world| layers.get(&world)).unwrap_or(&checker)
        };
        let opened = xpkg_shims::plugins::opened(&self.root).map_err(Error::io("reading the root"))?;
        let mut verdicts = Vec::new();
        let mut loaded = BTreeSet::new();
        let mut libraries = Vec::new();
        for path in paths {
            let Some(outline) = crate::libraries::outline(&self.root, path)? else { continue };
            match outline.kind {
                Kind::Program if outline.is_dynamic() => {
                    let Some(subject) = self.subject(path)? else { continue };
                    let report = fitting(path, &subject.facts).check(&subject);
                    loaded.extend(report.objects);
                    verdicts.push(grade(report.findings, path.to_string(), None));
                }
                Kind::Library => libraries.push(path),
                Kind::Program | Kind::Other => {}
            }
        }
        for path in libraries {
            // What a program loads was judged in that program.
            if (!loaded.contains(&path.to_string()) || named.contains(path))
                && let Some(subject) = self.subject(path)?
            {
                let checker = fitting(path, &subject.facts);
                let program = match opened.get(path) {
                    Some(program) => self.subject(program)?,
                    None => None,
                };
                // Asked for by its path, a plugin is also judged alone, as the loader does when it is given the file.
                let alone = program.is_none() || named.contains(path);
                let mut report = if alone { checker.check(&subject) } else { Report::default() };
                if let Some(program) = program {
                    report.absorb(checker.check_plugin(&subject, &program));
                }
                verdicts.push(grade(report.findings, subject.path, None));
            }
        }
        Ok(verdicts)
    }

    /// A file with its names, read when its turn comes: those of all files at once would fill a router's memory.
    fn subject(&self, path: &RelPath) -> Result<Option<Subject>, Error> {
        let Some(facts) = crate::libraries::facts(&self.root, path)? else { return Ok(None) };
        let mode = self.root.node(path).map_err(Error::io(format!("reading {path}")))?.map(|n| n.mode);
        Ok(Some(Subject { mode, ..Subject::new(path.to_string(), facts) }))
    }
}

/// The layer in which a file runs: where it lies there, or is started by its loader.
pub(crate) fn layer_of(path: &RelPath, facts: &ElfFacts) -> Option<Ecosystem> {
    let interpreter = facts.interpreter.as_deref().and_then(|text| RelPath::from_absolute(text).ok());
    xpkg_shims::layer::of(path).or_else(|| interpreter.as_ref().and_then(xpkg_shims::layer::of))
}

/// Regular files in the directories that hold programs and libraries. Links are not followed.
pub(crate) fn elf_paths(root: &dyn RootView) -> Result<Vec<RelPath>, Error> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    let mut todo: Vec<(RelPath, usize)> = Vec::new();
    for dir in DIRS {
        let dir = RelPath::literal(dir);
        todo.push((root.real_path(&dir, true).map_err(Error::io(format!("reading {dir}")))?, 0));
    }
    while let Some((dir, depth)) = todo.pop() {
        if !seen.insert(dir.clone()) || depth > MAX_DEPTH || dir.as_bytes() == b"lib/modules" {
            continue; // kernel modules are no matter of the loader
        }
        for name in root.list(&dir).map_err(Error::io(format!("listing {dir}")))? {
            let Ok(path) = dir.join(&name) else { continue };
            match root.node(&path).map_err(Error::io(format!("reading {path}")))?.map(|n| n.kind) {
                Some(NodeKind::Dir) => todo.push((path, depth + 1)),
                Some(NodeKind::File) if found.len() < MAX_FILES => found.push(path),
                _ => {}
            }
        }
    }
    found.sort();
    Ok(found)
}
