//! The entries of a package being written, in apk's order: directories by path, files by name, and of several names of one
//! file the first is the file.

use std::collections::BTreeMap;

use xpkg_model::RelPath;
use xpkg_model::payload::{Digest, Entry, EntryKind};

use super::data::Content;
use super::entry::device_word;
use super::info_write::Fields;
use super::schema::{acl, dir, file, file_type};
use crate::adb::heap::Value;
use crate::adb::heap_writer::HeapWriter;

/// All entries.
#[derive(Default)]
pub(super) struct Tree {
    dirs: BTreeMap<RelPath, Dir>,
    /// Every hard link and the file it was made of.
    links: BTreeMap<RelPath, RelPath>,
}

struct Dir {
    entry: Entry,
    files: BTreeMap<Vec<u8>, File>,
}

struct File {
    entry: Entry,
    /// Where its content begins in the spool.
    offset: u64,
}

impl Tree {
    pub(super) fn is_empty(&self) -> bool {
        self.dirs.is_empty()
    }

    /// Adds an entry that `Paths` admitted, and the directories above it.
    pub(super) fn add(&mut self, mut entry: Entry, offset: u64) -> Result<(), (RelPath, &'static str)> {
        let path = entry.path.clone();
        for (name, number) in [(&mut entry.user, entry.uid), (&mut entry.group, entry.gid)] {
            match (name.is_empty(), number) {
                (true, 0) => "root".clone_into(name),
                (true, _) => return Err((path, "its owner has a number but no name, and apk v3 keeps names only")),
                _ => {}
            }
        }
        if entry.xattrs.iter().any(|(name, _)| name.is_empty() || name.len() > 255 || name.contains('\0')) {
            return Err((path, "an extended attribute whose name is none"));
        }
        for above in path.ancestors().chain([RelPath::root()]) {
            self.dirs.entry(above.clone()).or_insert_with(|| Dir::implied(above));
        }
        let Some(parent) = path.parent().filter(|_| entry.kind != EntryKind::Dir) else {
            self.dirs.entry(path.clone()).or_insert_with(|| Dir::implied(path)).entry = entry;
            return Ok(());
        };
        if let EntryKind::Hardlink(target) = &entry.kind {
            let origin = self.links.get(target).unwrap_or(target).clone();
            self.links.insert(path.clone(), origin);
        }
        if let Some(dir) = self.dirs.get_mut(&parent) {
            dir.files.insert(path.file_name().to_vec(), File { entry, offset });
        }
        Ok(())
    }

    fn file(&mut self, path: &RelPath) -> Option<&mut File> {
        self.dirs.get_mut(&path.parent()?)?.files.get_mut(path.file_name())
    }

    /// A link may only name an earlier file, so the first name in the order of writing becomes the file.
    pub(super) fn order_links(&mut self) {
        let place = |path: &RelPath| (path.parent(), path.file_name().to_vec());
        let mut groups: BTreeMap<RelPath, Vec<RelPath>> = BTreeMap::new();
        for (link, origin) in std::mem::take(&mut self.links) {
            groups.entry(origin).or_default().push(link);
        }
        for (origin, mut names) in groups {
            names.push(origin.clone());
            names.sort_by_key(place);
            let Some((first, others)) = names.split_first() else { continue };
            let Some((entry, offset)) = self.file(&origin).map(|file| (file.entry.clone(), file.offset)) else {
                continue;
            };
            if let Some(file) = self.file(first) {
                *file = File { entry: Entry { path: first.clone(), ..entry.clone() }, offset };
            }
            for other in others {
                if let Some(file) = self.file(other) {
                    let kind = EntryKind::Hardlink(first.clone());
                    file.entry = Entry { path: other.clone(), kind, ..entry.clone() };
                }
            }
        }
    }

    /// Files that get a data block, in the order of the blocks.
    pub(super) fn contents(&self) -> Vec<Content> {
        let mut out = Vec::new();
        for (dir_slot, dir) in (1..).zip(self.dirs.values()) {
            for (file_slot, file) in (1..).zip(dir.files.values()) {
                if file.entry.kind == EntryKind::File && file.entry.size > 0 {
                    out.push(Content { slots: (dir_slot, file_slot), offset: file.offset, size: file.entry.size });
                }
            }
        }
        out
    }

    /// Writes `paths`.
    pub(super) fn write(&self, heap: &mut HeapWriter) -> Value {
        let dirs: Vec<Value> = self.dirs.values().map(|dir| dir.write(heap)).collect();
        heap.array(&dirs)
    }
}

impl Dir {
    fn implied(path: RelPath) -> Self {
        let mut entry = Entry::new(path, EntryKind::Dir, 0o755);
        (entry.user, entry.group) = ("root".to_owned(), "root".to_owned());
        Self { entry, files: BTreeMap::new() }
    }

    fn write(&self, heap: &mut HeapWriter) -> Value {
        let files: Vec<Value> = self.files.values().map(|file| write_file(heap, &file.entry)).collect();
        let mut fields = Fields::<{ dir::SLOTS }>::new();
        fields.set(dir::NAME, heap.blob(self.entry.path.as_bytes()));
        fields.set(dir::ACL, write_acl(heap, &self.entry));
        fields.set(dir::FILES, heap.array(&files));
        fields.write(heap)
    }
}

fn write_acl(heap: &mut HeapWriter, entry: &Entry) -> Value {
    let mut xattrs: Vec<_> = entry.xattrs.iter().collect();
    xattrs.sort();
    let join = |(name, value): &(String, Vec<u8>)| [name.as_bytes(), b"\0", value].concat();
    let xattrs: Vec<Value> = xattrs.into_iter().map(|xattr| heap.blob(&join(xattr))).collect();
    let mut fields = Fields::<{ acl::SLOTS }>::new();
    fields.set(acl::MODE, heap.int(u64::from(entry.mode & 0o7777)));
    fields.set(acl::USER, heap.text(&entry.user));
    fields.set(acl::GROUP, heap.text(&entry.group));
    fields.set(acl::XATTRS, heap.array(&xattrs));
    fields.write(heap)
}

fn write_file(heap: &mut HeapWriter, entry: &Entry) -> Value {
    let target = |kind: u16, rest: &[u8]| [&kind.to_le_bytes(), rest].concat();
    let device = |kind, major, minor| target(kind, &device_word(major, minor).to_le_bytes());
    let (size, target) = match &entry.kind {
        EntryKind::File | EntryKind::Dir => (entry.size, Vec::new()),
        EntryKind::Symlink(text) => (text.len() as u64, target(file_type::SYMLINK, text)),
        EntryKind::Hardlink(path) => (entry.size, target(file_type::REGULAR, path.as_bytes())),
        EntryKind::Char(major, minor) => (0, device(file_type::CHAR, *major, *minor)),
        EntryKind::Block(major, minor) => (0, device(file_type::BLOCK, *major, *minor)),
        EntryKind::Fifo => (0, device(file_type::FIFO, 0, 0)),
    };
    let mut fields = Fields::<{ file::SLOTS }>::new();
    fields.set(file::NAME, heap.blob(entry.path.file_name()));
    fields.set(file::ACL, write_acl(heap, entry));
    fields.set(file::SIZE, heap.stated(size));
    fields.set(file::MTIME, heap.stated(entry.mtime));
    // A hard link carries the digest of its file, as mkpkg writes it.
    if let Some(Digest::Sha256(hash)) = &entry.digest {
        fields.set(file::HASH, heap.blob(hash));
    }
    fields.set(file::TARGET, heap.blob(&target));
    fields.write(heap)
}
