//! The files of accounts on a live root, written at once and whole: for the applets that packages' scripts call. Takes the
//! locks that other programs take for these files; touches no database and no package's file.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsFd as _;

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid, fchmod, fchown, mkdirat, openat, renameat, unlinkat};
use rustix::io::Errno;
use xpkg_model::RelPath;

use super::{LiveRoot, lock, walk};
use crate::{Error, Result};

/// What others lock while they write passwd, shadow and group: shadow's tools and libc's lckpwdf (a record lock), and
/// OpenWrt's lib/functions.sh by its `lock` (flock), where there is such a directory.
const LOCKS: [(&str, bool); 3] = [("etc/.pwd.lock", true), ("var/lock/passwd", false), ("var/lock/group", false)];
/// The name of a file until it is complete.
const NEW: &str = ".xpkg-accounts";

impl LiveRoot {
    /// Excludes other writers of the accounts' files until the answer is dropped.
    pub(crate) fn lock_accounts(&self) -> Result<lock::FileLocks> {
        lock::FileLocks::take(&self.root, &LOCKS)
    }

    /// Puts other content into a file that is there. Its owner and mode stay.
    pub(crate) fn replace_file(&self, path: &RelPath, bytes: &[u8]) -> Result<()> {
        let failed = |e: std::io::Error| Error::io("writing", path, e);
        let walked = walk::walk(&self.root, path, true).map_err(failed)?;
        let parent = walked.parent.ok_or_else(|| failed(Errno::NOENT.into()))?;
        let name = walked.real.file_name();
        let write = || -> Result<(), Errno> {
            let old = walk::stat(&parent, name)?.ok_or(Errno::NOENT)?;
            // A left-over of a crash; the locks keep everybody else away.
            let _ = unlinkat(&parent, NEW, AtFlags::empty());
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let fd = openat(&parent, NEW, flags, Mode::RUSR | Mode::WUSR)?;
            fchown(&fd, Some(Uid::from_raw(old.st_uid)), Some(Gid::from_raw(old.st_gid)))?;
            fchmod(&fd, Mode::from_raw_mode(old.st_mode & 0o7777))?;
            let mut file = File::from(fd);
            file.write_all(bytes).map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))?;
            rustix::fs::fsync(&file)?;
            renameat(&parent, NEW, &parent, name)
        };
        let written = write();
        if written.is_err() {
            let _ = unlinkat(&parent, NEW, AtFlags::empty());
        }
        written.map_err(|e| failed(e.into()))
    }

    /// Makes a home directory; one that is there stays as it is. What lies above it must be there.
    pub(crate) fn make_home(&self, path: &RelPath, uid: u32, gid: u32) -> Result<()> {
        let failed = |e: std::io::Error| Error::io("making", path, e);
        let walked = walk::walk(&self.root, path, true).map_err(failed)?;
        let Some(parent) = walked.parent else { return Ok(()) };
        let name = walked.real.file_name();
        match mkdirat(&parent, name, Mode::from_raw_mode(0o755)) {
            Ok(()) => {}
            Err(Errno::EXIST) => return Ok(()),
            Err(e) => return Err(failed(e.into())),
        }
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        rustix::fs::chownat(parent.as_fd(), name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|e| failed(e.into()))
    }
}
