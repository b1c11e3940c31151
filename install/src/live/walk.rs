//! Walks a path inside a root, one component at a time, so that nothing outside the root is ever opened. Works on every
//! kernel that has `O_PATH` (2.6.39). Never writes.

use std::io;
use std::sync::Arc;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, OFlags, Stat, openat, readlinkat, statat};
use rustix::io::Errno;
use xpkg_model::RelPath;
use xpkg_model::path::BadPath;

/// As the kernel's own bound on links in one lookup.
const MAX_LINKS: usize = 40;

/// How a directory is opened only to stand in it.
pub(super) const STAND: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Where a path leads.
#[derive(Debug)]
pub(super) struct Walked {
    /// The path without links above its last component; what does not exist is kept as written.
    pub real: RelPath,
    /// The directory that holds the last component; `None` when that directory does not exist.
    pub parent: Option<Arc<OwnedFd>>,
}

/// Follows `path` from `root`. Absolute links start at `root` again and `..` stops at it.
pub(super) fn walk(root: &Arc<OwnedFd>, path: &RelPath, follow_last: bool) -> io::Result<Walked> {
    let mut todo: Vec<Vec<u8>> = path.components().rev().map(<[u8]>::to_vec).collect();
    let mut stack: Vec<(Vec<u8>, Arc<OwnedFd>)> = Vec::new();
    let mut links = 0;
    while let Some(name) = todo.pop() {
        match &*name {
            b"" | b"." => continue,
            b".." => {
                stack.pop();
                continue;
            }
            _ => {}
        }
        let here = stack.last().map_or(root, |(_, fd)| fd);
        if todo.is_empty() && !follow_last {
            return Ok(Walked { real: joined(&stack, &[&name])?, parent: Some(here.clone()) });
        }
        match openat(here, &*name, STAND, Mode::empty()) {
            Ok(fd) => {
                stack.push((name, Arc::new(fd)));
                continue;
            }
            Err(Errno::NOTDIR | Errno::LOOP) => match readlinkat(here, &*name, Vec::new()) {
                Ok(target) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(Errno::LOOP.into());
                    }
                    let target = target.to_bytes();
                    if target.first() == Some(&b'/') {
                        stack.clear();
                    }
                    todo.extend(target.split(|b| *b == b'/').rev().filter(|c| !c.is_empty()).map(<[u8]>::to_vec));
                    continue;
                }
                Err(Errno::INVAL) => {}
                Err(e) => return Err(e.into()),
            },
            Err(Errno::NOENT) => {}
            Err(e) => return Err(e.into()),
        }
        // Not there, or no directory: the rest cannot exist and stays as written.
        let parent = todo.is_empty().then(|| here.clone());
        let mut rest: Vec<&[u8]> = vec![&name];
        for name in todo.iter().rev() {
            match name.as_slice() {
                b"." => {}
                b".." => {
                    if rest.pop().is_none() {
                        stack.pop();
                    }
                }
                name => rest.push(name),
            }
        }
        return Ok(Walked { real: joined(&stack, &rest)?, parent });
    }
    let real = joined(&stack, &[])?;
    stack.pop();
    let parent = stack.pop().map_or_else(|| root.clone(), |(_, fd)| fd);
    Ok(Walked { real, parent: Some(parent) })
}

/// Opens a directory whose path must hold no link at all.
pub(super) fn open_strict(root: &Arc<OwnedFd>, dir: &RelPath) -> Result<Arc<OwnedFd>, Errno> {
    let mut here = root.clone();
    for name in dir.components() {
        here = Arc::new(openat(&here, name, STAND, Mode::empty())?);
    }
    Ok(here)
}

/// What a name in a directory is, without following it; `None` when absent.
pub(super) fn stat(dir: impl AsFd, name: &[u8]) -> Result<Option<Stat>, Errno> {
    match statat(dir, if name.is_empty() { b"." } else { name }, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Opens the directory itself for reading, syncing or statfs.
pub(super) fn reopen(dir: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    openat(dir, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

fn joined(stack: &[(Vec<u8>, Arc<OwnedFd>)], rest: &[&[u8]]) -> io::Result<RelPath> {
    let mut bytes = Vec::new();
    for name in stack.iter().map(|(name, _)| name.as_slice()).chain(rest.iter().copied()) {
        if !bytes.is_empty() {
            bytes.push(b'/');
        }
        bytes.extend_from_slice(name);
    }
    RelPath::from_package(&bytes).map_err(|e: BadPath| io::Error::new(io::ErrorKind::InvalidInput, e))
}
