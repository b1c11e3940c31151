//! What is done to each foreign package of a plan on its way: asks the translators of `shims` in turn and puts their answers
//! together. Reads the fetched files, writes nothing; what the answers mean is carried out by `install`.
//!
//! A translator is one function `fn translate(&Foreign) -> Adaptation` and one line in [`translate`]. It sees the scripts as
//! those before it left them, and gives whole scripts that take their place.

use std::cell::OnceCell;
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
        let foreign = Foreign {
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
        };
        let adaptation = translate(&foreign).map_err(|why| Error::NotPossible(format!("{key}: {why}")))?;
        if !adaptation.is_nothing() {
            adaptations.insert(key, adaptation);
        }
    }
    Ok(adaptations)
}

/// Every translator in turn.
fn translate(foreign: &Foreign<'_>) -> Result<Adaptation, String> {
    // Accounts are read from scripts as the package has them: before services compose others.
    let translators: [fn(&Foreign<'_>) -> Adaptation; 7] = [
        xpkg_shims::layer::translate,
        xpkg_shims::environment::translate,
        xpkg_shims::accounts::translate,
        xpkg_shims::alternatives::translate,
        xpkg_shims::rules::translate,
        xpkg_shims::scripts::translate,
        xpkg_shims::services::translate,
    ];
    let mut whole = Adaptation::default();
    let mut scripts: Scripts = foreign.scripts.clone();
    for translate in translators {
        let answer = translate(&Foreign { scripts: &scripts, ..*foreign });
        scripts.extend(answer.scripts.iter().map(|(kind, text)| (*kind, text.clone())));
        scripts.retain(|_, text| !text.is_empty());
        whole.merge(answer)?;
    }
    Ok(whole)
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

/// What translators ask of a package's payload: read in one pass when the first of them asks.
struct Contents<'a> {
    package: &'a FetchedPackage,
    first: OnceCell<Option<FirstPass>>,
}

#[derive(Default)]
struct FirstPass {
    /// Small files below `/etc`, where configuration and services lie.
    files: BTreeMap<RelPath, Vec<u8>>,
    /// Owner and group of directories below `/var` and `/run`, the only ones that anybody asks for.
    owners: BTreeMap<RelPath, (String, String)>,
    /// There was no room for all of the files.
    full: bool,
}

impl<'a> Contents<'a> {
    fn new(package: &'a FetchedPackage) -> Self {
        Self { package, first: OnceCell::new() }
    }

    fn read(&self, path: &RelPath) -> Option<Vec<u8>> {
        if path.starts_with(&RelPath::literal("etc")) {
            let first = self.first()?;
            let found = first.files.get(path);
            if found.is_some() || !first.full {
                return found.cloned();
            }
        }
        // Anything else is rare, and costs a pass of its own.
        let mut found = FirstPass::default();
        self.pass(&mut found, &|at| at == path)?;
        found.files.remove(path)
    }

    fn owner(&self, path: &RelPath) -> Option<(String, String)> {
        self.first()?.owners.get(path).cloned()
    }

    fn first(&self) -> Option<&FirstPass> {
        let etc = RelPath::literal("etc");
        let read = || {
            let mut first = FirstPass::default();
            self.pass(&mut first, &|at| at.starts_with(&etc)).map(|()| first)
        };
        self.first.get_or_init(read).as_ref()
    }

    fn pass(&self, found: &mut FirstPass, wants: &dyn Fn(&RelPath) -> bool) -> Option<()> {
        let dirs = ["var", "run"].map(RelPath::literal);
        let mut room = MAX_KEPT;
        let read = self.package.open().ok()?.read_payload(&mut |entry, content| {
            if entry.kind == EntryKind::Dir && dirs.iter().any(|dir| entry.path.starts_with(dir)) {
                found.owners.insert(entry.path.clone(), (entry.user.clone(), entry.group.clone()));
            }
            let small = entry.kind == EntryKind::File && entry.size <= MAX_CONTENT;
            let wanted = small && wants(&entry.path);
            found.full |= wanted && room == 0;
            if wanted && room > 0 {
                let mut bytes = Vec::new();
                content.take(MAX_CONTENT).read_to_end(&mut bytes)?;
                room = room.saturating_sub(bytes.len());
                found.files.insert(entry.path.clone(), bytes);
            }
            Ok(())
        });
        read.ok()
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
