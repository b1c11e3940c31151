//! Writing pkginfo objects, lists sorted as apk sorts them.

use xpkg_model::identity::parse_hex;
use xpkg_model::{Dependency, Identity, Op, Package, Provide, Requirement};

use super::info::CONFLICT;
use super::schema::{dependency, info};
use crate::Error;
use crate::adb::heap::Value;
use crate::adb::heap_writer::HeapWriter;
use crate::apk::v2::fields::check_words;

/// The fields of one object, by slot.
pub(crate) struct Fields<const N: usize>([Value; N]);

impl<const N: usize> Fields<N> {
    pub(crate) fn new() -> Self {
        Self([Value::NULL; N])
    }

    pub(crate) fn set(&mut self, slot: usize, value: Value) {
        if let Some(field) = slot.checked_sub(1).and_then(|i| self.0.get_mut(i)) {
            *field = value;
        }
    }

    pub(crate) fn write(&self, heap: &mut HeapWriter) -> Value {
        heap.object(&self.0)
    }
}

/// Writes a pkginfo object; `hashes` is what its place asks for.
pub(crate) fn write(heap: &mut HeapWriter, package: &Package, hashes: Value) -> Result<Value, Error> {
    let unfit = |reason: String| Error::Unwritable { what: format!("the metadata of {}", package.name), reason };
    check_words(package).map_err(unfit)?;
    let lines = [&package.description, &package.license, &package.origin, &package.maintainer, &package.url];
    if let Some(text) = lines.into_iter().find(|text| text.contains(|c: char| c.is_control())) {
        return Err(unfit(format!("`{}` holds a control character", text.escape_debug())));
    }
    let commit = match package.commit.as_str() {
        "" => Vec::new(),
        text => parse_hex::<20>(text).ok_or_else(|| unfit(format!("`{text}` is no commit id")))?.to_vec(),
    };
    if let Some(tag) = package.tags.iter().find(|t| t.is_empty() || t.contains(|c: char| c.is_whitespace())) {
        return Err(unfit(format!("`{}` is no tag", tag.escape_debug())));
    }
    let depends = single(&package.depends).map_err(unfit)?;
    let recommends = single(&package.recommends).map_err(unfit)?;
    let provides: Vec<Dependency> = package.provides.iter().map(provided).collect();
    let mut fields = Fields::<{ info::SLOTS }>::new();
    fields.set(info::NAME, heap.text(&package.name));
    fields.set(info::VERSION, heap.text(&package.version));
    fields.set(info::HASHES, hashes);
    fields.set(info::DESCRIPTION, heap.text(&package.description));
    fields.set(info::ARCH, heap.text(&package.arch));
    fields.set(info::LICENSE, heap.text(&package.license));
    fields.set(info::ORIGIN, heap.text(&package.origin));
    fields.set(info::MAINTAINER, heap.text(&package.maintainer));
    fields.set(info::URL, heap.text(&package.url));
    fields.set(info::COMMIT, heap.blob(&commit));
    fields.set(info::BUILD_TIME, heap.int(package.build_time));
    fields.set(info::INSTALLED_SIZE, heap.int(package.installed_size));
    fields.set(info::FILE_SIZE, heap.int(package.size));
    fields.set(info::PROVIDER_PRIORITY, heap.int(package.provider_priority.unwrap_or(0).into()));
    fields.set(info::DEPENDS, list(heap, depends.iter().collect()));
    fields.set(info::PROVIDES, list(heap, provides.iter().collect()));
    fields.set(info::REPLACES, list(heap, package.replaces.iter().collect()));
    fields.set(info::INSTALL_IF, list(heap, package.install_if.iter().collect()));
    fields.set(info::RECOMMENDS, list(heap, recommends.iter().collect()));
    fields.set(info::LAYER, heap.int(package.layer.into()));
    let tags: Vec<Value> = package.tags.iter().map(|tag| heap.text(tag)).collect();
    fields.set(info::TAGS, heap.array(&tags));
    Ok(fields.write(heap))
}

/// The `hashes` of an index entry.
pub(crate) fn index_hashes(heap: &mut HeapWriter, package: &Package) -> Result<Value, Error> {
    match &package.identity {
        Some(Identity::ApkSha256(hash)) => Ok(heap.blob(hash)),
        Some(Identity::ApkSha256Short(hash)) => Ok(heap.blob(hash)),
        _ => Err(Error::Unwritable {
            what: format!("the index entry of {}", package.name),
            reason: "a packages.adb lists packages by the SHA-256 of their ADB block".to_owned(),
        }),
    }
}

fn single(requirements: &[Requirement]) -> Result<Vec<Dependency>, String> {
    let one = |requirement: &Requirement| match requirement.alternatives() {
        [one] => Ok(one.clone()),
        _ => Err(format!("`{requirement}`: apk has no alternatives")),
    };
    requirements.iter().map(one).collect()
}

fn provided(provide: &Provide) -> Dependency {
    let (op, version) = match &provide.version {
        Some(version) => (Op::EQUAL, version.clone()),
        None => (Op::ANY, String::new()),
    };
    Dependency { name: provide.name.clone(), op, version, conflict: false, tag: None }
}

/// apk sorts by name and drops what it has already (src/apk_adb.c).
fn list(heap: &mut HeapWriter, mut items: Vec<&Dependency>) -> Value {
    items.sort_by(|a, b| a.name.cmp(&b.name));
    items.dedup();
    let values: Vec<Value> = items.into_iter().map(|item| write_dependency(heap, item)).collect();
    heap.array(&values)
}

fn write_dependency(heap: &mut HeapWriter, item: &Dependency) -> Value {
    let conflict = if item.conflict { CONFLICT } else { 0 };
    let bits = match item.op {
        Op::ANY => conflict,
        Op::EQUAL if conflict == 0 => 0,
        Op(bits) => u64::from(bits) | conflict,
    };
    let mut fields = Fields::<{ dependency::SLOTS }>::new();
    fields.set(dependency::NAME, heap.text(&item.name));
    if item.op != Op::ANY {
        fields.set(dependency::VERSION, heap.text(&item.version));
    }
    fields.set(dependency::MATCH, heap.int(bits));
    fields.write(heap)
}
