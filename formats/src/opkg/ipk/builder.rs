//! Makes ipk packages. What it writes depends on its input only: no clock, no host, no order of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use flate2::write::GzEncoder;
use ring::digest::Context;
use tempfile::SpooledTempFile;
use xpkg_model::payload::{Entry, EntryKind, Scripts};
use xpkg_model::{Identity, Package, RelPath};

use super::{SCRIPTS, file_name};
use crate::Error;
pub use crate::apk::v2::Written;
use crate::archive::tar::Item;
use crate::archive::{ar, gzip, tar_write};
use crate::keys::Hash;
use crate::opkg::control::Control;
use crate::package::items;
use crate::package::paths::Paths;

/// Content up to this size is kept in memory until its size is known.
const SPOOL: usize = 1 << 20;
const VERSION: &[u8] = b"2.0\n";

/// What the three members lie in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Outer {
    /// A gzip'd tar: what OpenWrt makes and opkg reads.
    #[default]
    Tar,
    /// An `ar`, as Debian's packages have it. OpenWrt's opkg cannot read it.
    Ar,
}

/// A package being made. The payload is compressed into an anonymous temporary file as it comes.
pub struct Builder {
    package: Package,
    what: String,
    data: GzEncoder<File>,
    paths: Paths,
    dirs: BTreeSet<RelPath>,
    files: BTreeMap<String, Vec<u8>>,
    scripts: Scripts,
    installed_size: u64,
}

impl Builder {
    /// Starts a package. Its identity, size and file name are ignored, its installed size is computed when it is 0.
    pub fn new(package: Package) -> Result<Self, Error> {
        let what = file_name(&package);
        let file = tempfile::tempfile().map_err(|e| Error::io(&what, e))?;
        Ok(Self {
            package,
            what,
            data: gzip::encoder(file),
            paths: Paths::new(),
            dirs: BTreeSet::new(),
            files: BTreeMap::new(),
            scripts: Scripts::new(),
            installed_size: 0,
        })
    }

    /// Sets the maintainer scripts. An ipk has the four of [`SCRIPTS`]; others are refused when it is finished.
    pub fn scripts(mut self, scripts: Scripts) -> Self {
        self.scripts = scripts;
        self
    }

    /// Sets one more member of the control archive: `postinst-pkg`, `conffiles` …
    pub fn control_file(mut self, name: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        self.files.insert(name.into(), content.into());
        self
    }

    /// Sets the configuration files.
    pub fn conffiles<'a>(self, paths: impl IntoIterator<Item = &'a RelPath>) -> Self {
        let lines: Vec<u8> = paths.into_iter().flat_map(|path| [b"/", path.as_bytes(), b"\n"].concat()).collect();
        if lines.is_empty() { self } else { self.control_file("conffiles", lines) }
    }

    /// Adds an entry. Directories above it that were not added yet are added as root's with mode 0755. The size is computed
    /// from `content`, which is read to its end for a regular file and not at all for others.
    pub fn entry(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<(), Error> {
        // OpenWrt's archives begin with the root directory.
        for parent in std::iter::once(RelPath::root()).chain(entry.path.ancestors()) {
            if !self.dirs.contains(&parent) && parent != entry.path {
                let mut dir = Entry::new(parent, EntryKind::Dir, 0o755);
                dir.mtime = entry.mtime;
                self.add(&dir, &mut io::empty())?;
            }
        }
        self.add(entry, content)
    }

    fn add(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<(), Error> {
        let mut item = items::item(entry);
        let io = |e| Error::io(&self.what, e);
        item.name = dotted(&entry.path, entry.kind == EntryKind::Dir);
        if let EntryKind::Hardlink(target) = &entry.kind {
            item.link = dotted(target, false);
        }
        let mut spool = SpooledTempFile::new(SPOOL);
        if entry.kind == EntryKind::File {
            item.size = io::copy(content, &mut spool).map_err(io)?;
            spool.seek(SeekFrom::Start(0)).map_err(io)?;
            self.installed_size += item.size;
        }
        self.paths.admit(&self.what, entry)?;
        if entry.kind == EntryKind::Dir {
            self.dirs.insert(entry.path.clone());
        }
        tar_write::append_gnu(&mut self.data, &item, &mut spool, &self.what)
    }

    /// Writes the package.
    pub fn finish(self, out: &mut dyn Write, outer: Outer) -> Result<Written, Error> {
        let Self { mut package, what, mut data, mut files, scripts, installed_size, .. } = self;
        let io = |e| Error::io(&what, e);
        tar_write::end(&mut data, &what)?;
        let mut data = data.finish().map_err(io)?;
        let data_size = data.stream_position().map_err(io)?;
        data.seek(SeekFrom::Start(0)).map_err(io)?;
        for (kind, script) in scripts {
            let Some((name, _)) = SCRIPTS.iter().find(|(_, known)| *known == kind) else {
                let reason = format!("an ipk has no {} script", kind.as_str());
                return Err(Error::Unwritable { what, reason });
            };
            files.insert((*name).to_owned(), script);
        }
        if package.installed_size == 0 {
            package.installed_size = installed_size;
        }
        let mtime = package.build_time;
        let control = control(&package, &files, &what)?;
        let mut hashed = Hashed { out, context: Context::new(Hash::Sha256.algorithm()), size: 0 };
        let members: [(&str, u64, &mut dyn Read); 3] = [
            ("debian-binary", VERSION.len() as u64, &mut &*VERSION),
            ("data.tar.gz", data_size, &mut data),
            ("control.tar.gz", control.len() as u64, &mut control.as_slice()),
        ];
        match outer {
            Outer::Tar => {
                let mut tar = gzip::encoder(&mut hashed);
                for (name, size, content) in members {
                    tar_write::append_gnu(&mut tar, &file(name, 0o644, mtime, size), content, &what)?;
                }
                tar_write::end(&mut tar, &what)?;
                tar.finish().map_err(io)?;
            }
            Outer::Ar => {
                let [version, data, control] = members;
                // dpkg wants this order.
                ar::write(&mut hashed, mtime, [version, control, data], &what)?;
            }
        }
        let mut identity = [0; 32];
        identity.iter_mut().zip(hashed.context.finish().as_ref()).for_each(|(to, from)| *to = *from);
        Ok(Written { identity: Identity::File(identity), size: hashed.size, installed_size: package.installed_size })
    }
}

fn control(package: &Package, files: &BTreeMap<String, Vec<u8>>, what: &str) -> Result<Vec<u8>, Error> {
    let text = Control::from_package(package)?.to_bytes();
    let mtime = package.build_time;
    gzip::pack(what, |out| {
        let mut root = file("", 0o755, mtime, 0);
        root.kind = crate::archive::tar::ItemKind::Dir;
        tar_write::append_gnu(out, &root, &mut io::empty(), what)?;
        let mut add = |name: &str, content: &[u8]| {
            let is_script = SCRIPTS.iter().any(|(script, _)| name.strip_suffix("-pkg").unwrap_or(name) == *script);
            let mode = if is_script { 0o755 } else { 0o644 };
            tar_write::append_gnu(out, &file(name, mode, mtime, content.len() as u64), &mut &*content, what)
        };
        add("control", &text)?;
        files.iter().try_for_each(|(name, content)| add(name, content))?;
        tar_write::end(out, what)
    })
}

/// A path as OpenWrt's archives write it.
fn dotted(path: &RelPath, dir: bool) -> Vec<u8> {
    let slash: &[u8] = if dir && !path.is_root() { b"/" } else { b"" };
    [b"./", path.as_bytes(), slash].concat()
}

fn file(name: &str, mode: u32, mtime: u64, size: u64) -> Item {
    let mut item = items::item(&Entry::new(RelPath::root(), EntryKind::File, mode));
    item.name = format!("./{name}").into_bytes();
    (item.mtime, item.size) = (mtime, size);
    item
}

/// Output that is hashed and counted as it is written.
struct Hashed<'a> {
    out: &'a mut dyn Write,
    context: Context,
    size: u64,
}

impl Write for Hashed<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.out.write(buf)?;
        self.context.update(&buf[..n]);
        self.size += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
