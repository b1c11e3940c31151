//! Reads a base root archive (tar, or tar.gz) into a tree, without unpacking it anywhere.

use std::io::{BufRead, Read};

use tar::EntryType;
use xpkg_model::RelPath;
use xpkg_model::root::NodeKind;

use crate::error::Error;
use crate::tree::{Tree, TreeNode};

/// Bounds for what an archive may bring; a root larger than this is no appliance.
const MAX_ENTRIES: usize = 2_000_000;
const MAX_BYTES: u64 = 64 << 30;
const MAX_XATTR: usize = 64 << 10;

/// Adds the archive's entries to the tree. `name` is for messages. Later entries win, as with tar.
pub fn read_archive(tree: &mut Tree, name: &str, mut reader: impl BufRead) -> Result<(), Error> {
    let head = reader.fill_buf().map_err(Error::io(name))?;
    if head.starts_with(&[0x1f, 0x8b]) {
        read_tar(tree, name, flate2::bufread::MultiGzDecoder::new(reader))
    } else if head.starts_with(b"hsqs") {
        Err(Error::Base {
            archive: name.into(),
            reason: "is a squashfs image; a tar or tar.gz archive is needed".into(),
        })
    } else {
        read_tar(tree, name, reader)
    }
}

fn read_tar(tree: &mut Tree, name: &str, reader: impl Read) -> Result<(), Error> {
    let bad = |reason: String| Error::Base { archive: name.to_owned(), reason };
    let mut archive = tar::Archive::new(reader.take(MAX_BYTES));
    let mut count = 0;
    for entry in archive.entries().map_err(Error::io(name))? {
        let mut entry = entry.map_err(Error::io(name))?;
        count += 1;
        if count > MAX_ENTRIES {
            return Err(bad(format!("holds more than {MAX_ENTRIES} entries")));
        }
        let path = RelPath::from_package(&entry.path_bytes()).map_err(|e| bad(e.to_string()))?;
        let header = entry.header();
        let field = |r: std::io::Result<u64>| r.map_err(|e| bad(format!("{path}: {e}")));
        let mut node = TreeNode {
            kind: NodeKind::File,
            mode: header.mode().map_err(|e| bad(format!("{path}: {e}")))? & 0o7777,
            uid: field(header.uid())? as u32,
            gid: field(header.gid())? as u32,
            mtime: field(header.mtime())? as i64,
            xattrs: Vec::new(),
            content: None,
        };
        let device = |h: &tar::Header| -> Result<(u32, u32), Error> {
            let number =
                |n: std::io::Result<Option<u32>>| n.map(Option::unwrap_or_default).map_err(|e| bad(e.to_string()));
            Ok((number(h.device_major())?, number(h.device_minor())?))
        };
        node.kind = match header.entry_type() {
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => NodeKind::File,
            EntryType::Directory => NodeKind::Dir,
            EntryType::Symlink => {
                let target = entry.link_name_bytes().ok_or_else(|| bad(format!("{path}: a link without a target")))?;
                NodeKind::Symlink(target.into_owned())
            }
            EntryType::Link => {
                let target = entry.link_name_bytes().ok_or_else(|| bad(format!("{path}: a link without a target")))?;
                let target = RelPath::from_package(&target).map_err(|e| bad(e.to_string()))?;
                let original = tree.get(&target).filter(|n| n.kind == NodeKind::File);
                node = original.ok_or_else(|| bad(format!("{path}: hard link to {target}, which is no file")))?.clone();
                NodeKind::File
            }
            EntryType::Char => device(header).map(|(a, b)| NodeKind::Char(a, b))?,
            EntryType::Block => device(header).map(|(a, b)| NodeKind::Block(a, b))?,
            EntryType::Fifo => NodeKind::Fifo,
            other => return Err(bad(format!("{path}: entry type {other:?} is not known"))),
        };
        if let Some(extensions) = entry.pax_extensions().map_err(Error::io(name))? {
            for extension in extensions.flatten() {
                if let Ok(Some(xattr)) = extension.key().map(|k| k.strip_prefix("SCHILY.xattr.")) {
                    if extension.value_bytes().len() > MAX_XATTR {
                        return Err(bad(format!("{path}: an extended attribute of more than {MAX_XATTR} bytes")));
                    }
                    if !xattr.starts_with("trusted.overlay.") {
                        node.xattrs.push((xattr.to_owned(), extension.value_bytes().to_vec()));
                    }
                }
            }
        }
        if node.kind == NodeKind::File && node.content.is_none() {
            node.content = Some(tree.spool.add(&mut entry).map_err(Error::io(format!("{name}: {path}")))?);
        }
        tree.insert(path, node).map_err(|e| bad(e.to_string()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use xpkg_model::root::RootView as _;

    #[test]
    fn hard_links_share_their_content_and_bad_names_are_refused() {
        let mut builder = tar::Builder::new(Vec::new());
        let header = || {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o644);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(0);
            header
        };
        let (mut header, mut link) = (header(), header());
        header.set_size(2);
        builder.append_data(&mut header, "a", &b"hi"[..]).unwrap();
        link.set_entry_type(EntryType::Link);
        link.set_size(0);
        builder.append_link(&mut link, "b", "a").unwrap();
        let bytes = builder.into_inner().unwrap();
        let mut tree = Tree::new().unwrap();
        read_archive(&mut tree, "test", &bytes[..]).unwrap();
        assert_eq!(tree.read(&RelPath::literal("b"), 10).unwrap().unwrap(), b"hi");

        let mut hostile = tar::Header::new_gnu();
        hostile.set_size(0);
        hostile.as_gnu_mut().unwrap().name[..5].copy_from_slice(b"../xx");
        hostile.set_cksum();
        let mut builder = tar::Builder::new(Vec::new());
        builder.append(&hostile, &b""[..]).unwrap();
        let bytes = builder.into_inner().unwrap();
        assert!(read_archive(&mut tree, "test", &bytes[..]).unwrap_err().to_string().contains("`..`"));
    }
}
