//! A payload laid out in a directory of its own, for looking at it. Never writes a root: the directory must be empty or
//! new, nothing runs, and owners and devices are left out.
//!
//! The reader has already refused paths that climb out, content below what is no directory, and links to what is no file
//! of the package. Here every step of a path is opened without following links, so that nobody who can write there
//! meanwhile sends a file elsewhere.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, mkdirat, openat, symlinkat};
use rustix::io::Errno;
use serde::Serialize;
use xpkg_model::payload::{Entry, EntryKind};
use xpkg_model::{RelPath, payload::Scripts};

use crate::error::Error;

/// What was laid out.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Extract {
    /// Where.
    pub path: PathBuf,
    /// Entries made.
    pub entries: u64,
    /// What was left out, and why.
    pub left_out: Vec<String>,
}

/// Unpacks the payload of a package into `dir`, which must be empty or not there yet. Files belong to the caller; setuid
/// and setgid bits are not set.
pub fn extract(path: &Path, dir: &Path, scripts: bool) -> Result<Extract, Error> {
    let mut opened = super::open(path)?;
    let there = || Error::io(format!("extracting into {}", dir.display()));
    match std::fs::read_dir(dir) {
        Ok(mut entries) => {
            if entries.next().is_some() {
                return Err(Error::NotPossible(format!("{} is not empty", dir.display())));
            }
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => std::fs::create_dir_all(dir).map_err(there())?,
        Err(e) => return Err(there()(e)),
    }
    let top = openat(CWD, dir, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map_err(|e| there()(e.into()))?;
    let mut out = Extract { path: dir.to_owned(), ..Extract::default() };
    // Directories may be read-only in the package: their modes come last, deepest first.
    let mut modes: Vec<(RelPath, u32)> = Vec::new();
    opened.read_payload(&mut |entry, content| {
        match one(&top, entry, content) {
            Ok(true) => out.entries += 1,
            Ok(false) => out.left_out.push(format!("{}: a device or pipe", entry.path)),
            Err(e) => {
                let what = format!("extracting {}", entry.path);
                return Err(Box::new(Error::Io { what, source: e }));
            }
        }
        if entry.kind == EntryKind::Dir && !entry.path.is_root() {
            modes.push((entry.path.clone(), entry.mode));
        }
        if entry.mode & 0o6000 != 0 {
            out.left_out.push(format!("{}: its setuid and setgid bits", entry.path));
        }
        if !entry.xattrs.is_empty() {
            out.left_out.push(format!("{}: its extended attributes", entry.path));
        }
        if !matches!(entry.user.as_str(), "" | "root") || !matches!(entry.group.as_str(), "" | "root") {
            out.left_out.push(format!("{}: its owner {}:{}", entry.path, entry.user, entry.group));
        }
        Ok(())
    })?;
    if scripts {
        let scripts: Scripts = opened.meta().scripts.clone();
        for (kind, text) in &scripts {
            let path = dir.join(format!(".{}", kind.as_str()));
            super::output::place(&path, 0o755, |out| out.write_all(text).map_err(Error::io("writing a script")))?;
        }
    }
    for (path, mode) in modes.iter().rev() {
        let opened = parent(&top, path).and_then(|dir| at(&dir, path, OFlags::DIRECTORY | OFlags::RDONLY, 0));
        opened
            .and_then(|fd| Ok(rustix::fs::fchmod(&fd, Mode::from_raw_mode(mode & 0o1777))?))
            .map_err(Error::io(format!("setting the mode of {path}")))?;
    }
    Ok(out)
}

/// Makes one entry; false for what is left out.
fn one(top: &OwnedFd, entry: &Entry, content: &mut dyn Read) -> std::io::Result<bool> {
    if entry.path.is_root() {
        return Ok(true);
    }
    let dir = parent(top, &entry.path)?;
    let name = OsStr::from_bytes(entry.path.file_name());
    match &entry.kind {
        EntryKind::Dir => make_dir(&dir, name)?,
        EntryKind::Symlink(target) => symlinkat(OsStr::from_bytes(target), &dir, name)?,
        EntryKind::Hardlink(target) => {
            let from = parent(top, target)?;
            linkat(&from, OsStr::from_bytes(target.file_name()), &dir, name, AtFlags::empty())?;
        }
        EntryKind::File => {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY;
            let mut file = File::from(at(&dir, &entry.path, flags, 0o600)?);
            std::io::copy(content, &mut file)?;
            rustix::fs::fchmod(&file, Mode::from_raw_mode(entry.mode & 0o777))?;
        }
        EntryKind::Char(..) | EntryKind::Block(..) | EntryKind::Fifo => return Ok(false),
    }
    Ok(true)
}

/// The directory that an entry lies in, made where it is missing.
fn parent(top: &OwnedFd, path: &RelPath) -> std::io::Result<OwnedFd> {
    let mut dir = top.try_clone()?;
    for above in path.ancestors() {
        make_dir(&dir, OsStr::from_bytes(above.file_name()))?;
        dir = at(&dir, &above, OFlags::DIRECTORY | OFlags::RDONLY, 0)?;
    }
    Ok(dir)
}

fn make_dir(dir: &OwnedFd, name: &OsStr) -> std::io::Result<()> {
    match mkdirat(dir, name, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// Opens the last step of a path without following it.
fn at(dir: &OwnedFd, path: &RelPath, flags: OFlags, mode: u32) -> std::io::Result<OwnedFd> {
    let name = OsStr::from_bytes(path.file_name());
    Ok(openat(dir, name, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::from_raw_mode(mode))?)
}
