//! Images of the real roots, built by ordinary users: what they hold is what a live install leaves, they run, and their bytes
//! depend on nothing but their description.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;
use xpkg_fixtures::real::{self, Change, Seen, capture, run};
use xpkg_model::Ecosystem;
use xpkg_tests::image::{Builder, Mounted};
use xpkg_tests::system::{data_server, ready};
use xpkg_tests::{System, Trace};

/// Two users without any rights; the first is `nobody` on most systems.
const USERS: [u32; 2] = [65534, 4711];
const EPOCH: &str = "1700000000";

struct Source {
    name: &'static str,
    path: &'static str,
}

const fn source(name: &'static str, path: &'static str) -> Source {
    Source { name, path }
}

/// The foreign sources as [`System::add_foreign_sources`] adds them to a live root.
const ALPINE: [Source; 2] =
    [source("alpine-main", "alpine-3.19/main"), source("alpine-community", "alpine-3.19/community")];
const OPENWRT: [Source; 3] = [
    source("openwrt-base", "openwrt-25.12/base"),
    source("openwrt-target", "openwrt-25.12/target/packages.adb"),
    source("openwrt-packages", "openwrt-25.12/packages"),
];

/// A description: `start` is the text of `[base]`, `install` of `[packages]`.
fn description(start: &str, install: &[&str], sources: &[Source], world: Ecosystem, keep: bool) -> String {
    let mut text = format!(
        "schema = \"1.0.0\"\noutput = \"out.squashfs\"\ncompression = \"gzip\"\nsource-date-epoch = {EPOCH}\n\
         [base]\n{start}\n[packages]\ninstall = {install:?}\n"
    );
    for Source { name, path } in sources {
        let url = data_server().url();
        text.push_str(&format!(
            "[[source]]\nname = {name:?}\necosystem = \"{world}\"\nurl = \"{url}/{path}\"\nkeys = \"keys\"\nkeep = {keep}\n"
        ));
    }
    text
}

/// What a system is made of, as an archive that a build starts from.
fn archive(system: &System, to: &Path) {
    let args = ["--numeric-owner", "--sort=name", "-cpf"].map(AsRef::as_ref);
    let args = args.into_iter().chain([to.as_os_str(), "-C".as_ref(), system.dir().as_os_str(), ".".as_ref()]);
    run("tar", args).unwrap().expect_success().unwrap();
}

/// Builds the same image twice: other user, other directory, another day, other threads. Gives back the first builder.
fn build_twice(text: &str, given: &[(&str, &Path)]) -> Builder {
    let first = Builder::new(USERS[0]);
    let second = Builder::new(USERS[1]).tomorrow();
    for (builder, args) in [(&first, ["--json", "-j", "1"]), (&second, ["--json", "-j", "2"])] {
        for (name, path) in given {
            builder.give(name, path);
        }
        let out = builder.build(text, &args).expect_success().unwrap();
        let answer: Value = serde_json::from_str(&out.stdout).unwrap();
        let meta = builder.dir().join("out.squashfs").metadata().unwrap();
        assert_eq!(answer["bytes"], meta.len(), "{answer:#}");
        assert_ne!(meta.uid(), 0, "built with root's rights");
        let leftovers: Vec<_> = fs::read_dir(builder.dir()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert!(leftovers.iter().all(|name| !name.to_string_lossy().starts_with(".tmp")), "{leftovers:?}");
    }
    let image = |builder: &Builder| fs::read(builder.dir().join("out.squashfs")).unwrap();
    assert!(image(&first) == image(&second), "two builds, two images");
    first
}

/// The writer of the images knows no hard links: their names become files of their own.
fn is_former_hard_link(change: &Change) -> bool {
    match change {
        Change::Changed(_, seen) => seen.0.nlink > 1 && Seen { nlink: 1, ..seen.0.clone() } == seen.1,
        _ => false,
    }
}

/// Times of files, links and devices; those of directories follow what happens in them.
fn times(root: &Path, paths: impl Iterator<Item = PathBuf>) -> Vec<(PathBuf, i64)> {
    let meta = |path: &Path| root.join(path).symlink_metadata().unwrap();
    paths.map(|path| (meta(&path), path)).filter(|(m, _)| !m.is_dir()).map(|(m, path)| (path, m.mtime())).collect()
}

/// An image of a root and packages of the other world, against a live install of the same on the same root.
fn assert_like_live(native: Ecosystem, world: Ecosystem, install: &[&str], sources: &[Source], runs: (&[&str], &str)) {
    let Some(system) = System::fresh(native) else { return };
    let place = tempfile::tempdir().unwrap();
    let base = place.path().join("base.tar");
    archive(&system, &base);
    let keys =
        real::data().unwrap().join(if world == Ecosystem::Alpine { "alpine-3.19/keys" } else { "openwrt-25.12/keys" });
    let text = description("archive = \"base.tar\"", install, sources, world, true);
    let builder = build_twice(&text, &[("base.tar", &base), ("keys", &keys)]);
    let mounted = Mounted::new(&builder.dir().join("out.squashfs"));
    let image = System::at(native, mounted.path());
    assert_eq!(image.ok(runs.0.iter().copied()).stdout, runs.1);

    let cache = place.path().join("cache");
    let xpkg = system.xpkg().with(["--cache-dir", cache.to_str().unwrap()]);
    system.add_foreign_sources(&xpkg);
    xpkg.ok(["update"]);
    let mut command = xpkg.command(["install"].iter().chain(install));
    command.env("SOURCE_DATE_EPOCH", EPOCH);
    capture(command).unwrap().expect_success().unwrap();
    assert_eq!(system.ok(runs.0.iter().copied()).stdout, runs.1);

    let (live, made) = (Trace::of(&system), Trace::of(&image));
    live.databases().assert_same(made.databases());
    // The lock file is left where a live root was locked, and a live root remembers its indexes; an image does neither.
    let mut changes = live.changes(&made).without(&["lib/apk/db/lock", "usr/lib/xpkg/seen"]);
    changes.0.retain(|change| !is_former_hard_link(change));
    assert!(changes.is_empty(), "the image is another root than the live one:\n{changes}");
    for path in ["lib/apk/db/installed", "lib/apk/db/triggers", "etc/apk/world", "usr/lib/xpkg/state.sqlite"] {
        assert!(system.read(path) == image.read(path), "{path} has other bytes in the image");
    }
    for name in image.databases().installed.keys() {
        let paths = || image.databases().paths_of(name).into_iter();
        assert_eq!(times(system.dir(), paths()), times(image.dir(), paths()), "times of {name}");
    }
    for question in [&["apk", "list", "-I"][..], &["apk", "info", "-v"], &["apk", "audit", "--system"]] {
        let (live, image) = (system.ok(question), image.ok(question));
        assert_eq!(live.stdout, image.stdout, "{question:?}");
    }
    let list = image.xpkg().json(["list", "--foreign"]);
    assert_eq!(list["packages"], system.xpkg().json(["list", "--foreign"])["packages"]);
    assert!(!list["packages"].as_array().unwrap().is_empty());
}

#[test]
fn openwrt_with_jq_is_what_a_live_install_leaves() {
    let runs: (&[&str], _) = (&["jq", "-n", "1+1"], "2\n");
    assert_like_live(Ecosystem::Openwrt, Ecosystem::Alpine, &["alpine:jq"], &ALPINE, runs);
}

#[test]
fn alpine_with_ucode_is_what_a_live_install_leaves() {
    let runs: (&[&str], _) = (&["ucode", "-e", "print(1 + 1, \"\\n\")"], "2\n");
    assert_like_live(Ecosystem::Alpine, Ecosystem::Openwrt, &["openwrt:ucode"], &OPENWRT, runs);
}

#[test]
fn a_description_says_where_foreign_programs_live() {
    let Some(debian) = System::debian() else { return };
    let place = tempfile::tempdir().unwrap();
    let base = place.path().join("base.tar");
    archive(&debian, &base);
    let builder = Builder::new(USERS[0]);
    builder.give("base.tar", &base);
    builder.give("keys", &real::data().unwrap().join("alpine-3.19/keys"));
    let plain = description("archive = \"base.tar\"", &["alpine:jq"], &ALPINE, Ecosystem::Alpine, false);
    let never = plain.replace("[packages]\n", "[packages]\nlayer = \"never\"\n");
    let planned = builder.build(&never, &["--json", "--dry-run"]).expect_success().unwrap();
    let plan: Value = serde_json::from_str(&planned.stdout).unwrap();
    assert!(plan["steps"].to_string().contains("jq") && !plan.to_string().contains("\"layer\""), "{plan:#}");

    builder.build(&plain, &[]).expect_success().unwrap();
    let mounted = Mounted::new(&builder.dir().join("out.squashfs"));
    let image = System::at(Ecosystem::Other, mounted.path());
    assert_eq!(image.ok(["jq", "-n", "1+1"]).stdout, "2\n");
    assert!(image.has("usr/lib/xpkg/alpine/lib/ld-musl-x86_64.so.1"));
    assert!(image.xpkg().ok(["list"]).stdout.contains("alpine:musl"));
}

#[test]
fn packages_alone_make_a_root() {
    if !ready() {
        return;
    }
    let iso = [source("iso", "alpine-3.19-iso")];
    let start = "ecosystem = \"alpine\"\narch = \"x86_64\"";
    let text = description(start, &["alpine-base"], &iso, Ecosystem::Alpine, false);
    let keys = real::data().unwrap().join("alpine-3.19/keys");
    let builder = build_twice(&text, &[("keys", &keys)]);
    let mounted = Mounted::new(&builder.dir().join("out.squashfs"));
    assert!(!mounted.path().join("etc/xpkg/sources.d").exists(), "a source that was not to stay is in the image");
    let chroot = |args: &[&str]| {
        let args = [mounted.path().to_str().unwrap()].into_iter().chain(args.iter().copied());
        run("chroot", args).unwrap().expect_success().unwrap().stdout
    };
    chroot(&["/bin/busybox", "true"]);
    assert_eq!(chroot(&["/bin/sh", "-c", "echo $((1 + 1))"]), "2\n");
    let listed = chroot(&["/sbin/apk", "info", "-v"]);
    assert_eq!(listed.lines().count(), 25, "{listed}");
    for package in ["alpine-base-3.19.1-r0", "musl-1.2.4_git20230717-r4", "apk-tools-2.14.0-r5"] {
        assert!(listed.lines().any(|line| line == package), "{listed}");
    }
    assert_eq!(chroot(&["/bin/busybox", "cat", "/etc/apk/world"]), "alpine-base\n");
    // Everything that apk has on record is there as the packages have it.
    assert_eq!(chroot(&["/sbin/apk", "audit", "--system"]), "");
}
