//! What is done with package files outside any root: their digests listed, their contents unpacked, an index made of them, and
//! files fetched for a person. Never installs.

use std::fs::File;
use std::io::{self, Read as _, Write};
use std::path::Path;

use xpkg_formats::apk::index::{write_adb, write_v2};
use xpkg_formats::keys::SecretKey;
use xpkg_model::payload::{Digest, EntryKind};
use xpkg_model::root::RootView as _;
use xpkg_model::{Dependency, Package, RelPath};

use super::database::Database;
use super::error::io_words;
use super::files::PackageFile;
use super::universe::Known;
use super::{Error, Generation};

/// Largest key file.
const MAX_KEY: u64 = 64 << 10;

/// One file of a package with its digest.
pub struct Listed {
    /// `sha1`, `sha256`.
    pub kind: &'static str,
    /// The digest.
    pub digest: Vec<u8>,
    /// The path, without a slash at its start.
    pub path: String,
}

/// The digests that a package declares for its regular files.
pub fn digests(file: &PackageFile) -> Result<Vec<Listed>, Error> {
    let mut listed = Vec::new();
    file.reopen()?.read_payload(&mut |entry, _| {
        let (kind, digest) = match (&entry.kind, &entry.digest) {
            (EntryKind::File, Some(Digest::Sha1(digest))) => ("sha1", digest.to_vec()),
            (EntryKind::File, Some(Digest::Sha256(digest))) => ("sha256", digest.to_vec()),
            _ => return Ok(()),
        };
        listed.push(Listed { kind, digest, path: entry.path.to_string().trim_start_matches('/').to_owned() });
        Ok(())
    })?;
    Ok(listed)
}

/// Unpacks directories, files and links into a directory. Owners and devices are left out.
pub fn extract(file: &PackageFile, to: &Path) -> Result<(), Error> {
    let root = xpkg_install::live::LiveRoot::open(to, xpkg_install::live::Ownership::Ignore)?;
    file.reopen()?.read_payload(&mut |entry, content| {
        // Never through a link of the package's own making.
        let real = root.real_path(&entry.path, false)?;
        let path = root.dir().join(real.as_path());
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        match &entry.kind {
            EntryKind::Dir => std::fs::create_dir_all(&path)?,
            EntryKind::File => {
                let _ = std::fs::remove_file(&path);
                let mut out = File::options().write(true).create_new(true).open(&path)?;
                io::copy(content, &mut out)?;
                let mode = std::os::unix::fs::PermissionsExt::from_mode(entry.mode & 0o777);
                out.set_permissions(mode)?;
            }
            EntryKind::Symlink(target) => {
                let _ = std::fs::remove_file(&path);
                let target: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(target);
                std::os::unix::fs::symlink(target, &path)?;
            }
            EntryKind::Hardlink(target) => {
                let _ = std::fs::remove_file(&path);
                std::fs::hard_link(root.dir().join(root.real_path(target, false)?.as_path()), &path)?;
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(())
}

/// An index of package files, signed when a key is given.
pub fn index(
    files: &[PackageFile],
    description: &str,
    arch: Option<&str>,
    key: Option<&Path>,
    v3: bool,
) -> Result<Vec<u8>, Error> {
    let mut packages: Vec<Package> = files.iter().map(|f| Package::clone(f.shared())).collect();
    if let Some(arch) = arch {
        packages.iter_mut().for_each(|p| arch.clone_into(&mut p.arch));
    }
    let key = key.map(secret).transpose()?;
    let mut out = Vec::new();
    match v3 {
        true => write_adb(&mut out, description, &packages, key.as_ref())?,
        false => write_v2(&mut out, description, &packages, key.as_ref())?,
    }
    Ok(out)
}

fn secret(path: &Path) -> Result<SecretKey, Error> {
    let said = |e: &io::Error| Error::Said(format!("{}: {}", path.display(), io_words(e)));
    let mut bytes = Vec::new();
    File::open(path).and_then(|f| f.take(MAX_KEY).read_to_end(&mut bytes)).map_err(|e| said(&e))?;
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(SecretKey::parse(&name, &bytes)?)
}

impl Database {
    /// Opens a package file by the root's keys.
    pub fn open_file(&self, path: &Path) -> Result<PackageFile, Error> {
        PackageFile::given(path, self.native, (!self.settings.allow_untrusted).then_some(&self.keys))
    }

    /// Where a package can be had.
    pub fn url_of(&self, known: &Known) -> Result<String, Error> {
        let place = known.places.first().and_then(|at| self.places.get(*at));
        let place = place.ok_or_else(|| Error::Said(format!("{}: no repository offers it", known.id())))?;
        place.package_url(&known.package)
    }

    /// Whether a directory has a package already, whole.
    pub fn is_fetched(&self, known: &Known, dir: &Path) -> bool {
        PackageFile::promised(&known.package, &dir.join(format!("{}.apk", known.id()))).is_ok()
    }

    /// Fetches a package into a directory, under its own name.
    pub fn fetch_into(&self, known: &Known, dir: &Path) -> Result<(), Error> {
        let to = dir.join(format!("{}.apk", known.id()));
        let mut builder = tempfile::Builder::new();
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
        let temporary = builder.tempfile_in(dir).map_err(Error::io(format!("writing into {}", dir.display())))?;
        let file = self.fetch_to_file(known, temporary.path())?;
        if let Some(elsewhere) = file {
            std::fs::copy(&elsewhere, temporary.path())
                .map_err(Error::io(format!("copying {}", elsewhere.display())))?;
        }
        temporary.persist(&to).map_err(|e| Error::io(format!("writing {}", to.display()))(e.error))?;
        Ok(())
    }

    /// Fetches a package and writes its bytes.
    pub fn fetch_to(&self, known: &Known, out: &mut dyn Write) -> Result<(), Error> {
        let temporary = tempfile::NamedTempFile::new().map_err(Error::io("making a file"))?;
        let elsewhere = self.fetch_to_file(known, temporary.path())?;
        let from = elsewhere.unwrap_or_else(|| temporary.path().to_owned());
        let failed = || format!("writing {}", known.id());
        let mut file = File::open(from).map_err(Error::io(failed()))?;
        io::copy(&mut file, out).map_err(Error::io(failed()))?;
        Ok(())
    }

    /// Brings a package to a path; answers where it lies if it was not brought there.
    fn fetch_to_file(&self, known: &Known, path: &Path) -> Result<Option<std::path::PathBuf>, Error> {
        let place = known.places.first().and_then(|at| self.places.get(*at));
        let place = place.ok_or_else(|| Error::Said(format!("{}: no repository offers it", known.id())))?;
        let file = self.bring_package(place, &known.package, path)?;
        Ok((file.path() != path).then(|| file.path().to_owned()))
    }

    /// The world of the root, where the rest of its state does not matter.
    pub fn world_of_root(&self) -> Result<Vec<Dependency>, Error> {
        let path = RelPath::literal(xpkg_formats::apk::db::WORLD);
        let text = self.root.read(&path, 1 << 20).map_err(Error::io(format!("reading {path}")))?.unwrap_or_default();
        xpkg_model::dependency::parse_list(&String::from_utf8_lossy(&text)).map_err(|e| Error::Said(e.to_string()))
    }

    /// Trigger patterns of an installed package.
    pub fn triggers_of(&self, known: &Known) -> Vec<String> {
        let Some(id) = known.package.identity else { return Vec::new() };
        let native = xpkg_install::native::NativeApk::of(self.native, self.generation);
        let triggers = native.triggers(&self.root).unwrap_or_default();
        let of = triggers.into_iter().find(|t| t.id == id.prefix());
        of.map_or_else(Vec::new, |t| t.patterns)
    }

    /// The scripts of an installed package, by apk's names for them, in apk's order.
    pub fn scripts_of(&self, known: &Known) -> Vec<String> {
        let Some(id) = known.package.identity.map(|id| id.prefix()) else { return Vec::new() };
        let native = xpkg_install::native::NativeApk::of(self.native, self.generation);
        let mut kinds = std::collections::BTreeSet::new();
        let read = native.scripts(&self.root, &mut |owner, kind| {
            if *owner == id {
                kinds.insert(kind);
            }
            false
        });
        match read {
            Ok(_) => kinds.into_iter().map(|kind| kind.as_str().to_owned()).collect(),
            Err(_) => Vec::new(),
        }
    }

    /// Files of the cache that serve no repository in use; with `all`, every package file.
    pub fn cache_leftovers(&self, all: bool) -> Result<Vec<String>, Error> {
        let indexes: Vec<String> = self.places.iter().map(|p| p.cache_name(self.generation)).collect();
        let names = self.root.list(&self.cache).map_err(Error::io("reading the cache"))?;
        let names = names.into_iter().filter_map(|n| String::from_utf8(n).ok());
        let is_package = |name: &str| name.ends_with(".apk");
        let left = |name: &String| match is_package(name) {
            true => all || !self.is_offered(name),
            false => name.starts_with("APKINDEX.") && !indexes.contains(name),
        };
        Ok(names.filter(left).collect())
    }

    /// Deletes a file of the cache.
    pub fn cache_delete(&self, name: &str) -> Result<(), Error> {
        let path = self.cache.join(name.as_bytes()).map_err(|e| Error::Said(e.to_string()))?;
        Ok(self.root.drop_cached(&path)?)
    }

    /// Fetches what is installed into the cache, where the root keeps packages there; answers what came.
    pub fn cache_missing(&self, simulate: bool) -> Result<Vec<String>, Error> {
        let kept = RelPath::literal("etc/apk/cache");
        let keeps = self.cache == kept || self.settings.cache_dir.is_some();
        let mut came = Vec::new();
        if !keeps {
            return Ok(came);
        }
        for known in self.universe.all_installed().filter(|k| !k.places.is_empty()) {
            let path = self.cache.join(self.cached_name(known).as_bytes()).map_err(|e| Error::Said(e.to_string()))?;
            if self.root.node(&path).map_err(Error::io("reading the cache"))?.is_some() {
                continue;
            }
            came.push(known.id());
            if !simulate {
                let (_, temporary) = self.root.begin_cached(&path)?;
                if let Some(elsewhere) = self.fetch_to_file(known, &temporary)? {
                    std::fs::copy(&elsewhere, &temporary).map_err(Error::io("copying into the cache"))?;
                }
                self.root.keep_cached(&path, temporary)?;
            }
        }
        Ok(came)
    }

    fn is_offered(&self, name: &str) -> bool {
        self.universe.all().any(|k| !k.places.is_empty() && self.cached_name(k) == name)
    }

    /// `name-version.HASH.apk`, with the first eight digits of the identity.
    fn cached_name(&self, known: &Known) -> String {
        let hex = known.package.identity.map(|id| id.hex()).unwrap_or_default();
        format!("{}.{}.apk", known.id(), hex.get(..8).unwrap_or_default())
    }

    /// The generation whose words are spoken.
    pub fn generation(&self) -> Generation {
        self.generation
    }
}
