//! What a translator is told of one foreign package before it comes. Translators read it and answer with an
//! [`Adaptation`](xpkg_model::adaptation::Adaptation); they open nothing themselves.

use std::sync::Arc;

use xpkg_model::adaptation::Placement;
use xpkg_model::payload::{EntryKind, Scripts};
use xpkg_model::{Ecosystem, ElfFacts, Package, RelPath};

use crate::{HostProbe, Rules};

/// One path of a package's payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Where, as the package says.
    pub path: RelPath,
    /// What.
    pub kind: EntryKind,
    /// Permission bits.
    pub mode: u32,
    /// Bytes of content.
    pub size: u64,
    /// What its headers say, when it is an ELF file.
    pub elf: Option<Arc<ElfFacts>>,
}

/// A foreign package on its way to a root.
pub struct Foreign<'a> {
    /// Its metadata.
    pub package: &'a Package,
    /// The world of the root.
    pub native: Ecosystem,
    /// Its payload, in its order.
    pub files: &'a [Delivered],
    /// Its scripts, as earlier translators left them: a composed script takes the place of the one that stands here, and
    /// contains it where it still has to run.
    pub scripts: &'a Scripts,
    /// The members of an ipk's control archive by name, for `postinst-pkg` and its like; empty for other layouts.
    pub control: &'a std::collections::BTreeMap<String, Vec<u8>>,
    /// Where the plan puts it.
    pub placement: Placement,
    /// The root as it is now.
    pub probe: &'a dyn HostProbe,
    /// The rules that hold for it.
    pub rules: &'a Rules,
    /// Content of a small regular file of the payload; `None` when there is none, or it is larger than
    /// [`MAX_CONTENT`] bytes.
    pub contents: &'a dyn Fn(&RelPath) -> Option<Vec<u8>>,
    /// Names of the owner and the group of a path of the payload, where it says them.
    pub owner: &'a dyn Fn(&RelPath) -> Option<(String, String)>,
    /// Whether a package of the same world is on the root once the plan is done.
    pub companion: &'a dyn Fn(&str) -> bool,
}

/// Bytes of the largest file that a translator may read.
pub const MAX_CONTENT: u64 = 256 << 10;

impl Foreign<'_> {
    /// Name with its world, for notes.
    pub fn title(&self) -> String {
        self.package.scoped()
    }

    /// What the payload has at a path.
    pub fn file(&self, path: &RelPath) -> Option<&Delivered> {
        self.files.iter().find(|f| f.path == *path)
    }

    /// Files, links and the rest directly in a directory.
    pub fn in_dir<'f>(&'f self, dir: &'f RelPath) -> impl Iterator<Item = &'f Delivered> + 'f {
        let here = |f: &&Delivered| f.kind != EntryKind::Dir && f.path.parent().as_ref() == Some(dir);
        self.files.iter().filter(here)
    }

    /// The text of a small file. What is not in the payload is not looked for: that would read all of it.
    pub fn text(&self, path: &RelPath) -> Option<String> {
        self.file(path)?;
        (self.contents)(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }
}
