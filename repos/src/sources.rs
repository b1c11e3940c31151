//! Which sources a root has: the native manager's files and xpkg's own. Reads a root, never writes one.

mod machine;
mod native;
mod opkg;
pub mod own;

use std::collections::BTreeSet;

use xpkg_model::root::RootView;
use xpkg_model::{Ecosystem, RelPath};

use crate::error::{Error, Result};
use crate::profiles::Profiles;
use crate::source::Source;

pub use machine::{Machine, machine};
pub use own::{OwnSource, SourceFile};

/// Where xpkg's own sources are.
pub const OWN_DIR: &str = "/etc/xpkg/sources.d";
/// Where the keys of own sources are, one directory per source.
pub const OWN_KEYS: &str = "/etc/xpkg/keys";
/// Largest source file; real ones have less than 4 KiB.
pub(crate) const MAX_FILE: u64 = 256 * 1024;
/// Most sources of one root; each costs a catalogue file.
const MAX_SOURCES: usize = 512;

/// Reads every source of the root, enabled or not, highest priority first, then in the order of the files, native ones
/// first. `arches` are the architecture words that each world may have on this root, the first of a world being its main
/// one; where a world is missing, the root's own files and the profiles' map answer.
pub fn load(root: &dyn RootView, native: Ecosystem, arches: &[(Ecosystem, String)]) -> Result<Vec<Source>> {
    let arches = arch_words(root, native, arches)?;
    let mut sources = match native {
        Ecosystem::Openwrt if opkg::owns(root)? => opkg::load(root, &arches)?,
        Ecosystem::Other => Vec::new(),
        _ => native::load(root, native, &arches)?,
    };
    for name in list(root, OWN_DIR)? {
        let Some(stem) = name.strip_suffix(".toml").filter(|s| own::valid_name(s)) else { continue };
        let file = own_file(stem)?;
        let own = own::parse(&file.to_string(), &read_text(root, &file)?)?;
        sources.extend(own.sources(stem, &arches)?);
    }
    if sources.len() > MAX_SOURCES {
        return Err(Error::BadSource { file: OWN_DIR.into(), reason: format!("more than {MAX_SOURCES} sources") });
    }
    let mut seen = BTreeSet::new();
    for source in &mut sources {
        let (wanted, mut number) = (source.name.clone(), 2);
        while !seen.insert(source.name.clone()) {
            source.name = format!("{wanted}-{number}");
            number += 1;
        }
    }
    sources.sort_by_key(|s| std::cmp::Reverse(s.priority));
    Ok(sources)
}

/// The file that holds an own source.
pub fn own_file(name: &str) -> Result<RelPath> {
    if !own::valid_name(name) {
        let reason = "a source's name has letters, digits, `.`, `_` and `-` only".to_owned();
        return Err(Error::BadSource { file: format!("{OWN_DIR}/{name}.toml"), reason });
    }
    path(&format!("{OWN_DIR}/{name}.toml"))
}

/// The architecture word of each world on this root: what the caller knows, completed by `/etc/apk/arch` or
/// opkg's `arch` lines, by what is installed, and by the map of the profiles.
pub fn arch_words(
    root: &dyn RootView,
    native: Ecosystem,
    known: &[(Ecosystem, String)],
) -> Result<Vec<(Ecosystem, String)>> {
    let mut words = known.to_vec();
    if native == Ecosystem::Other {
        return machine_words(root, words);
    }
    let of = |words: &[(Ecosystem, String)], e: Ecosystem| words.iter().find(|(w, _)| *w == e).map(|(_, a)| a.clone());
    if of(&words, native).is_none() && native == Ecosystem::Openwrt && opkg::owns(root)? {
        words.extend(opkg::arches(root)?.into_iter().map(|word| (native, word)));
    }
    if of(&words, native).is_none()
        && let Some(word) = native::arch_of_root(root)?
    {
        words.push((native, word));
    }
    if let Some(main) = of(&words, native) {
        for other in Ecosystem::ALL {
            if of(&words, other).is_none()
                && let Some(found) = Profiles::builtin()?.map_arch(native, &main, other)
            {
                words.push((other, found.word.to_owned()));
            }
        }
    }
    Ok(words)
}

/// The words of a root that belongs to neither world: what its own programs are built for says which others run.
fn machine_words(root: &dyn RootView, mut words: Vec<(Ecosystem, String)>) -> Result<Vec<(Ecosystem, String)>> {
    let of_root = machine(root).map_err(|e| failed("read", "a program of the root", e))?;
    let Some(alpine) = of_root.and_then(|machine| machine.word) else { return Ok(words) };
    let openwrt = Profiles::builtin()?.map_arch(Ecosystem::Alpine, alpine, Ecosystem::Openwrt);
    let found = [(Ecosystem::Alpine, Some(alpine)), (Ecosystem::Openwrt, openwrt.map(|found| found.word))];
    for (world, word) in found {
        if let Some(word) = word.filter(|_| !words.iter().any(|(known, _)| *known == world)) {
            words.push((world, word.to_owned()));
        }
    }
    Ok(words)
}

fn path(text: &str) -> Result<RelPath> {
    RelPath::from_absolute(text).map_err(|e| Error::BadSource { file: text.to_owned(), reason: e.to_string() })
}

fn failed(doing: &str, path: &str, source: std::io::Error) -> Error {
    Error::Io { what: format!("cannot {doing} {path}"), source }
}

fn list(root: &dyn RootView, dir: &str) -> Result<Vec<String>> {
    let names = root.list(&path(dir)?).map_err(|e| failed("list", dir, e))?;
    Ok(names.into_iter().filter_map(|n| String::from_utf8(n).ok()).collect())
}

fn read_text(root: &dyn RootView, file: &RelPath) -> Result<String> {
    let name = file.to_string();
    let bytes = root.read(file, MAX_FILE).map_err(|e| failed("read", &name, e))?.unwrap_or_default();
    String::from_utf8(bytes).map_err(|_| Error::BadSource { file: name, reason: "it is not UTF-8 text".into() })
}
