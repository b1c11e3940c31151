//! Services of Alpine, which were written for OpenRC, on real roots of OpenWrt that nobody booted: how the version that Alpine's
//! package asks for is settled, what is enabled with and without scripts, and that a removal leaves nothing. That they run is
//! the booted suite's.

use std::collections::BTreeSet;

use serde_json::Value;
use xpkg_fixtures::real::{diff, snapshot};
use xpkg_tests::{System, Trace, Xpkg, add_source};

const WANTED: [&str; 2] = ["alpine:openssh-server", "alpine:chrony"];
/// What `enable` makes.
const LINKS: &str = "etc/rc.d/K40chronyd\netc/rc.d/K40sshd\netc/rc.d/S60chronyd\netc/rc.d/S60sshd\n";
const LIST: &str = "ls -d etc/rc.d/*chronyd etc/rc.d/*sshd 2>/dev/null; true";

/// xpkg with the repository of the installation medium.
fn with_medium(system: &System) -> Xpkg {
    let xpkg = system.xpkg();
    add_source(&xpkg, "alpine-iso", "alpine-3.19-iso");
    xpkg.ok(["update"]);
    xpkg
}

fn install(xpkg: &Xpkg, options: &[&str]) -> Value {
    let done = xpkg.json(["install"].iter().chain(options).chain(&WANTED));
    assert_eq!(done["done"], true, "{done:#}");
    done
}

/// What the root's own manager says that it did not say before, but for totals.
fn said(system: &System, asked: &str) -> BTreeSet<String> {
    system.sh(asked).lines().filter(|line| !line.starts_with("OK: ")).map(str::to_owned).collect()
}

#[test]
fn the_roots_own_keygen_stays_and_what_is_enabled_goes_with_its_package() {
    let Some(system) = &System::openwrt() else { return };
    let xpkg = with_medium(system);
    system.ok(["apk", "update"]);
    let questions = ["apk audit", "apk audit --system", "apk upgrade -s", "apk list -I openssh-keygen"];
    let before = (questions.map(|asked| said(system, asked)), Trace::of(system));

    let plan = install(&xpkg, &[]);
    assert_eq!(plan["script_failures"], Value::Array(Vec::new()), "{plan:#}");
    let uses = plan["host_uses"].as_array().unwrap();
    let keygen = uses.iter().find(|u| u["requirement"] == "openssh-keygen=9.6_p1-r0").unwrap();
    assert_eq!((&keygen["native"], &keygen["consumer"]), (&"openssh-keygen".into(), &WANTED[0].into()));
    assert!(keygen["settled"].as_str().is_some_and(|why| why.contains("ssh-keygen")), "{keygen:#}");
    assert!(!plan.to_string().contains("lost at a restart"), "{plan:#}");
    assert_eq!(system.sh(LIST).stdout, LINKS);
    system.ok(["test", "-L", "/usr/bin/ssh-keygen"]);
    for (asked, before) in questions.iter().zip(&before.0) {
        let after = said(system, asked);
        let new: Vec<&str> = after.difference(before).map(String::as_str).collect();
        assert!(before.is_subset(&after), "{asked}: {before:?} became {after:?}");
        assert!(new.iter().all(|line| line.starts_with("A etc/rc.d/")), "{asked}: {new:?}");
    }
    // The native manager removes one, xpkg the other.
    system.ok(["apk", "del", "openssh-server"]);
    assert_eq!(system.sh(LIST).stdout, "etc/rc.d/K40chronyd\netc/rc.d/S60chronyd\n");
    xpkg.ok(["remove", "alpine:chrony"]);
    before.1.assert_same(&Trace::of(system), &["tmp", "var", "lib/apk/db/lock"]);

    // The same without scripts.
    install(&xpkg, &["--no-scripts"]);
    assert_eq!(system.sh(LIST).stdout, LINKS);
    xpkg.ok(["remove", "--no-scripts", WANTED[0], WANTED[1]]);
    before.1.assert_same(&Trace::of(system), &["tmp", "var", "lib/apk/db/lock"]);
}

/// In a private layer, because musl 1.1.24 does not know DT_RELR. This service is not enabled by being installed.
#[test]
fn on_a_root_of_opkg() {
    let Some(system) = &System::openwrt_opkg() else { return };
    let xpkg = with_medium(system);
    let seen = || snapshot(system.dir()).unwrap();
    let before = seen();
    xpkg.ok(["install", "alpine:wpa_supplicant"]);
    let listed = system.sh("opkg list-installed; opkg files wpa_supplicant-openrc").stdout;
    assert!(listed.contains("wpa_supplicant-openrc - 2.10-r9") && listed.contains("/etc/init.d/wpa_cli"), "{listed}");
    let links = || system.sh("ls etc/rc.d | grep wpa; true").stdout;
    assert_eq!(links(), "");
    xpkg.ok(["service", "enable", "wpa_supplicant"]);
    assert_eq!(links(), "K39wpa_supplicant\nS61wpa_supplicant\n");
    // In a root that nobody booted nothing is started, and that is said.
    let said = xpkg.refused(["service", "start", "wpa_supplicant"]);
    assert!(said.contains("not the running system"), "{said}");
    xpkg.ok(["remove", "alpine:wpa_supplicant"]);
    let left = diff(&before, &seen()).without(&["tmp", "var", "usr/lib/opkg/status"]);
    assert!(left.is_empty(), "{left}");
}
