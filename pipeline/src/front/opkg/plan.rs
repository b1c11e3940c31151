//! What unpacking and removing one package will do to files, told as opkg tells it, and put into the plan. Changes nothing.

use std::collections::HashMap;
use std::fs;
use std::io::Read as _;
use std::sync::Arc;

use xpkg_formats::keys::Hash;
use xpkg_model::payload::EntryKind;
use xpkg_repos::FetchedPackage;
use xpkg_resolver::native::opkg::{Flags, Hands as _, Incoming, Level, Outgoing, Package};

use super::hands::{Doer, key};
use super::owners::Owners;
use super::perform::Planned;
use crate::Error;

/// Largest configuration file that is compared.
const MAX_CONFFILE: u64 = 64 << 20;

/// What a package file brings.
struct Brought {
    /// Paths of everything but directories, absolute, in the order of the archive.
    paths: Vec<String>,
    /// Its configuration files and their digests, hex.
    conffiles: HashMap<String, String>,
}

impl Doer<'_> {
    fn owners(&mut self) -> &mut Owners {
        self.owners.get_or_insert_with(|| Owners::load(self.place))
    }

    /// A path inside the root, on this machine, as opkg prints it.
    pub(super) fn on_disk(&self, path: &str) -> String {
        format!("{}{path}", self.place.prefix)
    }

    pub(super) fn plan_unpacking(&mut self, incoming: &Incoming<'_>) -> bool {
        let package = incoming.package;
        let Some(file) = self.files.get(&key(package)).cloned() else { return false };
        let base = self.place.base(incoming.dest).to_owned();
        let brought = match read(&file, &base) {
            Ok(brought) => brought,
            Err(error) => {
                let name = package.name();
                self.error("pkg_get_installed_files", format!("Error extracting file list from {name}: {error}."));
                return false;
            }
        };
        let backed_up = self.backups(incoming.old, &brought);
        if self.clashes(incoming, &brought, &backed_up) {
            return false;
        }
        if self.place.settings.no_action {
            return true;
        }
        if let Some(old) = incoming.old {
            self.tell_obsolete(old, &brought);
        }
        for path in &backed_up {
            self.tell_conffile(path, &brought);
        }
        let name = package.name().to_owned();
        if let Some(old) = incoming.old {
            let old = old.name().to_owned();
            self.owners().remove(&old, &[]);
        }
        self.owners().add(&name, brought.paths);
        self.planned.push(Planned {
            package: Arc::clone(&package.package),
            old: incoming.old.map(|old| Arc::clone(&old.package)),
            file: Some(file),
            dest: incoming.dest,
            explicit: package.flags.any(Flags::USER),
        });
        true
    }

    pub(super) fn plan_removal(&mut self, outgoing: &Outgoing<'_>) {
        let package = outgoing.package;
        let kept = self.tell_kept(package);
        let name = package.name().to_owned();
        self.owners().remove(&name, &kept);
        if !self.place.settings.no_action {
            self.planned.push(Planned {
                package: Arc::clone(&package.package),
                old: None,
                file: None,
                dest: outgoing.dest,
                explicit: false,
            });
        }
    }

    /// Changed configuration that stays when a package goes.
    fn tell_kept(&mut self, package: &Package) -> Vec<String> {
        let name = package.name().to_owned();
        let mut kept = Vec::new();
        for path in self.owners().files(&name) {
            let Some((_, digest)) = package.conffiles.iter().find(|(conffile, _)| *conffile == path) else { continue };
            let on_disk = self.on_disk(&path);
            if self.owners().owner(&path) == Some(&name) && modified(&on_disk, digest) {
                self.notice(format!("Not deleting modified conffile {on_disk}."));
                kept.push(path);
            }
        }
        kept
    }

    /// Configuration that is saved before the new files come: changed, or there without having been configuration before.
    fn backups(&self, old: Option<&Package>, brought: &Brought) -> Vec<String> {
        let mut saved = Vec::new();
        let known = old.map_or(&[][..], |old| old.conffiles.as_slice());
        for (path, digest) in known {
            let on_disk = self.on_disk(path);
            if fs::metadata(&on_disk).is_ok() && modified(&on_disk, digest) {
                saved.push(path.clone());
            }
        }
        for path in brought.paths.iter().filter(|path| brought.conffiles.contains_key(*path)) {
            if !known.iter().any(|(k, _)| k == path) && fs::metadata(self.on_disk(path)).is_ok() {
                saved.push(path.clone());
            }
        }
        saved
    }

    fn clashes(&mut self, incoming: &Incoming<'_>, brought: &Brought, backed_up: &[String]) -> bool {
        let package = incoming.package;
        let forced = self.place.has("force_overwrite");
        let mut clashes = 0;
        for path in &brought.paths {
            let on_disk = self.on_disk(path);
            if forced || backed_up.contains(path) || !self.owners().occupied(path, &on_disk) {
                continue;
            }
            let owner = self.owners().owner(path).map(str::to_owned);
            if let Some(owner) = &owner {
                let replaced = package.replaces.iter().any(|name| name == owner);
                if owner == package.name() || replaced {
                    continue;
                }
            }
            let text = format!(
                "check_data_file_clashes: Package {} wants to install file {on_disk}\n\
                 \tBut that file is already provided by package ",
                package.name()
            );
            self.say(Level::Error, text);
            let text = match owner {
                Some(owner) => format!("{owner}\n"),
                None => "<no package>\nPlease move this file out of the way and try again.\n".to_owned(),
            };
            self.say(Level::Error, text);
            clashes += 1;
        }
        clashes > 0
    }

    fn tell_obsolete(&mut self, old: &Package, brought: &Brought) {
        if !old.flags.any(Flags::NOPRUNE) {
            let name = old.name().to_owned();
            for path in self.owners().files(&name) {
                let on_disk = self.on_disk(&path);
                let gone = !brought.paths.contains(&path) && self.owners().owner(&path) == Some(&name);
                if gone && !fs::metadata(&on_disk).is_ok_and(|m| m.is_dir()) {
                    self.notice(format!("Removing obsolete file {on_disk}."));
                }
            }
        }
    }

    /// What becomes of configuration that was saved.
    fn tell_conffile(&mut self, path: &str, brought: &Brought) {
        let Some(new) = brought.conffiles.get(path) else { return };
        let on_disk = self.on_disk(path);
        if digest(&on_disk).as_deref() == Some(new) {
            return;
        }
        if self.place.has("force_maintainer") {
            self.notice(format!("Conffile {on_disk}-opkg.backup using maintainer's setting."));
            return;
        }
        let text = format!(
            "Existing conffile {on_disk} is different from the conffile in the new package. \
             The new conffile will be placed at {on_disk}-opkg."
        );
        self.error("resolve_conffiles", text);
    }
}

fn read(file: &FetchedPackage, base: &str) -> Result<Brought, Error> {
    let mut opened = file.open()?;
    let named: Vec<String> = opened.meta().conffiles.iter().map(|path| path.to_string()).collect();
    let mut brought = Brought { paths: Vec::new(), conffiles: HashMap::new() };
    let full = |path: &str| format!("{base}{}", path.trim_start_matches('/'));
    opened.read_payload(&mut |entry, content| {
        if entry.kind == EntryKind::Dir {
            return Ok(());
        }
        let path = full(&entry.path.to_string());
        if entry.kind == EntryKind::File && named.iter().any(|n| full(n) == path) {
            let mut bytes = Vec::new();
            content.take(MAX_CONFFILE).read_to_end(&mut bytes)?;
            brought.conffiles.insert(path.clone(), hex(&bytes));
        }
        brought.paths.push(path);
        Ok(())
    })?;
    Ok(brought)
}

fn hex(bytes: &[u8]) -> String {
    Hash::Sha256.of(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

fn digest(path: &str) -> Option<String> {
    let small = fs::metadata(path).ok()?.len() <= MAX_CONFFILE;
    small.then(|| fs::read(path).ok()).flatten().map(|bytes| hex(&bytes))
}

/// Whether a configuration file is no longer what the package brought. Only SHA-256 is known here: with an MD5 of an old
/// database the file counts as unchanged.
pub(super) fn modified(path: &str, known: &str) -> bool {
    known.len() == 64 && digest(path).as_deref() != Some(known)
}
