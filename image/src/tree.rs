//! A root that exists only in memory and in a spool: what an image will hold. Links and owners are data, so no rights are
//! needed to make it.

use std::collections::BTreeMap;
use std::io;

use xpkg_model::RelPath;
use xpkg_model::root::{self, Node, NodeKind, ReadSeek, RootView};

use crate::spool::{Slice, Spool};

/// One path of the tree.
#[derive(Clone, Debug)]
pub struct TreeNode {
    /// What it is.
    pub kind: NodeKind,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Seconds since 1970.
    pub mtime: i64,
    /// Extended attributes.
    pub xattrs: Vec<(String, Vec<u8>)>,
    /// Content of a regular file.
    pub content: Option<Slice>,
}

impl TreeNode {
    /// What a root view says of it.
    pub fn describe(&self) -> Node {
        let size = match &self.kind {
            NodeKind::Symlink(target) => target.len() as u64,
            _ => self.content.map_or(0, |c| c.len),
        };
        let (kind, mode, uid, gid, mtime) = (self.kind.clone(), self.mode, self.uid, self.gid, self.mtime);
        Node { kind, mode, uid, gid, size, mtime, nlink: 1 }
    }

    /// A directory as nobody described it: 0755 root:root.
    pub fn dir(mtime: i64) -> Self {
        Self { kind: NodeKind::Dir, mode: 0o755, uid: 0, gid: 0, mtime, xattrs: Vec::new(), content: None }
    }
}

/// The tree and the contents of its files.
#[derive(Debug)]
pub struct Tree {
    nodes: BTreeMap<RelPath, TreeNode>,
    /// Where contents lie.
    pub spool: Spool,
}

impl Tree {
    /// A root directory and nothing in it.
    pub fn new() -> io::Result<Self> {
        Ok(Self { nodes: BTreeMap::from([(RelPath::root(), TreeNode::dir(0))]), spool: Spool::new()? })
    }

    /// All paths in order, the root first; a directory comes before what is in it.
    pub fn iter(&self) -> impl Iterator<Item = (&RelPath, &TreeNode)> {
        self.nodes.iter()
    }

    /// The node at a path whose parents are no links.
    pub fn get(&self, path: &RelPath) -> Option<&TreeNode> {
        self.nodes.get(path)
    }

    /// Puts a node there; missing parents become plain directories.
    pub fn insert(&mut self, path: RelPath, node: TreeNode) -> io::Result<()> {
        for parent in path.ancestors().collect::<Vec<_>>() {
            let mtime = node.mtime;
            let at = self.nodes.entry(parent.clone()).or_insert_with(|| TreeNode::dir(mtime));
            if at.kind != NodeKind::Dir {
                return Err(io::Error::other(format!("{path}: {parent} is no directory")));
            }
        }
        if node.kind != NodeKind::Dir && self.has_children(&path) {
            return Err(io::Error::other(format!("{path} is a directory with contents")));
        }
        self.nodes.insert(path, node);
        Ok(())
    }

    /// Takes a node away; a directory only when it is empty.
    pub fn remove(&mut self, path: &RelPath) -> io::Result<()> {
        if self.has_children(path) {
            return Err(io::Error::new(io::ErrorKind::DirectoryNotEmpty, format!("{path} is not empty")));
        }
        self.nodes.remove(path);
        Ok(())
    }

    /// Changes a node in place.
    pub fn get_mut(&mut self, path: &RelPath) -> Option<&mut TreeNode> {
        self.nodes.get_mut(path)
    }

    fn has_children(&self, path: &RelPath) -> bool {
        self.below(path).next().is_some()
    }

    /// Everything below a directory, not itself. The order is bytewise, so `a-b` may lie between `a` and `a/x`: bounds, not
    /// neighbours, decide.
    fn below<'a>(&'a self, dir: &RelPath) -> impl Iterator<Item = (&'a RelPath, &'a TreeNode)> + use<'a> {
        let mut prefix = dir.as_bytes().to_vec();
        if !prefix.is_empty() {
            prefix.push(b'/');
        }
        let start = prefix.clone();
        self.nodes
            .range::<[u8], _>((std::ops::Bound::Included(start.as_slice()), std::ops::Bound::Unbounded))
            .take_while(move |(path, _)| path.as_bytes().starts_with(&prefix))
            .filter(|(path, _)| !path.is_root())
            .collect::<Vec<_>>()
            .into_iter()
    }
}

impl RootView for Tree {
    fn node(&self, path: &RelPath) -> io::Result<Option<Node>> {
        let path = self.real_path(path, false)?;
        Ok(self.nodes.get(&path).map(TreeNode::describe))
    }

    fn real_path(&self, path: &RelPath, follow_last: bool) -> io::Result<RelPath> {
        root::follow(path, follow_last, &mut |p| Ok(self.nodes.get(p).map(|n| n.kind.clone())))
    }

    fn open(&self, path: &RelPath) -> io::Result<Option<Box<dyn ReadSeek>>> {
        let path = self.real_path(path, true)?;
        Ok(match self.nodes.get(&path) {
            Some(TreeNode { kind: NodeKind::File, content: Some(slice), .. }) => {
                Some(Box::new(io::BufReader::new(self.spool.reader(*slice))))
            }
            Some(TreeNode { kind: NodeKind::File, .. }) => Some(Box::new(io::Cursor::new(Vec::new()))),
            _ => None,
        })
    }

    fn list(&self, dir: &RelPath) -> io::Result<Vec<Vec<u8>>> {
        let dir = self.real_path(dir, true)?;
        let depth = dir.components().count() + 1;
        Ok(self
            .below(&dir)
            .filter(|(path, _)| path.components().count() == depth)
            .map(|(path, _)| path.file_name().to_vec())
            .collect())
    }

    fn xattrs(&self, path: &RelPath) -> io::Result<Vec<(String, Vec<u8>)>> {
        let path = self.real_path(path, false)?;
        Ok(self.nodes.get(&path).map(|n| n.xattrs.clone()).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(tree: &mut Tree, text: &str) -> TreeNode {
        let content = Some(tree.spool.add(&mut text.as_bytes()).unwrap());
        TreeNode { kind: NodeKind::File, content, ..TreeNode::dir(0) }
    }

    #[test]
    fn behaves_like_a_root() {
        let mut tree = Tree::new().unwrap();
        let node = file(&mut tree, "hello");
        tree.insert(RelPath::literal("tmp/log/x"), node.clone()).unwrap();
        tree.insert(RelPath::literal("tmp-2"), node.clone()).unwrap();
        let link = TreeNode { kind: NodeKind::Symlink(b"tmp".to_vec()), ..TreeNode::dir(0) };
        tree.insert(RelPath::literal("var"), link).unwrap();
        assert_eq!(tree.read(&RelPath::literal("var/log/x"), 10).unwrap().unwrap(), b"hello");
        assert_eq!(tree.list(&RelPath::literal("var")).unwrap(), [b"log".to_vec()]);
        assert_eq!(tree.list(&RelPath::root()).unwrap().len(), 3);
        assert!(tree.remove(&RelPath::literal("tmp")).is_err());
        assert!(tree.insert(RelPath::literal("tmp"), node.clone()).is_err());
        assert!(tree.insert(RelPath::literal("tmp-2/below"), node).is_err());
    }
}
