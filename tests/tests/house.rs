//! The house rules that a compiler does not hold: which crate may lean on which, and that every file says what it is.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The allowed arrows, as in docs/architecture.md. Development dependencies are free.
const ARROWS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("formats", &["model"]),
    ("resolver", &["model"]),
    ("shims", &["model"]),
    ("repos", &["model", "formats"]),
    ("install", &["model", "formats", "repos", "shims"]),
    ("image", &["model", "formats", "install"]),
    ("pipeline", &["model", "formats", "resolver", "repos", "shims", "install", "image"]),
    ("cli", &["model", "formats", "pipeline", "fixtures"]),
    ("fixtures", &["model", "formats"]),
];

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn manifest(name: &str) -> toml::Table {
    fs::read_to_string(project().join(name).join("Cargo.toml")).unwrap().parse().unwrap()
}

#[test]
fn crates_lean_only_on_what_architecture_allows() {
    for (name, allowed) in ARROWS {
        let manifest = manifest(name);
        let used: BTreeSet<String> = manifest["dependencies"]
            .as_table()
            .unwrap()
            .keys()
            .filter_map(|d| d.strip_prefix("xpkg-"))
            .map(str::to_owned)
            .collect();
        let allowed: BTreeSet<String> = allowed.iter().map(|s| (*s).to_owned()).collect();
        let forbidden: Vec<_> = used.difference(&allowed).collect();
        assert!(forbidden.is_empty(), "{name} may not depend on {forbidden:?}");
    }
}

#[test]
fn every_member_is_in_the_map() {
    let workspace: toml::Table = fs::read_to_string(project().join("Cargo.toml")).unwrap().parse().unwrap();
    let members = workspace["workspace"]["members"].as_array().unwrap();
    for member in members.iter().map(|m| m.as_str().unwrap()).filter(|m| *m != "tests") {
        assert!(ARROWS.iter().any(|(name, _)| *name == member), "{member} has no arrows in tests/house.rs");
        let map = fs::read_to_string(project().join("docs/architecture.md")).unwrap();
        assert!(map.contains(&format!("`{member}`")), "{member} is not in docs/architecture.md");
    }
}

#[test]
fn fixtures_come_to_the_program_only_with_the_demo() {
    let manifest = manifest("cli");
    let fixtures = &manifest["dependencies"]["xpkg-fixtures"];
    assert_eq!(fixtures["optional"].as_bool(), Some(true));
    assert!(manifest["features"]["demo"].as_array().unwrap().iter().any(|f| f.as_str() == Some("dep:xpkg-fixtures")));
}

#[test]
fn every_source_file_says_what_it_is() {
    let mut silent = Vec::new();
    for (name, _) in ARROWS {
        visit(&project().join(name).join("src"), &mut |path, text| {
            if !text.starts_with("//!") {
                silent.push(path.display().to_string());
            }
        });
    }
    assert!(silent.is_empty(), "files whose first line is no `//!`: {silent:#?}");
}

fn visit(dir: &Path, see: &mut impl FnMut(&Path, &str)) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            visit(&path, see);
        } else if path.extension().is_some_and(|e| e == "rs") {
            see(&path, &fs::read_to_string(&path).unwrap());
        }
    }
}
