//! A root file system as the rest of xpkg reads it: live, in a directory, or virtual (an image being made).

use std::io;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::RelPath;

/// What a path is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// Regular file.
    File,
    /// Directory.
    Dir,
    /// Symbolic link and its text.
    Symlink(Vec<u8>),
    /// Character device (major, minor).
    Char(u32, u32),
    /// Block device (major, minor).
    Block(u32, u32),
    /// Named pipe.
    Fifo,
    /// Socket.
    Socket,
}

/// One path's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: NodeKind,
    /// Permission bits, 0o7777.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes.
    pub size: u64,
    /// Seconds since 1970.
    pub mtime: i64,
    /// Number of names.
    pub nlink: u64,
}

/// What tells a file's content from another's without reading it: nothing writes to a file without changing it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Device that it lies on.
    pub device: u64,
    /// Number of the file there.
    pub inode: u64,
    /// Bytes.
    pub size: u64,
    /// When the content changed, as whoever wrote it says: seconds since 1970, nanoseconds.
    pub modified: (i64, i64),
    /// When anything about it changed, by the kernel's own clock.
    pub changed: (i64, i64),
}

/// An open file of a root.
pub trait ReadSeek: io::Read + io::Seek + Send {}
impl<T: io::Read + io::Seek + Send> ReadSeek for T {}

/// Reads a root. Links are followed inside the root only: an absolute target starts at this root, `..` stops at it.
pub trait RootView {
    /// The node at a path. Links in its parents are followed, the last component is not.
    fn node(&self, path: &RelPath) -> io::Result<Option<Node>>;

    /// The path with every link of its parents followed, and the last one too when `follow_last`.
    /// Components that do not exist stay as they are.
    fn real_path(&self, path: &RelPath, follow_last: bool) -> io::Result<RelPath>;

    /// Opens a regular file, following links. `None` when there is no regular file.
    fn open(&self, path: &RelPath) -> io::Result<Option<Box<dyn ReadSeek>>>;

    /// Names in a directory (links followed), sorted bytewise; empty when there is none.
    fn list(&self, dir: &RelPath) -> io::Result<Vec<Vec<u8>>>;

    /// The stamp of a regular file, links of its parents followed; `None` where there is none, or a root has no such thing.
    fn stamp(&self, _path: &RelPath) -> io::Result<Option<Stamp>> {
        Ok(None)
    }

    /// Extended attributes of a node, by name, sorted; never `trusted.overlay.*`.
    fn xattrs(&self, path: &RelPath) -> io::Result<Vec<(String, Vec<u8>)>>;

    /// Reads a small file whole; `None` when absent. More than `limit` bytes is an error.
    fn read(&self, path: &RelPath, limit: u64) -> io::Result<Option<Vec<u8>>> {
        use io::Read as _;
        let Some(file) = self.open(path)? else { return Ok(None) };
        let mut out = Vec::new();
        file.take(limit + 1).read_to_end(&mut out)?;
        if out.len() as u64 > limit {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("{path} is larger than {limit} bytes")));
        }
        Ok(Some(out))
    }
}

impl<T: RootView + ?Sized> RootView for Arc<T> {
    fn node(&self, path: &RelPath) -> io::Result<Option<Node>> {
        (**self).node(path)
    }
    fn real_path(&self, path: &RelPath, follow_last: bool) -> io::Result<RelPath> {
        (**self).real_path(path, follow_last)
    }
    fn open(&self, path: &RelPath) -> io::Result<Option<Box<dyn ReadSeek>>> {
        (**self).open(path)
    }
    fn list(&self, dir: &RelPath) -> io::Result<Vec<Vec<u8>>> {
        (**self).list(dir)
    }
    fn stamp(&self, path: &RelPath) -> io::Result<Option<Stamp>> {
        (**self).stamp(path)
    }
    fn xattrs(&self, path: &RelPath) -> io::Result<Vec<(String, Vec<u8>)>> {
        (**self).xattrs(path)
    }
}

/// Most links that one path may lead through, as Linux allows.
pub const MAX_LINKS: usize = 40;

/// Follows the links of a path inside a root that `kind_at` describes: absolute targets start at the root, `..` stops there.
/// `kind_at` is asked for paths whose parents are no links. What does not exist stays as it is.
pub fn follow(
    path: &RelPath,
    follow_last: bool,
    kind_at: &mut dyn FnMut(&RelPath) -> io::Result<Option<NodeKind>>,
) -> io::Result<RelPath> {
    let mut todo: Vec<Vec<u8>> = path.components().rev().map(<[u8]>::to_vec).collect();
    let mut done = RelPath::root();
    let mut links = 0;
    while let Some(component) = todo.pop() {
        match component.as_slice() {
            b"" | b"." => continue,
            b".." => {
                done = done.parent().unwrap_or_else(RelPath::root);
                continue;
            }
            _ => {}
        }
        let next = done.join(&component).map_err(io::Error::other)?;
        if todo.is_empty() && !follow_last {
            return Ok(next);
        }
        match kind_at(&next)? {
            Some(NodeKind::Symlink(target)) => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(io::Error::other(format!("{path}: too many levels of symbolic links")));
                }
                if target.first() == Some(&b'/') {
                    done = RelPath::root();
                }
                todo.extend(target.split(|b| *b == b'/').rev().map(<[u8]>::to_vec));
            }
            _ => done = next,
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_stay_inside_the_root() {
        let mut kinds = |path: &RelPath| {
            Ok(Some(match path.to_string().as_str() {
                "/var" => NodeKind::Symlink(b"tmp".to_vec()),
                "/abs" => NodeKind::Symlink(b"/usr/lib".to_vec()),
                "/up" => NodeKind::Symlink(b"../../../etc".to_vec()),
                "/loop" => NodeKind::Symlink(b"loop".to_vec()),
                _ => NodeKind::Dir,
            }))
        };
        let mut follow = |path: &'static str, last| follow(&RelPath::literal(path), last, &mut kinds);
        assert_eq!(follow("/var/lib/x", false).unwrap().to_string(), "/tmp/lib/x");
        assert_eq!(follow("/abs/libz.so", true).unwrap().to_string(), "/usr/lib/libz.so");
        assert_eq!(follow("/up/passwd", true).unwrap().to_string(), "/etc/passwd");
        assert_eq!(follow("/var", false).unwrap().to_string(), "/var");
        assert_eq!(follow("/var", true).unwrap().to_string(), "/tmp");
        assert!(follow("/loop/x", true).is_err());
    }
}
