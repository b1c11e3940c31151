//! The prospective root as the ABI check asks about it: which loader, where it searches, what it finds, and whose it is.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::Arc;

use xpkg_model::elf::{ElfFacts, Kind};
use xpkg_model::root::RootView;
use xpkg_model::{Ecosystem, PackageKey, RelPath};
use xpkg_resolver::abi::{Arch, Found, LinkSpace, Loader, LoaderKind, Owner, RelrSupport, judge_relr, relr_table};

use crate::error::Error;
use crate::identify::System;
use crate::libraries::Library;
use crate::prospect::Prospect;

/// Bytes of a loader that are searched for its version.
const MAX_LOADER: u64 = 4 << 20;

/// A prospective root for the ABI check.
pub struct Space<'a> {
    /// The root with the plan laid over it.
    pub prospect: &'a Prospect<'a>,
    /// Where the loader searches.
    pub search: Vec<String>,
    /// The root's loader.
    pub loader: Loader,
    /// Keys of the packages that a plan brings, by their scoped names.
    pub keys: &'a BTreeMap<String, PackageKey>,
    /// Owners of files on the root: real path to key, else native name.
    pub owners: &'a BTreeMap<RelPath, Owner>,
}

impl LinkSpace for Space<'_> {
    fn find(&self, path: &str) -> Option<Found> {
        let path = RelPath::from_absolute(path.as_bytes()).ok()?;
        let (real, facts) = self.prospect.elf(&path).ok()??;
        let owner = match self.prospect.brought(&real) {
            Some(coming) => self.keys.get(&coming.owner).cloned().map(Owner::Package),
            None => self.owners.get(&real).cloned(),
        };
        Some(Found { path: real.to_string(), facts, owner })
    }

    fn search_path(&self) -> Vec<String> {
        self.search.clone()
    }

    fn loader(&self) -> Loader {
        self.loader.clone()
    }
}

/// Finds the root's loader and what it can do. `natives` are its own libraries: those that use DT_RELR prove the support.
pub fn loader(root: &dyn RootView, system: &System, natives: &[Library], probe: Option<bool>) -> Result<Loader, Error> {
    // glibc's is in /lib64 where programs of 64 bits are not the only ones.
    let mut names = loader_names(root, &RelPath::literal("lib"))?;
    names.extend(loader_names(root, &RelPath::literal("lib64"))?);
    for (path, kind) in names {
        let real = root.real_path(&path, true).map_err(Error::io(format!("reading {path}")))?;
        let Some(facts) = crate::libraries::facts(root, &real)? else { continue };
        let version = musl_version(root, &real)?;
        let native = natives.iter().any(|l| l.owner.is_some() && l.facts.relr && l.file != real);
        return Ok(describe(&path, &real, kind, facts, version, system, (probe, native)));
    }
    let program = natives.first().map(|l| Arch::of(&l.facts, None));
    Ok(Loader::none(program))
}

/// The loader that a plan brings, onto an empty root or in place of the old one. It was never run, so what comes with it from
/// its own world shows what it can do, else its version: that of the package (`version_of`), as a prospect has no contents.
pub fn coming_loader(
    prospect: &Prospect<'_>,
    system: &System,
    version_of: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Loader>, Error> {
    for (path, kind) in loader_names(prospect, &RelPath::literal("lib"))? {
        let found = prospect.elf(&path).map_err(Error::io(format!("reading {path}")))?;
        let Some((real, facts)) = found else { continue };
        let Some(coming) = prospect.brought(&real) else { return Ok(None) };
        let numbers = |v: String| v.split(|c: char| !c.is_ascii_digit() && c != '.').next().map(str::to_owned);
        let version = version_of(&coming.owner).and_then(numbers);
        let world = format!("{}:", system.native);
        let native = prospect.coming().any(|(path, c)| {
            *path != real && c.owner.starts_with(&world) && c.elf.as_ref().is_some_and(|facts| facts.relr)
        });
        return Ok(Some(describe(&path, &real, kind, facts, version, system, (None, native))));
    }
    Ok(None)
}

/// The loader of a private layer, as it is once a plan is done. It was never run: its version says what it can do.
pub fn layer_loader(
    prospect: &Prospect<'_>,
    world: Ecosystem,
    version_of: &dyn Fn(&str) -> Option<String>,
) -> Result<Loader, Error> {
    let Ok(dir) = xpkg_shims::layer::root(world).join(b"lib") else { return Ok(Loader::none(None)) };
    for (path, kind) in loader_names(prospect, &dir)? {
        let found = prospect.elf(&path).map_err(Error::io(format!("reading {path}")))?;
        let Some((real, facts)) = found else { continue };
        let numbers = |v: String| v.split(|c: char| !c.is_ascii_digit() && c != '.').next().map(str::to_owned);
        let version = match prospect.brought(&real) {
            Some(coming) => version_of(&coming.owner).and_then(numbers),
            None => musl_version(prospect, &real)?,
        };
        let system = System { native: world, manager: crate::identify::Manager::Apk3, release: None };
        return Ok(describe(&path, &real, kind, facts, version, &system, (None, false)));
    }
    Ok(Loader::none(None))
}

/// What in a directory is called like a loader.
fn loader_names(root: &dyn RootView, lib: &RelPath) -> Result<Vec<(RelPath, LoaderKind)>, Error> {
    let kind = |name: &[u8]| match name {
        n if n.starts_with(b"ld-musl-") && n.ends_with(b".so.1") => Some(LoaderKind::Musl { version: None }),
        n if n.starts_with(b"ld-uClibc") => Some(LoaderKind::Uclibc),
        n if n.starts_with(b"ld-linux") || n.starts_with(b"ld64.so") => Some(LoaderKind::Glibc),
        _ => None,
    };
    let names = root.list(lib).map_err(Error::io(format!("listing {lib}")))?;
    Ok(names.iter().filter_map(|name| Some((lib.join(name).ok()?, kind(name)?))).collect())
}

/// `(probe, native)`: what a run said of DT_RELR, and whether programs of the root use it.
fn describe(
    path: &RelPath,
    real: &RelPath,
    kind: LoaderKind,
    facts: Arc<ElfFacts>,
    version: Option<String>,
    system: &System,
    (probe, native): (Option<bool>, bool),
) -> Loader {
    let musl = matches!(kind, LoaderKind::Musl { .. });
    let relr = if musl {
        judge_relr(probe, native, relr_table(system.release.as_ref(), version.as_deref()))
    } else {
        RelrSupport::Unknown(None)
    };
    let mut loader = Loader::musl(path.to_string(), facts, version.clone(), relr);
    // The name tells the architecture; what it leads to is what a program's interpreter is compared with.
    loader.path = real.to_string();
    loader.made_by = Some(system.native);
    loader.kind = if musl { LoaderKind::Musl { version } } else { kind };
    loader
}

/// musl's loader holds its version as text (`Version 1.2.5` is what it prints when it is run without arguments). Builds between two
/// releases add `_git20230717` or `-git-…` to it, which is left out here.
pub fn musl_version(root: &dyn RootView, loader: &RelPath) -> Result<Option<String>, Error> {
    let Some(file) = root.open(loader).map_err(Error::io(format!("reading {loader}")))? else { return Ok(None) };
    let mut bytes = Vec::new();
    file.take(MAX_LOADER).read_to_end(&mut bytes).map_err(Error::io(format!("reading {loader}")))?;
    let looks = |text: &str| {
        let mut parts = text.split('.');
        let number =
            |p: Option<&str>| p.is_some_and(|p| !p.is_empty() && p.len() < 4 && p.bytes().all(|b| b.is_ascii_digit()));
        number(parts.next()) && number(parts.next()) && number(parts.next()) && parts.next().is_none()
    };
    let texts = bytes.split(|b| *b == 0).filter(|t| (5..40).contains(&t.len()));
    let numbers = |text: &'_ [u8]| {
        let text = std::str::from_utf8(text).ok()?;
        let (release, build) = text.split_once("_git").or_else(|| text.split_once("-git-")).unwrap_or((text, ""));
        let plain = build.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        (looks(release) && plain).then(|| release.to_owned())
    };
    Ok(texts.filter_map(numbers).next())
}

/// The facts of everything that would run from the plan: programs and libraries, with the path each has.
pub fn subjects<'p>(
    prospect: &'p Prospect<'_>,
) -> impl Iterator<Item = (&'p RelPath, &'p Arc<ElfFacts>, u32, &'p str)> {
    prospect
        .coming()
        .filter_map(|(path, coming)| Some((path, coming.elf.as_ref()?, coming.mode, coming.owner.as_str())))
        .filter(|(_, facts, ..)| facts.kind != Kind::Other)
}
