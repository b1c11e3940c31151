//! Packages made, signed and indexed by xpkg from one description, in all three formats: the real managers verify,
//! install, upgrade and remove them. And what `package` refuses.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use xpkg_fixtures::real::{self, Chroot, OPENWRT_19_07};
use xpkg_fixtures::{Apk, Key, keys};
use xpkg_model::Ecosystem;
use xpkg_tests::{System, Xpkg, feed};

/// The description of `hello`, in one version.
fn describe(dir: &Path, version: &str, conf: &str) -> PathBuf {
    let write = |path: &str, text: &str, mode: u32| {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    };
    write("root/usr/bin/hello", "#!/bin/sh\necho hello from $(cat /etc/hello.conf)\n", 0o755);
    write("root/etc/hello.conf", conf, 0o640);
    write("postinst", "echo configured > ${IPKG_INSTROOT}/root/configured\n", 0o644);
    let text = format!(
        "[package]\nname = \"hello\"\nversion = \"{version}\"\narch = \"x86_64\"\ndescription = \"says hello\"\n\
         license = \"MIT\"\nbuild-time = 1700000000\ndepends = [\"busybox\"]\nprovides = [\"greeter\"]\n\
         users = [\"hello=1234:hello=1234\"]\nalternatives = [\"100:/usr/bin/greet:/usr/bin/hello\"]\n\
         conffiles = [\"/etc/hello.conf\"]\n[scripts]\npostinst = \"postinst\"\n\
         [[files.entry]]\npath = \"/etc/hello.conf\"\nmode = \"0644\"\n"
    );
    write("package.toml", &text, 0o644);
    dir.join("package.toml")
}

struct Workshop {
    dir: TempDir,
    xpkg: Xpkg,
}

impl Workshop {
    fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("xpkg-files-").tempdir().unwrap();
        Self { xpkg: Xpkg::on(dir.path()), dir }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    fn key(&self, key: Key) -> String {
        let path = self.path(key.public_name().trim_end_matches(".pub"));
        fs::write(&path, key.secret_pem()).unwrap();
        path
    }

    /// Builds `hello` into `to`.
    fn hello(&self, version: &str, conf: &str, format: &str, key: Option<&str>, to: &Path) -> PathBuf {
        describe(&self.dir.path().join("hello"), version, conf);
        fs::create_dir_all(to).unwrap();
        let (from, to) = (self.path("hello"), to.to_str().unwrap());
        let mut args = vec!["package", "build", &from, "--format", format, "-o", to];
        if let Some(key) = key {
            args.extend(["--sign", key]);
        }
        let answer = self.xpkg.json(args);
        assert_eq!(answer["lost"].as_array().map(Vec::len), Some(0), "{answer}");
        PathBuf::from(answer["packages"][0]["path"].as_str().unwrap())
    }
}

/// What every system shows once `hello` is there.
fn assert_there(sh: &dyn Fn(&str) -> String, conf: &str) {
    assert_eq!(sh("hello"), format!("hello from {conf}\n"));
    assert_eq!(sh("greet"), format!("hello from {conf}\n"));
    assert!(sh("grep ^hello: /etc/passwd").starts_with("hello:x:1234:1234:"));
    assert_eq!(sh("cat /root/configured"), "configured\n");
}

fn with_apk(native: Ecosystem, format: &str, key: Key, dir: &str, repository: &str, index: &str) {
    let Some(system) = System::fresh(native) else { return };
    let workshop = Workshop::new();
    let secret = workshop.key(key);
    key.write_public(&system.dir().join("etc/apk/keys")).unwrap();
    let feed = system.dir().join(dir);
    let publish = |version: &str, conf: &str| {
        let file = workshop.hello(version, conf, format, Some(&secret), &feed);
        workshop.xpkg.ok(["package", "verify", "--keys", &format!("{secret}.pub"), file.to_str().unwrap()]);
        let made = workshop.xpkg.ok([
            "index",
            feed.to_str().unwrap(),
            "--format",
            format,
            "--sign",
            &secret,
            "--description",
            "mine",
        ]);
        assert!(made.stdout.trim().ends_with(index), "{made:?}");
        let file = file.file_name().unwrap().to_str().unwrap();
        system.ok(["apk", "verify", &format!("/{dir}/{file}")]);
    };
    fs::write(format!("{secret}.pub"), key.public_pem()).unwrap();
    let sh = |line: &str| system.sh(line).stdout;

    publish("1.0-r1", "one\n");
    system.ok(["apk", "update"]);
    let before = sh("apk list -I");
    system.ok(["apk", "add", "--repository", repository, "hello"]);
    assert_there(&sh, "one");
    assert!(sh("apk info -L hello").contains("usr/bin/hello"));

    // A changed configuration file stays, the new one lies beside it.
    system.write("etc/hello.conf", "mine\n");
    publish("1.1-r0", "two\n");
    system.ok(["apk", "upgrade", "--repository", repository, "hello"]);
    assert!(sh("apk list -I hello").contains("hello-1.1-r0"));
    assert_there(&sh, "mine");
    assert_eq!(system.read("etc/hello.conf.apk-new"), b"two\n");

    system.ok(["apk", "del", "hello"]);
    assert_eq!(sh("apk list -I"), before);
    assert!(!system.has("usr/bin/hello"));
}

#[test]
fn apk_2_takes_what_is_made() {
    with_apk(Ecosystem::Alpine, "apk2", keys::RSA, "root/feed/x86_64", "/root/feed", "APKINDEX.tar.gz");
}

#[test]
fn apk_3_takes_what_is_made() {
    with_apk(Ecosystem::Openwrt, "apk3", keys::P256, "root/feed", "/root/feed/packages.adb", "packages.adb");
}

#[test]
fn opkg_takes_what_is_made() {
    if !xpkg_tests::system::ready() {
        return;
    }
    let root = real::unpack_root(OPENWRT_19_07).unwrap();
    let chroot = Chroot::new(root.path()).unwrap();
    let workshop = Workshop::new();
    let sh = |line: &str| chroot.sh(line).unwrap().expect_success().unwrap().stdout;
    sh("mkdir -p /var/lock /var/run");
    // A key made here, under the name by which opkg looks for it.
    let secret = workshop.path("feed.key");
    let answer = workshop.xpkg.json(["key", "generate", "--type", "usign", &secret]);
    let public = fs::read_to_string(answer["public"].as_str().unwrap()).unwrap();
    let id = sh(&format!("echo '{public}' > /root/k; usign -F -p /root/k")).trim().to_owned();
    fs::write(root.path().join("etc/opkg/keys").join(&id), &public).unwrap();
    fs::write(root.path().join("etc/opkg/distfeeds.conf"), "src/gz mine file:///root/feed\n").unwrap();
    let feed = root.path().join("root/feed");
    let publish = |version: &str, conf: &str| {
        workshop.hello(version, conf, "ipk", None, &feed);
        let made = workshop.xpkg.json(["index", feed.to_str().unwrap(), "--format", "ipk", "--sign", &secret]);
        assert_eq!(made["files"].as_array().map(Vec::len), Some(4), "{made}");
        sh(&format!("usign -V -q -m /root/feed/Packages -p /etc/opkg/keys/{id} -x /root/feed/Packages.sig"));
        let updated = sh("opkg update");
        assert!(updated.contains("Signature check passed"), "{updated}");
    };

    publish("1.0-1", "one\n");
    let before = sh("opkg list-installed");
    sh("opkg install hello");
    assert_there(&sh, "one");
    assert!(sh("opkg files hello").contains("/usr/bin/hello"));
    assert!(sh("opkg whatprovides greeter").contains("hello"));

    fs::write(root.path().join("etc/hello.conf"), "mine\n").unwrap();
    assert!(sh("opkg list-changed-conffiles").contains("/etc/hello.conf\n"));
    publish("1.1-1", "two\n");
    sh("opkg upgrade hello");
    assert_there(&sh, "mine");
    assert_eq!(fs::read(root.path().join("etc/hello.conf-opkg")).unwrap(), b"two\n");

    sh("opkg remove hello");
    assert_eq!(sh("opkg list-installed"), before);
    assert!(!root.path().join("usr/bin/hello").exists() && !root.path().join("usr/bin/greet").exists());
}

#[test]
fn the_same_description_gives_the_same_bytes() {
    for format in ["ipk", "apk2", "apk3"] {
        let bytes = || {
            let workshop = Workshop::new();
            let out = workshop.dir.path().join("out");
            let key = (format == "apk2").then(|| workshop.key(keys::RSA));
            fs::read(workshop.hello("1.0-r0", "x\n", format, key.as_deref(), &out)).unwrap()
        };
        assert!(bytes() == bytes(), "{format}");
    }
}

#[test]
fn what_was_changed_or_signed_by_others_is_refused() {
    let workshop = Workshop::new();
    let out = workshop.dir.path().join("out");
    for (format, key, other) in [("apk2", keys::RSA, keys::OTHER_RSA), ("apk3", keys::P256, keys::OTHER_P256)] {
        let secret = workshop.key(key);
        for key in [key, other] {
            key.write_public(&workshop.dir.path().join(format)).unwrap();
        }
        let public = |key: Key| workshop.path(&format!("{format}/{}", key.public_name()));
        let file = workshop.hello("1.0-r0", "x\n", format, Some(&secret), &out);
        let file = file.to_str().unwrap();
        let verify = |key: Key| workshop.xpkg.run(["package", "verify", "--keys", &public(key), file]);
        assert_eq!(verify(key).status, 0);
        assert!(verify(other).stderr.contains("unknown key"), "{:?}", verify(other));
        assert_eq!(verify(other).status, 1);

        // Signed anew, the other key holds and the identity is the same.
        let identity = workshop.xpkg.json(["package", "inspect", file])["packages"][0]["identity"].clone();
        workshop.xpkg.ok(["package", "sign", "--key", &workshop.key(other), file]);
        assert_eq!((verify(other).status, verify(key).status), (0, 1));
        assert_eq!(workshop.xpkg.json(["package", "inspect", file])["packages"][0]["identity"], identity);

        let mut bytes = fs::read(file).unwrap();
        let last = bytes.len() - 40;
        bytes[last] ^= 0x55;
        fs::write(file, bytes).unwrap();
        assert_eq!(verify(other).status, 1);
    }
    assert!(
        workshop.xpkg.refused(["key", "generate", "--type", "rsa", &workshop.path("k")]).contains("openssl genrsa")
    );
}

#[test]
fn extracting_stays_in_its_directory() {
    let workshop = Workshop::new();
    let mut repo = xpkg_fixtures::Repo::v2(workshop.dir.path().join("repo"), keys::RSA).unwrap();
    let package = Apk::new("a", "1.0-r0")
        .file("usr/bin/a", "#!/bin/sh\n")
        .hardlink("usr/bin/b", "usr/bin/a")
        .symlink("usr/up", "../../../..")
        .dir("usr/locked")
        .mode(0o555)
        .file("usr/locked/in", "x")
        .char_device("dev/zero", 1, 5)
        .publish(&mut repo)
        .unwrap();
    let file = workshop.dir.path().join("repo").join(repo.package_path(&package));
    let to = workshop.path("to");
    let answer = workshop.xpkg.json(["package", "extract", file.to_str().unwrap(), "-o", &to]);
    assert_eq!(answer["left_out"].as_array().map(Vec::len), Some(1), "{answer}");
    let at = |path: &str| Path::new(&to).join(path);
    assert_eq!(fs::metadata(at("usr/bin/a")).unwrap().permissions().mode() & 0o7777, 0o755);
    assert_eq!(fs::metadata(at("usr/locked")).unwrap().permissions().mode() & 0o7777, 0o555);
    assert_eq!(fs::read(at("usr/locked/in")).unwrap(), b"x");
    assert_eq!(fs::read_link(at("usr/up")).unwrap(), Path::new("../../../.."));
    assert!(!at("dev/zero").exists());
    // A second time there is something in the way.
    let refused = workshop.xpkg.refused(["package", "extract", file.to_str().unwrap(), "-o", &to]);
    assert!(refused.contains("is not empty"), "{refused}");
}

#[test]
fn a_real_package_is_inspected() {
    if real::data().is_none() {
        return;
    }
    let file = feed::real_file(Ecosystem::Alpine, "jq");
    let answer = Workshop::new().xpkg.json(["package", "inspect", file.to_str().unwrap()]);
    let jq = &answer["packages"][0];
    assert_eq!(jq["format"], "apk2");
    assert_eq!(jq["sonames"][0], "libjq.so.1");
    assert_eq!(jq["needs"][1], "libonig.so.5");
    let program = jq["files"].as_array().unwrap().iter().find(|f| f["path"] == "/usr/bin/jq").unwrap();
    assert_eq!((program["mode"].as_str(), program["size"].as_u64()), (Some("0755"), Some(313_376)));
    assert_eq!(program["sha256"].as_str().map(str::len), Some(64));
}
