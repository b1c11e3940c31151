//! Puts steps of ours around a package's own maintainer script. The own script runs in a subshell, so that its `exit` ends
//! it alone, and its status is the whole's.

use std::collections::BTreeMap;

use xpkg_model::adaptation::COMPOSED;
use xpkg_model::payload::ScriptKind;

/// Adds shell lines to the script of this kind: before what is there already when `before`, else behind it. `own` is the
/// package's script, used unless `scripts` holds a text for the kind already. Answers false when the script that is there
/// is no shell's, and then changes nothing.
pub fn add(
    scripts: &mut BTreeMap<ScriptKind, Vec<u8>>,
    own: Option<&[u8]>,
    kind: ScriptKind,
    lines: &str,
    before: bool,
) -> bool {
    let base = scripts.get(&kind).map(Vec::as_slice).or(own).unwrap_or_default();
    let base = base.trim_ascii();
    if base.is_empty() {
        scripts.insert(kind, format!("#!/bin/sh\n{COMPOSED}\n{lines}").into_bytes());
        return true;
    }
    if !is_shell(base) {
        return false;
    }
    let mut text = format!("#!/bin/sh\n{COMPOSED}\n").into_bytes();
    if before {
        text.extend(lines.as_bytes());
    }
    text.extend(b"(\n");
    text.extend(base);
    text.extend(b"\n)\n");
    if !before {
        text.extend(b"xpkg_status=$?\n");
        text.extend(lines.as_bytes());
        text.extend(b"exit $xpkg_status\n");
    }
    scripts.insert(kind, text);
    true
}

/// Whether the first line names the plain shell, or nothing.
fn is_shell(text: &[u8]) -> bool {
    let Some(line) = text.strip_prefix(b"#!") else { return !text.starts_with(b"\x7fELF") };
    let line = line.split(|b| *b == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let mut words = line.split_ascii_whitespace();
    let program = words.next().unwrap_or_default();
    match program.rsplit('/').next().unwrap_or_default() {
        "sh" | "ash" | "dash" => words.all(|w| w == "-e" || w == "-"),
        "busybox" => words.next().is_some_and(|w| w == "sh" || w == "ash"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn composed(own: &str, lines: &str, before: bool) -> Option<String> {
        let mut scripts = BTreeMap::new();
        let done = add(&mut scripts, Some(own.as_bytes()), ScriptKind::PostInstall, lines, before);
        done.then(|| String::from_utf8(scripts.remove(&ScriptKind::PostInstall).unwrap_or_default()).unwrap())
    }

    #[test]
    fn own_exits_end_the_own_script_alone() {
        let text = composed("#!/bin/sh\necho own\nexit 3\n", "echo ours\n", false).unwrap();
        let run = std::process::Command::new("/bin/sh").args(["-c", &text]).output().unwrap();
        assert_eq!(
            (run.status.code(), String::from_utf8_lossy(&run.stdout).as_ref()),
            (Some(3), "own\nours\n"),
            "{text}"
        );
        let text = composed("#!/bin/busybox sh\necho own\nexit 3", "echo ours\n", true).unwrap();
        let run = std::process::Command::new("/bin/sh").args(["-c", &text]).output().unwrap();
        assert_eq!(
            (run.status.code(), String::from_utf8_lossy(&run.stdout).as_ref()),
            (Some(3), "ours\nown\n"),
            "{text}"
        );
    }

    #[test]
    fn other_languages_stay_alone() {
        assert_eq!(composed("#!/usr/bin/lua\nprint(1)", "echo ours\n", false), None);
        assert_eq!(composed("", "echo ours\n", false).unwrap(), "#!/bin/sh\n# Composed by xpkg\necho ours\n");
    }
}
