//! What a person forces, and what is done where no script runs: on small generated roots of apk. The same of opkg is judged by
//! the real one in `opkg.rs`.

#![allow(missing_docs)]

mod support;

use std::fs;

use support::{Run, Source, changes, live, look};
use xpkg_fixtures::{Apk, Root};

#[test]
fn a_file_is_taken_from_its_owner_only_by_force() {
    for openwrt in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let root = if openwrt { Root::openwrt(dir.path()) } else { Root::alpine(dir.path()) }.unwrap();
        let native = root.native();
        let one = Source::new(Apk::new("one", "1-r0").file("usr/share/it", "one"), native);
        let two = Source::new(Apk::new("two", "1-r0").file("usr/share/it", "two"), native);
        Run::new(native, &[&one]).go(dir.path(), [one.step(None)]);
        let text = Run::new(native, &[&two]).refused(dir.path(), [two.step(None)]);
        assert!(text.contains("usr/share/it") && text.contains("one owns it"), "{openwrt}: {text}");
        let receipt = Run::new(native, &[&two]).options(|o| o.force_overwrite = true).go(dir.path(), [two.step(None)]);
        assert!(receipt.notes.iter().any(|n| n == "/usr/share/it is taken from one"), "{:?}", receipt.notes);
        assert_eq!(fs::read(dir.path().join("usr/share/it")).unwrap(), b"two");
        // It is the second's now: the first goes without it, the second with it.
        Run::new(native, &[]).go(dir.path(), [one.removal()]);
        assert_eq!(fs::read(dir.path().join("usr/share/it")).unwrap(), b"two");
        Run::new(native, &[]).go(dir.path(), [two.removal()]);
        assert!(!dir.path().join("usr/share/it").exists());
    }
}

#[test]
fn purging_takes_what_a_person_changed() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::alpine(dir.path()).unwrap();
    let before = look(dir.path());
    let one =
        Source::new(Apk::new("one", "1-r0").conffile("etc/one.conf", "a").file("usr/share/one", "x"), root.native());
    for purge in [false, true] {
        Run::new(root.native(), &[&one]).go(dir.path(), [one.step(None)]);
        fs::write(dir.path().join("etc/one.conf"), "a person's").unwrap();
        let receipt = Run::new(root.native(), &[]).options(|o| o.purge = purge).go(dir.path(), [one.removal()]);
        let kept: Vec<String> = receipt.kept.iter().map(ToString::to_string).collect();
        assert_eq!(kept, if purge { vec![] } else { vec!["/etc/one.conf".to_owned()] });
        assert_eq!(dir.path().join("etc/one.conf").exists(), !purge);
    }
    let left = changes(&before, dir.path());
    assert!(left.is_empty(), "{left:?}");
}

/// OpenWrt 25.12 leaves links and accounts to scripts; in an image, or on another machine's root, none runs.
#[test]
fn links_and_accounts_are_made_where_no_script_runs() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::openwrt(dir.path()).unwrap();
    let native = root.native();
    let tool = |name: &str, priority: u32| {
        let list = format!("{priority}:/usr/bin/tool:/usr/libexec/{name}\n");
        let apk = Apk::new(name, "1-r0").file(&format!("usr/libexec/{name}"), "#!/bin/sh\n");
        Source::new(apk.file(&format!("lib/apk/packages/{name}.alternatives"), list), native)
    };
    let (low, high) = (tool("low", 100), tool("high", 200));
    let link = || fs::read_link(dir.path().join("usr/bin/tool")).ok().map(|to| to.to_str().unwrap().to_owned());
    Run::new(native, &[&low]).go(dir.path(), [low.step(None)]);
    assert_eq!(link().as_deref(), Some("/usr/libexec/low"));
    Run::new(native, &[&high]).go(dir.path(), [high.step(None)]);
    assert_eq!(link().as_deref(), Some("/usr/libexec/high"));
    Run::new(native, &[]).go(dir.path(), [high.removal()]);
    assert_eq!(link().as_deref(), Some("/usr/libexec/low"));

    let daemon = Apk::new("daemon", "1-r0").file("usr/sbin/daemon", "#!/bin/sh\n");
    let daemon = daemon.file("lib/apk/packages/daemon.rusers", "daemon=700:daemons=701:more free\n");
    let daemon = Source::new(daemon, native);
    Run::new(native, &[&daemon]).go(dir.path(), [daemon.step(None)]);
    let text = |path: &str| fs::read_to_string(dir.path().join(path)).unwrap();
    // `daemon` was there: it keeps its number, and the groups come.
    assert!(text("etc/passwd").contains("daemon:*:1:1:"), "{}", text("etc/passwd"));
    assert!(text("etc/passwd").contains("\nfree:x:"), "{}", text("etc/passwd"));
    assert!(text("etc/group").contains("daemons:x:701:"), "{}", text("etc/group"));
    assert!(xpkg_install::installed::read(&live(dir.path()), native).unwrap().get(native, "daemon").is_some());
}
