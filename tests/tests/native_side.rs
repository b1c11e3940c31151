//! Native packages through xpkg, on both roots: twins that the real apk and xpkg treat alike must end alike, down to every
//! path, record, script and trigger. The upgrades are real packages, re-packed.

use xpkg_fixtures::{Apk, ScriptKind, keys};
use xpkg_model::Ecosystem;
use xpkg_tests::feed::{Feed, repack};
use xpkg_tests::{System, Trace};

/// Who does the work.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hand {
    Apk,
    Xpkg,
}

/// Where scripts write what they were called with.
const LOG: &str = "root/scripts";
/// Caches and logs of either program; the lock is the native manager's.
const EXCEPT: [&str; 7] =
    ["tmp/cache", "tmp/log", "var/cache/apk", "var/cache/xpkg", "var/log/apk.log", "lib/apk/db/lock", LOG];

fn script(name: &str, kind: ScriptKind) -> String {
    format!("#!/bin/sh\necho \"{name} {} $*\" >>/{LOG}\n", kind.as_str())
}

/// With scripts that write down every call.
fn logged(mut apk: Apk) -> Apk {
    let name = apk.name().to_owned();
    for kind in ScriptKind::ALL.into_iter().filter(|k| *k != ScriptKind::Trigger) {
        apk = apk.script(kind, &script(&name, kind));
    }
    apk
}

fn add(system: &System, hand: Hand, packages: &[&str]) {
    match hand {
        Hand::Apk => drop(system.ok(["apk", "add"].iter().chain(packages))),
        Hand::Xpkg => drop(system.xpkg().ok(["install"].iter().chain(packages))),
    }
}

fn remove(system: &System, hand: Hand, packages: &[&str]) {
    match hand {
        Hand::Apk => drop(system.ok(["apk", "del"].iter().chain(packages))),
        Hand::Xpkg => drop(system.xpkg().ok(["remove"].iter().chain(packages))),
    }
}

fn upgrade(system: &System, hand: Hand) {
    match hand {
        Hand::Apk => {
            system.ok(["apk", "update"]);
            system.ok(["apk", "upgrade"]);
        }
        Hand::Xpkg => {
            system.xpkg().ok(["update"]);
            system.xpkg().ok(["upgrade"]);
        }
    }
}

/// Twins of one world, one for each hand.
struct Twins([(Hand, System); 2]);

impl Twins {
    fn new(native: Ecosystem, hands: [Hand; 2]) -> Option<Self> {
        let [a, b] = hands;
        let twins = Self([(a, System::fresh(native)?), (b, System::fresh(native)?)]);
        twins.each(|_, system| drop(system.ok(["apk", "update"])));
        twins.each(|hand, system| {
            if hand == Hand::Xpkg {
                system.xpkg().ok(["update"]);
            }
        });
        Some(twins)
    }

    fn each(&self, work: impl Fn(Hand, &System)) {
        for (hand, system) in &self.0 {
            work(*hand, system);
        }
    }

    /// Both are alike, and the real apk says the same of both.
    fn assert_alike(&self, when: &str) {
        let [(_, a), (_, b)] = &self.0;
        assert_eq!(calls(a), calls(b), "calls of scripts, {when}");
        Trace::of(a).assert_same(&Trace::of(b), &EXCEPT);
        self.each(|_, system| drop(system.ok(["apk", "update"])));
        for question in ["apk list -I", "apk audit", "apk audit --system", "apk upgrade -s"] {
            let ask = |system: &System| {
                let said = system.chroot.run(question.split(' ')).unwrap();
                let mut lines: Vec<_> = said.stdout.lines().map(str::to_owned).collect();
                lines.sort();
                (said.status, lines, said.stderr)
            };
            assert_eq!(ask(a), ask(b), "{question}, {when}");
        }
    }
}

/// What scripts were called with, package by package. apk goes from package to package and xpkg from stage to stage, so the
/// order between packages differs; directories come to triggers in no order.
fn calls(system: &System) -> Vec<Vec<String>> {
    let log = if system.has(LOG) { system.read(LOG) } else { Vec::new() };
    let mut lines: Vec<Vec<String>> = String::from_utf8(log).unwrap().lines().map(words).collect();
    lines.sort_by(|a, b| a[0].cmp(&b[0]));
    lines
}

fn words(line: &str) -> Vec<String> {
    let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    if words[0] == "triggered" {
        words.sort();
    }
    words
}

/// The whole life of native packages on OpenWrt.
fn openwrt(hands: [Hand; 2]) {
    let native = Ecosystem::Openwrt;
    let Some(twins) = Twins::new(native, hands) else { return };
    let install = ["iw", "wireless-regdb"];
    twins.each(|hand, system| add(system, hand, &install));
    twins.assert_alike("after installing");
    twins.each(|_, system| assert!(system.ok(["iw", "--version"]).stdout.contains("6.17")));

    let mut feed = Feed::new(native);
    let iw = logged(repack(native, "iw")).version("6.99-r1").file("/usr/sbin/iw", "#!/bin/sh\necho iw 6.99\n");
    feed.publish(iw.file("/usr/share/iw/new", "a new file\n"));
    let trigger = format!("#!/bin/sh\necho \"triggered $*\" >>/{LOG}\n");
    let regdb = logged(repack(native, "wireless-regdb")).version("2027.01.01-r1");
    feed.publish(regdb.remove("/lib/firmware/regulatory.db").trigger(&["/usr/sbin", "/usr/share/*"], &trigger));
    let uhttpd = repack(native, "uhttpd").version("2027.01.01~abcdef12-r1");
    feed.publish(uhttpd.file("/etc/config/uhttpd", "config uhttpd main\n\tlist listen_http 0.0.0.0:8080\n"));
    let dropbear = repack(native, "dropbear").version("2099.1-r1");
    feed.publish(dropbear.file("/etc/config/dropbear", "config dropbear main\n\toption Port 2222\n"));
    twins.each(|_, system| {
        system.add_native_source(&feed.line(), keys::P256);
        system.write("etc/config/uhttpd", "config uhttpd mine\n");
    });
    twins.each(|hand, system| upgrade(system, hand));
    twins.each(|_, system| {
        assert_eq!(system.ok(["iw"]).stdout, "iw 6.99\n");
        assert_eq!(system.read("etc/config/uhttpd"), b"config uhttpd mine\n");
        assert!(system.has("etc/config/uhttpd.apk-new") && !system.has("etc/config/dropbear.apk-new"));
        let log = String::from_utf8(system.read(LOG)).unwrap();
        assert!(log.contains("iw post-upgrade 6.99-r1 6.17-r1") && log.contains("triggered "), "{log}");
    });
    twins.assert_alike("after upgrading");

    twins.each(|hand, system| remove(system, hand, &install));
    twins.each(|_, system| assert!(!system.has("usr/sbin/iw") && !system.has("usr/share/iw")));
    twins.assert_alike("after removing");
}

/// The whole life of native packages on Alpine.
fn alpine(hands: [Hand; 2]) {
    let native = Ecosystem::Alpine;
    let Some(twins) = Twins::new(native, hands) else { return };
    let install = ["jq", "doas", "ca-certificates"];
    twins.each(|hand, system| add(system, hand, &install));
    twins.assert_alike("after installing");
    twins.each(|_, system| assert_eq!(system.ok(["jq", "-n", "1+1"]).stdout, "2\n"));

    let mut feed = Feed::new(native);
    let jq = logged(repack(native, "jq")).version("1.9-r0").file("/usr/bin/jq", "#!/bin/sh\necho jq 1.9\n");
    feed.publish(jq.file("/usr/share/jq/new", "a new file\n"));
    let trigger = format!("#!/bin/sh\necho \"triggered $*\" >>/{LOG}\n");
    let doas =
        logged(repack(native, "doas")).version("6.9-r0").file("/etc/doas.d/doas.conf", "permit persist :wheel\n");
    feed.publish(doas.trigger(&["/usr/share/*"], &trigger));
    let chrony = repack(native, "chrony").version("4.6-r0");
    feed.publish(chrony.file("/etc/chrony/chrony.conf", "pool ntp.example.invalid iburst\n"));
    twins.each(|_, system| {
        std::fs::write(system.list_file(), "").unwrap();
        system.add_native_source(&feed.line(), keys::RSA);
        system.write("etc/chrony/chrony.conf", "pool mine.example.invalid\n");
    });
    twins.each(|hand, system| upgrade(system, hand));
    twins.each(|_, system| {
        assert_eq!(system.ok(["jq"]).stdout, "jq 1.9\n");
        assert_eq!(system.read("etc/chrony/chrony.conf"), b"pool mine.example.invalid\n");
        assert!(system.has("etc/chrony/chrony.conf.apk-new"));
        let log = String::from_utf8(system.read(LOG)).unwrap();
        assert!(log.contains("jq post-upgrade 1.9-r0 1.7.1-r0") && log.contains("triggered /usr/share/"), "{log}");
    });
    twins.assert_alike("after upgrading");

    twins.each(|hand, system| remove(system, hand, &install));
    twins.each(|_, system| assert!(!system.has("usr/bin/jq") && !system.has("usr/share/jq")));
    twins.assert_alike("after removing");
}

/// The comparison holds when the real apk does both: what differs else is xpkg's doing.
#[test]
fn apk_is_like_itself() {
    openwrt([Hand::Apk; 2]);
    alpine([Hand::Apk; 2]);
}

#[test]
fn openwrt_packages_as_apk_would() {
    openwrt([Hand::Apk, Hand::Xpkg]);
}

#[test]
fn alpine_packages_as_apk_would() {
    alpine([Hand::Apk, Hand::Xpkg]);
}
