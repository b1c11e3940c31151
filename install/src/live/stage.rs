//! Staging on a live root: every new node is written under a temporary name in the directory it is meant for, with its
//! final attributes. Nothing that exists is touched before the commit.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::sync::Arc;

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, Uid, XattrFlags};
use rustix::fs::{chownat, fchmod, fchown, fgetxattr, fsetxattr, fstat, futimens, linkat, mkdirat, mknodat, openat};
use rustix::fs::{symlinkat, unlinkat, utimensat};
use rustix::io::Errno;
use xpkg_model::RelPath;

use super::journal::{self, Op};
use super::{Failpoint, LiveRoot, Ownership, view, walk};
use crate::{Error, Meta, Result, Special, Staged};

/// What an open transaction knows.
#[derive(Debug)]
pub(super) struct Tx {
    /// Part of every temporary name.
    pub id: String,
    next: u64,
    pub journal: journal::Writer,
    pub journal_dir: Arc<OwnedFd>,
    pub ops: Vec<Op>,
    staged: HashMap<RelPath, Place>,
    /// Directories made at staging, parents first.
    pub made: Vec<RelPath>,
    /// Directories that take the place of something else: made under a temporary name, filled there.
    redirects: Vec<(RelPath, RelPath)>,
    /// Directories in which temporary names may lie.
    pub dirs: HashSet<RelPath>,
    /// One open directory per file system, for syncing.
    pub devices: BTreeMap<u64, OwnedFd>,
    cache: Option<(RelPath, Arc<OwnedFd>)>,
    count: u32,
}

/// Where a staged node lies before the commit.
#[derive(Clone, Debug)]
enum Place {
    Temp(u64),
    Inner(RelPath),
    Here,
}

impl Tx {
    pub(super) fn new(id: String, journal: File, journal_dir: Arc<OwnedFd>) -> Self {
        Self {
            id,
            next: 0,
            journal: journal::Writer::new(journal),
            journal_dir,
            ops: Vec::new(),
            staged: HashMap::new(),
            made: Vec::new(),
            redirects: Vec::new(),
            dirs: HashSet::new(),
            devices: BTreeMap::new(),
            cache: None,
            count: 0,
        }
    }

    pub(super) fn note(&mut self, op: &Op, flush: bool) -> Result<()> {
        let failed = |e| Error::io("writing the journal in", super::own_dir(), e);
        self.journal.add(op).map_err(failed)?;
        if flush { self.journal.flush().map_err(failed) } else { Ok(()) }
    }

    fn redirected(&self, path: &RelPath) -> Option<RelPath> {
        let (from, to) = self.redirects.iter().rev().find(|(from, _)| path.starts_with(from))?;
        let rest = path.as_bytes().get(from.as_bytes().len()..)?;
        to.join(rest).ok()
    }

    /// Path of the node staged for `dest`, as it lies on disk now.
    fn location(&self, dest: &RelPath) -> Option<RelPath> {
        match self.staged.get(dest)? {
            Place::Here => Some(dest.clone()),
            Place::Inner(path) => Some(path.clone()),
            Place::Temp(n) => temp_path(dest, &self.id, *n),
        }
    }
}

/// Temporary name `n` beside `dest`.
pub(super) fn temp_path(dest: &RelPath, id: &str, n: u64) -> Option<RelPath> {
    dest.parent()?.join(format!(".xpkg-{id}-{n}").as_bytes()).ok()
}

/// Where a new node is written.
struct Slot {
    dir: Arc<OwnedFd>,
    name: Vec<u8>,
    place: Place,
    /// Something of another type is at the destination.
    clear: bool,
}

impl LiveRoot {
    pub(super) fn tx(&mut self) -> Result<&mut Tx> {
        self.tx.as_mut().ok_or_else(|| Error::Plan("nothing was begun".to_owned()))
    }

    fn slot(&mut self, dest: &RelPath, is_dir: bool) -> Result<Slot> {
        let root = self.root.clone();
        let tx = self.tx()?;
        let Some(parent) = dest.parent() else { return Err(Error::refused(dest, "it is the root directory")) };
        let inner = tx.redirected(&parent);
        let at = inner.clone().unwrap_or(parent);
        let dir = match &tx.cache {
            Some((cached, fd)) if *cached == at => fd.clone(),
            _ => {
                let fd = walk::open_strict(&root, &at).map_err(|e| match e {
                    Errno::NOENT => Error::refused(dest, "its directory does not exist"),
                    Errno::NOTDIR | Errno::LOOP => Error::refused(dest, "it lies below something that is no directory"),
                    e => Error::io("opening", &at, e),
                })?;
                let device = fstat(&fd).map_err(|e| Error::io("reading", &at, e))?.st_dev;
                if let std::collections::btree_map::Entry::Vacant(entry) = tx.devices.entry(device) {
                    entry.insert(walk::reopen(fd.as_fd()).map_err(|e| Error::io("opening", &at, e))?);
                }
                if inner.is_none() && tx.dirs.insert(at.clone()) {
                    tx.note(&Op::Dir { dir: at.clone() }, true)?;
                }
                tx.cache = Some((at.clone(), fd.clone()));
                fd
            }
        };
        let failed = |e| Error::io("reading", dest, e);
        if inner.is_some() {
            let path = at.join(dest.file_name()).map_err(|e| Error::refused(dest, e.to_string()))?;
            if !is_dir && walk::stat(&dir, dest.file_name()).map_err(failed)?.is_some() {
                unlinkat(&dir, dest.file_name(), AtFlags::empty()).map_err(failed)?;
            }
            return Ok(Slot { dir, name: dest.file_name().to_vec(), place: Place::Inner(path), clear: false });
        }
        let there = walk::stat(&dir, dest.file_name()).map_err(failed)?;
        let clear = there.is_some_and(|s| (FileType::from_raw_mode(s.st_mode) == FileType::Directory) != is_dir);
        let n = tx.next;
        tx.next += 1;
        let name = format!(".xpkg-{}-{n}", tx.id).into_bytes();
        Ok(Slot { dir, name, place: Place::Temp(n), clear })
    }

    fn keep(&mut self, dest: &RelPath, slot: &Slot) -> Result<()> {
        let tx = self.tx()?;
        let op = match &slot.place {
            Place::Temp(n) => Op::Rename { to: dest.clone(), n: *n, clear: slot.clear },
            Place::Inner(path) => Op::Inner { path: path.clone() },
            Place::Here => return Ok(()),
        };
        tx.note(&op, false)?;
        tx.ops.push(op);
        tx.staged.insert(dest.clone(), slot.place.clone());
        tx.count += 1;
        let count = tx.count;
        self.fail_at(Failpoint::Staged(count), "staging")
    }

    pub(super) fn put_file(&mut self, dest: &RelPath, meta: &Meta, content: &mut dyn Read) -> Result<Staged> {
        let slot = self.slot(dest, false)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let failed = |e: Errno| Error::io("creating", dest, e);
        let fd = openat(&slot.dir, &*slot.name, flags, Mode::RUSR | Mode::WUSR).map_err(failed)?;
        // Known before it is filled: a failure half way is cleaned up with the rest.
        self.keep(dest, &slot)?;
        let mut file = File::from(fd);
        let mut buffer = vec![0; 64 * 1024];
        let mut bytes = 0;
        loop {
            let read = match content.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(Error::Io { what: format!("reading the content of {dest}"), source }),
            };
            file.write_all(buffer.get(..read).unwrap_or_default()).map_err(|e| Error::io("writing", dest, e))?;
            bytes += read as u64;
        }
        let xattrs_lost = self.dress(&OwnedFd::from(file), dest, meta)?;
        Ok(Staged { bytes, xattrs_lost })
    }

    pub(super) fn put_dir(&mut self, dest: &RelPath, meta: &Meta, replace: bool) -> Result<Staged> {
        let mut slot = self.slot(dest, true)?;
        let failed = |e: Errno| Error::io("creating directory", dest, e);
        if slot.clear && !replace {
            return Err(Error::refused(dest, "something that is no directory is there"));
        }
        if matches!(slot.place, Place::Temp(_)) && !slot.clear {
            slot.name = dest.file_name().to_vec();
            slot.place = Place::Here;
            // Said before it is made, so that a crash in between leaves no directory behind.
            self.tx()?.note(&Op::Made { dir: dest.clone() }, true)?;
        }
        match mkdirat(&slot.dir, &*slot.name, Mode::RWXU) {
            Ok(()) => {}
            // Made by somebody in the meantime: theirs, and good enough.
            Err(Errno::EXIST) if !matches!(slot.place, Place::Temp(_)) => return Ok(Staged::default()),
            Err(e) => return Err(failed(e)),
        }
        let tx = self.tx()?;
        match &slot.place {
            Place::Here => {
                tx.made.push(dest.clone());
                tx.staged.insert(dest.clone(), Place::Here);
            }
            Place::Temp(n) => {
                let temp = temp_path(dest, &tx.id, *n).ok_or_else(|| Error::refused(dest, "it has no directory"))?;
                tx.redirects.push((dest.clone(), temp));
            }
            Place::Inner(_) => {}
        }
        self.keep(dest, &slot)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = openat(&slot.dir, &*slot.name, flags, Mode::empty()).map_err(failed)?;
        Ok(Staged { bytes: 0, xattrs_lost: self.dress(&fd, dest, &Meta { mtime: None, ..meta.clone() })? })
    }

    pub(super) fn put_symlink(&mut self, dest: &RelPath, target: &[u8], meta: &Meta) -> Result<Staged> {
        let slot = self.slot(dest, false)?;
        let failed = |e: Errno| Error::io("creating link", dest, e);
        symlinkat(target, &slot.dir, &*slot.name).map_err(failed)?;
        self.keep(dest, &slot)?;
        if self.ownership == Ownership::Apply {
            let (uid, gid) = (Uid::from_raw(meta.uid), Gid::from_raw(meta.gid));
            chownat(&slot.dir, &*slot.name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
        }
        utimensat(&slot.dir, &*slot.name, &times(meta.mtime), AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
        Ok(Staged { bytes: 0, xattrs_lost: !meta.xattrs.is_empty() })
    }

    pub(super) fn put_hardlink(&mut self, dest: &RelPath, to: &RelPath) -> Result<Staged> {
        let slot = self.slot(dest, false)?;
        let root = self.root.clone();
        let tx = self.tx()?;
        let from = tx.location(to).unwrap_or_else(|| to.clone());
        let failed = |e: Errno| Error::io("linking", dest, e);
        let from_dir = walk::open_strict(&root, &from.parent().unwrap_or_else(RelPath::root)).map_err(failed)?;
        match linkat(&from_dir, from.file_name(), &slot.dir, &*slot.name, AtFlags::empty()) {
            Ok(()) => self.keep(dest, &slot).map(|()| Staged::default()),
            // Two file systems, or one without hard links: a copy has the same content.
            Err(Errno::XDEV | Errno::PERM | Errno::MLINK | Errno::NOTSUP) => {
                let read = |e| Error::io("reading", to, e);
                let stat = walk::stat(&from_dir, from.file_name()).map_err(failed)?;
                let file = view::open_regular(&from_dir, from.file_name()).map_err(read)?;
                let (Some(stat), Some(mut file)) = (stat, file) else {
                    return Err(Error::refused(dest, format!("it is a hard link to {to}, which is no regular file")));
                };
                let node = view::to_node(&stat, Vec::new());
                let mtime = Some(node.mtime);
                let meta = Meta { mode: node.mode, uid: node.uid, gid: node.gid, mtime, xattrs: Vec::new() };
                self.put_file(dest, &meta, &mut file)
            }
            Err(e) => Err(failed(e)),
        }
    }

    pub(super) fn put_special(&mut self, dest: &RelPath, special: Special, meta: &Meta) -> Result<Staged> {
        let (kind, device) = match special {
            Special::Char(major, minor) => (FileType::CharacterDevice, rustix::fs::makedev(major, minor)),
            Special::Block(major, minor) => (FileType::BlockDevice, rustix::fs::makedev(major, minor)),
            Special::Fifo => (FileType::Fifo, 0),
        };
        if self.ownership == Ownership::Ignore && special != Special::Fifo {
            return Ok(Staged::default());
        }
        let slot = self.slot(dest, false)?;
        let failed = |e: Errno| Error::io("creating device", dest, e);
        mknodat(&slot.dir, &*slot.name, kind, Mode::RUSR | Mode::WUSR, device).map_err(failed)?;
        self.keep(dest, &slot)?;
        if self.ownership == Ownership::Apply {
            let (uid, gid) = (Uid::from_raw(meta.uid), Gid::from_raw(meta.gid));
            chownat(&slot.dir, &*slot.name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
        }
        rustix::fs::chmodat(&slot.dir, &*slot.name, Mode::from_raw_mode(meta.mode), AtFlags::empty())
            .map_err(failed)?;
        utimensat(&slot.dir, &*slot.name, &times(meta.mtime), AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
        Ok(Staged { bytes: 0, xattrs_lost: !meta.xattrs.is_empty() })
    }

    pub(super) fn put_op(&mut self, op: Op) -> Result<()> {
        let tx = self.tx()?;
        tx.note(&op, false)?;
        tx.ops.push(op);
        Ok(())
    }

    /// Directory and name under which a staged node lies now.
    pub(super) fn find_staged(&self, dest: &RelPath) -> Result<Option<(Arc<OwnedFd>, Vec<u8>)>> {
        let Some(path) = self.tx.as_ref().and_then(|tx| tx.location(dest)) else { return Ok(None) };
        let dir = walk::open_strict(&self.root, &path.parent().unwrap_or_else(RelPath::root))
            .map_err(|e| Error::io("opening the directory of", dest, e))?;
        Ok(Some((dir, path.file_name().to_vec())))
    }

    pub(super) fn change_owner(&mut self, dest: &RelPath, uid: u32, gid: u32) -> Result<()> {
        if self.ownership == Ownership::Ignore {
            return Ok(());
        }
        let Some((dir, name)) = self.find_staged(dest)? else {
            return Err(Error::Plan(format!("{dest} was not staged")));
        };
        let failed = |e: Errno| Error::io("changing the owner of", dest, e);
        let Some(stat) = walk::stat(&dir, &name).map_err(failed)? else { return Ok(()) };
        let (owner, group) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        match FileType::from_raw_mode(stat.st_mode) {
            kind @ (FileType::RegularFile | FileType::Directory) => {
                let mut flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                if kind == FileType::Directory {
                    flags |= OFlags::DIRECTORY;
                }
                let fd = openat(&dir, &*name, flags, Mode::empty()).map_err(failed)?;
                // A change of owner drops file capabilities and the set-id bits: put both back.
                let mut value = vec![0; 256];
                let kept = fgetxattr(&fd, "security.capability", &mut value).ok().map(|n| value.get(..n));
                fchown(&fd, owner, group).map_err(failed)?;
                if let Some(Some(value)) = kept {
                    fsetxattr(&fd, "security.capability", value, XattrFlags::empty()).map_err(failed)?;
                }
                fchmod(&fd, Mode::from_raw_mode(stat.st_mode)).map_err(failed)
            }
            _ => chownat(&dir, &*name, owner, group, AtFlags::SYMLINK_NOFOLLOW).map_err(failed),
        }
    }

    /// Gives an open node its attributes, in the order in which none undoes another. Says whether attributes were lost.
    fn dress(&self, fd: &OwnedFd, path: &RelPath, meta: &Meta) -> Result<bool> {
        dress(fd, path, meta, self.ownership == Ownership::Apply)
    }
}

pub(super) fn dress(fd: &OwnedFd, path: &RelPath, meta: &Meta, owners: bool) -> Result<bool> {
    let failed = |e: Errno| Error::io("setting the attributes of", path, e);
    if owners {
        fchown(fd, Some(Uid::from_raw(meta.uid)), Some(Gid::from_raw(meta.gid))).map_err(failed)?;
    }
    let mut lost = false;
    for (name, value) in &meta.xattrs {
        if name.starts_with("trusted.overlay.") || (!owners && !name.starts_with("user.")) {
            lost = true;
            continue;
        }
        match fsetxattr(fd, name.as_str(), value, XattrFlags::empty()) {
            Ok(()) => {}
            Err(Errno::NOTSUP | Errno::PERM | Errno::ACCESS | Errno::INVAL) => lost = true,
            Err(e) => return Err(failed(e)),
        }
    }
    fchmod(fd, Mode::from_raw_mode(meta.mode & 0o7777)).map_err(failed)?;
    if meta.mtime.is_some() {
        futimens(fd, &times(meta.mtime)).map_err(failed)?;
    }
    Ok(lost)
}

fn times(mtime: Option<i64>) -> Timestamps {
    let last_modification = match mtime {
        Some(seconds) => Timespec { tv_sec: seconds, tv_nsec: 0 },
        None => Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
    };
    Timestamps { last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT }, last_modification }
}
