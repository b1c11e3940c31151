//! The prospective root as the ABI check asks about it: which loader, where it searches, what it finds, and whose it is.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::Arc;

use xpkg_model::elf::{ElfFacts, Kind};
use xpkg_model::root::RootView;
use xpkg_model::{PackageKey, RelPath};
use xpkg_resolver::abi::{
    Arch, Found, LinkSpace, Loader, LoaderKind, Owner, RelrSupport, judge_relr, relr_table,
};

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
    let lib = RelPath::literal("lib");
    for name in root.list(&lib).map_err(Error::io("listing /lib"))? {
        let kind = match name.as_slice() {
            n if n.starts_with(b"ld-musl-") && n.ends_with(b".so.1") => LoaderKind::Musl { version: None },
            n if n.starts_with(b"ld-uClibc") => LoaderKind::Uclibc,
            n if n.starts_with(b"ld-linux") || n.starts_with(b"ld64.so") => LoaderKind::Glibc,
            _ => continue,
        };
        let Ok(path) = lib.join(&name) else { continue };
        let real = root.real_path(&path, true).map_err(Error::io(format!("reading {path}")))?;
        let Some(facts) = crate::libraries::facts(root, &real)? else { continue };
        let version = musl_version(root, &real)?;
        let native = natives.iter().any(|l| l.owner.is_some() && l.facts.relr && l.file != real);
        let relr = if matches!(kind, LoaderKind::Musl { .. }) {
            judge_relr(probe, native, relr_table(system.release.as_ref(), version.as_deref()))
        } else {
            RelrSupport::Unknown(None)
        };
        let mut loader = Loader::musl(path.to_string(), facts, version.clone(), relr);
        // The name tells the architecture; what it leads to is what a program's interpreter is compared with.
        loader.path = real.to_string();
        loader.made_by = Some(system.native);
        loader.kind = match kind {
            LoaderKind::Musl { .. } => LoaderKind::Musl { version },
            other => other,
        };
        return Ok(loader);
    }
    let program = natives.first().map(|l| Arch::of(&l.facts, None));
    Ok(Loader::none(program))
}

/// musl's loader holds its version as text (`Version 1.2.5` is what it prints when it is run without arguments).
pub fn musl_version(root: &dyn RootView, loader: &RelPath) -> Result<Option<String>, Error> {
    let Some(file) = root.open(loader).map_err(Error::io(format!("reading {loader}")))? else { return Ok(None) };
    let mut bytes = Vec::new();
    file.take(MAX_LOADER).read_to_end(&mut bytes).map_err(Error::io(format!("reading {loader}")))?;
    let looks = |text: &str| {
        let mut parts = text.split('.');
        let number = |p: Option<&str>| p.is_some_and(|p| !p.is_empty() && p.len() < 4 && p.bytes().all(|b| b.is_ascii_digit()));
        number(parts.next()) && number(parts.next()) && number(parts.next()) && parts.next().is_none()
    };
    let texts = bytes.split(|b| *b == 0).filter(|t| (5..12).contains(&t.len()));
    Ok(texts.filter_map(|t| std::str::from_utf8(t).ok()).find(|t| looks(t)).map(str::to_owned))
}

/// The facts of everything that would run from the plan: programs and libraries, with the path each has.
pub fn subjects<'p>(prospect: &'p Prospect<'_>) -> impl Iterator<Item = (&'p RelPath, &'p Arc<ElfFacts>, u32, &'p str)> {
    prospect
        .coming()
        .filter_map(|(path, coming)| Some((path, coming.elf.as_ref()?, coming.mode, coming.owner.as_str())))
        .filter(|(_, facts, ..)| facts.kind != Kind::Other)
}
