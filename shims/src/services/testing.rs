//! A foreign package and a root in a few words, for the tests of the translators beside it.

use std::collections::BTreeMap;

use xpkg_model::adaptation::Placement;
use xpkg_model::payload::{EntryKind, ScriptKind, Scripts};
use xpkg_model::{Adaptation, Ecosystem, Package, RelPath};

use crate::{Command, Delivered, Foreign, HostProbe, Libc, Rules};

/// A root that has these paths, each leading to another or to itself.
struct Paths<'a>(&'a [(&'a str, &'a str)]);

impl HostProbe for Paths<'_> {
    fn exists(&self, path: &str) -> bool {
        self.leads_to(path).is_some()
    }
    fn leads_to(&self, path: &str) -> Option<String> {
        self.0.iter().find(|(at, _)| *at == path).map(|(_, to)| (*to).to_owned())
    }
    fn native_package(&self, _: &str) -> Option<String> {
        None
    }
    fn arch_words(&self) -> Vec<String> {
        Vec::new()
    }
    fn libc(&self) -> Libc {
        Libc::Musl
    }
    fn musl_arch(&self) -> Option<String> {
        None
    }
    fn commands(&self, _: &[String]) -> Vec<Command> {
        Vec::new()
    }
}

/// The answer for a package of Alpine with these files, all of them holding `text`, on an OpenWrt with these paths. Its
/// directories belong to a user of its name.
pub fn translated_with(
    name: &str,
    files: &[(&str, EntryKind)],
    text: &str,
    scripts: &[(ScriptKind, &str)],
    root: &[(&str, &str)],
) -> Adaptation {
    let package = Package::new(Ecosystem::Alpine, name, "1-r0");
    let path = |text: &str| RelPath::from_package(text.as_bytes()).unwrap();
    let file = |(at, kind): &(&str, EntryKind)| Delivered {
        path: path(at),
        kind: kind.clone(),
        mode: 0o755,
        size: text.len() as u64,
        elf: None,
    };
    let files: Vec<Delivered> = files.iter().map(file).collect();
    let scripts: Scripts = scripts.iter().map(|(kind, text)| (*kind, text.as_bytes().to_vec())).collect();
    super::translate(&Foreign {
        package: &package,
        native: Ecosystem::Openwrt,
        files: &files,
        scripts: &scripts,
        control: &BTreeMap::new(),
        placement: Placement::Host,
        probe: &Paths(root),
        rules: &Rules::default(),
        contents: &|_| Some(text.as_bytes().to_vec()),
        owner: &|_| Some((name.to_owned(), name.to_owned())),
        companion: &|_| false,
    })
}

/// The same without texts.
pub fn translated(
    name: &str,
    files: &[(&str, EntryKind)],
    scripts: &[(ScriptKind, &str)],
    root: &[(&str, &str)],
) -> Adaptation {
    translated_with(name, files, "", scripts, root)
}
