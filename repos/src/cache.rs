//! The cache directory: catalogues, package files, facts, and the memory of the newest index seen. Everything but that memory may
//! be deleted at any time; nothing in it is trusted for being there.
//!
//! ```text
//! catalogue/<source>.sqlite    what an index said
//! packages/<identity>.pkg      package files, whole but to be verified at each use
//! packages/<identity>.part     the beginning of one, with .part.version: the server's word for which version it is
//! facts.sqlite                 what the files of packages say, by identity
//! seen/<source>                the newest index accepted so far
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use xpkg_model::Identity;

use crate::error::{Error, Result};
use crate::source::Source;
use crate::transport::Validators;

/// The cache. Paths are real paths of this machine; the caller has resolved a root's `/var/cache/xpkg` safely.
#[derive(Debug)]
pub struct Cache {
    dir: PathBuf,
    pub(crate) facts: Mutex<Option<Connection>>,
}

/// What to delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clean {
    /// Package files.
    Packages,
    /// Package files and facts: everything that installing and removing left here.
    Work,
    /// Package files, catalogues and facts; not the memory of indexes seen, which protects against old ones.
    All,
    /// That memory as well.
    Everything,
}

/// What was deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// Files.
    pub files: u64,
    /// Bytes.
    pub bytes: u64,
}

const DIRS: [&str; 3] = ["catalogue", "packages", "seen"];

impl Cache {
    /// Opens the cache, making its directories.
    pub fn open(dir: PathBuf) -> Result<Self> {
        for name in DIRS {
            let path = dir.join(name);
            fs::create_dir_all(&path).map_err(|e| Error::io("make", &path, e))?;
        }
        Ok(Self { dir, facts: Mutex::new(None) })
    }

    /// Opens a cache that may not exist or not be writable: nothing is made, nothing is fetched into it.
    pub fn read_only(dir: PathBuf) -> Self {
        Self { dir, facts: Mutex::new(None) }
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the catalogue of a source is.
    pub fn catalogue_path(&self, source: &Source) -> PathBuf {
        self.dir.join("catalogue").join(format!("{}.sqlite", source.file_stem()))
    }

    /// Where a package file is, or would be.
    pub fn package_path(&self, identity: &Identity) -> PathBuf {
        self.package_file(identity, "pkg")
    }

    pub(crate) fn part_path(&self, identity: &Identity) -> PathBuf {
        self.package_file(identity, "part")
    }

    fn package_file(&self, identity: &Identity, ending: &str) -> PathBuf {
        let name = identity.to_string().replace(':', "-");
        self.dir.join("packages").join(format!("{name}.{ending}"))
    }

    pub(crate) fn seen_path(&self, source: &Source) -> PathBuf {
        self.dir.join("seen").join(source.file_stem())
    }

    pub(crate) fn facts_path(&self) -> PathBuf {
        self.dir.join("facts.sqlite")
    }

    pub(crate) fn outlines_path(&self) -> PathBuf {
        self.dir.join("libraries")
    }

    pub(crate) fn facts_lock(&self) -> MutexGuard<'_, Option<Connection>> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A file without a name, in this directory: gone when closed.
    pub(crate) fn anonymous(&self) -> Result<File> {
        tempfile::tempfile_in(&self.dir).map_err(|e| Error::io("make a file in", &self.dir, e))
    }

    /// Bytes that can still be written here.
    pub fn free_space(&self) -> Result<u64> {
        let stat =
            rustix::fs::statvfs(&self.dir).map_err(|e| Error::io("ask for the free space of", &self.dir, e.into()))?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// Fails when `need` bytes do not fit.
    pub fn require_space(&self, need: u64) -> Result<()> {
        let free = self.free_space()?;
        if need > free { Err(Error::NoSpace { path: self.dir.clone(), need, free }) } else { Ok(()) }
    }

    /// Deletes what may be deleted.
    pub fn clean(&self, what: Clean) -> Result<Cleaned> {
        let mut cleaned = Cleaned::default();
        self.empty("packages", &mut cleaned)?;
        if what != Clean::Packages {
            *self.facts_lock() = None;
            let mut journal = self.facts_path().into_os_string();
            journal.push("-journal");
            delete(&self.facts_path(), &mut cleaned)?;
            delete(Path::new(&journal), &mut cleaned)?;
            delete(&self.outlines_path(), &mut cleaned)?;
        }
        if matches!(what, Clean::All | Clean::Everything) {
            self.empty("catalogue", &mut cleaned)?;
        }
        if what == Clean::Everything {
            self.empty("seen", &mut cleaned)?;
        }
        Ok(cleaned)
    }

    /// Deletes catalogues that belong to none of these sources: removed or edited ones.
    pub fn prune_catalogues(&self, sources: &[Source]) -> Result<Cleaned> {
        let kept: Vec<PathBuf> = sources.iter().map(|s| self.catalogue_path(s)).collect();
        let mut cleaned = Cleaned::default();
        for path in self.files("catalogue")? {
            if !kept.contains(&path) {
                delete(&path, &mut cleaned)?;
            }
        }
        Ok(cleaned)
    }

    fn empty(&self, name: &str, cleaned: &mut Cleaned) -> Result<()> {
        self.files(name)?.iter().try_for_each(|path| delete(path, cleaned))
    }

    fn files(&self, name: &str) -> Result<Vec<PathBuf>> {
        let dir = self.dir.join(name);
        let failed = |e| Error::io("list", &dir, e);
        match fs::read_dir(&dir) {
            Ok(entries) => entries.map(|e| e.map(|e| e.path())).collect::<Result<_, _>>().map_err(failed),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(e) => Err(failed(e)),
        }
    }

    /// Opens the beginning of a package file for going on, alone: `None` when another process is at it.
    pub(crate) fn open_part(&self, identity: &Identity) -> Result<Option<(File, Option<Validators>)>> {
        let path = self.part_path(identity);
        let failed = |e| Error::io("open", &path, e);
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        if file.try_lock().is_err() {
            return Ok(None);
        }
        let version = fs::read_to_string(version_path(&path)).ok().filter(|t| t.len() < 8192).map(|text| {
            let field = |n: usize| text.split('\n').nth(n).filter(|v| !v.is_empty()).map(str::to_owned);
            Validators { etag: field(0), last_modified: field(1) }
        });
        Ok(Some((file, version)))
    }

    /// Remembers which version a beginning belongs to.
    pub(crate) fn note_part(&self, identity: &Identity, version: &Validators) -> Result<()> {
        let text = format!(
            "{}\n{}\n",
            version.etag.as_deref().unwrap_or_default(),
            version.last_modified.as_deref().unwrap_or_default()
        );
        write_atomic(&version_path(&self.part_path(identity)), text.as_bytes())
    }

    /// Makes a whole and verified part the package file.
    pub(crate) fn keep_part(&self, identity: &Identity) -> Result<PathBuf> {
        let (part, path) = (self.part_path(identity), self.package_path(identity));
        fs::rename(&part, &path).map_err(|e| Error::io("rename", &part, e))?;
        let _ = fs::remove_file(version_path(&part));
        Ok(path)
    }

    /// Forgets a part.
    pub(crate) fn drop_part(&self, identity: &Identity) {
        let part = self.part_path(identity);
        let _ = fs::remove_file(version_path(&part));
        let _ = fs::remove_file(part);
    }
}

fn version_path(part: &Path) -> PathBuf {
    let mut name = part.as_os_str().to_owned();
    name.push(".version");
    PathBuf::from(name)
}

fn delete(path: &Path, cleaned: &mut Cleaned) -> Result<()> {
    let bytes = fs::symlink_metadata(path).map_or(0, |m| m.len());
    match fs::remove_file(path) {
        Ok(()) => {
            cleaned.files += 1;
            cleaned.bytes += bytes;
            Ok(())
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(Error::io("delete", path, e)),
    }
}

/// A file that others may read once it has its name: searching needs no rights.
pub(crate) fn readable_temp(dir: &Path) -> Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".new-").permissions(fs::Permissions::from_mode(0o644));
    builder.tempfile_in(dir).map_err(|e| Error::io("make a file in", dir, e))
}

/// Writes beside and renames into place.
pub(crate) fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let failed = |e| Error::io("write", path, e);
    let mut file = readable_temp(dir)?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_data()).map_err(failed)?;
    file.persist(path).map_err(|e| failed(e.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleaning_keeps_the_memory_of_indexes() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path().join("c")).unwrap();
        let id = Identity::ApkSha1([1; 20]);
        for path in [
            cache.package_path(&id),
            cache.dir.join("catalogue/a.sqlite"),
            cache.dir.join("seen/a"),
            cache.facts_path(),
        ] {
            write_atomic(&path, b"12345").unwrap();
        }
        assert_eq!(cache.clean(Clean::All).unwrap(), Cleaned { files: 3, bytes: 15 });
        assert!(cache.dir.join("seen/a").exists());
        assert_eq!(cache.clean(Clean::Everything).unwrap().files, 1);
    }

    #[test]
    fn a_beginning_is_worked_on_by_one_only() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path().to_owned()).unwrap();
        let id = Identity::ApkSha256([2; 32]);
        let version = Validators { etag: Some("\"x\"".into()), last_modified: None };
        cache.note_part(&id, &version).unwrap();
        let first = cache.open_part(&id).unwrap().unwrap();
        assert_eq!(first.1, Some(version));
        assert!(cache.open_part(&id).unwrap().is_none());
    }

    #[test]
    fn a_full_disk_is_its_own_error() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path().to_owned()).unwrap();
        assert!(matches!(cache.require_space(u64::MAX), Err(Error::NoSpace { need: u64::MAX, .. })));
        let full = Error::io("write", Path::new("x"), io::Error::from(io::ErrorKind::StorageFull));
        assert!(matches!(full, Error::NoSpace { .. }));
    }
}
