//! The root object of a package: everything but its entries. Checks the id that a package carries of itself.

use ring::digest::{Context, SHA256};
use xpkg_model::payload::Scripts;
use xpkg_model::{Ecosystem, Identity};

use super::info::{self, Place, words};
use super::schema::{SCRIPTS, info as slots, package};
use crate::adb::container::Container;
use crate::adb::heap::{Heap, Value};
use crate::package::{Format, Meta};
use crate::{Error, Limits};

/// Reads the metadata, and where the entries are.
pub(super) fn read(
    container: &mut Container,
    size: u64,
    ecosystem: Ecosystem,
    limits: &Limits,
) -> Result<(Meta, Value), Error> {
    let what = container.what().to_owned();
    let identity = Identity::ApkSha256(container.identity);
    let heap = &mut container.heap;
    heap.begin_walk();
    let root = heap.object(heap.root(), package::SLOTS)?;
    let info = root.get(package::INFO);
    check_id(heap, info)?;
    let mut package =
        info::read(heap, info, ecosystem, Place::Package, limits).map_err(|refused| refused.into_error(&what))?;
    package.identity = Some(identity);
    package.size = size;
    let priority = heap.int(root.get(package::REPLACES_PRIORITY))?;
    package.replaces_priority =
        u32::try_from(priority).map_err(|_| Error::malformed(&what, "its replaces priority is out of range"))?;
    let mut meta = Meta::new(package, Format::Apk3);
    meta.scripts = scripts(heap, root.get(package::SCRIPTS), limits)?;
    let triggers = words(heap, root.get(package::TRIGGERS), limits, "trigger");
    meta.triggers = triggers.map_err(|refused| refused.into_error(&what))?;
    Ok((meta, root.get(package::PATHS)))
}

fn scripts(heap: &mut Heap, value: Value, limits: &Limits) -> Result<Scripts, Error> {
    let object = heap.object(value, SCRIPTS.len())?;
    let mut scripts = Scripts::new();
    for (slot, kind) in (1..).zip(SCRIPTS) {
        let script = heap.blob(object.get(slot), limits.max_script, kind.as_str())?;
        if !script.is_empty() {
            scripts.insert(kind, script);
        }
    }
    Ok(scripts)
}

/// `hashes` of a package is no identity: it is the start of the SHA-256 over the heap with these very bytes zero.
fn check_id(heap: &mut Heap, info: Value) -> Result<(), Error> {
    let value = heap.object(info, slots::HASHES)?.get(slots::HASHES);
    if value.is_null() {
        return Ok(());
    }
    let (at, len) = heap.blob_range(value)?;
    let declared = heap.blob(value, 64, "the unique id")?;
    if len != UNIQUE_ID as u64 {
        return Err(Error::malformed(heap.what(), format!("its unique id has {len} bytes instead of {UNIQUE_ID}")));
    }
    let mut context = Context::new(&SHA256);
    let mut buf = [0; 16 << 10];
    let mut position = 0;
    while position < heap.len() {
        let most = usize::try_from(heap.len() - position).unwrap_or(usize::MAX).min(buf.len());
        let part = buf.get_mut(..most).unwrap_or_default();
        heap.raw(position, part)?;
        for (offset, byte) in (position..).zip(part.iter_mut()) {
            if (at..at + len).contains(&offset) {
                *byte = 0;
            }
        }
        context.update(part);
        position += most as u64;
    }
    let found = context.finish();
    let found = found.as_ref().get(..UNIQUE_ID).unwrap_or_default();
    if declared != found {
        return Err(Error::digest(heap.what(), "the metadata", &declared, found));
    }
    Ok(())
}

/// Bytes of the unique id.
pub(super) const UNIQUE_ID: usize = 20;
