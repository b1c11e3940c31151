//! Programs that need a variable which nobody sets on this root: they are started through a launcher of three lines, which
//! sets it unless the person did. Data in `rules/environment.toml`. Pure; changes nobody else's environment.

use std::sync::LazyLock;

use semver::Version;
use serde::Deserialize;
use xpkg_model::adaptation::{Adaptation, Added, AddedKind, COMPOSED};
use xpkg_model::payload::EntryKind;
use xpkg_model::{Ecosystem, RelPath, schema};

use crate::foreign::Foreign;
use crate::{Libc, layer};

const BUILTIN: &str = include_str!("../rules/environment.toml");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    schema: Version,
    program: Vec<Program>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Program {
    paths: Vec<String>,
    native: Vec<Ecosystem>,
    variable: String,
    value: String,
    unless: Vec<String>,
    why: String,
}

/// The shipped table; a test holds that it can be read.
static TABLE: LazyLock<Vec<Program>> = LazyLock::new(|| parse(BUILTIN).unwrap_or_default());

fn parse(text: &str) -> Result<Vec<Program>, String> {
    let table: Table = toml::from_str(text).map_err(|e| e.to_string())?;
    if !schema::readable(&schema::RULES, &table.schema) {
        return Err(format!("schema {}", table.schema));
    }
    let word = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-./".contains(&b));
    for program in &table.program {
        let words = program.paths.iter().chain(&program.unless).chain([&program.variable, &program.value]);
        if let Some(bad) = words.into_iter().find(|text| !word(text)) {
            return Err(format!("`{bad}` may not stand in a launcher"));
        }
    }
    Ok(table.program)
}

/// Launchers for the programs of the table.
pub fn translate(foreign: &Foreign<'_>) -> Adaptation {
    let mut adaptation = Adaptation::default();
    // A launcher needs a shell that runs.
    if foreign.probe.libc() == Libc::None {
        return adaptation;
    }
    for file in foreign.files.iter().filter(|f| f.kind == EntryKind::File && f.elf.is_some()) {
        let path = file.path.to_string();
        let fits = |p: &&Program| p.native.contains(&foreign.native) && p.paths.contains(&path);
        let Some(program) = TABLE.iter().find(fits) else { continue };
        let Ok(at) = layer::root(foreign.package.ecosystem).join(file.path.as_bytes()) else { continue };
        adaptation.added.push(launcher(&file.path, &at, program));
        adaptation.notes.push(format!("{path} sets {}={}: {}", program.variable, program.value, program.why));
        adaptation.moved.insert(file.path.clone(), at);
    }
    adaptation
}

fn launcher(path: &RelPath, at: &RelPath, program: &Program) -> Added {
    let Program { variable, value, unless, why, .. } = program;
    let known: String = unless.iter().chain([variable]).map(|name| format!("${name}")).collect();
    let text =
        format!("#!/bin/sh\n{COMPOSED}: {why}.\n[ -n \"{known}\" ] || export {variable}={value}\nexec {at} \"$@\"\n");
    Added { path: path.clone(), kind: AddedKind::File(text.into_bytes()), mode: 0o755 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_table_is_read_and_hostile_ones_are_not() {
        assert!(!parse(BUILTIN).unwrap().is_empty());
        assert!(parse(&BUILTIN.replace("C.UTF-8", "$(reboot)")).is_err());
        assert!(parse(&BUILTIN.replace("1.0.0", "9.0.0")).is_err());
    }

    #[test]
    fn a_launcher_says_why_and_keeps_what_is_set() {
        let (path, at) = (RelPath::literal("usr/bin/tmux"), RelPath::literal("usr/lib/xpkg/alpine/usr/bin/tmux"));
        let table = parse(BUILTIN).unwrap();
        let added = launcher(&path, &at, &table[0]);
        let AddedKind::File(text) = added.kind else { panic!("{added:?}") };
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("[ -n \"$LC_ALL$LC_CTYPE$LANG\" ] || export LANG=C.UTF-8\n"), "{text}");
        assert!(text.ends_with("exec /usr/lib/xpkg/alpine/usr/bin/tmux \"$@\"\n"), "{text}");
    }
}
