//! pkginfo objects: a package as packages.adb and package files describe it. Tells damage of the file (an error) from a
//! package that asks for something not understood (refused with a reason, so that an index stays usable).

use xpkg_model::dependency::valid_name;
use xpkg_model::identity::hex;
use xpkg_model::{Dependency, Ecosystem, Identity, Op, Package};

use super::schema::{dependency, info};
use crate::adb::heap::{Heap, Object, Value};
use crate::apk::v2::fields::check_words;
use crate::{Error, Limits};

/// Bit of a match that makes it a conflict.
pub(super) const CONFLICT: u64 = 16;
/// Bit of a fuzzy match.
const FUZZY: u8 = 8;

/// Why there is no package.
pub(crate) enum Refused {
    /// The file is damaged.
    File(Error),
    /// This one package cannot be used: its name, shortened, and the reason.
    Package(String, String),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::File(error)
    }
}

impl Refused {
    /// As an error of the whole file.
    pub(crate) fn into_error(self, what: &str) -> Error {
        match self {
            Self::File(error) => error,
            Self::Package(_, reason) => Error::malformed(what, reason),
        }
    }
}

/// What `hashes` means: in an index the identity, in a package its own unique id.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Index,
    Package,
}

/// Reads a pkginfo object.
pub(crate) fn read(
    heap: &mut Heap,
    value: Value,
    ecosystem: Ecosystem,
    place: Place,
    limits: &Limits,
) -> Result<Package, Refused> {
    let object = heap.object(value, info::SLOTS)?;
    let name = text(heap, object.get(info::NAME), limits, "a name")?;
    let mut package = Package::new(ecosystem, name, "");
    let outcome = fill(heap, &object, &mut package, place, limits);
    let name = || package.name.chars().take(128).collect::<String>().escape_debug().to_string();
    match outcome {
        Ok(()) => match check(&package) {
            Ok(()) => Ok(package),
            Err(reason) => Err(Refused::Package(name(), reason)),
        },
        Err(Refused::Package(_, reason)) => Err(Refused::Package(name(), reason)),
        Err(error) => Err(error),
    }
}

fn fill(heap: &mut Heap, object: &Object, package: &mut Package, place: Place, limits: &Limits) -> Result<(), Refused> {
    package.version = text(heap, object.get(info::VERSION), limits, "a version")?;
    // Some descriptions have several lines; the databases have one.
    let description = text(heap, object.get(info::DESCRIPTION), limits, "a description")?;
    package.description = description.replace(|c: char| c.is_control(), " ");
    package.arch = text(heap, object.get(info::ARCH), limits, "an architecture")?;
    package.license = text(heap, object.get(info::LICENSE), limits, "a licence")?;
    package.origin = text(heap, object.get(info::ORIGIN), limits, "an origin")?;
    package.maintainer = text(heap, object.get(info::MAINTAINER), limits, "a maintainer")?;
    package.url = text(heap, object.get(info::URL), limits, "a URL")?;
    package.commit = hex(&heap.blob(object.get(info::COMMIT), 64, "a commit id")?);
    package.build_time = heap.int(object.get(info::BUILD_TIME))?;
    package.installed_size = heap.int(object.get(info::INSTALLED_SIZE))?;
    package.size = heap.int(object.get(info::FILE_SIZE))?;
    package.provider_priority = Some(small(heap, object, info::PROVIDER_PRIORITY)?).filter(|p| *p > 0);
    package.layer = small(heap, object, info::LAYER)?;
    package.depends = list(heap, object.get(info::DEPENDS), limits)?.into_iter().map(Into::into).collect();
    package.provides = list(heap, object.get(info::PROVIDES), limits)?.into_iter().map(Into::into).collect();
    package.replaces = list(heap, object.get(info::REPLACES), limits)?;
    package.install_if = list(heap, object.get(info::INSTALL_IF), limits)?;
    package.recommends = list(heap, object.get(info::RECOMMENDS), limits)?.into_iter().map(Into::into).collect();
    package.tags = words(heap, object.get(info::TAGS), limits, "tag")?;
    if place == Place::Index {
        package.identity = Some(identity(&heap.blob(object.get(info::HASHES), 64, "a package's identity")?)?);
    }
    Ok(())
}

fn refuse(reason: impl Into<String>) -> Refused {
    Refused::Package(String::new(), reason.into())
}

fn identity(hash: &[u8]) -> Result<Identity, Refused> {
    match (hash.try_into(), hash.try_into()) {
        (Ok(hash), _) => Ok(Identity::ApkSha256(hash)),
        (_, Ok(hash)) => Ok(Identity::ApkSha256Short(hash)),
        _ => Err(refuse("no identity that is understood")),
    }
}

fn small(heap: &mut Heap, object: &Object, slot: usize) -> Result<u32, Refused> {
    let number = heap.int(object.get(slot))?;
    u32::try_from(number).map_err(|_| refuse(format!("{number} is out of range in field {slot}")))
}

/// Text as it is, whatever is no UTF-8 replaced.
pub(crate) fn text(heap: &mut Heap, value: Value, limits: &Limits, part: &str) -> Result<String, Error> {
    let bytes = heap.blob(value, limits.max_line, part)?;
    Ok(String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
}

/// A list of words: the databases separate them by blanks.
pub(crate) fn words(heap: &mut Heap, value: Value, limits: &Limits, noun: &str) -> Result<Vec<String>, Refused> {
    let array = heap.array(value, limits.max_list, noun)?;
    let mut out = Vec::new();
    for index in 0..array.len {
        let value = heap.element(&array, index)?;
        let word = text(heap, value, limits, noun)?;
        if word.is_empty() || word.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(refuse(format!("`{}` is no {noun}", word.escape_debug())));
        }
        out.push(word);
    }
    Ok(out)
}

fn list(heap: &mut Heap, value: Value, limits: &Limits) -> Result<Vec<Dependency>, Refused> {
    let array = heap.array(value, limits.max_list, "a list of dependencies")?;
    let mut out = Vec::new();
    for index in 0..array.len {
        let value = heap.element(&array, index)?;
        out.push(dependency(heap, value, limits)?);
    }
    Ok(out)
}

/// Without a version the match only says whether it is a conflict; a version without a match means "equal".
fn dependency(heap: &mut Heap, value: Value, limits: &Limits) -> Result<Dependency, Refused> {
    let object = heap.object(value, dependency::SLOTS)?;
    let name = text(heap, object.get(dependency::NAME), limits, "a name")?;
    let version = text(heap, object.get(dependency::VERSION), limits, "a version")?;
    let bits = heap.int(object.get(dependency::MATCH))?;
    let shown = || format!("`{}`", name.chars().take(80).collect::<String>().escape_debug());
    if !valid_name(&name) {
        return Err(refuse(format!("{} is no name to depend on", shown())));
    }
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-+~:/=".contains(&b);
    if !version.bytes().all(allowed) {
        return Err(refuse(format!("{} is wanted in what is no version", shown())));
    }
    if bits > 31 {
        return Err(refuse(format!("{} is wanted in an unknown relation {bits}", shown())));
    }
    let op = match (bits & 15) as u8 {
        _ if version.is_empty() => Op::ANY,
        0 => Op::EQUAL,
        7 | 15 => Op::ANY,
        // `~` always means "equal as far as it goes".
        fuzzy if fuzzy & FUZZY != 0 => Op(fuzzy | 1),
        plain => Op(plain),
    };
    let version = if op == Op::ANY { String::new() } else { version };
    Ok(Dependency { name, op, version, conflict: bits & CONFLICT != 0, tag: None })
}

/// What must hold for every package: nothing in it may break a line-based database or a file name.
fn check(package: &Package) -> Result<(), String> {
    check_words(package)?;
    let fields = [&package.license, &package.origin, &package.maintainer, &package.url];
    match fields.into_iter().find(|text| text.contains(|c: char| c.is_control())) {
        Some(text) => Err(format!("`{}` holds a control character", text.escape_debug())),
        None => Ok(()),
    }
}
