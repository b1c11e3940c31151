//! An Alpine program on a real OpenWrt 19.07, whose manager is opkg and whose loader does not know DT_RELR: refused where it
//! would crash, installed where it runs, and the root's own opkg can list, show and remove it.

use xpkg_fixtures::real::{self, diff, snapshot};
use xpkg_tests::{System, Xpkg};

fn add(xpkg: &Xpkg, made: &str) {
    let dir = real::data().unwrap().join("made").join(made);
    let dir = dir.to_str().unwrap();
    xpkg.ok(["source", "add", made, dir, "--ecosystem", "alpine", "--keys", dir]);
    xpkg.ok(["update"]);
}

#[test]
fn tmux_runs_and_opkg_has_it_on_record() {
    let Some(system) = System::openwrt_opkg() else { return };
    system.sh("mkdir -p /var/lock");
    let xpkg = system.xpkg();
    // Alpine's libevent has a file of that package.
    xpkg.ok(["update"]);
    xpkg.ok(["remove", "--cascade", "libevent2-7"]);
    add(&xpkg, "alpine-tmux");
    let before = snapshot(system.dir()).unwrap();
    let said = xpkg.refused(["install", "alpine:tmux"]);
    assert!(said.contains("DT_RELR") && said.contains("/usr/bin/tmux"), "{said}");
    let changes = diff(&before, &snapshot(system.dir()).unwrap()).without(&["etc/xpkg", "tmp"]);
    assert!(changes.is_empty(), "a refusal left something behind:\n{changes}");

    xpkg.ok(["source", "remove", "alpine-tmux"]);
    add(&xpkg, "alpine-tmux-norelr");
    let plan = xpkg.json(["install", "alpine:tmux"]);
    assert_eq!(plan["done"], true);
    assert_eq!(system.ok(["tmux", "-V"]).stdout, "tmux 3.3a\n");
    system.sh("set -e; mkdir -p /dev/pts; mount -t devpts -o newinstance,ptmxmode=0666 devpts /dev/pts; \
         ln -sf pts/ptmx /dev/ptmx; export LANG=C.UTF-8; tmux -f /dev/null new-session -d 'sleep 60'; \
         tmux list-sessions; tmux kill-server");

    let installed = system.ok(["opkg", "list-installed"]).stdout;
    for line in ["tmux - 3.3a-r5", "libevent - 2.1.12-r7", "xpkg-abi-alpine - "] {
        assert!(installed.contains(line), "{line}: {installed}");
    }
    assert!(system.ok(["opkg", "files", "tmux"]).stdout.contains("/usr/bin/tmux\n"));
    let status = system.ok(["opkg", "status", "tmux"]).stdout;
    assert!(status.contains("Status: install hold,user installed"), "{status}");
    system.ok(["opkg", "update"]);
    assert_eq!(system.ok(["opkg", "list-upgradable"]).stdout, "");
    let removed = system.ok(["opkg", "remove", "tmux", "--autoremove"]);
    assert!(removed.stdout.contains("Removing package libevent"), "{removed:?}");
    assert!(!system.has("usr/bin/tmux") && !system.has("usr/lib/libevent-2.1.so.7"));
}
