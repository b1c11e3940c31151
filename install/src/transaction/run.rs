//! Scripts and triggers around a commit. A failure is reported and changes nothing about what is installed.

use std::collections::BTreeSet;
use std::io::BufReader;

use xpkg_formats::Limits;
use xpkg_formats::apk::db;
use xpkg_model::payload::ScriptKind;
use xpkg_model::root::RootView;
use xpkg_model::{Action, Event, Observer, RelPath};
use xpkg_shims::RootProbe;
use xpkg_shims::scripts::Decision;

use super::stage::Work;
use super::survey::Fate;
use super::{ApplyInput, Receipt};
use crate::scripts::{ScriptCall, ScriptFailure, arguments};
use crate::triggers::Changed;
use crate::{Error, Result, Target};

/// Runs what comes before the first file is in place.
pub(super) fn before(
    target: &mut dyn Target,
    input: &ApplyInput<'_>,
    work: &Work<'_>,
    receipt: &mut Receipt,
    observer: &dyn Observer,
) {
    steps(
        target,
        input,
        work,
        receipt,
        observer,
        [ScriptKind::PreDeinstall, ScriptKind::PreInstall, ScriptKind::PreUpgrade],
    );
}

/// Runs what comes after everything is in place, then the triggers.
pub(super) fn after(
    target: &mut dyn Target,
    input: &ApplyInput<'_>,
    work: &Work<'_>,
    receipt: &mut Receipt,
    observer: &dyn Observer,
) -> Result<()> {
    let kinds = [ScriptKind::PostDeinstall, ScriptKind::PostInstall, ScriptKind::PostUpgrade];
    steps(target, input, work, receipt, observer, kinds);
    triggers(target, input, work, receipt, observer)
}

fn steps(
    target: &mut dyn Target,
    input: &ApplyInput<'_>,
    work: &Work<'_>,
    receipt: &mut Receipt,
    observer: &dyn Observer,
    kinds: [ScriptKind; 3],
) {
    let prepared = &work.prepared;
    for step in &input.plan.steps {
        let kind = match step.action {
            Action::Remove => kinds[0],
            Action::Install => kinds[1],
            Action::Replace => kinds[2],
        };
        let (name, version, text) = match step.action {
            Action::Remove => {
                let key = (step.package.ecosystem, step.package.name.clone());
                let Some(record) = prepared.gone.get(&key).and_then(|name| prepared.outgoing.records.get(name)) else {
                    continue;
                };
                let id = record.package.identity.map(|id| id.prefix());
                let script = prepared.scripts.iter().find(|s| Some(s.id) == id && s.kind == kind);
                let Some(script) = script else { continue };
                (record.package.name.clone(), record.package.version.clone(), script.content.clone())
            }
            _ => {
                let package = prepared.incoming.iter().find(|p| std::ptr::eq(p.step, step));
                let Some((package, text)) = package.and_then(|p| Some((p, p.scripts.get(&kind)?))) else { continue };
                (package.registered.clone(), package.package().version.clone(), text.clone())
            }
        };
        let title = step.package.key().to_string();
        if step.package.ecosystem != input.native {
            let root: &dyn RootView = target;
            let probe = RootProbe::new(root, [], Vec::new());
            let text = String::from_utf8_lossy(&text);
            match xpkg_shims::scripts::decide(step.package.ecosystem, &text, &probe) {
                Decision::Skip(why) => {
                    observer.event(Event::Detail(format!("{title}: {} is left out: {why}", kind.as_str())));
                    continue;
                }
                Decision::CannotRun(why) => {
                    if !receipt.skipped.iter().any(|(t, k, _)| *t == title && *k == kind) {
                        receipt.skipped.push((title, kind, why));
                    }
                    continue;
                }
                Decision::Run { notes } => {
                    receipt.notes.extend(notes.into_iter().map(|n| format!("{title}: {} {n}", kind.as_str())))
                }
            }
        }
        let new = (step.action != Action::Remove).then_some(&*step.package);
        let old = if step.action == Action::Remove { Some(&*step.package) } else { step.old.as_deref() };
        let args = arguments(kind, new, old);
        run(
            target,
            input,
            &ScriptCall { package: &name, version: &version, kind, text: &text, args },
            receipt,
            observer,
        );
    }
}

fn run(
    target: &mut dyn Target,
    input: &ApplyInput<'_>,
    call: &ScriptCall<'_>,
    receipt: &mut Receipt,
    observer: &dyn Observer,
) {
    let package = format!("{}-{}", call.package, call.version);
    if input.options.no_scripts {
        receipt.skipped.push((package, call.kind, "scripts are not wanted".to_owned()));
        return;
    }
    let Some(runner) = target.script_runner() else {
        observer
            .event(Event::Warning(format!("{package}: {} is not run: that needs root's rights", call.kind.as_str())));
        receipt.skipped.push((package, call.kind, "no scripts can be run here".to_owned()));
        return;
    };
    observer.event(Event::Detail(format!("running {package}.{}", call.kind.as_str())));
    if let Err(reason) = runner.run(call, observer) {
        receipt.failures.push(ScriptFailure { package, kind: call.kind, reason });
    }
}

fn triggers(
    target: &mut dyn Target,
    input: &ApplyInput<'_>,
    work: &Work<'_>,
    receipt: &mut Receipt,
    observer: &dyn Observer,
) -> Result<()> {
    let native = &work.prepared.native;
    let triggers = native.triggers(target)?;
    if triggers.is_empty() {
        return Ok(());
    }
    let new: BTreeSet<[u8; 20]> = work
        .prepared
        .incoming
        .iter()
        .filter(|p| !p.triggers.is_empty())
        .filter_map(|p| p.package().identity.map(|id| id.prefix()))
        .collect();
    let changed = changed(target, work, !new.is_empty())?;
    let fired: Vec<_> = triggers
        .iter()
        .map(|t| (t.id, changed.fired(&t.patterns, new.contains(&t.id))))
        .filter(|(_, dirs)| !dirs.is_empty())
        .collect();
    let mut scripts = native
        .scripts(target, &mut |id, kind| kind == ScriptKind::Trigger && fired.iter().any(|(fired, _)| fired == id))?;
    for (id, dirs) in fired {
        let Some(at) = scripts.iter().position(|s| s.id == id) else { continue };
        let script = scripts.swap_remove(at);
        // `name-version`: the version begins at the last dash but one, or the last before a digit.
        let (name, version) = split_owner(&script.owner);
        let call = ScriptCall { package: name, version, kind: ScriptKind::Trigger, text: &script.content, args: dirs };
        run(target, input, &call, receipt, observer);
    }
    Ok(())
}

/// Directories that this transaction wrote into, and for new triggers all there are.
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
        let path = RelPath::literal(db::INSTALLED);
        if let Some(file) = target.open(&path).map_err(|e| Error::io("opening", &path, e))? {
            db::visit_claims(BufReader::new(file), db::INSTALLED, &Limits::default(), &mut |claim| {
                if claim.is_dir && !claim.path.is_empty() {
                    changed.all.extend(RelPath::from_package(claim.path));
                }
            })
            .map_err(|e| Error::native(&path, e))?;
        }
    }
    Ok(changed)
}

fn split_owner(owner: &str) -> (&str, &str) {
    let dashes = owner.match_indices('-').map(|(at, _)| at);
    let starts = |at: &usize| owner.as_bytes().get(at + 1).is_some_and(u8::is_ascii_digit);
    let fits = |at: usize| owner.get(at + 1..).is_some_and(xpkg_model::version::is_valid_apk);
    match dashes.filter(starts).find(|at| fits(*at)) {
        Some(at) => (owner.get(..at).unwrap_or(owner), owner.get(at + 1..).unwrap_or_default()),
        None => (owner, ""),
    }
}
