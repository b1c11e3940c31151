//! Transactions on small generated roots: what comes, what goes, what is refused, and what is left.

#![allow(missing_docs)]

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use support::{Run, Source, assert_same, changes, live, look};
use xpkg_fixtures::{Apk, Root};
use xpkg_install::{Begin, Error, Meta, Need, Target};
use xpkg_model::Ecosystem::{Alpine, Openwrt};
use xpkg_model::installed::Installed;
use xpkg_model::{Package, RelPath};

fn openwrt() -> (tempfile::TempDir, Root) {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::openwrt(dir.path()).unwrap();
    (dir, root)
}

fn alpine() -> (tempfile::TempDir, Root) {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::alpine(dir.path()).unwrap();
    (dir, root)
}

fn installed(root: &Root) -> Installed {
    xpkg_install::installed::read(&live(root.dir()), root.native()).unwrap()
}

fn provider(name: &str) -> Package {
    let mut package = Package::new(Openwrt, name, "1");
    package.provides.push(xpkg_model::Provide::versioned("so:libc.musl-x86_64.so.1", "1"));
    package.arch = "noarch".into();
    package
}

fn tool(version: &str) -> Apk {
    Apk::new("tool", version)
        .depends("so:libc.musl-x86_64.so.1")
        .file("usr/bin/tool", "#!/bin/sh\n")
        .symlink("usr/bin/t", "tool")
        .file("usr/share/tool/data", "data")
        .hardlink("usr/share/tool/same", "usr/share/tool/data")
        .dir("usr/share/tool/empty")
        .mode(0o700)
        .conffile("etc/tool.conf", "a=1\n")
}

#[test]
fn a_foreign_package_comes_and_goes_without_a_trace() {
    for (ecosystem, (_dir, root)) in [(Alpine, openwrt()), (Openwrt, alpine())] {
        let before = look(root.dir());
        let source = Source::new(tool("1.0-r0"), ecosystem);
        let run = Run::new(root.native(), &[&source]).provider(provider("xpkg-abi"));
        let receipt = run.go(root.dir(), [source.step(None)]);
        assert_eq!(receipt.installed.len(), 1);
        let data = fs::metadata(root.dir().join("usr/share/tool/data")).unwrap();
        let same = fs::metadata(root.dir().join("usr/share/tool/same")).unwrap();
        assert_eq!((data.ino(), data.nlink()), (same.ino(), 2));
        assert_eq!(fs::metadata(root.dir().join("usr/share/tool/empty")).unwrap().permissions().mode() & 0o7777, 0o700);
        assert_eq!(fs::read_link(root.dir().join("usr/bin/t")).unwrap().to_str(), Some("tool"));

        let now = installed(&root);
        let found = now.get(ecosystem, "tool").expect("it is installed");
        assert!(found.explicit && found.foreign);
        assert_eq!(found.package.identity, source.package.identity);
        assert!(now.packages.iter().all(|p| p.package.name != "xpkg-abi"));
        assert_eq!(now.wanted.iter().map(ToString::to_string).collect::<Vec<_>>(), [format!("{ecosystem}:tool")]);
        let world = String::from_utf8(root.read("etc/apk/world").unwrap()).unwrap();
        assert!(world.contains("tool><Q1"), "{world}");

        fs::write(root.dir().join("usr/share/tool/mine"), "a person's").unwrap();
        Run::new(root.native(), &[]).go(root.dir(), [source.removal()]);
        let left = changes(&before, root.dir());
        let paths: Vec<_> = left.paths().into_iter().map(|p| p.to_str().unwrap().trim_start_matches('/')).collect();
        let above = |p: &&str| "usr/share/tool/mine".starts_with(*p);
        assert!(paths.contains(&"usr/share/tool/mine") && paths.iter().all(above), "{left:?}");
    }
}

#[test]
fn native_packages_install_upgrade_and_leave() {
    for (_dir, root) in [openwrt(), alpine()] {
        let before = look(root.dir());
        let old = Source::new(tool("1.0-r0").file("usr/bin/gone", "x").file("usr/lib/shape", "file"), root.native());
        let new = Source::new(
            tool("1.1-r0")
                .remove("usr/bin/t")
                .file("usr/bin/t", "now a file")
                .file("usr/lib/shape/inner", "now a directory"),
            root.native(),
        );
        let back = Source::new(tool("1.2-r0").file("usr/lib/shape", "file again"), root.native());
        Run::new(root.native(), &[&old]).go(root.dir(), [old.step(None)]);
        assert!(!root.dir().join("usr/lib/xpkg").exists(), "a native package leaves no state of ours");
        Run::new(root.native(), &[&new]).go(root.dir(), [new.step(Some(&old))]);
        assert!(!root.dir().join("usr/bin/gone").exists());
        assert_eq!(fs::read(root.dir().join("usr/lib/shape/inner")).unwrap(), b"now a directory");
        assert_eq!(fs::read(root.dir().join("usr/bin/t")).unwrap(), b"now a file");
        Run::new(root.native(), &[&back]).go(root.dir(), [back.step(Some(&new))]);
        assert_eq!(fs::read(root.dir().join("usr/lib/shape")).unwrap(), b"file again");
        let now = installed(&root);
        assert_eq!(now.get(root.native(), "tool").map(|p| p.package.version.as_str()), Some("1.2-r0"));
        assert!(now.world.iter().any(|d| d.to_string() == "tool"));
        Run::new(root.native(), &[]).go(root.dir(), [back.removal()]);
        assert_same(&before, root.dir());
    }
}

#[test]
fn changed_configuration_stays() {
    let (_dir, root) = alpine();
    let old = Source::new(tool("1.0-r0"), Alpine);
    let new = Source::new(tool("1.1-r0").remove("etc/tool.conf").file("etc/tool.conf", "a=2\n"), Alpine);
    Run::new(Alpine, &[&old]).go(root.dir(), [old.step(None)]);
    fs::write(root.dir().join("etc/tool.conf"), "mine\n").unwrap();
    let receipt = Run::new(Alpine, &[&new]).go(root.dir(), [new.step(Some(&old))]);
    assert_eq!(receipt.beside, [RelPath::literal("etc/tool.conf.apk-new")]);
    assert_eq!(root.read("etc/tool.conf").unwrap(), b"mine\n");
    assert_eq!(root.read("etc/tool.conf.apk-new").unwrap(), b"a=2\n");
    let receipt = Run::new(Alpine, &[]).go(root.dir(), [new.removal()]);
    assert_eq!(receipt.kept, [RelPath::literal("etc/tool.conf")]);
    assert_eq!(root.read("etc/tool.conf").unwrap(), b"mine\n");
    assert!(!root.dir().join("etc/tool.conf.apk-new").exists());

    // Unchanged configuration is simply replaced.
    fs::remove_file(root.dir().join("etc/tool.conf")).unwrap();
    Run::new(Alpine, &[&old]).go(root.dir(), [old.step(None)]);
    Run::new(Alpine, &[&new]).go(root.dir(), [new.step(Some(&old))]);
    assert_eq!(root.read("etc/tool.conf").unwrap(), b"a=2\n");
}

#[test]
fn the_host_keeps_configuration_that_a_guest_brings_too() {
    for (_dir, root) in [openwrt(), alpine()] {
        let guest = if root.native() == Alpine { Openwrt } else { Alpine };
        let with = |name: &str, text: &str| Apk::new(name, "1-r0").file("etc/both.conf", text);
        let host = Source::new(with("host", "host's\n"), root.native());
        Run::new(root.native(), &[&host]).go(root.dir(), [host.step(None)]);
        let before = look(root.dir());
        let theirs = Source::new(with("guest", "guest's\n").file("usr/bin/guest", "it"), guest);
        let receipt = Run::new(root.native(), &[&theirs]).go(root.dir(), [theirs.step(None)]);
        assert!(receipt.notes.iter().any(|n| n.contains("etc/both.conf stays as")), "{:?}", receipt.notes);
        assert_eq!(root.read("etc/both.conf").unwrap(), b"host's\n");
        Run::new(root.native(), &[]).go(root.dir(), [theirs.removal()]);
        assert_same(&before, root.dir());
        // A script is no configuration.
        let script = |name: &str, text: &str| Apk::new(name, "1-r0").file("etc/both.sh", text).mode(0o755);
        let host = Source::new(script("script", "exit 0\n"), root.native());
        Run::new(root.native(), &[&host]).go(root.dir(), [host.step(None)]);
        let theirs = Source::new(script("guest", "exit 1\n"), guest);
        assert!(Run::new(root.native(), &[&theirs]).refused(root.dir(), [theirs.step(None)]).contains("owns it"));
    }
}

#[test]
fn files_that_clash_are_refused_by_name() {
    let (_dir, root) = openwrt();
    let native = Source::new(Apk::new("native", "1-r0").file("usr/bin/clash", "native"), Openwrt);
    Run::new(Openwrt, &[&native]).go(root.dir(), [native.step(None)]);
    let clash = |name: &str, content: &str| Source::new(Apk::new(name, "1-r0").file("usr/bin/clash", content), Alpine);
    let one = clash("one", "foreign");
    let text = Run::new(Openwrt, &[&one]).refused(root.dir(), [one.step(None)]);
    assert!(text.contains("/usr/bin/clash") && text.contains("openwrt:native owns it"), "{text}");
    // `replaces` speaks of packages of the same world only.
    let greedy = Source::new(Apk::new("greedy", "1-r0").replaces("native").file("usr/bin/clash", "x"), Alpine);
    Run::new(Openwrt, &[&greedy]).refused(root.dir(), [greedy.step(None)]);

    root.write("opt/mine", "a person's").unwrap();
    let over = Source::new(Apk::new("over", "1-r0").file("opt/mine", "other"), Alpine);
    let text = Run::new(Openwrt, &[&over]).refused(root.dir(), [over.step(None)]);
    assert!(text.contains("/opt/mine") && text.contains("belongs to no package"), "{text}");
    let dir = Source::new(Apk::new("dir", "1-r0").file("usr/bin", "a file"), Alpine);
    assert!(Run::new(Openwrt, &[&dir]).refused(root.dir(), [dir.step(None)]).contains("a directory is there"));
    let below = Source::new(Apk::new("below", "1-r0").file("opt/mine/x", "x"), Alpine);
    assert!(Run::new(Openwrt, &[&below]).refused(root.dir(), [below.step(None)]).contains("no directory"));

    let (a, b) = (clash("a", "1"), clash("b", "2"));
    native_gone(&root, &native);
    let text = Run::new(Openwrt, &[&a, &b]).refused(root.dir(), [a.step(None), b.step(None)]);
    assert!(text.contains("alpine:a 1-r0 brings it too"), "{text}");

    // The same content is taken over, and stays when the package goes.
    let before = look(root.dir());
    let same = Source::new(Apk::new("same", "1-r0").file("opt/mine", "a person's"), Alpine);
    let receipt = Run::new(Openwrt, &[&same]).go(root.dir(), [same.step(None)]);
    assert!(receipt.notes.iter().any(|n| n.contains("/opt/mine")), "{:?}", receipt.notes);
    Run::new(Openwrt, &[]).go(root.dir(), [same.removal()]);
    assert_same(&before, root.dir());
}

fn native_gone(root: &Root, native: &Source) {
    Run::new(root.native(), &[]).go(root.dir(), [native.removal()]);
}

#[test]
fn replaces_moves_a_file_within_one_world() {
    let (_dir, root) = alpine();
    let first = Source::new(Apk::new("first", "1-r0").file("usr/bin/shared", "1").file("usr/bin/own", "1"), Alpine);
    let second = Source::new(Apk::new("second", "1-r0").replaces("first").file("usr/bin/shared", "2"), Alpine);
    Run::new(Alpine, &[&first]).go(root.dir(), [first.step(None)]);
    Run::new(Alpine, &[&second]).go(root.dir(), [second.step(None)]);
    assert_eq!(root.read("usr/bin/shared").unwrap(), b"2");
    Run::new(Alpine, &[]).go(root.dir(), [first.removal()]);
    assert!(root.dir().join("usr/bin/shared").exists() && !root.dir().join("usr/bin/own").exists());
}

#[test]
fn a_host_link_to_a_directory_is_followed_and_a_packages_own_is_not() {
    let (dir, root) = openwrt();
    assert!(fs::symlink_metadata(root.dir().join("var")).unwrap().is_symlink(), "OpenWrt's /var is a link");
    let before = look(root.dir());
    let state = Source::new(Apk::new("state", "1-r0").file("var/lib/state/db", "x"), Alpine);
    Run::new(Openwrt, &[&state]).go(root.dir(), [state.step(None)]);
    assert!(fs::symlink_metadata(root.dir().join("var")).unwrap().is_symlink());
    assert_eq!(root.read("tmp/lib/state/db").unwrap(), b"x");
    Run::new(Openwrt, &[]).go(root.dir(), [state.removal()]);
    assert_same(&before, root.dir());

    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().to_str().unwrap();
    let link = Source::new(Apk::new("link", "1-r0").symlink("usr/share/way", target), Alpine);
    let through = Source::new(Apk::new("through", "1-r0").file("usr/share/way/out", "x"), Alpine);
    let run = Run::new(Openwrt, &[&link, &through]);
    let text = run.refused(root.dir(), [link.step(None), through.step(None)]);
    assert!(text.contains("/usr/share/way"), "{text}");
    // Installed before, it is followed, but inside this root only.
    Run::new(Openwrt, &[&link]).go(root.dir(), [link.step(None)]);
    let _ = Run::new(Openwrt, &[&through]).on(&mut live(root.dir()), [through.step(None)]);
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    symlink("../../../../../../../../..", root.dir().join("usr/share/up")).unwrap();
    let up = Source::new(Apk::new("up", "1-r0").file("usr/share/up/xpkg-escaped", "x"), Alpine);
    Run::new(Openwrt, &[&up]).go(root.dir(), [up.step(None)]);
    assert!(root.dir().join("xpkg-escaped").exists() && !dir.path().parent().unwrap().join("xpkg-escaped").exists());
}

#[test]
fn an_applet_gives_way_on_request_and_comes_back() {
    for (_dir, root) in [openwrt(), alpine()] {
        let foreign = if root.native() == Openwrt { Alpine } else { Openwrt };
        // One link that busybox owns, one that nobody owns.
        let owned = Source::new(Apk::new("applets", "1-r0").symlink("bin/applet", "busybox"), root.native());
        Run::new(root.native(), &[&owned]).go(root.dir(), [owned.step(None)]);
        let _ = fs::remove_file(root.dir().join("usr/bin/less"));
        symlink("../../bin/busybox", root.dir().join("usr/bin/less")).unwrap();
        let before = look(root.dir());
        let apk = Apk::new("tools", "1-r0").file("bin/applet", "real tool").file("usr/bin/less", "real less");
        let tools = Source::new(apk, foreign);
        let run = Run::new(root.native(), &[&tools]);
        assert!(run.refused(root.dir(), [tools.step(None)]).contains("only on request"));
        let receipt = run.options(|o| o.replace_applets = true).go(root.dir(), [tools.step(None)]);
        assert_eq!(receipt.displaced.len(), 2);
        assert_eq!(root.read("bin/applet").unwrap(), b"real tool");
        let newer = Apk::new("tools", "2-r0").file("bin/applet", "newer").file("usr/bin/less", "newer");
        let newer = Source::new(newer, foreign);
        Run::new(root.native(), &[&newer]).go(root.dir(), [newer.step(Some(&tools))]);
        assert_eq!(root.read("bin/applet").unwrap(), b"newer");
        Run::new(root.native(), &[]).go(root.dir(), [newer.removal()]);
        assert_same(&before, root.dir());
    }
}

#[test]
fn a_name_that_both_worlds_have_is_registered_under_another() {
    let (_dir, root) = openwrt();
    let before = look(root.dir());
    let native = Source::new(Apk::new("twin", "1-r0").file("usr/bin/twin", "n"), Openwrt);
    let foreign = Source::new(Apk::new("twin", "9-r0").file("opt/twin", "f"), Alpine);
    Run::new(Openwrt, &[&native]).go(root.dir(), [native.step(None)]);
    Run::new(Openwrt, &[&foreign]).go(root.dir(), [foreign.step(None)]);
    let now = installed(&root);
    assert_eq!(now.get(Alpine, "twin").and_then(|p| p.registered_as.as_deref()), Some("xpkg-alpine-twin"));
    assert_eq!(now.get(Openwrt, "twin").map(|p| p.package.version.as_str()), Some("1-r0"));
    Run::new(Openwrt, &[]).go(root.dir(), [foreign.removal()]);
    assert!(root.dir().join("usr/bin/twin").exists());
    Run::new(Openwrt, &[]).go(root.dir(), [native.removal()]);
    assert_same(&before, root.dir());
}

#[test]
fn configuration_of_foreign_packages_is_listed_for_sysupgrade() {
    let (_dir, root) = openwrt();
    root.write("lib/apk/packages/.keep", "").unwrap();
    let before = look(root.dir());
    let source = Source::new(tool("1.0-r0"), Alpine);
    Run::new(Openwrt, &[&source]).go(root.dir(), [source.step(None)]);
    assert_eq!(root.read("lib/apk/packages/tool.conffiles").unwrap(), b"/etc/tool.conf\n");
    let lines = String::from_utf8(root.read("lib/apk/packages/tool.conffiles_static").unwrap()).unwrap();
    // printf 'a=1\n' | sha256sum
    let digest = xpkg_model::identity::hex(ring::digest::digest(&ring::digest::SHA256, b"a=1\n").as_ref());
    assert_eq!(lines, format!("/etc/tool.conf {digest}\n"));
    Run::new(Openwrt, &[]).go(root.dir(), [source.removal()]);
    assert_same(&before, root.dir());
}

#[test]
fn damage_in_a_payload_leaves_the_root_as_it_was() {
    let (_dir, root) = alpine();
    let good = Source::new(tool("1.0-r0"), Alpine);
    let mut bytes = fs::read(&good.path).unwrap();
    let at = bytes.len() - 40;
    bytes[at] ^= 1;
    fs::write(&good.path, bytes).unwrap();
    let text = Run::new(Alpine, &[&good]).refused(root.dir(), [good.step(None)]);
    assert!(text.contains("alpine:tool 1.0-r0"), "{text}");
}

#[test]
fn a_second_writer_and_a_full_disk_are_refused() {
    let (_dir, root) = alpine();
    let before = look(root.dir());
    let mut first = live(root.dir());
    first.lock().unwrap();
    assert!(matches!(live(root.dir()).lock(), Err(Error::Locked { .. })));
    drop(first);
    assert_same(&before, root.dir());
    let need = Need { dir: RelPath::literal("usr/bin"), bytes: u64::MAX / 4, inodes: 1 };
    assert!(matches!(live(root.dir()).check_space(&[need]), Err(Error::NoSpace { .. })));
    live(root.dir()).check_space(&[Need { dir: RelPath::literal("not/there"), bytes: 1, inodes: 1 }]).unwrap();
}

#[test]
fn staging_never_follows_a_link_and_rolls_back() {
    let (_dir, root) = openwrt();
    let before = look(root.dir());
    let mut target = live(root.dir());
    target.lock().unwrap();
    target.begin(&Begin::default()).unwrap();
    let file = RelPath::literal("var/x");
    assert!(matches!(target.stage_file(&file, &Meta::new(0o644), &mut &b"x"[..]), Err(Error::Refused { .. })));
    let (dir, file) = (RelPath::literal("usr/new"), RelPath::literal("usr/new/x"));
    target.stage_dir(&dir, &Meta::new(0o755), false).unwrap();
    let mut meta = Meta::new(0o4755);
    meta.xattrs.push(("user.xpkg".into(), b"1".to_vec()));
    meta.mtime = Some(12345);
    target.stage_file(&file, &meta, &mut &b"content"[..]).unwrap();
    assert_eq!(target.staged(&file).unwrap().map(|n| (n.mode, n.size, n.mtime)), Some((0o4755, 7, 12345)));
    assert!(xpkg_model::root::RootView::node(&target, &file).unwrap().is_none());
    target.rollback().unwrap();
    drop(target);
    assert_same(&before, root.dir());
}
