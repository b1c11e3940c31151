//! packages.adb: a signed list of packages in one value heap. Inflated once, verified, then read package by package; a large
//! one lies in an anonymous file meanwhile. The writer is for feeds that are made here.

mod filename;

use std::io::{self, Read, Seek, Write};
use std::marker::PhantomData;

use xpkg_model::{Ecosystem, Package};

use super::index::{IndexInfo, PackageSink};
use super::v3::info::{self, Place, Refused};
use super::v3::info_write::{self, Fields};
use super::v3::schema::index;
use crate::adb::container::{self, Container};
use crate::adb::heap_writer::HeapWriter;
use crate::adb::{Compression, Schema};
use crate::keys::{Keyring, SecretKey, Verified};
use crate::package::Format;
use crate::{Error, Limits};

/// An index of which nothing but digests and signatures is known yet.
pub struct Reader<R> {
    container: Container,
    limits: Limits,
    file: PhantomData<R>,
}

impl<R: Read + Seek> Reader<R> {
    /// Inflates the index.
    pub fn open(mut file: R, what: &str, limits: &Limits) -> Result<Self, Error> {
        let container = Container::read(&mut file, what, Schema::Index, limits.max_index_unpacked, limits)?;
        Ok(Self { container, limits: limits.clone(), file: PhantomData })
    }

    /// Checks the signatures.
    pub fn verify(&mut self, keys: &Keyring) -> Result<Verified, Error> {
        self.container.verify(keys)
    }

    /// Streams the packages.
    pub fn read(&mut self, ecosystem: Ecosystem, sink: &mut PackageSink<'_>) -> Result<IndexInfo, Error> {
        let Self { container, limits, .. } = self;
        let what = container.what().to_owned();
        let heap = &mut container.heap;
        heap.begin_walk();
        let root = heap.object(heap.root(), index::SLOTS)?;
        let mut out = IndexInfo::new(Format::Apk3);
        let description = info::text(heap, root.get(index::DESCRIPTION), limits, "the description")?;
        out.description = description.replace(|c: char| c.is_control(), " ").trim_end().to_owned();
        let spec = info::text(heap, root.get(index::PKGNAME_SPEC), limits, "the pattern of file names")?;
        out.pkgname_spec = Some(spec).filter(|spec| !spec.is_empty());
        let packages = heap.array(root.get(index::PACKAGES), limits.max_entries, "the number of packages")?;
        for number in 0..packages.len {
            heap.begin_item();
            let value = heap.element(&packages, number)?;
            let named = info::read(heap, value, ecosystem, Place::Index, limits).and_then(|mut package| {
                if let Some(spec) = &out.pkgname_spec {
                    let name = filename::expand(spec, &package);
                    package.filename = Some(name.map_err(|reason| Refused::Package(package.name.clone(), reason))?);
                }
                Ok(package)
            });
            match named {
                Ok(package) => {
                    out.count += 1;
                    sink(package).map_err(Error::receiver)?;
                }
                Err(Refused::Package(name, reason)) => out.skip(&name, reason),
                Err(refused) => return Err(refused.into_error(&what)),
            }
        }
        Ok(out)
    }
}

/// Writes an index, signed when a key is given. Packages are sorted by name and version, as apk's own search expects. The
/// heap is held in memory.
pub fn write_adb<'a>(
    out: &mut dyn Write,
    description: &str,
    packages: impl IntoIterator<Item = &'a Package>,
    key: Option<&SecretKey>,
) -> Result<(), Error> {
    let what = "packages.adb";
    let mut packages: Vec<&Package> = packages.into_iter().collect();
    packages.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| order(a, b)));
    let mut heap = HeapWriter::new();
    let mut values = Vec::with_capacity(packages.len());
    for package in packages {
        let hashes = info_write::index_hashes(&mut heap, package)?;
        values.push(info_write::write(&mut heap, package, hashes)?);
    }
    let mut root = Fields::<{ index::SLOTS }>::new();
    root.set(index::DESCRIPTION, heap.text(description));
    root.set(index::PACKAGES, heap.array(&values));
    let root = root.write(&mut heap);
    let adb = heap.finish(root, what)?;
    container::write(out, what, Schema::Index, &adb, key, io::empty(), Compression::default())
}

fn order(a: &Package, b: &Package) -> std::cmp::Ordering {
    let version = xpkg_model::version::compare(a.scheme, &a.version, &b.version, false);
    std::cmp::Ordering::from(version).then_with(|| (&a.version, &a.identity).cmp(&(&b.version, &b.identity)))
}

#[cfg(test)]
mod tests;
