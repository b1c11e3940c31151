//! Alpine's jq and git on a real OpenWrt 25.12: they run, lean on OpenWrt's own libraries, and the root's own apk stays
//! content.

use std::collections::BTreeSet;
use std::io::Cursor;

use serde_json::Value;
use xpkg_fixtures::elf::drop_symbol;
use xpkg_fixtures::{Server, keys};
use xpkg_formats::{Limits, elf, package};
use xpkg_model::Ecosystem;
use xpkg_model::elf::ElfFacts;
use xpkg_model::payload::EntryKind;
use xpkg_tests::feed::{Feed, real_file, repack};
use xpkg_tests::judge::Ours;
use xpkg_tests::{Answers, Overlay, System, TlsServer, Trace, Xpkg, tls};

/// What Alpine may never bring to an OpenWrt root.
const NEVER: [&str; 7] = ["musl", "busybox", "ca-certificates", "zlib", "libcrypto3", "libssl3", "openssl"];
/// OpenSSL's dependants on that root, for `apk del`.
const OPENSSL_USERS: [&str; 3] = ["libopenssl3", "openssh-client", "openssh-keygen"];

/// What may differ after a refusal: the cache, and the lock that the native manager makes as well.
const EXCEPT: [&str; 2] = ["tmp/cache/xpkg", "lib/apk/db/lock"];

fn steps(plan: &Value) -> Vec<(String, String, String)> {
    let word = |step: &Value, key: &str| step[key].as_str().unwrap().to_owned();
    let steps = plan["steps"].as_array().unwrap();
    steps.iter().map(|s| (word(s, "action"), word(s, "ecosystem"), word(s, "name"))).collect()
}

fn brings(plan: &Value, ecosystem: &str, name: &str) -> bool {
    steps(plan).iter().any(|(action, e, n)| action == "install" && e == ecosystem && n == name)
}

/// What a plan says that a native package gives: requirements by native package.
fn given_by(plan: &Value, native: &str) -> BTreeSet<String> {
    let uses = plan["host_uses"].as_array().unwrap();
    let from = uses.iter().filter(|used| used["native"] == native);
    from.map(|used| used["requirement"].as_str().unwrap().to_owned()).collect()
}

fn assert_nothing_of_alpines_base(plan: &Value) {
    for (_, ecosystem, name) in steps(plan) {
        let forbidden = NEVER.iter().any(|n| name == *n || name.starts_with(&format!("{n}-")));
        assert!(ecosystem != "alpine" || !forbidden, "the plan brings alpine:{name}: {plan:#}");
    }
}

fn bridged(system: &System) -> Xpkg {
    let xpkg = system.xpkg();
    system.add_foreign_sources(&xpkg);
    let updated = xpkg.json(["update"]);
    let sources = updated["sources"].as_array().unwrap();
    let count = |name: &str| sources.iter().find(|s| s["name"] == name).map(|s| s["packages"].as_u64().unwrap());
    assert_eq!((count("alpine-main"), count("alpine-community")), (Some(5443), Some(17_587)), "{updated:#}");
    xpkg
}

fn assert_runs(system: &System) {
    assert_eq!(system.ok(["jq", "-n", "1+1"]).stdout, "2\n");
    assert_runs_git(system);
}

/// git commits, and its curl helper fetches over http and https.
fn assert_runs_git(system: &System) {
    system.sh(
        "set -e; export HOME=/tmp/git-test; mkdir -p $HOME; cd $HOME; git init -q work; cd work; \
         git config user.name T; git config user.email t@example.invalid; echo hello >a; git add a; git commit -q -m first; \
         git log --format=%s | grep -qx first; git clone -q --bare . ../served/x.git; cd ../served/x.git; git update-server-info",
    );
    let head = system.sh("cd /tmp/git-test/work && git rev-parse HEAD").stdout;
    system.write("tmp/git-test/ca.crt", tls::CERTIFICATE);
    let plain = Server::start(system.dir().join("tmp/git-test/served")).unwrap();
    let encrypted = TlsServer::before(&plain.url());
    for url in [plain.url(), encrypted.url()] {
        let said = system.sh(&format!("GIT_SSL_CAINFO=/tmp/git-test/ca.crt git ls-remote {url}/x.git HEAD"));
        assert_eq!(said.stdout, format!("{}\tHEAD\n", head.trim()), "{said:?}");
    }
    assert!(plain.count("/x.git/info/refs") >= 2, "nobody asked over http: {:?}", plain.requests());
    let distrusted = system.chroot.sh(&format!("git ls-remote {}/x.git HEAD", encrypted.url())).unwrap();
    assert!(!distrusted.success(), "an unknown authority was trusted: {distrusted:?}");
    system.sh("rm -rf /tmp/git-test");
}

/// The native manager knows every file of ours, and each is there as it is on record.
fn assert_on_record(system: &System, ours: &Ours) {
    let databases = system.databases();
    for name in ours.0.keys() {
        for path in databases.paths_of(name) {
            assert!(system.dir().join(&path).symlink_metadata().is_ok(), "{name}: {} is missing", path.display());
        }
    }
    let who = system.ok(["apk", "info", "-W", "/usr/bin/jq", "/usr/bin/git"]).stdout;
    assert!(who.contains("jq-1.7.1-r0") && who.contains("git-2.43.4-r0"), "{who}");
}

/// On a root as devices have it.
fn on_overlay(test: fn(&System)) {
    let Some(fresh) = System::openwrt() else { return };
    let Some(overlay) = Overlay::new(fresh.dir()) else { return };
    test(&System::at(Ecosystem::Openwrt, overlay.merged()));
}

#[test]
fn jq_and_git_run_and_apk_stays_content() {
    let Some(system) = System::openwrt() else { return };
    bridge(&system);
}

#[test]
fn jq_and_git_on_an_overlay() {
    on_overlay(bridge);
}

fn bridge(system: &System) {
    let before = (Answers::of(system), system.databases());
    let xpkg = bridged(system);
    let dry = xpkg.json(["install", "--dry-run", "alpine:jq", "alpine:git"]);
    assert_eq!(dry["done"], false);
    assert_eq!(before.1, system.databases(), "a dry run changed something");

    let plan = xpkg.json(["install", "alpine:jq", "alpine:git"]);
    assert_eq!(plan["done"], true);
    assert_eq!(plan["script_failures"], Value::Array(Vec::new()), "{plan:#}");
    assert!(brings(&plan, "alpine", "jq") && brings(&plan, "alpine", "git") && brings(&plan, "alpine", "libcurl"));
    assert_nothing_of_alpines_base(&plan);
    assert!(steps(&plan).iter().all(|(action, ..)| action == "install"), "{plan:#}");
    let openssl = given_by(&plan, "libopenssl3");
    for soname in ["so:libcrypto.so.3", "so:libssl.so.3"] {
        assert!(openssl.iter().any(|r| r.starts_with(soname)), "{soname} is not from libopenssl3: {plan:#}");
    }
    assert!(given_by(&plan, "zlib").iter().any(|r| r.starts_with("so:libz.so.1")), "{plan:#}");
    assert_runs(system);

    let ours = Ours::between(&before.1, &system.databases());
    assert!(ours.0.contains_key("jq") && ours.0.contains_key("git"), "{ours:?}");
    assert!(NEVER.iter().all(|name| !ours.0.contains_key(*name)), "{ours:?}");
    assert_on_record(system, &ours);
    let after = Answers::of(system);
    before.0.assert_same_but_for(&after, &ours);
    let needs_zlib = &after.to("apk del -s zlib").stdout;
    assert!(
        needs_zlib.split_whitespace().any(|w| ours.0.contains_key(w)),
        "apk does not know that we need zlib: {needs_zlib}"
    );
    assert_eq!(Ours::between(&before.1, &system.databases()), ours, "apk undid something of ours");
    assert_runs(system);
    let list = xpkg.json(["list", "--foreign"]);
    let listed: BTreeSet<_> =
        list["packages"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
    assert!(listed.is_superset(&["git", "jq", "libcurl"].into()), "{list:#}");
}

#[test]
fn openssl_that_was_removed_comes_back_from_openwrts_feed() {
    let Some(system) = System::openwrt() else { return };
    bridge_without_openssl(&system);
}

#[test]
fn openssl_comes_back_on_an_overlay() {
    on_overlay(bridge_without_openssl);
}

fn bridge_without_openssl(system: &System) {
    system.ok(["apk", "update"]);
    system.ok(["apk", "del"].into_iter().chain(OPENSSL_USERS));
    assert!(!system.has("usr/lib/libcrypto.so.3"));
    let before = (Answers::of(system), system.databases());
    let xpkg = bridged(system);
    let plan = xpkg.json(["install", "alpine:jq", "alpine:git"]);
    assert!(brings(&plan, "openwrt", "libopenssl3"), "{plan:#}");
    assert_nothing_of_alpines_base(&plan);
    assert_runs(system);
    let ours = Ours::between(&before.1, &system.databases());
    assert_eq!(ours.0.get("libopenssl3").map(String::as_str), Some("3.5.5-r1"), "{ours:?}");
    assert_on_record(system, &ours);
    before.0.assert_same_but_for(&Answers::of(system), &ours);
    assert_eq!(Ours::between(&before.1, &system.databases()), ours, "apk undid something of ours");
    assert_runs(system);
}

fn facts_in(ecosystem: Ecosystem, name: &str, path: &str) -> (ElfFacts, Vec<u8>) {
    let file = std::fs::File::open(real_file(ecosystem, name)).unwrap();
    let mut opened = package::open(file, name, ecosystem, &Limits::default()).unwrap();
    let mut found = None;
    let mut sink = |entry: &xpkg_model::payload::Entry, content: &mut dyn std::io::Read| {
        if entry.kind == EntryKind::File && entry.path.to_string().starts_with(path) {
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes)?;
            found = Some(bytes);
        }
        Ok(())
    };
    opened.read_payload(&mut sink).unwrap();
    let bytes = found.unwrap_or_else(|| panic!("{name} has no {path}"));
    let facts = elf::read_facts(&mut Cursor::new(&bytes), name, &Limits::default()).unwrap().unwrap();
    (facts, bytes)
}

/// A name that Alpine's libcurl takes from OpenWrt's libssl.
fn needed_symbol() -> String {
    let (curl, _) = facts_in(Ecosystem::Alpine, "libcurl", "/usr/lib/libcurl.so.4");
    let (ssl, bytes) = facts_in(Ecosystem::Openwrt, "libopenssl3", "/usr/lib/libssl.so.3");
    let shared = |name: &&String| ssl.exports.iter().any(|e| e.name == **name);
    let droppable = |name: &&String| drop_symbol(&mut bytes.clone(), name).is_ok();
    curl.undefined.iter().filter(shared).find(droppable).expect("libcurl needs nothing of libssl").clone()
}

fn assert_refused(system: &System, xpkg: &Xpkg, symbol: &str) {
    let before = Trace::of(system);
    let said = xpkg.refused(["install", "alpine:jq", "alpine:git"]);
    assert!(said.contains(symbol), "the symbol {symbol} is not named: {said}");
    assert!(said.contains("libcurl"), "the consumer is not named: {said}");
    assert!(said.contains("libssl.so.3"), "the library is not named: {said}");
    before.assert_same(&Trace::of(system), &EXCEPT);
    let json: Value =
        serde_json::from_str(&xpkg.clone().with(["--json"]).run(["install", "alpine:git"]).stdout).unwrap();
    assert!(json.to_string().contains(symbol), "{json:#}");
}

#[test]
fn an_installed_library_without_a_needed_symbol_is_refused() {
    let Some(system) = System::openwrt() else { return };
    let symbol = needed_symbol();
    let mut library = system.read("usr/lib/libssl.so.3");
    drop_symbol(&mut library, &symbol).unwrap();
    system.write("usr/lib/libssl.so.3", library);
    let xpkg = bridged(&system);
    assert_refused(&system, &xpkg, &symbol);
}

#[test]
fn an_offered_library_without_a_needed_symbol_is_refused() {
    let Some(system) = System::openwrt() else { return };
    let symbol = needed_symbol();
    let ssl = repack(Ecosystem::Openwrt, "libopenssl3");
    let mut feed = Feed::new(Ecosystem::Openwrt);
    feed.publish(ssl.drop_symbol("/usr/lib/libssl.so.3", &symbol));
    system.ok(["apk", "update"]);
    system.ok(["apk", "del"].into_iter().chain(OPENSSL_USERS));
    std::fs::write(system.list_file(), "").unwrap();
    system.add_native_source(&feed.line(), keys::P256);
    system.ok(["apk", "update"]);
    let xpkg = bridged(&system);
    assert_refused(&system, &xpkg, &symbol);
    // The very same feed with the package as OpenWrt made it is good.
    feed.publish(repack(Ecosystem::Openwrt, "libopenssl3"));
    xpkg.ok(["update"]);
    let plan = xpkg.json(["install", "alpine:jq", "alpine:git"]);
    assert!(brings(&plan, "openwrt", "libopenssl3"), "{plan:#}");
    assert_eq!(system.ok(["jq", "-n", "1+1"]).stdout, "2\n");
}

/// What leans on a library of the other world is not taken away from it: neither by an upgrade nor by a removal.
#[test]
fn what_git_needs_stays() {
    let Some(system) = System::openwrt() else { return };
    let symbol = needed_symbol();
    system.ok(["apk", "del", "openssh-client", "openssh-keygen"]);
    let xpkg = bridged(&system);
    xpkg.ok(["install", "alpine:git"]);
    let mut feed = Feed::new(Ecosystem::Openwrt);
    let newer = |version: &str| repack(Ecosystem::Openwrt, "libopenssl3").version(version);
    feed.publish(newer("3.9.0-r1").drop_symbol("/usr/lib/libssl.so.3", &symbol));
    system.add_native_source(&feed.line(), keys::P256);
    xpkg.ok(["update"]);
    let before = Trace::of(&system);
    let said = xpkg.run(["upgrade", "libopenssl3"]);
    let words = format!("{}{}", said.stdout, said.stderr);
    assert!(words.contains(&symbol) && words.contains("libcurl"), "not said why: {said:?}");
    before.assert_same(&Trace::of(&system), &EXCEPT);
    let words = xpkg.refused(["remove", "libopenssl3"]);
    assert!(words.contains("alpine:git") || words.contains("alpine:libcurl"), "not said who needs it: {words}");
    before.assert_same(&Trace::of(&system), &EXCEPT);
    let plan = xpkg.json(["remove", "--cascade", "--dry-run", "libopenssl3"]);
    assert!(steps(&plan).contains(&("remove".to_owned(), "alpine".to_owned(), "git".to_owned())), "{plan:#}");
    // One that has every name may come.
    feed.publish(newer("3.9.1-r1"));
    xpkg.ok(["update"]);
    let plan = xpkg.json(["upgrade", "libopenssl3"]);
    assert_eq!(plan["steps"][0]["version"], "3.9.1-r1", "{plan:#}");
    assert_runs_git(&system);
}
