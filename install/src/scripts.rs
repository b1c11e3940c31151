//! What a maintainer script is, and who runs it. Starts no process itself: see `live::runner` and [`crate::helper`].

use std::time::Duration;

use xpkg_model::payload::ScriptKind;
use xpkg_model::{Event, Observer, Package, RelPath};

pub use crate::live::LiveRunner;

/// How long a script may run by default. Firmware tools and depmod on slow flash take minutes; a script that waits for a
/// person never ends.
pub const TIMEOUT: Duration = Duration::from_secs(600);

/// Names in a call's environment by which a foreign script is given tools: the program's own applets, tools that do nothing,
/// and the functions of OpenWrt's scripts.
pub(crate) const APPLETS: &str = "XPKG_APPLETS";
/// See [`APPLETS`].
pub(crate) const SILENT: &str = "XPKG_SILENT";
/// See [`APPLETS`].
pub(crate) const FUNCTIONS: &str = "XPKG_FUNCTIONS";

/// One call of a script, complete in itself: a journal can keep it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptCall {
    /// Package name, as the native manager knows it; the path of a commit hook.
    pub package: String,
    /// Its version; empty for a hook.
    pub version: String,
    /// Which script; `None` for a hook.
    pub kind: Option<ScriptKind>,
    /// The script. Empty when it is run where it lies.
    pub text: Vec<u8>,
    /// Where it lies on the root, when it is run in place: opkg's scripts tell their package by their own path.
    pub place: Option<RelPath>,
    /// Its file's name while it runs, when that matters and it is not run in place.
    pub name: Option<String>,
    /// Arguments after `$0`.
    pub args: Vec<Vec<u8>>,
    /// Environment beside `PATH` and `HOME`.
    pub env: Vec<(String, String)>,
}

impl ScriptCall {
    /// A script of apk's kind, with the environment that apk 3 gives it.
    pub fn apk(package: &str, version: &str, kind: ScriptKind, text: &[u8], args: Vec<Vec<u8>>) -> Self {
        let env = [("APK_PACKAGE", package), ("APK_SCRIPT", kind.as_str())];
        Self {
            package: package.to_owned(),
            version: version.to_owned(),
            kind: Some(kind),
            text: text.to_vec(),
            place: None,
            name: None,
            args,
            env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        }
    }

    /// What messages call it: `name-version.kind`.
    pub fn title(&self) -> String {
        match self.kind {
            Some(kind) => format!("{}-{}.{}", self.package, self.version, kind.as_str()),
            None => self.package.clone(),
        }
    }

    /// What is told before it runs.
    pub fn event(&self) -> Event {
        Event::Script {
            package: self.package.clone(),
            version: self.version.clone(),
            kind: self.kind,
            arguments: self.args.iter().map(|a| String::from_utf8_lossy(a).into_owned()).collect(),
        }
    }
}

/// A script that ended badly. The transaction goes on: a script does not decide what is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptFailure {
    /// Package name and version.
    pub package: String,
    /// Which script; `None` for a commit hook.
    pub kind: Option<ScriptKind>,
    /// What happened.
    pub reason: String,
}

/// Runs scripts inside one root.
pub trait ScriptRunner {
    /// Runs one script to its end. The error says in words how it ended.
    fn run(&mut self, call: &ScriptCall, observer: &dyn Observer) -> Result<(), String>;
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
