//! Packages of real feeds converted in all six directions, each installed by the real manager of the other side, run there
//! and removed again without a trace in its database.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use xpkg_fixtures::real::{self, Chroot, OPENWRT_19_07, Output};
use xpkg_fixtures::{Key, keys};
use xpkg_model::Ecosystem;
use xpkg_tests::{System, Xpkg};

/// A place for results, and the program.
struct Workshop {
    dir: TempDir,
    xpkg: Xpkg,
}

impl Workshop {
    fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("xpkg-convert-").tempdir().unwrap();
        Self { xpkg: Xpkg::on(dir.path()), dir }
    }

    fn key(&self, key: Key) -> PathBuf {
        let path = self.dir.path().join(key.secret().unwrap().public().name.trim_end_matches(".pub"));
        std::fs::write(&path, key.secret_pem()).unwrap();
        path
    }

    /// Converts; gives the new files.
    fn convert(&self, inputs: &[PathBuf], to: &str, key: Option<Key>) -> Vec<PathBuf> {
        let out = self.dir.path().join(to);
        std::fs::create_dir_all(&out).unwrap();
        let mut args: Vec<std::ffi::OsString> =
            vec!["convert".into(), "--to".into(), to.into(), "-o".into(), out.into()];
        if let Some(key) = key {
            args.extend(["--sign".into(), self.key(key).into()]);
        }
        args.extend(inputs.iter().map(Into::into));
        let answer = self.xpkg.json(args);
        let packages = answer["packages"].as_array().unwrap();
        assert_eq!(packages.len(), inputs.len(), "{answer}");
        packages.iter().map(|p| PathBuf::from(p["path"].as_str().unwrap())).collect()
    }
}

/// Files of the real data whose names begin so.
fn files(dir: &str, starts: &[&str]) -> Vec<PathBuf> {
    let dir = real::data().unwrap().join(dir);
    let find = |start: &&str| {
        let mut found: Vec<PathBuf> = std::fs::read_dir(&dir)
            .unwrap()
            .map(|e| e.unwrap().path())
            .filter(|p| p.file_name().unwrap().to_string_lossy().starts_with(*start))
            .collect();
        found.sort();
        found.into_iter().next().unwrap_or_else(|| panic!("{}/{start} is not there", dir.display()))
    };
    starts.iter().map(find).collect()
}

/// Copies files into a root; gives their paths there.
fn carry(root: &Path, dir: &str, files: &[PathBuf]) -> Vec<String> {
    std::fs::create_dir_all(root.join(dir)).unwrap();
    let copy = |file: &PathBuf| {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        std::fs::copy(file, root.join(dir).join(&name)).unwrap();
        format!("/{dir}/{name}")
    };
    files.iter().map(copy).collect()
}

/// Has the root's own apk install the packages, runs `line`, expects `said`, and removes them again.
///
/// apk 3 takes the files by name. apk 2.14 gets a repository: it crashes on a *file* whose signature is over SHA-256
/// (it has room for a SHA-1 there), takes the same file from an index, and nobody should sign SHA-1 any more.
fn with_apk(system: &System, workshop: &Workshop, files: &[PathBuf], names: &[&str], line: &str, said: &str) {
    let alpine = system.native == Ecosystem::Alpine;
    let key = if alpine { keys::RSA } else { keys::P256 };
    key.write_public(&system.dir().join("etc/apk/keys")).unwrap();
    system.ok(["apk", "update"]);
    let before = system.ok(["apk", "list", "-I"]).stdout;
    let inside = carry(system.dir(), if alpine { "root/in/x86_64" } else { "root/in" }, files);
    system.ok(["apk", "verify"].into_iter().chain(inside.iter().map(String::as_str)));
    if alpine {
        let dir = system.dir().join("root/in/x86_64").into_os_string();
        let key = workshop.key(key).into_os_string();
        workshop.xpkg.ok(["index".into(), "--format".into(), "apk2".into(), "--sign".into(), key, dir]);
        system.ok(["apk", "add", "--repository", "/root/in"].into_iter().chain(names.iter().copied()));
    } else {
        // The root may lie in memory, where apk warns that such a package is lost at the next start.
        let add = ["apk", "add", "--force-non-repository"];
        system.ok(add.into_iter().chain(inside.iter().map(String::as_str)));
    }
    assert!(system.sh(line).stdout.contains(said), "{line}");
    let audit = system.ok(["apk", "audit", "--system"]).stdout;
    // Alpine's lua5.4 provides `lua` too, hence a version in one of them.
    let names: Vec<&str> = names.iter().map(|name| name.split('=').next().unwrap()).collect();
    assert!(!names.iter().any(|name| audit.contains(name)), "{audit}");
    system.ok(["apk", "del"].into_iter().chain(names));
    assert_eq!(system.ok(["apk", "list", "-I"]).stdout, before);
}

#[test]
fn alpines_jq_for_openwrt_25_12() {
    let Some(system) = System::openwrt() else { return };
    let workshop = Workshop::new();
    let made = workshop.convert(&files("alpine-3.19/main/x86_64", &["jq-1", "oniguruma-6"]), "apk3", Some(keys::P256));
    with_apk(&system, &workshop, &made, &["jq", "oniguruma"], "echo '{\"a\":[6,42]}' | jq '.a[1]'", "42");
}

#[test]
fn lua_of_19_07_for_openwrt_25_12() {
    let Some(system) = System::openwrt() else { return };
    let workshop = Workshop::new();
    let made = workshop.convert(&files("openwrt-19.07/base", &["lua_", "liblua5"]), "apk3", Some(keys::P256));
    with_apk(&system, &workshop, &made, &["lua", "liblua5.1.5"], "lua -e 'print(6*7)'", "42");
}

#[test]
fn jsonfilter_of_25_12_for_alpine() {
    let Some(system) = System::alpine() else { return };
    let workshop = Workshop::new();
    let inputs = files("openwrt-25.12/base", &["jsonfilter-", "libubox2", "libjson-c5", "libblobmsg-json2"]);
    let made = workshop.convert(&inputs, "apk2", Some(keys::RSA));
    let names = ["jsonfilter", "libubox20260213", "libjson-c5", "libblobmsg-json20260213"];
    with_apk(&system, &workshop, &made, &names, "jsonfilter -s '{\"a\":[6,42]}' -e '@.a[1]'", "42");
}

#[test]
fn lua_of_19_07_for_alpine() {
    let Some(system) = System::alpine() else { return };
    let workshop = Workshop::new();
    let made = workshop.convert(&files("openwrt-19.07/base", &["lua_", "liblua5"]), "apk2", Some(keys::RSA));
    with_apk(&system, &workshop, &made, &["lua=5.1.5-r3", "liblua5.1.5"], "lua -e 'print(6*7)'", "42");
}

/// A root with opkg, in which it can run.
fn opkg_root() -> Option<(TempDir, Chroot)> {
    if !xpkg_tests::system::ready() {
        return None;
    }
    let dir = real::unpack_root(OPENWRT_19_07).unwrap();
    let chroot = Chroot::new(dir.path()).unwrap();
    chroot.sh("mkdir -p /var/lock /var/run").unwrap().expect_success().unwrap();
    Some((dir, chroot))
}

/// Has the root's own opkg install the files, runs `line`, expects `said`, and removes `names` again.
fn with_opkg(root: &Chroot, files: &[PathBuf], names: &[&str], line: &str, said: &str) {
    let ok = |args: Vec<&str>| -> Output { root.run(args).unwrap().expect_success().unwrap() };
    let before = ok(vec!["opkg", "list-installed"]).stdout;
    let inside = carry(root.root(), "root/in", files);
    ok(["opkg", "install"].into_iter().chain(inside.iter().map(String::as_str)).collect());
    let out = root.sh(line).unwrap().expect_success().unwrap();
    assert!(out.stdout.contains(said), "{out:?}");
    let installed = ok(vec!["opkg", "list-installed"]).stdout;
    for name in names {
        assert!(installed.lines().any(|l| l.starts_with(&format!("{name} - "))), "{name}: {installed}");
    }
    for name in names {
        ok(vec!["opkg", "remove", name]);
    }
    assert_eq!(ok(vec!["opkg", "list-installed"]).stdout, before);
}

#[test]
fn alpines_tmux_for_19_07() {
    let Some((_dir, root)) = opkg_root() else { return };
    // Both have /usr/lib/libevent-2.1.so.7, and opkg rightly refuses the second owner.
    root.sh("opkg remove --force-depends libevent2-7").unwrap().expect_success().unwrap();
    let workshop = Workshop::new();
    let inputs = files("made/alpine-tmux-norelr/x86_64", &["libevent-", "ncurses-libs-", "ncurses-terminfo", "tmux-"]);
    let made = workshop.convert(&inputs, "ipk", None);
    with_opkg(&root, &made, &["tmux", "libevent", "ncurses-libs", "ncurses-terminfo-base"], "tmux -V", "tmux 3.3a");
}

#[test]
fn tmux_of_apk_3_for_19_07() {
    let Some((_dir, root)) = opkg_root() else { return };
    let workshop = Workshop::new();
    let inputs = files("made/openwrt-tmux-apk3", &["libevent2", "libncurses6", "terminfo", "tmux"]);
    let made = workshop.convert(&inputs, "ipk", None);
    let names = ["tmux", "libevent2-core7", "libncurses6", "terminfo"];
    with_opkg(&root, &made, &names, "tmux -V", "tmux 3.3a");
}

/// Every package of the real data goes into both other formats, and what is written is read again.
#[test]
fn every_real_package_converts() {
    let Some(data) = real::data() else { return };
    for (dir, extension, targets) in [
        ("openwrt-25.12/base", "apk", ["ipk", "apk2"]),
        ("openwrt-19.07/base", "ipk", ["apk3", "apk2"]),
        ("alpine-3.19-iso/x86_64", "apk", ["ipk", "apk3"]),
    ] {
        let mut inputs: Vec<PathBuf> = std::fs::read_dir(data.join(dir)).unwrap().map(|e| e.unwrap().path()).collect();
        inputs.retain(|p| p.extension().is_some_and(|e| e == extension));
        inputs.retain(|p| p.metadata().unwrap().len() < 300 << 10);
        inputs.sort();
        for to in targets {
            let workshop = Workshop::new();
            let made = workshop.convert(&inputs, to, None);
            let args =
                ["package", "verify"].map(Into::into).into_iter().chain(made.into_iter().map(PathBuf::into_os_string));
            workshop.xpkg.ok(args.collect::<Vec<_>>());
        }
    }
}

/// `--strict` names what would be lost and writes nothing; what loses nothing is the same with it and without.
#[test]
fn strictly_nothing_is_lost() {
    if real::data().is_none() {
        return;
    }
    let workshop = Workshop::new();
    let out = workshop.dir.path().join("strict");
    std::fs::create_dir(&out).unwrap();
    let strict = |file: &Path, to: &str| {
        let mut args: Vec<std::ffi::OsString> = ["convert", "--strict", "--to", to, "-o"].map(Into::into).into();
        args.extend([out.clone().into(), file.into()]);
        workshop.xpkg.run(args)
    };
    let lossy = files("openwrt-19.07/packages", &["wget_"]).remove(0);
    let said = strict(&lossy, "apk2");
    assert_eq!(said.status, 1, "{said:?}");
    for part in ["would lose 4 things", "wget: field: Section: net", "300:/usr/bin/wget:/usr/bin/wget-ssl", "hint: "] {
        assert!(said.stderr.contains(part), "{part}: {said:?}");
    }
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 0);

    let whole = files("openwrt-25.12/base", &["iw-"]).remove(0);
    let said = strict(&whole, "apk2").expect_success().unwrap();
    assert!(!said.stderr.contains("lost:"), "{said:?}");
    let plain = workshop.convert(&[whole], "apk2", None).remove(0);
    assert!(std::fs::read(out.join(plain.file_name().unwrap())).unwrap() == std::fs::read(&plain).unwrap());
}
