//! Writes a tree as a squashfs image, in an order and with settings that depend on nothing but the tree.

use std::io::{Cursor, Seek, Write};

use backhand::compression::Compressor;
use backhand::{FilesystemCompressor, FilesystemReader, FilesystemWriter, Id, NodeHeader};
use serde::{Deserialize, Serialize};
use xpkg_model::RelPath;
use xpkg_model::root::NodeKind;

use crate::error::Error;
use crate::tree::{Tree, TreeNode};

/// How blocks are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// zlib: fast, every kernel reads it.
    Gzip,
    /// LZMA2: smallest, what OpenWrt uses.
    #[default]
    Xz,
}

/// Bytes per block: OpenWrt's own choice for images (CONFIG_TARGET_SQUASHFS_BLOCK_SIZE=256).
const BLOCK: u32 = 256 * 1024;

/// Writes the image. `time` is what the superblock says, seconds since 1970.
pub fn write(tree: &Tree, compression: Compression, time: u32, output: impl Write + Seek) -> Result<(), Error> {
    let root = tree.get(&RelPath::root()).cloned().unwrap_or_else(|| TreeNode::dir(0));
    let start = start(&root)?;
    let mut writer = FilesystemWriter::from_fs_reader(&start)?;
    writer.set_time(time);
    writer.set_block_size(BLOCK);
    let id = match compression {
        Compression::Gzip => Compressor::Gzip,
        Compression::Xz => Compressor::Xz,
    };
    writer.set_compressor(FilesystemCompressor::new(id, None)?);
    for (path, node) in tree.iter() {
        if !node.xattrs.is_empty() {
            return Err(Error::Xattrs { path: path.to_string() });
        }
        if !path.is_root() {
            push(&mut writer, tree, path.as_path(), node)?;
        }
    }
    writer.write(output)?;
    Ok(())
}

/// An image with nothing but a root directory of that time and those owners: the writer's own calls cannot set the time and
/// do not register the owners, but it takes everything over from a reader.
fn start(root: &TreeNode) -> Result<FilesystemReader<'static>, Error> {
    let mut empty = Cursor::new(Vec::new());
    FilesystemWriter::default().write(&mut empty)?;
    empty.set_position(0);
    let mut reader = FilesystemReader::from_reader(empty)?;
    reader.root.root_mut().header = NodeHeader::new(root.mode as u16, root.uid, root.gid, seconds(root.mtime));
    for id in [root.uid, root.gid] {
        if !reader.id_table.iter().any(|known| known.num == id) {
            reader.id_table.push(Id::new(id));
        }
    }
    Ok(reader)
}

/// Times before 1970 and after 2106 do not exist in squashfs.
fn seconds(time: i64) -> u32 {
    u32::try_from(time).unwrap_or(if time < 0 { 0 } else { u32::MAX })
}

fn push<'t>(
    writer: &mut FilesystemWriter<'_, 'static, 't>,
    tree: &'t Tree,
    path: &std::path::Path,
    node: &TreeNode,
) -> Result<(), Error> {
    let header = NodeHeader::new(node.mode as u16, node.uid, node.gid, seconds(node.mtime));
    match &node.kind {
        NodeKind::File => match node.content {
            Some(slice) => writer.push_file(tree.spool.reader(slice), path, header)?,
            None => writer.push_file(std::io::empty(), path, header)?,
        },
        NodeKind::Dir => writer.push_dir(path, header)?,
        NodeKind::Symlink(target) => {
            use std::os::unix::ffi::OsStrExt as _;
            writer.push_symlink(std::ffi::OsStr::from_bytes(target), path, header)?;
        }
        NodeKind::Char(major, minor) => writer.push_char_device(device(*major, *minor), path, header)?,
        NodeKind::Block(major, minor) => writer.push_block_device(device(*major, *minor), path, header)?,
        NodeKind::Fifo => writer.push_fifo(path, header)?,
        NodeKind::Socket => writer.push_socket(path, header)?,
    }
    Ok(())
}

/// The kernel's 32-bit encoding (new_encode_dev): minor's low byte, major, minor's rest.
fn device(major: u32, minor: u32) -> u32 {
    (minor & 0xff) | (major << 8) | ((minor & !0xff) << 12)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(tree: &Tree) -> Result<FilesystemReader<'static>, Error> {
        let mut out = Cursor::new(Vec::new());
        write(tree, Compression::Gzip, 7, &mut out)?;
        out.set_position(0);
        Ok(FilesystemReader::from_reader(out)?)
    }

    #[test]
    fn the_root_keeps_its_own_time_and_owner() {
        let mut tree = Tree::new().unwrap();
        tree.insert(RelPath::root(), TreeNode { mode: 0o750, uid: 3, gid: 4, ..TreeNode::dir(5) }).unwrap();
        tree.insert(RelPath::literal("dev/tty9"), TreeNode { kind: NodeKind::Char(4, 300), ..TreeNode::dir(1) })
            .unwrap();
        let reader = written(&tree).unwrap();
        let header = reader.root.root().header;
        assert_eq!((header.permissions, header.uid, header.gid, header.mtime), (0o750, 3, 4, 5));
        assert_eq!(reader.mod_time, 7);
        assert_eq!(device(4, 300), 0x10042c);
    }

    #[test]
    fn attributes_are_refused_and_not_lost() {
        let mut tree = Tree::new().unwrap();
        let xattrs = vec![("security.capability".to_owned(), vec![1])];
        let node = TreeNode { kind: NodeKind::File, xattrs, ..TreeNode::dir(0) };
        tree.insert(RelPath::literal("bin/ping"), node).unwrap();
        let refused = written(&tree).map(drop).unwrap_err().to_string();
        assert!(refused.contains("/bin/ping") && refused.contains("extended attributes"), "{refused}");
    }
}
