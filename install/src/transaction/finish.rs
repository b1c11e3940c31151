//! The records of a transaction: the native databases, our own state and world, and the removals, all staged like any other
//! file. Runs nothing.

use std::collections::{BTreeMap, BTreeSet};

use xpkg_formats::apk::db::InstalledRecord;
use xpkg_model::payload::Scripts;
use xpkg_model::root::NodeKind;
use xpkg_model::{Action, Dependency, Ecosystem, RelPath, Spec};

use super::owed::{self, Owed};
use super::prepare::Prepared;
use super::records::{files, needs, opkg_entry, record, scripts};
use super::stage::{Work, ensure_dir};
use super::survey::Incoming;
use super::{ApplyInput, Receipt};
use crate::native::apk::stage_bytes;
use crate::native::opkg::Entry as OpkgEntry;
use crate::native::{Changes, Native, Registration};
use crate::state::{self, Displaced, ForeignPackage, State};
use crate::{Error, Meta, Result, Target};

pub(super) fn stage(
    target: &mut dyn Target,
    input: &ApplyInput<'_>,
    work: &mut Work<'_>,
    receipt: &mut Receipt,
) -> Result<Owed> {
    let mut changes = Changes {
        remove: work.prepared.gone.values().cloned().collect(),
        now: input.options.now,
        tags: input.plan.tags.clone(),
        ..Changes::default()
    };
    changes.lose = std::mem::take(&mut work.prepared.decided.lose);
    let mut state = work.prepared.state.clone();
    let explicit_before: BTreeSet<(Ecosystem, String)> =
        state.packages.iter().filter(|(_, p)| p.explicit).map(|(key, _)| key.clone()).collect();

    for step in &input.plan.steps {
        let old = step.old.as_deref().unwrap_or(&step.package);
        if step.action != Action::Install {
            state.packages.remove(&(old.ecosystem, old.name.clone()));
        }
        if step.action == Action::Remove {
            state.held.remove(&(old.ecosystem, old.name.clone()));
            receipt.removed.push(old.key());
        }
    }
    take_away(target, &work.prepared, &mut state, &mut changes)?;
    for path in std::mem::take(&mut work.prepared.decided.adopted) {
        let foreign = |p: &&Incoming<'_>| p.is_foreign(input.native) && p.items.iter().any(|i| i.real == path);
        if work.prepared.incoming.iter().any(|p| foreign(&p)) {
            state.adopted.insert(path);
        }
    }
    let mut replaces: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, node, owner, by) in std::mem::take(&mut work.prepared.decided.displaced) {
        let NodeKind::Symlink(link) = node.kind else { continue };
        if let Some(owner) = &owner {
            replaces.entry(by.clone()).or_default().insert(owner.package.clone());
        }
        receipt.displaced.push(path.clone());
        state.displaced.insert(path, Displaced { target: link, ids: (node.uid, node.gid), by, owner });
    }
    for package in &work.prepared.incoming {
        let key = (package.package().ecosystem, package.package().name.clone());
        let needs = needs(package, input, work);
        let record = record(package, input, work, replaces.get(&package.registered), &needs)?;
        if package.is_foreign(input.native) {
            let explicit = package.step.explicit || explicit_before.contains(&key);
            let entry = ForeignPackage {
                package: package.package().clone(),
                registered: package.registered.clone(),
                explicit,
                needs,
                source: package.source.source_name().map(str::to_owned),
                placement: package.adaptation.placement,
                files: files(package),
            };
            state.packages.insert(key, entry);
        }
        let scripts = scripts(target, &work.prepared, package, input.native, receipt)?;
        let opkg = work.prepared.native.is_opkg().then(|| Box::new(opkg_entry(package, input, &scripts)));
        changes.add.push(Registration { record, scripts, triggers: package.triggers.clone(), opkg });
        receipt.installed.push(package.package().key());
    }
    provide(input, work, &mut state, &mut changes)?;
    marks(input, &mut state);
    world(target, input, work, &state, &mut changes)?;
    arches(target, work, &mut state, &mut changes)?;
    if !input.plan.is_empty() {
        state.note(input.options.now, summary(input));
    }
    work.prepared.native.stage(target, &changes)?;
    stage_own_world(target, input, &state, &work.prepared.vanished)?;
    stage_state(target, &state)?;
    work.prepared.state = state;
    let scripts_run = !input.options.no_scripts && target.script_runner().is_some();
    crate::alternatives::stage(target, input, work, scripts_run, receipt)?;
    if !scripts_run {
        crate::enabled::stage(target, work)?;
    }
    let owed = owed::collect(target, input, work, &changes, receipt)?;
    if scripts_run {
        for call in owed.calls() {
            target.stage_script(call)?;
        }
    }
    Ok(owed)
}

/// Removals, and the links that come back where a foreign tool goes.
fn take_away(target: &mut dyn Target, prepared: &Prepared<'_>, state: &mut State, changes: &mut Changes) -> Result<()> {
    let removals = &prepared.removals;
    let going: BTreeSet<&RelPath> = removals.files.iter().collect();
    let leaving = |by: &String| changes.remove.contains(by);
    let back: Vec<RelPath> = state
        .displaced
        .iter()
        .filter(|(path, d)| leaving(&d.by) && going.contains(path))
        .map(|(p, _)| p.clone())
        .collect();
    for path in &removals.files {
        let Some(link) = back.contains(path).then(|| state.displaced.remove(path)).flatten() else {
            target.stage_remove(path)?;
            continue;
        };
        put_back(target, changes, path, link)?;
    }
    // The native manager took the tool away in the meantime: its link comes back all the same.
    let orphaned =
        state.displaced.iter().filter(|(_, d)| !changes.remove.contains(&d.by) && state.registered(&d.by).is_none());
    let orphaned: Vec<RelPath> = orphaned.map(|(path, _)| path.clone()).collect();
    for path in orphaned {
        let free = target.node(&path).map_err(|e| Error::io("reading", &path, e))?.is_none();
        let coming = prepared.incoming.iter().any(|p| p.items.iter().any(|i| i.real == path));
        if let Some(link) = state.displaced.remove(&path).filter(|_| free && !coming) {
            put_back(target, changes, &path, link)?;
        }
    }
    // What somebody changed in the meantime is theirs: there is nothing to restore.
    let delivered: BTreeSet<&RelPath> = prepared.incoming.iter().flat_map(|p| &p.items).map(|i| &i.real).collect();
    state.displaced.retain(|path, d| !changes.remove.contains(&d.by) || delivered.contains(path));
    for dir in &removals.dirs {
        target.stage_remove(dir)?;
        state.made.remove(dir);
    }
    for real in prepared.outgoing.files.keys().filter(|real| !delivered.contains(real)) {
        state.adopted.remove(real);
    }
    Ok(())
}

/// A displaced link returns, to the root and to the record of whoever owned it.
fn put_back(target: &mut dyn Target, changes: &mut Changes, path: &RelPath, link: Displaced) -> Result<()> {
    ensure_dir(target, &path.parent().unwrap_or_else(RelPath::root))?;
    let meta = Meta { mode: 0o777, uid: link.ids.0, gid: link.ids.1, ..Meta::default() };
    target.stage_symlink(path, &link.target, &meta)?;
    if let Some(owner) = link.owner {
        changes.regain.entry(owner.package).or_default().push((path.clone(), owner.file));
    }
    Ok(())
}

/// The generated package that stands for what the host gives.
fn provide(input: &ApplyInput<'_>, work: &Work<'_>, state: &mut State, changes: &mut Changes) -> Result<()> {
    let before = state.provider.take();
    changes.remove.extend(before.iter().cloned());
    changes.world_remove.extend(before);
    let Some(provider) = input.provider else { return Ok(()) };
    let mut registered = work.prepared.native.registered(provider, &provider.name, &work.prepared.renamed);
    let record = match work.prepared.native {
        Native::Apk(apk) => InstalledRecord::for_package(&registered, [], apk.generation)
            .map_err(|source| Error::Package { package: provider.name.clone(), source: Box::new(source) })?,
        Native::Opkg(_) => {
            registered.depends = crate::native::opkg::translated(provider, &provider.name, &work.neighbours);
            InstalledRecord::new(registered)
        }
    };
    // Needed by nothing, apk would purge it; needed through a name with a version, it stays as long as it is needed.
    let versioned: BTreeSet<&str> =
        provider.provides.iter().filter(|p| p.version.is_some()).map(|p| p.name.as_str()).collect();
    let needed = state.packages.values().flat_map(|p| p.package.requirements());
    let held_by_need = needed.flat_map(|r| r.alternatives()).any(|d| versioned.contains(d.name.as_str()));
    if !held_by_need {
        changes.world_set.push(Dependency::any(provider.name.clone()));
    } else {
        changes.world_remove.push(provider.name.clone());
    }
    changes.remove.insert(provider.name.clone());
    state.provider = Some(provider.name.clone());
    let held = OpkgEntry { held: true, ..OpkgEntry::default() };
    let opkg = work.prepared.native.is_opkg().then(|| Box::new(held));
    changes.add.push(Registration { record, scripts: Scripts::new(), triggers: Vec::new(), opkg });
    Ok(())
}

fn marks(input: &ApplyInput<'_>, state: &mut State) {
    for (specs, explicit) in [(input.mark, true), (input.unmark, false)] {
        for spec in specs {
            let ecosystem = spec.ecosystem.unwrap_or(input.native);
            if let Some(package) = state.packages.get_mut(&(ecosystem, spec.dependency.name.clone())) {
                package.explicit = explicit;
            }
        }
    }
}

fn world(
    target: &dyn Target,
    input: &ApplyInput<'_>,
    work: &Work<'_>,
    state: &State,
    changes: &mut Changes,
) -> Result<()> {
    let current = work.prepared.native.marks(target)?.world;
    let native = |spec: &&Spec| spec.ecosystem.is_none_or(|e| e == input.native);
    let marked: BTreeSet<&str> = input.mark.iter().filter(native).map(|spec| spec.dependency.name.as_str()).collect();
    for step in input.plan.steps.iter().filter(|s| s.action == Action::Remove) {
        let key = (step.package.ecosystem, step.package.name.clone());
        // Somebody else may give a name that stays wanted.
        let gone = work.prepared.gone.get(&key).filter(|name| !marked.contains(name.as_str()));
        changes.world_remove.extend(gone.cloned());
    }
    // Foreign packages: pinned, because no native repository has them.
    for package in state.packages.values() {
        if package.explicit {
            let native = &work.prepared.native;
            let registered = native.registered(&package.package, &package.registered, &work.prepared.renamed);
            let q1 = registered.identity.map(|id| id.to_q1()).unwrap_or_default();
            let entry =
                Dependency { op: xpkg_model::Op::CHECKSUM, version: q1, ..Dependency::any(&package.registered) };
            if !current.contains(&entry) {
                changes.world_set.push(entry);
            }
        } else {
            changes.world_remove.push(package.registered.clone());
        }
    }
    for spec in input.mark.iter().filter(native) {
        let installed_here = !state.packages.contains_key(&(input.native, spec.dependency.name.clone()));
        if installed_here && !current.contains(&spec.dependency) {
            changes.world_set.push(spec.dependency.clone());
        }
    }
    for spec in input.unmark.iter().filter(native) {
        let conflict = if spec.dependency.conflict { "!" } else { "" };
        changes.world_remove.push(format!("{conflict}{}", spec.dependency.name));
    }
    for step in input.plan.incoming().filter(|s| s.explicit && s.package.ecosystem == input.native) {
        let name = &step.package.name;
        if !marked.contains(name.as_str()) && !current.iter().any(|d| d.name == *name && !d.conflict) {
            changes.world_set.push(Dependency::any(name));
        }
    }
    Ok(())
}

fn arches(target: &dyn Target, work: &Work<'_>, state: &mut State, changes: &mut Changes) -> Result<()> {
    let current = work.prepared.native.arches(target)?;
    let own: BTreeSet<&String> = current.iter().filter(|word| !state.arches.contains(*word)).collect();
    let native = &work.prepared.native;
    let mut needed: BTreeSet<String> = state
        .packages
        .values()
        .map(|p| native.registered(&p.package, &p.registered, &work.prepared.renamed).arch)
        .filter(|arch| arch != "noarch")
        .collect();
    needed.retain(|arch| !own.contains(arch));
    // Without a file apk takes the architecture it was built for; a file with another one alone would hide it.
    if current.is_empty() {
        needed.clear();
    }
    changes.arch_add = needed.iter().filter(|arch| !current.contains(arch)).cloned().collect();
    changes.arch_remove = state.arches.difference(&needed).cloned().collect();
    state.arches = needed;
    Ok(())
}

/// What the log says: enough to know what happened, never a whole distribution.
fn summary(input: &ApplyInput<'_>) -> String {
    let word = |action| match action {
        Action::Install => "install",
        Action::Replace => "replace",
        Action::Remove => "remove",
    };
    let mut parts: Vec<String> =
        input.plan.steps.iter().take(20).map(|s| format!("{} {}", word(s.action), s.package.key())).collect();
    let more = input.plan.steps.len().saturating_sub(parts.len());
    if more > 0 {
        parts.push(format!("and {more} more"));
    }
    parts.join(", ")
}

/// `/etc/xpkg/world`: foreign choices, with their scope. Lines that name nothing installed stay: they are a person's. Who
/// removes one of ours with the native manager (`vanished`) does not want it any more.
fn stage_own_world(
    target: &mut dyn Target,
    input: &ApplyInput<'_>,
    state: &State,
    vanished: &BTreeSet<(Ecosystem, String)>,
) -> Result<()> {
    let old = state::read_world(target)?;
    let gone = |spec: &Spec| spec.ecosystem.is_some_and(|e| vanished.contains(&(e, spec.dependency.name.clone())));
    let removed = |spec: &Spec| {
        let key = |s: &xpkg_model::plan::Step| (Some(s.package.ecosystem), s.package.name.clone());
        input
            .plan
            .steps
            .iter()
            .any(|s| s.action == Action::Remove && key(s) == (spec.ecosystem, spec.dependency.name.clone()))
    };
    let ours = |spec: &Spec| {
        spec.ecosystem.and_then(|e| state.packages.get(&(e, spec.dependency.name.clone()))).is_some_and(|p| !p.explicit)
    };
    let mut specs: Vec<Spec> =
        old.iter().filter(|spec| !removed(spec) && !ours(spec) && !gone(spec)).cloned().collect();
    for ((ecosystem, name), _) in state.packages.iter().filter(|(_, p)| p.explicit) {
        let there = |spec: &Spec| spec.ecosystem == Some(*ecosystem) && spec.dependency.name == *name;
        if !specs.iter().any(there) {
            specs.push(Spec { ecosystem: Some(*ecosystem), dependency: Dependency::any(name) });
        }
    }
    if specs == old {
        return Ok(());
    }
    let path = RelPath::literal(state::WORLD);
    if specs.is_empty() {
        return remove_with_dir(target, &path);
    }
    write(target, &path, state::write_world(&specs).as_bytes())
}

/// The state file, or its absence when there is nothing to remember.
pub(super) fn stage_state(target: &mut dyn Target, state: &State) -> Result<()> {
    let path = RelPath::literal(state::STATE);
    if state.is_empty() {
        return remove_with_dir(target, &path);
    }
    write(target, &path, &state.to_bytes()?)
}

fn write(target: &mut dyn Target, path: &RelPath, bytes: &[u8]) -> Result<()> {
    let dir = path.parent().unwrap_or_else(RelPath::root);
    let dir = target.real_path(&dir, true).map_err(|e| Error::io("resolving", &dir, e))?;
    ensure_dir(target, &dir)?;
    stage_bytes(target, path, bytes)
}

fn remove_with_dir(target: &mut dyn Target, path: &RelPath) -> Result<()> {
    let failed = |e| Error::io("resolving", path, e);
    let real = target.real_path(path, false).map_err(failed)?;
    if target.node(&real).map_err(failed)?.is_none() {
        return Ok(());
    }
    target.stage_remove(&real)?;
    match real.parent() {
        Some(dir) => target.stage_remove(&dir),
        None => Ok(()),
    }
}
