//! Damaged, unsigned, foreign and outdated indexes and packages, broken downloads and full disks: each is refused in its own
//! words, and the root stays as it was.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use xpkg_fixtures::http::Fault;
use xpkg_fixtures::{ScriptKind, Server, keys, real};
use xpkg_model::Ecosystem;
use xpkg_tests::damage::{Block, blocks, flipped, flipped_in_block, flipped_signature, gzip, inflate, join, members};
use xpkg_tests::feed::{Feed, real_file, repack};
use xpkg_tests::{SmallDisk, System, Trace, Xpkg};

/// Kinds of blocks.
const META: u32 = 0;
const DATA: u32 = 2;
/// What may differ after a refusal: the cache, and the lock that the native manager makes as well.
const EXCEPT: [&str; 3] = ["tmp/cache/xpkg", "var/cache/xpkg", "lib/apk/db/lock"];

/// Copies of real files, served to be damaged.
struct Mirror {
    dir: TempDir,
    server: Server,
}

impl Mirror {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::start(dir.path()).unwrap();
        Self { dir, server }
    }

    fn put(&self, path: &str, bytes: &[u8]) {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn copy(&self, from: &Path, to: &str) -> Vec<u8> {
        let bytes = fs::read(from).unwrap();
        self.put(to, &bytes);
        bytes
    }
}

fn key_dir(data: &Path, world: &str) -> PathBuf {
    data.join(if world == "alpine" { "alpine-3.19/keys" } else { "openwrt-25.12/keys" })
}

#[test]
fn indexes() {
    let Some(system) = System::openwrt() else { return };
    let data = real::data().unwrap();
    let mirror = Mirror::new();
    let alpine = mirror.copy(&data.join("alpine-3.19-iso/x86_64/APKINDEX.tar.gz"), "alpine/x86_64/APKINDEX.tar.gz");
    let openwrt = mirror.copy(&data.join("openwrt-25.12/base/packages.adb"), "openwrt/packages.adb");
    let xpkg = system.xpkg();
    let foreign = mirror.dir.path().join("foreign-keys");
    for key in [keys::RSA, keys::P256] {
        key.write_public(&foreign).unwrap();
    }
    for world in ["alpine", "openwrt"] {
        let url = mirror.server.url_of(world);
        for (name, keys) in [(world.to_owned(), key_dir(&data, world)), (format!("{world}-foreign"), foreign.clone())] {
            xpkg.ok(["source", "add", &name, &url, "--ecosystem", world, "--keys", keys.to_str().unwrap()]);
        }
    }
    let before = Trace::of(&system);
    let refused = |case: &str, source: &str, must: &[&str]| {
        let words = xpkg.refused(["update", source]);
        assert!(must.iter().all(|word| words.contains(word)), "{case}: {must:?} is not in: {words}");
        before.assert_same(&Trace::of(&system), &EXCEPT);
    };

    let parts = members(&alpine);
    let [signature, index] = parts.as_slice() else { panic!("{} members", parts.len()) };
    let path = "alpine/x86_64/APKINDEX.tar.gz";
    mirror.put(path, &flipped(&alpine, signature.packed.len() + index.packed.len() / 2));
    refused("v2: a byte of the index", "alpine", &["bad signature"]);
    mirror.put(path, &join([flipped_signature(signature).as_slice(), &index.packed]));
    refused("v2: a byte of the signature", "alpine", &["bad signature"]);
    mirror.put(path, &index.packed);
    refused("v2: no signature", "alpine", &["is not signed"]);
    mirror.put(path, &alpine[..alpine.len() / 2]);
    refused("v2: half an index", "alpine", &["bad signature"]);
    mirror.put(path, &alpine);
    refused("v2: a foreign key", "alpine-foreign", &["not among the keys"]);
    mirror.server.fault(&format!("/{path}"), Fault::Truncate(1000));
    refused("v2: a truncated download", "alpine", &["could not be fetched"]);
    mirror.server.heal(&format!("/{path}"));

    let plain = inflate(&openwrt);
    let found = blocks(&plain);
    let [meta, signature] = found.as_slice() else { panic!("{found:?}") };
    let middle = |block: &Block| (block.payload.0 + block.payload.1) / 2;
    let path = "openwrt/packages.adb";
    mirror.put(path, &flipped(&plain, middle(meta)));
    refused("v3: a byte of the index", "openwrt", &["bad signature"]);
    mirror.put(path, &flipped(&plain, signature.payload.1 - 1));
    refused("v3: a byte of the signature", "openwrt", &["bad signature"]);
    mirror.put(path, &flipped(&plain, signature.payload.0 + 4));
    refused("v3: a byte of the key's name", "openwrt", &["not among the keys"]);
    mirror.put(path, &plain[..meta.end]);
    refused("v3: no signature", "openwrt", &["is not signed"]);
    mirror.put(path, &openwrt[..openwrt.len() / 2]);
    refused("v3: half an index", "openwrt", &["malformed", "ends too early"]);
    mirror.put(path, &flipped(&openwrt, openwrt.len() / 2));
    refused("v3: a byte of the packed index", "openwrt", &["malformed"]);
    mirror.put(path, &openwrt);
    refused("v3: a foreign key", "openwrt-foreign", &["not among the keys"]);
    mirror.server.fault(&format!("/{path}"), Fault::Truncate(1000));
    refused("v3: a truncated download", "openwrt", &["could not be fetched"]);
    mirror.server.heal(&format!("/{path}"));

    xpkg.ok(["update", "alpine", "openwrt"]);
    // Rightly signed, and older than what was accepted before.
    let path = "alpine/x86_64/APKINDEX.tar.gz";
    mirror.copy(&data.join("alpine-3.19/main/x86_64/APKINDEX.tar.gz"), path);
    xpkg.ok(["update", "alpine"]);
    mirror.put(path, &alpine);
    refused("v2: an index from before", "alpine", &["older than one seen before"]);
    xpkg.ok(["update", "--allow-older", "alpine"]);
    before.assert_same(&Trace::of(&system), &EXCEPT);
}

/// Installs something from a mirror whose file of it is damaged in several ways, and then as it should be.
struct Package<'a> {
    system: &'a System,
    xpkg: Xpkg,
    mirror: &'a Mirror,
    path: String,
    spec: &'a str,
    before: Trace,
}

impl Package<'_> {
    fn refused(&self, case: &str, bytes: &[u8], must: &[&str]) {
        self.mirror.put(&self.path, bytes);
        let words = self.xpkg.refused(["install", self.spec]);
        for word in must {
            assert!(words.contains(word), "{case}: `{word}` is not in: {words}");
        }
        self.before.assert_same(&Trace::of(self.system), &EXCEPT);
    }

    fn installs(&self, bytes: &[u8]) {
        self.mirror.put(&self.path, bytes);
        self.xpkg.ok(["install", self.spec]);
    }
}

#[test]
fn packages_of_the_other_world() {
    let Some(system) = System::openwrt() else { return };
    let data = real::data().unwrap();
    let mirror = Mirror::new();
    mirror.copy(&data.join("alpine-3.19/main/x86_64/APKINDEX.tar.gz"), "main/x86_64/APKINDEX.tar.gz");
    let at = |name: &str| {
        let file = real_file(Ecosystem::Alpine, name);
        let path = format!("main/x86_64/{}", file.file_name().unwrap().to_str().unwrap());
        (mirror.copy(&file, &path), path)
    };
    let (other, _) = at("oniguruma");
    let (good, path) = at("jq");
    let xpkg = system.xpkg();
    let keys = key_dir(&data, "alpine");
    let url = mirror.server.url_of("main");
    xpkg.ok(["source", "add", "main", &url, "--ecosystem", "alpine", "--keys", keys.to_str().unwrap()]);
    xpkg.ok(["update", "main"]);
    let before = Trace::of(&system);
    let jq =
        Package { system: &system, xpkg: xpkg.clone(), mirror: &mirror, path: path.clone(), spec: "alpine:jq", before };
    let parts = members(&good);
    let [signature, control, payload] = parts.as_slice() else { panic!("{} members", parts.len()) };
    let (control_at, payload_at) = (signature.packed.len(), signature.packed.len() + control.packed.len());

    // A flipped byte breaks the header's own packing; one that packs well is another package's.
    jq.refused("a byte of the header", &flipped(&good, control_at + control.packed.len() / 2), &["malformed"]);
    let version = control.content.windows(9).position(|w| w == b"pkgver = ").unwrap();
    let header = gzip(&flipped(&control.content, version + 9));
    let mut other_header = join([signature.packed.as_slice(), &header, &payload.packed]);
    other_header.resize(good.len(), 0);
    jq.refused("another header", &other_header, &["is not what was promised", "identity"]);
    jq.refused(
        "a byte of the payload",
        &flipped(&good, payload_at + payload.packed.len() / 2),
        &["is not what was promised"],
    );
    jq.refused("half a file", &good[..good.len() / 2], &["bytes, the index says"]);
    jq.refused("another package", &other, &["bytes, the index says"]);
    let mut same_size = other.clone();
    same_size.resize(good.len(), 0);
    jq.refused("another package of that size", &same_size, &["is not what was promised", "identity"]);
    let request = format!("/{path}");
    mirror.server.fault(&request, Fault::Truncate(500));
    jq.refused("a truncated download", &good, &["could not be fetched"]);
    mirror.server.fault(&request, Fault::Status(404));
    jq.refused("no file", &good, &["does not exist"]);
    mirror.server.heal(&request);

    // As files on disk nothing but their own signature vouches for them.
    let local = |bytes: &[u8]| {
        let file = mirror.dir.path().join("local.apk");
        fs::write(&file, bytes).unwrap();
        let words = xpkg.refused(["install", file.to_str().unwrap()]);
        jq.before.assert_same(&Trace::of(&system), &EXCEPT);
        words
    };
    let said = local(&join([flipped_signature(signature).as_slice(), &control.packed, &payload.packed]));
    assert!(said.contains("signature"), "{said}");
    let said = local(&join([control.packed.as_slice(), &payload.packed]));
    assert!(said.contains("is not signed"), "{said}");
    let foreign = repack(Ecosystem::Alpine, "jq").pack(xpkg_fixtures::Format::Apk2, Some(keys::OTHER_RSA)).unwrap();
    let said = local(&foreign.bytes);
    assert!(said.contains("key"), "{said}");

    jq.installs(&good);
    assert_eq!(system.ok(["jq", "-n", "1+1"]).stdout, "2\n");
}

#[test]
fn packages_of_the_own_world() {
    let Some(system) = System::openwrt() else { return };
    let data = real::data().unwrap();
    let mirror = Mirror::new();
    mirror.copy(&data.join("openwrt-25.12/base/packages.adb"), "base/packages.adb");
    let file = real_file(Ecosystem::Openwrt, "iw");
    let path = format!("base/{}", file.file_name().unwrap().to_str().unwrap());
    let good = mirror.copy(&file, &path);
    fs::write(system.list_file(), format!("{}/base/packages.adb\n", mirror.server.url())).unwrap();
    let xpkg = system.xpkg();
    xpkg.ok(["update"]);
    let before = Trace::of(&system);
    let iw = Package { system: &system, xpkg, mirror: &mirror, path: path.clone(), spec: "iw", before };
    iw.refused("a byte of the header", &flipped_in_block(&good, META), &["is not what was promised", "identity"]);
    iw.refused("a byte of the payload", &flipped_in_block(&good, DATA), &["is not what was promised"]);
    for part in 1..8 {
        iw.refused("a byte somewhere", &flipped(&good, good.len() * part / 8), &["iw-6.17-r1.apk"]);
    }
    iw.refused("half a file", &good[..good.len() / 2], &["bytes, the index says"]);
    mirror.server.fault(&format!("/{path}"), Fault::Truncate(500));
    iw.refused("a truncated download", &good, &["could not be fetched"]);
    mirror.server.heal(&format!("/{path}"));
    iw.installs(&good);
    assert!(system.ok(["iw", "--version"]).stdout.contains("iw version 6.17"));
}

#[test]
fn full_disks() {
    let Some(fresh) = System::openwrt() else { return };
    let cache = tempfile::tempdir().unwrap();
    let disk = SmallDisk::with(&fresh, 96 << 20);
    let system = &disk.system;
    let xpkg = system.xpkg().with(["--cache-dir", cache.path().to_str().unwrap()]);
    system.add_foreign_sources(&xpkg);
    let mut feed = Feed::new(Ecosystem::Alpine);
    let full = "#!/bin/sh\necho another writer\ndd if=/dev/zero of=/filler bs=4096 2>/dev/null\nexit 0\n";
    feed.publish(repack(Ecosystem::Alpine, "jq").version("1.9.9-r0").script(ScriptKind::PreInstall, full));
    let key = keys::RSA.write_public(cache.path()).unwrap();
    let (url, key) = (feed.server.url(), key.to_str().unwrap());
    xpkg.ok(["source", "add", "full", &url, "--ecosystem", "alpine", "--keys", key, "--priority", "9"]);
    xpkg.ok(["update"]);

    let before = Trace::of(system);
    disk.fill_up_to(2 << 20);
    let words = xpkg.refused(["install", "alpine:git"]);
    assert!(words.contains("free") && words.contains("need"), "{words}");
    disk.free();
    before.assert_same(&Trace::of(system), &EXCEPT);

    let words = xpkg.refused(["install", "alpine:jq=1.9.9-r0"]);
    assert!(words.contains("became full"), "{words}");
    assert!(system.has("filler"), "the other writer did not run: {words}");
    disk.free();
    before.assert_same(&Trace::of(system), &EXCEPT);

    xpkg.ok(["source", "remove", "full"]);
    xpkg.ok(["install", "alpine:jq", "alpine:git"]);
    assert_eq!(system.ok(["jq", "-n", "1+1"]).stdout, "2\n");
}
