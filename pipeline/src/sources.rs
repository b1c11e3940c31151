//! Sources and keys: adding, removing, showing. Changes only files of xpkg, never the native manager's.

use std::path::{Path, PathBuf};

use serde::Serialize;
use xpkg_formats::keys::PublicKey;
use xpkg_model::root::RootView as _;
use xpkg_model::{Ecosystem, RelPath};
use xpkg_repos::profiles::Profiles;
use xpkg_repos::sources::{OwnSource, own, own_file};
use xpkg_repos::{Source, Trust};

use crate::configure::{self, Change};
use crate::error::Error;
use crate::prepare::Ground;
use crate::session::Session;

/// Largest key file.
const MAX_KEY: u64 = 64 << 10;
/// Largest source file.
const MAX_SOURCE: u64 = 256 << 10;

/// A source to be added.
#[derive(Clone, Debug)]
pub struct NewSource {
    /// Its name.
    pub name: String,
    /// Where it is; several URLs become several sources.
    pub urls: Vec<String>,
    /// Its world.
    pub ecosystem: Ecosystem,
    /// File or directory of public keys.
    pub keys: Option<PathBuf>,
    /// It need not be signed.
    pub unsigned: bool,
    /// Higher is asked first.
    pub priority: i32,
}

/// What adding a release did.
#[derive(Clone, Debug)]
pub struct AddedRelease {
    /// Names of the sources.
    pub sources: Vec<String>,
    /// Keys that are trusted from now on: name and SHA-256 fingerprint.
    pub keys: Vec<(String, String)>,
}

/// One source, for showing.
#[derive(Clone, Debug, Serialize)]
pub struct SourceLine {
    /// Its name.
    pub name: String,
    /// World.
    pub ecosystem: Ecosystem,
    /// Where its index is.
    pub url: String,
    /// Whether it is used.
    pub enabled: bool,
    /// `signed` or `none`.
    pub trust: String,
    /// Higher is asked first.
    pub priority: i32,
    /// File that describes it.
    pub origin: String,
    /// Packages in its index; `None` before the first update.
    pub packages: Option<u64>,
}

/// One key, for showing.
#[derive(Clone, Debug, Serialize)]
pub struct KeyLine {
    /// The source it vouches for.
    pub source: String,
    /// File name.
    pub name: String,
    /// `rsa`, `p256`, `ed25519`.
    pub kind: String,
    /// SHA-256 of the raw key.
    pub fingerprint: String,
}

/// The release of a world that fits a root, as `source add` takes it.
pub(crate) fn fitting_release(ground: &Ground<'_>, ecosystem: Ecosystem) -> Option<String> {
    let libraries = crate::libraries::scan(ground.root, ground.cache).ok()?;
    let loader = crate::space::loader(ground.root, ground.system, &libraries, None).ok()?;
    let musl = match loader.kind {
        xpkg_resolver::abi::LoaderKind::Musl { version } => version,
        _ => return None,
    };
    let proposal = Profiles::builtin().ok()?.propose(ecosystem, musl.as_deref()).ok()?;
    Some(proposal.name())
}

impl Session {
    /// Every source of the root.
    pub fn source_list(&self) -> Result<Vec<SourceLine>, Error> {
        let catalogue = self.catalogue()?;
        let enabled = self.enabled();
        Ok(self
            .sources
            .iter()
            .map(|s| {
                let index =
                    enabled.iter().position(|e| e.name == s.name && e.url == s.url && e.component == s.component);
                SourceLine {
                    name: s.name.clone(),
                    ecosystem: s.ecosystem,
                    url: s.index_url(),
                    enabled: s.enabled,
                    trust: if s.trust == Trust::None { "none" } else { "signed" }.to_owned(),
                    priority: s.priority,
                    origin: s.origin.to_string(),
                    packages: index.and_then(|i| catalogue.meta(i)).map(|m| u64::from(m.packages)),
                }
            })
            .collect())
    }

    /// Adds a source by URL.
    pub fn source_add(&mut self, new: &NewSource) -> Result<(), Error> {
        let mut changes = Vec::new();
        for (i, url) in new.urls.iter().enumerate() {
            let name = if new.urls.len() == 1 { new.name.clone() } else { format!("{}-{}", new.name, i + 1) };
            if self.sources.iter().any(|s| s.name == name || s.group == name) {
                return Err(Error::NotPossible(format!("there is a source called `{name}` already")));
            }
            let mut own = OwnSource::new(new.ecosystem, absolute(url)?);
            own.priority = new.priority;
            own.trust = if new.unsigned { Trust::None } else { Trust::Signed };
            let file = own.to_file(&name)?;
            changes.push((file.path, Change::Write(file.bytes)));
            if let Some(keys) = &new.keys {
                for (key, bytes) in read_keys(keys)? {
                    changes.push((
                        own.keys_dir(&name)?.join(key.as_bytes()).map_err(|e| Error::NotPossible(e.to_string()))?,
                        Change::Write(bytes),
                    ));
                }
            }
        }
        if new.keys.is_none() && !new.unsigned {
            let text = format!(
                "{}: no keys were given, so nothing it offers can be trusted yet: `xpkg key add {} FILE`",
                new.name, new.name
            );
            self.observer.event(xpkg_model::Event::Warning(text));
        }
        self.configure(&changes)
    }

    /// Adds a release that the profiles know, with its keys.
    pub fn source_add_release(&mut self, release: &str) -> Result<AddedRelease, Error> {
        let profiles = Profiles::builtin()?;
        let proposal = profiles.named(release)?;
        let ecosystem = proposal.profile.ecosystem;
        let arch = self.arches.iter().find(|(e, _)| *e == ecosystem).map(|(_, word)| word.clone());
        let arch = arch.ok_or_else(|| {
            Error::NotPossible(format!("no {ecosystem} packages are made for this root's architecture"))
        })?;
        let name = proposal.source_name();
        if self.sources.iter().any(|s| s.group == name) {
            return Err(Error::NotPossible(format!("there is a source called `{name}` already")));
        }
        let (own, keys) = proposal.source(&arch)?;
        let file = own.to_file(&name)?;
        let mut changes = vec![(file.path, Change::Write(file.bytes))];
        changes.extend(keys.into_iter().map(|k| (k.path, Change::Write(k.bytes))));
        self.configure(&changes)?;
        let sources = self.sources.iter().filter(|s| s.group == name).map(|s| s.name.clone()).collect();
        let keys = proposal.keys(&arch).into_iter().map(|k| (k.name.clone(), k.fingerprint.clone())).collect();
        Ok(AddedRelease { sources, keys })
    }

    /// Forgets a source and its keys.
    pub fn source_remove(&mut self, name: &str) -> Result<(), Error> {
        let (group, own) = self.own_source(name)?;
        let mut changes = vec![(own_file(&group)?, Change::Remove)];
        let dir = own.keys_dir(&group)?;
        for key in self.root.list(&dir).map_err(Error::io(format!("listing {dir}")))? {
            if let Ok(path) = dir.join(&key) {
                changes.push((path, Change::Remove));
            }
        }
        self.configure(&changes)?;
        self.cache.prune_catalogues(&self.sources)?;
        Ok(())
    }

    /// Uses a source, or not.
    pub fn source_enable(&mut self, name: &str, enabled: bool) -> Result<(), Error> {
        self.change_source(name, |own| {
            own.enabled = enabled;
            Ok(())
        })
    }

    /// Changes a setting.
    pub fn source_set(&mut self, name: &str, key: &str, value: &str) -> Result<(), Error> {
        let bad = |reason: &str| Error::NotPossible(format!("{key}={value}: {reason}"));
        self.change_source(name, |own| {
            match key {
                "url" => own.url = absolute(value)?,
                "priority" => own.priority = value.parse().map_err(|_| bad("not a number"))?,
                "trust" => {
                    own.trust = match value {
                        "none" => Trust::None,
                        "signed" => Trust::Signed,
                        _ => return Err(bad("`signed` or `none`")),
                    }
                }
                "enabled" => own.enabled = value.parse().map_err(|_| bad("`true` or `false`"))?,
                "arch" => own.arch = Some(value.to_owned()),
                _ => return Err(bad("settings are url, priority, trust, enabled, arch")),
            }
            Ok(())
        })
    }

    /// Every key of every own source, and the native manager's.
    pub fn key_list(&self) -> Result<Vec<KeyLine>, Error> {
        let mut lines: Vec<KeyLine> = Vec::new();
        let mut native_done = false;
        for source in &self.sources {
            if source.is_native() && std::mem::replace(&mut native_done, true) {
                continue;
            }
            let label = if source.is_native() { "(native sources)" } else { source.group.as_str() };
            if lines.iter().any(|l| l.source == label) {
                continue;
            }
            for key in xpkg_repos::keyring_for(&self.root, source)?.iter() {
                lines.push(KeyLine {
                    source: label.to_owned(),
                    name: key.name.clone(),
                    kind: key.kind().to_string(),
                    fingerprint: key.fingerprint(),
                });
            }
        }
        Ok(lines)
    }

    /// Lets a key vouch for a source.
    pub fn key_add(&mut self, source: &str, file: &Path) -> Result<(), Error> {
        let (group, own) = self.own_source(source)?;
        let dir = own.keys_dir(&group)?;
        let mut changes = Vec::new();
        for (name, bytes) in read_keys(file)? {
            let path = dir.join(name.as_bytes()).map_err(|e| Error::NotPossible(e.to_string()))?;
            changes.push((path, Change::Write(bytes)));
        }
        self.configure(&changes)
    }

    /// Takes a key away from a source.
    pub fn key_remove(&mut self, source: &str, key: &str) -> Result<(), Error> {
        let (group, own) = self.own_source(source)?;
        let path = own.keys_dir(&group)?.join(key.as_bytes()).map_err(|e| Error::NotPossible(e.to_string()))?;
        if key.contains('/') || self.root.node(&path).map_err(Error::io(format!("reading {path}")))?.is_none() {
            return Err(Error::NoSuch { what: "key", name: key.to_owned() });
        }
        self.configure(&[(path, Change::Remove)])
    }

    fn change_source(
        &mut self,
        name: &str,
        edit: impl FnOnce(&mut OwnSource) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let (group, mut own) = self.own_source(name)?;
        edit(&mut own)?;
        let file = own.to_file(&group)?;
        self.configure(&[(file.path, Change::Write(file.bytes))])
    }

    /// The file behind a source of ours; the native manager's files are its own business.
    fn own_source(&self, name: &str) -> Result<(String, OwnSource), Error> {
        let source: &Source = self
            .sources
            .iter()
            .find(|s| s.group == name || s.name == name)
            .ok_or_else(|| Error::NoSuch { what: "source", name: name.to_owned() })?;
        if source.is_native() {
            return Err(Error::NotPossible(format!(
                "`{name}` belongs to the native package manager: change {} instead",
                source.origin
            )));
        }
        let path = own_file(&source.group)?;
        let bytes = self.root.read(&path, MAX_SOURCE).map_err(Error::io(format!("reading {path}")))?;
        let text = String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned();
        Ok((source.group.clone(), own::parse(&path.to_string(), &text)?))
    }

    fn configure(&mut self, changes: &[(RelPath, Change)]) -> Result<(), Error> {
        let observer = std::sync::Arc::clone(&self.observer);
        configure::apply(&mut self.root, changes, observer.as_ref())?;
        self.reload_sources()
    }
}

/// A path on this machine becomes absolute, so that it means the same wherever xpkg is started.
fn absolute(url: &str) -> Result<String, Error> {
    if url.contains("://") || url.starts_with('/') {
        return Ok(url.to_owned());
    }
    if url.is_empty() {
        return Err(Error::NotPossible("the url is empty".to_owned()));
    }
    let path = std::path::absolute(url).map_err(Error::io(format!("finding {url}")))?;
    Ok(path.display().to_string())
}

/// The keys of a file or directory, parsed to be sure that they are keys.
pub(crate) fn read_keys(from: &Path) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let failed = || format!("reading keys from {}", from.display());
    let files: Vec<PathBuf> = if from.is_dir() {
        let entries = std::fs::read_dir(from).map_err(Error::io(failed()))?;
        let mut files: Vec<_> = entries.filter_map(|e| Some(e.ok()?.path())).filter(|p| p.is_file()).collect();
        files.sort();
        files
    } else {
        vec![from.to_owned()]
    };
    let mut keys = Vec::new();
    for file in files {
        let name = file.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let size = file.metadata().map_err(Error::io(failed()))?.len();
        if size > MAX_KEY {
            return Err(Error::NotPossible(format!("{} is too large for a key", file.display())));
        }
        let bytes = std::fs::read(&file).map_err(Error::io(failed()))?;
        match PublicKey::parse(&name, &bytes) {
            Ok(_) => keys.push((name, bytes)),
            Err(_) if from.is_dir() => {} // a directory may hold other things
            Err(error) => return Err(error.into()),
        }
    }
    if keys.is_empty() {
        return Err(Error::NotPossible(format!("{} holds no public key that is understood", from.display())));
    }
    Ok(keys)
}
