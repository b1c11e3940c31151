//! Whether a live root can take a plan: bytes and inodes of every file system it touches, before anything is written.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::sync::Arc;

use rustix::fd::OwnedFd;
use rustix::fs::{fstat, fstatfs, fstatvfs};

use super::walk;
use crate::{Error, Need, Result};

/// Kept free for databases, directory blocks and the copy-up of directories on an overlay.
const RESERVE: u64 = 64 * 1024;
/// `TMPFS_MAGIC` and `RAMFS_MAGIC` of linux/magic.h: what is written there is memory.
const MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];

pub(super) fn check(root: &Arc<OwnedFd>, needs: &[Need]) -> Result<()> {
    struct Total {
        at: String,
        fd: OwnedFd,
        bytes: u64,
        inodes: u64,
    }
    let mut totals: BTreeMap<u64, Total> = BTreeMap::new();
    for need in needs {
        let failed = |e: rustix::io::Errno| Error::io("asking the free space of", &need.dir, e);
        let dir = nearest(root, &need.dir)?;
        let device = fstat(&dir).map_err(failed)?.st_dev;
        if let Some(total) = totals.get_mut(&device) {
            total.bytes = total.bytes.saturating_add(need.bytes);
            total.inodes = total.inodes.saturating_add(need.inodes);
        } else {
            let fd = walk::reopen(dir.as_fd()).map_err(failed)?;
            totals.insert(device, Total { at: need.dir.to_string(), fd, bytes: need.bytes, inodes: need.inodes });
        }
    }
    for total in totals.into_values() {
        let failed = |e: rustix::io::Errno| Error::io("asking the free space of", &total.at, e);
        let fs = fstatvfs(&total.fd).map_err(failed)?;
        let mut free = fs.f_bavail.saturating_mul(fs.f_frsize);
        #[allow(clippy::unnecessary_cast)]
        let magic = fstatfs(&total.fd).map_err(failed)?.f_type as u64 & 0xffff_ffff;
        if MEMORY.contains(&magic) {
            free = free.min(memory_available().unwrap_or(u64::MAX));
        }
        let need = total.bytes.saturating_add(RESERVE);
        if need > free {
            return Err(Error::NoSpace { at: total.at, need, free });
        }
        // File systems without a fixed inode table report none at all.
        if fs.f_files > 0 && total.inodes > fs.f_favail {
            return Err(Error::NoInodes { at: total.at, need: total.inodes, free: fs.f_favail });
        }
    }
    Ok(())
}

/// The deepest directory of the path that exists.
fn nearest(root: &Arc<OwnedFd>, dir: &xpkg_model::RelPath) -> Result<Arc<OwnedFd>> {
    let mut here = root.clone();
    for name in dir.components() {
        match rustix::fs::openat(&here, name, walk::STAND, rustix::fs::Mode::empty()) {
            Ok(fd) => here = Arc::new(fd),
            Err(_) => break,
        }
    }
    Ok(here)
}

/// Memory that can still be used, of the running kernel.
fn memory_available() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}
