//! Brings the packages of a plan into the cache, several at once, and hands out what passed every check. A file that is in the cache
//! already is checked like one that just came.

use std::cell::RefCell;
use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, mpsc};

use xpkg_model::{Event, Identity, Observer, Package, PackageKey};

use crate::cache::{Cache, readable_temp};
use crate::catalogue::Catalogue;
use crate::error::{Error, Result};
use crate::fetched::FetchedPackage;
use crate::transport::{Get, Got, Transport, Validators, shown};
use crate::update::take;

/// Largest package whose index does not say its size.
const MAX_PACKAGE: u64 = 4 << 30;

/// Fetches packages, `parallel` at once. Answers in the order of the packages; one that fails stops no other.
pub fn fetch(
    packages: &[&Package],
    catalogue: &Catalogue,
    cache: &Cache,
    transport: &Transport,
    observer: &dyn Observer,
    parallel: usize,
) -> Vec<(PackageKey, Result<FetchedPackage>)> {
    observer.event(Event::Stage { name: "fetching", items: Some(packages.len() as u64) });
    // The catalogue is asked by this thread only. A url matters only for what is not in the cache.
    let jobs: Vec<Job> =
        packages.iter().map(|p| Job { package: Arc::new((*p).clone()), url: catalogue.package_url(p) }).collect();
    if let Err(error) = require_space(&jobs, cache) {
        return refuse_all(&jobs, error);
    }
    let (next, mut results) = (AtomicUsize::new(0), Vec::with_capacity(jobs.len()));
    std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::sync_channel(parallel.max(1));
        for _ in 0..parallel.clamp(1, 16).min(jobs.len()) {
            let (sender, next, jobs) = (sender.clone(), &next, &jobs);
            scope.spawn(move || {
                while let Some((i, job)) = take(jobs, next) {
                    if sender.send((i, job, job.bring(cache, transport, observer))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        // Checked here, one after the other: facts of large libraries in several threads at once would not fit a router.
        for (i, job, brought) in receiver {
            let result = brought.and_then(|brought| job.check(brought, cache, transport, observer));
            observer.event(Event::Item { name: job.package.name.clone() });
            results.push((i, result));
        }
    });
    results.sort_by_key(|(i, _)| *i);
    results.into_iter().zip(&jobs).map(|((_, result), job)| (job.package.key(), result)).collect()
}

/// Whether everything that is not here yet fits into the cache.
fn require_space(jobs: &[Job], cache: &Cache) -> Result<()> {
    let absent = |job: &&Job| job.package.identity.is_some_and(|id| !cache.package_path(&id).exists());
    let need: u64 = jobs.iter().filter(absent).map(|job| job.package.size).fold(0, u64::saturating_add);
    if need == 0 { Ok(()) } else { cache.require_space(need) }
}

fn refuse_all(jobs: &[Job], error: Error) -> Vec<(PackageKey, Result<FetchedPackage>)> {
    let again = |error: &Error| match error {
        Error::NoSpace { path, need, free } => Error::NoSpace { path: path.clone(), need: *need, free: *free },
        other => Error::Io { what: other.to_string(), source: std::io::ErrorKind::Other.into() },
    };
    jobs.iter().map(|job| (job.package.key(), Err(again(&error)))).collect()
}

struct Job {
    package: Arc<Package>,
    url: Result<String>,
}

/// A file that is here, not yet checked.
enum Brought {
    /// It was in the cache.
    Cached(PathBuf),
    /// It came; `true`: its beginning came earlier.
    Came(Slot, bool),
}

/// Where a package file is being put together.
struct Slot {
    path: PathBuf,
    file: File,
    version: Option<Validators>,
    /// Ours alone, and not worth keeping when broken: another process is at the real one.
    temp: Option<tempfile::TempPath>,
}

impl Job {
    fn identity(&self) -> Result<Identity> {
        self.package.identity.ok_or_else(|| Error::NoIdentity { package: self.package.key().to_string() })
    }

    /// Makes sure that there is a file.
    fn bring(&self, cache: &Cache, transport: &Transport, observer: &dyn Observer) -> Result<Brought> {
        let path = cache.package_path(&self.identity()?);
        if path.exists() { Ok(Brought::Cached(path)) } else { self.download(cache, transport, observer) }
    }

    fn download(&self, cache: &Cache, transport: &Transport, observer: &dyn Observer) -> Result<Brought> {
        let identity = self.identity()?;
        let mut slot = slot(cache, &identity)?;
        let resumed = slot.version.is_some();
        match self.transfer(&mut slot, cache, transport, observer) {
            Ok(()) => Ok(Brought::Came(slot, resumed)),
            // What was begun earlier may have been wrong from the start.
            Err(error) if resumed && error.is_trust() => match self.transfer(&mut slot, cache, transport, observer) {
                Ok(()) => Ok(Brought::Came(slot, false)),
                Err(error) => Err(self.give_up(slot, cache, error)),
            },
            Err(error) => Err(self.give_up(slot, cache, error)),
        }
    }

    /// Forgets what came, unless going on from it makes sense.
    fn give_up(&self, slot: Slot, cache: &Cache, error: Error) -> Error {
        let worth_keeping = matches!(error, Error::Network { .. });
        if slot.temp.is_none()
            && !worth_keeping
            && let Some(identity) = &self.package.identity
        {
            cache.drop_part(identity);
        }
        error
    }

    fn transfer(&self, slot: &mut Slot, cache: &Cache, transport: &Transport, observer: &dyn Observer) -> Result<()> {
        let (package, identity) = (&self.package, self.identity()?);
        let url = match &self.url {
            Ok(url) => url,
            Err(Error::NotUpdated { source_name }) => {
                return Err(Error::NotUpdated { source_name: source_name.clone() });
            }
            Err(Error::BadUrl { url, reason }) => {
                return Err(Error::BadUrl { url: url.clone(), reason: reason.clone() });
            }
            Err(_) => return Err(Error::NoSource { package: package.key().to_string() }),
        };
        let own = slot.temp.is_none();
        let note_failed = RefCell::new(None);
        let note = |version: &Validators| {
            if own && let Err(error) = cache.note_part(&identity, version) {
                note_failed.replace(Some(error));
            }
        };
        let resume = slot.version.take();
        let mut get = Get::new(url, &package.name, if package.size == 0 { MAX_PACKAGE } else { package.size });
        get.expected = Some(package.size).filter(|size| *size != 0);
        get.resume = resume.as_ref();
        get.on_version = Some(&note);
        match (transport.get(&get, &mut slot.file, observer), note_failed.take()) {
            (Ok(Got::Whole { .. }), _) => Ok(()),
            (Ok(Got::NotModified), _) => Err(Error::Status { url: shown(url), status: 304 }),
            // A beginning whose version could not be written down must not be gone on from.
            (Err(_), Some(error)) | (Err(error), None) => Err(error),
        }
    }

    /// Checks what is here; what fails for a reason that a fresh download may mend is fetched once more.
    fn check(
        &self,
        brought: Brought,
        cache: &Cache,
        transport: &Transport,
        observer: &dyn Observer,
    ) -> Result<FetchedPackage> {
        let again = |error: Error| {
            observer.event(Event::Detail(format!("{error}; fetching it again")));
            match self.download(cache, transport, observer)? {
                Brought::Came(slot, _) => self.check_slot(slot, cache),
                Brought::Cached(path) => {
                    FetchedPackage::verify(cache, &self.package, &path, &path.display().to_string())
                }
            }
        };
        match brought {
            Brought::Cached(path) => {
                match FetchedPackage::verify(cache, &self.package, &path, &path.display().to_string()) {
                    Err(error) if !matches!(error, Error::NoSpace { .. }) => {
                        fs::remove_file(&path).map_err(|e| Error::io("delete", &path, e))?;
                        again(error)
                    }
                    other => other,
                }
            }
            Brought::Came(slot, true) => match self.check_slot(slot, cache) {
                Err(error) if error.is_trust() || matches!(error, Error::Malformed { .. }) => again(error),
                other => other,
            },
            Brought::Came(slot, false) => self.check_slot(slot, cache),
        }
    }

    /// Checks what came, and gives it its name.
    fn check_slot(&self, mut slot: Slot, cache: &Cache) -> Result<FetchedPackage> {
        let url = self.url.as_deref().map(shown).unwrap_or_default();
        let fetched = match FetchedPackage::verify(cache, &self.package, &slot.path, &url) {
            Ok(fetched) => fetched,
            Err(error) => return Err(self.give_up(slot, cache, error)),
        };
        let identity = self.identity()?;
        let path = match slot.temp.take() {
            None => cache.keep_part(&identity)?,
            Some(temp) => {
                let path = cache.package_path(&identity);
                temp.persist(&path).map_err(|e| Error::io("write", &path, e.error))?;
                path
            }
        };
        Ok(fetched.moved_to(path))
    }
}

fn slot(cache: &Cache, identity: &Identity) -> Result<Slot> {
    if let Some((file, version)) = cache.open_part(identity)? {
        return Ok(Slot { path: cache.part_path(identity), file, version, temp: None });
    }
    let (file, temp) = readable_temp(&cache.dir().join("packages"))?.into_parts();
    Ok(Slot { path: temp.to_path_buf(), file, version: None, temp: Some(temp) })
}
