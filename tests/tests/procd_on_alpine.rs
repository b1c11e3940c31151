//! OpenWrt's procd, uci and dropbear on a real Alpine 3.19 under its own OpenRC: one command brings them, they run, recover and
//! stop, and the root's own apk stays content and takes them away again. What needs a kernel of its own is in the booted suite.

use std::collections::BTreeSet;

use serde_json::Value;
use xpkg_tests::judge::is_gone_process;
use xpkg_tests::openrc::started;
use xpkg_tests::{System, Trace};

const WANTED: [&str; 4] = ["openwrt:procd", "openwrt:uci", "openwrt:dropbear", "openwrt:procd-ujail"];
/// What OpenWrt may never bring there, although its packages have it.
const NEVER: [&str; 8] = [
    "sbin/upgraded",
    "sbin/kmodloader",
    "etc/inittab.openwrt",
    "etc/preinit",
    "lib/preinit",
    "lib/upgrade",
    "etc/config/network",
    "sbin/sysupgrade",
];
/// What a person's use of the services leaves: host keys, and configuration that is not as it came.
const USED: [&str; 3] = ["etc/dropbear", "etc/config", "var/lock"];

/// What the root's own manager is asked before and after.
const QUESTIONS: [&str; 4] = ["apk audit", "apk audit --system", "apk upgrade -s", "apk del -s wget"];
/// What it then sees beside its packages: what is enabled, and a setting that gave way to the root's own sshd.
const CHOICES: [&str; 5] = [
    "A etc/openwrt/rc.d/K50dropbear",
    "A etc/openwrt/rc.d/S19dropbear",
    "A etc/runlevels/default/procd",
    "A etc/runlevels/default/ubusd",
    "U etc/config/dropbear",
];

/// Prints `what` for every condition that comes true; waits a little for each.
const UNTIL: &str = "until_() { i=0; until eval \"$2\" >/dev/null 2>&1; do i=$((i+1)); [ $i -lt 60 ] || { echo \"not: $1\"; \
    ps; cat /tmp/log; exit 1; }; sleep 1; done; echo \"$1\"; }\nlistens() { netstat -ltn | grep -q \"[.:]$1 \"; }\n";

/// What is done, and what must be said of it in this order.
const STEPS: [(&str, &str); 9] = [
    ("rc-service ubusd start; rc-service procd start", "ubus list service && ubus list system"),
    ("", "listens 2022"),
    ("uci set dropbear.@dropbear[0].Port=2023; uci commit; reload_config", "listens 2023 && ! listens 2022"),
    ("old=$(pidof dropbear); kill -9 $old", "listens 2023 && test $(pidof dropbear) != $old"),
    (
        "old=$(pidof procd); kill -9 $old",
        "listens 2023 && test $(pidof procd) != $old && ! pidof dropbear | grep -q \" \"",
    ),
    ("old=$(pidof ubusd); kill -9 $old", "test $(pidof ubusd) != $old && ubus list service"),
    ("/usr/lib/xpkg/procd/enter /etc/init.d/dropbear stop", "! pidof dropbear"),
    ("/usr/lib/xpkg/procd/enter /etc/init.d/dropbear start", "listens 2023"),
    ("rc-service procd stop", "! pidof procd && ! pidof dropbear"),
];

#[test]
fn services_run_under_procd_under_openrc() {
    let Some(system) = &System::alpine() else { return };
    let xpkg = system.xpkg();
    system.add_foreign_sources(&xpkg);
    xpkg.ok(["update"]);
    system.ok(["apk", "update"]);
    let before = (QUESTIONS.map(|asked| said(system, asked)), Trace::of(system));
    let plan = xpkg.json(["install"].into_iter().chain(WANTED));
    assert_eq!(plan["script_failures"], Value::Array(Vec::new()), "{plan:#}");
    let told = plan.to_string();
    assert!(told.contains("dropbear.@dropbear[0].Port begins as 2022"), "{plan:#}");
    for path in NEVER {
        assert!(!system.has(path), "/{path} came");
    }
    assert!(system.has("lib/functions/procd.sh") && system.has("etc/openwrt/init.d/dropbear"));
    assert_eq!(system.ok(["readlink", "/sbin/init"]).stdout, "/bin/busybox\n");
    assert_eq!(system.sh("cd /etc/runlevels/default; ls").stdout, "procd\nubusd\n");
    for (asked, before) in QUESTIONS.iter().zip(&before.0) {
        let after = said(system, asked);
        let new: Vec<&str> = after.difference(before).map(String::as_str).collect();
        let expected: &[&str] = if *asked == "apk audit" { &CHOICES } else { &[] };
        assert_eq!(new, expected, "{asked}");
        assert!(before.is_subset(&after), "{asked}: {before:?} became {after:?}");
    }

    run(system);

    // The root's own manager stops and disables what it removes.
    system.ok(["apk", "del", "dropbear"]);
    assert_eq!(system.sh("ls /etc/openwrt/rc.d").stdout, "");
    xpkg.ok(["remove"].into_iter().chain(WANTED.into_iter().filter(|name| *name != "openwrt:dropbear")));
    assert!(!system.has("etc/openwrt") && !system.has("etc/rc.d") && !system.has("usr/lib/xpkg/procd"));
    let except: Vec<&str> = USED.into_iter().chain(["tmp", "run", "var/cache", "lib/apk/db/lock"]).collect();
    before.1.assert_same(&Trace::of(system), &except);
}

/// Of OpenWrt 19.07, from its ipk feeds: a bus without an account of its own, its socket right in `/run`, and a procd that cannot
/// be told where the scripts are.
#[test]
fn so_do_those_of_19_07() {
    let Some(system) = &System::alpine() else { return };
    let xpkg = system.xpkg();
    system.add_opkg_sources(&xpkg);
    xpkg.ok(["update"]);
    let before = Trace::of(system);
    let wanted = ["openwrt:procd", "openwrt:uci", "openwrt:dropbear"];
    let done = xpkg.json(["install"].into_iter().chain(wanted));
    assert_eq!(done["script_failures"], Value::Array(Vec::new()), "{done:#}");
    run(system);
    xpkg.ok(["remove"].into_iter().chain(wanted));
    let except: Vec<&str> = USED.into_iter().chain(["tmp", "run", "var/cache", "lib/apk/db/lock"]).collect();
    before.assert_same(&Trace::of(system), &except);
}

fn run(system: &System) {
    let mut line = format!("exec 2>&1\n{UNTIL}syslogd -O /tmp/log\n");
    for (number, (what, until)) in STEPS.iter().enumerate() {
        line.push_str(&format!("{what}\nuntil_ 'step {number}' '{until}'\n"));
    }
    let out = started(system, &line);
    let reached = out.lines().filter(|line| line.starts_with("step ")).count();
    assert_eq!(reached, STEPS.len(), "{}", out.stdout);
}

/// What is said to a question, but for the totals.
fn said(system: &System, asked: &str) -> BTreeSet<String> {
    let out = system.ok(asked.split(' '));
    out.lines().filter(|line| !line.starts_with("OK: ") && !is_gone_process(line)).map(str::to_owned).collect()
}
