//! The shared libraries that a root has: which soname, in which file, of which native package. Read from the files
//! themselves, because OpenWrt's database does not say.

use std::collections::BTreeMap;
use std::sync::Arc;

use xpkg_formats::limits::Limits;
use xpkg_model::elf::Kind;
use xpkg_model::root::RootView;
use xpkg_model::{ElfFacts, Provide, RelPath, version};
use xpkg_resolver::abi::{DEFAULT_SEARCH, parse_path_file};

use crate::error::Error;

/// Most files of a library directory that are looked at.
const MAX_LIBRARIES: usize = 20_000;

/// One library that a program could name.
#[derive(Clone, Debug)]
pub struct Library {
    /// The name in the search path: what a program's NEEDED must say.
    pub soname: String,
    /// Where the file really lies.
    pub file: RelPath,
    /// Native package that owns it.
    pub owner: Option<String>,
    /// Its facts without names, which are read when something links against it.
    pub facts: Arc<ElfFacts>,
}

impl Library {
    /// The `so:` name it gives. The version is what its file name says after `.so.`, as Alpine's abuild has it; else 0.
    pub fn provide(&self) -> Provide {
        let name = String::from_utf8_lossy(self.file.file_name()).into_owned();
        let from_name =
            |name: &str| name.split_once(".so.").map(|(_, v)| v.to_owned()).filter(|v| version::is_valid_apk(v));
        let version = from_name(&name).or_else(|| from_name(&self.soname)).unwrap_or_else(|| "0".to_owned());
        Provide::versioned(format!("so:{}", self.soname), version)
    }
}

/// Where this root's loader searches, in order.
pub fn search_path(root: &dyn RootView) -> Result<Vec<String>, Error> {
    let etc = RelPath::literal("etc");
    let names = root.list(&etc).map_err(Error::io("listing /etc"))?;
    for name in names.iter().filter(|n| n.starts_with(b"ld-musl-") && n.ends_with(b".path")) {
        let Ok(path) = etc.join(name) else { continue };
        if let Some(text) = root.read(&path, 64 << 10).map_err(Error::io(format!("reading {path}")))? {
            return Ok(parse_path_file(&String::from_utf8_lossy(&text)));
        }
    }
    Ok(DEFAULT_SEARCH.map(str::to_owned).to_vec())
}

/// Everything in the search path that looks like a library, under the names by which it can be loaded.
pub fn scan(root: &dyn RootView) -> Result<Vec<Library>, Error> {
    let mut by_file: BTreeMap<RelPath, Option<Arc<ElfFacts>>> = BTreeMap::new();
    let mut found: Vec<Library> = Vec::new();
    for dir in search_path(root)? {
        let Ok(dir) = RelPath::from_absolute(dir.as_bytes()) else { continue };
        for name in root.list(&dir).map_err(Error::io(format!("listing {dir}")))? {
            let Some(soname) = std::str::from_utf8(&name).ok().filter(|n| n.contains(".so")) else { continue };
            if found.len() >= MAX_LIBRARIES || found.iter().any(|l| l.soname == soname) {
                continue; // the first directory wins, as with the loader
            }
            let Ok(path) = dir.join(&name) else { continue };
            let real = root.real_path(&path, true).map_err(Error::io(format!("reading {path}")))?;
            let facts = match by_file.get(&real) {
                Some(facts) => facts.clone(),
                None => {
                    let facts = outline(root, &real)?;
                    by_file.insert(real.clone(), facts.clone());
                    facts
                }
            };
            if let Some(facts) = facts.filter(|f| f.kind == Kind::Library) {
                found.push(Library { soname: soname.to_owned(), file: real, owner: None, facts });
            }
        }
    }
    for (path, owner) in crate::claims::owners(root, &|path| by_file.contains_key(path))? {
        for library in found.iter_mut().filter(|l| l.file == path) {
            library.owner = Some(owner.clone());
        }
    }
    Ok(found)
}

/// The facts of a file on the root; a file that is damaged or no ELF file has none.
pub fn facts(root: &dyn RootView, path: &RelPath) -> Result<Option<Arc<ElfFacts>>, Error> {
    let file = root.open(path).map_err(Error::io(format!("reading {path}")))?;
    Ok(file.and_then(|mut file| {
        xpkg_formats::elf::read_facts(&mut file, &path.to_string(), &Limits::default()).ok().flatten().map(Arc::new)
    }))
}

/// The facts of a file on the root without its names; a file that is damaged or no ELF file has none.
pub fn outline(root: &dyn RootView, path: &RelPath) -> Result<Option<Arc<ElfFacts>>, Error> {
    let file = root.open(path).map_err(Error::io(format!("reading {path}")))?;
    Ok(file.and_then(|mut file| {
        xpkg_formats::elf::read_outline(&mut file, &path.to_string(), &Limits::default()).ok().flatten().map(Arc::new)
    }))
}
