//! Makes apk v3 packages. What it writes depends on its input only (an ECDSA signature included): no clock, no host, no
//! order of its own.

use std::io::{self, Read, Write};

use ring::digest::{Context, SHA256, digest};
use tempfile::SpooledTempFile;
use xpkg_model::payload::{Digest, Entry, EntryKind, Scripts};
use xpkg_model::{Identity, Package};

use super::data::Data;
use super::info_write::{self, Fields};
use super::meta::UNIQUE_ID;
use super::schema::{SCRIPTS, package};
use super::tree::Tree;
use super::{Compression, Written};
use crate::adb::heap::Value;
use crate::adb::heap_writer::HeapWriter;
use crate::adb::{Schema, container};
use crate::keys::SecretKey;
use crate::package::paths::Paths;
use crate::package::{Format, Meta};
use crate::{Error, Limits};

/// Contents up to this size together stay in memory until they are written.
const SPOOL: usize = 1 << 20;

/// A package being made. Contents wait in an anonymous temporary file, since their digests are written before them.
pub struct Builder {
    meta: Meta,
    what: String,
    compression: Compression,
    paths: Paths,
    tree: Tree,
    contents: SpooledTempFile,
    spooled: u64,
}

impl Builder {
    /// Starts a package. Its identity and size are ignored, its installed size is computed when it is 0.
    pub fn new(package: Package) -> Result<Self, Error> {
        Ok(Self {
            what: format!("{}-{}.apk", package.name, package.version),
            meta: Meta::new(package, Format::Apk3),
            compression: Compression::default(),
            paths: Paths::new(),
            tree: Tree::default(),
            contents: SpooledTempFile::new(SPOOL),
            spooled: 0,
        })
    }

    /// Sets the maintainer scripts.
    pub fn scripts(mut self, scripts: Scripts) -> Self {
        self.meta.scripts = scripts;
        self
    }

    /// Sets the directories that the trigger script watches.
    pub fn triggers(mut self, triggers: Vec<String>) -> Self {
        self.meta.triggers = triggers;
        self
    }

    /// Sets the envelope.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Adds an entry. Directories above it that are never added are added as root's with mode 0755. Sizes and digests are
    /// computed from `content`, which is read to its end for a regular file and not at all for others.
    pub fn entry(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<(), Error> {
        let mut entry = entry.clone();
        let offset = self.spooled;
        (entry.size, entry.digest) = (0, None);
        if entry.kind == EntryKind::File {
            let mut hashed = Hashed { inner: content, context: Context::new(&SHA256) };
            entry.size = io::copy(&mut hashed, &mut self.contents).map_err(|e| Error::io(&self.what, e))?;
            let mut hash = [0; 32];
            hash.iter_mut().zip(hashed.context.finish().as_ref()).for_each(|(to, from)| *to = *from);
            entry.digest = Some(Digest::Sha256(hash));
            self.spooled += entry.size;
        }
        self.paths.admit(&self.what, &entry)?;
        self.tree.add(entry, offset).map_err(|(path, reason)| Error::entry(&self.what, path.as_bytes(), reason))
    }

    /// Writes the package, signed when a key is given.
    pub fn finish(self, out: &mut dyn Write, key: Option<&SecretKey>) -> Result<Written, Error> {
        let Self { mut meta, what, compression, mut tree, mut contents, spooled, .. } = self;
        if meta.package.installed_size == 0 && !(tree.is_empty() && meta.scripts.is_empty()) {
            // 0 is for packages without anything in them: apk does not even fetch those.
            meta.package.installed_size = spooled.max(1);
        }
        tree.order_links();
        let adb = heap(&meta, &tree, &what)?;
        let mut identity = [0; 32];
        identity.iter_mut().zip(digest(&SHA256, &adb).as_ref()).for_each(|(to, from)| *to = *from);
        let data = Data::new(tree.contents(), &mut contents);
        let mut out = Counted { inner: out, written: 0 };
        container::write(&mut out, &what, Schema::Package, &adb, key, data, compression)?;
        Ok(Written {
            identity: Identity::ApkSha256(identity),
            size: out.written,
            installed_size: meta.package.installed_size,
        })
    }
}

/// The ADB block, with the package's unique id in it.
fn heap(meta: &Meta, tree: &Tree, what: &str) -> Result<Vec<u8>, Error> {
    let unfit = |reason: String| Error::Unwritable { what: what.to_owned(), reason };
    let mut heap = HeapWriter::new();
    let (id, id_at) = heap.reserve_id();
    let mut info = meta.package.clone();
    // Known only to indexes.
    info.size = 0;
    let mut root = Fields::<{ package::SLOTS }>::new();
    root.set(package::INFO, info_write::write(&mut heap, &info, id)?);
    root.set(package::PATHS, tree.write(&mut heap));
    let max_script = Limits::default().max_script;
    let mut scripts = Fields::<{ SCRIPTS.len() }>::new();
    for (slot, kind) in (1..).zip(SCRIPTS) {
        let script: &[u8] = meta.scripts.get(&kind).map_or(&[], |script| script);
        if script.len() as u64 > max_script {
            return Err(unfit(format!("its {} script is larger than {max_script} bytes", kind.as_str())));
        }
        scripts.set(slot, heap.blob(script));
    }
    root.set(package::SCRIPTS, scripts.write(&mut heap));
    if let Some(glob) = meta.triggers.iter().find(|glob| glob.is_empty() || glob.contains(char::is_whitespace)) {
        return Err(unfit(format!("`{}` is no trigger", glob.escape_debug())));
    }
    let triggers: Vec<Value> = meta.triggers.iter().map(|glob| heap.text(glob)).collect();
    root.set(package::TRIGGERS, heap.array(&triggers));
    root.set(package::REPLACES_PRIORITY, heap.int(meta.package.replaces_priority.into()));
    let root = root.write(&mut heap);
    let mut adb = heap.finish(root, what)?;
    let id = digest(&SHA256, &adb);
    if let Some(place) = adb.get_mut(id_at..id_at + UNIQUE_ID) {
        place.iter_mut().zip(id.as_ref()).for_each(|(to, from)| *to = *from);
    }
    Ok(adb)
}

/// Content that is hashed as it is read.
struct Hashed<'a> {
    inner: &'a mut dyn Read,
    context: Context,
}

impl Read for Hashed<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.context.update(buf.get(..n).unwrap_or_default());
        Ok(n)
    }
}

/// Counts what is written.
struct Counted<'a> {
    inner: &'a mut dyn Write,
    written: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(buf)?;
        self.written += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
