//! A real OpenWrt 19.07, whose own manager is opkg: packages go, come and are renewed through xpkg, and the root's own opkg
//! lists, shows, upgrades and removes them as if it had brought them; and the other way round.

use std::collections::BTreeMap;

use xpkg_fixtures::keys;
use xpkg_tests::feed::{Feed, repack_ipk};
use xpkg_tests::{System, Xpkg};

const WANTED: [&str; 4] = ["wget", "lua", "ipset", "coreutils-base64"];

/// opkg's own account of what is installed: version by name.
fn listed(system: &System) -> BTreeMap<String, String> {
    let out = opkg(system, "list-installed");
    let pair = |line: &str| line.split_once(" - ").map(|(name, version)| (name.to_owned(), version.to_owned()));
    out.lines().filter_map(pair).collect()
}

/// Runs opkg, which must have nothing to complain about.
fn opkg(system: &System, args: &str) -> String {
    let out = system.ok(std::iter::once("opkg").chain(args.split(' ')));
    assert!(!format!("{}{}", out.stdout, out.stderr).contains("Collected errors"), "{out:?}");
    out.stdout
}

fn link(system: &System, path: &str) -> Option<String> {
    let target = std::fs::read_link(system.dir().join(path)).ok()?;
    Some(target.to_str().unwrap().to_owned())
}

fn prepared() -> Option<(System, Xpkg)> {
    let system = System::openwrt_opkg()?;
    system.sh("mkdir -p /var/lock");
    let xpkg = system.xpkg();
    xpkg.ok(["update"]);
    Some((system, xpkg))
}

#[test]
fn packages_go_and_come_and_opkg_takes_them_for_its_own() {
    let Some((system, xpkg)) = prepared() else { return };
    let before = listed(&system);
    assert!(WANTED.iter().all(|name| before.contains_key(*name)));
    assert_eq!(link(&system, "usr/bin/wget").as_deref(), Some("/usr/bin/wget-ssl"));
    xpkg.ok(["remove", "--cascade"].into_iter().chain(WANTED));
    let without = listed(&system);
    assert!(WANTED.iter().all(|name| !without.contains_key(*name)), "{without:?}");
    // The next best takes the link over; where there is none, it goes.
    assert_eq!(link(&system, "usr/bin/wget").as_deref(), Some("/bin/uclient-fetch"));
    assert_eq!(link(&system, "bin/base64"), None);
    assert!(!system.has("usr/bin/lua") && !system.has("usr/lib/opkg/info/lua.list"));

    xpkg.ok(["install"].into_iter().chain(WANTED));
    let again = listed(&system);
    for name in WANTED {
        assert_eq!(again.get(name), before.get(name));
    }
    assert_eq!(link(&system, "usr/bin/wget").as_deref(), Some("/usr/bin/wget-ssl"));
    assert_eq!(link(&system, "bin/base64").as_deref(), Some("/usr/bin/gnu-base64"));
    assert!(system.ok(["wget", "--version"]).stdout.starts_with("GNU Wget 1.20.3"));
    assert_eq!(system.ok(["lua", "-e", "print(1 + 1)"]).stdout, "2\n");
    assert!(system.ok(["ipset", "--version"]).stdout.starts_with("ipset v7.3"));
    assert_eq!(system.sh("printf hi | base64").stdout, "aGk=\n");

    // The root's own opkg.
    opkg(&system, "update");
    assert!(opkg(&system, "files ipset").contains("/usr/sbin/ipset\n"));
    assert!(opkg(&system, "search /usr/bin/gnu-base64").starts_with("coreutils-base64 - 8.30-2"));
    let status = opkg(&system, "status lua");
    assert!(status.contains("Status: install user installed\n") && status.contains("Architecture: x86_64"), "{status}");
    let record = String::from_utf8(system.read("usr/lib/opkg/status")).unwrap();
    let automatic = record.split("\n\n").find(|r| r.starts_with("Package: libipset13\n")).unwrap();
    assert!(automatic.contains("Auto-Installed: yes"), "{automatic}");
    assert_eq!(opkg(&system, "list-upgradable"), "");
    opkg(&system, "remove ipset coreutils-base64 --autoremove");
    assert!(!system.has("usr/sbin/ipset") && !system.has("usr/lib/libipset.so.13") && !system.has("bin/base64"));
    opkg(&system, "install ipset coreutils-base64");
    // And back: what opkg brought, xpkg takes away.
    let known = xpkg.json(["list", "ipset"]).to_string();
    assert!(known.contains("7.3-1"), "{known}");
    xpkg.ok(["remove", "ipset", "coreutils-base64"]);
    let gone = listed(&system);
    assert!(!gone.contains_key("ipset") && !gone.contains_key("coreutils-base64"));
    assert!(!system.has("usr/sbin/ipset") && !system.has("bin/base64"));
}

/// A newer signed feed of re-packed real packages, beside the release's.
fn newer(system: &System) -> Feed {
    let mut feed = Feed::opkg();
    let lua = repack_ipk("lua").version("5.1.5-4").require_user("script=5501:script=5501");
    feed.publish(lua);
    feed.publish(
        repack_ipk("wget")
            .version("1.20.4-1")
            .with(|p| {
                p.depends.clear();
            })
            .depends("libc, nosuch | libpcre, zlib (>= 1.2), libopenssl1.1, librt"),
    );
    feed.publish(repack_ipk("libopenssl-conf").version("1.1.1d-3").conffile("etc/ssl/openssl.cnf", "# new\n"));
    let rival = repack_ipk("ipset").version("8.0-1").with(|p| p.name = "ipset-nft".into());
    feed.publish(rival.conflicts("ipset").replaces("ipset").provides("ipset"));
    let enemy = repack_ipk("coreutils-base64").with(|p| p.name = "base64-plain".into()).conflicts("coreutils-base64");
    feed.publish(enemy);
    system.add_native_source(&feed.line(), keys::USIGN);
    feed
}

#[test]
fn a_newer_feed_is_taken_as_opkg_would() {
    let Some((system, xpkg)) = prepared() else { return };
    let mut feed = newer(&system);
    xpkg.ok(["update"]);
    let original = system.read("etc/ssl/openssl.cnf");
    let mine = [original.as_slice(), b"# mine\n"].concat();
    system.write("etc/ssl/openssl.cnf", &mine);

    // Upgrades: a choice of dependencies, an account, configuration that a person changed.
    xpkg.ok(["upgrade", "lua", "wget", "libopenssl-conf"]);
    let now = listed(&system);
    let version = |name: &str| now.get(name).map(String::as_str);
    assert_eq!(version("lua"), Some("5.1.5-4"));
    assert_eq!(version("wget"), Some("1.20.4-1"));
    assert_eq!(version("libopenssl-conf"), Some("1.1.1d-3"));
    assert_eq!(link(&system, "usr/bin/wget").as_deref(), Some("/usr/bin/wget-ssl"));
    let accounts = (system.read("etc/passwd"), system.read("etc/group"));
    let has = |file: &[u8], start: &str| String::from_utf8_lossy(file).lines().any(|l| l.starts_with(start));
    assert!(has(&accounts.0, "script:") && has(&accounts.1, "script:"), "no account was made");
    assert_eq!(system.read("etc/ssl/openssl.cnf"), mine, "what a person changed was not kept");
    assert_eq!(system.read("etc/ssl/openssl.cnf-opkg"), b"# new\n");

    // Conflicts: refused where nothing else is said, a swap where the newcomer replaces the old one.
    let said = xpkg.refused(["install", "base64-plain"]);
    assert!(said.contains("coreutils-base64"), "{said}");
    xpkg.ok(["install", "ipset-nft"]);
    let now = listed(&system);
    assert!(now.contains_key("ipset-nft") && !now.contains_key("ipset"), "{now:?}");
    assert!(system.ok(["ipset", "--version"]).stdout.starts_with("ipset v7.3"));

    // The root's own opkg agrees, renews and removes them.
    opkg(&system, "update");
    assert_eq!(opkg(&system, "list-upgradable"), "");
    assert!(opkg(&system, "list-changed-conffiles").contains("/etc/ssl/openssl.cnf"));
    feed.publish(repack_ipk("lua").version("5.1.5-5"));
    feed.publish(repack_ipk("wget").version("1.20.5-1"));
    opkg(&system, "update");
    assert!(opkg(&system, "list-upgradable").contains("lua - 5.1.5-4 - 5.1.5-5"));
    opkg(&system, "upgrade lua wget");
    opkg(&system, "remove ipset-nft");
    assert!(!system.has("usr/sbin/ipset"));
    // And the other way round.
    let known = xpkg.json(["list", "lua"]).to_string();
    assert!(known.contains("5.1.5-5"), "{known}");
    feed.publish(repack_ipk("lua").version("5.1.5-6"));
    xpkg.ok(["update"]);
    xpkg.ok(["upgrade"]);
    assert_eq!(listed(&system).get("lua").map(String::as_str), Some("5.1.5-6"));
    assert_eq!(system.ok(["lua", "-e", "print(1 + 1)"]).stdout, "2\n");
}

/// What opkg holds, xpkg holds; what is essential goes only when it is named.
#[test]
fn holds_and_essential_packages_stay() {
    let Some((system, xpkg)) = prepared() else { return };
    let _feed = newer(&system);
    xpkg.ok(["update"]);
    opkg(&system, "flag hold lua");
    xpkg.ok(["upgrade"]);
    let now = listed(&system);
    assert_eq!(now.get("lua").map(String::as_str), Some("5.1.5-3"));
    assert_eq!(now.get("wget").map(String::as_str), Some("1.20.4-1"));
    assert!(opkg(&system, "status lua").contains("hold"), "the hold was lost");
    let said = xpkg.refused(["remove", "--cascade", "libgcc1"]);
    assert!(said.contains("libc") && said.contains("essential"), "{said}");
}

/// A dry run says what the real run does, also where no package changes.
#[test]
fn naming_what_came_for_others_keeps_it() {
    let Some((system, xpkg)) = prepared() else { return };
    let status = || String::from_utf8(system.read("usr/lib/opkg/status")).unwrap();
    let stanza = |name: &str| {
        let start = format!("Package: {name}\n");
        status().split("\n\n").find(|s| s.starts_with(&start)).unwrap().to_owned()
    };
    let text = status();
    let automatic = text.split("\n\n").find(|s| s.contains("\nAuto-Installed: yes")).unwrap();
    let name = automatic.lines().next().unwrap().trim_start_matches("Package: ").to_owned();
    let said = xpkg.ok(["install", "--dry-run", &name]);
    assert_eq!(said.stdout, format!("openwrt:{name} is there already, and stays from now on until you remove it\n"));
    assert!(stanza(&name).contains("Auto-Installed: yes"));
    let said = xpkg.ok(["install", &name]);
    assert!(said.stdout.contains("stays from now on"), "{said:?}");
    assert!(!stanza(&name).contains("Auto-Installed"), "{}", stanza(&name));
    assert_eq!(xpkg.ok(["install", "--dry-run", &name]).stdout, "nothing to do\n");

    // What goes has the size that its control file says.
    let said = xpkg.json(["remove", "--dry-run", "wget"]);
    let control = String::from_utf8(system.read("usr/lib/opkg/info/wget.control")).unwrap();
    let size: i64 = control.lines().find_map(|l| l.strip_prefix("Installed-Size: ")).unwrap().parse().unwrap();
    assert_eq!(said["disk_change"].as_i64(), Some(-size), "{said}");
    std::fs::remove_file(system.dir().join("usr/lib/opkg/info/wget.control")).unwrap();
    assert_eq!(xpkg.json(["remove", "--dry-run", "wget"])["disk_change"].as_i64(), Some(0));

    // A line that is no path, and a damaged database: both are named once.
    system.write("usr/lib/opkg/info/lua.list", "/usr/bin/lua5.1\nusr/../../x\n");
    let said = xpkg.refused(["remove", "lua"]);
    assert!(said.contains("lua.list: line 2: `usr/../../x` is no absolute path"), "{said}");
    system.write("usr/lib/opkg/status", "no field here\n");
    let said = xpkg.run(["list"]);
    assert_eq!((said.status, said.stderr.matches("usr/lib/opkg/status").count()), (1, 1), "{said:?}");
    assert!(said.stderr.contains("hint: "), "{said:?}");
    assert_eq!(xpkg.run(["source", "add", "x"]).status, 2);
}
