//! `xpkg apk` beside the real apk: the same command lines on twin roots, one after the other, must have the same answers, the
//! same exit codes and the same end. apk 2.14 judges on Alpine, apk 3.0 on OpenWrt.

use std::fs;
use std::path::Path;
use std::process::Command;

use xpkg_fixtures::real::{self, Output};
use xpkg_formats::package::Format;
use xpkg_model::Ecosystem;
use xpkg_tests::judge::is_gone_process;
use xpkg_tests::{System, program};

/// How two answers are compared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum As {
    /// To the byte.
    Same,
    /// Line by line, whatever their order: the real one's is that of a hash table or of a directory.
    Sorted,
    /// Exit code and standard error only: what is printed is a count of apk's own.
    Code,
}
use As::{Code, Same, Sorted};

/// One command line of both.
const BOTH: &[(As, &str)] = &[
    (Same, "--version"),
    (Same, "--print-arch"),
    (Same, "nosuchverb"),
    (Same, "search -x nosuch-before-update"),
    (Same, "update"),
    (Same, "list -I"),
    (Same, "list --upgradeable"),
    (Same, "list -I -v zlib"),
    (Same, "list zlib*"),
    (Same, "list -P zlib"),
    (Sorted, "list -d zlib"),
    (Same, "info"),
    (Same, "info -v"),
    (Same, "info -e busybox nosuch"),
    (Same, "info -L zlib"),
    (Same, "info zlib"),
    (Sorted, "info -a zlib"),
    (Same, "info -W /bin/busybox /nosuch"),
    (Same, "info -qW /bin/busybox"),
    (Same, "search lib"),
    (Same, "search -v -d json"),
    (Same, "policy busybox nosuch zlib"),
    (Same, "version"),
    (Same, "version -v"),
    (Same, "version -t 1.0 2.0"),
    (Same, "version -c 1.0-r0 no.version"),
    (Same, "version -I"),
    (Code, "stats"),
    (Same, "manifest zlib"),
    (Sorted, "audit"),
    (Sorted, "audit --system"),
    (Same, "add nosuch"),
    (Same, "add zlib>99"),
    (Same, "add zlib@nosuchtag"),
    (Same, "del nosuch"),
    (Same, "upgrade -s"),
    (Same, "del -s zlib"),
    (Same, "del -r -s zlib"),
    (Same, "fix zlib"),
    (Same, "add --virtual .build-deps=1 zlib"),
    (Same, "info -e .build-deps"),
    (Same, "del .build-deps"),
    (Same, "cache clean"),
    (Same, "fetch --url --simulate zlib"),
    (Same, "fetch --simulate zlib"),
    (Same, "--no-network update"),
    (Same, "--repositories-file /nosuch list busybox"),
    (Same, "--keys-dir /nosuch list -I busybox"),
    (Same, "--timeout x --print-arch"),
    (Same, "--wait x --print-arch"),
    (Same, "-U search -x nosuch"),
    (Same, "--cache-max-age 0 search -x nosuch"),
    (Same, "--no-cache search -x busybox"),
    (Same, "--no-cache upgrade -s"),
    (Same, "verify /nosuch"),
    (Same, "version -q"),
    (Same, "version -a busybox"),
    (Same, "version -v -l ="),
    (Same, "list -u"),
    (Same, "list --orphaned"),
    (Same, "list --origin busybox"),
    (Same, "search -o busybox"),
    (Same, "search -q busybox"),
    (Same, "info -e"),
    (Same, "info -R busybox"),
    (Same, "info -d -s -w busybox nosuch"),
    (Same, "info -w busybox* nosuch"),
    (Same, "info -w nosuch*"),
    (Same, "info -P /bin/sh"),
    (Same, "info -w busybox>1"),
    (Same, "info --license busybox"),
    (Sorted, "audit --packages"),
    (Same, "audit /usr/bin"),
    (Same, "cache"),
    (Same, "cache bogus"),
    (Same, "cache download"),
    (Same, "fetch nosuch"),
    (Same, "fetch -R nosuch"),
    (Same, "fetch -o /nosuch busybox"),
    (Same, "fix nosuch"),
    (Same, "upgrade nosuch"),
    (Same, "add"),
    (Same, "add zlib=1"),
];

/// Those of apk 2.14.
const ALPINE: &[(As, &str)] = &[
    (Same, "add -s jq"),
    (Same, "add jq"),
    (Same, "add jq"),
    (Same, "info -L jq"),
    (Same, "-v del jq"),
    (Same, "-q add jq"),
    (Same, "--no-network add tmux"),
    (Same, "dot --installed zlib"),
    (Same, "add !jq"),
    (Same, "add jq"),
    (Same, "add !tmux"),
    (Same, "del tmux"),
    (Same, "--no-cache -s add jq"),
    (Same, "--arch armhf -s add oniguruma"),
    (Same, "add jq>99"),
    (Same, "add -s jq@nosuch"),
    (Same, "-X http://127.0.0.1:1/x update"),
    (Same, "-X http://127.0.0.1:1/x -s add jq"),
    (Same, "-X http://127.0.0.1:1/x upgrade"),
    (Same, "-X http://127.0.0.1:1/x upgrade -s --ignore busybox"),
    (Same, "search cmd:jq"),
];

/// Those of apk 3.0.
const OPENWRT: &[(As, &str)] = &[
    (Same, "add -s iw"),
    (Same, "add iw"),
    (Same, "add iw"),
    (Same, "info -L iw"),
    (Same, "-v del iw"),
    (Same, "-q add iw"),
    (Same, "-i del iw"),
    (Same, "list --bogus"),
    (Same, "--root"),
    (Same, "--network=perhaps update"),
    (Same, "upgrade"),
    (Same, "query --format json busybox"),
    (Same, "query --format yaml --fields name,version,depends,contents zlib"),
    (Same, "query --fields name,status,installed-size --installed z*"),
    (Same, "query --summarize origin --installed lib*"),
    (Same, "query --recursive --fields name iw"),
    (Same, "query --match owner /bin/busybox"),
    (Same, "info --format json zlib"),
    (Same, "-q list -I"),
    (Same, "list --manifest -I"),
    (Same, "add !iw"),
    (Same, "add iw"),
    (Same, "add !jq"),
    (Same, "del jq"),
    (Same, "del iw"),
    (Same, "--cache-dir /nosuch update"),
    (Same, "query --fields bogus busybox"),
    (Same, "query --available --fields name,version iw"),
];

/// What both roots have to themselves: xpkg's own state, what was called how and when, locks, and the identity of a package without files, which
/// hangs on how its file was packed.
const OWN: [&str; 8] = [
    // The real one knows nothing of it.
    "etc/xpkg",
    "usr/lib/xpkg",
    "tmp/cache/xpkg",
    "tmp/log/apk.log",
    "lib/apk/db/lock",
    "lib/apk/db/scripts.tar",
    "lib/apk/db/scripts.tar.gz",
    "lib/apk/db/installed",
];

fn ours(root: &Path, line: &str) -> Output {
    let mut command = Command::new(program::binary());
    command.arg("apk").arg("--root").arg(root).args(words(line));
    for name in ["APK_CONFIG", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env_remove(name);
    }
    real::capture(command).unwrap()
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(' ')
}

fn lines(text: &str, compare: As) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().filter(|line| !is_gone_process(line)).map(str::to_owned).collect();
    match compare {
        Same => {}
        Sorted => lines.sort(),
        Code => lines.clear(),
    }
    lines
}

/// As much of an answer as a person wants to see.
fn start(output: &Output) -> String {
    let lines: Vec<&str> = output.stderr.lines().chain(output.stdout.lines()).take(12).collect();
    format!("({})\n{}", output.status, lines.join("\n"))
}

fn transcript(native: Ecosystem, own: &[(As, &str)]) {
    let (Some(real_root), Some(our_root)) = (System::fresh(native), System::fresh(native)) else { return };
    if native == Ecosystem::Alpine {
        // Reading the larger index for every line would only take time.
        for root in [&real_root, &our_root] {
            let text = fs::read_to_string(root.list_file()).unwrap();
            fs::write(root.list_file(), text.lines().next().unwrap()).unwrap();
        }
    }
    let lines: Vec<_> = BOTH.iter().chain(own).copied().collect();
    compare(&real_root, &our_root, &lines);
    // And the real one is content with what we left.
    our_root.ok(["apk", "fix"]);
}

/// Carries the same lines out on both; words, codes and ends must be the same.
fn compare(real_root: &System, our_root: &System, all: &[(As, &str)]) {
    let mut wrong = Vec::new();
    for (compare, line) in all {
        let real = real_root.chroot.run(["apk"].into_iter().chain(words(line))).unwrap();
        let ours = ours(our_root.dir(), line);
        let same = real.status == ours.status
            && lines(&real.stdout, *compare) == lines(&ours.stdout, *compare)
            && lines(&real.stderr, Same) == lines(&ours.stderr, Same);
        if !same {
            wrong.push(format!("apk {line}\n--- real {}\n--- ours {}", start(&real), start(&ours)));
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), all.len(), wrong.join("\n"));

    let (was, is) = (real::snapshot(real_root.dir()).unwrap(), real::snapshot(our_root.dir()).unwrap());
    let changes = real::diff(&was, &is).without(&OWN);
    assert!(changes.is_empty(), "the roots ended differently: {changes:?}");
    assert_eq!(real_root.databases(), our_root.databases(), "the databases ended differently");
    let audit = our_root.ok(["apk", "audit", "--system"]);
    assert_eq!(lines(&audit.stdout, Sorted), lines(&real_root.ok(["apk", "audit", "--system"]).stdout, Sorted));
}

#[test]
fn alpine_hears_what_apk_2_says() {
    transcript(Ecosystem::Alpine, ALPINE);
}

#[test]
fn openwrt_hears_what_apk_3_says() {
    transcript(Ecosystem::Openwrt, OPENWRT);
}

/// Command lines on a root of OpenWrt that has Alpine's jq: to apk it is a package like others.
const FOREIGN: &[(As, &str)] = &[
    (Same, "list -I"),
    (Same, "info -L jq"),
    (Same, "info -W /usr/bin/jq"),
    (Same, "policy jq"),
    (Same, "query --installed jq"),
    (Same, "version"),
    (Same, "upgrade -s"),
    (Same, "upgrade"),
    (Sorted, "audit"),
    (Same, "audit --system"),
    (Same, "fix -r jq"),
    (Same, "del oniguruma"),
    (Same, "add iw"),
    (Same, "del iw"),
    (Same, "del jq"),
    (Same, "list -I"),
];

#[test]
fn foreign_packages_are_packages_like_others() {
    let (Some(real_root), Some(our_root)) = (System::openwrt(), System::openwrt()) else { return };
    for root in [&real_root, &our_root] {
        let xpkg = root.xpkg();
        root.add_foreign_sources(&xpkg);
        xpkg.ok(["update"]);
        xpkg.ok(["install", "alpine:jq"]);
    }
    compare(&real_root, &our_root, FOREIGN);
    assert!(!our_root.has("usr/bin/jq"));
}

/// apk-tools' own suite works on bare directories: no release file, an architecture given, repositories beside.
#[test]
fn a_bare_directory_is_a_root() {
    let dir = tempfile::tempdir().unwrap();
    let (root, feed) = (dir.path().join("root"), dir.path().join("feed"));
    fs::create_dir(&feed).unwrap();
    let out = dir.path().join("out");
    fs::create_dir(&out).unwrap();
    let package = |name: &str, depends: &str| {
        let mut package =
            xpkg_fixtures::Apk::new(name, "1.0-r0").file(&format!("usr/share/{name}"), name.as_bytes().to_vec());
        if !depends.is_empty() {
            package = package.depends(depends);
        }
        let path = feed.join(format!("{name}-1.0-r0.apk"));
        fs::write(&path, package.v2().pack(Format::Apk2, None).unwrap().bytes).unwrap();
        path
    };
    let (a, b) = (package("a", "b"), package("b", ""));
    let apk = |line: &str| ours(&root, line);
    let ok = |line: &str| apk(line).expect_success().unwrap().stdout;
    let index = feed.join("APKINDEX.tar.gz");
    // Root applies owners, and apk 3 refuses it this option.
    let mode = if rustix::process::geteuid().is_root() { "--no-scripts" } else { "--usermode" };
    assert_eq!(ok(&format!("{mode} --arch x86_64 --initdb add")).lines().last(), Some("OK: 0 B in 0 packages"));
    ok(&format!("--allow-untrusted index -o {} {} {}", index.display(), a.display(), b.display()));
    let source = format!("{mode} --allow-untrusted --repository {}", index.display());
    assert_eq!(
        ok(&format!("{source} --simulate add a")),
        "(1/2) Installing b (1.0-r0)\n(2/2) Installing a (1.0-r0)\nOK: 2 B in 2 packages\n"
    );
    assert!(!root.join("usr/share/a").exists());
    ok(&format!("{source} add a"));
    assert_eq!(fs::read(root.join("usr/share/a")).unwrap(), b"a");
    assert_eq!(fs::read_to_string(root.join("etc/apk/world")).unwrap(), "a\n");
    assert_eq!(apk(&format!("--repository {} update", index.display())).status, 1);
    ok(&format!("--allow-untrusted fetch -o {} --repository {} b", out.display(), index.display()));
    assert_eq!(fs::read(out.join("b-1.0-r0.apk")).unwrap(), fs::read(&b).unwrap());
    assert_eq!(ok("info -W /usr/share/b"), "/usr/share/b is owned by b-1.0-r0\n");
    assert_eq!(ok("--no-scripts del a").lines().count(), 3);
    assert!(!root.join("usr/share/b").exists());
}

/// The program answers to the name of apk.
#[test]
fn a_link_called_apk_is_apk() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("apk");
    std::os::unix::fs::symlink(program::binary(), &link).unwrap();
    let out = real::run(&link, ["--root", dir.path().to_str().unwrap(), "nosuch"]).unwrap();
    assert_eq!((out.status, out.stderr.as_str()), (1, "ERROR: 'nosuch' is not an apk command. See 'apk --help'.\n"));
}
