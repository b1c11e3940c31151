//! The hands of opkg's walk on a real place: they fetch and check files, look for clashes, and remember what has to be done
//! until the walk says that it settles. What is done to a root is `perform`'s.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use xpkg_formats::keys::Keyring;
use xpkg_model::{Ecosystem, Identity};
use xpkg_repos::{Cache, FetchedPackage, Transport};
use xpkg_resolver::native::opkg::{Hands, Incoming, Level, Outgoing, Package};

use super::options::Voice;
use super::owners::Owners;
use super::perform::Planned;
use super::place::{Place, exists, reason};
use super::update;
use crate::Error;

/// What tells packages apart.
pub(super) type Key = (String, String, String);

/// The hands.
pub(super) struct Doer<'a> {
    pub place: &'a Place,
    pub voice: &'a mut dyn Voice,
    /// Collected errors.
    pub errors: Vec<String>,
    pub temp: TempDir,
    pub cache: Cache,
    pub transport: Transport,
    pub files: HashMap<Key, Arc<FetchedPackage>>,
    /// What is to be done, in order.
    pub planned: Vec<Planned>,
    pub owners: Option<Owners>,
    /// What the scripts of a package printed, and whether its `postinst` went well.
    pub scripts: HashMap<String, (String, Option<i32>)>,
    /// Packages that came in this run: their last scripts have run.
    pub came: HashSet<String>,
    keys: Option<Keyring>,
    verified: HashMap<usize, bool>,
}

pub(super) fn key(package: &Package) -> Key {
    (package.name().to_owned(), package.package.version.clone(), package.package.arch.clone())
}

impl<'a> Doer<'a> {
    pub fn new(place: &'a Place, voice: &'a mut dyn Voice) -> Result<Self, Error> {
        let base = match &place.options.tmp_dir {
            Some(dir) => PathBuf::from(dir),
            None => std::env::temp_dir(),
        };
        let temp =
            tempfile::Builder::new().prefix("opkg-").tempdir_in(base).map_err(Error::io("temporary directory"))?;
        let cache = Cache::open(temp.path().join("xpkg"))?;
        let transport = Transport::new(xpkg_repos::transport::Options::default());
        Ok(Self {
            errors: place.errors.clone(),
            place,
            voice,
            temp,
            cache,
            transport,
            files: HashMap::new(),
            planned: Vec::new(),
            owners: None,
            scripts: HashMap::new(),
            came: HashSet::new(),
            keys: None,
            verified: HashMap::new(),
        })
    }

    /// `function` is the word that opkg puts before an error.
    pub fn error(&mut self, function: &str, text: impl AsRef<str>) {
        self.say(Level::Error, format!("{function}: {}\n", text.as_ref()));
    }

    pub fn notice(&mut self, text: impl AsRef<str>) {
        self.say(Level::Notice, format!("{}\n", text.as_ref()));
    }

    /// Reads a package file that a person named or that was fetched.
    pub fn read_file(&mut self, path: &Path) -> Result<Arc<FetchedPackage>, Error> {
        let read = FetchedPackage::from_file(&self.cache, path, Ecosystem::Openwrt, &Keyring::new(), true)?;
        Ok(Arc::new(read))
    }

    /// Brings what a URL names, and tells so. opkg knows `file:` with any number of slashes.
    pub fn download(&mut self, url: &str, dest: &Path) -> bool {
        self.notice(format!("Downloading {url}"));
        if let Some(from) = url.strip_prefix("file:") {
            let from = unescape(from);
            if let Err(error) = fs::copy(&from, dest) {
                let to = dest.display();
                self.error("copy_file", format!("{from}: {}.", reason(&error)));
                self.error("file_copy", format!("Failed to copy file {from} to {to}."));
                return false;
            }
            return true;
        }
        match update::get(&self.transport, url, dest) {
            Ok(()) => true,
            Err(error) => {
                let code = match error {
                    xpkg_repos::Error::NotFound { .. } => 8,
                    _ => 4,
                };
                self.error("opkg_download", format!("Failed to download {url}, wget returned {code}."));
                if code == 4 {
                    self.error("opkg_download", "Check your network settings and connectivity.\n");
                }
                false
            }
        }
    }

    /// Fetches a package's file to a directory; answers where it lies.
    pub fn download_package(&mut self, package: &Package, dir: &Path) -> Option<PathBuf> {
        let Some(source) = package.list.and_then(|list| self.place.sources.get(list)) else {
            self.error(
                "opkg_download_pkg",
                format!("Package {} is not available from any configured src.", package.name()),
            );
            return None;
        };
        let Some(file) = package.package.filename.clone() else {
            self.error(
                "opkg_download_pkg",
                format!("Package {} does not have a valid filename field.", package.name()),
            );
            return None;
        };
        let url = format!("{}/{}", source.url, escape(&file));
        let base = file.rsplit('/').next().unwrap_or(&file);
        let dest = dir.join(base);
        let Some(cache) =
            self.place.options.cache.clone().or_else(|| self.place.conf.option("cache").map(str::to_owned))
        else {
            return self.download(&url, &dest).then_some(dest);
        };
        if url.starts_with("file:") {
            return self.download(&url, &dest).then_some(dest);
        }
        if !Path::new(&cache).is_dir() {
            self.error("opkg_download_cache", format!("{cache} is not a directory."));
            return None;
        }
        let kept = [url.replace('/', ","), base.to_owned()].map(|name| format!("{cache}/{name}"));
        let kept = match kept.iter().find(|path| exists(path)) {
            Some(path) => {
                self.notice(format!("Copying {path}."));
                PathBuf::from(path)
            }
            None => {
                let path = PathBuf::from(format!("{cache}/{base}"));
                if !self.download(&url, &path) {
                    let _ = fs::remove_file(&path);
                    return None;
                }
                path
            }
        };
        fs::copy(&kept, &dest).is_ok().then_some(dest)
    }

    fn list_is_signed(&mut self, list: usize, name: &str) -> bool {
        if self.place.conf.option("check_signature").is_none() {
            return true;
        }
        let Some(source) = self.place.sources.get(list) else { return true };
        let path = format!("{}/{}", self.place.lists_dir, source.name);
        let forced = self.place.has("force_signature");
        if !exists(format!("{path}.sig")) {
            let text = format!("Signature file is missing for {name}. Perhaps you need to run 'opkg update'?");
            self.error("opkg_install_pkg", text);
            return forced;
        }
        let keys = self.keys.get_or_insert_with(|| update::keyring(&self.place.prefix));
        let good = *self.verified.entry(list).or_insert_with(|| update::verify(&path, keys).is_ok());
        if !good {
            self.error("opkg_install_pkg", format!("Failed to verify the signature of {path}."));
        }
        good || forced
    }

    /// Size and digests that the list vouches for.
    fn is_whole(&mut self, package: &Package, path: &Path, identity: Identity) -> bool {
        let name = package.name().to_owned();
        let forced = self.place.has("force_checksum");
        let size = fs::metadata(path).map(|m| m.len()).unwrap_or_default();
        let expected = package.package.size;
        if expected != 0 && size != expected {
            if !forced {
                let text = format!("Package size mismatch: {name} is {size} bytes, expecting {expected} bytes");
                self.error("opkg_install_pkg", text);
                return false;
            }
            self.notice(format!("Ignored {name} size mismatch."));
        }
        if package.package.identity.is_some_and(|known| known != identity) {
            if !forced {
                let text = format!(
                    "Package {name} sha256sum mismatch. Either the opkg or the package index are corrupt. \
                     Try 'opkg update'."
                );
                self.error("opkg_install_pkg", text);
                return false;
            }
            self.notice(format!("Ignored {name} sha256sum mismatch."));
        }
        true
    }
}

impl Hands for Doer<'_> {
    fn say(&mut self, level: Level, text: String) {
        match level {
            Level::Error => self.errors.push(text),
            Level::Notice if self.place.verbosity >= 1 => self.voice.out(&text),
            Level::Info if self.place.verbosity >= 2 => self.voice.out(&text),
            _ => {}
        }
    }

    fn has_room(&mut self, incoming: &Incoming<'_>) -> bool {
        let needed = incoming.package.package.installed_size.div_ceil(1024);
        if needed == 0 || self.place.has("force_space") {
            return true;
        }
        let mut dir = self.place.dir(incoming.dest).to_owned();
        let overlay = self.place.conf.option("overlay_root");
        let is_root = self.place.dests.get(incoming.dest).is_some_and(|d| d.name == "root");
        if let Some(overlay) = overlay.filter(|o| is_root && Path::new(o).is_dir()) {
            overlay.clone_into(&mut dir);
        }
        let Ok(stat) = rustix::fs::statvfs(&dir) else { return true };
        let free = stat.f_bavail.saturating_mul(stat.f_frsize) / 1024;
        if needed < free {
            return true;
        }
        let name = incoming.package.name();
        let text = format!("Only have {free}kb available on filesystem {dir}, pkg {name} needs {needed}");
        self.error("verify_pkg_installable", text);
        false
    }

    fn fetch(&mut self, incoming: &Incoming<'_>) -> bool {
        let package = incoming.package;
        // A list that offers the very version of a file by hand takes its place, as in opkg.
        if package.fetched && self.files.contains_key(&key(package)) {
            return true;
        }
        let here = PathBuf::from(".");
        let dir = match self.place.settings.download_only && self.place.options.cache.is_none() {
            true => here,
            false => self.temp.path().to_owned(),
        };
        let name = package.name().to_owned();
        let Some(path) = self.download_package(package, &dir) else {
            let text = format!("Failed to download {name}. Perhaps you need to run 'opkg update'?");
            self.error("opkg_install_pkg", text);
            return false;
        };
        if package.list.is_some_and(|list| !self.list_is_signed(list, &name)) {
            return false;
        }
        let size = fs::metadata(&path).map(|m| m.len()).unwrap_or_default();
        let (expected, forced) = (package.package.size, self.place.has("force_checksum"));
        if expected != 0 && size != expected && !forced {
            let text = format!("Package size mismatch: {name} is {size} bytes, expecting {expected} bytes");
            self.error("opkg_install_pkg", text);
            return false;
        }
        let read = match self.read_file(&path) {
            Ok(read) => read,
            Err(error) => {
                // A file that is not what the list promised is that, whatever else is wrong with it.
                let digest =
                    fs::read(&path).map(|bytes| xpkg_formats::keys::Hash::Sha256.of(&bytes)).unwrap_or_default();
                let promised = match package.package.identity {
                    Some(Identity::File(known)) => known.as_slice() == digest.as_slice(),
                    _ => true,
                };
                if !promised && !forced {
                    let text = format!(
                        "Package {name} sha256sum mismatch. Either the opkg or the package index are corrupt. \
                         Try 'opkg update'."
                    );
                    self.error("opkg_install_pkg", text);
                    return false;
                }
                self.error(
                    "opkg_install_pkg",
                    format!("Failed to unpack control files from {}: {error}.", path.display()),
                );
                return false;
            }
        };
        if !self.is_whole(package, &path, read.identity()) {
            return false;
        }
        self.files.insert(key(package), read);
        true
    }

    fn open(&mut self, _: &Incoming<'_>) -> bool {
        true
    }

    fn unpack(&mut self, incoming: &Incoming<'_>) -> bool {
        self.plan_unpacking(incoming)
    }

    fn before_removal(&mut self, _: &Outgoing<'_>) -> bool {
        true
    }

    fn remove(&mut self, outgoing: &Outgoing<'_>) -> bool {
        self.plan_removal(outgoing);
        true
    }

    fn settle(&mut self, named: &[String]) -> bool {
        self.perform(named)
    }

    fn configure(&mut self, package: &Package) -> bool {
        if !self.came.contains(package.name()) && !self.place.settings.no_action {
            self.configure_pending(package.name());
        }
        let Some((text, status)) = self.scripts.remove(package.name()) else { return true };
        self.voice.out(&text);
        let Some(status) = status else { return true };
        let name = package.name();
        self.error("pkg_run_script", format!("package \"{name}\" postinst script returned status {status}."));
        self.error("opkg_configure", format!("{name}.postinst returned {status}."));
        false
    }
}

/// What opkg escapes in the file name of an address.
fn escape(file: &str) -> String {
    let mut out = String::new();
    for c in file.chars() {
        match c {
            '!' | '#' | '$' | '%' | '&' | '\'' | '(' | ')' | '*' | '+' | ',' | ':' | ';' | '=' | '?' | '@' | '['
            | ']' => {
                out.push_str(&format!("%{:02x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out
}

fn unescape(path: &str) -> String {
    let mut out = Vec::new();
    let mut rest = path.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        let code = after.get(..2).filter(|_| *byte == b'%').and_then(|d| std::str::from_utf8(d).ok());
        match code.and_then(|d| u8::from_str_radix(d, 16).ok()) {
            Some(code) => {
                out.push(code);
                rest = after.get(2..).unwrap_or_default();
            }
            None => out.push(*byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
