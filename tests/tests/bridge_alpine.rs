//! OpenWrt's ucode, usign and jsonfilter on a real Alpine 3.19: they run, and the root's own apk stays content.

use serde_json::Value;
use xpkg_model::Ecosystem;
use xpkg_tests::judge::Ours;
use xpkg_tests::{Answers, Overlay, System};

/// What OpenWrt may never bring to an Alpine root.
const NEVER: [&str; 7] = ["libc", "libpthread", "librt", "busybox", "base-files", "ca-bundle", "procd"];

fn assert_runs(system: &System) {
    assert_eq!(system.ok(["ucode", "-e", "print(1 + 1, \"\\n\")"]).stdout, "2\n");
    assert_eq!(system.ok(["jsonfilter", "-s", "{\"a\":{\"b\":7}}", "-e", "@.a.b"]).stdout, "7\n");
    system.sh("set -e; mkdir -p /tmp/sign; cd /tmp/sign; usign -G -p key.pub -s key.sec; echo text >file; \
         usign -S -m file -s key.sec -x file.sig; usign -V -q -m file -p key.pub -x file.sig; \
         echo other >file; ! usign -V -q -m file -p key.pub -x file.sig; rm -r /tmp/sign");
}

#[test]
fn ucode_usign_and_jsonfilter_run_and_apk_stays_content() {
    let Some(system) = System::alpine() else { return };
    bridge(&system);
}

#[test]
fn the_same_on_an_overlay() {
    let Some(fresh) = System::alpine() else { return };
    let Some(overlay) = Overlay::new(fresh.dir()) else { return };
    bridge(&System::at(Ecosystem::Alpine, overlay.merged()));
}

fn bridge(system: &System) {
    let before = (Answers::of(system), system.databases());
    assert_eq!(before.0.to("apk upgrade -s").stdout.matches("Upgrading").count(), 13);
    let xpkg = system.xpkg();
    system.add_foreign_sources(&xpkg);
    xpkg.ok(["update"]);
    let plan = xpkg.json(["install", "openwrt:ucode", "openwrt:usign", "openwrt:jsonfilter"]);
    assert_eq!(plan["done"], true);
    assert_eq!(plan["script_failures"], Value::Array(Vec::new()), "{plan:#}");
    for step in plan["steps"].as_array().unwrap() {
        assert_eq!(step["action"], "install", "{step:#}");
        let name = step["name"].as_str().unwrap();
        assert!(step["ecosystem"] != "openwrt" || !NEVER.contains(&name), "the plan brings openwrt:{name}");
    }
    assert_runs(system);

    let ours = Ours::between(&before.1, &system.databases());
    assert!(NEVER.iter().all(|name| !ours.0.contains_key(*name)), "{ours:?}");
    for name in ["ucode", "usign", "jsonfilter"] {
        assert!(ours.0.contains_key(name), "{ours:?}");
        for path in system.databases().paths_of(name) {
            assert!(system.dir().join(&path).symlink_metadata().is_ok(), "{name}: {} is missing", path.display());
        }
        let listed = system.ok(["apk", "info", "-L", name]).stdout;
        assert!(listed.contains(&format!("usr/bin/{name}")), "{listed}");
    }
    before.0.assert_same_but_for(&Answers::of(system), &ours);
    assert_eq!(Ours::between(&before.1, &system.databases()), ours, "apk undid something of ours");
    assert_runs(system);
}
