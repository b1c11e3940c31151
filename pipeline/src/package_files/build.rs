//! Makes a package from a description and a directory. What it writes depends on those only: entries come sorted, every
//! time is the build's own, and owners are root's unless the description says otherwise.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use xpkg_formats::package::Format;
use xpkg_model::payload::{Entry, EntryKind, ScriptKind, Scripts};
use xpkg_model::{RelPath, VersionScheme};

use super::output::{Written, load_secret};
use super::payload::Payload;
use super::spec::{Attributes, Spec};
use crate::convert::{Dialect, Draft, Lost, Own, render_alone};
use crate::error::Error;

/// The description's name in a directory.
const SPEC: &str = "package.toml";
/// apk's own bound for a script.
const MAX_SCRIPT: u64 = 262_144;

/// What is to be made.
pub struct Build<'a> {
    /// The description, or a directory that holds it as `package.toml`.
    pub from: &'a Path,
    /// In which format.
    pub format: Format,
    /// Directory or file; `None`: the current directory.
    pub output: Option<&'a Path>,
    /// Secret key; not for ipk.
    pub key: Option<&'a Path>,
    /// Seconds since 1970 where the description does not say when it was built.
    pub now: u64,
}

/// Makes the package. Beside what was written: what the description says and the format cannot.
pub fn build(request: &Build<'_>) -> Result<(Written, Vec<Lost>), Error> {
    let file = if request.from.is_dir() { request.from.join(SPEC) } else { request.from.to_owned() };
    let bad = |reason: String| Error::Spec { file: file.display().to_string(), reason };
    let spec = Spec::read(&file)?;
    if request.format == Format::Ipk && request.key.is_some() {
        return Err(Error::NotPossible(
            "an ipk holds no signature; `xpkg index --format ipk --sign KEY` signs the feed that lists it".to_owned(),
        ));
    }
    let key = request.key.map(load_secret).transpose()?;
    let dialect = Dialect::of(request.format);
    let scheme = if dialect == Dialect::Opkg { VersionScheme::Deb } else { VersionScheme::Apk };
    let package = spec.package.package(scheme, request.now).map_err(bad)?;
    let beside = file.parent().unwrap_or(Path::new(""));
    let root = beside.join(spec.files.root.as_deref().unwrap_or(Path::new("root")));
    let mut payload = Payload::new();
    if root.is_dir() {
        Walk { payload: &mut payload, mtime: package.build_time, seen: BTreeMap::new() }
            .dir(&root, &RelPath::root())?;
    } else if spec.files.root.is_some() {
        return Err(bad(format!("files.root: {} is no directory", root.display())));
    }
    attributes(&spec.files.entry, &mut payload).map_err(bad)?;
    let conffiles = spec.package.conffiles().map_err(bad)?;
    if let Some(path) = conffiles.iter().find(|path| payload.get(path).is_none_or(|e| e.kind == EntryKind::Dir)) {
        return Err(bad(format!("conffiles: {path} is no file of the payload")));
    }
    let own = own_scripts(&spec.scripts, beside, &file)?;
    let triggers = spec.package.triggers.clone();
    let draft = Draft { dialect, package, own, extra: BTreeMap::new(), triggers, conffiles, payload };
    let mut lost = Vec::new();
    let mut made = render_alone(draft, dialect, &mut lost)?;
    Ok((made.place(request.output, key.as_ref())?, lost))
}

/// Scripts in the words of one manager; both at once make no sense.
fn own_scripts(scripts: &BTreeMap<String, PathBuf>, beside: &Path, file: &Path) -> Result<Own, Error> {
    let bad = |reason: String| Error::Spec { file: file.display().to_string(), reason };
    let (mut apk, mut opkg) = (Scripts::new(), BTreeMap::new());
    for (name, path) in scripts {
        let path = beside.join(path);
        let reading = || Error::io(format!("reading {}", path.display()));
        if fs::metadata(&path).map_err(reading())?.len() > MAX_SCRIPT {
            return Err(bad(format!("scripts.{name}: larger than {MAX_SCRIPT} bytes")));
        }
        let text = fs::read(&path).map_err(reading())?;
        match (ScriptKind::parse(name), name.as_str()) {
            (Some(kind), _) => drop(apk.insert(kind, text)),
            (None, "preinst" | "postinst" | "prerm" | "postrm") => drop(opkg.insert(name.clone(), text)),
            _ => return Err(bad(format!("scripts: there is no script called `{name}`"))),
        }
    }
    match (apk.is_empty(), opkg.is_empty()) {
        (false, false) => Err(bad("scripts: either apk's names or opkg's, not both".to_owned())),
        (false, true) => Ok(Own::Apk(apk)),
        _ => Ok(Own::opkg(opkg)),
    }
}

fn attributes(entries: &[Attributes], payload: &mut Payload) -> Result<(), String> {
    for wanted in entries {
        let path = RelPath::from_absolute(&wanted.path).map_err(|e| format!("files.entry: {e}"))?;
        if payload.get(&path).is_none() {
            return Err(format!("files.entry: {path} is not in the payload"));
        }
        let octal = |text: &String| u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777);
        let mode = match &wanted.mode {
            Some(text) => Some(octal(text).ok_or_else(|| format!("files.entry: `{text}` is no mode"))?),
            None => None,
        };
        payload.change(&mut |entry| {
            if entry.path == path {
                entry.mode = mode.unwrap_or(entry.mode);
                entry.uid = wanted.uid.unwrap_or(entry.uid);
                entry.gid = wanted.gid.unwrap_or(entry.gid);
                entry.user = wanted.user.clone().unwrap_or_else(|| std::mem::take(&mut entry.user));
                entry.group = wanted.group.clone().unwrap_or_else(|| std::mem::take(&mut entry.group));
            }
        });
    }
    Ok(())
}

/// Reads a directory, names in byte order, directories before what they hold.
struct Walk<'a> {
    payload: &'a mut Payload,
    mtime: u64,
    /// The first name of every file with several.
    seen: BTreeMap<(u64, u64), RelPath>,
}

impl Walk<'_> {
    fn dir(&mut self, dir: &Path, at: &RelPath) -> Result<(), Error> {
        let reading = || Error::io(format!("reading {}", dir.display()));
        let mut names = Vec::new();
        for entry in fs::read_dir(dir).map_err(reading())? {
            names.push(entry.map_err(reading())?.file_name());
        }
        names.sort();
        for name in names {
            let path = at.join(name.as_bytes()).map_err(|e| Error::NotPossible(format!("{}: {e}", dir.display())))?;
            self.one(&dir.join(&name), path)?;
        }
        Ok(())
    }

    fn one(&mut self, file: &Path, path: RelPath) -> Result<(), Error> {
        let reading = || Error::io(format!("reading {}", file.display()));
        let meta = fs::symlink_metadata(file).map_err(reading())?;
        let entry = |kind| {
            let mut entry = Entry::new(path.clone(), kind, meta.mode() & 0o7777);
            (entry.user, entry.group) = ("root".to_owned(), "root".to_owned());
            entry.mtime = self.mtime;
            entry
        };
        let kind = meta.file_type();
        if kind.is_dir() {
            self.payload.add(&entry(EntryKind::Dir), &mut io::empty())?;
            return self.dir(file, &path);
        }
        if kind.is_symlink() {
            let target = fs::read_link(file).map_err(reading())?.as_os_str().as_bytes().to_vec();
            let mut link = entry(EntryKind::Symlink(target));
            link.mode = 0o777;
            return self.payload.add(&link, &mut io::empty());
        }
        if kind.is_file() {
            if meta.nlink() > 1 {
                if let Some(first) = self.seen.get(&(meta.dev(), meta.ino())) {
                    return self.payload.add(&entry(EntryKind::Hardlink(first.clone())), &mut io::empty());
                }
                self.seen.insert((meta.dev(), meta.ino()), path.clone());
            }
            let mut content = File::open(file).map_err(reading())?;
            return self.payload.add(&entry(EntryKind::File), &mut content);
        }
        let special = special(&meta)
            .ok_or_else(|| Error::NotPossible(format!("{}: a socket cannot be part of a package", file.display())))?;
        self.payload.add(&entry(special), &mut io::empty())
    }
}

fn special(meta: &Metadata) -> Option<EntryKind> {
    let (major, minor) = (rustix::fs::major(meta.rdev()), rustix::fs::minor(meta.rdev()));
    let kind = meta.file_type();
    match (kind.is_char_device(), kind.is_block_device(), kind.is_fifo()) {
        (true, ..) => Some(EntryKind::Char(major, minor)),
        (_, true, _) => Some(EntryKind::Block(major, minor)),
        (_, _, true) => Some(EntryKind::Fifo),
        _ => None,
    }
}
