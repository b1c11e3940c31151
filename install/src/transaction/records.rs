//! What is recorded of one package that comes: its entry in the native database, its scripts there, its files in our state.
//! Stages nothing.

use std::collections::{BTreeMap, BTreeSet};

use xpkg_formats::apk::db::{Generation, InstalledRecord, Placed};
use xpkg_model::payload::{EntryKind, ScriptKind, Scripts};
use xpkg_model::plan::Reason;
use xpkg_model::{Dependency, Ecosystem, Package, RelPath};
use xpkg_shims::scripts::Decision;

use super::prepare::Prepared;
use super::stage::Work;
use super::survey::{Fate, Incoming, Item};
use super::{ApplyInput, Receipt};
use crate::native::Native;
use crate::native::opkg::{self, Entry as OpkgEntry};
use crate::state::Files;
use crate::{Error, Result, Target};

/// Foreign packages that this one needs without saying so: those that the plan brings for its sake, and those that its old
/// version needed and that stay. Without a word of it in the database the native manager would purge them.
pub(super) fn needs(package: &Incoming<'_>, input: &ApplyInput<'_>, work: &Work<'_>) -> BTreeSet<String> {
    let own = package.package();
    if !package.is_foreign(input.native) {
        return BTreeSet::new();
    }
    let scoped = own.scoped();
    let unsaid = |other: &Package| {
        let said = own.requirements().flat_map(|r| r.alternatives()).any(|d| other.meets(d));
        (!said && other.ecosystem == own.ecosystem && other.name != own.name).then(|| other.name.clone())
    };
    let brought = input.plan.incoming().filter(|s| match &s.reason {
        Reason::Needed { by, .. } => by.split_ascii_whitespace().next() == Some(&scoped),
        Reason::InstallIf => own_init(&s.package, own, input, work),
        _ => false,
    });
    let mut needs: BTreeSet<String> = brought.filter_map(|s| unsaid(&s.package)).collect();
    let state = &work.prepared.state;
    let before = state.packages.get(&(own.ecosystem, own.name.clone())).map(|p| &p.needs);
    for name in before.into_iter().flatten() {
        let key = (own.ecosystem, name.clone());
        let stays = state.packages.get(&key).filter(|_| !work.prepared.gone.contains_key(&key));
        needs.extend(stays.and_then(|p| unsaid(&p.package)));
    }
    needs
}

/// Whether a package came along with this one because of what the host alone stands for: the native database has nothing of
/// that name, so its manager finds no reason to keep it.
fn own_init(along: &Package, own: &Package, input: &ApplyInput<'_>, work: &Work<'_>) -> bool {
    let coming = input.plan.incoming().map(|s| &*s.package);
    let staying = work.prepared.state.packages.values().map(|p| &p.package);
    let packages: Vec<&Package> = coming.chain(staying).collect();
    let mut wanted = along.install_if.iter().filter(|d| !d.conflict);
    wanted.clone().any(|d| own.meets(d)) && wanted.any(|d| !packages.iter().any(|p| p.meets(d)))
}

pub(super) fn record(
    package: &Incoming<'_>,
    input: &ApplyInput<'_>,
    work: &Work<'_>,
    replaces: Option<&BTreeSet<String>>,
    needs: &BTreeSet<String>,
) -> Result<InstalledRecord> {
    let prepared = &work.prepared;
    let mut registered = prepared.native.registered(package.package(), &package.registered, &prepared.renamed);
    let generation = match prepared.native {
        Native::Apk(apk) => apk.generation,
        Native::Opkg(_) => {
            if package.step.package.ecosystem != input.native {
                registered.depends = opkg::translated(package.package(), &package.registered, &work.neighbours);
            }
            Generation::Apk3
        }
    };
    let scoped = package.package().scoped();
    for used in input.plan.host_uses.iter().filter(|used| used.settled.is_some() && used.consumer == scoped) {
        // A native package does in another version: its manager is told of the name alone.
        let said = registered.depends.iter_mut().filter(|r| r.to_string() == used.requirement);
        for requirement in said {
            if let Some(asked) = requirement.alternatives().first() {
                *requirement = Dependency::any(asked.name.clone()).into();
            }
        }
    }
    for name in needs {
        let name = prepared.renamed.get(name).unwrap_or(name);
        registered.depends.push(Dependency::any(name).into());
    }
    for owner in replaces.into_iter().flatten() {
        // The owner's next version must not stumble over the link that is ours now.
        if !registered.replaces.iter().any(|d| d.name == *owner) {
            registered.replaces.push(Dependency::any(owner.clone()));
        }
    }
    if prepared.native.is_opkg() {
        return Ok(InstalledRecord::new(registered));
    }
    let placed = package.items.iter().filter(|i| i.fate != Fate::Skip).map(|item| {
        let (uid, gid) = work.accounts.owner(&item.entry);
        Placed { entry: &item.entry, uid, gid, digest: item.digest }
    });
    InstalledRecord::for_package(&registered, placed, generation)
        .map_err(|source| Error::Package { package: package.title(), source: Box::new(source) })
}

/// What opkg keeps beside the metadata.
pub(super) fn opkg_entry(package: &Incoming<'_>, input: &ApplyInput<'_>, scripts: &Scripts) -> OpkgEntry {
    let foreign = package.is_foreign(input.native);
    let mut files = package.control.clone();
    let control = files.remove("control").unwrap_or_default();
    if foreign {
        // apk calls its scripts with other words at other times: opkg must never run them.
        files.clear();
    }
    let configuration = |path: &RelPath| Some((path.clone(), package.configuration.get(path)?.clone()));
    let conffiles: Vec<_> = package.conffiles.iter().filter_map(configuration).collect();
    if foreign && !conffiles.is_empty() {
        let lines: String = conffiles.iter().map(|(path, _)| format!("{path}\n")).collect();
        files.insert("conffiles".to_owned(), lines.into_bytes());
    }
    if foreign {
        // Removal by opkg itself still stops what the package started.
        files.extend(scripts.get(&ScriptKind::PreDeinstall).map(|text| ("prerm".to_owned(), text.clone())));
        let composed = package.adaptation.scripts.get(&ScriptKind::PostDeinstall).filter(|text| !text.is_empty());
        files.extend(composed.map(|text| ("postrm".to_owned(), text.clone())));
    }
    let paths = package.items.iter().filter(|i| i.fate != Fate::Skip && i.entry.kind != EntryKind::Dir);
    OpkgEntry {
        control: if foreign { Vec::new() } else { control },
        files,
        paths: paths.map(|i| i.entry.path.clone()).collect(),
        conffiles,
        explicit: package.step.explicit,
        held: foreign,
    }
}

pub(super) fn files(package: &Incoming<'_>) -> Files {
    let mut files = Files::default();
    // Another name of a file has its content: without a digest it would look changed when it goes.
    let named: BTreeMap<&RelPath, [u8; 20]> =
        package.items.iter().filter_map(|i| Some((&i.entry.path, i.digest?))).collect();
    let digest = |item: &Item| match &item.entry.kind {
        EntryKind::Hardlink(to) => item.digest.or_else(|| named.get(to).copied()),
        _ => item.digest,
    };
    for item in package.items.iter().filter(|i| i.fate != Fate::Skip) {
        let kind = match item.entry.kind {
            EntryKind::Dir => 'd',
            EntryKind::File | EntryKind::Hardlink(_) => 'f',
            EntryKind::Symlink(_) => 'l',
            _ => 'c',
        };
        files.add(kind, digest(item).as_ref(), &item.real);
    }
    files
}

/// Scripts that the native manager shall know: all of a native package, those of a foreign one that can run here.
pub(super) fn scripts(
    target: &dyn Target,
    prepared: &Prepared<'_>,
    package: &Incoming<'_>,
    native: Ecosystem,
    receipt: &mut Receipt,
) -> Result<Scripts> {
    let mut scripts = package.scripts.clone();
    if package.is_foreign(native) {
        for (kind, text) in &package.scripts {
            let text = String::from_utf8_lossy(text);
            match super::foreign::decide(target, prepared, package.step, Some(package), *kind, &text)? {
                Decision::Run(_) => continue,
                Decision::Skip(_) | Decision::Mapped(_) => {}
                Decision::CannotRun(why) => receipt.skipped.push((package.title(), *kind, why)),
            }
            scripts.remove(kind);
        }
    }
    Ok(scripts)
}
