//! One transaction: a plan becomes changes of a root, all of them or none. The same steps for a live root and an image.
//!
//! prepare (reads only: space, conflicts, removals) → stage → scripts before → owners by name → databases, state, links of
//! alternatives and what is owed staged → commit → scripts after → triggers → hooks.

mod adapted;
mod finish;
mod foreign;
mod hooks;
pub mod outgoing;
mod owed;
mod pending;
pub(crate) mod prepare;
mod records;
mod run;
pub(crate) mod stage;
pub mod survey;

use xpkg_model::adaptation::Adaptations;
use xpkg_model::payload::ScriptKind;
use xpkg_model::{Ecosystem, Event, Observer, Package, PackageKey, Plan, RelPath, Spec};

use crate::native::{Changes, Native, NativeOpkg};
use crate::payload::PayloadSource;
use crate::scripts::ScriptFailure;
use crate::state::State;
use crate::{Begin, Error, Result, Target};

pub use pending::configure;

/// What a person allowed, and what makes images reproducible.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// No maintainer script, trigger or hook is run: for roots of another machine, and for `-o`. What OpenWrt's scripts do
    /// to links of alternatives and to accounts is done all the same.
    pub no_scripts: bool,
    /// apk's commit hooks are not run.
    pub no_commit_hooks: bool,
    /// Foreign tools may take the place of busybox applets and alternatives links.
    pub replace_applets: bool,
    /// Files that belong to no package may be overwritten.
    pub overwrite_unowned: bool,
    /// Files may be overwritten whoever has them (opkg's `--force-overwrite`, apk's `--force-overwrite`).
    pub force_overwrite: bool,
    /// Configuration that a person changed gives way to what the package brings (opkg's `--force-maintainer`).
    pub force_maintainer: bool,
    /// A failing `prerm` does not stop a removal on an opkg root (`--force-remove`).
    pub force_remove: bool,
    /// Changed configuration of packages that go is removed too (apk's `--purge`).
    pub purge: bool,
    /// The time that is written into the log of transactions.
    pub now: u64,
}

/// Everything a transaction needs.
pub struct ApplyInput<'a> {
    /// What is to be done.
    pub plan: &'a Plan,
    /// World of the root's native manager.
    pub native: Ecosystem,
    /// The files of the packages that come, in any order.
    pub sources: &'a [&'a dyn PayloadSource],
    /// The package that tells the native manager what the host gives to foreign ones; `None` when no foreign package stays.
    pub provider: Option<&'a Package>,
    /// What is done to packages on their way; those without an entry come as they are.
    pub adaptations: &'a Adaptations,
    /// What a person named: becomes explicit, with its version condition in the native world.
    pub mark: &'a [Spec],
    /// What is no longer wanted for its own sake, but stays.
    pub unmark: &'a [Spec],
    /// Permissions.
    pub options: Options,
}

/// What a transaction did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Packages that came, also in place of an older one.
    pub installed: Vec<PackageKey>,
    /// Packages that went and were not replaced.
    pub removed: Vec<PackageKey>,
    /// Bytes of content written.
    pub bytes: u64,
    /// Configuration that was put beside a changed file.
    pub beside: Vec<RelPath>,
    /// Files of outgoing packages that stay because they were changed.
    pub kept: Vec<RelPath>,
    /// Links that foreign tools took the place of.
    pub displaced: Vec<RelPath>,
    /// Scripts that failed.
    pub failures: Vec<ScriptFailure>,
    /// Scripts that were not run although there are some, and why.
    pub skipped: Vec<(String, ScriptKind, String)>,
    /// Worth telling.
    pub notes: Vec<String>,
}

/// Whether a plan could be applied: space and conflicts, without changing anything. Answers what is worth telling.
pub fn check(target: &dyn Target, input: &ApplyInput<'_>) -> Result<Vec<String>> {
    let prepared = prepare::prepare(target, input)?;
    let forecast = foreign::forecast(target, input, &prepared)?;
    let mut notes = prepared.decided.notes;
    notes.extend(forecast);
    Ok(notes)
}

/// Applies a plan. An error leaves the root as it was, except [`Error::Commit`], which the next start completes.
pub fn apply(target: &mut dyn Target, input: &ApplyInput<'_>, observer: &dyn Observer) -> Result<Receipt> {
    target.lock()?;
    target.recover(observer)?;
    let prepared = prepare::prepare(target, input)?;
    let mut receipt = Receipt::default();
    let staged = (|| {
        target.begin(&Begin { dirs: prepared.dirs.iter().cloned().collect() })?;
        let mut work = stage::stage(target, input, prepared, &mut receipt, observer)?;
        let told = run::before(target, input, &work, &mut receipt, observer)?;
        // Who runs no scripts is owed what they would have done.
        let scripts_run = !input.options.no_scripts && target.script_runner().is_some();
        let accounts = crate::accounts::stage(target, input, &mut work, scripts_run, &mut receipt)?;
        stage::settle_owners(target, &mut work, accounts)?;
        let owed = finish::stage(target, input, &mut work, &mut receipt)?;
        observer.event(Event::Stage { name: "committing", items: None });
        target.commit()?;
        Ok::<_, Error>((work, told, owed))
    })();
    match staged {
        Ok((work, told, owed)) => {
            // The root is changed: what fails now is told, and takes nothing back.
            match run::after(target, input, &work, &owed, told, &mut receipt, observer) {
                Ok(()) => {}
                Err(error @ Error::Stopped(_)) => return Err(error),
                Err(error) => {
                    let text = format!("not every script could be noted as run: {error}");
                    observer.event(Event::Warning(text.clone()));
                    receipt.notes.push(text);
                    target.finish()?;
                }
            }
            Ok(receipt)
        }
        Err(error) => {
            target.rollback()?;
            Err(error)
        }
    }
}

/// Holds a package back from upgrades, or lets it go again.
pub fn hold(
    target: &mut dyn Target,
    ecosystem: Ecosystem,
    name: &str,
    held: bool,
    observer: &dyn Observer,
) -> Result<()> {
    target.lock()?;
    target.recover(observer)?;
    let mut state = State::load(target)?;
    if let Some(Native::Opkg(opkg)) = Native::detect(target, ecosystem)?
        && !state.packages.contains_key(&(ecosystem, name.to_owned()))
    {
        return hold_in_opkg(target, opkg, name, held);
    }
    let key = (ecosystem, name.to_owned());
    let changed = if held { state.held.insert(key) } else { state.held.remove(&key) };
    if !changed {
        return Ok(());
    }
    let own = |path: &'static str| RelPath::literal(path);
    target.begin(&Begin { dirs: vec![own("usr/lib/xpkg"), own("etc/xpkg")] })?;
    let staged = finish::stage_state(target, &state).and_then(|()| target.commit());
    if staged.is_err() {
        target.rollback()?;
    }
    staged
}

/// opkg has a word of its own for it.
fn hold_in_opkg(target: &mut dyn Target, opkg: NativeOpkg, name: &str, held: bool) -> Result<()> {
    let native = Native::Opkg(opkg);
    let changes = Changes { hold: [(name.to_owned(), held)].into(), ..Changes::default() };
    let dirs = prepare::database_dirs(target, &native)?;
    target.begin(&Begin { dirs })?;
    let staged = native.stage(target, &changes).and_then(|()| target.commit());
    if staged.is_err() {
        target.rollback()?;
    }
    staged
}
