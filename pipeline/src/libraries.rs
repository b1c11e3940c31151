//! The shared libraries that a root has: which soname, in which file, of which native package. Read from the files
//! themselves, because OpenWrt's database does not say.

use std::collections::BTreeMap;
use std::sync::Arc;

use xpkg_formats::limits::Limits;
use xpkg_model::elf::Kind;
use xpkg_model::root::RootView;
use xpkg_model::{ElfFacts, Provide, RelPath, version};
use xpkg_repos::{Cache, Outlines};
use xpkg_resolver::abi::{DEFAULT_SEARCH, parse_path_file};

use crate::error::Error;

/// Most files of a library directory that are looked at.
const MAX_LIBRARIES: usize = 20_000;

/// Most files of `ld.so.conf.d` that are read.
const MAX_CONF: usize = 100;

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
    if let Some(dirs) = glibc_search(root)? {
        return Ok(dirs);
    }
    Ok(DEFAULT_SEARCH.map(str::to_owned).to_vec())
}

/// Where glibc's loader searches on a root that has no other: what `ld.so.conf.d` adds, the loader's own directory (Debian
/// builds its multiarch one in) and the usual ones. `ld.so.cache` holds the same once more. See ld.so(8), ldconfig(8).
fn glibc_search(root: &dyn RootView) -> Result<Option<Vec<String>>, Error> {
    let in_lib = |dir: &'static str| root.list(&RelPath::literal(dir)).map_err(Error::io(format!("listing /{dir}")));
    let glibc = |name: &Vec<u8>| name.starts_with(b"ld-linux") || name.starts_with(b"ld64.so");
    let mut loader = None;
    for dir in ["lib", "lib64"] {
        let names = in_lib(dir)?;
        if names.iter().any(|name| name.starts_with(b"ld-musl-") || name.starts_with(b"ld-uClibc")) {
            return Ok(None);
        }
        let found = names.iter().find(|name| glibc(name)).and_then(|name| RelPath::literal(dir).join(name).ok());
        loader = loader.or(found);
    }
    let Some(loader) = loader else { return Ok(None) };
    let mut dirs: Vec<String> = Vec::new();
    let conf = RelPath::literal("etc/ld.so.conf.d");
    let names = root.list(&conf).map_err(Error::io("listing /etc/ld.so.conf.d"))?;
    for name in names.iter().filter(|name| name.ends_with(b".conf")).take(MAX_CONF) {
        let Ok(path) = conf.join(name) else { continue };
        let text = root.read(&path, 64 << 10).map_err(Error::io(format!("reading {path}")))?.unwrap_or_default();
        dirs.extend(
            String::from_utf8_lossy(&text).lines().map(str::trim).filter(|l| l.starts_with('/')).map(str::to_owned),
        );
    }
    let real = root.real_path(&loader, true).map_err(Error::io(format!("reading {loader}")))?;
    dirs.extend(real.parent().map(|dir| dir.to_string()));
    dirs.extend(["/lib64", "/usr/lib64", "/lib", "/usr/lib"].map(str::to_owned));
    let mut seen = std::collections::BTreeSet::new();
    dirs.retain(|dir| seen.insert(dir.clone()));
    Ok(Some(dirs))
}

/// Everything in the search path that looks like a library, under the names by which it can be loaded. Reads only what the
/// cache does not know or what has changed since.
pub fn scan(root: &dyn RootView, cache: &Cache) -> Result<Vec<Library>, Error> {
    scan_keeping(root, Outlines::open(cache), cache)
}

fn scan_keeping(root: &dyn RootView, mut known: Outlines, cache: &Cache) -> Result<Vec<Library>, Error> {
    let found = scan_with(root, &mut |path| {
        let stamp = root.stamp(path).map_err(Error::io(format!("reading {path}")))?;
        if let Some(facts) = stamp.as_ref().and_then(|stamp| known.get(path, stamp)) {
            return Ok(facts.map(Arc::new));
        }
        let facts = outline(root, path)?;
        if let Some(stamp) = stamp {
            known.put(path, stamp, facts.as_deref());
        }
        Ok(facts)
    })?;
    // A cache that cannot be written is no reason to stop.
    let _ = known.close(cache);
    Ok(found)
}

/// Gives the outline of a file.
type Outline<'a> = &'a mut dyn FnMut(&RelPath) -> Result<Option<Arc<ElfFacts>>, Error>;

fn scan_with(root: &dyn RootView, outline: Outline<'_>) -> Result<Vec<Library>, Error> {
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
                    let facts = outline(&real)?;
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

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::fs;
    use std::io;

    use xpkg_fixtures::elf::Elf;
    use xpkg_install::live::{LiveRoot, Ownership};
    use xpkg_model::root::{Node, ReadSeek, Stamp};

    use super::*;

    /// A root that remembers which libraries were opened.
    struct Watched(LiveRoot, RefCell<Vec<String>>);

    impl RootView for Watched {
        fn node(&self, path: &RelPath) -> io::Result<Option<Node>> {
            self.0.node(path)
        }
        fn real_path(&self, path: &RelPath, follow_last: bool) -> io::Result<RelPath> {
            self.0.real_path(path, follow_last)
        }
        fn open(&self, path: &RelPath) -> io::Result<Option<Box<dyn ReadSeek>>> {
            if path.to_string().contains(".so") {
                self.1.borrow_mut().push(path.to_string());
            }
            self.0.open(path)
        }
        fn list(&self, dir: &RelPath) -> io::Result<Vec<Vec<u8>>> {
            self.0.list(dir)
        }
        fn stamp(&self, path: &RelPath) -> io::Result<Option<Stamp>> {
            self.0.stamp(path)
        }
        fn xattrs(&self, path: &RelPath) -> io::Result<Vec<(String, Vec<u8>)>> {
            self.0.xattrs(path)
        }
    }

    #[test]
    fn a_library_is_read_again_when_it_has_changed() {
        let dir = tempfile::tempdir().unwrap();
        let lib = dir.path().join("root/usr/lib");
        fs::create_dir_all(&lib).unwrap();
        for name in ["liba.so.1", "libb.so.1"] {
            fs::write(lib.join(name), Elf::library(name).build()).unwrap();
        }
        fs::write(lib.join("libc.so"), "/* a linker script */").unwrap();
        let cache = Cache::open(dir.path().join("cache")).unwrap();
        let root = Watched(LiveRoot::open(dir.path().join("root"), Ownership::Ignore).unwrap(), RefCell::default());
        // Some time later: what was just written may change again unseen.
        let later = || Outlines::open_at(&cache, i64::MAX);
        let found = |known| {
            let found = scan_keeping(&root, known, &cache).unwrap();
            let names: Vec<(String, bool)> = found.into_iter().map(|l| (l.soname, l.facts.relr)).collect();
            (names, std::mem::take(&mut *root.1.borrow_mut()))
        };
        let plain = [("liba.so.1".to_owned(), false), ("libb.so.1".to_owned(), false)];
        let (first, opened) = found(later());
        assert_eq!((first.as_slice(), opened.len()), (plain.as_slice(), 3));
        assert_eq!(found(later()), (plain.to_vec(), Vec::new()));
        fs::remove_file(lib.join("libb.so.1")).unwrap();
        fs::write(lib.join("libb.so.1"), Elf::library("libb.so.1").relr().build()).unwrap();
        let (third, opened) = found(later());
        assert_eq!(third, [plain[0].clone(), ("libb.so.1".to_owned(), true)]);
        assert_eq!(opened, ["/usr/lib/libb.so.1"]);
        let (_, opened) = found(Outlines::open_at(&cache, 0));
        assert_eq!(opened, Vec::<String>::new());
    }
}
