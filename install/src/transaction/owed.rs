//! What follows the files: the scripts, triggers and hooks that a transaction owes once it is committed, known in full
//! before that, so that a journal can keep them. Runs nothing.

use std::collections::BTreeSet;

use xpkg_formats::apk::db::Trigger;
use xpkg_model::payload::ScriptKind;
use xpkg_model::plan::Step;
use xpkg_model::{Action, Package, RelPath};

use super::foreign::wanted;
use super::hooks::{self, When};
use super::stage::Work;
use super::survey::{Fate, Incoming};
use super::{ApplyInput, Receipt};
use crate::native::{Changes, Native, NativeOpkg};
use crate::scripts::{ScriptCall, arguments};
use crate::triggers::Changed;
use crate::{Result, Target};

/// Scripts in the order in which they run.
#[derive(Debug, Default)]
pub(super) struct Owed {
    /// Those of the steps, with the index of each step.
    pub steps: Vec<(usize, ScriptCall)>,
    /// Triggers, then hooks.
    pub last: Vec<ScriptCall>,
}

impl Owed {
    pub(super) fn calls(&self) -> impl Iterator<Item = &ScriptCall> {
        self.steps.iter().map(|(_, call)| call).chain(&self.last)
    }
}

/// Everything that runs after the files are in place.
pub(super) fn collect(
    target: &mut dyn Target,
    input: &ApplyInput<'_>,
    work: &Work<'_>,
    changes: &Changes,
    receipt: &mut Receipt,
) -> Result<Owed> {
    let mut owed = Owed::default();
    for (at, step) in input.plan.steps.iter().enumerate() {
        for mut call in of_step(target, input, work, step, Half::After)? {
            if wanted(target, input, work, step, &mut call, receipt, None)? {
                owed.steps.push((at, call));
            }
        }
    }
    owed.last = triggers(target, work, changes)?;
    owed.last.extend(hooks::calls(target, input, work, When::Post)?);
    Ok(owed)
}

/// Which half of a step's scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Half {
    /// Before the first file is in place.
    Before,
    /// After the last one is.
    After,
}

/// The scripts of one step, as its own manager would call them.
pub(super) fn of_step(
    target: &dyn Target,
    input: &ApplyInput<'_>,
    work: &Work<'_>,
    step: &Step,
    half: Half,
) -> Result<Vec<ScriptCall>> {
    let incoming = work.prepared.incoming.iter().find(|p| std::ptr::eq(p.step, step));
    match &work.prepared.native {
        Native::Opkg(opkg) if step.package.ecosystem == input.native => of_opkg(*opkg, target, step, incoming, half),
        native => Ok(of_apk(native, work, step, incoming, half).into_iter().collect()),
    }
}

fn of_apk(
    native: &Native,
    work: &Work<'_>,
    step: &Step,
    incoming: Option<&Incoming<'_>>,
    half: Half,
) -> Option<ScriptCall> {
    let prepared = &work.prepared;
    let kind = match (step.action, half) {
        (Action::Remove, Half::Before) => ScriptKind::PreDeinstall,
        (Action::Remove, Half::After) => ScriptKind::PostDeinstall,
        (Action::Install, Half::Before) => ScriptKind::PreInstall,
        (Action::Install, Half::After) => ScriptKind::PostInstall,
        (Action::Replace, Half::Before) => ScriptKind::PreUpgrade,
        (Action::Replace, Half::After) => ScriptKind::PostUpgrade,
    };
    let old = if step.action == Action::Remove { Some(&*step.package) } else { step.old.as_deref() };
    if step.action == Action::Remove {
        let key = (step.package.ecosystem, step.package.name.clone());
        let record = prepared.gone.get(&key).and_then(|name| prepared.outgoing.records.get(name))?;
        let args = arguments(kind, None, old);
        let (name, version) = (&record.package.name, &record.package.version);
        if native.is_opkg() {
            // A foreign package's removal script is kept where opkg would run it.
            let kept = if half == Half::Before { &prepared.foreign_prerm } else { &prepared.foreign_postrm };
            let text = kept.get(name)?;
            return Some(ScriptCall::apk(name, version, kind, text, args));
        }
        let id = record.package.identity.map(|id| id.prefix());
        let script = prepared.scripts.iter().find(|s| Some(s.id) == id && s.kind == kind)?;
        return Some(ScriptCall::apk(name, version, kind, &script.content, args));
    }
    let package = incoming?;
    let text = package.scripts.get(&kind)?;
    let args = arguments(kind, Some(&step.package), old);
    Some(ScriptCall::apk(&package.registered, &package.package().version, kind, text, args))
}

/// opkg's calls, seen with opkg 2020-01-25: `preinst install`, `preinst upgrade OLD`, `postinst configure`; of what goes
/// `prerm remove` and `postrm remove`, of what is replaced `prerm upgrade NEW` and `postrm upgrade NEW`.
fn of_opkg(
    opkg: NativeOpkg,
    target: &dyn Target,
    step: &Step,
    incoming: Option<&Incoming<'_>>,
    half: Half,
) -> Result<Vec<ScriptCall>> {
    let upgrade = step.action == Action::Replace;
    let call =
        |package: &Package, kind: ScriptKind, word: &str, args: &[&str]| call_of(package, kind, word, args, upgrade);
    let old = if step.action == Action::Remove { Some(&*step.package) } else { step.old.as_deref() };
    let mut calls = Vec::new();
    if let Some(old) = old {
        let (kind, word) = match half {
            Half::Before => (ScriptKind::PreDeinstall, "prerm"),
            Half::After => (ScriptKind::PostDeinstall, "postrm"),
        };
        if let Some(path) = opkg.script(target, &old.name, word)? {
            let args: &[&str] = if upgrade { &["upgrade", &step.package.version] } else { &["remove"] };
            let mut call = call(old, kind, word, args);
            if half == Half::Before {
                call.place = Some(path);
            } else {
                // Its file goes, or is another's, when it runs.
                let failed = |e| crate::Error::io("reading", &path, e);
                call.text = target.read(&path, MAX_SCRIPT).map_err(failed)?.unwrap_or_default();
            }
            calls.push(call);
        }
    }
    if let Some(package) = incoming {
        let new = package.package();
        let new_call = match half {
            Half::Before => package.control.get("preinst").map(|text| {
                let args: &[&str] = match old {
                    Some(old) => &["upgrade", &old.version],
                    None => &["install"],
                };
                ScriptCall { text: text.clone(), ..call(new, ScriptKind::PreInstall, "preinst", args) }
            }),
            Half::After => package.control.contains_key("postinst").then(|| {
                let path = format!("{}/{}.postinst", crate::native::opkg::INFO, new.name);
                postinst(new, RelPath::from_package(path.as_bytes()).ok(), upgrade)
            }),
        };
        calls.extend(new_call);
    }
    Ok(calls)
}

/// The last script of a package of opkg, which lies at `place`.
pub(super) fn postinst(package: &Package, place: Option<RelPath>, upgrade: bool) -> ScriptCall {
    ScriptCall { place, ..call_of(package, ScriptKind::PostInstall, "postinst", &["configure"], upgrade) }
}

fn call_of(package: &Package, kind: ScriptKind, word: &str, args: &[&str], upgrade: bool) -> ScriptCall {
    let env = [("PKG_ROOT", "/"), ("PKG_UPGRADE", if upgrade { "1" } else { "0" })];
    ScriptCall {
        package: package.name.clone(),
        version: package.version.clone(),
        kind: Some(kind),
        text: Vec::new(),
        place: None,
        // OpenWrt's scripts learn from their own file's name whose they are.
        name: Some(format!("{}.{word}", package.name)),
        args: args.iter().map(|arg| arg.as_bytes().to_vec()).collect(),
        env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
    }
}

/// As apk's limit for its own.
const MAX_SCRIPT: u64 = 262_144;

/// Triggers of apk: those that stay and those that come, fired by the directories that this transaction touches.
fn triggers(target: &dyn Target, work: &Work<'_>, changes: &Changes) -> Result<Vec<ScriptCall>> {
    let prepared = &work.prepared;
    let native = &prepared.native;
    let gone: BTreeSet<[u8; 20]> =
        prepared.outgoing.records.values().filter_map(|record| record.package.identity.map(|id| id.prefix())).collect();
    let id = |registration: &crate::native::Registration| registration.record.package.identity.map(|id| id.prefix());
    let new: BTreeSet<[u8; 20]> = changes.add.iter().filter_map(id).collect();
    let mut triggers: Vec<Trigger> = native.triggers(target)?;
    triggers.retain(|t| !gone.contains(&t.id) && !new.contains(&t.id));
    let mut coming = BTreeSet::new();
    // opkg has no triggers: that of a foreign package runs when the package comes, and not again.
    for registration in changes.add.iter().filter(|r| !r.triggers.is_empty()) {
        let Some(id) = id(registration) else { continue };
        triggers.push(Trigger { id, patterns: registration.triggers.clone() });
        coming.insert(id);
    }
    if triggers.is_empty() {
        return Ok(Vec::new());
    }
    let changed = changed(target, work, !coming.is_empty())?;
    let fired: Vec<_> = triggers
        .iter()
        .map(|t| (t.id, changed.fired(&t.patterns, coming.contains(&t.id))))
        .filter(|(_, dirs)| !dirs.is_empty())
        .collect();
    let kept = native.scripts(target, &mut |id, kind| {
        kind == ScriptKind::Trigger && !new.contains(id) && fired.iter().any(|(fired, _)| fired == id)
    })?;
    let mut calls = Vec::new();
    for (id, dirs) in fired {
        if let Some(registration) =
            changes.add.iter().find(|r| r.record.package.identity.is_some_and(|i| i.prefix() == id))
        {
            let package = &registration.record.package;
            if let Some(text) = registration.scripts.get(&ScriptKind::Trigger) {
                calls.push(ScriptCall::apk(&package.name, &package.version, ScriptKind::Trigger, text, dirs));
            }
        } else if let Some(script) = kept.iter().find(|s| s.id == id) {
            let (name, version) = split_owner(&script.owner);
            calls.push(ScriptCall::apk(name, version, ScriptKind::Trigger, &script.content, dirs));
        }
    }
    Ok(calls)
}

/// Directories that this transaction writes into, and for new triggers all there are.
fn changed(target: &dyn Target, work: &Work<'_>, all: bool) -> Result<Changed> {
    let mut changed = Changed::default();
    for item in work.prepared.incoming.iter().flat_map(|p| &p.items) {
        if matches!(item.fate, Fate::Write | Fate::Displace | Fate::Beside) {
            changed.modified.extend(item.entry.path.parent());
        }
    }
    let outgoing = &work.prepared.outgoing;
    changed.modified.extend(outgoing.files.values().filter_map(|old| old.path.parent()));
    changed.modified.retain(|dir| !dir.is_root());
    if all {
        changed.all = work.prepared.native.directories(target)?;
        let items = work.prepared.incoming.iter().flat_map(|p| &p.items).filter(|i| i.fate != Fate::Skip);
        for item in items {
            let dir = matches!(item.entry.kind, xpkg_model::payload::EntryKind::Dir);
            changed.all.extend(if dir { Some(item.entry.path.clone()) } else { item.entry.path.parent() });
        }
        changed.all.retain(|dir| !dir.is_root());
    }
    Ok(changed)
}

/// `name-version`: the version begins at the last dash but one, or the last before a digit.
fn split_owner(owner: &str) -> (&str, &str) {
    let dashes = owner.match_indices('-').map(|(at, _)| at);
    let starts = |at: &usize| owner.as_bytes().get(at + 1).is_some_and(u8::is_ascii_digit);
    let fits = |at: usize| owner.get(at + 1..).is_some_and(xpkg_model::version::is_valid_apk);
    match dashes.filter(starts).find(|at| fits(*at)) {
        Some(at) => (owner.get(..at).unwrap_or(owner), owner.get(at + 1..).unwrap_or_default()),
        None => (owner, ""),
    }
}
