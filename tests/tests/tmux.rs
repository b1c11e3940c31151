//! Alpine's tmux on OpenWrt 25.12, by chroot: a whole session runs, OpenWrt's own libraries are used where they are, the root's
//! own apk stays content, and nothing is left when it goes. Booted it is in `booted/`.

use serde_json::Value;
use xpkg_fixtures::real;
use xpkg_tests::judge::Ours;
use xpkg_tests::{Answers, System, Trace, Xpkg, tmux};

/// What may differ: the cache, and what the native manager writes when it is asked.
const LEFT: [&str; 4] = ["tmp/cache", "lib/apk/db/lock", "tmp/log", "etc/xpkg"];

fn made(name: &str) -> String {
    real::data().unwrap().join("made").join(name).display().to_string()
}

fn with_source(system: &System) -> Xpkg {
    let (xpkg, dir) = (system.xpkg(), made("alpine-tmux"));
    xpkg.ok(["source", "add", "tmux", &dir, "--ecosystem", "alpine", "--keys", &dir]);
    xpkg.ok(["update"]);
    xpkg
}

fn names(plan: &Value) -> Vec<&str> {
    plan["steps"].as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap()).collect()
}

/// Installs, runs, asks the native manager, and removes by xpkg.
fn there_and_back(system: &System) -> Vec<String> {
    let xpkg = with_source(system);
    let (before, trace) = ((Answers::of(system), system.databases()), Trace::of(system));
    let plan = xpkg.json(["install", "alpine:tmux"]);
    assert_eq!((&plan["done"], &plan["script_failures"]), (&true.into(), &Value::Array(Vec::new())), "{plan:#}");
    tmux::session(|script| system.chroot.sh(script).unwrap());
    let ours = Ours::between(&before.1, &system.databases());
    before.0.assert_same_but_for(&Answers::of(system), &ours);
    assert_eq!(Ours::between(&before.1, &system.databases()), ours, "apk undid something of ours");
    tmux::session(|script| system.chroot.sh(script).unwrap());
    xpkg.ok(["remove", "alpine:tmux"]);
    trace.assert_same(&Trace::of(system), &LEFT);
    names(&plan).into_iter().map(str::to_owned).collect()
}

#[test]
fn a_session_runs_and_nothing_is_left() {
    let Some(system) = System::openwrt() else { return };
    let came = there_and_back(&system);
    assert!(came.contains(&"tmux".to_owned()), "{came:?}");
}

/// OpenWrt's own ncurses and libevent give what they give; nothing comes twice.
#[test]
fn openwrts_own_libraries_are_used() {
    let Some(system) = System::openwrt() else { return };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(made("openwrt-tmux-apk3")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if ["libncurses6-", "libevent2-core7-", "terminfo-"].iter().any(|n| name.starts_with(n)) {
            system.write(&format!("tmp/{name}"), std::fs::read(&path).unwrap());
            files.push(format!("/tmp/{name}"));
        }
    }
    let add = ["apk", "add", "--no-network", "--allow-untrusted"].map(str::to_owned);
    system.ok(add.into_iter().chain(files));
    let came = there_and_back(&system);
    let twice = |name: &String| name.starts_with("ncurses-libs") || name.starts_with("libevent");
    assert!(!came.iter().any(twice), "{came:?}");
}

/// The root's own apk removes what xpkg installed, and nothing of it is left.
#[test]
fn the_native_manager_removes_it() {
    let Some(system) = System::openwrt() else { return };
    let xpkg = with_source(&system);
    let trace = Trace::of(&system);
    xpkg.ok(["install", "alpine:tmux"]);
    system.ok(["apk", "del", "tmux", "xpkg-abi-alpine"]);
    assert!(!system.has("usr/bin/tmux") && !system.has("usr/lib/libncursesw.so.6"));
    // What only xpkg knows goes with its next transaction.
    xpkg.ok(["install", "alpine:libevent"]);
    xpkg.ok(["remove", "alpine:libevent"]);
    trace.assert_same(&Trace::of(&system), &LEFT);
}
