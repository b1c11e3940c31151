//! Opens, clears and replays journals of a live root. Touches only what a journal names, and temporary names of its
//! transaction.

use std::fs::File;
use std::hash::{BuildHasher as _, Hasher as _};
use std::os::fd::AsFd;
use std::sync::Arc;

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, mkdirat, openat, renameat, unlinkat};
use rustix::io::Errno;
use xpkg_model::{Event, Observer, RelPath};

use super::journal::{self, LAYOUT, OLDEST, Op};
use super::runner::LiveRunner;
use super::stage::Tx;
use super::{commit, own_dir, walk};
use crate::scripts::{ScriptCall, ScriptRunner as _};
use crate::{Begin, Error, Result};

/// Deepest tree that a temporary directory can hold: more components do not fit into a path.
const MAX_DEPTH: usize = 2048;

fn failed(e: impl Into<std::io::Error>) -> Error {
    Error::io("opening the journal in", own_dir(), e)
}

/// Our own directory, host links followed, so that the rest can refuse links.
fn own_real(root: &Arc<OwnedFd>) -> Result<RelPath> {
    Ok(walk::walk(root, &own_dir(), true).map_err(failed)?.real)
}

/// Starts a journal and says in it where left-overs may lie.
pub(super) fn open_journal(root: &Arc<OwnedFd>, begin: &Begin, owners: bool) -> Result<Tx> {
    let path = own_real(root)?.join(b"journal").map_err(|e| Error::refused(own_dir(), e.to_string()))?;
    let mut dir = root.clone();
    let last = path.components().count();
    for (i, name) in path.components().enumerate() {
        let mode =
            if i + 1 == last { Mode::RWXU } else { Mode::RWXU | Mode::RGRP | Mode::XGRP | Mode::ROTH | Mode::XOTH };
        match mkdirat(&dir, name, mode) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(failed(e)),
        }
        dir = Arc::new(openat(&dir, name, walk::STAND, Mode::empty()).map_err(failed)?);
    }
    let id = format!("{:08x}", std::hash::RandomState::new().build_hasher().finish() as u32);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let name = format!("{id}.staging");
    let file = match openat(&dir, name.as_str(), flags, Mode::RUSR | Mode::WUSR) {
        Ok(fd) => File::from(fd),
        Err(e) => {
            tidy(root, &dir)?;
            return Err(failed(e));
        }
    };
    let mut tx = Tx::new(id, file, dir);
    let mut fill = || {
        tx.note(&Op::Begin { layout: LAYOUT, owners }, false)?;
        for dir in &begin.dirs {
            if tx.dirs.insert(dir.clone()) {
                tx.note(&Op::Dir { dir: dir.clone() }, false)?;
            }
        }
        tx.journal.flush().map_err(failed)
    };
    match fill() {
        Ok(()) => Ok(tx),
        Err(error) => {
            clear(root, &tx.journal_dir, &name)?;
            Err(error)
        }
    }
}

/// Removes a finished journal, and our directories when they are empty.
pub(super) fn clear(root: &Arc<OwnedFd>, journal_dir: &Arc<OwnedFd>, name: &str) -> Result<()> {
    match unlinkat(journal_dir, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(e) => return Err(failed(e)),
    }
    tidy(root, journal_dir)
}

fn tidy(root: &Arc<OwnedFd>, _journal_dir: &Arc<OwnedFd>) -> Result<()> {
    let own = own_real(root)?;
    if let Ok(journal) = own.join(b"journal") {
        remove_empty(root, &journal).map_err(failed)?;
    }
    remove_empty(root, &own).map_err(failed)
}

/// Removes a directory if it is empty; a full, missing or busy one is left.
pub(super) fn remove_empty(root: &Arc<OwnedFd>, path: &RelPath) -> Result<(), Errno> {
    let Some(parent) = path.parent() else { return Ok(()) };
    let dir = match walk::open_strict(root, &parent) {
        Ok(dir) => dir,
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(()),
        Err(e) => return Err(e),
    };
    match unlinkat(&dir, path.file_name(), AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOENT | Errno::NOTDIR | Errno::BUSY) => Ok(()),
        Err(e) => Err(e),
    }
}

/// Deletes what was staged: temporary names in the directories, then the directories that were made.
pub(super) fn undo<'a>(
    root: &Arc<OwnedFd>,
    id: &str,
    dirs: impl Iterator<Item = &'a RelPath>,
    made: &'a [RelPath],
) -> Result<()> {
    let prefix = format!(".xpkg-{id}-");
    for path in dirs.chain(made) {
        let dir = match walk::open_strict(root, path) {
            Ok(dir) => dir,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => continue,
            Err(e) => return Err(Error::io("opening", path, e)),
        };
        let failed = |e: Errno| Error::io("cleaning up in", path, e);
        for name in names(&dir).map_err(failed)? {
            if name.starts_with(prefix.as_bytes()) {
                remove_tree(&dir, &name, MAX_DEPTH).map_err(failed)?;
            }
        }
    }
    let mut made: Vec<_> = made.iter().collect();
    made.sort_unstable_by(|a, b| b.cmp(a));
    for path in made {
        remove_empty(root, path).map_err(|e| Error::io("removing", path, e))?;
    }
    Ok(())
}

/// Completes or undoes every transaction that was interrupted. Scripts that a committed one still owes are run.
pub(super) fn recover(root: &Arc<OwnedFd>, mut runner: Option<&mut LiveRunner>, observer: &dyn Observer) -> Result<()> {
    let own = own_real(root)?;
    sweep(root, &own).map_err(failed)?;
    let Ok(path) = own.join(b"journal") else { return Ok(()) };
    let dir = match walk::open_strict(root, &path) {
        Ok(dir) => dir,
        Err(Errno::NOENT) => return remove_empty(root, &own).map_err(failed),
        Err(e) => return Err(failed(e)),
    };
    for name in names(&dir).map_err(failed)? {
        let Ok(name) = String::from_utf8(name) else { continue };
        let Some((id, state @ ("committed" | "staging" | "scripts"))) = name.split_once('.') else { continue };
        let damaged = |reason: String| Error::Journal { file: format!("{path}/{name}"), reason };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(openat(&dir, name.as_str(), flags, Mode::empty()).map_err(failed)?);
        let ops = journal::read(file).map_err(damaged)?;
        let owners = match ops.first() {
            Some(Op::Begin { layout: OLDEST..=LAYOUT, owners }) => *owners,
            Some(_) => return Err(damaged("it is of another version of xpkg".to_owned())),
            None => false, // torn before its first line: nothing was staged
        };
        if state != "staging" {
            if state == "committed" {
                observer.event(Event::Warning("completing a transaction that was interrupted".to_owned()));
                commit::carry_out(root, id, &ops, owners, None)?;
            }
            let owed = owed(&ops).ok_or_else(|| damaged("a script in it can not be read".to_owned()))?;
            let from = if owed.is_empty() { name.clone() } else { owe(&dir, id, state).map_err(failed)? };
            pay(&dir, &from, &owed, runner.as_deref_mut(), observer)?;
            clear(root, &dir, &from)?;
            continue;
        } else {
            observer.event(Event::Warning("undoing a transaction that was interrupted".to_owned()));
            let dirs = ops.iter().filter_map(|op| if let Op::Dir { dir } = op { Some(dir) } else { None });
            let made = ops.iter().filter_map(|op| if let Op::Made { dir } = op { Some(dir.clone()) } else { None });
            undo(root, id, dirs, &made.collect::<Vec<_>>())?;
        }
        clear(root, &dir, &name)?;
    }
    tidy(root, &dir)
}

/// Removes script files that a killed process left: whoever holds the lock is alone.
fn sweep(root: &Arc<OwnedFd>, own: &RelPath) -> Result<(), Errno> {
    match walk::open_strict(root, own) {
        Ok(dir) => remove_tree(&dir, b"exec", MAX_DEPTH),
        Err(Errno::NOENT) => Ok(()),
        Err(e) => Err(e),
    }
}

/// Scripts that have not run yet.
fn owed(ops: &[Op]) -> Option<Vec<ScriptCall>> {
    let ran = ops.iter().filter(|op| matches!(op, Op::Ran)).count();
    let scripts = ops.iter().filter_map(|op| if let Op::Script(owed) = op { Some(owed.call()) } else { None });
    scripts.skip(ran).collect()
}

/// From now on only scripts are owed: what is already in place is not put there again. Answers the journal's new name.
pub(super) fn owe(dir: &Arc<OwnedFd>, id: &str, state: &str) -> Result<String, Errno> {
    let to = format!("{id}.scripts");
    if state != "scripts" {
        renameat(dir, format!("{id}.{state}").as_str(), dir, to.as_str())?;
    }
    Ok(to)
}

/// Opens a journal to note in it which scripts have run.
pub(super) fn append(dir: &Arc<OwnedFd>, name: &str) -> Result<journal::Writer, Errno> {
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(journal::Writer::new(File::from(openat(dir, name, flags, Mode::empty())?)))
}

/// Runs what a committed transaction owes. Each is noted when it has run; one that a crash cut off runs again, as it would
/// with apk or opkg.
fn pay(
    dir: &Arc<OwnedFd>,
    name: &str,
    owed: &[ScriptCall],
    runner: Option<&mut LiveRunner>,
    observer: &dyn Observer,
) -> Result<()> {
    if owed.is_empty() {
        return Ok(());
    }
    let Some(runner) = runner else {
        for call in owed {
            let text = format!("{} is still to be run, which needs root's rights; it is left out", call.title());
            observer.event(Event::Warning(text));
        }
        return Ok(());
    };
    let mut journal = append(dir, name).map_err(failed)?;
    for call in owed {
        observer.event(call.event());
        if let Err(reason) = runner.run(call, observer) {
            observer.event(Event::Warning(format!("{}: {reason}", call.title())));
        }
        journal.add(&Op::Ran).and_then(|()| journal.flush()).map_err(failed)?;
    }
    Ok(())
}

fn names(dir: &Arc<OwnedFd>) -> Result<Vec<Vec<u8>>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::new(walk::reopen(dir.as_fd())?)? {
        let name = entry?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Removes one of our temporary nodes, with its content when it is a directory.
fn remove_tree(dir: &Arc<OwnedFd>, name: &[u8], depth: usize) -> Result<(), Errno> {
    let Some(stat) = walk::stat(dir, name)? else { return Ok(()) };
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return unlinkat(dir, name, AtFlags::empty());
    }
    if depth > 0 {
        let inner = Arc::new(openat(dir, name, walk::STAND, Mode::empty())?);
        for name in names(&inner)? {
            remove_tree(&inner, &name, depth - 1)?;
        }
    }
    unlinkat(dir, name, AtFlags::REMOVEDIR)
}
