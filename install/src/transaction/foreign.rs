//! Scripts of foreign packages: whether each runs on this root, with which text and which of our own tools, decided by
//! `shims` and told to the person. Runs nothing.

use xpkg_model::payload::{EntryKind, ScriptKind};
use xpkg_model::plan::Step;
use xpkg_model::root::RootView;
use xpkg_model::{Event, Observer, RelPath};
use xpkg_shims::RootProbe;
use xpkg_shims::scripts::{Decision, Run, Scene};

use super::prepare::Prepared;
use super::stage::Work;
use super::survey::{Fate, Incoming};
use super::{ApplyInput, Receipt};
use crate::scripts::{APPLETS, FUNCTIONS, SILENT, ScriptCall};
use crate::{Result, Target};

/// Whether a script runs on this root at all; it is given what it needs. What cannot run is told once.
pub(super) fn wanted(
    target: &dyn Target,
    input: &ApplyInput<'_>,
    work: &Work<'_>,
    step: &Step,
    call: &mut ScriptCall,
    receipt: &mut Receipt,
    observer: Option<&dyn Observer>,
) -> Result<bool> {
    let Some(kind) = call.kind.filter(|_| step.package.ecosystem != input.native) else { return Ok(true) };
    let title = step.package.key().to_string();
    let incoming = work.prepared.incoming.iter().find(|p| std::ptr::eq(p.step, step));
    let text = String::from_utf8_lossy(&call.text).into_owned();
    let detail = |text: String| {
        if let Some(observer) = observer {
            observer.event(Event::Detail(text));
        }
    };
    match decide(target, &work.prepared, step, incoming, kind, &text)? {
        Decision::Skip(why) | Decision::Mapped(why) => {
            detail(format!("{title}: {} is left out: {why}", kind.as_str()));
            Ok(false)
        }
        Decision::CannotRun(why) => {
            if !receipt.skipped.iter().any(|(t, k, _)| *t == title && *k == kind) {
                receipt.skipped.push((title, kind, why));
            }
            Ok(false)
        }
        Decision::Run(run) => {
            receipt.notes.extend(run.notes.iter().map(|n| format!("{title}: {} {n}", kind.as_str())));
            equip(call, run);
            Ok(true)
        }
    }
}

/// What will become of the scripts of the packages that come, as far as a person should know it beforehand.
pub(super) fn forecast(target: &dyn Target, input: &ApplyInput<'_>, prepared: &Prepared<'_>) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    if input.options.no_scripts {
        return Ok(notes);
    }
    for package in prepared.incoming.iter().filter(|p| p.is_foreign(input.native)) {
        for (kind, text) in &package.scripts {
            // Those of an upgrade are not run at an installation, and the other way.
            let upgrade = matches!(kind, ScriptKind::PreUpgrade | ScriptKind::PostUpgrade);
            let install = matches!(kind, ScriptKind::PreInstall | ScriptKind::PostInstall);
            let replaces = package.step.old.is_some();
            if (upgrade && !replaces) || (install && replaces) {
                continue;
            }
            let text = String::from_utf8_lossy(text);
            let (title, word) = (package.title(), kind.as_str());
            match decide(target, prepared, package.step, Some(package), *kind, &text)? {
                Decision::CannotRun(why) => notes.push(format!("{title}: {word} will not run: {why}")),
                Decision::Run(run) => notes.extend(run.notes.iter().map(|note| format!("{title}: {word} {note}"))),
                Decision::Skip(_) | Decision::Mapped(_) => {}
            }
        }
    }
    Ok(notes)
}

pub(super) fn decide(
    target: &dyn Target,
    prepared: &Prepared<'_>,
    step: &Step,
    incoming: Option<&Incoming<'_>>,
    kind: ScriptKind,
    text: &str,
) -> Result<Decision> {
    let root: &dyn RootView = target;
    let probe = RootProbe::new(root, [], Vec::new());
    // A payload says /usr/bin/x where the root may have /bin as a link to usr/bin: the entry's own path is asked for.
    let coming = |path: &str| {
        let Ok(path) = RelPath::from_absolute(path) else { return false };
        let here = |item: &super::survey::Item| item.entry.path == path && item.fate != Fate::Skip;
        prepared.incoming.iter().flat_map(|p| &p.items).any(|item| item.entry.kind != EntryKind::Dir && here(item))
    };
    let below = RelPath::literal("etc/uci-defaults");
    let items = incoming.into_iter().flat_map(|p| &p.items).filter(|i| i.entry.kind == EntryKind::File);
    let defaults: Vec<String> =
        items.filter(|i| i.entry.path.starts_with(&below)).map(|i| i.entry.path.to_string()).collect();
    let scene = Scene {
        foreign: step.package.ecosystem,
        probe: &probe,
        rules: &prepared.foreign_rules,
        coming: &coming,
        uci_defaults: &defaults,
    };
    Ok(xpkg_shims::scripts::decide(&scene, kind, text))
}

/// The runner reads from the environment what a script is given: a journal keeps that.
fn equip(call: &mut ScriptCall, run: Run) {
    if let Some(text) = run.text {
        call.text = text.into_bytes();
    }
    let words = |set: &std::collections::BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(" ");
    for (name, value) in [(APPLETS, words(&run.applets)), (SILENT, words(&run.silent))] {
        if !value.is_empty() {
            call.env.push((name.to_owned(), value));
        }
    }
    if run.functions {
        call.env.push((FUNCTIONS.to_owned(), "1".to_owned()));
    }
}
