//! `opkg update`: lists and their signatures as they come, into the lists directory, and their check.

use std::fs::{self, File};
use std::path::Path;

use tempfile::NamedTempFile;
use xpkg_formats::Limits;
use xpkg_formats::keys::{Keyring, PublicKey};
use xpkg_formats::opkg::feed;
use xpkg_model::event::Silent;
use xpkg_repos::Transport;
use xpkg_repos::transport::Get;

use super::hands::Doer;
use super::place::reason;
use crate::Error;

/// Largest list that is fetched.
const MAX_LIST: u64 = 256 << 20;
/// Largest file of keys or signatures.
const MAX_KEY: u64 = 64 << 10;

impl Doer<'_> {
    /// Fetches every list. Answers how many failed, which is opkg's exit code.
    pub fn update(&mut self) -> i32 {
        let dir = self.place.lists_dir.clone();
        if !Path::new(&dir).is_dir() {
            if Path::new(&dir).exists() {
                self.error("opkg_update_cmd", format!("{dir} exists, but is not a directory."));
                return -1;
            }
            if let Err(error) = fs::create_dir_all(&dir) {
                self.error("file_mkdir_hier", format!("{dir}: {}.", reason(&error)));
                return -1;
            }
        }
        let keys = keyring(&self.place.prefix);
        let check = self.place.conf.option("check_signature").is_some();
        let forced = self.place.has("force_signature");
        let mut failures = 0;
        for source in self.place.sources.clone() {
            let file = if source.gzip { feed::PACKAGES_GZ } else { feed::PACKAGES };
            let base = match source.extra.as_deref().filter(|e| !e.is_empty()) {
                Some(extra) => format!("{}/{extra}", source.url),
                None => source.url.clone(),
            };
            let (url, list) = (format!("{base}/{file}"), format!("{dir}/{}", source.name));
            if !self.bring(&url, &list) {
                failures += 1;
                self.notice(format!("*** Failed to download the package list from {url}\n"));
                continue;
            }
            self.notice(format!("Updated list of available packages in {list}"));
            if !check {
                continue;
            }
            let signature = format!("{list}.sig");
            let bad = if !self.bring(&format!("{base}/{}", feed::PACKAGES_SIG), &signature) {
                failures += 1;
                self.notice("Signature file download failed.");
                true
            } else {
                let good = verify(&list, &keys).is_ok();
                self.notice(if good { "Signature check passed." } else { "Signature check failed." });
                !good
            };
            if bad && !forced {
                self.notice("Remove wrong Signature file.");
                let _ = (fs::remove_file(&signature), fs::remove_file(&list));
            }
        }
        failures
    }

    /// Brings a file whole or not at all.
    fn bring(&mut self, url: &str, dest: &str) -> bool {
        let path = self.temp.path().join("list");
        if !self.download(url, &path) {
            return false;
        }
        let placed = fs::read(&path).and_then(|bytes| {
            let dir = Path::new(dest).parent().unwrap_or(Path::new("/"));
            let mut temp = NamedTempFile::new_in(dir)?;
            std::io::Write::write_all(&mut temp, &bytes)?;
            rustix::fs::fchmod(temp.as_file(), rustix::fs::Mode::from_raw_mode(0o644))?;
            temp.persist(dest).map_err(|e| e.error)?;
            Ok(())
        });
        if let Err(error) = &placed {
            self.error("file_move", format!("{dest}: {}.", reason(error)));
        }
        placed.is_ok()
    }
}

/// Brings what a URL names into a file.
pub(super) fn get(transport: &Transport, url: &str, dest: &Path) -> Result<(), xpkg_repos::Error> {
    let name = url.rsplit('/').next().unwrap_or(url);
    let mut file = File::create(dest)
        .map_err(|source| xpkg_repos::Error::Io { what: format!("cannot create {}", dest.display()), source })?;
    transport.get(&Get::new(url, name, MAX_LIST), &mut file, &Silent)?;
    Ok(())
}

/// The keys that a root trusts for feeds.
pub(super) fn keyring(prefix: &str) -> Keyring {
    let mut keys = Keyring::new();
    let entries = fs::read_dir(format!("{prefix}/{}", xpkg_formats::opkg::conf::KEYS)).into_iter().flatten().flatten();
    for entry in entries {
        let small = entry.metadata().is_ok_and(|m| m.is_file() && m.len() <= MAX_KEY);
        let bytes = if small { fs::read(entry.path()).unwrap_or_default() } else { Vec::new() };
        if let Ok(key) = PublicKey::parse(&entry.file_name().to_string_lossy(), &bytes) {
            keys.push(key);
        }
    }
    keys
}

/// Checks a list by the signature beside it.
pub(super) fn verify(list: &str, keys: &Keyring) -> Result<(), Error> {
    let failed = |e| Error::io(format!("reading {list}"))(e);
    let signature = fs::read(format!("{list}.sig")).map_err(failed)?;
    let file = File::open(list).map_err(failed)?;
    feed::open(file, list, &Limits::default())?.verify(keys, &signature)?;
    Ok(())
}
