//! What the sources offer: one SQLite file per source, written by `update`, asked by the resolver through
//! [`Candidates`](xpkg_model::Candidates) and by people who search. A cache: deleting it loses nothing that an update does not bring back.
//!
//! Packages lie in deflated blocks of 32, the words that resolving needs apart from those that only people read; names are found
//! through packed buckets of hashes. One question reads one bucket and the blocks of its answers.

mod builder;
mod codec;
mod file;
mod lookup;
mod meta;
mod rows;
mod search;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use xpkg_model::candidates::CandidatesError;
use xpkg_model::{Candidates, Ecosystem, Package, PackageKey};

use crate::cache::Cache;
use crate::error::{Error, Result};
use crate::source::{Source, Trust};
use codec::Unpacker;
use file::CatalogueFile;
use lookup::Kind;

pub(crate) use builder::Builder;
pub use lookup::Fnv;
pub use meta::Meta;
pub use search::Query;

/// The enabled sources of a root, as far as their indexes are here.
pub struct Catalogue {
    sources: Vec<Source>,
    /// One per source, in the same order; `None`: disabled, or not updated.
    files: Vec<Option<CatalogueFile>>,
}

impl Catalogue {
    /// Opens the catalogues of these sources, which stay in this order: highest priority first. Sources that were never updated, or whose
    /// catalogue is damaged, offer nothing and are listed by [`Catalogue::missing`].
    pub fn open(cache: &Cache, sources: &[Source]) -> Result<Self> {
        let mut files = Vec::with_capacity(sources.len());
        let unpacker = Rc::new(RefCell::new(Unpacker::new()));
        for (i, source) in sources.iter().enumerate() {
            files.push(match source.enabled {
                true => open_one(cache, source, u16::try_from(i).unwrap_or(u16::MAX), &unpacker)?,
                false => None,
            });
        }
        Ok(Self { sources: sources.to_vec(), files })
    }

    /// The sources, in the order that [`Package::source`] counts.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// The source of a package.
    pub fn source_of(&self, package: &Package) -> Option<&Source> {
        self.sources.get(usize::from(package.source?))
    }

    /// What is known of a source's index.
    pub fn meta(&self, source: usize) -> Option<&Meta> {
        self.files.get(source)?.as_ref().map(|f| &f.meta)
    }

    /// Enabled sources whose index is not here.
    pub fn missing(&self) -> impl Iterator<Item = &Source> {
        self.sources.iter().zip(&self.files).filter(|(s, f)| s.enabled && f.is_none()).map(|(s, _)| s)
    }

    /// Packages of a world, counted once per source.
    pub fn count(&self, ecosystem: Ecosystem) -> u64 {
        self.files_of(Some(ecosystem)).map(|f| u64::from(f.meta.packages)).sum()
    }

    /// Where a package's file is, as the index that was read says.
    pub fn package_url(&self, package: &Package) -> Result<String> {
        let unknown = || Error::NoSource { package: package.key().to_string() };
        let i = usize::from(package.source.ok_or_else(unknown)?);
        let source = self.sources.get(i).ok_or_else(unknown)?;
        match self.meta(i) {
            Some(meta) => meta.index().package_url(&source.arch, meta.spec.as_deref(), package),
            None => Err(Error::NotUpdated { source_name: source.name.clone() }),
        }
    }

    /// Every package of that name with all its fields, best source first.
    pub fn info(&self, ecosystem: Option<Ecosystem>, name: &str) -> Result<Vec<Package>> {
        let mut all = Vec::new();
        for file in self.files_of(ecosystem) {
            for package in file.find(Kind::Name, name)? {
                all.push((*package).clone());
            }
        }
        all.iter_mut().try_for_each(|p| self.complete(p))?;
        Ok(all)
    }

    /// Adds the fields that the resolver does not ask for: description, url, license, maintainer, commit, build time, tags.
    pub fn complete(&self, package: &mut Package) -> Result<()> {
        match package.source.and_then(|i| self.files.get(usize::from(i))?.as_ref()) {
            Some(file) => file.complete_by_key(package),
            None => Ok(()),
        }
    }

    /// Finds one exact package.
    pub fn package_by_key(&self, key: &PackageKey) -> Result<Option<Arc<Package>>> {
        for file in self.files_of(Some(key.ecosystem)) {
            for package in file.find(Kind::Name, &key.name)? {
                let same = match (key.identity, package.identity) {
                    (Some(a), Some(b)) => a.matches(&b),
                    _ => true,
                };
                if package.version == key.version && same {
                    return Ok(Some(package));
                }
            }
        }
        Ok(None)
    }

    fn files_of(&self, ecosystem: Option<Ecosystem>) -> impl Iterator<Item = &CatalogueFile> {
        let pairs = self.sources.iter().zip(&self.files);
        pairs.filter(move |(s, _)| ecosystem.is_none_or(|e| s.ecosystem == e)).filter_map(|(_, f)| f.as_ref())
    }

    fn find(&self, kind: Kind, ecosystem: Ecosystem, name: &str) -> Result<Vec<Arc<Package>>, CandidatesError> {
        let mut all = Vec::new();
        for file in self.files_of(Some(ecosystem)) {
            all.extend(file.find(kind, name)?);
        }
        Ok(all)
    }
}

/// The catalogue of one source, if it is here, whole, and as trustworthy as its source now demands.
fn open_one(
    cache: &Cache,
    source: &Source,
    index: u16,
    unpacker: &Rc<RefCell<Unpacker>>,
) -> Result<Option<CatalogueFile>> {
    let path = cache.catalogue_path(source);
    let file = match CatalogueFile::open(&path, source.ecosystem, index, unpacker) {
        Ok(Some(file)) => file,
        Ok(None) => return Ok(None),
        Err(error @ Error::Damaged { .. }) => {
            tracing::warn!(%error, "catalogue is left out");
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    // Made while the source said `trust = "none"`, and it no longer does.
    if source.trust == Trust::Signed && file.meta.signed_by.is_none() {
        return Ok(None);
    }
    Ok(Some(file))
}

/// What a source's catalogue says of itself, without opening the others.
pub(crate) fn meta_of(cache: &Cache, source: &Source) -> Option<Meta> {
    open_one(cache, source, 0, &Rc::new(RefCell::new(Unpacker::new()))).ok().flatten().map(|f| f.meta)
}

/// Hands out every package of one source's catalogue, without its cold fields; nothing when there is none.
pub(crate) fn for_each_of(cache: &Cache, source: &Source, sink: &mut dyn FnMut(Package)) -> Result<()> {
    let unpacker = Rc::new(RefCell::new(Unpacker::new()));
    let Some(file) = open_one(cache, source, 0, &unpacker)? else { return Ok(()) };
    for block in 0..file.block_count() {
        let hot = file.hot(block, false)?;
        let first = block * file.meta.per_block;
        for ordinal in first..(first + file.meta.per_block).min(file.meta.packages) {
            sink(file.decode(&hot, ordinal)?);
        }
    }
    Ok(())
}

impl Candidates for Catalogue {
    fn named(&self, ecosystem: Ecosystem, name: &str) -> Result<Vec<Arc<Package>>, CandidatesError> {
        self.find(Kind::Name, ecosystem, name)
    }

    fn providing(&self, ecosystem: Ecosystem, name: &str) -> Result<Vec<Arc<Package>>, CandidatesError> {
        self.find(Kind::Provide, ecosystem, name)
    }

    fn installed_if(&self, ecosystem: Ecosystem, name: &str) -> Result<Vec<Arc<Package>>, CandidatesError> {
        self.find(Kind::InstallIf, ecosystem, name)
    }

    fn hinted(&self, _: Ecosystem, _: &str) -> Result<Vec<String>, CandidatesError> {
        Ok(Vec::new())
    }
}
