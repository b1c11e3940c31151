//! Foreign packages on real roots, judged by the root's own apk: nothing of ours may trouble it, and removal leaves no trace.

#![allow(missing_docs, clippy::print_stdout)]

mod support;

use std::collections::BTreeSet;
use std::path::Path;

use support::{Run, Source, look};
use xpkg_fixtures::real::{self, Chroot, Snapshot, diff};
use xpkg_model::Ecosystem::{Alpine, Openwrt};
use xpkg_model::plan::{Reason, Step};
use xpkg_model::{Ecosystem, Package, Provide};

/// What these packages need and none of them gives: as the pipeline's generated provider would offer it.
fn provider(sources: &[Source]) -> Package {
    let mut provider = Package::new(sources[0].package.ecosystem, "xpkg-abi-test", "1");
    provider.arch = "noarch".to_owned();
    provider.description = "what this root gives to foreign packages".to_owned();
    let given: BTreeSet<&str> = sources
        .iter()
        .flat_map(|s| {
            std::iter::once(s.package.name.as_str()).chain(s.package.provides.iter().map(|p| p.name.as_str()))
        })
        .collect();
    let needs: BTreeSet<(&str, &str)> = sources
        .iter()
        .flat_map(|s| s.package.requirements())
        .flat_map(|r| r.alternatives())
        .filter(|d| !given.contains(d.name.as_str()))
        .map(|d| (d.name.as_str(), if d.version.is_empty() { "1" } else { d.version.as_str() }))
        .collect();
    provider.provides = needs.into_iter().map(|(name, version)| Provide::versioned(name, version)).collect();
    provider
}

/// What the real apk says about everything, with its exit codes.
fn ask(chroot: &Chroot, commands: &[&str]) -> Vec<String> {
    commands
        .iter()
        .map(|line| {
            let out = chroot.sh(line).unwrap();
            let mut lines: Vec<&str> = out.stdout.lines().chain(out.stderr.lines()).collect();
            lines.sort_unstable();
            format!("{line} -> {}\n{}", out.status, lines.join("\n"))
        })
        .collect()
}

fn native_content(root: &Path, before: &Snapshot) -> Vec<String> {
    // A lock file is the native manager's own; its order and packing of the same scripts, too.
    let changes =
        diff(before, &look(root)).without(&["lib/apk/db/lock", "lib/apk/db/scripts.tar.gz", "lib/apk/db/scripts.tar"]);
    changes.0.iter().map(|c| format!("{c:?}")).collect()
}

fn round_trip(name: &str, native: Ecosystem, files: &[&str], programs: &[(&str, &str)]) {
    let Some(data) = real::data() else { return };
    if !real::root_rights() {
        return;
    }
    let dir = real::unpack_root(name).unwrap();
    let chroot = Chroot::new(dir.path()).unwrap();
    let foreign = if native == Openwrt { Alpine } else { Openwrt };
    let sources: Vec<Source> = files.iter().map(|f| Source::file(data.join(f), foreign)).collect();
    let all: Vec<&Source> = sources.iter().collect();
    let questions = ["apk audit", "apk audit --system", "apk upgrade -s --no-network", "apk list -I", "apk info"];
    let before_says = ask(&chroot, &questions);
    let scripts = scripts_of(dir.path());
    let before = look(dir.path());

    let run = Run::new(native, &all).provider(provider(&sources));
    let last = &sources.last().unwrap().package;
    let by = last.scoped();
    let reason = |wanted: bool| match wanted {
        true => Reason::Requested,
        false => Reason::Needed { by: by.clone(), requirement: "found by reading its files".to_owned() },
    };
    let wanted = |s: &Source| s.package.name == last.name;
    let steps: Vec<Step> =
        sources.iter().map(|s| Step { explicit: wanted(s), reason: reason(wanted(s)), ..s.step(None) }).collect();
    run.go(dir.path(), steps);
    for (program, wanted) in programs {
        let out = chroot.sh(program).unwrap();
        assert!(out.success() && out.stdout.contains(wanted), "{program}: {out:?}");
    }
    let names: BTreeSet<&str> = sources.iter().map(|s| s.package.name.as_str()).chain(["xpkg-abi-test"]).collect();
    for (was, is) in before_says.iter().zip(ask(&chroot, &questions)) {
        let was: BTreeSet<&str> = was.lines().collect();
        for line in is.lines().filter(|line| !was.contains(line)) {
            // Our own directories are ours to be named.
            let own = ["etc/xpkg", "usr/lib/xpkg"].iter().any(|dir| line.contains(dir));
            let ours = own || names.iter().any(|n| line.starts_with(n)) || line.starts_with("OK:");
            assert!(ours, "apk says something new:\n{line}\nin\n{is}");
        }
        let is: BTreeSet<&str> = is.lines().collect();
        let lost = was.iter().find(|line| !is.contains(*line) && !line.starts_with("OK:"));
        assert_eq!(lost, None, "apk no longer says it: {is:?}");
    }
    let last = &last.name;
    let listed = chroot.sh(&format!("apk info -L {last}")).unwrap();
    assert!(listed.success() && listed.stdout.contains("usr/"), "{listed:?}");
    let gone = chroot.sh(&format!("apk del -s {last}")).unwrap();
    assert!(gone.success() && gone.stdout.contains(&format!("Purging {last}")), "{gone:?}");
    // apk itself rewrites its databases once; ours must survive that.
    let rewrite = chroot.sh("apk add --no-network --virtual .xpkg-probe && apk del --no-network .xpkg-probe").unwrap();
    assert!(rewrite.success(), "{rewrite:?}");

    Run::new(native, &[]).go(dir.path(), sources.iter().rev().map(Source::removal));
    let left = native_content(dir.path(), &before);
    let log = |line: &&String| !line.contains("var/log") && !line.contains("tmp/log");
    let left: Vec<_> = left.iter().filter(log).collect();
    assert!(left.is_empty(), "{left:#?}");
    assert_eq!(scripts, scripts_of(dir.path()));
    assert_eq!(before_says, ask(&chroot, &questions));
}

/// The scripts archive, decoded.
fn scripts_of(root: &Path) -> Vec<(String, Vec<u8>)> {
    let names = ["scripts.tar", "scripts.tar.gz"];
    let path = names.iter().map(|n| root.join("lib/apk/db").join(n)).find(|p| p.exists()).unwrap();
    let file = std::io::BufReader::new(std::fs::File::open(path).unwrap());
    let mut out = Vec::new();
    xpkg_formats::apk::db::read_scripts(file, "scripts", &xpkg_formats::Limits::default(), &mut |script| {
        out.push((script.entry_name(), script.content));
        Ok(())
    })
    .unwrap();
    out.sort();
    out
}

#[test]
fn alpine_packages_on_openwrt() {
    let main = "alpine-3.19/main/x86_64";
    let files = [format!("{main}/oniguruma-6.9.9-r0.apk"), format!("{main}/jq-1.7.1-r0.apk")];
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    round_trip(real::OPENWRT_25_12, Openwrt, &files, &[("jq -n 1+1", "2")]);
}

#[test]
fn openwrt_packages_on_alpine() {
    let base = "openwrt-25.12/base";
    let files = [
        "openwrt-25.12/target/libgcc1-14.3.0-r5.apk".to_owned(),
        format!("{base}/libubox20260213-2026.03.13~81563384-r2.apk"),
        format!("{base}/usign-2025.10.03~c4c72b1b-r1.apk"),
    ];
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    round_trip(real::ALPINE_3_19, Alpine, &files, &[("usign -h 2>&1; true", "Usage")]);
}
