//! A transaction that stops anywhere leaves, after the next start, either everything or nothing.

#![allow(missing_docs)]

mod support;

use std::path::Path;

use support::{Run, Source, chain, live, look};
use xpkg_fixtures::real::{Snapshot, diff};
use xpkg_fixtures::{Apk, Root};
use xpkg_install::live::Failpoint;
use xpkg_install::{Error, Target as _};
use xpkg_model::Ecosystem::{Alpine, Openwrt};
use xpkg_model::event::Silent;

struct Case {
    old: Source,
    new: Source,
    foreign: Source,
}

impl Case {
    fn new() -> Self {
        let old = Apk::new("tool", "1-r0")
            .file("usr/bin/tool", "1")
            .file("usr/share/tool/gone", "x")
            .file("usr/lib/shape", "a file")
            .dir("usr/lib/form")
            .file("usr/lib/form/inner", "x");
        let new = Apk::new("tool", "2-r0")
            .file("usr/bin/tool", "2")
            .file("usr/lib/shape/inner", "a directory now")
            .file("usr/lib/form", "a file now");
        let foreign = Apk::new("guest", "1-r0")
            .file("usr/bin/guest", "guest")
            .file("usr/share/guest/deep/data", "data")
            .hardlink("usr/share/guest/same", "usr/share/guest/deep/data")
            .symlink("usr/bin/g", "guest");
        Self { old: Source::new(old, Openwrt), new: Source::new(new, Openwrt), foreign: Source::new(foreign, Alpine) }
    }

    fn root(&self) -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::openwrt(dir.path()).unwrap();
        Run::new(Openwrt, &[&self.old]).go(root.dir(), [self.old.step(None)]);
        (dir, root)
    }

    fn run(&self, dir: &Path, point: Option<Failpoint>) -> xpkg_install::Result<()> {
        let mut target = live(dir);
        target.set_failpoint(point);
        let run = Run::new(Openwrt, &[&self.new, &self.foreign]);
        run.on(&mut target, [self.new.step(Some(&self.old)), self.foreign.step(None)]).map(drop)
    }
}

/// Stops there, starts again, and says whether everything had happened.
fn stops(case: &Case, point: Failpoint, before: &Snapshot, after: &Snapshot) -> Option<bool> {
    let (_dir, root) = case.root();
    match case.run(root.dir(), Some(point)) {
        Ok(()) => return None, // the point lies beyond the end
        Err(Error::Stopped(_)) => {}
        Err(error) => panic!("{point:?}: {}", chain(&error)),
    }
    let mut target = live(root.dir());
    target.lock().unwrap();
    target.recover(&Silent).unwrap_or_else(|e| panic!("{point:?}: {}", chain(&e)));
    target.recover(&Silent).unwrap();
    drop(target);
    let now = look(root.dir());
    if diff(before, &now).is_empty() {
        return Some(false);
    }
    let left = diff(after, &now);
    assert!(left.is_empty(), "{point:?}: {left:?}");
    Some(true)
}

#[test]
fn every_stop_ends_in_all_or_nothing() {
    let case = Case::new();
    let (_dir, root) = case.root();
    let before = look(root.dir());
    case.run(root.dir(), None).unwrap_or_else(|e| panic!("{}", chain(&e)));
    let after = look(root.dir());
    assert!(!diff(&before, &after).is_empty());

    assert_eq!(stops(&case, Failpoint::Begun, &before, &after), Some(false));
    assert_eq!(stops(&case, Failpoint::BeforeMarker, &before, &after), Some(false));
    assert_eq!(stops(&case, Failpoint::AfterMarker, &before, &after), Some(true));
    assert_eq!(stops(&case, Failpoint::BeforeClear, &before, &after), Some(true));
    let staged = (1..).take_while(|n| stops(&case, Failpoint::Staged(*n), &before, &after) == Some(false)).count();
    let renamed = (1..).take_while(|n| stops(&case, Failpoint::Renamed(*n), &before, &after) == Some(true)).count();
    assert!(staged >= 10 && renamed >= 10, "{staged} {renamed}");
}
