//! Brings the catalogues up to date: fetches each index, proves who signed it before anything in it is read, and refuses one that
//! is older than one seen before. What fails leaves the old catalogue as it was.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use xpkg_formats::apk::index::{self, IndexInfo, OpenedIndex, PackageSink};
use xpkg_formats::keys::{Keyring, Verified};
use xpkg_formats::opkg::feed::{self, OpenedFeed};
use xpkg_formats::{Error as FormatError, Limits};
use xpkg_model::root::RootView;
use xpkg_model::{Ecosystem, Event, Observer};

use crate::cache::Cache;
use crate::catalogue::{self, Builder, Meta};
use crate::error::{Error, Result};
use crate::keys::keyring_for;
use crate::seen::{self, Age, Drift, Memory};
use crate::source::{IndexUrl, Source, Trust};
use crate::transport::{Get, Got, Transport, Validators, shown};

/// Largest index file fetched; Alpine's largest has 2 MiB.
const MAX_INDEX: u64 = 64 << 20;
/// Largest signature in a file of its own; usign's have 200 bytes.
const MAX_SIGNATURE: u64 = 16 << 10;

/// How to update.
#[derive(Clone, Debug)]
pub struct UpdateOptions {
    /// Accept an index older than one seen before, and forget the newer one.
    pub allow_older: bool,
    /// Fetch and read again what has not changed.
    pub force: bool,
    /// Indexes fetched at once. They are read one after the other, which bounds memory.
    pub parallel: usize,
}

impl Default for UpdateOptions {
    fn default() -> Self {
        Self { allow_older: false, force: false, parallel: 4 }
    }
}

/// What became of one source.
#[derive(Debug)]
pub struct Outcome {
    /// Which source.
    pub source: Source,
    /// What happened.
    pub result: Result<Updated>,
}

/// An index that is now in the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Updated {
    /// Packages in it.
    pub packages: u32,
    /// Packages left out because the index says something about them that is not understood.
    pub skipped: u64,
    /// Whether it differs from the one that was here.
    pub changed: bool,
    /// The key that signed it; `None` for a source with `trust = "none"`.
    pub signed_by: Option<String>,
    /// What the root should remember of its age, where that is not what it remembers already.
    pub memory: Option<Memory>,
}

/// Updates every enabled source, several at once. Answers in the order of the sources.
pub fn update(
    sources: &[Source],
    root: &dyn RootView,
    cache: &Cache,
    transport: &Transport,
    options: &UpdateOptions,
    observer: &dyn Observer,
) -> Vec<Outcome> {
    let enabled: Vec<&Source> = sources.iter().filter(|s| s.enabled).collect();
    observer.event(Event::Stage { name: "updating", items: Some(enabled.len() as u64) });
    // The root is read by this thread only, and so is every index: one allocator's arena grows, not one per thread.
    let mut results = Vec::new();
    let mut jobs = Vec::new();
    for (i, source) in enabled.iter().enumerate() {
        match keyring_for(root, source).and_then(|keys| Ok((keys, seen::recall_from_root(root, source)?))) {
            Ok((keys, seen)) => jobs.push((i, Job { source, keys, seen, cache, transport, options, observer })),
            Err(error) => results.push((i, Err(error))),
        }
    }
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::sync_channel(options.parallel.max(1));
        for _ in 0..options.parallel.clamp(1, 16).min(jobs.len()) {
            let (sender, next, jobs) = (sender.clone(), &next, &jobs);
            scope.spawn(move || {
                while let Some((_, (i, job))) = take(jobs, next) {
                    if sender.send((*i, job, job.bring())).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for (i, job, brought) in receiver {
            let result = brought.and_then(|brought| job.read(brought));
            observer.event(Event::Item { name: job.source.name.clone() });
            results.push((i, result));
        }
    });
    results.sort_by_key(|(i, _)| *i);
    let outcome = |(i, result): (usize, _)| Some(Outcome { source: (*enabled.get(i)?).clone(), result });
    results.into_iter().filter_map(outcome).collect()
}

/// The next item, and which one it is.
pub(crate) fn take<'a, T>(jobs: &'a [T], next: &AtomicUsize) -> Option<(usize, &'a T)> {
    let i = next.fetch_add(1, Ordering::Relaxed);
    jobs.get(i).map(|job| (i, job))
}

struct Job<'a> {
    source: &'a Source,
    keys: Keyring,
    /// The newest index that the root remembers.
    seen: Option<Age>,
    cache: &'a Cache,
    transport: &'a Transport,
    options: &'a UpdateOptions,
    observer: &'a dyn Observer,
}

/// An index that came, or that need not come.
enum Brought {
    File(File, IndexUrl, Validators, Option<Vec<u8>>),
    Unchanged(Updated),
}

impl Job<'_> {
    /// Fetches the index from the first place that has one.
    fn bring(&self) -> Result<Brought> {
        let known =
            catalogue::meta_of(self.cache, self.source).filter(|meta| !self.options.force && self.still_trusted(meta));
        let mut places = self.source.index_urls();
        // Where it was found last time comes first.
        places.sort_by_key(|place| known.as_ref().is_none_or(|k| k.index_url != place.url));
        let mut missing = None;
        for place in places {
            let here = known.as_ref().filter(|k| k.index_url == place.url);
            match self.bring_from(place, here) {
                Err(error @ Error::NotFound { .. }) => missing = missing.or(Some(error)),
                other => return other,
            }
        }
        Err(missing.unwrap_or_else(|| Error::NotFound { url: shown(&self.source.url) }))
    }

    /// A catalogue counts as known only while the key that signed its index is still a key of the source.
    fn still_trusted(&self, meta: &Meta) -> bool {
        self.source.trust == Trust::None
            || meta.fingerprint.as_ref().is_some_and(|f| self.keys.iter().any(|k| k.fingerprint() == *f))
    }

    fn bring_from(&self, place: IndexUrl, known: Option<&Meta>) -> Result<Brought> {
        let mut file = self.cache.anonymous()?;
        let mut get = Get::new(&place.url, &self.source.name, MAX_INDEX);
        get.known = known.map(|meta| &meta.validators).filter(|v| !v.is_empty());
        match (self.transport.get(&get, &mut file, self.observer)?, known) {
            (Got::NotModified, Some(meta)) => Ok(Brought::Unchanged(Updated {
                packages: meta.packages,
                skipped: 0,
                changed: false,
                signed_by: meta.signed_by.clone(),
                memory: None,
            })),
            (Got::Whole { validators, .. }, _) => {
                let signature = self.bring_signature(&place)?;
                Ok(Brought::File(file, place, validators, signature))
            }
            (Got::NotModified, None) => {
                Err(Error::Network { url: shown(&place.url), reason: "not modified, but nothing was known".into() })
            }
        }
    }

    /// The signature that lies beside an index of opkg, where one is asked for. `None`: there is none.
    fn bring_signature(&self, place: &IndexUrl) -> Result<Option<Vec<u8>>> {
        let Some(url) = place.signature_url().filter(|_| self.source.trust == Trust::Signed) else { return Ok(None) };
        let mut file = self.cache.anonymous()?;
        match self.transport.get(&Get::new(&url, &self.source.name, MAX_SIGNATURE), &mut file, self.observer) {
            Ok(_) => {}
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error),
        }
        let mut bytes = Vec::new();
        let read = file.seek(SeekFrom::Start(0)).and_then(|_| file.take(MAX_SIGNATURE).read_to_end(&mut bytes));
        read.map_err(|e| Error::io("read", self.cache.dir(), e))?;
        Ok(Some(bytes))
    }

    /// Verifies the index, and writes the catalogue while reading it.
    fn read(&self, brought: Brought) -> Result<Updated> {
        let (mut file, place, validators, signature) = match brought {
            Brought::File(file, place, validators, signature) => (file, place, validators, signature),
            Brought::Unchanged(updated) => return Ok(updated),
        };
        let url = shown(&place.url);
        file.seek(SeekFrom::Start(0)).map_err(|e| Error::io("read", self.cache.dir(), e))?;
        let mut index = Index::open(file, &place, &url).map_err(|e| Error::format(&url, e))?;
        let signer = match self.source.trust {
            Trust::Signed => {
                let verified = index.verify(&self.keys, signature.as_deref());
                Some(verified.map_err(|e| Error::format(&url, e))?)
            }
            Trust::None => None,
        };
        // opkg's indexes say nothing of their age: what is here already tells whether one goes back.
        let mut drift = Drift::default();
        if matches!(index, Index::Opkg(_)) && !self.options.allow_older {
            drift = Drift::since(self.cache, self.source)?;
        }
        let mut builder = Builder::create(&self.cache.catalogue_path(self.source))?;
        let info = index.read(self.source.ecosystem, &mut |package| {
            drift.see(&package);
            Ok(builder.push(package)?)
        });
        let info = info.map_err(|e| Error::format(&url, e))?;
        for reason in &info.reasons {
            self.observer.event(Event::Detail(format!("{url}: left out: {reason}")));
        }
        let age = Age { newest: builder.newest(), description: info.description.clone() };
        let last = seen::recall(self.cache, self.source)?;
        let older = |last: &&Age| !self.options.allow_older && age.is_older_than(last);
        if let Some(last) = [last.as_ref(), self.seen.as_ref()].into_iter().flatten().find(older) {
            return Err(Error::OlderThanSeen { url, found: age.shown(), seen: last.shown() });
        }
        if let Some((found, seen)) = drift.goes_back().filter(|_| builder.newest() == 0) {
            return Err(Error::OlderThanSeen { url, found, seen });
        }
        let updated = Updated {
            packages: builder.packages(),
            skipped: info.skipped,
            changed: true,
            signed_by: signer.as_ref().map(|s| s.key.clone()),
            memory: Memory::of(self.source, &age, self.seen.as_ref())?,
        };
        builder.finish(Meta {
            index_url: place.url.clone(),
            repository: place.repository.clone(),
            spec: info.pkgname_spec,
            validators,
            fingerprint: signer.as_ref().map(|s| s.fingerprint.clone()),
            signed_by: signer.map(|s| s.key),
            description: info.description,
            ..Meta::default()
        })?;
        if last.as_ref() != Some(&age) {
            seen::remember(self.cache, self.source, &age)?;
        }
        Ok(updated)
    }
}

/// An index of any kind. Its place tells which: both `Packages.gz` and `APKINDEX.tar.gz` begin as gzip.
enum Index {
    Apk(OpenedIndex<File>),
    Opkg(OpenedFeed<File>),
}

impl Index {
    fn open(file: File, place: &IndexUrl, what: &str) -> Result<Self, FormatError> {
        let limits = Limits::default();
        Ok(match place.signature_url() {
            Some(_) => Self::Opkg(feed::open(file, what, &limits)?),
            None => Self::Apk(index::open(file, what, &limits)?),
        })
    }

    fn verify(&mut self, keys: &Keyring, signature: Option<&[u8]>) -> Result<Verified, FormatError> {
        match (self, signature) {
            (Self::Apk(index), _) => index.verify(keys),
            (Self::Opkg(feed), signature) => feed.verify(keys, signature.unwrap_or_default()),
        }
    }

    fn read(&mut self, ecosystem: Ecosystem, sink: &mut PackageSink<'_>) -> Result<IndexInfo, FormatError> {
        match self {
            Self::Apk(index) => index.read(ecosystem, sink),
            Self::Opkg(feed) => feed.read(ecosystem, sink),
        }
    }
}
