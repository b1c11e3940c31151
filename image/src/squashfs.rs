//! Writes a tree as a squashfs image, in an order and with settings that depend on nothing but the tree.

use std::io::{Cursor, Seek, Write};

use backhand::compression::Compressor;
use backhand::{FilesystemCompressor, FilesystemReader, FilesystemWriter, NodeHeader};
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
    let start = start(tree.get(&RelPath::root()).map_or(0, |root| seconds(root.mtime)))?;
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
        if path.is_root() {
            writer.set_root_mode(node.mode as u16);
            writer.set_root_uid(node.uid);
            writer.set_root_gid(node.gid);
            continue;
        }
        push(&mut writer, tree, path.as_path(), node)?;
    }
    writer.write(output)?;
    Ok(())
}

/// An image with nothing but a root directory of that time: the writer has no call to set it, but takes it over from a
/// reader.
fn start(mtime: u32) -> Result<FilesystemReader<'static>, Error> {
    let mut empty = Cursor::new(Vec::new());
    FilesystemWriter::default().write(&mut empty)?;
    empty.set_position(0);
    let mut reader = FilesystemReader::from_reader(empty)?;
    reader.root.root_mut().header.mtime = mtime;
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
