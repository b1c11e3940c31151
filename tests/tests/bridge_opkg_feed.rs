//! OpenWrt 19.07's lua, jsonfilter, openssl-util and uci, from its signed ipk feed, on a real Alpine 3.19: they run, and the
//! root's own apk stays content.

use serde_json::Value;
use xpkg_fixtures::{Ipk, keys};
use xpkg_model::payload::ScriptKind;
use xpkg_tests::feed::Feed;
use xpkg_tests::judge::Ours;
use xpkg_tests::{Answers, System, Trace};

/// What OpenWrt may never bring to an Alpine root.
const NEVER: [&str; 6] = ["libc", "libpthread", "librt", "busybox", "base-files", "opkg"];
/// Both worlds keep it there: Alpine's libcrypto3 and OpenWrt's libopenssl-conf.
const CONF: &str = "etc/ssl/openssl.cnf";
const WANTED: [&str; 4] = ["openwrt:lua", "openwrt:jsonfilter", "openwrt:openssl-util", "openwrt:uci"];

fn assert_runs(system: &System) {
    assert_eq!(system.ok(["lua", "-e", "print(1 + 1)"]).stdout, "2\n");
    assert_eq!(system.ok(["jsonfilter", "-s", "{\"a\":{\"b\":7}}", "-e", "@.a.b"]).stdout, "7\n");
    assert!(system.ok(["openssl", "version"]).stdout.starts_with("OpenSSL 1.1.1d"));
    let digest = system.sh("printf abc | openssl dgst -sha256 -r").stdout;
    assert!(digest.starts_with("ba7816bf8f01cfea"), "{digest}");
    let shown = system.sh("mkdir -p /tmp/c; echo 'config x y' >/tmp/c/t; uci -c /tmp/c show t; rm -r /tmp/c").stdout;
    assert_eq!(shown, "t.y=x\n");
}

#[test]
fn programs_of_an_opkg_feed_run_and_apk_stays_content() {
    let Some(system) = &System::alpine() else { return };
    let before = (Answers::of(system), system.databases(), Trace::of(system));
    let conf = (system.read(CONF), system.mode_and_ids(CONF));
    let xpkg = system.xpkg();
    system.add_opkg_sources(&xpkg);
    xpkg.ok(["update"]);
    let plan = xpkg.json(["install"].into_iter().chain(WANTED));
    assert_eq!(plan["done"], true);
    assert_eq!(plan["script_failures"], Value::Array(Vec::new()), "{plan:#}");
    for step in plan["steps"].as_array().unwrap() {
        let name = step["name"].as_str().unwrap();
        assert_eq!(step["action"], "install", "{step:#}");
        assert!(step["ecosystem"] != "openwrt" || !NEVER.contains(&name), "the plan brings openwrt:{name}");
    }
    let said = format!("/{CONF} stays as alpine:libcrypto3 has it");
    assert!(plan["notes"].as_array().unwrap().iter().any(|n| n.as_str().unwrap().starts_with(&said)), "{plan:#}");
    assert_runs(system);
    assert!(conf == (system.read(CONF), system.mode_and_ids(CONF)), "Alpine's {CONF} was touched");
    assert!(!system.has(&format!("{CONF}.apk-new")));

    let ours = Ours::between(&before.1, &system.databases());
    // OpenWrt's versions are no versions to apk 2: they are registered in its grammar.
    assert_eq!(ours.0.get("jsonfilter").map(String::as_str), Some("2018.02.04-r1"), "{ours:?}");
    assert_eq!(system.databases().paths_of("libopenssl-conf"), Vec::<std::path::PathBuf>::new());
    for name in WANTED.map(|n| n.trim_start_matches("openwrt:")) {
        for path in system.databases().paths_of(name) {
            assert!(system.dir().join(&path).symlink_metadata().is_ok(), "{name}: {} is missing", path.display());
        }
    }
    before.0.assert_same_but_for(&Answers::of(system), &ours);
    assert_eq!(Ours::between(&before.1, &system.databases()), ours, "apk undid something of ours");
    assert_runs(system);

    xpkg.ok(["remove"].into_iter().chain(WANTED));
    assert!(conf == (system.read(CONF), system.mode_and_ids(CONF)), "Alpine's {CONF} went with the guests");
    let except = ["etc/xpkg", "var/cache", "var/log", "lib/apk/db", "etc/apk", "usr/lib/xpkg", "tmp"];
    before.2.assert_same(&Trace::of(system), &except);
}

/// What opkg would read beside the stock scripts (`postinst-pkg`, `prerm-pkg`) runs, at the removal as well, although apk keeps
/// no such files: this package puts its lines into another's list of services and takes them out again.
#[test]
fn what_lies_beside_scripts_runs() {
    let Some(system) = System::alpine() else { return };
    let xpkg = system.xpkg();
    system.add_opkg_sources(&xpkg);
    xpkg.ok(["update"]);
    let entry = || String::from_utf8_lossy(&system.read("etc/ddns/services")).contains("aliyun.com");
    xpkg.ok(["install", "openwrt:ddns-scripts", "openwrt:ddns-scripts_aliyun"]);
    assert!(entry());
    xpkg.ok(["remove", "openwrt:ddns-scripts_aliyun"]);
    assert!(!entry());
}

/// An ipk's scripts say the same on Alpine as under the real opkg, when it comes, when a newer one takes its place, and when it
/// goes; but that nothing of the old one runs at an upgrade (apk calls nothing then, and OpenWrt's packages for apk do without).
#[test]
fn scripts_hear_what_opkg_tells_them() {
    let (Some(alpine), Some(openwrt)) = (System::alpine(), System::openwrt_opkg()) else { return };
    let mut feed = Feed::opkg();
    openwrt.add_native_source(&feed.line(), keys::USIGN);
    let key = alpine.dir().join("root/keys");
    std::fs::create_dir_all(&key).unwrap();
    keys::USIGN.write_public(&key).unwrap();
    let xpkg = alpine.xpkg();
    let (url, key) = (feed.server.url(), key.to_str().unwrap().to_owned());
    xpkg.ok(["source", "add", "made", &url, "--ecosystem", "openwrt", "--keys", &key]);
    let occasions =
        [ScriptKind::PreInstall, ScriptKind::PostInstall, ScriptKind::PreDeinstall, ScriptKind::PostDeinstall];
    for (version, verb) in [("1-1", "install"), ("2-1", "upgrade")] {
        let told =
            |kind: ScriptKind| format!("#!/bin/sh\necho \"{} $* $PKG_ROOT $PKG_UPGRADE\" >>/root/log\n", kind.as_str());
        let ipk = Ipk::new("told", version).arch("all").file("usr/share/told", version);
        feed.publish(occasions.iter().fold(ipk, |ipk, kind| ipk.script(*kind, &told(*kind))));
        xpkg.ok(["update"]);
        openwrt.ok(["opkg", "update"]);
        xpkg.ok([verb, "openwrt:told"]);
        openwrt.ok(["opkg", verb, "told"]);
    }
    xpkg.ok(["remove", "openwrt:told"]);
    openwrt.ok(["opkg", "remove", "told"]);
    let log = |system: &System| String::from_utf8(system.read("root/log")).unwrap();
    let of_old = |line: &&str| line.starts_with("pre-deinstall upgrade") || line.starts_with("post-deinstall upgrade");
    let real = log(&openwrt);
    let expected: Vec<&str> = real.lines().filter(|line| !of_old(line)).collect();
    assert_eq!(expected.len(), 6, "{real}");
    assert_eq!(log(&alpine).lines().collect::<Vec<_>>(), expected, "of {real}");
}

/// A feed that a stranger signed is not read, whatever it offers.
#[test]
fn a_feed_without_its_key_offers_nothing() {
    let Some(system) = System::alpine() else { return };
    let xpkg = system.xpkg();
    system.add_opkg_sources(&xpkg);
    xpkg.ok(["key", "remove", "owrt-base", "45254a9b94618a73"]);
    let out = xpkg.run(["update"]);
    assert_ne!(out.status, 0);
    let said = format!("{}{}", out.stdout, out.stderr);
    assert!(said.contains("45254a9b94618a73") && said.contains("not among the keys"), "{said}");
    assert!(xpkg.refused(["install", "openwrt:lua"]).contains("lua"));
    let key = xpkg_fixtures::real::data().unwrap().join("openwrt-19.07/keys/45254a9b94618a73");
    xpkg.ok(["key", "add", "owrt-base", key.to_str().unwrap()]);
    xpkg.ok(["update"]);
    xpkg.ok(["install", "openwrt:lua"]);
    assert_eq!(system.ok(["lua", "-e", "print(1 + 1)"]).stdout, "2\n");
}
