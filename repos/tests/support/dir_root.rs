//! A directory read as a root, for the tests and the example of this crate. Links are followed by the system, so that it
//! serves directories that the test made, not strangers' roots.

use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use xpkg_model::RelPath;
use xpkg_model::root::{Node, NodeKind, ReadSeek, RootView};

/// The directory.
pub struct DirRoot(pub PathBuf);

impl DirRoot {
    fn at(&self, path: &RelPath) -> PathBuf {
        self.0.join(path.as_path())
    }
}

fn absent<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(e) => Err(e),
    }
}

impl RootView for DirRoot {
    fn node(&self, path: &RelPath) -> io::Result<Option<Node>> {
        let Some(meta) = absent(self.at(path).symlink_metadata())? else { return Ok(None) };
        let kind = if meta.is_dir() {
            NodeKind::Dir
        } else if meta.is_symlink() {
            NodeKind::Symlink(self.at(path).read_link()?.as_os_str().as_bytes().to_vec())
        } else {
            NodeKind::File
        };
        Ok(Some(Node {
            kind,
            mode: meta.mode() & 0o7777,
            uid: meta.uid(),
            gid: meta.gid(),
            size: meta.len(),
            mtime: meta.mtime(),
            nlink: meta.nlink(),
        }))
    }

    fn real_path(&self, path: &RelPath, _: bool) -> io::Result<RelPath> {
        Ok(path.clone())
    }

    fn open(&self, path: &RelPath) -> io::Result<Option<Box<dyn ReadSeek>>> {
        let Some(meta) = absent(self.at(path).metadata())?.filter(|m| m.is_file()) else { return Ok(None) };
        let _ = meta;
        Ok(Some(Box::new(std::fs::File::open(self.at(path))?)))
    }

    fn list(&self, dir: &RelPath) -> io::Result<Vec<Vec<u8>>> {
        let Some(entries) = absent(std::fs::read_dir(self.at(dir)))? else { return Ok(Vec::new()) };
        let mut names = entries.map(|e| e.map(|e| e.file_name().into_vec())).collect::<io::Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    }

    fn xattrs(&self, _: &RelPath) -> io::Result<Vec<(String, Vec<u8>)>> {
        Ok(Vec::new())
    }
}
