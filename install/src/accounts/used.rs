//! Whether anything on a root still is an account's: files, processes, other packages. Reads only.

use std::collections::{BTreeMap, BTreeSet};

use xpkg_model::RelPath;
use xpkg_model::accounts::Account;
use xpkg_model::payload::ScriptKind;
use xpkg_model::root::NodeKind;

use super::MAX_FILE;
use super::required::LISTS;
use crate::state::Kind;
use crate::transaction::stage::Work;
use crate::{Error, Result, Target};

/// How many paths are looked at: a router has five thousand, and who has more keeps the account.
const MAX_PATHS: usize = 200_000;
/// What no account's files last in: kernel views, and memory that is emptied at every start.
const PASSING: [&str; 5] = ["proc", "sys", "dev", "run", "tmp"];
/// A process tells who it is in two kilobytes.
const MAX_STATUS: u64 = 16 << 10;

/// Why each of these accounts must stay; those that nothing uses are not in the answer.
pub(super) fn uses(
    target: &dyn Target,
    work: &Work<'_>,
    accounts: &[(Kind, String, u32)],
) -> Result<BTreeMap<(Kind, String), String>> {
    let mut uses = BTreeMap::new();
    let mut say = |kind: Kind, name: &str, why: String| {
        uses.entry((kind, name.to_owned())).or_insert(why);
    };
    for (package, account) in required_by_others(target, work)? {
        let user = account.user.iter().map(|u| (Kind::User, &u.name));
        for (kind, name) in user.chain(account.groups().map(|g| (Kind::Group, &g.name))) {
            if accounts.iter().any(|(k, n, _)| *k == kind && n == name) {
                say(kind, name, format!("{package} needs it too"));
            }
        }
    }
    let by_number: BTreeMap<(Kind, u32), &str> = accounts.iter().map(|(k, n, id)| ((*k, *id), n.as_str())).collect();
    for (pid, ids) in processes(target)? {
        for (kind, id) in ids {
            if let Some(name) = by_number.get(&(kind, id)) {
                say(kind, name, format!("process {pid} runs with it"));
            }
        }
    }
    let complete = files(target, work, &mut |path, kind, id| {
        if let Some(name) = by_number.get(&(kind, id)) {
            say(kind, name, format!("{path} is its own"));
        }
    })?;
    if !complete {
        let why = || format!("there are more than {MAX_PATHS} paths, and any of them may be its own");
        accounts.iter().for_each(|(kind, name, _)| say(*kind, name, why()));
    }
    Ok(uses)
}

/// What packages that stay require, as their lists and scripts say.
fn required_by_others(target: &dyn Target, work: &Work<'_>) -> Result<Vec<(String, Account)>> {
    let mut out: Vec<(String, Account)> = Vec::new();
    for (name, package) in &work.neighbours {
        let accounts = Account::required(package.opkg.as_deref(), "");
        out.extend(accounts.into_iter().map(|account| (name.clone(), account)));
    }
    let dir = RelPath::literal(LISTS);
    let failed = |e| Error::io("reading", &dir, e);
    for name in target.list(&dir).map_err(failed)? {
        let Some(package) = name.strip_suffix(b".rusers") else { continue };
        let Ok(path) = dir.join(&name) else { continue };
        if work.prepared.outgoing.files.contains_key(&path) {
            continue;
        }
        let text = target.read(&path, MAX_FILE).map_err(failed)?.unwrap_or_default();
        let package = String::from_utf8_lossy(package).into_owned();
        let text = String::from_utf8_lossy(&text).into_owned();
        let accounts = Account::required(None, &text);
        out.extend(accounts.into_iter().map(|account| (package.clone(), account)));
    }
    let going = work.prepared.outgoing.records.values().filter_map(|r| r.package.identity.map(|id| id.prefix()));
    let going: BTreeSet<[u8; 20]> = going.collect();
    let scripts = work.prepared.native.scripts(target, &mut |id, kind| {
        !going.contains(id) && matches!(kind, ScriptKind::PreInstall | ScriptKind::PreUpgrade)
    })?;
    for script in scripts {
        let accounts = xpkg_shims::accounts::from_script(&String::from_utf8_lossy(&script.content)).0;
        out.extend(accounts.into_iter().map(|account| (script.owner.clone(), account)));
    }
    Ok(out)
}

/// Users and groups by number.
type Numbers = BTreeSet<(Kind, u32)>;

/// Processes of the root, as far as its `/proc` shows them: number, and the numbers they run with.
fn processes(root: &dyn Target) -> Result<Vec<(u32, Numbers)>> {
    let dir = RelPath::literal("proc");
    let mut out = Vec::new();
    for name in root.list(&dir).map_err(|e| Error::io("reading", &dir, e))? {
        let Some(pid) = std::str::from_utf8(&name).ok().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // A process may end while it is looked at.
        let path = dir.join(&name).and_then(|dir| dir.join(b"status"));
        let Some(text) = path.ok().and_then(|path| root.read(&path, MAX_STATUS).ok().flatten()) else { continue };
        let text = String::from_utf8_lossy(&text);
        let mut ids = BTreeSet::new();
        for line in text.lines() {
            let (kind, numbers) =
                match (line.strip_prefix("Uid:"), line.strip_prefix("Gid:"), line.strip_prefix("Groups:")) {
                    (Some(numbers), ..) => (Kind::User, numbers),
                    (_, Some(numbers), _) | (.., Some(numbers)) => (Kind::Group, numbers),
                    _ => continue,
                };
            ids.extend(numbers.split_ascii_whitespace().filter_map(|n| Some((kind, n.parse().ok()?))));
        }
        out.push((pid, ids));
    }
    Ok(out)
}

/// Calls `each` with the owner and group of everything that stays on the root. Answers whether that was everything.
fn files(target: &dyn Target, work: &Work<'_>, each: &mut dyn FnMut(&RelPath, Kind, u32)) -> Result<bool> {
    let prepared = &work.prepared;
    let removals: BTreeSet<&RelPath> = prepared.removals.files.iter().chain(&prepared.removals.dirs).collect();
    let empty = |path: &RelPath| target.list(path).is_ok_and(|names| names.is_empty());
    // A home that was made for the account and holds nothing goes with it.
    let going = |path: &RelPath| removals.contains(path) || (prepared.state.made.contains(path) && empty(path));
    let passing = PASSING.map(RelPath::literal);
    let mut todo = vec![RelPath::root()];
    let mut seen = 0_usize;
    while let Some(dir) = todo.pop() {
        let failed = |e| Error::io("reading", &dir, e);
        for name in target.list(&dir).map_err(failed)? {
            let Ok(path) = dir.join(&name) else { continue };
            if passing.contains(&path) {
                continue;
            }
            seen += 1;
            let Some(node) = target.node(&path).map_err(failed)? else { continue };
            if seen > MAX_PATHS {
                return Ok(false);
            }
            if !going(&path) {
                each(&path, Kind::User, node.uid);
                each(&path, Kind::Group, node.gid);
            }
            if node.kind == NodeKind::Dir {
                todo.push(path);
            }
        }
    }
    Ok(true)
}
