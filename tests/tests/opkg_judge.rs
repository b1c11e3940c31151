//! The real opkg and usign of an OpenWrt 19.07 root judge what the opkg writers write: packages, feeds, signatures.

use std::fs::{self, File};
use std::path::Path;

use xpkg_fixtures::keys::{OTHER_USIGN, USIGN};
use xpkg_fixtures::real::{self, Chroot};
use xpkg_fixtures::{Ipk, Repo};
use xpkg_formats::keys::{SecretKey, usign};
use xpkg_formats::opkg::feed::{self, Detail};
use xpkg_formats::opkg::ipk::{self, Outer};
use xpkg_formats::{Limits, package};
use xpkg_model::payload::EntryKind;
use xpkg_model::{Ecosystem, Package};

/// Real packages of that root's release, repacked: libraries, a conffile, alternatives, a kernel module.
const REPACKED: [&str; 6] = [
    "base/lua_5.1.5-3_x86_64.ipk",
    "base/ipset_7.3-1_x86_64.ipk",
    "base/dropbear_2019.78-2_x86_64.ipk",
    "base/ca-certificates_20190110-2_all.ipk",
    "base/libopenssl-conf_1.1.1d-2_x86_64.ipk",
    "target/kmod-mii_4.14.171-1_x86_64.ipk",
];

fn root() -> Option<(tempfile::TempDir, Chroot)> {
    real::data()?;
    if !real::root_rights() {
        return None;
    }
    let dir = real::unpack_root(real::OPENWRT_19_07).unwrap();
    let chroot = Chroot::new(dir.path()).unwrap();
    fs::create_dir_all(dir.path().join("tmp/lock")).unwrap();
    Some((dir, chroot))
}

/// Writes a real package again and says what an index says of it.
fn repack(from: &Path, to: &Path) -> Package {
    let what = from.display().to_string();
    let file = File::open(from).unwrap();
    let mut opened = package::open(file, &what, Ecosystem::Openwrt, &Limits::default()).unwrap();
    let meta = opened.meta().clone();
    let mut package = meta.package;
    let mut builder = ipk::Builder::new(package.clone()).unwrap();
    for (name, content) in meta.control_files {
        builder = builder.control_file(name, content);
    }
    opened
        .read_payload(&mut |entry, content| {
            builder.entry(entry, content)?;
            Ok(())
        })
        .unwrap();
    let name = ipk::file_name(&package);
    let mut out = File::create(to.join(&name)).unwrap();
    let written = builder.finish(&mut out, Outer::Tar).unwrap();
    package.identity = Some(written.identity);
    package.size = written.size;
    package.filename = Some(name);
    package
}

/// Every path of a package with its type and content, as the root has it.
fn as_installed(root: &Path, file: &Path) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut opened = package::open(File::open(file).unwrap(), "x", Ecosystem::Openwrt, &Limits::default()).unwrap();
    // What stood there before a person may have changed.
    let conffiles = opened.meta().conffiles.clone();
    opened
        .read_payload(&mut |entry, content| {
            let path = root.join(entry.path.as_path());
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes)?;
            let right = match &entry.kind {
                EntryKind::File => fs::read(&path).is_ok_and(|found| found == bytes),
                EntryKind::Symlink(target) => {
                    fs::read_link(&path).is_ok_and(|found| found.as_os_str().as_encoded_bytes() == target)
                }
                _ => path.exists(),
            };
            if !right && !conffiles.contains(&entry.path) {
                wrong.push(entry.path.to_string());
            }
            Ok(())
        })
        .unwrap();
    wrong
}

#[test]
fn opkg_installs_what_was_written_again() {
    let Some((dir, chroot)) = root() else { return };
    let root = dir.path();
    let feed = root.join("feed");
    fs::create_dir(&feed).unwrap();
    let real = real::data().unwrap().join("openwrt-19.07");
    let packages: Vec<_> = REPACKED.iter().map(|file| repack(&real.join(file), &feed)).collect();
    let mut plain = Vec::new();
    feed::write(&mut plain, &packages, Detail::Packages).unwrap();
    fs::write(feed.join(feed::PACKAGES_GZ), feed::compress(&plain).unwrap()).unwrap();
    let sign = |key: xpkg_fixtures::Key| {
        fs::write(feed.join(feed::PACKAGES_SIG), usign::sign(&key.secret().unwrap(), &plain).unwrap()).unwrap();
    };
    fs::write(root.join("etc/opkg/distfeeds.conf"), "src/gz ours file:///feed\n").unwrap();
    let opkg = |args: &[&str]| chroot.run([&["opkg"], args].concat()).unwrap();
    let all = |out: &real::Output| format!("{}{}", out.stdout, out.stderr);

    sign(OTHER_USIGN);
    let out = opkg(&["update"]);
    assert!(all(&out).contains("Signature check failed"), "{}", all(&out));
    USIGN.write_public(&root.join("etc/opkg/keys")).unwrap();
    let out = opkg(&["update"]);
    assert!(all(&out).contains("Signature check failed"), "{}", all(&out));
    sign(USIGN);
    let out = opkg(&["update"]);
    assert!(out.success() && all(&out).contains("Signature check passed"), "{}", all(&out));

    for package in &packages {
        let name = package.name.as_str();
        let info = opkg(&["info", name]);
        assert!(info.stdout.contains(&format!("Version: {}", package.version)), "{}", all(&info));
        opkg(&["remove", "--force-depends", name]);
        let out = opkg(&["install", "--nodeps", name]);
        assert!(out.success() && out.stdout.contains(&format!("Configuring {name}.")), "{}", all(&out));
        assert!(!all(&out).contains("Collected errors"), "{}", all(&out));
        let file = feed.join(package.filename.as_deref().unwrap());
        // `default_postinst` runs and then deletes first-boot settings.
        let wrong: Vec<_> =
            as_installed(root, &file).into_iter().filter(|p| !p.starts_with("/etc/uci-defaults/")).collect();
        assert!(wrong.is_empty(), "{name}: {wrong:?}");
        let list = fs::read_to_string(root.join(format!("usr/lib/opkg/info/{name}.list"))).unwrap();
        let files = opkg(&["files", name]);
        assert!(list.lines().all(|line| files.stdout.contains(line)), "{}", all(&files));
    }
    let status = opkg(&["status", "dropbear"]);
    assert!(status.stdout.contains("\n /etc/config/dropbear "), "{}", all(&status));
}

#[test]
fn opkg_takes_what_the_fixtures_publish() {
    let Some((dir, chroot)) = root() else { return };
    let root = dir.path();
    let mut feed = Repo::ipk(root.join("feed"), USIGN).unwrap();
    let long = format!("usr/share/{}/{}", "d".repeat(80), "f".repeat(130));
    Ipk::new("one", "1.0-1")
        .depends("libc, nothing-of-the-kind | two (>= 2)")
        .provides("uno")
        .alternative("50:/usr/bin/chosen:/usr/bin/one")
        .require_user("one=1234:one=1234")
        .file("usr/bin/one", "#!/bin/sh\necho one\n")
        .hardlink("usr/bin/uno", "usr/bin/one")
        .symlink("usr/bin/eins", "one")
        .file(&long, "long")
        .dir("var/lib/one")
        .conffile("etc/config/one", "config one\n")
        .mode(0o600)
        .postinst("echo configured > /etc/one.configured\n")
        .publish(&mut feed)
        .unwrap();
    Ipk::new("two", "2.0-1").file("usr/bin/two", "2").publish(&mut feed).unwrap();
    USIGN.write_public(&root.join("etc/opkg/keys")).unwrap();
    fs::write(root.join("etc/opkg/distfeeds.conf"), format!("{}\n", feed.line("file:///feed"))).unwrap();
    let out = chroot.sh("opkg update && opkg install one && opkg whatprovides uno && opkg status one").unwrap();
    let said = format!("{}{}", out.stdout, out.stderr);
    assert!(out.success() && said.contains("Signature check passed"), "{said}");
    for line in ["Installing two (2.0-1) to root...", "Configuring one.", "Conffiles:\n /etc/config/one "] {
        assert!(said.contains(line), "no `{line}` in {said}");
    }
    assert!(!said.contains("Collected errors"), "{said}");
    let status = fs::read_to_string(root.join("usr/lib/opkg/status")).unwrap();
    assert!(status.contains("Alternatives: 50:/usr/bin/chosen:/usr/bin/one\n"), "{status}");
    assert_eq!(fs::read(root.join(&long)).unwrap(), b"long");
    assert_eq!(fs::read(root.join("usr/bin/uno")).unwrap(), fs::read(root.join("usr/bin/one")).unwrap());
    assert_eq!(fs::read_link(root.join("usr/bin/chosen")).unwrap(), Path::new("/usr/bin/one"));
    assert_eq!(fs::read(root.join("etc/one.configured")).unwrap(), b"configured\n");
    assert!(fs::read_to_string(root.join("etc/passwd")).unwrap().contains("one:x:1234:1234:"));
    let out = chroot.sh("opkg remove one two && opkg list-installed | grep -E '^(one|two) '").unwrap();
    assert!(out.stdout.contains("Removing package one") && out.status == 1, "{}{}", out.stdout, out.stderr);
}

#[test]
fn usign_and_our_signatures_agree() {
    let Some((dir, chroot)) = root() else { return };
    let root = dir.path();
    let message = b"Package: a\n\n".repeat(5000);
    fs::write(root.join("m"), &message).unwrap();
    let ours = SecretKey::generate_usign("ours").unwrap();
    fs::write(root.join("ours.pub"), ours.public().to_pem()).unwrap();
    fs::write(root.join("ours"), ours.to_pem().unwrap()).unwrap();
    fs::write(root.join("m.ours"), usign::sign(&ours, &message).unwrap()).unwrap();
    let ok = |line: &str| {
        let out = chroot.sh(line).unwrap();
        assert!(out.success(), "{line}: {}{}", out.stdout, out.stderr);
        out.stdout.trim().to_owned()
    };
    ok("usign -V -m /m -p /ours.pub -x /m.ours");
    let id = xpkg_model::identity::hex(&ours.public().usign_id().unwrap());
    assert_eq!(
        [ok("usign -F -p /ours.pub"), ok("usign -F -s /ours"), ok("usign -F -x /m.ours")],
        [id.clone(), id.clone(), id]
    );
    // A key that usign made, and a signature that usign makes with ours.
    ok(
        "usign -G -s /theirs -p /theirs.pub && usign -S -m /m -s /theirs -x /m.theirs && usign -S -m /m -s /ours -x /m.again",
    );
    assert_eq!(fs::read(root.join("m.again")).unwrap(), fs::read(root.join("m.ours")).unwrap());
    let theirs = SecretKey::parse("theirs", &fs::read(root.join("theirs")).unwrap()).unwrap();
    let keys = [theirs.public().clone()].into_iter().collect();
    let signature = usign::Signature::parse("m.theirs", &fs::read(root.join("m.theirs")).unwrap()).unwrap();
    signature.verify("m", &keys, &message).unwrap();
    assert_eq!(usign::sign(&theirs, &message).unwrap().into_bytes(), fs::read(root.join("m.theirs")).unwrap());
    fs::write(root.join("m"), b"other").unwrap();
    assert!(!chroot.sh("usign -V -m /m -p /ours.pub -x /m.ours").unwrap().success());
}
