//! Plugins that programs open at run time, on real roots: what `check` and a plan say of each, against the root's own loader,
//! which is asked to load the plugin into its program (`ld-musl --preload PLUGIN --list PROGRAM`).

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;
use xpkg_fixtures::real::{self, ALPINE_3_19, Chroot, OPENWRT_19_07, OPENWRT_25_12};
use xpkg_tests::program::Xpkg;
use xpkg_tests::system::ready;

const LOADER: &str = "/lib/ld-musl-x86_64.so.1";

/// Where plugins lie, their program, and one that is not theirs and is put in its place.
type Home = (&'static str, &'static str, &'static str);

/// Homes on each root.
const HOMES: [(&str, &[Home]); 3] = [
    (
        OPENWRT_25_12,
        &[
            ("/usr/lib/rpcd/", "/sbin/rpcd", "/sbin/ubusd"),
            ("/usr/lib/ucode/", "/usr/bin/ucode", "/sbin/ubusd"),
            ("/usr/lib/uhttpd_", "/usr/sbin/uhttpd", "/sbin/ubusd"),
            ("/usr/lib/pppd/", "/usr/sbin/pppd", "/sbin/ubusd"),
        ],
    ),
    (
        OPENWRT_19_07,
        &[
            ("/usr/lib/rpcd/", "/sbin/rpcd", "/sbin/ubusd"),
            ("/usr/lib/lua/", "/usr/bin/lua", "/sbin/ubusd"),
            ("/usr/lib/pppd/", "/usr/sbin/pppd", "/sbin/ubusd"),
            ("/usr/lib/iptables/", "/usr/sbin/iptables", "/sbin/ubusd"),
        ],
    ),
    (
        ALPINE_3_19,
        &[
            ("/usr/lib/engines-3/", "/lib/libcrypto.so.3", "/lib/libz.so.1"),
            ("/usr/lib/ossl-modules/", "/lib/libcrypto.so.3", "/lib/libz.so.1"),
        ],
    ),
];

/// Plugins that `check` of the whole root has a finding about which says that they would not load.
fn ours(root: &std::path::Path, homes: &[Home]) -> BTreeMap<String, bool> {
    let said = Xpkg::on(root).with(["--json"]).run(["check"]);
    let said: Value = serde_json::from_str(&said.stdout).unwrap_or_else(|e| panic!("{e}: {said:?}"));
    let mut found = BTreeMap::new();
    for row in said["checked"].as_array().unwrap() {
        let subject = row["subject"].as_str().unwrap();
        let Some((_, program, _)) = homes.iter().find(|(start, ..)| subject.starts_with(start)) else { continue };
        let codes: Vec<&str> =
            row["findings"].as_array().unwrap().iter().map(|f| f["code"].as_str().unwrap()).collect();
        assert!(!codes.contains(&"plugin-unresolved"), "{subject} has a known program: {row}");
        let bad = codes.iter().any(|code| ["plugin-symbol", "missing-library"].contains(code));
        assert_eq!(row["verdict"] == "ok-with-warnings" && bad, codes.contains(&"plugin-symbol"), "{row}");
        if bad {
            assert!(row["findings"].to_string().contains(program) || codes.contains(&"missing-library"), "{row}");
        }
        found.insert(subject.to_owned(), bad);
    }
    found
}

fn compare(title: &str, root: &std::path::Path, homes: &[Home]) -> usize {
    let chroot = Chroot::new(root).unwrap();
    let ours = ours(root, homes);
    let mut bad = 0;
    for (start, program, _) in homes {
        let mut count = 0;
        for (plugin, refused) in ours.iter().filter(|(plugin, _)| plugin.starts_with(start)) {
            let said = chroot.sh(&format!("{LOADER} --preload {plugin} --list {program} 2>&1")).unwrap();
            let fails = said.stdout.contains("Error relocating") || said.stdout.contains("Error loading");
            assert_eq!(*refused, fails, "{title} {plugin}: {said:?}");
            bad += usize::from(fails);
            count += 1;
        }
        assert!(count > 0, "{title} has no plugin in {start}: {ours:?}");
    }
    bad
}

#[test]
fn plugins_load_where_the_loader_says_so() {
    if !ready() {
        return;
    }
    for (title, homes) in HOMES {
        let dir = real::unpack_root(title).unwrap();
        assert_eq!(compare(title, dir.path(), homes), 0, "a root's own plugins load");
        // Under another program they lack names: the verdict says it of the same ones as the loader.
        for (_, program, other) in homes {
            let (program, other) = (dir.path().join(&program[1..]), dir.path().join(&other[1..]));
            let other = fs::read(other).unwrap();
            fs::write(fs::canonicalize(program).unwrap(), other).unwrap();
        }
        assert!(compare(title, dir.path(), homes) > 0, "{title}");
    }
}
