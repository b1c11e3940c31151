//! Current Alpine programs on real roots whose loader and libraries cannot carry them: in a layer with a loader and libraries
//! of their own. The root's own kernel, shell and package manager are the judges.

use std::fs;
use std::os::unix::fs::symlink;

use xpkg_fixtures::real::{self, Snapshot, diff, snapshot};
use xpkg_model::Ecosystem;
use xpkg_tests::feed::{Feed, repack};
use xpkg_tests::{System, Xpkg, add_source};

const LAYER: &str = "usr/lib/xpkg/alpine";
/// What xpkg keeps when its last foreign package has gone, and what lies in memory.
const OURS: [&str; 3] = ["etc/xpkg", "tmp", "dev"];

/// tmux as Alpine builds it, with DT_RELR, and Alpine's own musl.
fn add_sources(xpkg: &Xpkg) {
    let made = real::data().unwrap().join("made/alpine-tmux");
    let made = made.to_str().unwrap();
    xpkg.ok(["source", "add", "made", made, "--ecosystem", "alpine", "--keys", made]);
    add_source(xpkg, "main", "alpine-3.19/main");
    xpkg.ok(["update"]);
}

/// A server with a window, which is what it says it is and starts again by its own name in /proc, and a client that is attached to it on the terminal that another tmux gives it.
const SESSION: &str = r#"set -e
mkdir -p /dev/pts /tmp
mountpoint -q /dev/pts 2>/dev/null || mount -t devpts -o newinstance,ptmxmode=0666 devpts /dev/pts
ln -sf pts/ptmx /dev/ptmx
unset LANG LC_ALL LC_CTYPE TMUX
export TERM=xterm
tmux -L inner -f /dev/null new-session -d -s work -x 60 -y 10 'printf "gr\303\274n \342\234\223\n"; exec sleep 100'
tmux -L outer -f /dev/null new-session -d -x 80 -y 20 'unset TMUX; TERM=screen exec tmux -L inner attach -t work'
n=0
until tmux -L outer capture-pane -p | grep 'grün ✓'; do n=$((n + 1)); [ $n -lt 30 ] || exit 1; sleep 1; done
tmux -L inner list-clients | grep -c utf8 || tmux -L inner list-clients
pid=$(tmux -L inner display-message -p '#{pid}')
echo "server $(cut -c1-4 /proc/$pid/comm) $(readlink /proc/$pid/exe) $(/proc/$pid/exe -V)"
tmux -L outer kill-server
tmux -L inner kill-server
"#;

fn runs_tmux(system: &System) {
    assert_eq!(system.ok(["tmux", "-V"]).stdout, "tmux 3.3a\n");
    let said = system.sh(SESSION);
    assert!(said.stdout.contains("grün ✓"), "{said:?}");
    // It lies in the layer itself, behind a launcher that sets LANG.
    assert!(said.stdout.contains("server tmux /usr/lib/xpkg/alpine/usr/bin/tmux exe 3.3a"), "{said:?}");
}

/// Only what xpkg keeps is there that was not, and the files below `also`.
fn nothing_left(before: &Snapshot, system: &System, also: &[&str]) {
    let left = diff(before, &snapshot(system.dir()).unwrap()).without(&OURS).without(also);
    assert!(left.is_empty(), "{left}");
}

#[test]
fn an_old_musl_runs_a_current_program_in_a_layer() {
    let Some(system) = System::openwrt_opkg() else { return };
    system.sh("mkdir -p /var/lock");
    let xpkg = system.xpkg();
    add_sources(&xpkg);
    let before = snapshot(system.dir()).unwrap();
    let said = xpkg.refused(["install", "--layer=never", "alpine:tmux"]);
    assert!(said.contains("DT_RELR"), "{said}");

    let plan = xpkg.json(["install", "alpine:tmux"]);
    let placed = plan["adaptations"].as_array().unwrap();
    assert!(placed.iter().all(|a| a["placement"] == "layer") && placed.len() >= 4, "{plan}");
    runs_tmux(&system);
    assert!(system.has(&format!("{LAYER}/lib/ld-musl-x86_64.so.1")) && system.has("usr/lib/libevent-2.1.so.7"));

    // Both package managers know it, and our own check asks the layer's loader.
    let installed = system.ok(["opkg", "list-installed"]).stdout;
    for line in ["tmux - 3.3a-r5", "musl - 1.2.4", "xpkg-abi-alpine - "] {
        assert!(installed.contains(line), "{line}: {installed}");
    }
    assert!(system.ok(["opkg", "files", "musl"]).stdout.contains("/usr/lib/xpkg/alpine/lib/ld-musl-x86_64.so.1\n"));
    let owner = xpkg.ok(["owns", "/usr/lib/xpkg/alpine/usr/lib/libevent-2.1.so.7"]).stdout;
    assert!(owner.contains("libevent"), "{owner}");
    let verdicts = xpkg.json(["check", "alpine:tmux"]);
    assert!(!verdicts.to_string().contains("needs-private-layer"), "{verdicts}");
    system.ok(["opkg", "update"]);
    assert_eq!(system.ok(["opkg", "list-upgradable"]).stdout, "");

    // It is shared, and gone with the last that needs it.
    xpkg.ok(["install", "alpine:jq"]);
    xpkg.ok(["remove", "alpine:tmux"]);
    assert!(system.has(&format!("{LAYER}/lib/ld-musl-x86_64.so.1")));
    assert!(!system.has(&format!("{LAYER}/usr/lib/libevent-2.1.so.7")));
    assert!(system.ok(["jq", "--version"]).stdout.starts_with("jq-1"));
    xpkg.ok(["remove", "alpine:jq"]);
    nothing_left(&before, &system, &["usr/lib/opkg", "etc/opkg"]);
}

#[test]
fn a_new_root_takes_a_layer_on_request() {
    let Some(system) = System::openwrt() else { return };
    let xpkg = system.xpkg();
    add_sources(&xpkg);
    let before = snapshot(system.dir()).unwrap();
    // First among the root's own files, then all of it moves.
    xpkg.ok(["install", "alpine:tmux"]);
    assert!(!system.has(LAYER) || !system.has(&format!("{LAYER}/lib")));
    let plan = xpkg.json(["install", "--layer=always", "alpine:jq"]);
    assert!(
        plan["steps"].as_array().unwrap().iter().any(|s| s["name"] == "tmux" && s["action"] == "replace"),
        "{plan}"
    );
    runs_tmux(&system);
    let audit = system.ok(["apk", "audit", "--packages"]).stdout;
    assert!(!audit.contains("xpkg/alpine"), "{audit}");
    system.ok(["apk", "update"]);
    system.ok(["apk", "upgrade", "-s"]);
    xpkg.ok(["remove", "alpine:tmux", "alpine:jq"]);
    // What the program used before it moved is a package of the root, which its own manager would purge next.
    xpkg.ok(["autoremove"]);
    nothing_left(&before, &system, &["lib/apk", "etc/apk"]);
}

#[test]
fn a_root_without_a_loader_runs_it_too() {
    let Some(system) = System::openwrt_opkg() else { return };
    for name in ["lib/ld-musl-x86_64.so.1", "lib/libc.so"] {
        fs::remove_file(system.dir().join(name)).unwrap();
    }
    let xpkg = system.xpkg();
    add_sources(&xpkg);
    xpkg.ok(["install", "alpine:tmux"]);
    assert_eq!(system.ok(["tmux", "-V"]).stdout, "tmux 3.3a\n");
}

#[test]
fn an_alpine_root_has_a_layer_of_openwrt() {
    let Some(system) = System::alpine() else { return };
    let xpkg = system.xpkg();
    system.add_foreign_sources(&xpkg);
    xpkg.ok(["update"]);
    let before = snapshot(system.dir()).unwrap();
    xpkg.ok(["install", "--layer=always", "openwrt:jsonfilter"]);
    assert!(system.has("usr/lib/xpkg/openwrt/lib/libc.so"));
    assert_eq!(system.ok(["jsonfilter", "-s", r#"{"a":[1,2]}"#, "-e", "@.a[1]"]).stdout, "2\n");
    let audit = system.ok(["apk", "audit", "--packages"]).stdout;
    assert!(!audit.contains("xpkg") && !audit.contains("jsonfilter"), "{audit}");
    assert!(system.ok(["apk", "info", "-W", "/usr/bin/jsonfilter"]).stdout.contains("jsonfilter"));
    xpkg.ok(["remove", "openwrt:jsonfilter"]);
    nothing_left(&before, &system, &["lib/apk", "etc/apk", "var/cache/xpkg"]);
}

#[test]
fn a_glibc_root_takes_a_whole_world() {
    let Some(system) = System::debian() else { return };
    let xpkg = system.xpkg();
    add_sources(&xpkg);
    let before = snapshot(system.dir()).unwrap();
    let plan = xpkg.json(["install", "alpine:tmux"]);
    let placed = plan["adaptations"].as_array().unwrap();
    assert!(placed.iter().all(|a| a["placement"] == "layer") && placed.len() >= 4, "{plan}");
    assert!(plan["notes"].to_string().contains("C library is glibc"), "{plan}");
    runs_tmux(&system);
    // What is there is on record, although nobody but us keeps one.
    let listed = xpkg.ok(["list"]).stdout;
    for name in ["tmux", "musl", "libevent"] {
        assert!(listed.contains(&format!("alpine:{name}")), "{name}: {listed}");
    }
    let owner = xpkg.ok(["owns", "/usr/lib/xpkg/alpine/lib/ld-musl-x86_64.so.1"]).stdout;
    assert!(owner.contains("alpine:musl"), "{owner}");
    let verdicts = xpkg.json(["check", "alpine:tmux"]);
    assert!(!verdicts.to_string().contains("impossible") && !verdicts.to_string().contains("private"), "{verdicts}");

    // The kernel takes the layer's loader from the file for set-user-ID programs too.
    xpkg.ok(["install", "alpine:doas"]);
    assert_eq!(system.mode_and_ids("usr/bin/doas").0, 0o4755);
    system.write("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n");
    system.write("etc/doas.conf", "permit nopass nobody\n");
    let who = system.ok(["chroot", "--userspec=65534:65534", "/", "/usr/bin/doas", "/usr/bin/id", "-u"]).stdout;
    assert_eq!(who, "0\n");
    system.write("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n");

    xpkg.ok(["remove", "alpine:tmux", "alpine:doas"]);
    nothing_left(&before, &system, &["etc/doas.conf", "etc/doas.d", "var/cache"]);
}

#[test]
fn both_worlds_have_a_layer_on_a_third() {
    let Some(system) = System::debian() else { return };
    let xpkg = system.xpkg();
    add_sources(&xpkg);
    system.add_foreign_sources(&xpkg);
    xpkg.ok(["update"]);
    xpkg.ok(["install", "openwrt:jsonfilter", "alpine:jq"]);
    assert_eq!(system.ok(["jsonfilter", "-s", r#"{"a":[1,2]}"#, "-e", "@.a[1]"]).stdout, "2\n");
    assert!(system.ok(["jq", "--version"]).stdout.starts_with("jq-1"));
    assert!(system.has("usr/lib/xpkg/openwrt/lib/libc.so") && system.has(&format!("{LAYER}/lib/ld-musl-x86_64.so.1")));
}

#[test]
fn roots_that_have_no_loader_of_use() {
    for loader in [None, Some("ld-uClibc.so.0")] {
        let Some(system) = System::bare() else { return };
        if let Some(name) = loader {
            // A library of uClibc's name: nothing is ever started with it.
            let elf = xpkg_fixtures::Elf::library(name).build();
            system.write(&format!("lib/{name}"), elf);
            symlink(name, system.dir().join("lib/ld64-uClibc.so.0")).unwrap();
        }
        let xpkg = system.xpkg();
        add_sources(&xpkg);
        let before = snapshot(system.dir()).unwrap();
        let plan = xpkg.json(["install", "alpine:tmux"]);
        assert!(plan["adaptations"].as_array().unwrap().iter().all(|a| a["placement"] == "layer"), "{plan}");
        assert_eq!(system.ok(["tmux", "-V"]).stdout, "tmux 3.3a\n");
        xpkg.ok(["remove", "alpine:tmux"]);
        nothing_left(&before, &system, &["var"]);
    }
}

#[test]
fn a_layer_is_upgraded_as_one() {
    let Some(system) = System::debian() else { return };
    let xpkg = system.xpkg();
    add_sources(&xpkg);
    let before = snapshot(system.dir()).unwrap();
    xpkg.ok(["install", "alpine:jq"]);
    let old = fs::read(system.dir().join(LAYER).join("lib/ld-musl-x86_64.so.1")).unwrap();

    let mut feed = Feed::new(Ecosystem::Alpine);
    let newer = [("musl", "1.2.4_git20240101-r9"), ("oniguruma", "6.9.9-r7"), ("jq", "1.7.1-r8")];
    for (name, version) in newer {
        let mut apk = repack(Ecosystem::Alpine, name).version(version);
        if name == "musl" {
            // Other bytes, the same code.
            let path = "/lib/ld-musl-x86_64.so.1";
            let content = [apk.content(path).unwrap(), b"newer"].concat();
            apk = apk.remove(path).file(path, content).mode(0o755);
        }
        feed.publish(apk);
    }
    let keys = tempfile::tempdir().unwrap();
    feed.repo.key().unwrap().write_public(keys.path()).unwrap();
    let keys = keys.path().to_str().unwrap();
    xpkg.ok(["source", "add", "newer", &feed.server.url(), "--ecosystem", "alpine", "--keys", keys]);
    xpkg.ok(["update"]);
    let plan = xpkg.json(["upgrade"]);
    for (name, version) in newer {
        let step = |s: &serde_json::Value| s["name"] == name && s["action"] == "replace" && s["version"] == version;
        assert!(plan["steps"].as_array().unwrap().iter().any(step), "{name}: {plan}");
    }
    let new = fs::read(system.dir().join(LAYER).join("lib/ld-musl-x86_64.so.1")).unwrap();
    assert!(new.ends_with(b"newer") && new.starts_with(&old), "the layer's loader is the old one");
    assert_eq!(system.ok(["jq", "-n", "1+1"]).stdout, "2\n");
    xpkg.ok(["remove", "alpine:jq"]);
    nothing_left(&before, &system, &["usr/lib/xpkg/seen", "var/cache"]);
}

#[test]
fn a_directory_without_programs_is_no_root() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("etc")).unwrap();
    fs::write(dir.path().join("etc/os-release"), "ID=debian\n").unwrap();
    let said = Xpkg::on(dir.path()).refused(["list"]);
    assert!(said.contains("/bin/sh"), "{said}");
}
