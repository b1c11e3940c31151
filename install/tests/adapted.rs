//! Packages that are changed on their way: where their files land, what the native database and our state say of them, and
//! that nothing is left when they go.

#![allow(missing_docs)]

mod support;

use std::fs;

use support::{Run, Source, changes, look};
use xpkg_fixtures::{Apk, Root, ScriptKind};
use xpkg_install::state::State;
use xpkg_model::Ecosystem::{Alpine, Openwrt};
use xpkg_model::RelPath;
use xpkg_model::adaptation::{Adaptation, Added, AddedKind, Placement};

fn path(text: &'static str) -> RelPath {
    RelPath::literal(text)
}

fn service() -> Source {
    let apk = Apk::new("served", "1.0-r0")
        .file("usr/sbin/served", "program")
        .mode(0o755)
        .hardlink("usr/sbin/serve", "usr/sbin/served")
        .file("etc/init.d/served", "#!/sbin/openrc-run\n")
        .mode(0o755)
        .symlink("etc/init.d/served.eth0", "served")
        .symlink("usr/share/served/init", "../../../etc/init.d/served")
        .file("etc/served.conf", "port=1\n")
        .file("sbin/init", "not here")
        .script(ScriptKind::PostInstall, "#!/bin/sh\nfirst\n")
        .script(ScriptKind::PreUpgrade, "#!/bin/sh\ngone\n");
    Source::new(apk, Alpine)
}

fn adaptation() -> Adaptation {
    let moved = [("etc/init.d", "usr/lib/xpkg/alpine/init.d"), ("usr/sbin/served", "usr/lib/xpkg/alpine/served")];
    let added = |at, kind, mode| Added { path: path(at), kind, mode };
    Adaptation {
        placement: Placement::Layer,
        moved: moved.map(|(from, to)| (path(from), path(to))).into(),
        left_out: [(path("sbin/init"), "the root's own".to_owned())].into(),
        added: vec![
            added("etc/init.d/served", AddedKind::File(b"#!/bin/sh /etc/rc.common\n".to_vec()), 0o755),
            added("usr/sbin/served", AddedKind::Symlink(b"../lib/xpkg/alpine/served".to_vec()), 0o777),
            added("etc/served.d", AddedKind::Dir, 0o700),
        ],
        scripts: [
            (ScriptKind::PostInstall, b"#!/bin/sh\n# Composed by xpkg\n/etc/init.d/served enable\n".to_vec()),
            (ScriptKind::PreDeinstall, b"#!/bin/sh\n# Composed by xpkg\n/etc/init.d/served disable\n".to_vec()),
            (ScriptKind::PreUpgrade, Vec::new()),
        ]
        .into(),
        ..Adaptation::default()
    }
}

#[test]
fn everything_lands_where_it_is_sent_and_goes_again() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::openwrt(dir.path()).unwrap();
    let before = look(root.dir());
    let service = service();
    Run::new(Openwrt, &[&service]).adapt(&service, adaptation()).go(root.dir(), [service.step(None)]);
    let at = |p: &str| root.dir().join(p);
    assert_eq!(fs::read(at("usr/lib/xpkg/alpine/served")).unwrap(), b"program");
    assert_eq!(fs::read(at("usr/sbin/serve")).unwrap(), b"program");
    assert_eq!(fs::read_link(at("usr/sbin/served")).unwrap().to_str(), Some("../lib/xpkg/alpine/served"));
    assert_eq!(fs::read(at("usr/lib/xpkg/alpine/init.d/served")).unwrap(), b"#!/sbin/openrc-run\n");
    assert_eq!(fs::read_link(at("usr/lib/xpkg/alpine/init.d/served.eth0")).unwrap().to_str(), Some("served"));
    let link = fs::read_link(at("usr/share/served/init")).unwrap();
    assert_eq!(link.to_str(), Some("/usr/lib/xpkg/alpine/init.d/served"));
    assert_eq!(fs::read(at("etc/init.d/served")).unwrap(), b"#!/bin/sh /etc/rc.common\n");
    assert!(at("etc/served.d").is_dir() && !at("sbin/init").exists());

    let database = String::from_utf8(root.read("lib/apk/db/installed").unwrap()).unwrap();
    let record = database.split("\n\n").find(|r| r.contains("P:served\n")).unwrap();
    for line in ["F:usr/lib/xpkg/alpine\n", "F:usr/lib/xpkg/alpine/init.d\n", "F:etc/served.d\n", "R:served.conf\n"] {
        assert!(record.contains(line), "{line}: {record}");
    }
    assert!(!record.contains("R:init\na:0:0:755"), "{record}");
    let state = State::load(&support::live(root.dir())).unwrap();
    let ours = &state.packages[&(Alpine, "served".to_owned())];
    assert_eq!(ours.placement, Placement::Layer);
    assert!(ours.files.iter().any(|(_, digest, p)| digest.is_some() && p == path("usr/lib/xpkg/alpine/served")));
    let scripts = root.read("lib/apk/db/scripts.tar.gz").or_else(|_| root.read("lib/apk/db/scripts.tar")).unwrap();
    let mut kinds = Vec::new();
    let limits = xpkg_formats::Limits::default();
    xpkg_formats::apk::db::read_scripts(scripts.as_slice(), "scripts", &limits, &mut |script| {
        if script.owner.starts_with("served-") {
            assert!(String::from_utf8_lossy(&script.content).contains("Composed by xpkg"));
            kinds.push(script.kind);
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(kinds, [ScriptKind::PostInstall, ScriptKind::PreDeinstall]);

    Run::new(Openwrt, &[]).go(root.dir(), [service.removal()]);
    // The databases were written by us; what they say is tested elsewhere.
    let left = changes(&before, root.dir()).without(&["lib/apk/db", "etc/apk"]);
    assert!(left.is_empty(), "{left}");
}

#[test]
fn two_paths_that_would_become_one_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::openwrt(dir.path()).unwrap();
    let service = service();
    let moved = [(path("etc/served.conf"), path("usr/sbin/serve"))].into();
    let run = Run::new(Openwrt, &[&service]).adapt(&service, Adaptation { moved, ..Adaptation::default() });
    let error = run.refused(root.dir(), [service.step(None)]);
    assert!(error.contains("/usr/sbin/serve") && error.contains("alpine:served"), "{error}");
}
