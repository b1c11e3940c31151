//! Roots on file systems of their own: an overlay as on a device, and one that fills up. Mounted in a mount namespace of the
//! test's thread, which ends with it.

#![allow(missing_docs)]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use nix::sched::{CloneFlags, unshare};
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount};
use support::{Run, Source, assert_same, chain, live, look};
use xpkg_fixtures::{Apk, Root, real};
use xpkg_install::payload::OpenPackage;
use xpkg_install::{ApplyInput, Options, PayloadSource, apply};
use xpkg_model::Ecosystem::{Alpine, Openwrt};
use xpkg_model::Package;
use xpkg_model::adaptation::AS_THEY_ARE;
use xpkg_model::event::Silent;

/// Runs in a thread with its own mounts, on sixteen megabytes of memory.
fn with_mounts(case: fn(&Path)) {
    if !real::root_rights() {
        return;
    }
    let thread = std::thread::spawn(move || {
        if unshare(CloneFlags::CLONE_NEWNS).is_err() {
            let _ = real::skip::<()>("mount namespaces are not allowed here");
            return;
        }
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).unwrap();
        let dir = tempfile::tempdir().unwrap();
        mount("xpkg-test", dir.path(), "tmpfs", MountFlags::empty(), Some(c"size=16m")).unwrap();
        case(dir.path());
        unmount(dir.path(), UnmountFlags::DETACH).unwrap();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

fn packages() -> (Source, Source) {
    let foreign = Apk::new("guest", "1-r0")
        .file("usr/bin/guest", "guest")
        .file("usr/share/guest/data", "data")
        .hardlink("usr/share/guest/same", "usr/share/guest/data")
        .file("etc/guest.conf", "a");
    let native = Apk::new("own", "1-r0").file("usr/bin/own", "own").symlink("usr/bin/o", "own");
    (Source::new(foreign, Alpine), Source::new(native, Openwrt))
}

/// Every path below a directory that is none itself, relative; whiteouts marked.
fn paths(dir: &Path) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    let mut todo: Vec<PathBuf> = vec![dir.to_owned()];
    while let Some(at) = todo.pop() {
        for entry in fs::read_dir(&at).unwrap() {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                todo.push(entry.path());
                continue;
            }
            let mark = if kind.is_char_device() { "whiteout " } else { "" };
            out.insert(format!("{mark}{}", entry.path().strip_prefix(dir).unwrap().display()));
        }
    }
    out
}

#[test]
fn an_overlay_keeps_its_lower_layer_and_gets_no_whiteouts() {
    with_mounts(|dir| {
        let [lower, upper, work, merged] = ["lower", "upper", "work", "merged"].map(|n| dir.join(n));
        for dir in [&upper, &work, &merged] {
            fs::create_dir(dir).unwrap();
        }
        drop(Root::openwrt(&lower).unwrap());
        let pristine = look(&lower);
        let data = format!("lowerdir={},upperdir={},workdir={}", lower.display(), upper.display(), work.display());
        let data = std::ffi::CString::new(data).unwrap();
        mount("overlay", &merged, "overlay", MountFlags::empty(), Some(data.as_c_str())).unwrap();
        let before = look(&merged);
        let (foreign, native) = packages();
        Run::new(Openwrt, &[&foreign, &native]).go(&merged, [foreign.step(None), native.step(None)]);
        assert_eq!(fs::read(merged.join("usr/bin/guest")).unwrap(), b"guest");
        assert!(paths(&upper).contains("usr/lib/xpkg/state.sqlite"));
        Run::new(Openwrt, &[]).go(&merged, [foreign.removal(), native.removal()]);
        assert_same(&before, &merged);
        assert_same(&pristine, &lower);
        let left = paths(&upper);
        let databases = |p: &&String| ["lib/apk/db/", "etc/apk/world"].iter().any(|d| p.starts_with(d));
        assert!(left.iter().all(|p| databases(&p)), "{left:?}");
    });
}

/// A package whose reading fills the disk: another writer at the worst moment.
struct Filling<'a>(&'a Source, PathBuf);

impl PayloadSource for Filling<'_> {
    fn package(&self) -> &Package {
        self.0.package()
    }
    fn open(&self) -> Result<OpenPackage, Box<dyn std::error::Error + Send + Sync>> {
        // The first time it is read to find out what it brings; the second time to stage it.
        if self.1.exists() {
            let mut file = fs::OpenOptions::new().append(true).open(&self.1)?;
            while file.write_all(&[1; 4096]).is_ok() {}
        } else {
            fs::write(&self.1, "begun")?;
        }
        self.0.open()
    }
}

#[test]
fn a_disk_that_fills_up_while_files_are_staged_changes_nothing() {
    with_mounts(|dir| {
        let root = Root::openwrt(dir.join("root")).unwrap();
        let before = look(root.dir());
        let (foreign, native) = packages();
        let big = Source::new(Apk::new("big", "1-r0").file("usr/share/big/data", vec![7; 300_000]), Alpine);
        let filling = Filling(&big, dir.join("filler"));
        let plan = support::plan([native.step(None), foreign.step(None), big.step(None)]);
        let sources: [&dyn PayloadSource; 3] = [&native, &foreign, &filling];
        let options = Options { no_scripts: true, ..Options::default() };
        let mut input = ApplyInput {
            plan: &plan,
            native: Openwrt,
            sources: &sources,
            provider: None,
            adaptations: &AS_THEY_ARE,
            mark: &[],
            unmark: &[],
            options,
        };
        let error = apply(&mut live(root.dir()), &input, &Silent).expect_err("the disk is full");
        assert!(matches!(error, xpkg_install::Error::Full { .. }), "{}", chain(&error));
        assert_same(&before, root.dir());
        // With the space back, the same plan goes through.
        fs::remove_file(dir.join("filler")).unwrap();
        let sources: [&dyn PayloadSource; 3] = [&native, &foreign, &big];
        input.sources = &sources;
        apply(&mut live(root.dir()), &input, &Silent).unwrap_or_else(|e| panic!("{}", chain(&e)));

        let huge = Source::new(Apk::new("huge", "1-r0").file("usr/share/huge", vec![7; 20 << 20]), Alpine);
        let text = Run::new(Openwrt, &[&huge]).refused(root.dir(), [huge.step(None)]);
        assert!(text.contains("not enough space"), "{text}");
    });
}
