//! What is left of something that was undone: everything that can be seen of a root, before and after.

use std::path::Path;

use xpkg_fixtures::real::{Changes, Snapshot, diff, snapshot};

use crate::database::PACKED;
use crate::{Databases, System};

/// A look at a root: every path, and the decoded databases.
pub struct Trace {
    seen: Snapshot,
    databases: Databases,
}

impl Trace {
    /// Looks now.
    pub fn of(system: &System) -> Self {
        let mut seen = snapshot(system.dir()).unwrap();
        // How new the indexes were comes with `update` and protects beyond every package; a directory that holds nothing else
        // comes with it.
        let memory = |path: &Path| path.starts_with("usr/lib/xpkg/seen");
        let ours = Path::new("usr/lib/xpkg");
        if !seen.keys().any(|path| path.starts_with(ours) && path != ours && !memory(path)) {
            seen.remove(ours);
        }
        seen.retain(|path, _| !memory(path));
        for path in PACKED {
            // Compared decoded; type, mode, owner and attributes stay in the comparison.
            if let Some(file) = seen.get_mut(Path::new(path)) {
                file.sha256 = None;
                file.size = 0;
            }
        }
        Self { seen, databases: system.databases() }
    }

    /// Every path then.
    pub fn seen(&self) -> &Snapshot {
        &self.seen
    }

    /// The databases then.
    pub fn databases(&self) -> &Databases {
        &self.databases
    }

    /// What changed until `after`, databases aside.
    pub fn changes(&self, after: &Self) -> Changes {
        diff(&self.seen, &after.seen)
    }

    /// Fails with a list unless `after` is the same, but for what lies at or below `except`.
    pub fn assert_same(&self, after: &Self, except: &[&str]) {
        let changes = self.changes(after).without(except);
        assert!(changes.is_empty(), "{} paths are not as they were:\n{changes}", changes.0.len());
        self.databases.assert_same(&after.databases);
    }
}
