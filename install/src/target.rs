//! The one way to change a root. A live directory and an image being made implement the same trait, so that what a
//! transaction does to them cannot drift apart. Never decides anything: paths arrive resolved, conflicts settled.

use std::io::Read;

use xpkg_model::root::{Node, RootView};
use xpkg_model::{Observer, RelPath};

use crate::Result;
use crate::scripts::{ScriptCall, ScriptRunner};

/// Attributes of something that is staged. Owners are numbers of the target root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// Permission bits, 0o7777.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Seconds since 1970; `None` leaves the time of staging (a live root) or the image's fixed time.
    pub mtime: Option<i64>,
    /// Extended attributes by name; never `trusted.overlay.*`.
    pub xattrs: Vec<(String, Vec<u8>)>,
}

impl Meta {
    /// Attributes of a root-owned node.
    pub fn new(mode: u32) -> Self {
        Self { mode, ..Self::default() }
    }
}

/// A node that is neither file, directory nor link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Special {
    /// Character device (major, minor).
    Char(u32, u32),
    /// Block device (major, minor).
    Block(u32, u32),
    /// Named pipe.
    Fifo,
}

/// What became of one staged node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Staged {
    /// Content bytes written.
    pub bytes: u64,
    /// An extended attribute could not be kept (the file system has none, or the caller may not set it).
    pub xattrs_lost: bool,
}

/// What a plan will put into one directory, for the space check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// Directory, resolved; it may not exist yet.
    pub dir: RelPath,
    /// Content bytes, each file rounded up to a block.
    pub bytes: u64,
    /// New inodes.
    pub inodes: u64,
}

/// What a target learns before the first path is staged.
#[derive(Clone, Debug, Default)]
pub struct Begin {
    /// Every directory, resolved, in which something may be staged: what recovery searches for left-overs.
    pub dirs: Vec<RelPath>,
}

/// Receives a transaction: `lock`, `begin`, any number of `stage_*`, then `commit` or `rollback`.
///
/// Paths given to `stage_*` are resolved by the caller: no component above the last may be a link, and an implementation
/// refuses to follow one. Directories must exist or have been staged before what lies in them. What is staged replaces
/// whatever has that path at commit; until then the [`RootView`] side shows the root unchanged, and only
/// [`Target::staged`] and [`Target::open_staged`] see the new content.
pub trait Target: RootView {
    /// Excludes other writers until the target is dropped. Free when already held.
    fn lock(&mut self) -> Result<()>;

    /// Completes or undoes what an interrupted transaction left. Needs the lock. Says what it did.
    fn recover(&mut self, observer: &dyn Observer) -> Result<()>;

    /// Whether the root can take what the plan needs. Virtual targets always can.
    fn check_space(&self, needs: &[Need]) -> Result<()>;

    /// Opens a transaction.
    fn begin(&mut self, begin: &Begin) -> Result<()>;

    /// A regular file with everything that `content` gives. An error of the reader aborts it.
    fn stage_file(&mut self, path: &RelPath, meta: &Meta, content: &mut dyn Read) -> Result<Staged>;

    /// A new directory. The path must not exist, unless `replace` says that a non-directory there goes away at commit.
    fn stage_dir(&mut self, path: &RelPath, meta: &Meta, replace: bool) -> Result<Staged>;

    /// A symbolic link.
    fn stage_symlink(&mut self, path: &RelPath, target: &[u8], meta: &Meta) -> Result<Staged>;

    /// A second name for `to`: a path staged in this transaction, else an existing regular file.
    fn stage_hardlink(&mut self, path: &RelPath, to: &RelPath) -> Result<Staged>;

    /// A device or pipe.
    fn stage_special(&mut self, path: &RelPath, special: Special, meta: &Meta) -> Result<Staged>;

    /// Removes a path at commit: a directory only if it is empty then; what is already gone is fine.
    fn stage_remove(&mut self, path: &RelPath) -> Result<()>;

    /// Gives an existing path other attributes at commit. Extended attributes are set, none is removed.
    fn stage_attributes(&mut self, path: &RelPath, meta: &Meta) -> Result<()>;

    /// Changes the owner of what this transaction staged at `path`.
    fn set_owner(&mut self, path: &RelPath, uid: u32, gid: u32) -> Result<()>;

    /// What this transaction staged at a path; `None` when nothing. Removals are not seen.
    fn staged(&self, path: &RelPath) -> Result<Option<Node>>;

    /// Opens a regular file that this transaction staged.
    fn open_staged(&self, path: &RelPath) -> Result<Option<Box<dyn Read + Send>>>;

    /// Who runs scripts inside this root; `None` where that is impossible (an image, an ordinary user).
    fn script_runner(&mut self) -> Option<&mut dyn ScriptRunner>;

    /// A script that is owed once the files are in place: a start after a crash runs it. In the order of the calls. Targets
    /// that run no scripts need not remember any.
    fn stage_script(&mut self, _call: &ScriptCall) -> Result<()> {
        Ok(())
    }

    /// After [`Target::commit`]: the next of the scripts that were owed has run, well or not.
    fn script_done(&mut self) -> Result<()> {
        Ok(())
    }

    /// After [`Target::commit`]: nothing is owed any more.
    fn finish(&mut self) -> Result<()> {
        Ok(())
    }

    /// Makes everything staged real. After an error of kind [`crate::Error::Commit`] the journal decides, else nothing
    /// has changed.
    fn commit(&mut self) -> Result<()>;

    /// Forgets everything staged. Free when nothing is.
    fn rollback(&mut self) -> Result<()>;
}
