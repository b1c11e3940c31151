//! The reading side of a live root. Never writes.

use std::fs::File;
use std::io;

use rustix::fs::{Dir, FileType, Mode, OFlags, Stat, major, minor, openat, readlinkat};
use rustix::io::Errno;
use xpkg_model::RelPath;
use xpkg_model::root::{Node, NodeKind, ReadSeek, RootView, Stamp};

use super::{LiveRoot, walk};

/// Longest attribute value the kernel has (XATTR_SIZE_MAX), and longest list of names.
const MAX_XATTR: usize = 65536;

impl RootView for LiveRoot {
    fn node(&self, path: &RelPath) -> io::Result<Option<Node>> {
        let walked = walk::walk(&self.root, path, false)?;
        let Some(parent) = walked.parent else { return Ok(None) };
        let name = walked.real.file_name();
        let Some(stat) = walk::stat(&parent, name)? else { return Ok(None) };
        let link = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Symlink => readlinkat(&parent, name, Vec::new())?.into_bytes(),
            _ => Vec::new(),
        };
        Ok(Some(to_node(&stat, link)))
    }

    fn real_path(&self, path: &RelPath, follow_last: bool) -> io::Result<RelPath> {
        Ok(walk::walk(&self.root, path, follow_last)?.real)
    }

    fn open(&self, path: &RelPath) -> io::Result<Option<Box<dyn ReadSeek>>> {
        let walked = walk::walk(&self.root, path, true)?;
        let Some(parent) = walked.parent else { return Ok(None) };
        Ok(open_regular(&parent, walked.real.file_name())?.map(|file| Box::new(file) as Box<dyn ReadSeek>))
    }

    fn stamp(&self, path: &RelPath) -> io::Result<Option<Stamp>> {
        let walked = walk::walk(&self.root, path, false)?;
        let Some(parent) = walked.parent else { return Ok(None) };
        let stat = walk::stat(&parent, walked.real.file_name())?;
        Ok(stat
            .filter(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile)
            .map(|stat| to_stamp(&stat)))
    }

    fn list(&self, dir: &RelPath) -> io::Result<Vec<Vec<u8>>> {
        let walked = walk::walk(&self.root, dir, true)?;
        let Some(parent) = walked.parent else { return Ok(Vec::new()) };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let name = if walked.real.is_root() { b".".as_slice() } else { walked.real.file_name() };
        let fd = match openat(&parent, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(Vec::new()),
            Err(e) => return Err(e.into()),
        };
        let mut names = Vec::new();
        for entry in Dir::new(fd)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(name.to_vec());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn xattrs(&self, path: &RelPath) -> io::Result<Vec<(String, Vec<u8>)>> {
        let walked = walk::walk(&self.root, path, false)?;
        if walked.parent.is_none() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let full = self.dir.join(walked.real.as_path());
        let mut names = vec![0; MAX_XATTR];
        let end = match rustix::fs::llistxattr(&full, &mut names) {
            Ok(end) => end,
            Err(Errno::NOTSUP) => return Ok(Vec::new()),
            Err(e) => return Err(e.into()),
        };
        names.truncate(end);
        let mut out = Vec::new();
        for name in names.split(|b| *b == 0).filter(|n| !n.is_empty()) {
            // A name that is not text can not come from a package.
            let Ok(name) = std::str::from_utf8(name) else { continue };
            if name.starts_with("trusted.overlay.") {
                continue;
            }
            let mut value = vec![0; MAX_XATTR];
            match rustix::fs::lgetxattr(&full, name, &mut value) {
                Ok(len) => value.truncate(len),
                Err(Errno::NODATA | Errno::NOTSUP) => continue,
                Err(e) => return Err(e.into()),
            }
            out.push((name.to_owned(), value));
        }
        out.sort();
        Ok(out)
    }
}

/// Opens a regular file without following it or waiting for a pipe's other end.
pub(super) fn open_regular(parent: impl rustix::fd::AsFd, name: &[u8]) -> io::Result<Option<File>> {
    let parent = parent.as_fd();
    // Asked first: opening a device may act on it.
    match walk::stat(parent, name)? {
        Some(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {}
        _ => return Ok(None),
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match openat(parent, name, flags, Mode::empty()) {
        Ok(fd) => {
            let file = File::from(fd);
            Ok(file.metadata()?.is_file().then_some(file))
        }
        Err(Errno::NOENT | Errno::LOOP | Errno::NXIO) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

fn to_stamp(stat: &Stat) -> Stamp {
    // Field types differ between architectures; the values fit.
    #[allow(clippy::unnecessary_cast, clippy::useless_conversion)]
    Stamp {
        device: stat.st_dev as u64,
        inode: stat.st_ino as u64,
        size: stat.st_size as u64,
        modified: (stat.st_mtime as i64, stat.st_mtime_nsec as i64),
        changed: (stat.st_ctime as i64, stat.st_ctime_nsec as i64),
    }
}

pub(super) fn to_node(stat: &Stat, link: Vec<u8>) -> Node {
    let device = (major(stat.st_rdev), minor(stat.st_rdev));
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => NodeKind::Dir,
        FileType::Symlink => NodeKind::Symlink(link),
        FileType::CharacterDevice => NodeKind::Char(device.0, device.1),
        FileType::BlockDevice => NodeKind::Block(device.0, device.1),
        FileType::Fifo => NodeKind::Fifo,
        FileType::Socket => NodeKind::Socket,
        _ => NodeKind::File,
    };
    // Field types differ between architectures; the values fit.
    #[allow(clippy::unnecessary_cast, clippy::useless_conversion)]
    Node {
        kind,
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        size: stat.st_size as u64,
        mtime: stat.st_mtime as i64,
        nlink: stat.st_nlink as u64,
    }
}
