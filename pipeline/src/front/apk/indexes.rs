//! Reads the indexes of a run's repositories: from apk's own cache, fetched anew where that is asked for, or directly where
//! they lie on this machine. An index is verified before it is read, and kept only then.

use std::fs::File;
use std::io::{Seek as _, SeekFrom};
use std::sync::Arc;

use xpkg_formats::apk::index;
use xpkg_formats::{Error as FormatError, Limits};
use xpkg_model::root::RootView as _;
use xpkg_model::{Package, RelPath};
use xpkg_repos::Error as RepoError;
use xpkg_repos::transport::Get;

use super::database::{Database, Refresh};
use super::error::native_words;
use super::places::Standing;
use super::{Error, Generation};

/// Largest index; Alpine's largest has two MiB.
const MAX_INDEX: u64 = 256 << 20;

/// How the repositories of a run stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Availability {
    /// Without an index.
    pub unavailable: usize,
    /// With an old one.
    pub stale: usize,
}

/// What an index holds.
struct Index {
    packages: Vec<Arc<Package>>,
    description: String,
    spec: Option<String>,
}

impl Database {
    /// Reads every index.
    pub(super) fn load(&mut self, refresh: Refresh) -> Result<(), Error> {
        let online = refresh != Refresh::Never && !self.settings.simulate;
        for at in 0..self.places.len() {
            let (standing, index) = self.bring(at, refresh, online)?;
            let mut packages = Vec::new();
            let Some(place) = self.places.get_mut(at) else { continue };
            place.standing = standing;
            if let Some(index) = index {
                place.description = index.description;
                place.spec = index.spec;
                for package in &index.packages {
                    self.universe.offer(package, at);
                }
                packages = index.packages;
            }
            self.offers.push(packages);
        }
        Ok(())
    }

    /// How the repositories stand.
    pub fn availability(&self) -> Availability {
        let mut found = Availability::default();
        for place in &self.places {
            match place.standing {
                Standing::Unavailable { .. } => found.unavailable += 1,
                Standing::Stale(_) => found.stale += 1,
                _ => {}
            }
        }
        found
    }

    /// What is to be said of the repositories, in apk's words.
    pub fn warnings(&self) -> Vec<String> {
        let told = |place: &super::Place| match &place.standing {
            Standing::Unavailable { doing, why } => {
                // What is only looked up in the cache was never resolved to an index's address.
                let name = if *doing == "opening from cache" { &place.shown } else { place.blamed(self.generation) };
                Some(format!("{doing} {name}: {why}"))
            }
            Standing::Stale(why) => Some(format!("updating {}: {why}", place.blamed(self.generation))),
            _ => None,
        };
        self.places.iter().filter_map(told).collect()
    }

    /// Fails where an upgrade would be decided by less than all repositories: what is missing might hold what is needed.
    pub fn check_complete(&self) -> Result<(), Error> {
        let Availability { unavailable, stale } = self.availability();
        if unavailable + stale == 0 || self.settings.force_missing_repositories {
            return Ok(());
        }
        // apk 2 has no space there.
        let space = if self.generation == Generation::Apk2 { "" } else { " " };
        Err(Error::Said(format!(
            "Not continuing due to stale/unavailable repositories.{space}Use --force-missing-repositories to continue."
        )))
    }

    fn bring(&self, at: usize, refresh: Refresh, online: bool) -> Result<(Standing, Option<Index>), Error> {
        let Some(place) = self.places.get(at) else { return Ok((Standing::Unread, None)) };
        let what = place.index_url.clone();
        if let Some(path) = place.local() {
            let read = File::open(&path)
                .map_err(|source| RepoError::Io { what: what.clone(), source })
                .and_then(|file| self.read_index(file, &what));
            return Ok(settle("opening", read));
        }
        let path = self.cache.join(place.cache_name(self.generation).as_bytes());
        let path = path.map_err(|e| Error::Said(e.to_string()))?;
        let age = self.age(&path);
        let wanted = match refresh {
            Refresh::Never => false,
            Refresh::WhenOld => self.settings.force_refresh || age.is_none_or(|age| age >= self.settings.cache_max_age),
            Refresh::Always => true,
        };
        if self.settings.no_cache && !self.settings.no_network {
            // Nothing is kept, so that even a simulation has to ask.
            return Ok(settle("opening", self.fetch_index(&path, &what)));
        }
        if wanted && online && !self.settings.no_network {
            return Ok(match self.fetch_index(&path, &what) {
                Ok(index) => (Standing::Read, Some(index)),
                // The old one serves, as long as it is a good one.
                Err(error) if age.is_some() => match self.cached(&path, &what) {
                    Ok(index) => (Standing::Stale(native_words(&error)), Some(index)),
                    Err(_) => settle("updating and opening", Err(error)),
                },
                Err(error) => settle("updating and opening", Err(error)),
            });
        }
        Ok(settle("opening from cache", self.cached(&path, &what)))
    }

    /// Seconds since an index was fetched.
    fn age(&self, path: &RelPath) -> Option<u64> {
        let node = self.root.node(path).ok()??;
        Some(self.settings.now.saturating_sub(u64::try_from(node.mtime).unwrap_or(0)))
    }

    fn cached(&self, path: &RelPath, what: &str) -> Result<Index, RepoError> {
        let missing = || RepoError::NotFound { url: what.to_owned() };
        let failed = |source| RepoError::Io { what: what.to_owned(), source };
        if self.root.node(path).map_err(failed)?.is_none() {
            return Err(missing());
        }
        let file = self.root.outside(path).map_err(|_| missing())?;
        self.read_index(File::open(file).map_err(failed)?, what)
    }

    fn fetch_index(&self, path: &RelPath, url: &str) -> Result<Index, RepoError> {
        let kept =
            |e: xpkg_install::Error| RepoError::Io { what: e.to_string(), source: std::io::ErrorKind::Other.into() };
        let get = Get::new(url, url, MAX_INDEX);
        if self.settings.no_cache {
            let mut file = tempfile::tempfile().map_err(|source| RepoError::Io { what: url.to_owned(), source })?;
            self.transport.get(&get, &mut file, self.observer.as_ref())?;
            return self.read_index(file, url);
        }
        let (mut file, temporary) = self.root.begin_cached(path).map_err(kept)?;
        self.transport.get(&get, &mut file, self.observer.as_ref())?;
        let index = self.read_index(file, url)?;
        self.root.keep_cached(path, temporary).map_err(kept)?;
        Ok(index)
    }

    fn read_index(&self, mut file: File, what: &str) -> Result<Index, RepoError> {
        let said = |error: FormatError| match error {
            FormatError::Unsigned { .. } => RepoError::Unsigned { url: what.to_owned() },
            FormatError::UnknownKey { names, .. } => RepoError::UnknownKey { url: what.to_owned(), names },
            FormatError::BadSignature { key, .. } => RepoError::BadSignature { url: what.to_owned(), key },
            other => RepoError::Malformed { url: what.to_owned(), source: other },
        };
        file.seek(SeekFrom::Start(0)).map_err(|source| RepoError::Io { what: what.to_owned(), source })?;
        let mut opened = index::open(file, what, &Limits::default()).map_err(said)?;
        if !self.settings.allow_untrusted {
            opened.verify(&self.keys).map_err(said)?;
        }
        let mut packages = Vec::new();
        let info = opened.read(self.native, &mut |package| {
            packages.push(Arc::new(package));
            Ok(())
        });
        let info = info.map_err(said)?;
        Ok(Index { packages, description: info.description, spec: info.pkgname_spec })
    }

    /// Whether the words of the newer apk are spoken here.
    pub fn is_apk3(&self) -> bool {
        self.generation == Generation::Apk3
    }
}

fn settle(doing: &'static str, read: Result<Index, RepoError>) -> (Standing, Option<Index>) {
    match read {
        Ok(index) => (Standing::Read, Some(index)),
        Err(error) => (Standing::Unavailable { doing, why: native_words(&error) }, None),
    }
}
