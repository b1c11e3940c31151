//! Makes apk v2 packages. What it writes depends on its input only: no clock, no host, no order of its own.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use flate2::write::GzEncoder;
use ring::digest::Context;
use tempfile::SpooledTempFile;
use xpkg_model::payload::{Digest, Entry, EntryKind, Scripts};
use xpkg_model::{Identity, Package, RelPath};

use super::{pkginfo, signature};
use crate::Error;
use crate::archive::gzip;
use crate::archive::tar::{Item, ItemKind};
use crate::archive::tar_write;
use crate::keys::{Hash, SecretKey};
use crate::package::paths::Paths;
use crate::package::{Format, Meta, items};

/// Content up to this size is kept in memory until its digest is known.
const SPOOL: usize = 1 << 20;

/// A package being made. The payload is compressed into an anonymous temporary file as it comes.
pub struct Builder {
    meta: Meta,
    what: String,
    data: GzEncoder<Hashed>,
    paths: Paths,
    dirs: BTreeSet<RelPath>,
    installed_size: u64,
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// What an index must call the package by.
    pub identity: Identity,
    /// Bytes of the file.
    pub size: u64,
    /// Bytes of the contents.
    pub installed_size: u64,
}

impl Builder {
    /// Starts a package. Its identity and size are ignored, its installed size is computed when it is 0.
    pub fn new(package: Package) -> Result<Self, Error> {
        let what = format!("{}-{}.apk", package.name, package.version);
        let file = tempfile::tempfile().map_err(|e| Error::io(&what, e))?;
        let data = gzip::encoder(Hashed { file, context: Context::new(Hash::Sha256.algorithm()) });
        let meta = Meta::new(package, Format::Apk2);
        Ok(Self { meta, what, data, paths: Paths::new(), dirs: BTreeSet::new(), installed_size: 0 })
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

    /// Adds an entry. Directories above it that were not added yet are added as root's with mode 0755. Sizes and digests are
    /// computed from `content`, which is read to its end for a regular file and not at all for others.
    pub fn entry(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<(), Error> {
        if entry.path.is_root() && entry.kind == EntryKind::Dir {
            // The layout has no name for it.
            return Ok(());
        }
        for parent in entry.path.ancestors() {
            if !self.dirs.contains(&parent) {
                let mut dir = Entry::new(parent, EntryKind::Dir, 0o755);
                dir.mtime = entry.mtime;
                self.entry(&dir, &mut io::empty())?;
            }
        }
        let mut item = item(entry);
        let io = |e| Error::io(&self.what, e);
        let mut spool = SpooledTempFile::new(SPOOL);
        if entry.kind == EntryKind::File {
            item.size = io::copy(content, &mut spool).map_err(io)?;
            spool.seek(SeekFrom::Start(0)).map_err(io)?;
            item.sha1 = Some(sha1(&mut spool).map_err(io)?);
            spool.seek(SeekFrom::Start(0)).map_err(io)?;
            self.installed_size += item.size;
        }
        let mut complete = entry.clone();
        complete.digest = item.sha1.map(Digest::Sha1);
        self.paths.admit(&self.what, &complete)?;
        if entry.kind == EntryKind::Dir {
            self.dirs.insert(entry.path.clone());
        }
        tar_write::append(&mut self.data, &item, &mut spool, &self.what)
    }

    /// Writes the package, signed when a key is given.
    pub fn finish(self, out: &mut dyn Write, key: Option<&SecretKey>) -> Result<Written, Error> {
        let Self { mut meta, what, mut data, installed_size, .. } = self;
        let io = |e| Error::io(&what, e);
        tar_write::end(&mut data, &what)?;
        let Hashed { mut file, context } = data.finish().map_err(io)?;
        let datahash = context.finish();
        meta.datahash = datahash.as_ref().try_into().ok();
        if meta.package.installed_size == 0 {
            meta.package.installed_size = installed_size;
        }
        let control = control(&meta, &what)?;
        let signature = match key {
            Some(key) => signature::member(&control, key, meta.package.build_time, &what)?,
            None => Vec::new(),
        };
        out.write_all(&signature).and_then(|()| out.write_all(&control)).map_err(io)?;
        file.seek(SeekFrom::Start(0)).map_err(io)?;
        let payload = io::copy(&mut file, out).map_err(io)?;
        let mut identity = [0; 20];
        identity.iter_mut().zip(Hash::Sha1.of(&control)).for_each(|(to, from)| *to = from);
        Ok(Written {
            identity: Identity::ApkSha1(identity),
            size: (signature.len() + control.len()) as u64 + payload,
            installed_size: meta.package.installed_size,
        })
    }
}

fn control(meta: &Meta, what: &str) -> Result<Vec<u8>, Error> {
    let info = pkginfo::write(meta, what)?;
    let mtime = meta.package.build_time;
    gzip::pack(what, |out| {
        let mut add = |name: String, mode, content: &[u8]| {
            let item = signature::file(name.into_bytes(), mode, mtime, content.len() as u64);
            tar_write::append(out, &item, &mut &*content, what)
        };
        add(".PKGINFO".to_owned(), 0o644, &info)?;
        meta.scripts.iter().try_for_each(|(kind, script)| add(format!(".{}", kind.as_str()), 0o755, script))
    })
}

fn item(entry: &Entry) -> Item {
    let mut item = items::item(entry);
    item.sha1 = (item.kind == ItemKind::Symlink).then(|| {
        let mut digest = [0; 20];
        digest.iter_mut().zip(Hash::Sha1.of(&item.link)).for_each(|(to, from)| *to = from);
        digest
    });
    for (name, id) in [(&mut item.user, item.uid), (&mut item.group, item.gid)] {
        if name.is_empty() && id == 0 {
            "root".clone_into(name);
        }
    }
    item
}

fn sha1(content: &mut impl Read) -> io::Result<[u8; 20]> {
    let mut context = Context::new(Hash::Sha1.algorithm());
    let mut buf = [0; 16 << 10];
    loop {
        match content.read(&mut buf)? {
            0 => break,
            n => context.update(&buf[..n]),
        }
    }
    let mut digest = [0; 20];
    digest.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
    Ok(digest)
}

/// A file whose bytes are hashed as they are written.
struct Hashed {
    file: File,
    context: Context,
}

impl Write for Hashed {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.file.write(buf)?;
        self.context.update(&buf[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
