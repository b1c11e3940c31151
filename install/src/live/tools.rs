//! Tools that a foreign script finds on this root for as long as it runs: links to this program, tools that do nothing, and
//! the functions of OpenWrt's scripts. Only what the script was found to need; leaves nothing behind.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Mode, OFlags, mkdirat, openat, symlinkat, unlinkat};
use rustix::io::Errno;
use xpkg_formats::{Limits, elf};
use xpkg_model::RelPath;
use xpkg_shims::scripts;

use super::walk;
use crate::scripts::{APPLETS, FUNCTIONS, SILENT, ScriptCall};

/// The directory, beside the script's own file.
const BIN: &str = "bin";
/// Where the program is mounted in a root that is not `/`.
const PROGRAM: &str = "program";
/// A tool that has nothing to do.
const NOTHING: &[u8] = b"#!/bin/sh\nexit 0\n";

/// The directory of tools, until it is dropped.
pub(super) struct Tools {
    exec: Arc<OwnedFd>,
    bin: Arc<OwnedFd>,
    names: BTreeSet<String>,
    mount: bool,
    /// Searched before everything else.
    pub path: String,
    /// Where in the root this program is to be mounted.
    pub program: Option<String>,
    /// What is not to be had, and why.
    pub lost: Option<String>,
}

impl Tools {
    /// Makes what a call asks for, in the directory that holds its script; `None` when it asks for nothing. `inside`: the
    /// root is `/`, where this program has a path of its own.
    pub(super) fn new(
        root: &Arc<OwnedFd>,
        exec: &RelPath,
        call: &ScriptCall,
        program: &Path,
        inside: bool,
    ) -> Result<Option<Self>, String> {
        let words = |name: &str| {
            let value = call.env.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
            value.unwrap_or_default().split_ascii_whitespace().map(str::to_owned).collect::<BTreeSet<String>>()
        };
        let (applets, silent, functions) = (words(APPLETS), words(SILENT), !words(FUNCTIONS).is_empty());
        if applets.is_empty() && silent.is_empty() && !functions {
            return Ok(None);
        }
        let failed = |e: std::io::Error| format!("the script's tools could not be made: {e}");
        let walked = walk::walk(root, exec, true).map_err(failed)?;
        let parent = walked.parent.ok_or_else(|| failed(Errno::NOENT.into()))?;
        let make = || -> Result<Self, Errno> {
            let here = Arc::new(openat(&parent, walked.real.file_name(), walk::STAND, Mode::empty())?);
            match mkdirat(&here, BIN, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(e) => return Err(e),
            }
            let bin = Arc::new(openat(&here, BIN, walk::STAND, Mode::empty())?);
            let path = format!("{exec}/{BIN}");
            let (names, mount) = (BTreeSet::new(), false);
            let mut tools = Self { exec: here, bin, names, mount, path, program: None, lost: None };
            for name in &silent {
                tools.file(name, NOTHING)?;
            }
            if functions {
                tools.file("functions.sh", scripts::FUNCTIONS.as_bytes())?;
            }
            Ok(tools)
        };
        let mut tools = make().map_err(|e| failed(e.into()))?;
        if !applets.is_empty() {
            let list = applets.iter().cloned().collect::<Vec<_>>().join(", ");
            let target = if !inside && !stands_alone(program) {
                Err("this build of xpkg needs libraries that the root has not".to_owned())
            } else if inside {
                Ok(program.as_os_str().as_encoded_bytes().to_vec())
            } else {
                let made = tools.mount_point(exec).map_err(|e| failed(e.into()))?;
                Ok(made.into_bytes())
            };
            match target {
                Ok(target) => {
                    for name in &applets {
                        tools.link(name, &target).map_err(|e| failed(e.into()))?;
                    }
                }
                Err(why) => tools.lost = Some(format!("{list} cannot be lent: {why}")),
            }
        }
        Ok(Some(tools))
    }

    /// An empty file on which the program is mounted.
    fn mount_point(&mut self, exec: &RelPath) -> Result<String, Errno> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        drop(openat(&self.exec, PROGRAM, flags, Mode::from_raw_mode(0o755))?);
        self.mount = true;
        let path = format!("{exec}/{PROGRAM}");
        self.program = Some(path.clone());
        Ok(path)
    }

    fn file(&mut self, name: &str, content: &[u8]) -> Result<(), Errno> {
        let _ = unlinkat(&self.bin, name, AtFlags::empty());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = openat(&self.bin, name, flags, Mode::from_raw_mode(0o755))?;
        self.names.insert(name.to_owned());
        File::from(fd).write_all(content).map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))
    }

    fn link(&mut self, name: &str, target: &[u8]) -> Result<(), Errno> {
        let _ = unlinkat(&self.bin, name, AtFlags::empty());
        symlinkat(target, &self.bin, name)?;
        self.names.insert(name.to_owned());
        Ok(())
    }
}

impl Drop for Tools {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next run.
        for name in &self.names {
            let _ = unlinkat(&self.bin, name.as_str(), AtFlags::empty());
        }
        let _ = unlinkat(&self.exec, BIN, AtFlags::REMOVEDIR);
        if self.mount {
            let _ = unlinkat(&self.exec, PROGRAM, AtFlags::empty());
        }
    }
}

/// Whether a program runs in any root of its architecture: it asks for no loader.
fn stands_alone(program: &Path) -> bool {
    let Ok(mut file) = File::open(program) else { return false };
    let facts = elf::read_outline(&mut file, &program.display().to_string(), &Limits::default());
    facts.is_ok_and(|facts| facts.is_some_and(|facts| facts.interpreter.is_none()))
}
