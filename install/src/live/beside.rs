//! Small writes to a live root that are no part of a transaction: lines of a log, files of a cache. Losing one loses nothing
//! that an update does not bring back. Never touches a database or a package's file.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use xpkg_model::RelPath;
use xpkg_model::root::RootView as _;

use super::LiveRoot;
use crate::{Error, Result};

impl LiveRoot {
    /// Where a path lies on this machine, its links followed inside the root.
    pub fn outside(&self, path: &RelPath) -> Result<PathBuf> {
        let real = self.real_path(path, true).map_err(|e| Error::io("following", path, e))?;
        Ok(self.dir.join(real.as_path()))
    }

    /// Adds to the end of a file; its directories are made where they are missing.
    pub fn append(&self, path: &RelPath, bytes: &[u8]) -> Result<()> {
        let file = self.outside(path)?;
        let failed = |e| Error::io("writing", path, e);
        make_parent(&file).map_err(failed)?;
        OpenOptions::new().append(true).create(true).open(&file).and_then(|mut f| f.write_all(bytes)).map_err(failed)
    }

    /// A file without a name beside `path`, in the directory that it will lie in.
    pub fn begin_cached(&self, path: &RelPath) -> Result<(File, tempfile::TempPath)> {
        let file = self.outside(path)?;
        let failed = |e| Error::io("writing", path, e);
        make_parent(&file).map_err(failed)?;
        let dir = file.parent().unwrap_or(Path::new("/"));
        let mut builder = tempfile::Builder::new();
        builder.prefix(".apk.").permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
        Ok(builder.tempfile_in(dir).map_err(failed)?.into_parts())
    }

    /// Gives such a file its name, in place of an older one.
    pub fn keep_cached(&self, path: &RelPath, temporary: tempfile::TempPath) -> Result<()> {
        temporary.persist(self.outside(path)?).map_err(|e| Error::io("writing", path, e.error))
    }

    /// Removes a file of a cache. One that is not there is no error.
    pub fn drop_cached(&self, path: &RelPath) -> Result<()> {
        match fs::remove_file(self.outside(path)?) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io("removing", path, e)),
            _ => Ok(()),
        }
    }
}

fn make_parent(file: &Path) -> std::io::Result<()> {
    file.parent().map_or(Ok(()), fs::create_dir_all)
}
