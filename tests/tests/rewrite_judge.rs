//! Published packages and indexes, written again by our writers and signed anew: the real apk of each generation reads them as
//! it reads the originals, dumps the same of them, and installs the same trees from them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use xpkg_fixtures::real::{self, Output, diff, snapshot};
use xpkg_fixtures::{Apk, Key, Repo, keys};
use xpkg_formats::Limits;
use xpkg_formats::apk::index;
use xpkg_formats::package::Format;
use xpkg_model::Ecosystem;
use xpkg_tests::System;

/// Every package file of those folders of the real data, each once.
fn packages(folders: &[&str]) -> Vec<PathBuf> {
    let data = real::data().unwrap();
    let files = folders.iter().flat_map(|folder| fs::read_dir(data.join(folder)).unwrap());
    let mut paths: Vec<PathBuf> = files.map(|e| e.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "apk"));
    // A package may lie in two of them.
    paths.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    paths.dedup_by(|a, b| a.file_name() == b.file_name());
    paths
}

/// The originals beside what our writers made of them, below `/root` of a system.
struct Written {
    system: System,
    repo: Repo,
    files: Vec<PathBuf>,
}

impl Written {
    fn new(system: System, folders: &[&str], make: fn(PathBuf, Key) -> Repo, key: Key) -> Self {
        let mut repo = make(system.dir().join("root/ours"), key);
        let theirs = system.dir().join("root/theirs");
        fs::create_dir_all(&theirs).unwrap();
        let mut files = Vec::new();
        for path in packages(folders) {
            let package = repo.add(Apk::repack(&path, system.native).unwrap()).unwrap();
            fs::copy(&path, theirs.join(path.file_name().unwrap())).unwrap();
            files.push(PathBuf::from("/root/ours").join(repo.package_path(&package)));
        }
        repo.write_index().unwrap();
        key.write_public(&system.dir().join("etc/apk/keys")).unwrap();
        Self { system, repo, files }
    }

    fn ours(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|path| path.to_str().unwrap())
    }

    fn theirs(&self) -> impl Iterator<Item = String> {
        self.files.iter().map(|path| format!("/root/theirs/{}", path.file_name().unwrap().to_str().unwrap()))
    }

    /// Index lines with the flag and without the network.
    fn apk<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Output {
        let args: Vec<&str> = ["apk", "--no-network"].into_iter().chain(args).collect();
        self.system.ok(args)
    }

    /// Installs into a new root that knows one repository only, without scripts, and gives its directory.
    fn install(&self, to: &str, repository: &str, names: &[&str]) -> PathBuf {
        let root = format!("/root/{to}");
        let dir = self.system.dir().join(&root[1..]);
        fs::create_dir_all(dir.join("etc/apk")).unwrap();
        let none = dir.join("etc/apk/repositories");
        fs::write(&none, "").unwrap();
        let keys = ["--keys-dir", "/etc/apk/keys", "--repositories-file", "/dev/null"];
        let place = [
            "--root",
            &root,
            "--initdb",
            "--arch",
            "x86_64",
            "--allow-untrusted",
            "--no-scripts",
            "--repository",
            repository,
            "add",
        ];
        self.apk(keys.into_iter().chain(place).chain(names.iter().copied()));
        dir
    }
}

/// Both trees hold the same, but for databases, which name other identities.
fn assert_same_tree(theirs: &Path, ours: &Path) {
    let (theirs, ours) = (snapshot(theirs).unwrap(), snapshot(ours).unwrap());
    let changes =
        diff(&theirs, &ours).without(&["lib/apk/db", "var/log", "var/cache", "etc/apk/cache", "etc/apk/world"]);
    assert!(theirs.len() > 250, "{}", theirs.len());
    assert!(changes.is_empty(), "{changes}");
}

/// Says of two long texts only where they part.
fn assert_same_text(theirs: &str, ours: &str, what: &str) {
    for (theirs, ours) in theirs.lines().zip(ours.lines()) {
        assert_eq!(theirs, ours, "{what}");
    }
    assert_eq!(theirs.lines().count(), ours.lines().count(), "{what}");
}

/// An index of the real data, written again and signed with our key.
fn rewrite_index(path: &Path, key: Key) -> Vec<u8> {
    let what = path.display().to_string();
    let file = fs::File::open(path).unwrap();
    let mut packages = Vec::new();
    let mut opened = index::open(file, &what, &Limits::default()).unwrap();
    let info = opened.read(Ecosystem::Alpine, &mut |p| {
        packages.push(p);
        Ok(())
    });
    let (info, mut out, key) = (info.unwrap(), Vec::new(), key.secret().unwrap());
    match info.format {
        Format::Apk2 => index::write_v2(&mut out, &info.description, &packages, Some(&key)).unwrap(),
        _ => index::write_adb(&mut out, &info.description, &packages, Some(&key)).unwrap(),
    }
    out
}

/// Lines of an index that `apk index` made of package files, without what depends on their bytes.
fn index_lines(system: &System, files: impl Iterator<Item = String>) -> BTreeSet<String> {
    let index = ["apk", "index", "--allow-untrusted", "--no-warnings", "-o", "/root/made.tar.gz"];
    system.ok(index.map(str::to_owned).into_iter().chain(files));
    let text = system.sh("tar -xzOf /root/made.tar.gz APKINDEX");
    let stanza = |stanza: &str| {
        let kept = stanza.lines().filter(|l| !l.starts_with("C:") && !l.starts_with("S:"));
        kept.map(|l| format!("{l}\n")).collect::<String>()
    };
    text.stdout.split("\n\n").map(stanza).collect()
}

#[test]
fn apk_2_takes_rewritten_packages_for_the_originals() {
    let Some(system) = System::alpine() else { return };
    let folders = [
        "alpine-3.19/main/x86_64",
        "alpine-3.19/community/x86_64",
        "alpine-3.19-iso/x86_64",
        "made/alpine-tmux/x86_64",
    ];
    let written = Written::new(system, &folders, |dir, key| Repo::v2(dir, key).unwrap(), keys::RSA);
    assert!(written.files.len() > 190, "{}", written.files.len());

    let said = written.apk(["verify"].into_iter().chain(written.ours()));
    assert!(said.lines().count() == written.files.len() && said.lines().all(|l| l.ends_with(": 0 - OK")), "{said:?}");
    let theirs = index_lines(&written.system, written.theirs());
    assert!(theirs.len() >= written.files.len(), "{}", theirs.len());
    let ours = index_lines(&written.system, written.ours().map(str::to_owned));
    for (theirs, ours) in theirs.iter().zip(&ours) {
        assert_same_text(theirs, ours, "apk index");
    }

    // The original signed repository of the medium is complete in itself.
    let data = real::data().unwrap().join("alpine-3.19-iso");
    let from = written.system.dir().join("root/medium");
    fs::create_dir_all(from.join("x86_64")).unwrap();
    for entry in fs::read_dir(data.join("x86_64")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, from.join("x86_64").join(path.file_name().unwrap())).unwrap();
    }
    let names = ["alpine-base", "openssh", "chrony", "e2fsprogs", "gnutls-utils"];
    let theirs = written.install("a", "/root/medium", &names[..4]);
    let ours = written.install("b", "/root/ours", &names[..4]);
    assert_same_tree(&theirs, &ours);

    // On the root itself, over the network, with scripts.
    let server = xpkg_fixtures::Server::start(written.repo.dir()).unwrap();
    fs::write(written.system.list_file(), format!("{}\n", written.repo.line(&server.url()))).unwrap();
    let said = written.system.ok(["apk", "update"]);
    assert!(!format!("{}{}", said.stdout, said.stderr).contains("WARNING"), "{said:?}");
    written.system.ok(["apk", "add", "jq", "git"]);
    assert_eq!(written.system.ok(["jq", "-n", "1+1"]).stdout, "2\n");
    assert!(written.system.ok(["git", "version"]).stdout.starts_with("git version 2.43.4"));
    written.system.ok(["apk", "fetch", "-o", "/root", "jq"]);
    let said = written.system.ok(["apk", "verify", "/root/jq-1.7.1-r0.apk"]);
    assert_eq!(said.stdout, "/root/jq-1.7.1-r0.apk: 0 - OK\n");
    written.system.ok(["apk", "audit", "--packages"]);
    written.system.ok(["apk", "del", "jq", "git"]);
}

/// Original and rewritten index in two repositories of a system; asks the same of both.
fn assert_same_answers(system: &System, original: &Path, key: Key, line: &str, questions: &[&[&str]]) -> usize {
    let mut answers = Vec::new();
    for (name, bytes) in [("theirs", fs::read(original).unwrap()), ("ours", rewrite_index(original, key))] {
        system.write(&format!("root/{name}/{line}"), bytes);
        let repository = format!("/root/{name}/{}", if line == PACKAGES_ADB { line } else { "" });
        let of = ["apk", "--no-network", "--repositories-file", "/dev/null", "--repository", &repository];
        let ask = |question: &&[&str]| {
            let said = system.ok(of.iter().chain(*question));
            assert!(!said.stderr.contains("WARNING") && !said.stderr.contains("ERROR"), "{said:?}");
            said.stdout.lines().map(str::to_owned).collect::<BTreeSet<_>>()
        };
        answers.push(questions.iter().map(ask).collect::<Vec<_>>());
    }
    for ((theirs, ours), question) in answers[0].iter().zip(&answers[1]).zip(questions) {
        let first = theirs.symmetric_difference(ours).next();
        assert!(first.is_none(), "{} {question:?}: {first:?}", original.display());
    }
    answers[0].iter().map(BTreeSet::len).sum()
}

const APKINDEX: &str = "x86_64/APKINDEX.tar.gz";
const PACKAGES_ADB: &str = "packages.adb";

#[test]
fn apk_2_reads_rewritten_indexes_as_the_originals() {
    let Some(system) = System::alpine() else { return };
    let data = real::data().unwrap();
    fs::remove_file(system.dir().join("lib/apk/db/installed")).unwrap();
    system.write("lib/apk/db/installed", "");
    system.write("etc/apk/world", "");
    for entry in fs::read_dir(data.join("alpine-3.19/keys")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, system.dir().join("etc/apk/keys").join(path.file_name().unwrap())).unwrap();
    }
    keys::RSA.write_public(&system.dir().join("etc/apk/keys")).unwrap();
    let questions: [&[&str]; 3] = [&["list"], &["search", "-v", "-d"], &["dot"]];
    for path in [
        "alpine-3.19/main/x86_64/APKINDEX.tar.gz",
        "alpine-3.19/community/x86_64/APKINDEX.tar.gz",
        "alpine-3.19-iso/x86_64/APKINDEX.tar.gz",
        "indexes/alpine-3.12/main.APKINDEX.tar.gz",
        "indexes/alpine-3.12/community.APKINDEX.tar.gz",
    ] {
        let lines = assert_same_answers(&system, &data.join(path), keys::RSA, APKINDEX, &questions);
        assert!(lines > 300, "{path}: {lines}");
    }
}

/// What `apk adbdump` says, without the signatures and a package's own identity: that is a digest of how it is laid out.
fn dump(system: &System, path: &str) -> String {
    let said = system.ok(["apk", "adbdump", path]);
    let kept = said.stdout.lines().filter(|line| !line.starts_with('#') && !line.starts_with("  hashes: "));
    kept.map(|line| format!("{line}\n")).collect()
}

#[test]
fn apk_3_takes_rewritten_packages_and_indexes_for_the_originals() {
    let Some(system) = System::openwrt() else { return };
    let feeds = ["base", "target", "packages", "luci", "routing"].map(|f| format!("openwrt-25.12/{f}"));
    let folders: Vec<&str> = feeds.iter().map(String::as_str).chain(["made/openwrt-tmux-apk3"]).collect();
    let written = Written::new(system, &folders, |dir, key| Repo::v3(dir, key).unwrap(), keys::P256);
    let system = &written.system;
    assert!(written.files.len() > 110, "{}", written.files.len());
    for (theirs, ours) in written.theirs().zip(written.ours()) {
        assert_same_text(&dump(system, &theirs), &dump(system, ours), ours);
    }
    let data = real::data().unwrap();
    for folder in &folders {
        let original = data.join(folder).join(PACKAGES_ADB);
        system.write("root/theirs.adb", fs::read(&original).unwrap());
        system.write("root/ours.adb", rewrite_index(&original, keys::P256));
        let theirs = dump(system, "/root/theirs.adb");
        assert!(theirs.len() > 100, "{folder}: {theirs}");
        assert_same_text(&theirs, &dump(system, "/root/ours.adb"), folder);
        let said = system.ok(["apk", "verify", "/root/ours.adb"]);
        assert!(said.stdout.contains("OK"), "{said:?}");
    }

    // The originals' index is unsigned: this apk is built without the means to make one.
    let theirs = system.dir().join("root/theirs");
    system.xpkg().ok(["index", theirs.to_str().unwrap(), "--format", "apk3"]);
    let names = ["ucode", "ucode-mod-fs", "jsonfilter", "usign", "uhttpd", "dnsmasq", "ip-full", "tmux", "busybox"];
    let theirs = written.install("a", "/root/theirs/packages.adb", &names);
    let ours = written.install("b", "/root/ours/packages.adb", &names);
    assert_same_tree(&theirs, &ours);
    let anew = real::Chroot::new(&ours).unwrap();
    let said = anew.run(["ucode", "-e", "print(1 + 1)"]).unwrap().expect_success().unwrap();
    assert_eq!(said.stdout, "2");

    let server = xpkg_fixtures::Server::start(written.repo.dir()).unwrap();
    fs::write(system.list_file(), format!("{}\n", written.repo.line(&server.url()))).unwrap();
    let said = system.ok(["apk", "update"]);
    assert!(!format!("{}{}", said.stdout, said.stderr).contains("WARNING"), "{said:?}");
    system.ok(["apk", "add", "tmux"]);
    assert_eq!(system.ok(["tmux", "-V"]).stdout, "tmux 3.3a\n");
    system.ok(["apk", "fetch", "-o", "/root", "tmux"]);
    system.ok(["apk", "verify", "--allow-untrusted", "/root/tmux-3.3a-r2.apk"]);
    system.ok(["apk", "del", "tmux"]);
}
