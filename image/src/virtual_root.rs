//! A tree as the target of a transaction: the same calls that change a live root change an image.

use std::collections::BTreeMap;
use std::io::{self, Read};

use xpkg_install::scripts::ScriptRunner;
use xpkg_install::target::{Begin, Meta, Need, Special, Staged, Target};
use xpkg_install::{Error, Result};
use xpkg_model::root::{Node, NodeKind, ReadSeek, RootView};
use xpkg_model::{Observer, RelPath};

use crate::tree::{Tree, TreeNode};

/// What a transaction will do to one path.
#[derive(Clone, Debug)]
enum Change {
    Put { node: TreeNode, hardlink_to: Option<RelPath> },
    Remove,
    Attributes(Meta),
}

/// A root being made. Dropping it forgets everything.
#[derive(Debug)]
pub struct VirtualRoot {
    tree: Tree,
    changes: BTreeMap<RelPath, Change>,
    /// Time of what has none of its own, seconds since 1970.
    time: i64,
}

impl VirtualRoot {
    /// A transaction target over a tree.
    pub fn new(tree: Tree, time: u64) -> Self {
        Self { tree, changes: BTreeMap::new(), time: i64::try_from(time).unwrap_or(0) }
    }

    /// The finished tree.
    pub fn into_tree(self) -> Tree {
        self.tree
    }

    /// The tree, to put files of the image's description into it.
    pub fn tree_mut(&mut self) -> &mut Tree {
        &mut self.tree
    }

    fn node_of(&self, kind: NodeKind, meta: &Meta) -> TreeNode {
        TreeNode {
            kind,
            mode: meta.mode,
            uid: meta.uid,
            gid: meta.gid,
            mtime: meta.mtime.unwrap_or(self.time),
            xattrs: meta.xattrs.clone(),
            content: None,
        }
    }

    fn put(&mut self, path: &RelPath, node: TreeNode) -> Result<Staged> {
        let bytes = node.content.map_or(0, |c| c.len);
        self.changes.insert(path.clone(), Change::Put { node, hardlink_to: None });
        Ok(Staged { bytes, xattrs_lost: false })
    }
}

impl Target for VirtualRoot {
    fn lock(&mut self) -> Result<()> {
        Ok(()) // nobody else can reach it
    }

    fn recover(&mut self, _: &dyn Observer) -> Result<()> {
        Ok(()) // nothing of it survives an interruption
    }

    fn check_space(&self, _: &[Need]) -> Result<()> {
        Ok(())
    }

    fn begin(&mut self, _: &Begin) -> Result<()> {
        self.changes.clear();
        Ok(())
    }

    fn stage_file(&mut self, path: &RelPath, meta: &Meta, content: &mut dyn Read) -> Result<Staged> {
        let slice = self.tree.spool.add(content).map_err(|e| Error::io("staging", path, e))?;
        let node = TreeNode { content: Some(slice), ..self.node_of(NodeKind::File, meta) };
        self.put(path, node)
    }

    fn stage_dir(&mut self, path: &RelPath, meta: &Meta, _: bool) -> Result<Staged> {
        let node = self.node_of(NodeKind::Dir, meta);
        self.put(path, node)
    }

    fn stage_symlink(&mut self, path: &RelPath, target: &[u8], meta: &Meta) -> Result<Staged> {
        // Links have no permissions of their own; Linux shows 0777.
        let node = TreeNode { mode: 0o777, ..self.node_of(NodeKind::Symlink(target.to_vec()), meta) };
        self.put(path, node)
    }

    fn stage_hardlink(&mut self, path: &RelPath, to: &RelPath) -> Result<Staged> {
        let original = match self.changes.get(to) {
            Some(Change::Put { node, .. }) => Some(node.clone()),
            _ => self.tree.get(to).cloned(),
        };
        match original {
            Some(node) if node.kind == NodeKind::File => {
                self.changes.insert(path.clone(), Change::Put { node, hardlink_to: Some(to.clone()) });
                Ok(Staged::default())
            }
            _ => Err(Error::Refused { path: path.to_string(), reason: format!("hard link to {to}, which is no file") }),
        }
    }

    fn stage_special(&mut self, path: &RelPath, special: Special, meta: &Meta) -> Result<Staged> {
        let kind = match special {
            Special::Char(major, minor) => NodeKind::Char(major, minor),
            Special::Block(major, minor) => NodeKind::Block(major, minor),
            Special::Fifo => NodeKind::Fifo,
        };
        let node = self.node_of(kind, meta);
        self.put(path, node)
    }

    fn stage_remove(&mut self, path: &RelPath) -> Result<()> {
        self.changes.insert(path.clone(), Change::Remove);
        Ok(())
    }

    fn stage_attributes(&mut self, path: &RelPath, meta: &Meta) -> Result<()> {
        self.changes.insert(path.clone(), Change::Attributes(meta.clone()));
        Ok(())
    }

    fn set_owner(&mut self, path: &RelPath, uid: u32, gid: u32) -> Result<()> {
        // Every name of a file has the file's owner.
        let first = match self.changes.get(path) {
            Some(Change::Put { hardlink_to: Some(to), .. }) => to.clone(),
            _ => path.clone(),
        };
        for (at, change) in &mut self.changes {
            if let Change::Put { node, hardlink_to } = change
                && (*at == first || hardlink_to.as_ref() == Some(&first))
            {
                (node.uid, node.gid) = (uid, gid);
            }
        }
        Ok(())
    }

    fn staged(&self, path: &RelPath) -> Result<Option<Node>> {
        Ok(match self.changes.get(path) {
            Some(Change::Put { node, .. }) => Some(node.describe()),
            _ => None,
        })
    }

    fn open_staged(&self, path: &RelPath) -> Result<Option<Box<dyn Read + Send>>> {
        Ok(match self.changes.get(path) {
            Some(Change::Put { node: TreeNode { content: Some(slice), .. }, .. }) => {
                Some(Box::new(self.tree.spool.reader(*slice)))
            }
            _ => None,
        })
    }

    fn script_runner(&mut self) -> Option<&mut dyn ScriptRunner> {
        None // scripts of packages never run on the machine that builds an image
    }

    fn commit(&mut self) -> Result<()> {
        let changes = std::mem::take(&mut self.changes);
        // Removals first and from the bottom up, so that a file may take the place of a directory that empties.
        for (path, _) in changes.iter().rev().filter(|(_, c)| matches!(c, Change::Remove)) {
            match self.tree.remove(path) {
                Err(e) if e.kind() != io::ErrorKind::DirectoryNotEmpty => return Err(Error::io("removing", path, e)),
                _ => {}
            }
        }
        for (path, change) in changes {
            match change {
                Change::Put { node, .. } => {
                    self.tree.insert(path.clone(), node).map_err(|e| Error::io("placing", &path, e))?;
                }
                Change::Attributes(meta) => {
                    if let Some(node) = self.tree.get_mut(&path) {
                        (node.mode, node.uid, node.gid) = (meta.mode, meta.uid, meta.gid);
                        node.mtime = meta.mtime.unwrap_or(node.mtime);
                        node.xattrs.retain(|(name, _)| !meta.xattrs.iter().any(|(new, _)| new == name));
                        node.xattrs.extend(meta.xattrs);
                        node.xattrs.sort();
                    }
                }
                Change::Remove => {}
            }
        }
        Ok(())
    }

    fn rollback(&mut self) -> Result<()> {
        self.changes.clear();
        Ok(())
    }
}

impl RootView for VirtualRoot {
    fn node(&self, path: &RelPath) -> io::Result<Option<Node>> {
        self.tree.node(path)
    }
    fn real_path(&self, path: &RelPath, follow_last: bool) -> io::Result<RelPath> {
        self.tree.real_path(path, follow_last)
    }
    fn open(&self, path: &RelPath) -> io::Result<Option<Box<dyn ReadSeek>>> {
        self.tree.open(path)
    }
    fn list(&self, dir: &RelPath) -> io::Result<Vec<Vec<u8>>> {
        self.tree.list(dir)
    }
    fn xattrs(&self, path: &RelPath) -> io::Result<Vec<(String, Vec<u8>)>> {
        self.tree.xattrs(path)
    }
}
