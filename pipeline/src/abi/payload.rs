//! A package's files as the check and the solver see them: where they land, which sonames and commands they give. Reads facts
//! that were learnt before, no file.

use std::collections::BTreeMap;
use std::sync::Arc;

use xpkg_model::adaptation::Adaptation;
use xpkg_model::elf::Kind;
use xpkg_model::root::NodeKind;
use xpkg_model::{ElfFacts, RelPath};
use xpkg_repos::facts::EntryType;
use xpkg_repos::{EntryFact, PackageFacts};

use crate::prospect::{Coming, Prospect};

/// Lays a package's files over the prospect, where and as they land.
pub(crate) fn bring(
    prospect: &mut Prospect<'_>,
    facts: &PackageFacts,
    owner: &str,
    adaptation: Option<&Adaptation>,
) -> std::io::Result<()> {
    let elf: BTreeMap<&str, Arc<ElfFacts>> =
        facts.files.iter().map(|f| (f.path.as_str(), Arc::new(f.elf.clone()))).collect();
    for entry in &facts.entries {
        let Ok(path) = RelPath::from_absolute(&entry.path) else { continue };
        let kind = match &entry.kind {
            EntryType::File | EntryType::Hardlink(_) => NodeKind::File,
            EntryType::Dir => NodeKind::Dir,
            EntryType::Symlink(target) => NodeKind::Symlink(target.clone().into_bytes()),
            EntryType::Special => NodeKind::Fifo,
        };
        let coming =
            Coming { kind, mode: entry.mode, elf: elf.get(entry.path.as_str()).cloned(), owner: owner.to_owned() };
        match adaptation {
            None => prospect.bring(path, coming)?,
            Some(adaptation) => {
                let Some(at) = adaptation.lands(&path) else { continue };
                let elf = coming.elf.map(|elf| crate::adapt::patched(elf, adaptation.patched.get(&path)));
                prospect.bring(at, Coming { elf, ..coming })?;
            }
        }
    }
    Ok(())
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// Sonames that a package's libraries answer to, with the version in the file's name.
pub(crate) fn sonames(facts: &PackageFacts) -> Vec<(String, Option<String>)> {
    let library = |f: &&xpkg_repos::FileFact| {
        f.elf.kind == Kind::Library && matches!(split(&f.path).0, "/lib" | "/usr/lib" | "/usr/local/lib")
    };
    facts
        .files
        .iter()
        .filter(library)
        .filter_map(|f| {
            let name = split(&f.path).1;
            let soname = f.elf.soname.clone().or_else(|| name.contains(".so").then(|| name.to_owned()))?;
            let version = name.split_once(".so.").map(|(_, v)| v.to_owned());
            Some((soname, version.filter(|v| xpkg_model::version::is_valid_apk(v))))
        })
        .collect()
}

/// Commands that a package has.
pub(crate) fn commands(facts: &PackageFacts) -> Vec<String> {
    const DIRS: [&str; 4] = ["/bin", "/sbin", "/usr/bin", "/usr/sbin"];
    let runs = |e: &&EntryFact| match e.kind {
        EntryType::Symlink(_) => true,
        EntryType::File | EntryType::Hardlink(_) => e.mode & 0o111 != 0,
        _ => false,
    };
    facts
        .entries
        .iter()
        .filter(runs)
        .map(|e| split(&e.path))
        .filter(|(dir, name)| DIRS.contains(dir) && xpkg_model::dependency::valid_name(name))
        .map(|(_, name)| name.to_owned())
        .collect()
}
