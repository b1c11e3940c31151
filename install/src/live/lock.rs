//! Excludes other writers of a live root: apk's or opkg's lock file, and `flock` on the root directory for other xpkg. Leaves
//! no file behind that was not there.

use std::sync::Arc;

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, fcntl_lock, flock, fstat, openat, unlinkat};
use rustix::io::Errno;
use xpkg_model::RelPath;

use super::walk;
use crate::{Error, Result};

/// Held locks; dropped, they are free again.
#[derive(Debug)]
pub(super) struct Locks {
    _root: OwnedFd,
    files: Vec<Held>,
}

/// One locked file: the lock is the manager's own.
#[derive(Debug)]
struct Held {
    _fd: OwnedFd,
    dir: Arc<OwnedFd>,
    name: Vec<u8>,
    made: bool,
}

/// How often a lock that another program holds is tried, twenty times a second.
const PATIENCE: u32 = 200;

/// Lock files: where, and whether it is locked as opkg does (`lockf`) or as apk does (`flock`); each only on a root that has
/// the database named last.
const FILES: [(&str, bool, &str); 2] =
    [("lib/apk/db/lock", false, "lib/apk/db"), ("var/lock/opkg.lock", true, crate::native::opkg::STATUS)];

/// Locks on files that other programs lock too; dropped, they are free again.
#[derive(Debug)]
pub(crate) struct FileLocks(Vec<Held>);

impl FileLocks {
    /// Takes each lock whose directory is there; waits a moment for who holds one. The flag: a record lock.
    pub(super) fn take(root: &Arc<OwnedFd>, files: &[(&str, bool)]) -> Result<Self> {
        let mut held = Vec::new();
        for (lock, record) in files {
            let path = RelPath::from_package(lock.as_bytes()).map_err(|e| Error::refused(lock, e.to_string()))?;
            let failed = |e: std::io::Error| Error::io("locking", &path, e);
            let Some(dir) = walk::walk(root, &path, false).map_err(failed)?.parent else { continue };
            let mut tries = 0;
            let file = loop {
                match take_file(dir.clone(), path.file_name(), lock, *record) {
                    Err(Error::Locked { .. }) if tries < PATIENCE => {
                        tries += 1;
                        #[allow(clippy::disallowed_methods, reason = "waits for another program's lock; bounded")]
                        std::thread::sleep(std::time::Duration::from_millis(50));
                    }
                    other => break other?,
                }
            };
            // `lock` of busybox and shadow's tools open the file anew each time: it need not stay.
            held.extend(file);
        }
        Ok(Self(held))
    }
}

impl Drop for FileLocks {
    fn drop(&mut self) {
        release(&self.0);
    }
}

impl Locks {
    pub(super) fn take(root: &Arc<OwnedFd>) -> Result<Self> {
        let own = walk::reopen(rustix::fd::AsFd::as_fd(root)).map_err(|e| Error::io("opening", "/", e))?;
        hold(&own, "/", false)?;
        let mut files = Vec::new();
        for (lock, record, database) in FILES {
            let path = RelPath::literal(lock);
            let failed = |e: std::io::Error| Error::io("locking", &path, e);
            let there = walk::walk(root, &RelPath::literal(database), true).map_err(failed)?;
            let exists = match &there.parent {
                Some(dir) => walk::stat(dir, there.real.file_name()).map_err(|e| failed(e.into()))?.is_some(),
                None => false,
            };
            // A directory that only a booted system has (/var/lock) is not made: nobody else runs there.
            let Some(dir) = walk::walk(root, &path, false).map_err(failed)?.parent.filter(|_| exists) else { continue };
            files.extend(take_file(dir, path.file_name(), lock, record)?);
        }
        Ok(Self { _root: own, files })
    }
}

fn take_file(dir: Arc<OwnedFd>, name: &[u8], lock: &str, record: bool) -> Result<Option<Held>> {
    let failed = |e: Errno| Error::io("locking", lock, e);
    // A holder that made the file removes it again; then the name must be opened anew.
    for _ in 0..8 {
        let made = walk::stat(&dir, name).map_err(failed)?.is_none();
        // The mode with which apk and opkg create it.
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = openat(&dir, name, flags, Mode::RUSR | Mode::WUSR).map_err(failed)?;
        hold(&fd, &format!("/{lock}"), record)?;
        let mine = fstat(&fd).map_err(failed)?;
        let named = walk::stat(&dir, name).map_err(failed)?;
        if named.is_some_and(|s| (s.st_dev, s.st_ino) == (mine.st_dev, mine.st_ino)) {
            // opkg removes the file whenever it is done.
            return Ok(Some(Held { _fd: fd, dir, name: name.to_vec(), made: made || record }));
        }
    }
    Ok(None)
}

impl Drop for Locks {
    fn drop(&mut self) {
        release(&self.files);
    }
}

fn release(files: &[Held]) {
    for held in files.iter().filter(|held| held.made) {
        // Best effort: a lock file that stays is harmless.
        let _ = unlinkat(&held.dir, held.name.as_slice(), AtFlags::empty());
    }
}

fn hold(fd: &OwnedFd, name: &str, record: bool) -> Result<()> {
    let operation = FlockOperation::NonBlockingLockExclusive;
    match if record { fcntl_lock(fd, operation) } else { flock(fd, operation) } {
        Ok(()) => Ok(()),
        Err(Errno::WOULDBLOCK | Errno::ACCESS) => Err(Error::Locked { lock: name.to_owned() }),
        Err(e) => Err(Error::io("locking", name, e)),
    }
}
