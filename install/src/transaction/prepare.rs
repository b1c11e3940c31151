//! The reading half of a transaction: what comes, what goes, who owns what, whether it fits. Changes nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use xpkg_formats::apk::db::{InstalledRecord, Script};
use xpkg_model::payload::{Entry, EntryKind, ScriptKind};
use xpkg_model::plan::Step;
use xpkg_model::root::{NodeKind, RootView};
use xpkg_model::{Action, Ecosystem, RelPath};

use super::ApplyInput;
use super::outgoing::{Claims, OldFile, Outgoing, Removals, Rules, removals};
use super::survey::{Fate, Incoming, Item, Origin, Places, resolve, survey};
use crate::conflicts::{Decided, Judge, decide, look_at};
use crate::native::{Native, opkg};
use crate::protect::Protected;
use crate::state::State;
use crate::{Error, Need, Result, Target};

/// What is known before the first byte is written.
pub(crate) struct Prepared<'a> {
    pub native: Native,
    pub state: State,
    pub incoming: Vec<Incoming<'a>>,
    pub outgoing: Outgoing,
    pub removals: Removals,
    pub decided: Decided,
    /// Scripts of what goes.
    pub scripts: Vec<Script>,
    /// Registered names of outgoing packages by step.
    pub gone: BTreeMap<(Ecosystem, String), String>,
    /// Directories in which something is staged.
    pub dirs: BTreeSet<RelPath>,
    /// Names of foreign packages that have another name in the native database.
    pub renamed: BTreeMap<String, String>,
    /// Foreign packages that the native manager removed since they were ours.
    pub vanished: BTreeSet<(Ecosystem, String)>,
    /// Packages that stay, under the names that the native database has for them.
    pub staying: opkg::Neighbours,
    /// Removal scripts of foreign packages that opkg's database keeps: `prerm`.
    pub foreign_prerm: BTreeMap<String, Vec<u8>>,
    /// The same: `postrm`.
    pub foreign_postrm: BTreeMap<String, Vec<u8>>,
    /// What decides about foreign scripts; none are read where nothing foreign comes or goes.
    pub foreign_rules: xpkg_shims::Rules,
    /// What is appended to the name of configuration that is put beside a changed file.
    pub suffix: &'static str,
}

/// As apk's limit for its own.
const MAX_SCRIPT: u64 = 262_144;
/// A block of most file systems that roots are on: what a small file takes.
const BLOCK: u64 = 4096;

pub(super) fn prepare<'a>(target: &dyn Target, input: &ApplyInput<'a>) -> Result<Prepared<'a>> {
    let root: &dyn RootView = target;
    let native = Native::detect(root, input.native)?.ok_or_else(|| {
        let text = "it has no database of apk or opkg (/lib/apk/db/installed, /usr/lib/opkg/status)";
        Error::Plan(text.to_owned())
    })?;
    let mut state = State::load(root)?;
    let is_foreign = |step: &Step| step.package.ecosystem != input.native;
    let foreign_rules = match input.plan.steps.iter().any(is_foreign) {
        true => xpkg_shims::Rules::of_root(root).map_err(Error::Rules)?,
        false => xpkg_shims::Rules::default(),
    };

    // One pass: what goes, and whether our own memory is still true.
    let gone = gone_names(input, &state);
    let gone_set: BTreeSet<&String> = gone.values().collect();
    let incoming_names: BTreeSet<&str> = input.plan.incoming().map(|s| s.package.name.as_str()).collect();
    let mut records: BTreeMap<String, InstalledRecord> = BTreeMap::new();
    let mut alive: BTreeSet<(Ecosystem, String)> = BTreeSet::new();
    let mut native_names: BTreeSet<String> = BTreeSet::new();
    native.each(root, &mut |record| {
        let name = record.package.name.clone();
        let foreign = state.registered(&name).filter(|f| same_identity(&f.package, &record));
        match foreign {
            Some(foreign) => _ = alive.insert((foreign.package.ecosystem, foreign.package.name.clone())),
            None if incoming_names.contains(name.as_str()) && !gone_set.contains(&name) => {
                native_names.insert(name.clone());
            }
            None => {}
        }
        if gone_set.contains(&name) {
            records.insert(name, record);
        }
        Ok(())
    })?;
    // What the native manager removed or replaced in the meantime is no longer ours.
    let vanished = state.packages.keys().filter(|key| !alive.contains(*key)).cloned().collect();
    state.packages.retain(|key, _| alive.contains(key));
    for step in input.plan.steps.iter().filter(|s| s.action != Action::Install) {
        let old = step.old.as_deref().unwrap_or(&step.package);
        let name = gone.get(&(old.ecosystem, old.name.clone()));
        if name.is_none_or(|name| !records.contains_key(name)) {
            return Err(Error::Plan(format!("{} is not installed", old.key())));
        }
    }

    for step in input.plan.steps.iter().filter(|s| s.action == Action::Install) {
        let package = &step.package;
        let native_there = package.ecosystem == input.native && native_names.contains(&package.name);
        if native_there || alive.contains(&(package.ecosystem, package.name.clone())) {
            return Err(Error::Plan(format!("{}:{} is installed already", package.ecosystem, package.name)));
        }
    }

    let mut incoming = survey(input.plan.incoming(), input.sources, input.adaptations)?;
    let renamed = register_names(&mut incoming, &state, &native_names, input);
    add_sidecars(root, &mut incoming, input.native)?;
    let foreign_conffiles = |package: &Incoming<'_>| {
        let configuration = package.items.iter().filter(|i| is_configuration(&i.entry));
        configuration.map(|i| i.entry.path.clone()).collect()
    };
    if native.is_opkg() {
        for package in incoming.iter_mut().filter(|p| p.is_foreign(input.native)) {
            package.conffiles = foreign_conffiles(package);
        }
    }

    let outgoing = Outgoing::new(records, &mut Places::new(root, BTreeSet::new()), &native, &state)?;
    let dirs_that_come: HashSet<&RelPath> = incoming
        .iter()
        .flat_map(|p| p.items.iter().filter(|i| i.entry.kind == EntryKind::Dir).map(|i| &i.entry.path))
        .collect();
    let replaced = outgoing.files.iter().filter(|(_, old)| dirs_that_come.contains(&old.path));
    let mut places = Places::new(root, replaced.map(|(real, _)| real.clone()).collect());
    resolve(&mut incoming, &mut places)?;
    let in_memory = places.in_memory(&incoming);
    let mut needs = needs(&incoming);
    needs.extend(databases(root, &native, &incoming)?);
    target.check_space(&needs)?;

    // A second pass: owners of what comes, and claims of those who stay on what goes.
    let wanted: HashMap<RelPath, ()> = incoming.iter().flat_map(|p| &p.items).map(|i| (i.real.clone(), ())).collect();
    let (mut owners, mut claims) = (HashMap::new(), Claims::default());
    let mut staying = Vec::new();
    native.each(root, &mut |record| {
        if gone_set.contains(&record.package.name) {
            return Ok(());
        }
        let ecosystem = state.registered(&record.package.name).map_or(input.native, |f| f.package.ecosystem);
        look_at(&record, ecosystem, &mut places, &wanted, &outgoing, &mut owners, &mut claims)?;
        if native.is_opkg() {
            let own_words = state.registered(&record.package.name).map(|f| f.package.clone());
            staying.push((record.package.name.clone(), own_words.unwrap_or(record.package)));
        }
        Ok(())
    })?;
    let protected = match native {
        Native::Apk(_) => Protected::load(root)?,
        Native::Opkg(_) => {
            let named = incoming.iter().flat_map(|p| p.conffiles.iter().cloned());
            // With digests in the database: configuration of what goes.
            let foreign = |old: &OldFile| state.registered(&old.package).is_some();
            let old = outgoing.files.values().filter(|old| old.file.digest.is_some() && !foreign(old));
            Protected::Conffiles(named.chain(old.map(|old| old.path.clone())).collect())
        }
    };
    let alternatives = match native {
        Native::Opkg(_) => staying
            .iter()
            .flat_map(|(_, p)| links(p))
            .chain(outgoing.records.values().flat_map(|r| links(&r.package)))
            .collect(),
        Native::Apk(_) if input.native == Ecosystem::Openwrt => alternatives(root)?,
        Native::Apk(_) => BTreeSet::new(),
    };
    let judge = Judge {
        root,
        native: input.native,
        options: &input.options,
        protected: &protected,
        outgoing: &outgoing,
        owners,
        alternatives,
        opkg: native.is_opkg(),
    };
    let mut decided = decide(&judge, &mut incoming)?;
    decided.notes.extend(in_memory);
    if let Native::Opkg(opkg) = native {
        for name in outgoing.records.keys() {
            if !opkg.has_list(root, name)? {
                decided.notes.push(format!("/{}/{name}.list is missing: the files of the old {name} stay", opkg::INFO));
            }
        }
    }

    let mut delivered: HashSet<RelPath> = HashSet::new();
    for item in incoming.iter().flat_map(|p| &p.items).filter(|i| i.fate != Fate::Skip) {
        delivered.extend(item.real.ancestors());
        delivered.insert(item.real.clone());
    }
    let is_foreign = |name: &str| {
        let by_name = state.registered(name);
        by_name.is_some()
    };
    let rules = Rules {
        native: &native,
        protected: &protected,
        state: &state,
        delivered: &|path| delivered.contains(path),
        foreign: &is_foreign,
        last_foreign: !input.plan.brings_foreign(input.native)
            && state.packages.values().all(|p| outgoing.records.contains_key(&p.registered)),
        purge: input.options.purge,
    };
    let removals = removals(root, &outgoing, &claims, &rules)?;
    let scripts = old_scripts(root, &native, &outgoing)?;
    let dirs = staging_dirs(root, &native, &incoming)?;
    let [mut foreign_prerm, mut foreign_postrm] = [BTreeMap::new(), BTreeMap::new()];
    if let Native::Opkg(opkg) = native {
        for name in outgoing.records.keys().filter(|name| is_foreign(name)) {
            for (word, kept) in [("prerm", &mut foreign_prerm), ("postrm", &mut foreign_postrm)] {
                let Some(path) = opkg.script(root, name, word)? else { continue };
                let text = root.read(&path, MAX_SCRIPT).map_err(|e| Error::io("reading", &path, e))?;
                kept.extend(text.map(|text| (name.clone(), text)));
            }
        }
    }
    Ok(Prepared {
        native,
        state,
        incoming,
        outgoing,
        removals,
        decided,
        scripts,
        gone,
        dirs,
        renamed,
        vanished,
        staying,
        foreign_prerm,
        foreign_postrm,
        foreign_rules,
        suffix: protected.suffix(),
    })
}

/// The identity in the database is that of the package we put there.
fn same_identity(package: &xpkg_model::Package, record: &InstalledRecord) -> bool {
    match (&package.identity, &record.package.identity) {
        (Some(ours), Some(theirs)) => ours.prefix() == theirs.prefix(),
        _ => true,
    }
}

fn gone_names(input: &ApplyInput<'_>, state: &State) -> BTreeMap<(Ecosystem, String), String> {
    let steps = input.plan.steps.iter().filter(|s| s.action != Action::Install);
    steps
        .map(|s: &Step| {
            let old = s.old.as_deref().unwrap_or(&s.package);
            let key = (old.ecosystem, old.name.clone());
            let name = state.native_name(old.ecosystem, &old.name).to_owned();
            (key, name)
        })
        .collect()
}

/// A foreign package whose name a native one has gets a name of its own in the native database.
fn register_names(
    incoming: &mut [Incoming<'_>],
    state: &State,
    native_names: &BTreeSet<String>,
    input: &ApplyInput<'_>,
) -> BTreeMap<String, String> {
    let mut taken = native_names.clone();
    taken.extend(incoming.iter().filter(|p| !p.is_foreign(input.native)).map(|p| p.package().name.clone()));
    let mut renamed: BTreeMap<String, String> = state
        .packages
        .iter()
        .filter(|((_, name), p)| *name != p.registered)
        .map(|((_, name), p)| (name.clone(), p.registered.clone()))
        .collect();
    for package in incoming.iter_mut().filter(|p| p.is_foreign(input.native)) {
        let (ecosystem, name) = (package.package().ecosystem, package.package().name.clone());
        let known = state.packages.get(&(ecosystem, name.clone())).map(|p| p.registered.clone());
        package.registered = match known {
            Some(known) => known,
            None if taken.contains(&name) => format!("xpkg-{ecosystem}-{name}"),
            None => name.clone(),
        };
        if package.registered != name {
            renamed.insert(name, package.registered.clone());
        }
    }
    renamed
}

/// OpenWrt's sysupgrade finds configuration through files beside the database: a foreign package with configuration gets
/// them too (openwrt package-pack.mk: conffiles, conffiles_static).
fn add_sidecars(root: &dyn RootView, incoming: &mut [Incoming<'_>], native: Ecosystem) -> Result<()> {
    let dir = RelPath::literal("lib/apk/packages");
    let there = root.node(&dir).map_err(|e| Error::io("reading", &dir, e))?.is_some();
    if native != Ecosystem::Openwrt || !there {
        return Ok(());
    }
    for package in incoming.iter_mut().filter(|p| p.is_foreign(native)) {
        if !package.items.iter().any(|item| is_configuration(&item.entry)) {
            continue;
        }
        for kind in ["conffiles", "conffiles_static"] {
            let name = format!("{}.{kind}", package.registered);
            let path = dir.join(name.as_bytes()).map_err(|e| Error::refused(&name, e.to_string()))?;
            let entry = Entry::new(path.clone(), EntryKind::File, 0o644);
            package.items.push(Item { entry, real: path, fate: Fate::Write, digest: None, origin: Origin::Sidecar });
        }
    }
    Ok(())
}

/// What a system upgrade should carry over when it was changed.
pub(crate) fn is_configuration(entry: &Entry) -> bool {
    let below = |dir| entry.path.starts_with(&RelPath::literal(dir));
    entry.kind == EntryKind::File
        && below("etc")
        && !below("etc/init.d")
        && !below("etc/apk")
        && entry.mode & 0o111 == 0
}

fn needs(incoming: &[Incoming<'_>]) -> Vec<Need> {
    let mut by_dir: BTreeMap<RelPath, (u64, u64)> = BTreeMap::new();
    for item in incoming.iter().flat_map(|p| &p.items) {
        let Some(dir) = item.real.parent() else { continue };
        let need = by_dir.entry(dir).or_default();
        need.0 = need.0.saturating_add(match item.entry.kind {
            EntryKind::Dir => BLOCK,
            _ => item.entry.size.div_ceil(BLOCK).saturating_mul(BLOCK),
        });
        need.1 += u64::from(!matches!(item.entry.kind, EntryKind::Hardlink(_)));
    }
    by_dir.into_iter().map(|(dir, (bytes, inodes))| Need { dir, bytes, inodes }).collect()
}

/// The native databases are written anew before the old ones go.
fn databases(root: &dyn RootView, native: &Native, incoming: &[Incoming<'_>]) -> Result<Option<Need>> {
    let Some(dir) = native.dirs().first() else { return Ok(None) };
    let dir = RelPath::literal(dir);
    let failed = |e| Error::io("reading", &dir, e);
    let dir = root.real_path(&dir, true).map_err(failed)?;
    let mut bytes = 0;
    for name in root.list(&dir).map_err(failed)? {
        let path = dir.join(&name).map_err(|e| Error::refused(&dir, e.to_string()))?;
        let node = root.node(&path).map_err(failed)?.filter(|n| n.kind == NodeKind::File);
        bytes += node.map_or(0, |n| n.size.saturating_add(BLOCK));
    }
    // opkg keeps some small files of each package.
    let each = incoming.len() as u64;
    let (blocks, inodes) = if native.is_opkg() { (each * 5 * BLOCK, each * 5) } else { (0, 0) };
    // A path takes a line for itself and one or two more, here and in our own state.
    let lines: u64 = incoming.iter().flat_map(|p| &p.items).map(|i| 128 + i.entry.path.as_bytes().len() as u64).sum();
    Ok(Some(Need { dir, bytes: bytes + lines + blocks, inodes: inodes + 6 }))
}

/// Paths of the links that OpenWrt's alternatives make: the middle words of `prio:link:target`.
fn alternatives(root: &dyn RootView) -> Result<BTreeSet<RelPath>> {
    let dir = RelPath::literal("lib/apk/packages");
    let failed = |e| Error::io("reading", &dir, e);
    let mut links = BTreeSet::new();
    for name in root.list(&dir).map_err(failed)?.iter().filter(|n| n.ends_with(b".alternatives")) {
        let Ok(path) = dir.join(name) else { continue };
        let text = root.read(&path, 1 << 20).map_err(failed)?.unwrap_or_default();
        for word in String::from_utf8_lossy(&text).split_ascii_whitespace() {
            links.extend(word.split(':').nth(1).and_then(|link| RelPath::from_absolute(link).ok()));
        }
    }
    Ok(links)
}

/// Paths of the alternatives links of one opkg package.
fn links(package: &xpkg_model::Package) -> impl Iterator<Item = RelPath> + '_ {
    package.opkg.iter().flat_map(|opkg| &opkg.alternatives).map(|a| a.link.clone())
}

fn old_scripts(root: &dyn RootView, native: &Native, outgoing: &Outgoing) -> Result<Vec<Script>> {
    let ids: BTreeSet<[u8; 20]> =
        outgoing.records.values().filter_map(|r| r.package.identity.map(|id| id.prefix())).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    native.scripts(root, &mut |id, kind| {
        ids.contains(id) && matches!(kind, ScriptKind::PreDeinstall | ScriptKind::PostDeinstall)
    })
}

/// Directories of the databases, resolved.
pub(super) fn database_dirs(root: &dyn RootView, native: &Native) -> Result<Vec<RelPath>> {
    let dirs = native.dirs().iter().map(|dir| RelPath::literal(dir));
    dirs.map(|dir| root.real_path(&dir, true).map_err(|e| Error::io("resolving", &dir, e))).collect()
}

/// Every directory that recovery has to search: where items land, and where databases and state are.
fn staging_dirs(root: &dyn RootView, native: &Native, incoming: &[Incoming<'_>]) -> Result<BTreeSet<RelPath>> {
    let mut dirs: BTreeSet<RelPath> =
        incoming.iter().flat_map(|p| &p.items).filter_map(|item| item.real.parent()).collect();
    let own = ["etc", "etc/xpkg", "usr/lib/xpkg"];
    for dir in native.dirs().iter().chain(&own).map(|dir| RelPath::literal(dir)) {
        dirs.insert(root.real_path(&dir, true).map_err(|e| Error::io("resolving", &dir, e))?);
    }
    Ok(dirs)
}
