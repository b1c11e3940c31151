//! Roots of opkg: twins of the real OpenWrt 19.07, one changed by its own opkg and one by us, must end alike, down to every
//! path, stanza, list and call of a script; then each takes over the other's work. The test binary is its own script helper.

#![allow(missing_docs, clippy::print_stdout)]

#[path = "opkg/forced.rs"]
mod forced;
mod support;
#[path = "opkg/twins.rs"]
mod twins;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use support::{Run, Source, look};
use twins::{EXCEPT, Hand, LOG, ROOT, STATUS, Twins, run_opkg, stanzas};
use xpkg_fixtures::real::{self, Chroot, diff};
use xpkg_fixtures::{Apk, Ipk, ScriptKind};
use xpkg_model::Ecosystem::{Alpine, Openwrt};
use xpkg_model::event::Silent;
use xpkg_model::plan::Step;
use xpkg_model::{Dependency, Package, Provide};

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|word| word == xpkg_install::helper::WORD) {
        return ExitCode::from(xpkg_install::helper::main(args.collect::<Vec<OsString>>()));
    }
    if real::data().is_none() || !real::root_rights() {
        return ExitCode::SUCCESS;
    }
    for (name, case) in [
        ("the life of a package", life as fn([Hand; 2])),
        ("real packages", real_packages),
        ("what is forced", forced::forced),
        ("what is refused", refusals),
    ] {
        // Each on roots of its own. A failure of either is the scope's.
        std::thread::scope(|scope| {
            for hands in [[Hand::Opkg, Hand::Ours], [Hand::Ours, Hand::Opkg]] {
                scope.spawn(move || case(hands));
            }
        });
        println!("ok: {name}");
    }
    guests();
    println!("ok: guests");
    without_scripts();
    println!("ok: without scripts");
    ExitCode::SUCCESS
}

/// With scripts that write down how they were called, by what name and with which environment.
fn logged(mut ipk: Ipk) -> Ipk {
    for (kind, word) in [
        (ScriptKind::PreInstall, "preinst"),
        (ScriptKind::PostInstall, "postinst"),
        (ScriptKind::PreDeinstall, "prerm"),
        (ScriptKind::PostDeinstall, "postrm"),
    ] {
        let line = format!("echo \"${{0##*/}} {word} $* $PKG_ROOT $PKG_UPGRADE $(pwd)\"");
        // opkg unpacks a package's `preinst` under its bare name.
        let line = line.replace("${0##*/}", if word == "preinst" { "" } else { "${0##*/}" });
        ipk = ipk.script(kind, &format!("#!/bin/sh\n{line} >>/{LOG}\ntest ! -e /root/fail-{word}\n"));
    }
    ipk
}

fn probe(version: &str) -> Ipk {
    logged(Ipk::new("probe", version))
        .depends("libc, busybox | nothing")
        .provides("foo, bar")
        .conflicts("no-such-package")
        .alternative("150:/usr/bin/newtool:/usr/share/probe/tool")
        .alternative("50:/usr/bin/wget:/usr/share/probe/tool")
        .require_user("probe=:probe")
        .abi_version("7")
        .conffile("etc/probe.a", format!("a {version}\n"))
        .conffile("etc/probe.b", format!("b {version}\n"))
        .conffile("etc/probe.c", "always the same\n")
        .file("usr/share/probe/tool", version)
        .file(&format!("usr/share/probe/only/{version}"), version)
        .symlink("usr/share/probe/link", "tool")
        .symlink("usr/share/probe/here", "only")
        .file("var/lib/probe/state", "in memory")
}

fn life(hands: [Hand; 2]) {
    let mut twins = Twins::new(hands);
    let (one, two) = (Source::ipk(probe("1.0-1")), Source::ipk(probe("2.0-1")));
    let taker = logged(Ipk::new("taker", "1-1")).replaces("probe").file("usr/share/probe/tool", "taken");
    let taker = Source::ipk(taker.alternative("300:/usr/bin/newtool:/usr/share/probe/link"));
    let stock = Ipk::new("stock", "1-1").postinst(&format!("echo own postinst >>/{LOG}\n"));
    let stock = stock.prerm(&format!("echo own prerm >>/{LOG}\n")).require_user("stock=777:stocks=778 other:others");
    let stock = Source::ipk(stock.file("usr/share/stock", "x"));

    twins.install(&one, None);
    twins.write("etc/probe.a", "a person's\n");
    twins.each(|root| std::fs::remove_file(root.root().join("etc/probe.b")).unwrap());
    let (said, receipt) = twins.install(&two, Some(&one));
    assert!(said.stderr.contains("/etc/probe.a-opkg"), "{}", said.stderr);
    if let Some(receipt) = receipt {
        assert_eq!(receipt.beside.iter().map(ToString::to_string).collect::<Vec<_>>(), ["/etc/probe.a-opkg"]);
    }
    twins.install(&taker, None);
    twins.install(&stock, None);
    twins.each(|root| {
        let passwd = std::fs::read_to_string(root.root().join("etc/passwd")).unwrap();
        assert!(passwd.contains("stock:x:777:778:"), "{passwd}");
    });
    twins.write("usr/share/stock", "changed by a person, but no configuration");
    twins.remove(&stock, &[]);
    twins.remove(&taker, &[]);
    let (said, receipt) = twins.remove(&two, &[]);
    assert!(said.stdout.contains("Not deleting modified conffile /etc/probe.a"), "{}", said.stdout);
    if let Some(receipt) = receipt {
        assert_eq!(receipt.kept.iter().map(ToString::to_string).collect::<Vec<_>>(), ["/etc/probe.a"]);
    }
    // A last script that fails leaves the package unpacked, for `opkg configure`.
    twins.write("root/fail-postinst", "");
    let (said, receipt) = twins.install(&one, None);
    assert!(said.stderr.contains("postinst script returned status 1"), "{}", said.stderr);
    assert!(receipt.is_none_or(|r| r.failures.len() == 1));
    twins.each(|root| {
        assert!(stanzas(root.root())["Package: probe"].contains("unpacked"));
        std::fs::remove_file(root.root().join("root/fail-postinst")).unwrap();
        root.run(["opkg", "configure", "probe"]).unwrap().expect_success().unwrap();
    });
    twins.assert_alike("configure");
}

fn real_packages(hands: [Hand; 2]) {
    let data = real::data().unwrap().join("openwrt-19.07");
    let mut twins = Twins::new(hands);
    let file = |path: &str| Source::file(data.join(path), Openwrt);
    for path in [
        "packages/wget_1.20.3-2_x86_64.ipk",
        "base/ipset_7.3-1_x86_64.ipk",
        "packages/coreutils-base64_8.30-2_x86_64.ipk",
        "base/ca-certificates_20190110-2_all.ipk",
    ] {
        let source = file(path);
        twins.remove(&source, &["--force-depends"]);
        twins.install(&source, None);
    }
    // `/var` is a link to a directory: opkg leaves it.
    let base = file("target/base-files_204.2-r10947-65030d81f3_x86_64.ipk");
    twins.remove(&base, &["--force-depends", "--force-removal-of-essential-packages"]);
    twins.each(|root| assert!(root.root().join("var").is_symlink() && !root.root().join("etc/rc.common").exists()));
    twins.install(&base, None);
}

fn refusals(hands: [Hand; 2]) {
    let twins = Twins::new(hands);
    let clash = Source::ipk(Ipk::new("clash", "1-1").file("bin/busybox", "not it").file("usr/share/clash", "x"));
    let before = twins.roots.each_ref().map(|root| look(root.root()));
    let said = run_opkg(&twins.roots[0], &["install"], &[&clash]);
    assert!(said.stderr.contains("/bin/busybox") && !said.success(), "{}", said.stderr);
    let text = Run::new(Openwrt, &[&clash]).refused(twins.roots[1].root(), [clash.step(None)]);
    assert!(text.contains("/bin/busybox") && text.contains("openwrt:busybox owns it"), "{text}");
    let left = diff(&before[0], &look(twins.roots[0].root())).without(&EXCEPT);
    assert!(left.is_empty(), "opkg itself: {left:?}");

    let one = Source::ipk(probe("1.0-1"));
    twins.write("root/fail-preinst", "");
    let said = run_opkg(&twins.roots[0], &["install"], &[&one]);
    assert!(said.stderr.contains("Aborting installation of probe"), "{}", said.stderr);
    let run = Run::new(Openwrt, &[&one]).options(|o| o.no_scripts = false);
    std::fs::remove_file(twins.roots[1].root().join(LOG)).ok();
    std::fs::write(twins.roots[1].root().join(LOG), "").unwrap();
    let before = look(twins.roots[1].root());
    let error = run.on(&mut support::live(twins.roots[1].root()), [one.step(None)]).unwrap_err();
    assert!(support::chain(&error).contains("probe-1.0-1.pre-install failed"), "{}", support::chain(&error));
    assert!(support::changes(&before, twins.roots[1].root()).without(&[LOG]).is_empty());
}

/// Packages of another world, judged by opkg.
fn guests() {
    let dir = real::unpack_root(ROOT).unwrap();
    let root = Chroot::new(dir.path()).unwrap();
    let before = look(dir.path());
    let library =
        Apk::new("guest-libs", "1.2-r3").with(|p| p.provides.push(Provide::versioned("so:libguest.so.1", "1.2")));
    let library = Source::new(library.file("usr/lib/libguest.so.1", "elf"), Alpine);
    let guest = Apk::new("guest", "2.0_rc1-r0").depends("so:libguest.so.1").depends("so:libc.musl-x86_64.so.1");
    let guest = guest.file("usr/bin/guest", "guest").file("etc/guest.conf", "x").file("opt/guest/deep/y", "y");
    let guest = Source::new(guest.depends("/bin/sh"), Alpine);
    let mut provider = Package::new(Alpine, "xpkg-abi-alpine", "1");
    provider.arch = "noarch".to_owned();
    provider.description = "what this root gives to foreign packages".to_owned();
    provider.provides = vec![Provide::versioned("so:libc.musl-x86_64.so.1", "1"), Provide::new("/bin/sh")];
    provider.depends = vec![Dependency::any("libc").into(), Dependency::any("busybox").into()];
    let run = Run::new(Openwrt, &[&library, &guest]).provider(provider);
    let needed = Step { explicit: false, ..library.step(None) };
    run.go(dir.path(), [needed, guest.step(None)]);

    let ask = |words: &[&str]| {
        let said = root.run(["opkg"].iter().chain(words)).unwrap();
        assert!(said.success() && said.stderr.is_empty(), "{words:?}: {} {}", said.stdout, said.stderr);
        said.stdout
    };
    assert!(ask(&["list-installed"]).contains("guest - 2.0_rc1-r0\n"));
    assert!(ask(&["files", "guest"]).contains("/opt/guest/deep/y\n"));
    assert!(ask(&["search", "/usr/bin/guest"]).contains("guest - 2.0_rc1-r0"));
    assert!(ask(&["whatdepends", "guest-libs"]).contains("guest 2.0_rc1-r0"));
    let status = stanzas(dir.path());
    let stanza = &status["Package: guest"];
    assert!(stanza.contains("Depends: guest-libs, xpkg-abi-alpine\n"), "{stanza}");
    assert!(
        stanza.contains("Status: install hold,user installed\n")
            && stanza.contains(" /etc/guest.conf 2d711642b726b04401627ca9fbac32f5"),
        "{stanza}"
    );
    assert!(status["Package: guest-libs"].contains("Auto-Installed: yes\n"));
    std::fs::write(dir.path().join("etc/guest.conf"), "changed").unwrap();
    assert_eq!(ask(&["list-changed-conffiles"]).lines().filter(|l| l.contains("guest")).count(), 1);
    // opkg writes the list anew: what is said of guests stays.
    ask(&["flag", "hold", "uci"]);
    ask(&["flag", "ok", "uci"]);
    let again = stanzas(dir.path());
    assert_eq!(again["Package: guest"], status["Package: guest"]);

    std::fs::write(dir.path().join("etc/guest.conf"), "x").unwrap();
    let receipt = Run::new(Openwrt, &[]).go(dir.path(), [guest.removal(), library.removal()]);
    assert_eq!(receipt.kept, []);
    assert!(root.run(["opkg", "list-installed"]).unwrap().success());
    let left = diff(&before, &look(dir.path())).without(&EXCEPT);
    assert!(left.is_empty(), "{left:?}");
    assert!(!stanzas(dir.path()).keys().any(|name| name.contains("guest") || name.contains("xpkg")));

    // And opkg itself can take a guest away.
    run.go(dir.path(), [Step { explicit: false, ..library.step(None) }, guest.step(None)]);
    root.run(["opkg", "--autoremove", "remove", "guest"]).unwrap().expect_success().unwrap();
    assert!(!dir.path().join("usr/bin/guest").exists() && !dir.path().join("usr/lib/libguest.so.1").exists());
    let installed = xpkg_install::installed::read(&support::live(dir.path()), Openwrt).unwrap();
    assert!(!installed.packages.iter().any(|p| p.foreign));
}

/// What scripts would do to accounts and links is done where none runs.
fn without_scripts() {
    let dir = real::unpack_root(ROOT).unwrap();
    let package = probe("1.0-1").require_user("probe=:probe other=700:others=701");
    let package = Source::ipk(package.owner(("probe", 0), ("others", 0)));
    let receipt = Run::new(Openwrt, &[&package]).go(dir.path(), [package.step(None)]);
    assert!(receipt.failures.is_empty() && !dir.path().join(LOG).exists());
    let text = |path: &str| std::fs::read_to_string(dir.path().join(path)).unwrap();
    assert!(text("etc/passwd").contains("probe:x:65536:65536:probe:/var/run/probe:/bin/false\nother:x:700:701:"));
    assert!(text("etc/group").contains("probe:x:65536:probe\nothers:x:701:other\n"));
    assert!(text("etc/shadow").ends_with("probe:x:0:0:99999:7:::\nother:x:0:0:99999:7:::\n"));
    let link = std::fs::read_link(dir.path().join("usr/bin/newtool")).unwrap();
    assert_eq!(link, Path::new("/usr/share/probe/tool"));
    let installed = xpkg_install::installed::read(&support::live(dir.path()), Openwrt).unwrap();
    let probe = installed.get(Openwrt, "probe").unwrap();
    assert!(probe.explicit && !probe.held && !probe.foreign);
    xpkg_install::transaction::hold(&mut support::live(dir.path()), Openwrt, "probe", true, &Silent).unwrap();
    assert!(stanzas(dir.path())["Package: probe"].contains("Status: install hold,user installed"));
    let root = Chroot::new(dir.path()).unwrap();
    let said = root.run(["opkg", "status", "probe"]).unwrap().expect_success().unwrap();
    assert!(said.stdout.contains("hold"), "{}", said.stdout);

    std::fs::remove_file(dir.path().join("usr/lib/opkg/info/probe.list")).unwrap();
    let receipt = Run::new(Openwrt, &[]).go(dir.path(), [package.removal()]);
    let missing = "/usr/lib/opkg/info/probe.list is missing: the files of the old probe stay";
    assert!(receipt.notes.iter().any(|note| note == missing), "{:?}", receipt.notes);
    std::fs::remove_file(dir.path().join(STATUS)).unwrap();
    std::fs::create_dir(dir.path().join(STATUS)).unwrap();
    let error = xpkg_install::installed::read(&support::live(dir.path()), Openwrt).unwrap_err();
    assert!(
        support::chain(&error).contains("/usr/lib/opkg/status: it is no regular file"),
        "{}",
        support::chain(&error)
    );
}
