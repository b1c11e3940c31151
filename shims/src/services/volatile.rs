//! What a package keeps below `/var` and `/run` on a root that empties them at every start: what must last moves to a place
//! that does and is linked, the rest is made anew from a list. Reads entries; touches nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use xpkg_model::adaptation::{Added, AddedKind};
use xpkg_model::payload::{EntryKind, ScriptKind};
use xpkg_model::{Adaptation, Ecosystem, RelPath};

use super::{compose, path};
use crate::{Delivered, Foreign};

/// Where the lists lie; shell/openrc/functions.sh carries them out.
pub const LISTS: &str = "usr/lib/xpkg/volatile";
/// What the Filesystem Hierarchy Standard (3.0, 5.8 and 5.14) says must last.
const LASTING: [&str; 2] = ["var/lib", "var/spool"];
/// What is gone after a restart.
const VOLATILE: [&str; 2] = ["var", "run"];
/// How many lines one list has.
const MAX_LINES: usize = 512;

/// Adds to `adaptation` what this package's directories ask for. Only for roots whose `/var` is memory.
pub fn translate(foreign: &Foreign<'_>, adaptation: &mut Adaptation) {
    let package = foreign.package;
    let mut lasting: BTreeMap<RelPath, RelPath> = BTreeMap::new();
    let (mut list, mut unlink) = (String::new(), String::new());
    let mut lines = 0;
    let mut lost: Vec<&Delivered> = Vec::new();
    let mut dropped = BTreeSet::new();
    for entry in foreign.files.iter().filter(|e| is_volatile(&e.path)) {
        if let Some(top) = top_of_lasting(&entry.path) {
            if let Some(to) = kept(package.ecosystem, &top) {
                lasting.insert(top, to);
            }
            continue;
        }
        match entry.kind {
            // `/var/lib` itself and the like are the root's own.
            EntryKind::Dir if entry.path.components().count() < 2 => {}
            EntryKind::Dir if LASTING.iter().any(|l| entry.path == RelPath::literal(l)) => {}
            EntryKind::Dir if lines < MAX_LINES && is_plain(&entry.path) => {
                lines += 1;
                let (user, group) = (foreign.owner)(&entry.path).unwrap_or_default();
                let (user, group) = (owner(&user), owner(&group));
                let _ = writeln!(list, "d {:04o} {user} {group} {}", entry.mode & 0o7777, entry.path);
            }
            EntryKind::Dir => {}
            _ => lost.push(entry),
        }
        // A package's own `/run` would become a directory that lasts.
        if entry.path.starts_with(&RelPath::literal("run")) {
            dropped.insert(RelPath::literal("run"));
        }
    }
    for (from, to) in lasting.into_iter().filter(|_| lines < MAX_LINES) {
        let _ = writeln!(list, "l {to} {from}");
        let _ = writeln!(unlink, "[ ! -L {from} ] || rm -f {from}");
        adaptation.moved.insert(from, to);
    }
    // The links are nobody's but ours: they go with the package, whoever removes it.
    let own = foreign.scripts.get(&ScriptKind::PreDeinstall).map(Vec::as_slice);
    if !unlink.is_empty() {
        compose::add(&mut adaptation.scripts, own, ScriptKind::PreDeinstall, &unlink, true);
    }
    for at in dropped {
        adaptation.left_out.insert(at, "made at every start".to_owned());
    }
    if let Some(entry) = lost.first() {
        let more = if lost.len() > 1 { format!(" and {} more", lost.len() - 1) } else { String::new() };
        adaptation.notes.push(format!("{}{more} lies in memory here and is gone after a restart", entry.path));
    }
    let named = path(&format!("{LISTS}/{}", package.name)).filter(|_| !list.is_empty());
    if let Some(at) = named {
        adaptation.added.push(Added { path: at, kind: AddedKind::File(list.into_bytes()), mode: 0o644 });
    }
}

fn is_volatile(path: &RelPath) -> bool {
    VOLATILE.iter().any(|dir| path.starts_with(&RelPath::literal(dir)))
}

/// `var/lib/chrony` of `var/lib/chrony/drift`.
fn top_of_lasting(path: &RelPath) -> Option<RelPath> {
    let dir = LASTING.iter().map(|l| RelPath::literal(l)).find(|l| path.starts_with(l) && path != l)?;
    let top = path.components().nth(dir.components().count())?;
    dir.join(top).ok().filter(is_plain)
}

fn kept(ecosystem: Ecosystem, top: &RelPath) -> Option<RelPath> {
    path(&format!("usr/lib/xpkg/{ecosystem}{top}"))
}

/// A path that a line of the list can hold.
fn is_plain(path: &RelPath) -> bool {
    path.as_bytes().iter().all(|b| b.is_ascii_graphic() && !b"'\"\\$`*?[".contains(b))
}

/// A name that a line can hold; what nobody owns is root's.
fn owner(name: &str) -> &str {
    let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    if plain { name } else { "root" }
}

#[cfg(test)]
mod tests {
    use super::super::testing::translated;
    use super::*;

    #[test]
    fn what_lasts_is_linked_and_the_rest_made_anew() {
        let files = [
            ("usr/sbin/chronyd", EntryKind::File),
            ("var", EntryKind::Dir),
            ("var/lib", EntryKind::Dir),
            ("var/lib/chrony", EntryKind::Dir),
            ("var/lib/chrony/keys", EntryKind::File),
            ("var/log/chrony", EntryKind::Dir),
            ("run/chrony", EntryKind::Dir),
            ("var/empty/$(x)", EntryKind::Dir),
            ("var/cache/made", EntryKind::File),
        ];
        let adaptation = translated("chrony", &files, &[], &[("/var", "/tmp")]);
        let to = RelPath::literal("usr/lib/xpkg/alpine/var/lib/chrony");
        assert_eq!(adaptation.moved, [(RelPath::literal("var/lib/chrony"), to)].into());
        assert_eq!(adaptation.left_out.keys().map(ToString::to_string).collect::<Vec<_>>(), ["/run"]);
        let [added] = adaptation.added.as_slice() else { unreachable!("{:?}", adaptation.added) };
        assert_eq!(added.path, RelPath::literal("usr/lib/xpkg/volatile/chrony"));
        let AddedKind::File(text) = &added.kind else { unreachable!() };
        let want = "d 0755 chrony chrony /var/log/chrony\nd 0755 chrony chrony /run/chrony\n\
            l /usr/lib/xpkg/alpine/var/lib/chrony /var/lib/chrony\n";
        assert_eq!(String::from_utf8_lossy(text), want);
        let script = adaptation.scripts.get(&ScriptKind::PreDeinstall).unwrap();
        assert!(String::from_utf8_lossy(script).contains("rm -f /var/lib/chrony\n"));
        assert_eq!(adaptation.notes, ["/var/cache/made lies in memory here and is gone after a restart"]);
    }

    #[test]
    fn only_where_var_is_memory() {
        let files = [("var/lib/chrony", EntryKind::Dir)];
        assert!(translated("chrony", &files, &[], &[("/var", "/var")]).is_nothing());
        let files = [("usr/bin/jq", EntryKind::File), ("var", EntryKind::Dir)];
        assert!(translated("jq", &files, &[], &[("/var", "/tmp")]).is_nothing());
    }
}
