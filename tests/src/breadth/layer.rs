//! A fresh overlay over one root for each package, in memory: what is written there goes with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;
use xpkg_fixtures::real::{Output, run};

use crate::System;

/// Bytes that may be written at one time.
const SIZE: &str = "size=3g,mode=755";

/// Where the layers are made; unmounted when dropped.
pub struct Layers {
    dir: TempDir,
    base: PathBuf,
    made: AtomicUsize,
}

impl Layers {
    /// Over that system, which must not be changed any more.
    pub fn over(system: &System) -> Self {
        let dir = tempfile::Builder::new().prefix("xpkg-layers-").tempdir().unwrap();
        say("mount", &["-t", "tmpfs", "-o", SIZE, "xpkg-test", &dir.path().display().to_string()]);
        Self { dir, base: system.dir().to_owned(), made: AtomicUsize::new(0) }
    }

    /// A root that is the system as it was.
    pub fn fresh(&self) -> Layer {
        let own = self.dir.path().join(self.made.fetch_add(1, Ordering::Relaxed).to_string());
        for name in ["upper", "work", "merged"] {
            fs::create_dir_all(own.join(name)).unwrap();
        }
        let of = |name: &str| own.join(name).display().to_string();
        let options = format!("lowerdir={},upperdir={},workdir={}", self.base.display(), of("upper"), of("work"));
        say("mount", &["-t", "overlay", "-o", &options, "xpkg-test", &of("merged")]);
        Layer { merged: own.join("merged"), own }
    }
}

impl Drop for Layers {
    fn drop(&mut self) {
        // Nothing can be done here about a mount that is still in use; the machine's owner sees it in /proc/mounts.
        drop(run("umount", [self.dir.path()]));
    }
}

/// One of them; it goes when dropped.
pub struct Layer {
    own: PathBuf,
    merged: PathBuf,
}

impl Layer {
    /// The root that programs see.
    pub fn root(&self) -> &Path {
        &self.merged
    }
}

impl Drop for Layer {
    fn drop(&mut self) {
        drop(run("umount", [&self.merged]));
        // Frees the memory; the names below are this layer's own.
        drop(run("rm", ["-rf".as_ref(), "--".as_ref(), self.own.as_os_str()]));
    }
}

fn say(program: &str, args: &[&str]) {
    run(program, args).and_then(Output::expect_success).unwrap();
}
