//! A root in a directory of this machine, `/` included. Every path is resolved inside it; nothing outside is opened.

mod accounts;
mod beside;
mod commit;
mod journal;
mod lock;
mod recover;
mod runner;
mod space;
mod stage;
mod tools;
mod view;
mod walk;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags};
use xpkg_model::RelPath;

use crate::{Error, Result};

pub use runner::LiveRunner;

/// What is done with owners, devices and privileged attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// They are applied: needs root's rights.
    Apply,
    /// They are recorded in the databases only: an ordinary user changing a root of their own.
    Ignore,
}

/// Where a test stops a transaction, as a crash would.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failpoint {
    /// Right after `begin`.
    Begun,
    /// After the given number of staged nodes.
    Staged(u32),
    /// After everything is synced, before the marker.
    BeforeMarker,
    /// After the marker, before the first rename.
    AfterMarker,
    /// After the given number of renames and removals.
    Renamed(u32),
    /// After all changes, before the journal goes.
    BeforeClear,
    /// After the given number of the scripts that follow the files.
    ScriptRan(u32),
}

/// A committed transaction whose scripts are running.
#[derive(Debug)]
struct After {
    dir: Arc<OwnedFd>,
    name: String,
    journal: journal::Writer,
    ran: u32,
}

/// A live root.
#[derive(Debug)]
pub struct LiveRoot {
    dir: PathBuf,
    root: Arc<OwnedFd>,
    ownership: Ownership,
    locks: Option<lock::Locks>,
    tx: Option<stage::Tx>,
    after: Option<After>,
    runner: Option<LiveRunner>,
    failpoint: Option<Failpoint>,
}

impl LiveRoot {
    /// Opens a directory as a root. Writes nothing.
    pub fn open(dir: impl AsRef<Path>, ownership: Ownership) -> Result<Self> {
        let dir = dir.as_ref();
        let open = || {
            let dir = std::fs::canonicalize(dir)?;
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            Ok::<_, std::io::Error>((rustix::fs::open(&dir, flags, Mode::empty())?, dir))
        };
        let (root, dir) = open().map_err(|source| Error::io("opening the root", dir.display(), source))?;
        let root = Arc::new(root);
        let runner = (rustix::process::geteuid().is_root() && ownership == Ownership::Apply)
            .then(|| LiveRunner::new(dir.clone(), root.clone()));
        Ok(Self { dir, root, ownership, locks: None, tx: None, after: None, runner, failpoint: None })
    }

    /// Where the root lies on this machine.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether owners are applied.
    pub fn ownership(&self) -> Ownership {
        self.ownership
    }

    /// The program that is started as `PROGRAM __run-script …` for maintainer scripts; by default this one.
    pub fn set_script_helper(&mut self, program: PathBuf) {
        if let Some(runner) = &mut self.runner {
            runner.set_helper(program);
        }
    }

    /// The script runner, to set its time limit.
    pub fn runner_mut(&mut self) -> Option<&mut LiveRunner> {
        self.runner.as_mut()
    }

    #[doc(hidden)]
    pub fn set_failpoint(&mut self, point: Option<Failpoint>) {
        self.failpoint = point;
    }

    fn fail_at(&self, point: Failpoint, name: &'static str) -> Result<()> {
        if self.failpoint == Some(point) { Err(Error::Stopped(name)) } else { Ok(()) }
    }
}

/// Directory of our own files.
pub(crate) fn own_dir() -> RelPath {
    RelPath::literal("usr/lib/xpkg")
}
