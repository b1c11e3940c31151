//! The private layer: how a foreign package is changed so that its programs run with the loader, the C library and the
//! libraries of its own world, whatever those of the root are. Pure: reads facts, gives an adaptation.
//!
//! Only what a loader searches by name moves: the loader itself and the libraries directly in `/lib` and `/usr/lib`. Programs,
//! plugins and data stay where they were built to be, so that every path that is compiled into them still leads there, and a
//! program is what it says it is (`/proc/self/exe`, `$ORIGIN`, the process's name). A program's PT_INTERP names the layer's
//! loader; the kernel hands set-user-ID programs to it as it does to any other.
//!
//! musl's loader takes the directory two above its own name as its prefix and reads `etc/ld-musl-ARCH.path` below that
//! (musl 1.2, ldso/dynlink.c, `__dls3`): a loader in the layer finds the layer by itself, without any variable.

use std::collections::BTreeMap;

use xpkg_model::adaptation::{Adaptation, Added, AddedKind, ElfPatch, Placement};
use xpkg_model::elf::Kind;
use xpkg_model::payload::EntryKind;
use xpkg_model::{Ecosystem, ElfFacts, RelPath};

use crate::foreign::{Delivered, Foreign};

/// Directories that loaders search and whose libraries therefore move.
const SEARCHED: [&str; 2] = ["lib", "usr/lib"];

/// Directory of a world's layer.
pub fn root(ecosystem: Ecosystem) -> RelPath {
    match ecosystem {
        Ecosystem::Alpine => RelPath::literal("usr/lib/xpkg/alpine"),
        Ecosystem::Openwrt => RelPath::literal("usr/lib/xpkg/openwrt"),
        // Has no packages, and so never a layer.
        Ecosystem::Other => RelPath::literal("usr/lib/xpkg/other"),
    }
}

/// Where the layer's loader searches, as absolute paths.
pub fn search_path(ecosystem: Ecosystem) -> Vec<String> {
    SEARCHED.iter().map(|dir| format!("{}/{dir}", root(ecosystem))).collect()
}

/// The world in whose layer a path lies.
pub fn of(path: &RelPath) -> Option<Ecosystem> {
    Ecosystem::ALL.into_iter().find(|e| path.starts_with(&root(*e)))
}

/// What is done to a package that goes into the layer; nothing to one that does not.
pub fn translate(foreign: &Foreign<'_>) -> Adaptation {
    let mut adaptation = Adaptation::default();
    if foreign.placement != Placement::Layer {
        return adaptation;
    }
    adaptation.placement = Placement::Layer;
    let ecosystem = foreign.package.ecosystem;
    for file in foreign.files {
        if moves(foreign, file) {
            move_with_target(&mut adaptation.moved, ecosystem, file);
        }
        if file.path == RelPath::literal("usr/bin/ldd") && matches!(file.kind, EntryKind::Symlink(_)) {
            let why = "it is a name of the loader, and the root's own answers for the root".to_owned();
            adaptation.left_out.insert(file.path.clone(), why);
        }
        if let Some(facts) = &file.elf
            && let Some(patch) = patch(ecosystem, &file.path, facts)
        {
            adaptation.patched.insert(file.path.clone(), patch);
        }
        if let Some(arch) = loader_arch(file.path.file_name())
            && in_searched(&file.path)
        {
            adaptation.added.extend(path_file(ecosystem, arch));
        }
    }
    // Another name of a file has the file's content.
    for file in foreign.files {
        if matches!(file.kind, EntryKind::Hardlink(_)) {
            adaptation.patched.remove(&file.path);
        }
    }
    adaptation
}

/// Whether a path of the payload is one that loaders find by name.
fn moves(foreign: &Foreign<'_>, file: &Delivered) -> bool {
    if !in_searched(&file.path) || file.kind == EntryKind::Dir {
        return false;
    }
    let name = file.path.file_name();
    if loader_arch(name).is_some() || name.starts_with(b"libc.musl-") {
        return true;
    }
    match &file.kind {
        EntryKind::Symlink(_) => is_library_name(name),
        EntryKind::Hardlink(to) => foreign.file(to).is_some_and(|to| moves(foreign, to)),
        _ => is_library_name(name) && file.elf.as_ref().is_some_and(|facts| facts.kind == Kind::Library),
    }
}

/// Whether a path has the place and the name of a library: in a layer it would be elsewhere.
pub fn is_searched(path: &RelPath) -> bool {
    in_searched(path) && is_library_name(path.file_name())
}

fn in_searched(path: &RelPath) -> bool {
    path.parent().is_some_and(|dir| SEARCHED.iter().any(|known| dir == RelPath::literal(known)))
}

fn is_library_name(name: &[u8]) -> bool {
    name.ends_with(b".so") || name.windows(4).any(|w| w == b".so.")
}

/// `x86_64` of `ld-musl-x86_64.so.1`.
fn loader_arch(name: &[u8]) -> Option<&str> {
    let arch = name.strip_prefix(b"ld-musl-")?.strip_suffix(b".so.1")?;
    let arch = std::str::from_utf8(arch).ok()?;
    arch.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-').then_some(arch)
}

/// A library, and what its link names beside it in case that is another package's.
fn move_with_target(moved: &mut BTreeMap<RelPath, RelPath>, ecosystem: Ecosystem, file: &Delivered) {
    let mut place = |path: &RelPath| {
        if let Ok(to) = root(ecosystem).join(path.as_bytes()) {
            moved.insert(path.clone(), to);
        }
    };
    place(&file.path);
    if let EntryKind::Symlink(text) = &file.kind
        && let Some(target) = file.path.linked(text)
        && in_searched(&target)
    {
        place(&target);
    }
}

/// What a program's or library's headers have to say in the layer.
fn patch(ecosystem: Ecosystem, path: &RelPath, facts: &ElfFacts) -> Option<ElfPatch> {
    let interpreter = facts.interpreter.as_deref().and_then(|old| {
        let name = old.rsplit('/').next().unwrap_or_default();
        loader_arch(name.as_bytes()).map(|_| format!("{}/lib/{name}", root(ecosystem)))
    });
    let search = facts.runpath.as_deref().or(facts.rpath.as_deref());
    let runpath = search.and_then(|old| runpath(ecosystem, path, old));
    (interpreter.is_some() || runpath.is_some()).then_some(ElfPatch { interpreter, runpath })
}

/// A search path whose entries for `/lib` and `/usr/lib` lead into the layer; `None` when it has no such entry.
fn runpath(ecosystem: Ecosystem, path: &RelPath, old: &str) -> Option<String> {
    let origin = path.parent()?.to_string();
    let mut changed = false;
    let entries: Vec<String> = old
        .split(':')
        .map(|entry| {
            let plain = entry.replace("${ORIGIN}", &origin).replace("$ORIGIN", &origin);
            let dir = path.linked(plain.as_bytes());
            match dir.filter(|dir| SEARCHED.iter().any(|known| *dir == RelPath::literal(known))) {
                Some(dir) if plain.starts_with('/') => {
                    changed = true;
                    format!("{}{dir}", root(ecosystem))
                }
                _ => entry.to_owned(),
            }
        })
        .collect();
    changed.then(|| entries.join(":"))
}

/// Tells the layer's loader where to search.
fn path_file(ecosystem: Ecosystem, arch: &str) -> Option<Added> {
    let path = root(ecosystem).join(format!("etc/ld-musl-{arch}.path").as_bytes()).ok()?;
    let text: String = search_path(ecosystem).iter().map(|dir| format!("{dir}\n")).collect();
    Some(Added { path, kind: AddedKind::File(text.into_bytes()), mode: 0o644 })
}
