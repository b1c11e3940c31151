//! Makes a staged transaction real, and the [`Target`] face of a live root. The marker decides: before it nothing has
//! changed, after it every change can be repeated until all are done.

use std::collections::HashSet;
use std::io::Read;
use std::os::fd::AsFd;
use std::sync::Arc;

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, fsync, openat, readlinkat, renameat, syncfs, unlinkat};
use rustix::io::Errno;
use xpkg_model::root::Node;
use xpkg_model::{Observer, RelPath};

use super::journal::{self, Op};
use super::stage::{dress, temp_path};
use super::{After, Failpoint, LiveRoot, Ownership, lock, recover, space, view, walk};
use crate::scripts::{ScriptCall, ScriptRunner};
use crate::{Begin, Error, Meta, Need, Result, Special, Staged, Target};

impl Target for LiveRoot {
    fn lock(&mut self) -> Result<()> {
        if self.locks.is_none() {
            self.locks = Some(lock::Locks::take(&self.root)?);
        }
        Ok(())
    }

    fn recover(&mut self, observer: &dyn Observer) -> Result<()> {
        recover::recover(&self.root, self.runner.as_mut(), observer)
    }

    fn check_space(&self, needs: &[Need]) -> Result<()> {
        space::check(&self.root, needs)
    }

    fn begin(&mut self, begin: &Begin) -> Result<()> {
        if self.tx.is_some() {
            return Err(Error::Plan("a transaction is already open".to_owned()));
        }
        self.tx = Some(recover::open_journal(&self.root, begin, self.ownership == Ownership::Apply)?);
        self.fail_at(Failpoint::Begun, "begin")
    }

    fn stage_file(&mut self, path: &RelPath, meta: &Meta, content: &mut dyn Read) -> Result<Staged> {
        self.put_file(path, meta, content)
    }

    fn stage_dir(&mut self, path: &RelPath, meta: &Meta, replace: bool) -> Result<Staged> {
        self.put_dir(path, meta, replace)
    }

    fn stage_symlink(&mut self, path: &RelPath, target: &[u8], meta: &Meta) -> Result<Staged> {
        self.put_symlink(path, target, meta)
    }

    fn stage_hardlink(&mut self, path: &RelPath, to: &RelPath) -> Result<Staged> {
        self.put_hardlink(path, to)
    }

    fn stage_special(&mut self, path: &RelPath, special: Special, meta: &Meta) -> Result<Staged> {
        self.put_special(path, special, meta)
    }

    fn stage_remove(&mut self, path: &RelPath) -> Result<()> {
        self.put_op(Op::Remove { path: path.clone() })
    }

    fn stage_attributes(&mut self, path: &RelPath, meta: &Meta) -> Result<()> {
        let xattrs = journal::pack_xattrs(&meta.xattrs);
        let Meta { mode, uid, gid, mtime, .. } = *meta;
        self.put_op(Op::Attributes { path: path.clone(), mode, uid, gid, mtime, xattrs })
    }

    fn set_owner(&mut self, path: &RelPath, uid: u32, gid: u32) -> Result<()> {
        self.change_owner(path, uid, gid)
    }

    fn staged(&self, path: &RelPath) -> Result<Option<Node>> {
        let Some((dir, name)) = self.find_staged(path)? else { return Ok(None) };
        let failed = |e: Errno| Error::io("reading", path, e);
        let Some(stat) = walk::stat(&dir, &name).map_err(failed)? else { return Ok(None) };
        let link = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Symlink => readlinkat(&dir, &*name, Vec::new()).map_err(failed)?.into_bytes(),
            _ => Vec::new(),
        };
        Ok(Some(view::to_node(&stat, link)))
    }

    fn open_staged(&self, path: &RelPath) -> Result<Option<Box<dyn Read + Send>>> {
        let Some((dir, name)) = self.find_staged(path)? else { return Ok(None) };
        let file = view::open_regular(&dir, &name).map_err(|e| Error::io("opening", path, e))?;
        Ok(file.map(|file| Box::new(file) as Box<dyn Read + Send>))
    }

    fn script_runner(&mut self) -> Option<&mut dyn ScriptRunner> {
        self.runner.as_mut().map(|runner| runner as &mut dyn ScriptRunner)
    }

    fn stage_script(&mut self, call: &ScriptCall) -> Result<()> {
        self.put_op(Op::Script(Box::new(journal::Owed::new(call))))
    }

    fn script_done(&mut self) -> Result<()> {
        let Some(after) = &mut self.after else { return Ok(()) };
        let noted = after.journal.add(&Op::Ran).and_then(|()| after.journal.flush());
        noted.map_err(|e| Error::io("noting", "a script that has run", e))?;
        after.ran += 1;
        let ran = after.ran;
        self.fail_at(Failpoint::ScriptRan(ran), "a script")
    }

    fn finish(&mut self) -> Result<()> {
        match self.after.take() {
            Some(after) => recover::clear(&self.root, &after.dir, &after.name),
            None => Ok(()),
        }
    }

    fn commit(&mut self) -> Result<()> {
        let prepared = self.prepare();
        if let Err(error) = prepared {
            if !matches!(error, Error::Stopped(_)) {
                self.rollback()?;
            }
            return Err(error);
        }
        self.fail_at(Failpoint::AfterMarker, "after the marker")?;
        let Some(tx) = self.tx.take() else { return Ok(()) };
        let stop = match self.failpoint {
            Some(Failpoint::Renamed(n)) => Some(n),
            _ => None,
        };
        carry_out(&self.root, &tx.id, &tx.ops, self.ownership == Ownership::Apply, stop)?;
        self.fail_at(Failpoint::BeforeClear, "before the journal is cleared")?;
        if !tx.ops.iter().any(|op| matches!(op, Op::Script(_))) {
            return recover::clear(&self.root, &tx.journal_dir, &format!("{}.committed", tx.id));
        }
        let failed = |e: Errno| Error::io("keeping", "the journal of the scripts", e);
        let name = recover::owe(&tx.journal_dir, &tx.id, "committed").map_err(failed)?;
        let journal = recover::append(&tx.journal_dir, &name).map_err(failed)?;
        self.after = Some(After { dir: tx.journal_dir, name, journal, ran: 0 });
        self.fail_at(Failpoint::ScriptRan(0), "before the first script")
    }

    fn rollback(&mut self) -> Result<()> {
        let Some(tx) = self.tx.take() else { return Ok(()) };
        if self.failpoint.is_some() {
            return Ok(()); // a test's crash leaves what a crash leaves
        }
        recover::undo(&self.root, &tx.id, tx.dirs.iter(), &tx.made)?;
        recover::clear(&self.root, &tx.journal_dir, &format!("{}.staging", tx.id))
    }
}

impl LiveRoot {
    /// Everything to disk, then the marker.
    fn prepare(&mut self) -> Result<()> {
        let failed = |e: std::io::Error| Error::io("syncing", "the staged files", e);
        let tx = self.tx()?;
        tx.journal.flush().map_err(failed)?;
        for fd in tx.devices.values() {
            syncfs(fd).map_err(|e| failed(e.into()))?;
        }
        let dir = walk::reopen(tx.journal_dir.as_fd()).map_err(|e| failed(e.into()))?;
        // The journal's own file system may hold nothing else of this transaction.
        syncfs(&dir).map_err(|e| failed(e.into()))?;
        self.fail_at(Failpoint::BeforeMarker, "before the marker")?;
        let tx = self.tx()?;
        let (from, to) = (format!("{}.staging", tx.id), format!("{}.committed", tx.id));
        renameat(&dir, from.as_str(), &dir, to.as_str()).map_err(|e| failed(e.into()))?;
        fsync(&dir).map_err(|e| {
            // Not known to be on disk: take the marker back before anything is undone.
            let _ = unlinkat(&dir, to.as_str(), AtFlags::empty());
            failed(e.into())
        })
    }
}

/// Does what a committed journal lists. Repeating it is harmless: what is done already is skipped.
pub(super) fn carry_out(root: &Arc<OwnedFd>, id: &str, ops: &[Op], owners: bool, stop: Option<u32>) -> Result<()> {
    let mut done = 0;
    let mut tick = || {
        done += 1;
        if stop == Some(done) { Err(Error::Stopped("a rename")) } else { Ok(()) }
    };
    let mut dests = HashSet::new();
    let mut cleared = Vec::new();
    for op in ops {
        if let Op::Rename { to, clear, .. } = op {
            dests.insert(to);
            if *clear {
                cleared.push(to);
            }
        }
    }
    let removals = || ops.iter().filter_map(|op| if let Op::Remove { path } = op { Some(path) } else { None });
    if !cleared.is_empty() {
        let below = |path: &&RelPath| cleared.iter().any(|to| path.starts_with(to) && path != to);
        remove_all(root, removals().filter(below), &mut tick)?;
    }
    for op in ops {
        match op {
            Op::Rename { to, n, clear } => {
                let commit = |source: Errno| Error::Commit { path: to.to_string(), source: source.into() };
                let (Some(dir), Some(temp)) = (to.parent(), temp_path(to, id, *n)) else { continue };
                let dir = walk::open_strict(root, &dir).map_err(commit)?;
                let Some(stat) = walk::stat(&dir, temp.file_name()).map_err(commit)? else { continue };
                if *clear && let Some(there) = walk::stat(&dir, to.file_name()).map_err(commit)? {
                    let is_dir = |mode| FileType::from_raw_mode(mode) == FileType::Directory;
                    match (is_dir(there.st_mode), is_dir(stat.st_mode)) {
                        (true, false) => unlinkat(&dir, to.file_name(), AtFlags::REMOVEDIR).map_err(commit)?,
                        (false, true) => unlinkat(&dir, to.file_name(), AtFlags::empty()).map_err(commit)?,
                        _ => {}
                    }
                }
                renameat(&dir, temp.file_name(), &dir, to.file_name()).map_err(commit)?;
                tick()?;
            }
            Op::Attributes { path, mode, uid, gid, mtime, xattrs } => {
                let xattrs = journal::unpack_xattrs(xattrs);
                attributes(root, path, &Meta { mode: *mode, uid: *uid, gid: *gid, mtime: *mtime, xattrs }, owners)?;
            }
            _ => {}
        }
    }
    remove_all(root, removals().filter(|path| !dests.contains(path)), &mut tick)
}

/// Unlinks files, then removes the directories that are empty, deepest first.
fn remove_all<'a>(
    root: &Arc<OwnedFd>,
    paths: impl Iterator<Item = &'a RelPath>,
    tick: &mut dyn FnMut() -> Result<()>,
) -> Result<()> {
    let mut dirs = Vec::new();
    for path in paths {
        let commit = |source: Errno| Error::Commit { path: path.to_string(), source: source.into() };
        let Some(parent) = path.parent() else { continue };
        let dir = match walk::open_strict(root, &parent) {
            Ok(dir) => dir,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => continue,
            Err(e) => return Err(commit(e)),
        };
        let Some(stat) = walk::stat(&dir, path.file_name()).map_err(commit)? else { continue };
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            dirs.push(path);
            continue;
        }
        match unlinkat(&dir, path.file_name(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => tick()?,
            Err(e) => return Err(commit(e)),
        }
    }
    dirs.sort_unstable_by(|a, b| b.cmp(a));
    dirs.dedup();
    for path in dirs {
        recover::remove_empty(root, path)
            .map_err(|source| Error::Commit { path: path.to_string(), source: source.into() })?;
        tick()?;
    }
    Ok(())
}

fn attributes(root: &Arc<OwnedFd>, path: &RelPath, meta: &Meta, owners: bool) -> Result<()> {
    let commit = |source: Errno| Error::Commit { path: path.to_string(), source: source.into() };
    let dir = walk::open_strict(root, &path.parent().unwrap_or_else(RelPath::root)).map_err(commit)?;
    let name = if path.is_root() { b".".as_slice() } else { path.file_name() };
    let Some(stat) = walk::stat(&dir, name).map_err(commit)? else { return Ok(()) };
    let mut flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => flags |= OFlags::DIRECTORY,
        FileType::RegularFile => {}
        _ => return Ok(()),
    }
    let fd = openat(&dir, name, flags, Mode::empty()).map_err(commit)?;
    dress(&fd, path, meta, owners).map(drop)
}
