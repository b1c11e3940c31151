//! What a maintainer script is, and who runs it. Starts no process itself: see `live::runner` and [`crate::helper`].

use std::time::Duration;

use xpkg_model::payload::ScriptKind;
use xpkg_model::{Observer, Package};

pub use crate::live::LiveRunner;

/// How long a script may run by default. Firmware tools and depmod on slow flash take minutes; a script that waits for a
/// person never ends.
pub const TIMEOUT: Duration = Duration::from_secs(600);

/// One call of a script.
#[derive(Clone, Debug)]
pub struct ScriptCall<'a> {
    /// Package name, as the native manager knows it.
    pub package: &'a str,
    /// Its version.
    pub version: &'a str,
    /// Which script.
    pub kind: ScriptKind,
    /// The script.
    pub text: &'a [u8],
    /// Arguments after `$0`.
    pub args: Vec<Vec<u8>>,
}

/// A script that ended badly. The transaction goes on: a script does not decide what is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptFailure {
    /// Package name and version.
    pub package: String,
    /// Which script.
    pub kind: ScriptKind,
    /// What happened.
    pub reason: String,
}

/// Runs scripts inside one root.
pub trait ScriptRunner {
    /// Runs one script to its end. The error says in words how it ended.
    fn run(&mut self, call: &ScriptCall<'_>, observer: &dyn Observer) -> Result<(), String>;
}

/// Arguments as apk passes them (apk-package(5)): the new version, for upgrades followed by the old one; the old version on
/// removal.
pub fn arguments(kind: ScriptKind, new: Option<&Package>, old: Option<&Package>) -> Vec<Vec<u8>> {
    let version = |package: Option<&Package>| package.map(|p| p.version.clone().into_bytes());
    match kind {
        ScriptKind::PreInstall | ScriptKind::PostInstall => version(new).into_iter().collect(),
        ScriptKind::PreDeinstall | ScriptKind::PostDeinstall => version(old).into_iter().collect(),
        ScriptKind::PreUpgrade | ScriptKind::PostUpgrade => version(new).into_iter().chain(version(old)).collect(),
        ScriptKind::Trigger => Vec::new(),
    }
}

/// The program and argument that a script's first line names; the shell when it names none, nothing for a binary.
pub(crate) fn interpreter(text: &[u8]) -> Vec<Vec<u8>> {
    if text.starts_with(b"\x7fELF") {
        return Vec::new();
    }
    let line = text.strip_prefix(b"#!").map(|rest| rest.split(|b| *b == b'\n').next().unwrap_or_default());
    let line = line.unwrap_or_default().trim_ascii();
    // As the kernel: everything after the first blank is one argument.
    let mut parts = line.splitn(2, |b| matches!(b, b' ' | b'\t'));
    match parts.next().filter(|program| !program.is_empty()) {
        None => vec![b"/bin/sh".to_vec()],
        Some(program) => {
            let argument = parts.next().map(<[u8]>::trim_ascii).filter(|a| !a.is_empty());
            std::iter::once(program.to_vec()).chain(argument.map(<[u8]>::to_vec)).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_line_names_the_program() {
        let text =
            |t: &str| interpreter(t.as_bytes()).into_iter().map(|a| String::from_utf8(a).unwrap()).collect::<Vec<_>>();
        assert_eq!(text("#!/bin/sh\nexit 0"), ["/bin/sh"]);
        assert_eq!(text("#! /usr/bin/env -S sh -e \nx"), ["/usr/bin/env", "-S sh -e"]);
        assert_eq!(text("echo hi\n"), ["/bin/sh"]);
        assert!(text("\x7fELF").is_empty());
    }
}
