//! `xpkg opkg` beside the real opkg, on twins of the real OpenWrt 19.07 with its own signed feeds served on loopback: the
//! same words, exit codes and end state for the command lines that people and programs use.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;
use xpkg_fixtures::Ipk;
use xpkg_fixtures::http::Server;
use xpkg_fixtures::real::{self, Chroot, Output};
use xpkg_tests::opkg_lab::without_times;
use xpkg_tests::program::binary;

/// What runs here and there is not in the lists: xpkg's own files, and what is in memory on a device.
const EXCEPT: [&str; 5] = ["usr/lib/xpkg", "etc/xpkg", "tmp", "proc", "dev"];

struct Twins {
    real: TempDir,
    ours: TempDir,
    chroot: Chroot,
    _server: Server,
}

impl Twins {
    fn new() -> Option<Self> {
        let data = real::data()?;
        if !real::root_rights() {
            return None;
        }
        let server = Server::start(data.join("openwrt-19.07")).unwrap();
        let root = || {
            let root = real::unpack_root(real::OPENWRT_19_07).unwrap();
            let feeds: String = ["base", "packages", "luci", "telephony", "target"]
                .iter()
                .map(|name| format!("src/gz {name} {}/{name}\n", server.url().trim_end_matches('/')))
                .collect();
            fs::write(root.path().join("etc/opkg/distfeeds.conf"), feeds).unwrap();
            Chroot::new(root.path()).unwrap();
            root
        };
        let (real, ours) = (root(), root());
        let chroot = Chroot::new(real.path()).unwrap();
        Some(Self { real, ours, chroot, _server: server })
    }

    fn real(&self, line: &str) -> Output {
        self.chroot.run(["opkg"].into_iter().chain(line.split(' '))).unwrap()
    }

    /// Ours works from outside, so that its scripts run only when told so; paths are told without the root.
    fn ours(&self, line: &str) -> Output {
        let root = self.ours.path().display().to_string();
        let mut command = Command::new(binary());
        command.args(["opkg", "-o", &root, "-f", &format!("{root}/etc/opkg.conf"), "--force-postinstall"]);
        command.args(line.split(' ')).current_dir(self.ours.path());
        let mut out = real::capture(command).unwrap();
        for text in [&mut out.stdout, &mut out.stderr] {
            *text = text.replace(&format!("{root}//"), "/").replace(&root, "");
        }
        out
    }

    fn same(&self, line: &str) {
        let (mut real, mut ours) = (self.real(line), self.ours(line));
        // One was installed a moment after the other.
        for out in [&mut real, &mut ours] {
            out.stdout = without_times(&out.stdout);
        }
        assert_eq!(ours.stdout, real.stdout, "opkg {line}\nerrors: {}\n{}", real.stderr, ours.stderr);
        assert_eq!(ours.stderr, real.stderr, "opkg {line}");
        assert_eq!(ours.status, real.status, "opkg {line}");
    }

    fn same_state(&self, after: &str) {
        let (real, ours) = (paths(self.real.path()), paths(self.ours.path()));
        let (lost, more): (Vec<_>, Vec<_>) =
            (real.difference(&ours).collect::<Vec<_>>(), ours.difference(&real).collect::<Vec<_>>());
        assert!(lost.is_empty() && more.is_empty(), "after {after}\nmissing: {lost:?}\nmore: {more:?}");
        assert_eq!(stanzas(self.ours.path()), stanzas(self.real.path()), "after {after}");
    }
}

fn paths(root: &Path) -> BTreeSet<String> {
    fn visit(dir: &Path, root: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            if EXCEPT.contains(&name.as_str()) {
                continue;
            }
            if path.is_dir() && !path.is_symlink() {
                visit(&path, root, found);
            }
            found.insert(name);
        }
    }
    let mut found = BTreeSet::new();
    visit(root, root, &mut found);
    found
}

/// The status file, without times and in any order.
fn stanzas(root: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(root.join("usr/lib/opkg/status")).unwrap();
    let stanza = |s: &str| without_times(s).trim_end().to_owned();
    text.split("\n\n").map(stanza).filter(|s| !s.is_empty()).collect()
}

#[test]
fn common_command_lines_are_opkgs() {
    let Some(twins) = Twins::new() else { return };
    for line in [
        "update",
        "list-installed",
        "list",
        "list-upgradable",
        "list-changed-conffiles",
        "status busybox",
        "files wget",
        "search */wget*",
        "find *json*",
        "whatdepends libc",
        "depends wget",
        "whatprovides libssl",
        "-A whatprovides libopenssl",
        "print-architecture",
        "--noaction install ipset",
        "remove wget",
        "remove lua",
        "install wget",
        "install nonexistent",
        "upgrade busybox",
        "remove libc",
        "compare-versions 1.0 << 1.1",
        "list-installed lib*",
        "list wget*",
        "info wget",
        "info nosuch",
        "status nosuch",
        "files nosuch",
        "search */busybox",
        "find nosuch",
        "whatdependsrec libubox",
        "whatrecommends libc",
        "whatsuggests libc",
        "whatconflicts wget",
        "whatreplaces wget",
        "depends nosuch",
        "-A depends wget",
        "print-architecture nosuch",
        "--add-arch nosuch:300 print-architecture",
        "--add-arch bad print-architecture",
        "compare-versions 1 >> 2",
        "compare-versions 1 nosuch 2",
        "compare-versions 1",
        "download nosuch",
        "--noaction install curl",
        "--noaction upgrade busybox",
        "--noaction --autoremove remove ipset",
        "--noaction --force-depends remove libubox",
        "--noaction --force-removal-of-dependent-packages remove libubox",
        "--noaction --force-removal-of-essential-packages remove busybox",
        "--noaction --nodeps install curl",
        "--noaction --force-reinstall install lua",
        "--noaction --force-downgrade install lua",
        "--noaction --force-maintainer install lua",
        "--noaction --force-overwrite install lua",
        "--noaction --force-checksum install lua",
        "--noaction --force-space install lua",
        "--noaction -d root install curl",
        "--noaction -d nosuch install curl",
        "--noaction --cache /tmp/cache install lua",
        "--noaction remove lib*",
        "--add-dest bad list-installed lua",
        "--size list lua",
        "--query-all whatdepends lua",
        "install /nosuch.ipk",
        "flag hold",
        "flag nosuch lua",
        "flag user nosuch",
        "configure nosuch",
    ] {
        twins.same(line);
    }
    twins.same_state("asking");
    for line in [
        "--force-depends remove wget",
        "install wget",
        "--autoremove remove ipset",
        "install ipset",
        "--force-depends remove coreutils-base64",
        "install coreutils-base64",
        "flag hold ipset",
        "status ipset",
        "upgrade ipset",
        "flag user ipset",
        "--force-reinstall install ipset",
    ] {
        twins.same(line);
        twins.same_state(line);
    }
}

#[test]
fn a_failed_last_script_is_tried_again() {
    let Some(twins) = Twins::new() else { return };
    let script = "#!/bin/sh\necho \"$1 of $PKG_UPGRADE\" >>/root/log\ntest ! -e /root/fail\n";
    let probe = Ipk::new("probe", "1.0-1").postinst(script).file("usr/share/probe/tool", "tool");
    let probe = probe.alternative("150:/usr/bin/newtool:/usr/share/probe/tool").pack().unwrap().bytes;
    let other = Ipk::new("other", "1.0-1").file("usr/share/other", "other").pack().unwrap().bytes;
    for root in [&twins.real, &twins.ours] {
        fs::write(root.path().join("root/probe.ipk"), &probe).unwrap();
        fs::write(root.path().join("root/other.ipk"), &other).unwrap();
        fs::write(root.path().join("root/fail"), "").unwrap();
    }
    let lines = ["install root/probe.ipk", "configure probe", "install root/other.ipk", "configure nothing"];
    for line in lines {
        twins.same(line);
        twins.same_state(line);
    }
    for root in [&twins.real, &twins.ours] {
        fs::remove_file(root.path().join("root/fail")).unwrap();
    }
    // The real one makes the alternatives link although it was told to do nothing; ours does nothing.
    twins.same("--noaction configure probe");
    assert!(!twins.ours.path().join("usr/bin/newtool").is_symlink());
    for line in ["configure probe", "configure"] {
        twins.same(line);
        twins.same_state(line);
    }
    let log = |root: &TempDir| fs::read_to_string(root.path().join("root/log")).unwrap().replace("//", "/");
    assert_eq!(log(&twins.ours), log(&twins.real));
    assert!(twins.ours.path().join("usr/bin/newtool").is_symlink());
}
