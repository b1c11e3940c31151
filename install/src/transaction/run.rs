//! Runs scripts around a commit, and tells of them in the order in which native tools do. A failure of apk's scripts is
//! reported and changes nothing about what is installed; of opkg's, those before the commit stop it, as they do there.

use std::collections::BTreeSet;
use std::sync::Mutex;

use xpkg_model::payload::ScriptKind;
use xpkg_model::{Action, Ecosystem, Event, Observer};

use super::foreign::wanted;
use super::hooks::{self, When};
use super::owed::{Half, Owed, of_step};
use super::stage::Work;
use super::{ApplyInput, Receipt};
use crate::alternatives;
use crate::scripts::{ScriptCall, ScriptFailure};
use crate::{Error, Result, Target};

/// What scripts said before anything was in place: it is told with the step that it belongs to.
#[derive(Default)]
pub(super) struct Told(Vec<Vec<Event>>);

/// Keeps events.
#[derive(Default)]
struct Kept(Mutex<Vec<Event>>);

impl Observer for Kept {
    fn event(&self, event: Event) {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(event);
    }
}

/// Runs what comes before the first file is in place.
pub(super) fn before(
    target: &mut dyn Target,
    input: &ApplyInput<'_>,
    work: &Work<'_>,
    receipt: &mut Receipt,
    observer: &dyn Observer,
) -> Result<Told> {
    for call in hooks::calls(target, input, work, When::Pre)? {
        if let Err(reason) = run(target, input.options.no_scripts, &call, receipt, observer) {
            return Err(Error::Script { script: call.title(), reason });
        }
    }
    let mut told = Told::default();
    for step in &input.plan.steps {
        let kept = Kept::default();
        let mut stopped = None;
        for mut call in of_step(target, input, work, step, Half::Before)? {
            if !wanted(target, input, work, step, &mut call, receipt, Some(&kept))? {
                continue;
            }
            if let Err(reason) = run(target, input.options.no_scripts, &call, receipt, &kept) {
                let opkg = work.prepared.native.is_opkg() && step.package.ecosystem == input.native;
                let forced = input.options.force_remove && call.kind == Some(ScriptKind::PreDeinstall);
                if opkg && !forced {
                    stopped = Some(Error::Script { script: call.title(), reason });
                    break;
                }
                receipt.failures.push(failure(&call, reason));
            }
        }
        let events = kept.0.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(error) = stopped {
            told.0.push(events);
            told.0.into_iter().flatten().for_each(|event| observer.event(event));
            return Err(error);
        }
        told.0.push(events);
    }
    Ok(told)
}

/// Tells of every step, and runs what comes after everything is in place. The only errors are those of the journal.
pub(super) fn after(
    target: &mut dyn Target,
    input: &ApplyInput<'_>,
    work: &Work<'_>,
    owed: &Owed,
    told: Told,
    receipt: &mut Receipt,
    observer: &dyn Observer,
) -> Result<()> {
    let mut told = told.0.into_iter();
    let mut failed = BTreeSet::new();
    // opkg configures when all packages are unpacked; apk finishes one before it begins the next.
    let at_once = !work.prepared.native.is_opkg();
    for (at, step) in input.plan.steps.iter().enumerate() {
        observer.event(announce(at, input, work));
        told.next().into_iter().flatten().for_each(|event| observer.event(event));
        let foreign = step.package.ecosystem != input.native;
        if at_once || foreign || step.action == Action::Remove {
            owed_by(at, target, input, owed, receipt, observer, &mut failed)?;
        }
    }
    if !at_once {
        for (at, step) in input.plan.steps.iter().enumerate() {
            if step.package.ecosystem == input.native && step.action != Action::Remove {
                owed_by(at, target, input, owed, receipt, observer, &mut failed)?;
            }
        }
    }
    for call in &owed.last {
        pay(target, input, call, receipt, observer)?;
    }
    target.finish()?;
    if let crate::native::Native::Opkg(opkg) = work.prepared.native
        && !failed.is_empty()
    {
        // An upgrade leaves the links of the version before.
        let steps = input.plan.steps.iter().filter(|s| s.action == Action::Install);
        let new = steps.map(|s| s.package.name.clone()).filter(|name| failed.contains(name)).collect();
        let mut dirs = super::prepare::database_dirs(target, &work.prepared.native)?;
        dirs.extend(alternatives::dirs(target, work, &new)?);
        target.begin(&crate::Begin { dirs })?;
        let staged = opkg
            .stage_state(target, &failed, "unpacked")
            .and_then(|()| alternatives::stage_without(target, work, &new, receipt))
            .and_then(|()| target.commit());
        if staged.is_err() {
            target.rollback()?;
        }
        return staged;
    }
    Ok(())
}

/// The scripts of one step; names of opkg's packages whose last script failed are added to `failed`.
fn owed_by(
    at: usize,
    target: &mut dyn Target,
    input: &ApplyInput<'_>,
    owed: &Owed,
    receipt: &mut Receipt,
    observer: &dyn Observer,
    failed: &mut BTreeSet<String>,
) -> Result<()> {
    for (_, call) in owed.steps.iter().filter(|(of, _)| *of == at) {
        if !pay(target, input, call, receipt, observer)? && call.kind == Some(ScriptKind::PostInstall) {
            failed.insert(call.package.clone());
        }
    }
    Ok(())
}

/// Runs one script and notes that it has run. Answers whether it did well.
fn pay(
    target: &mut dyn Target,
    input: &ApplyInput<'_>,
    call: &ScriptCall,
    receipt: &mut Receipt,
    observer: &dyn Observer,
) -> Result<bool> {
    let ran = run(target, input.options.no_scripts, call, receipt, observer);
    let well = ran.is_ok();
    if let Err(reason) = ran {
        receipt.failures.push(failure(call, reason));
    }
    target.script_done()?;
    Ok(well)
}

pub(super) fn failure(call: &ScriptCall, reason: String) -> ScriptFailure {
    ScriptFailure { package: package(call), kind: call.kind, reason }
}

fn package(call: &ScriptCall) -> String {
    if call.version.is_empty() { call.package.clone() } else { format!("{}-{}", call.package, call.version) }
}

fn announce(at: usize, input: &ApplyInput<'_>, work: &Work<'_>) -> Event {
    let of = input.plan.steps.len();
    let Some(step) = input.plan.steps.get(at) else { return Event::Detail(String::new()) };
    let registered = |package: &xpkg_model::Package| -> String {
        let key: (Ecosystem, String) = (package.ecosystem, package.name.clone());
        let coming = work.prepared.incoming.iter().find(|p| std::ptr::eq(p.step, step));
        coming.map(|p| &p.registered).or_else(|| work.prepared.gone.get(&key)).unwrap_or(&package.name).clone()
    };
    Event::PackageStep {
        number: at + 1,
        of,
        action: step.action,
        name: registered(&step.package),
        version: step.package.version.clone(),
        old: step.old.as_ref().map(|old| old.version.clone()),
    }
}

/// Runs one script, where scripts run at all.
pub(super) fn run(
    target: &mut dyn Target,
    no_scripts: bool,
    call: &ScriptCall,
    receipt: &mut Receipt,
    observer: &dyn Observer,
) -> Result<(), String> {
    let mut skip = |why: &str| {
        if let Some(kind) = call.kind {
            receipt.skipped.push((package(call), kind, why.to_owned()));
        }
        Ok(())
    };
    if no_scripts {
        return skip("scripts are not wanted");
    }
    let Some(runner) = target.script_runner() else {
        observer.event(Event::Warning(format!("{} is not run: that needs root's rights", call.title())));
        return skip("no scripts can be run here");
    };
    observer.event(call.event());
    runner.run(call, observer)
}
