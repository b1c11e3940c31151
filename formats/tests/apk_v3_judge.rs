//! The real apk 3 judges what the apk v3 writers write: in an OpenWrt root, by chroot. Needs root rights.

mod real_root;

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;
use std::process::Command;

use xpkg_formats::apk::{index, v3};
use xpkg_formats::keys::SecretKey;
use xpkg_model::payload::{Entry, EntryKind, ScriptKind, Scripts};
use xpkg_model::{Ecosystem, Package, RelPath};

const P256: &str = include_str!("../../fixtures/keys/xpkg-fixture-0001.p256");
const RSA: &str = include_str!("../../fixtures/keys/xpkg-fixture-0001.rsa");

/// An unpacked root in which a program can run; `None` (after saying so) where that is not possible.
fn root() -> Option<tempfile::TempDir> {
    let data = real_root::data()?;
    let root = real_root::unpack(&data, "openwrt-25.12.2-x86_64-musl-apk3", &[]);
    let made = Command::new("mknod").arg("-m666").arg(root.path().join("dev/null")).args(["c", "1", "3"]).output();
    if made.is_ok_and(|out| out.status.success()) && apk(root.path(), &["--version"]).0 {
        return Some(root);
    }
    assert!(std::env::var("XPKG_REQUIRE").as_deref() != Ok("all"), "no right to make devices and to chroot");
    let _ = std::io::Write::write_all(&mut std::io::stderr(), b"skipped: no right to make devices and to chroot\n");
    None
}

fn apk(root: &Path, arguments: &[&str]) -> (bool, String) {
    let out = Command::new("chroot")
        .arg(root)
        .arg("/usr/bin/apk")
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .output()
        .unwrap();
    let text = [out.stdout, out.stderr].concat();
    (out.status.success(), String::from_utf8_lossy(&text).into_owned())
}

/// Runs apk, which must succeed.
fn ok(root: &Path, arguments: &[&str]) -> String {
    let (good, text) = apk(root, arguments);
    assert!(good, "apk {arguments:?}: {text}");
    text
}

fn package(name: &str, version: &str) -> Package {
    let mut package = Package::new(Ecosystem::Openwrt, name, version);
    package.arch = "x86_64".into();
    package.description = "made by a test".into();
    package.license = "MIT".into();
    package.origin = "feeds/test".into();
    package.url = "https://example.org/".into();
    package.maintainer = "Nobody <nobody@example.org>".into();
    package.build_time = 1_700_000_000;
    package.commit = "0123456789abcdef0123456789abcdef01234567".into();
    package
}

/// A package with every kind of entry that apk installs. Returns the index entry.
fn write(mut package: Package, file: &Path, key: Option<&SecretKey>) -> Package {
    let name = package.name.clone();
    let mut scripts = Scripts::new();
    let script = format!("#!/bin/sh\necho \"$1\" > /tmp/{name}.installed\n");
    scripts.insert(ScriptKind::PostInstall, script.into_bytes());
    let mut builder = v3::Builder::new(package.clone()).unwrap().scripts(scripts);
    let mut add = |path: String, kind, mode, content: &[u8]| {
        let path = RelPath::from_package(path.as_bytes()).unwrap();
        builder.entry(&Entry::new(path, kind, mode), &mut &*content).unwrap();
    };
    let large: Vec<u8> = (0..300_000_u32).flat_map(|i| (i.wrapping_mul(2_654_435_761)).to_le_bytes()).collect();
    add(format!("usr/share/{name}/z-large"), EntryKind::File, 0o644, &large);
    let link = EntryKind::Hardlink(RelPath::from_package(format!("usr/share/{name}/z-large").as_bytes()).unwrap());
    add(format!("usr/share/{name}/a-link"), link, 0o644, b"");
    add(format!("usr/share/{name}/empty"), EntryKind::File, 0o600, b"");
    add(format!("usr/share/{name}/null"), EntryKind::Char(1, 3), 0o666, b"");
    add(format!("usr/share/{name}/pipe"), EntryKind::Fifo, 0o600, b"");
    add(format!("usr/share/{name}/dir"), EntryKind::Dir, 0o750, b"");
    add(format!("usr/bin/{name}"), EntryKind::File, 0o4755, b"#!/bin/sh\nexit 0\n");
    add(format!("usr/bin/{name}-link"), EntryKind::Symlink(name.clone().into_bytes()), 0o777, b"");
    let mut bytes = Vec::new();
    let written = builder.finish(&mut bytes, key).unwrap();
    fs::write(file, bytes).unwrap();
    package.identity = Some(written.identity);
    (package.size, package.installed_size) = (written.size, written.installed_size);
    package
}

#[test]
fn apk_accepts_our_packages_and_indexes() {
    let Some(root) = root() else { return };
    let root = root.path();
    let repo = root.join("repo");
    fs::create_dir(&repo).unwrap();
    for (pem, name) in [(P256, "ec"), (RSA, "rsa")] {
        let key = SecretKey::parse(name, pem.as_bytes()).unwrap();
        let mut one = package(&format!("one-{name}"), "1.2.3_p4-r5");
        one.depends = ["libc", &format!("two-{name}>=1"), "!nothing-of-the-kind<2"]
            .map(|d| d.parse::<xpkg_model::Dependency>().unwrap().into())
            .into();
        one.provides = ["cmd:one=1", "one-any"].map(|d| d.parse::<xpkg_model::Dependency>().unwrap().into()).into();
        one.tags = vec!["openwrt:abiversion=7".into()];
        let one = write(one, &repo.join(format!("one-{name}-1.2.3_p4-r5.apk")), Some(&key));
        let two = write(
            package(&format!("two-{name}"), "26.071.08919~480f2e5"),
            &repo.join(format!("two-{name}-26.071.08919~480f2e5.apk")),
            None,
        );

        // A signed package is trusted only once the key is there.
        let file = format!("/repo/one-{name}-1.2.3_p4-r5.apk");
        let (good, text) = apk(root, &["verify", &file]);
        assert!(!good && text.contains("UNTRUSTED"), "{text}");
        fs::write(root.join(format!("etc/apk/keys/{name}.pem")), key.public().to_pem()).unwrap();
        ok(root, &["verify", &file]);
        let dump = ok(root, &["adbdump", &file]);
        for line in [
            "- cmd:one=1",
            "nothing-of-the-kind<2",
            "version: 1.2.3_p4-r5",
            "repo-commit: 0123456789",
            "openwrt:abiversion=7",
            "mode: 04755",
        ] {
            assert!(dump.contains(line), "no `{line}` in {dump}");
        }

        // An index that we signed, and packages that it alone vouches for.
        let mut bytes = Vec::new();
        index::write_adb(&mut bytes, "ours", &[two, one], Some(&key)).unwrap();
        fs::write(repo.join(format!("{name}.adb")), bytes).unwrap();
        for list in fs::read_dir(root.join("etc/apk/repositories.d")).unwrap() {
            fs::remove_file(list.unwrap().path()).unwrap();
        }
        fs::write(root.join("etc/apk/repositories.d/ours.list"), format!("/repo/{name}.adb\n")).unwrap();
        let text = ok(root, &["update"]);
        assert!(!text.contains("WARNING") && !text.contains("UNTRUSTED"), "{text}");
        let text = ok(root, &["add", &format!("one-{name}")]);
        assert!(text.contains(&format!("Installing two-{name}")), "{text}");
        let read = |path: String| fs::read(root.join(path)).unwrap();
        assert_eq!(read(format!("usr/share/one-{name}/a-link")), read(format!("usr/share/one-{name}/z-large")));
        let node = |file: &str| fs::metadata(root.join(format!("usr/share/one-{name}/{file}"))).unwrap();
        assert!(node("null").file_type().is_char_device() && node("null").rdev() == 0x103);
        assert!(node("pipe").file_type().is_fifo() && node("dir").is_dir() && node("a-link").nlink() == 2);
        assert_eq!(read(format!("tmp/one-{name}.installed")), b"1.2.3_p4-r5\n");
        assert_eq!(
            fs::read_link(root.join(format!("usr/bin/one-{name}-link"))).unwrap(),
            Path::new(&format!("one-{name}"))
        );
        let text = ok(root, &["info", "-a", &format!("one-{name}")]);
        assert!(text.contains("made by a test") && text.contains(&format!("two-{name}>=1")), "{text}");
        let text = ok(root, &["audit", "--packages"]);
        assert!(!text.contains(&format!("one-{name}")), "{text}");
        ok(root, &["fix", "--reinstall", &format!("two-{name}")]);
        ok(root, &["del", &format!("one-{name}")]);
        assert!(!root.join(format!("usr/share/one-{name}")).exists());

        // From a file, trusted by its own signature.
        // On a root in memory, as /tmp often is, apk wants to be told that the package may be lost.
        ok(root, &["add", "--force-non-repository", &file]);
        // Both packages provide one versioned name, so only one of them fits.
        ok(root, &["del", &format!("one-{name}")]);
    }
    // A changed byte in the signed index is refused.
    let mut bytes = fs::read(repo.join("ec.adb")).unwrap();
    let last = bytes.len() / 2;
    bytes[last] ^= 1;
    fs::write(repo.join("broken.adb"), bytes).unwrap();
    fs::write(root.join("etc/apk/repositories.d/ours.list"), "/repo/broken.adb\n").unwrap();
    let (good, text) = apk(root, &["add", "one-ec"]);
    assert!(!good && text.contains("broken.adb") && text.contains("one-ec (no such package)"), "{text}");
}
