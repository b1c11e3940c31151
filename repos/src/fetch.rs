//! Brings the packages of a plan into the cache, several at once, and hands out what passed every check. A file that is in the cache
//! already is checked like one that just came.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{Seek as _, SeekFrom};
use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};

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
    let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(jobs.len())));
    std::thread::scope(|scope| {
        for _ in 0..parallel.clamp(1, 16).min(jobs.len()) {
            scope.spawn(|| {
                while let Some((i, job)) = take(&jobs, &next) {
                    let result = job.run(cache, transport, observer);
                    observer.event(Event::Item { name: job.package.name.clone() });
                    results.lock().unwrap_or_else(PoisonError::into_inner).push((i, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
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

/// Where a package file is being put together.
struct Slot {
    path: PathBuf,
    file: File,
    version: Option<Validators>,
    /// Ours alone, and not worth keeping when broken: another process is at the real one.
    temp: Option<tempfile::TempPath>,
}

impl Job {
    fn run(&self, cache: &Cache, transport: &Transport, observer: &dyn Observer) -> Result<FetchedPackage> {
        let package = &self.package;
        let identity = package.identity.ok_or_else(|| Error::NoIdentity { package: package.key().to_string() })?;
        let path = cache.package_path(&identity);
        if path.exists() {
            match FetchedPackage::verify(cache, package, &path, &path.display().to_string()) {
                Ok(fetched) => return Ok(fetched),
                Err(Error::NoSpace { path, need, free }) => return Err(Error::NoSpace { path, need, free }),
                Err(error) => {
                    observer.event(Event::Detail(format!("{error}; fetching it again")));
                    fs::remove_file(&path).map_err(|e| Error::io("delete", &path, e))?;
                }
            }
        }
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
        let mut slot = self.slot(cache, &identity)?;
        let resumed = slot.version.is_some();
        let mut result = self.bring(&mut slot, url, cache, &identity, transport, observer);
        // What was begun earlier may have been wrong from the start: once more, all of it.
        if resumed && result.as_ref().is_err_and(Error::is_trust) {
            slot.version = None;
            result = self.bring(&mut slot, url, cache, &identity, transport, observer);
        }
        // A beginning is kept only where going on from it makes sense.
        let keep = |error: &Error| matches!(error, Error::Network { .. });
        if slot.temp.is_none() && result.as_ref().is_err_and(|e| !keep(e)) {
            cache.drop_part(&identity);
        }
        result
    }

    fn slot(&self, cache: &Cache, identity: &Identity) -> Result<Slot> {
        if let Some((file, version)) = cache.open_part(identity)? {
            return Ok(Slot { path: cache.part_path(identity), file, version, temp: None });
        }
        let dir = cache.dir().join("packages");
        let (file, temp) = readable_temp(&dir)?.into_parts();
        Ok(Slot { path: temp.to_path_buf(), file, version: None, temp: Some(temp) })
    }

    fn bring(
        &self,
        slot: &mut Slot,
        url: &str,
        cache: &Cache,
        identity: &Identity,
        transport: &Transport,
        observer: &dyn Observer,
    ) -> Result<FetchedPackage> {
        let package = &self.package;
        let own = slot.temp.is_none();
        let note_failed = RefCell::new(None);
        let note = |version: &Validators| {
            if own && let Err(error) = cache.note_part(identity, version) {
                note_failed.replace(Some(error));
            }
        };
        let resume = slot.version.take();
        let mut get = Get::new(url, &package.name, if package.size == 0 { MAX_PACKAGE } else { package.size });
        get.expected = Some(package.size).filter(|size| *size != 0);
        get.resume = resume.as_ref();
        get.on_version = Some(&note);
        let got = transport.get(&get, &mut slot.file, observer);
        let checked = match got {
            Ok(Got::Whole { .. }) => FetchedPackage::verify(cache, package, &slot.path, &shown(url)),
            Ok(Got::NotModified) => Err(Error::Status { url: shown(url), status: 304 }),
            Err(error) => Err(error),
        };
        match checked {
            Ok(fetched) => match slot.temp.take() {
                None => cache.keep_part(identity).map(|path| fetched.moved_to(path)),
                Some(temp) => {
                    let path = cache.package_path(identity);
                    temp.persist(&path).map_err(|e| Error::io("write", &path, e.error))?;
                    Ok(fetched.moved_to(path))
                }
            },
            Err(error) if note_failed.borrow().is_some() => {
                let _ = slot.file.set_len(0).and_then(|()| slot.file.seek(SeekFrom::Start(0)));
                Err(note_failed.take().unwrap_or(error))
            }
            Err(error) => Err(error),
        }
    }
}
