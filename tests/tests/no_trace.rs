//! What xpkg installed from the other world goes away without a trace, on a plain root and on an overlay as devices have it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use xpkg_model::Ecosystem;
use xpkg_tests::database::PACKED;
use xpkg_tests::{Overlay, System, Trace, Xpkg};

/// Files of a person, who owns them whatever happens around them.
const USERS: [&str; 3] = ["etc/mine.conf", "usr/lib/mine.so", "root/notes"];

fn foreign(native: Ecosystem) -> &'static [&'static str] {
    match native {
        Ecosystem::Openwrt => &["alpine:jq", "alpine:git"],
        _ => &["openwrt:ucode", "openwrt:usign", "openwrt:jsonfilter"],
    }
}

fn assert_runs(system: &System) {
    match system.native {
        Ecosystem::Openwrt => {
            assert_eq!(system.ok(["jq", "-n", "1+1"]).stdout, "2\n");
            assert!(system.ok(["git", "--version"]).stdout.starts_with("git version 2.43.4"));
        }
        _ => assert_eq!(system.ok(["ucode", "-e", "print(1 + 1)"]).stdout, "2"),
    }
}

/// A cache of its own outside, so that no path of the root is left out of the comparison.
fn prepared(system: &System) -> (Xpkg, TempDir) {
    let cache = tempfile::tempdir().unwrap();
    let xpkg = system.xpkg().with(["--cache-dir", cache.path().to_str().unwrap()]);
    system.add_foreign_sources(&xpkg);
    system.ok(["apk", "update"]);
    xpkg.ok(["update"]);
    (xpkg, cache)
}

fn install(xpkg: &Xpkg, native: Ecosystem) {
    xpkg.ok(["install"].into_iter().chain(foreign(native).iter().copied()));
}

fn remove(xpkg: &Xpkg, native: Ecosystem) {
    xpkg.ok(["remove"].into_iter().chain(foreign(native).iter().copied()));
}

fn providers(system: &System) -> Vec<String> {
    system.databases().installed.into_keys().filter(|name| name.starts_with("xpkg-")).collect()
}

#[test]
fn removal_leaves_openwrt_as_it_was() {
    removal(Ecosystem::Openwrt);
}

#[test]
fn removal_leaves_alpine_as_it_was() {
    removal(Ecosystem::Alpine);
}

fn removal(native: Ecosystem) {
    let Some(system) = System::fresh(native) else { return };
    let (xpkg, _cache) = prepared(&system);
    let before = Trace::of(&system);
    install(&xpkg, native);
    assert_runs(&system);
    assert_eq!(providers(&system).len(), 1);
    assert!(before.changes(&Trace::of(&system)).paths().len() > 10);
    remove(&xpkg, native);
    assert_eq!(providers(&system), Vec::<String>::new());
    before.assert_same(&Trace::of(&system), &[]);

    // Again, package by package, while a person makes files, one of them among the package's own.
    install(&xpkg, native);
    let beside = match native {
        Ecosystem::Openwrt => "usr/libexec/git-core/mine",
        _ => "usr/lib/ucode/mine",
    };
    for path in USERS.into_iter().chain([beside]) {
        system.write(path, path);
    }
    for name in foreign(native) {
        xpkg.ok(["remove", name]);
    }
    for path in USERS.into_iter().chain([beside]) {
        assert_eq!(system.read(path), path.as_bytes());
        std::fs::remove_file(system.dir().join(path)).unwrap();
    }
    // The directory that the person's file kept alive is the person's to remove.
    let kept: BTreeSet<PathBuf> = before.changes(&Trace::of(&system)).paths().into_iter().map(Path::to_owned).collect();
    for path in kept.iter().rev() {
        assert!(Path::new(beside).starts_with(path), "{} is left over", path.display());
        std::fs::remove_dir(system.dir().join(path)).unwrap();
    }
    before.assert_same(&Trace::of(&system), &[]);
}

/// Who removes one of ours with the native manager does not want it any more: nothing remembers it for ever.
#[test]
fn what_apk_removes_is_forgotten() {
    for (native, name) in [(Ecosystem::Openwrt, "jq"), (Ecosystem::Alpine, "ucode")] {
        let Some(system) = System::fresh(native) else { return };
        let (xpkg, _cache) = prepared(&system);
        let before = Trace::of(&system);
        install(&xpkg, native);
        system.ok(["apk", "del", name]);
        let left: Vec<_> = foreign(native).iter().filter(|spec| !spec.ends_with(&format!(":{name}"))).collect();
        let listed = xpkg.ok(["list", "--foreign", "--explicit"]).stdout;
        assert_eq!(listed.lines().count(), left.len(), "{listed}");
        for spec in left {
            xpkg.ok(["remove", spec]);
        }
        before.assert_same(&Trace::of(&system), &["tmp/log/apk.log"]);
    }
}

#[test]
fn sources_go_without_a_trace_too() {
    for native in [Ecosystem::Openwrt, Ecosystem::Alpine] {
        let Some(system) = System::fresh(native) else { return };
        system.ok(["apk", "update"]);
        let before = Trace::of(&system);
        let xpkg = system.xpkg();
        system.add_foreign_sources(&xpkg);
        let listed = xpkg.json(["source", "list"]);
        for source in listed["sources"].as_array().unwrap() {
            if source["origin"].as_str().unwrap().contains("/etc/xpkg/") {
                xpkg.ok(["source", "remove", source["name"].as_str().unwrap()]);
            }
        }
        before.assert_same(&Trace::of(&system), &["tmp/cache/xpkg", "var/cache/xpkg"]);
    }
}

#[test]
fn an_overlay_of_openwrt_changes_only_above_and_survives_remounts() {
    overlay(Ecosystem::Openwrt);
}

#[test]
fn an_overlay_of_alpine_changes_only_above_and_survives_remounts() {
    overlay(Ecosystem::Alpine);
}

fn overlay(native: Ecosystem) {
    let Some(fresh) = System::fresh(native) else { return };
    let Some(mut overlay) = Overlay::new(fresh.dir()) else { return };
    let system = System::at(native, overlay.merged());
    let (xpkg, _cache) = prepared(&system);
    // Alpine's own triggers make some applet links anew whenever a program comes: that is not our doing.
    let spare = if native == Ecosystem::Openwrt { "iw" } else { "doas" };
    system.ok(["apk", "add", spare]);
    system.ok(["apk", "del", spare]);
    let before = Trace::of(&system);
    let (above, _) = overlay.upper_paths();
    let below = xpkg_fixtures::real::snapshot(&overlay.lower()).unwrap();

    install(&xpkg, native);
    assert_runs(&system);
    let with = Trace::of(&system);
    assert!(overlay.upper_paths().1.is_empty(), "installing hid something: {:?}", overlay.upper_paths().1);
    overlay.remount();
    with.assert_same(&Trace::of(&system), &[]);
    assert_runs(&system);

    remove(&xpkg, native);
    before.assert_same(&Trace::of(&system), &[]);
    overlay.remount();
    before.assert_same(&Trace::of(&system), &[]);
    let (paths, whiteouts) = overlay.upper_paths();
    assert!(whiteouts.is_empty(), "whiteouts over nothing: {whiteouts:?}");
    for path in paths.difference(&above) {
        let dir = overlay.upper().join(path).symlink_metadata().unwrap().is_dir();
        let database = PACKED.iter().any(|p| path == Path::new(p)) || path == Path::new("etc/apk/world");
        assert!(dir || database, "/{} was copied up for nothing", path.display());
        assert!(below.contains_key(path) || before.seen().contains_key(path), "/{} is an orphan", path.display());
    }
}
