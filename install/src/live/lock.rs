//! Excludes other writers of a live root: `flock` on apk's lock file, and on the root directory for other xpkg. Leaves
//! no file behind that was not there.

use std::sync::Arc;

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, flock, fstat, openat, unlinkat};
use rustix::io::Errno;
use xpkg_model::RelPath;

use super::walk;
use crate::{Error, Result};

/// Held locks; dropped, they are free again.
#[derive(Debug)]
pub(super) struct Locks {
    _root: OwnedFd,
    apk: Option<(OwnedFd, Arc<OwnedFd>, bool)>,
}

impl Locks {
    pub(super) fn take(root: &Arc<OwnedFd>) -> Result<Self> {
        let own = walk::reopen(rustix::fd::AsFd::as_fd(root)).map_err(|e| Error::io("opening", "/", e))?;
        hold(&own, "/")?;
        let path = RelPath::literal("lib/apk/db/lock");
        let failed = |e: std::io::Error| Error::io("locking", &path, e);
        let walked = walk::walk(root, &path, false).map_err(failed)?;
        let mut apk = None;
        if let Some(dir) = walked.parent {
            // A holder that made the file removes it again; then the name must be opened anew.
            for _ in 0..8 {
                let missing = walk::stat(&dir, b"lock").map_err(|e| failed(e.into()))?.is_none();
                // The mode with which apk itself creates it.
                let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let fd = openat(&dir, c"lock", flags, Mode::RUSR | Mode::WUSR).map_err(|e| failed(e.into()))?;
                hold(&fd, "/lib/apk/db/lock")?;
                let mine = fstat(&fd).map_err(|e| failed(e.into()))?;
                let named = walk::stat(&dir, b"lock").map_err(|e| failed(e.into()))?;
                if named.is_some_and(|s| (s.st_dev, s.st_ino) == (mine.st_dev, mine.st_ino)) {
                    apk = Some((fd, dir, missing));
                    break;
                }
            }
        }
        Ok(Self { _root: own, apk })
    }
}

impl Drop for Locks {
    fn drop(&mut self) {
        if let Some((_, dir, true)) = &self.apk {
            // Best effort: a lock file that stays is harmless.
            let _ = unlinkat(dir, c"lock", AtFlags::empty());
        }
    }
}

fn hold(fd: &OwnedFd, name: &str) -> Result<()> {
    match flock(fd, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(()),
        Err(Errno::WOULDBLOCK) => Err(Error::Locked { lock: name.to_owned() }),
        Err(e) => Err(Error::io("locking", name, e)),
    }
}
