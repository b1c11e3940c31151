//! What is done to each foreign package of a plan on its way: asks the translators of `shims` in turn and puts their answers
//! together. Reads the fetched files, writes nothing; what the answers mean is carried out by `install`.
//!
//! A translator is one function `fn translate(&Foreign) -> Adaptation` and one line in [`translate`]. It sees the scripts as
//! those before it left them, and gives whole scripts that take their place.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::Arc;

use xpkg_model::adaptation::{Adaptation, Adaptations, ElfPatch};
use xpkg_model::installed::Installed;
use xpkg_model::payload::{EntryKind, Scripts};
use xpkg_model::{Action, Ecosystem, ElfFacts, Plan, RelPath};
use xpkg_repos::facts::EntryType;
use xpkg_repos::{FetchedPackage, PackageFacts};
use xpkg_shims::foreign::MAX_CONTENT;
use xpkg_shims::{Delivered, Foreign, Rules};

use crate::error::Error;
use crate::prepare::{Ground, Learning};

/// Bytes of small files that are kept of one package while its translators run.
const MAX_KEPT: usize = 4 << 20;

/// The adaptations of a plan's foreign packages, as far as their files were read.
pub(crate) fn adapt(
    ground: &Ground<'_>,
    plan: &Plan,
    installed: &Installed,
    rules: &Rules,
    state: &Learning,
) -> Result<Adaptations, Error> {
    let mut adaptations = Adaptations::new();
    let native = ground.system.native;
    let probe = crate::host::probe(ground, installed, &[]);
    for step in plan.incoming().filter(|s| s.package.ecosystem != native) {
        let key = step.package.key();
        let (Some(facts), Some(fetched)) = (state.facts.get(&key), state.fetched.get(&key)) else { continue };
        let files = delivered(facts);
        let contents = Contents::new(fetched);
        let companion = |name: &str| stays(plan, installed, step.package.ecosystem, name);
        let opened = fetched.open()?;
        let meta = opened.meta();
        let told = Told {
            foreign: Foreign {
                package: &step.package,
                native,
                files: &files,
                scripts: &meta.scripts,
                control: &meta.control_files,
                placement: state.placement,
                probe: &probe,
                rules,
                contents: &|path| contents.read(path),
                owner: &|path| contents.owner(path),
                companion: &companion,
            },
        };
        let adaptation = told.translate().map_err(|why| Error::NotPossible(format!("{key}: {why}")))?;
        if !adaptation.is_nothing() {
            adaptations.insert(key, adaptation);
        }
    }
    Ok(adaptations)
}

struct Told<'a> {
    foreign: Foreign<'a>,
}

impl Told<'_> {
    /// Every translator in turn.
    fn translate(&self) -> Result<Adaptation, String> {
        // Accounts are read from scripts as the package has them: before services compose others.
        let translators: [fn(&Foreign<'_>) -> Adaptation; 6] = [
            xpkg_shims::layer::translate,
            xpkg_shims::environment::translate,
            xpkg_shims::accounts::translate,
            xpkg_shims::alternatives::translate,
            xpkg_shims::rules::translate,
            xpkg_shims::services::translate,
        ];
        let mut whole = Adaptation::default();
        let mut scripts: Scripts = self.foreign.scripts.clone();
        for translate in translators {
            let answer = translate(&Foreign { scripts: &scripts, ..self.foreign });
            scripts.extend(answer.scripts.iter().map(|(kind, text)| (*kind, text.clone())));
            scripts.retain(|_, text| !text.is_empty());
            whole.merge(answer)?;
        }
        Ok(whole)
    }
}

/// Whether a package is on the root once the plan is done.
fn stays(plan: &Plan, installed: &Installed, ecosystem: Ecosystem, name: &str) -> bool {
    let of = |s: &&xpkg_model::Step| s.package.ecosystem == ecosystem && s.package.name == name;
    match plan.steps.iter().find(of) {
        Some(step) => step.action != Action::Remove,
        None => installed.get(ecosystem, name).is_some(),
    }
}

/// The payload as translators see it.
fn delivered(facts: &PackageFacts) -> Vec<Delivered> {
    let elf: BTreeMap<&str, &ElfFacts> = facts.files.iter().map(|f| (f.path.as_str(), &f.elf)).collect();
    let file = |entry: &xpkg_repos::EntryFact| {
        let path = RelPath::from_absolute(&entry.path).ok()?;
        let kind = match &entry.kind {
            EntryType::File => EntryKind::File,
            EntryType::Dir => EntryKind::Dir,
            EntryType::Symlink(text) => EntryKind::Symlink(text.clone().into_bytes()),
            EntryType::Hardlink(to) => EntryKind::Hardlink(RelPath::from_absolute(to).ok()?),
            EntryType::Special => EntryKind::Fifo,
        };
        let elf = elf.get(entry.path.as_str()).map(|facts| Arc::new((*facts).clone()));
        Some(Delivered { path, kind, mode: entry.mode, size: entry.size, elf })
    };
    facts.entries.iter().filter_map(file).collect()
}

/// Small files of a package, read in one pass when the first is asked for.
struct Contents<'a> {
    package: &'a FetchedPackage,
    kept: RefCell<Option<BTreeMap<RelPath, Vec<u8>>>>,
    owners: RefCell<Option<BTreeMap<RelPath, (String, String)>>>,
}

impl<'a> Contents<'a> {
    fn new(package: &'a FetchedPackage) -> Self {
        Self { package, kept: RefCell::default(), owners: RefCell::default() }
    }

    fn read(&self, path: &RelPath) -> Option<Vec<u8>> {
        if let Some(kept) = &*self.kept.borrow()
            && let Some(found) = kept.get(path)
        {
            return Some(found.clone());
        }
        let first = self.kept.borrow().is_none();
        // Configuration and services lie below /etc; anything else is rare, and costs a pass of its own.
        let etc = RelPath::literal("etc");
        let found = self.pass(&|at| at == path || first && at.starts_with(&etc))?;
        let wanted = found.get(path).cloned();
        if first {
            self.kept.replace(Some(found));
        }
        wanted
    }

    /// Owner and group of a directory below `/var` or `/run`, the only ones that anybody asks for.
    fn owner(&self, path: &RelPath) -> Option<(String, String)> {
        let mut owners = self.owners.borrow_mut();
        if owners.is_none() {
            let dirs = ["var", "run"].map(RelPath::literal);
            let mut found = BTreeMap::new();
            self.package
                .open()
                .ok()?
                .read_payload(&mut |entry, _| {
                    if entry.kind == EntryKind::Dir && dirs.iter().any(|dir| entry.path.starts_with(dir)) {
                        found.insert(entry.path.clone(), (entry.user.clone(), entry.group.clone()));
                    }
                    Ok(())
                })
                .ok()?;
            *owners = Some(found);
        }
        owners.as_ref()?.get(path).cloned()
    }

    fn pass(&self, wants: &dyn Fn(&RelPath) -> bool) -> Option<BTreeMap<RelPath, Vec<u8>>> {
        let mut kept = BTreeMap::new();
        let mut room = MAX_KEPT;
        let read = self.package.open().ok()?.read_payload(&mut |entry, content| {
            let small = entry.kind == EntryKind::File && entry.size <= MAX_CONTENT;
            if small && wants(&entry.path) && room > 0 {
                let mut bytes = Vec::new();
                content.take(MAX_CONTENT).read_to_end(&mut bytes)?;
                room = room.saturating_sub(bytes.len());
                kept.insert(entry.path.clone(), bytes);
            }
            Ok(())
        });
        read.ok().map(|()| kept)
    }
}

/// What a program's headers say once they are rewritten.
pub(crate) fn patched(facts: Arc<ElfFacts>, patch: Option<&ElfPatch>) -> Arc<ElfFacts> {
    let Some(patch) = patch else { return facts };
    let mut facts = Arc::unwrap_or_clone(facts);
    if patch.interpreter.is_some() {
        facts.interpreter.clone_from(&patch.interpreter);
    }
    if patch.runpath.is_some() {
        (facts.rpath, facts.runpath) = (None, patch.runpath.clone());
    }
    Arc::new(facts)
}
