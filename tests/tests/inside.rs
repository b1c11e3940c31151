//! The bridge from inside: the static build of `xpkg` in a real root, run there by chroot with the root's own `/etc/xpkg`.

use std::path::Path;

use serde_json::Value;
use xpkg_fixtures::real::Output;
use xpkg_fixtures::{Apk, Server, keys};
use xpkg_model::Ecosystem;
use xpkg_model::payload::ScriptKind;
use xpkg_tests::feed::Feed;
use xpkg_tests::inside::Inside;
use xpkg_tests::judge::Ours;
use xpkg_tests::{Answers, Overlay, System, Trace};

/// What may change: the cache, the native lock file, and the log of the native manager that was asked.
const LEFT: [&str; 5] = ["tmp/cache/xpkg", "var/cache/xpkg", "lib/apk/db/lock", "tmp/log/apk.log", "var/log/apk.log"];

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
            let head = system.sh(
                "set -e; export HOME=/tmp/git-test; mkdir -p $HOME; cd $HOME; git init -q work; cd work; git config user.name T; \
                 git config user.email t@example.invalid; echo hello >a; git add a; git commit -q -m first; \
                 git clone -q --bare . ../served/x.git; cd ../served/x.git; git update-server-info; git rev-parse HEAD",
            );
            let server = Server::start(system.dir().join("tmp/git-test/served")).unwrap();
            let said = system.ok(["git", "ls-remote", &format!("{}/x.git", server.url()), "HEAD"]).stdout;
            assert_eq!(said, format!("{}\tHEAD\n", head.stdout.trim()));
            system.sh("rm -rf /tmp/git-test");
        }
        _ => {
            assert_eq!(system.ok(["ucode", "-e", "print(1 + 1, \"\\n\")"]).stdout, "2\n");
            assert_eq!(system.ok(["jsonfilter", "-s", "{\"a\":{\"b\":7}}", "-e", "@.a.b"]).stdout, "7\n");
            system.sh("cd /tmp && usign -G -p key.pub -s key.sec && rm key.pub key.sec");
        }
    }
}

fn install(xpkg: &Inside<'_>, names: &[&str]) -> Value {
    let plan = xpkg.json(["install"].iter().chain(names));
    assert_eq!(plan["done"], true, "{plan:#}");
    assert_eq!(plan["script_failures"], Value::Array(Vec::new()), "{plan:#}");
    plan
}

fn remove(xpkg: &Inside<'_>, names: &[&str]) {
    xpkg.ok(["remove"].iter().chain(names));
}

/// Installs, runs, asks the native manager, removes, and looks for what is left.
fn there_and_back(native: Ecosystem) {
    let Some(system) = System::fresh(native) else { return };
    let Some(xpkg) = Inside::new(&system, true) else { return };
    let before = (Answers::of(&system), system.databases());
    xpkg.bridge();
    let trace = Trace::of(&system);
    let dry = xpkg.json(["install", "--dry-run"].iter().chain(foreign(native)));
    assert_eq!(dry["done"], false);
    trace.assert_same(&Trace::of(&system), &LEFT);
    install(&xpkg, foreign(native));
    assert_runs(&system);
    let ours = Ours::between(&before.1, &system.databases());
    assert!(ours.0.len() > foreign(native).len(), "{ours:?}");
    before.0.assert_same_but_for(&Answers::of(&system), &ours);
    assert_eq!(Ours::between(&before.1, &system.databases()), ours, "apk undid something of ours");
    assert_runs(&system);
    remove(&xpkg, foreign(native));
    trace.assert_same(&Trace::of(&system), &LEFT);
}

#[test]
fn openwrt_from_inside() {
    there_and_back(Ecosystem::Openwrt);
}

#[test]
fn alpine_from_inside() {
    there_and_back(Ecosystem::Alpine);
}

/// Before a system's init has run there is no `/proc`: scripts run all the same, and so does everything else.
#[test]
fn without_proc() {
    for (native, key) in [(Ecosystem::Openwrt, keys::P256), (Ecosystem::Alpine, keys::RSA)] {
        let Some(system) = System::fresh(native) else { return };
        let Some(xpkg) = Inside::new(&system, false) else { return };
        let mut feed = Feed::new(native);
        let mark = |kind| format!("#!/bin/sh\necho {kind} \"$@\" >>/root/ran\n");
        let probe = Apk::new("probe", "1.0-r0").arch("noarch").file("usr/share/probe", "there");
        let probe =
            probe.script(ScriptKind::PostInstall, &mark("came")).script(ScriptKind::PreDeinstall, &mark("goes"));
        feed.publish(probe);
        system.add_native_source(&feed.line(), key);
        xpkg.bridge();
        let trace = Trace::of(&system);
        install(&xpkg, foreign(native));
        assert_runs(&system);
        install(&xpkg, &["probe"]);
        assert_eq!(system.read("usr/share/probe"), b"there");
        assert!(String::from_utf8(system.read("root/ran")).unwrap().starts_with("came 1.0-r0"));
        remove(&xpkg, &["probe"]);
        assert!(String::from_utf8(system.read("root/ran")).unwrap().contains("\ngoes 1.0-r0"));
        std::fs::remove_file(system.dir().join("root/ran")).unwrap();
        remove(&xpkg, foreign(native));
        trace.assert_same(&Trace::of(&system), &LEFT);
    }
}

/// A link by the native manager's name takes its place in the root: field tools call that name.
#[test]
fn by_the_native_managers_name() {
    let apk = ["list -I", "info -L zlib", "info -W /bin/busybox", "version", "audit --system", "del nosuch"];
    let opkg = ["list-installed", "files busybox", "status busybox", "print-architecture", "remove nosuch"];
    let roots = [
        (System::fresh(Ecosystem::Alpine), "apk", &apk[..], "del wget", "info -e wget"),
        (System::fresh(Ecosystem::Openwrt), "apk", &apk[..], "add iw", "info -L iw"),
        (System::openwrt_opkg(), "opkg", &opkg[..], "flag hold busybox", "status busybox"),
    ];
    for (system, name, asked, changed, judged) in roots {
        let Some(system) = system else { return };
        let Some(_copied) = Inside::new(&system, true) else { return };
        system.sh(&format!("mkdir /root/front && ln -s /usr/bin/xpkg /root/front/{name}"));
        let front = format!("/root/front/{name}");
        let run = |program: &str, line: &str| system.chroot.run([program].into_iter().chain(line.split(' '))).unwrap();
        let same = |line: &str| {
            let (real, ours) = (run(name, line), run(&front, line));
            let said = |out: &Output| (out.status, out.stdout.clone(), out.stderr.clone());
            assert_eq!(said(&ours), said(&real), "{name} {line}");
        };
        asked.iter().for_each(|line| same(line));
        run(&front, changed).expect_success().unwrap();
        same(judged);
    }
}

/// As on a device: a squashfs below, and what xpkg does stays above it and goes again.
#[test]
fn on_an_overlay_from_inside() {
    for native in [Ecosystem::Openwrt, Ecosystem::Alpine] {
        let Some(fresh) = System::fresh(native) else { return };
        let Some(_copied) = Inside::new(&fresh, true) else { return };
        let Some(mut overlay) = Overlay::new(fresh.dir()) else { return };
        let system = System::at(native, overlay.merged());
        let xpkg = Inside::of(&system);
        xpkg.bridge();
        let trace = Trace::of(&system);
        install(&xpkg, foreign(native));
        assert!(overlay.upper_paths().1.is_empty(), "installing hid something: {:?}", overlay.upper_paths().1);
        overlay.remount();
        assert_runs(&system);
        remove(&xpkg, foreign(native));
        overlay.remount();
        trace.assert_same(&Trace::of(&system), &LEFT);
        let (paths, whiteouts) = overlay.upper_paths();
        assert!(whiteouts.is_empty(), "whiteouts over nothing: {whiteouts:?}");
        // What a root remembers of its indexes stays with its sources.
        let stays = [&LEFT[..], &["usr/lib/xpkg"]].concat();
        let seen = |path: &Path| trace.seen().contains_key(path) || stays.iter().any(|left| path.starts_with(left));
        let orphans: Vec<_> = paths.iter().filter(|path| !seen(path)).collect();
        assert!(orphans.is_empty(), "orphans: {orphans:?}");
    }
}
