//! Accounts and scripts of foreign packages on real roots: users and groups are made with the packages that need them, have
//! the same numbers every time, and go again; scripts find the tools that their own system has.

use serde_json::Value;
use xpkg_fixtures::{Apk, keys};
use xpkg_model::Ecosystem;
use xpkg_model::payload::ScriptKind;
use xpkg_tests::feed::Feed;
use xpkg_tests::inside::Inside;
use xpkg_tests::{System, Trace, add_source};

/// What may change besides: the cache and lock files.
const LEFT: [&str; 5] = ["tmp/cache/xpkg", "var/cache/xpkg", "lib/apk/db/lock", "tmp/log/apk.log", "var/log/apk.log"];
const FILES: [&str; 3] = ["etc/passwd", "etc/group", "etc/shadow"];

fn line(system: &System, file: &str, name: &str) -> Option<Vec<String>> {
    let text = String::from_utf8(system.read(file)).unwrap();
    let line = text.lines().find(|line| line.split(':').next() == Some(name))?.to_owned();
    Some(line.split(':').map(str::to_owned).collect())
}

/// chrony's pre-install script would find neither addgroup nor adduser on OpenWrt and fail without a word.
#[test]
fn chrony_on_openwrt() {
    let Some(system) = System::openwrt() else { return };
    let xpkg = system.xpkg();
    // The only one of the repositories that has chrony and all that it needs.
    add_source(&xpkg, "iso", "alpine-3.19-iso");
    xpkg.ok(["update"]);
    let before = FILES.map(|file| (system.read(file), system.mode_and_ids(file)));
    let plan = xpkg.json(["install", "alpine:chrony"]);
    assert_eq!(plan["script_failures"], Value::Array(Vec::new()), "{plan:#}");
    let user = line(&system, "etc/passwd", "chrony").unwrap();
    let number: u32 = user[2].parse().unwrap();
    assert!((32_768..65_534).contains(&number), "{user:?}");
    assert_eq!(user[3], user[2]);
    assert_eq!(user[5..], ["/var/log/chrony", "/bin/false"]);
    assert_eq!(line(&system, "etc/group", "chrony").unwrap()[2], user[2]);
    assert_eq!(line(&system, "etc/shadow", "chrony").unwrap()[1], "!");
    assert_eq!(system.mode_and_ids("etc/chrony"), (0o755, number, number));
    for (file, (_, ids)) in FILES.iter().zip(&before) {
        assert_eq!(system.mode_and_ids(file), *ids, "{file}");
    }
    xpkg.ok(["remove", "alpine:chrony"]);
    for (file, (bytes, _)) in FILES.iter().zip(&before) {
        assert_eq!(String::from_utf8(system.read(file)), String::from_utf8(bytes.clone()), "{file}");
    }
    // What it left behind is still its own when it comes again.
    xpkg.ok(["install", "alpine:chrony"]);
    assert_eq!(line(&system, "etc/passwd", "chrony").unwrap()[2], number.to_string());
    system.write("root/drift", "1");
    system.sh("chown chrony /root/drift");
    let gone = xpkg.ok(["remove", "alpine:chrony"]);
    let said = format!("{}{}", gone.stdout, gone.stderr);
    assert!(said.contains("user chrony stays: /root/drift is its own"), "{said}");
    assert!(line(&system, "etc/passwd", "chrony").is_some());
}

const ALPINES: &str = "#!/bin/sh\nset -e\naddgroup -S -g 4711 late\nadduser -S -D -h /srv/late -s /sbin/nologin -G late -g 'Late one' late\n\
    addgroup late users\nid=$(getent passwd late)\nudevadm control --reload\nrc-service nothing restart\n\
    echo \"$id\" >/etc/late.conf\nmkdir -p /srv/late/here\n";

/// The static build lends itself as addgroup, adduser, getent and rc-service, and nothing of that stays.
#[test]
fn tools_that_alpines_scripts_expect() {
    for inside in [true, false] {
        let Some(system) = System::openwrt() else { return };
        let Some(within) = Inside::new(&system, true) else { return };
        let mut feed = Feed::new(Ecosystem::Alpine);
        let package = Apk::new("late", "1.0-r0").arch("noarch").file("usr/share/late", "there");
        feed.publish(package.script(ScriptKind::PostInstall, ALPINES));
        keys::RSA.write_public(&system.dir().join("root/keys")).unwrap();
        let url = feed.server.url();
        within.ok(["source", "add", "late", &url, "--ecosystem", "alpine", "--keys", "/root/keys"]);
        within.ok(["update"]);
        let trace = Trace::of(&system);
        let plan = if inside {
            within.json(["install", "alpine:late"])
        } else {
            // The same program from outside: it is mounted into the root for as long as the script runs.
            let program = xpkg_tests::inside::static_binary().unwrap();
            let mut command = std::process::Command::new(program);
            command.args(["--yes", "--json", "--root"]).arg(system.dir()).args(["install", "alpine:late"]);
            let out = xpkg_fixtures::real::capture(command).unwrap().expect_success().unwrap();
            serde_json::from_str(&out.stdout).unwrap()
        };
        assert_eq!(plan["script_failures"], Value::Array(Vec::new()), "{plan:#}");
        let user = line(&system, "etc/passwd", "late").unwrap();
        assert_eq!((user[3].as_str(), user[4].as_str(), user[5].as_str()), ("4711", "Late one", "/srv/late"));
        assert_eq!(String::from_utf8(system.read("etc/late.conf")).unwrap().trim(), user.join(":"));
        assert!(line(&system, "etc/group", "users").unwrap()[3].contains("late"));
        assert!(system.has("srv/late/here") && !system.has("usr/lib/xpkg/exec"));
        within.ok(["remove", "alpine:late"]);
        system.sh("rm -r /srv /etc/late.conf");
        let left = [&LEFT[..], &FILES[..]].concat();
        trace.assert_same(&Trace::of(&system), &left);
    }
}

const OPENWRTS: &str = "#!/bin/sh\n[ \"${IPKG_NO_SCRIPT}\" = \"1\" ] && exit 0\n[ -s ${IPKG_INSTROOT}/lib/functions.sh ] || exit 0\n\
    . ${IPKG_INSTROOT}/lib/functions.sh\nexport root=\"${IPKG_INSTROOT}\"\nexport pkgname=\"late\"\nadd_group_and_user\ndefault_postinst\n\
    [ -n \"${IPKG_INSTROOT}\" ] || /etc/init.d/rpcd reload\ngroup_exists wheel && append list a && append list b\n\
    user_add late 4711\necho \"$list $(getent passwd late)\" >/etc/late.conf\n";

/// Scripts of OpenWrt's packages find its functions on Alpine.
#[test]
fn functions_that_openwrts_scripts_expect() {
    let Some(system) = System::alpine() else { return };
    let Some(within) = Inside::new(&system, true) else { return };
    let mut feed = Feed::new(Ecosystem::Openwrt);
    let package = Apk::new("late", "1.0-r0").arch("noarch").file("usr/share/late", "there");
    let package = package.file("lib/apk/packages/late.rusers", "own:own\n");
    feed.publish(package.script(ScriptKind::PostInstall, OPENWRTS));
    keys::P256.write_public(&system.dir().join("root/keys")).unwrap();
    let url = format!("{}{}", feed.server.url(), feed.index_request());
    within.ok(["source", "add", "late", &url, "--ecosystem", "openwrt", "--keys", "/root/keys"]);
    within.ok(["update"]);
    let plan = within.json(["install", "openwrt:late"]);
    assert_eq!(plan["script_failures"], Value::Array(Vec::new()), "{plan:#}");
    let user = line(&system, "etc/passwd", "late").unwrap();
    assert_eq!((user[2].as_str(), user[6].as_str()), ("4711", "/sbin/nologin"));
    assert_eq!(String::from_utf8(system.read("etc/late.conf")).unwrap().trim(), format!("a b {}", user.join(":")));
    let own: u32 = line(&system, "etc/passwd", "own").unwrap()[2].parse().unwrap();
    assert!((100..1000).contains(&own));
    assert!(!system.has("lib/functions.sh") && !system.has("usr/lib/xpkg/exec"));
    within.ok(["remove", "openwrt:late"]);
    assert!(line(&system, "etc/passwd", "own").is_none());
}
