//! apk v2 files that somebody made to do harm: each is refused with its own error before anything could be written.

use std::io::{Cursor, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{EntryType, Header};
use xpkg_formats::apk::{index, v2};
use xpkg_formats::keys::{Hash, Keyring, PublicKey, SecretKey};
use xpkg_formats::{Error, Limits, package};
use xpkg_model::identity::hex;
use xpkg_model::payload::{Entry, EntryKind};
use xpkg_model::{Ecosystem, Package, RelPath};

const END: [u8; 1024] = [0; 1024];

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// One tar entry, with names that the `tar` crate's own builder would refuse.
fn tar(name: &[u8], kind: EntryType, link: &[u8], content: &[u8]) -> Vec<u8> {
    let mut header = Header::new_ustar();
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link);
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(content.len() as u64);
    header.set_cksum();
    let mut out = [header.as_bytes(), content].concat();
    out.resize(out.len().div_ceil(512) * 512, 0);
    out
}

fn file(name: &str, content: &[u8]) -> Vec<u8> {
    tar(name.as_bytes(), EntryType::Regular, b"", content)
}

fn pax(records: &str) -> Vec<u8> {
    tar(b"x", EntryType::XHeader, b"", records.as_bytes())
}

/// An unsigned package around a payload tar.
fn around(payload: &[u8]) -> Vec<u8> {
    let data = gzip(payload);
    let info = format!("pkgname = p\npkgver = 1-r0\narch = x86_64\ndatahash = {}\n", hex(&Hash::Sha256.of(&data)));
    [gzip(&file(".PKGINFO", info.as_bytes())), data].concat()
}

fn read(bytes: &[u8], limits: &Limits) -> Result<Vec<Entry>, Error> {
    let mut entries = Vec::new();
    package::open(Cursor::new(bytes), "p.apk", Ecosystem::Alpine, limits)?.read_payload(&mut |entry, content| {
        std::io::copy(content, &mut std::io::sink())?;
        entries.push(entry.clone());
        Ok(())
    })?;
    Ok(entries)
}

fn refused(bytes: &[u8]) -> Error {
    read(bytes, &Limits::default()).expect_err("it was read")
}

#[test]
fn an_honest_payload_is_read_with_and_without_its_end_mark() {
    let payload = [file("a", b"x"), tar(b"d/", EntryType::Directory, b"", b""), file("d/b", b"")].concat();
    for end in [&END[..], &[], &END[..512]] {
        let entries = read(&around(&[&payload, end].concat()), &Limits::default()).unwrap();
        assert_eq!(entries.iter().map(|e| e.path.to_string()).collect::<Vec<_>>(), ["/a", "/d", "/d/b"]);
    }
}

#[test]
fn entries_that_would_harm_a_root_are_refused() {
    let symlink = |name: &str, to: &str| tar(name.as_bytes(), EntryType::Symlink, to.as_bytes(), b"");
    let hard = |name: &str, to: &str| tar(name.as_bytes(), EntryType::Link, to.as_bytes(), b"");
    for (payload, reason) in [
        (file("../etc/passwd", b"x"), "`..`"),
        (file("/etc/passwd", b"x"), "absolute"),
        (file("a\nR:b", b"x"), "line break"),
        (file("a/../../b", b"x"), "`..`"),
        (file("", b"x"), "no name"),
        (file("./", b"x"), "ends in `/`"),
        (file(".", b"x"), "root directory"),
        (file("a/", b"x"), "ends in `/`"),
        ([file("a", b"x"), file("./a", b"y")].concat(), "twice"),
        ([symlink("etc", "/etc"), file("etc/passwd", b"y")].concat(), "no directory"),
        ([file("etc/x", b"y"), symlink("etc", "/tmp")].concat(), "lie below"),
        (hard("a", "etc/shadow"), "no earlier file"),
        (hard("a", "../etc/shadow"), "`..`"),
        (symlink("a", ""), "target"),
        (tar(b"a", EntryType::new(b'S'), b"", b""), "not understood"),
        (tar(b"d", EntryType::Directory, b"", b"x"), "only regular files"),
        ([pax("22 path=../etc/passwd\n"), file("a", b"x")].concat(), "`..`"),
        ([pax("13 size=1000\n"), file("a", b"x")].concat(), "two sizes"),
    ] {
        match refused(&around(&payload)) {
            Error::Entry { reason: found, .. } => assert!(found.contains(reason), "{found}"),
            other => panic!("{reason}: {other}"),
        }
    }
}

#[test]
fn declared_digests_must_hold() {
    let sha1 = |digest: &str| pax(&format!("68 APK-TOOLS.checksum.SHA1={digest}\n"));
    let good = hex(&Hash::Sha1.of(b"content"));
    let entries = read(&around(&[sha1(&good), file("a", b"content")].concat()), &Limits::default()).unwrap();
    assert!(entries[0].digest.is_some());
    let bad = around(&[sha1(&good), file("a", b"CONTENT")].concat());
    assert!(matches!(refused(&bad), Error::Digest { part, .. } if part.contains("/a")));
    let link = around(&[sha1(&good), tar(b"l", EntryType::Symlink, b"elsewhere", b"")].concat());
    assert!(matches!(refused(&link), Error::Digest { .. }));

    let package = around(&file("a", b"x"));
    let other = around(&file("a", b"y"));
    let split = |bytes: &[u8]| {
        let mut member = flate2::bufread::GzDecoder::new(bytes);
        std::io::copy(&mut member, &mut std::io::sink()).unwrap();
        bytes.len() - member.into_inner().len()
    };
    let mixed = [&package[..split(&package)], &other[split(&other)..]].concat();
    assert!(matches!(refused(&mixed), Error::Digest { part, .. } if part.contains("payload")));
}

#[test]
fn nothing_may_follow_and_nothing_may_be_missing() {
    let package = around(&[file("a", b"x"), END.to_vec()].concat());
    assert!(refused(&[&package[..], b"x"].concat()).to_string().contains("follows"));
    assert!(refused(&[&package[..], &gzip(b"more")].concat()).to_string().contains("follows"));
    let after_mark = around(&[file("a", b"x"), END.to_vec(), file("b", b"y")].concat());
    assert!(refused(&after_mark).to_string().contains("end mark"));
    for cut in 1..package.len() {
        assert!(read(&package[..cut], &Limits::default()).is_err(), "cut at {cut}");
    }
    let obsolete = [gzip(&file(".PKGINFO", b"pkgname = p\npkgver = 1-r0\n")), gzip(&file("a", b"x"))].concat();
    assert!(refused(&obsolete).to_string().contains("obsolete"));
    let mixed = gzip(&[file(".PKGINFO", b"pkgname = p\npkgver = 1-r0\n"), file("a", b"x")].concat());
    assert!(refused(&mixed).to_string().contains("obsolete"));
    let ipk = refused(&gzip(&file("./debian-binary", b"2.0\n"))).to_string();
    assert!(ipk.contains("no control.tar"), "{ipk}");
}

#[test]
fn everything_is_bounded() {
    let limits = |change: fn(&mut Limits)| {
        let mut limits = Limits::default();
        change(&mut limits);
        limits
    };
    let many: Vec<u8> = (0..20).flat_map(|i| file(&format!("f{i}"), b"x")).collect();
    let attributes: String = (0..9).map(|i| format!("21 SCHILY.xattr.u{i}=x\n")).collect();
    for (package, limits) in [
        (around(&many), limits(|l| l.max_entries = 10)),
        (around(&file("a", &[0; 100_000])), limits(|l| l.max_unpacked = 50_000)),
        (
            around(&[pax(&format!("2009 comment={}\n", "x".repeat(1995))), file("a", b"")].concat()),
            limits(|l| l.max_tar_header = 1000),
        ),
        (
            around(&[tar(b"l", EntryType::GNULongName, b"", &[b'x'; 5000]), file("a", b"")].concat()),
            limits(|l| l.max_tar_header = 1000),
        ),
        (gzip(&file(".PKGINFO", &[b'x'; 100_000])), limits(|l| l.max_line = 1000)),
        (gzip(&file(".PKGINFO", &[b'\n'; 100_000])), limits(|l| l.max_metadata = 50_000)),
        (gzip(&file(".post-install", &[b'x'; 2000])), limits(|l| l.max_script = 1000)),
        (gzip(&file(".SIGN.RSA.k", &[b'x'; 5000])), Limits::default()),
    ] {
        let error = read(&package, &limits).unwrap_err();
        assert!(matches!(error, Error::Limit { .. }), "{error}");
    }
    let error = read(&around(&[pax(&attributes), file("a", b"")].concat()), &limits(|l| l.max_xattrs = 8)).unwrap_err();
    assert!(error.to_string().contains("attributes"), "{error}");
    let depends = format!("pkgname = p\npkgver = 1\ndepend = {}\n", "a ".repeat(100));
    let error = read(&gzip(&file(".PKGINFO", depends.as_bytes())), &limits(|l| l.max_list = 50)).unwrap_err();
    assert!(error.to_string().contains("more than 50"), "{error}");
}

fn secret(name: &str) -> SecretKey {
    let pem = match name {
        "0001" => include_str!("../../fixtures/keys/xpkg-fixture-0001.rsa"),
        _ => include_str!("../../fixtures/keys/xpkg-fixture-0002.rsa"),
    };
    SecretKey::parse("k.rsa", pem.as_bytes()).unwrap()
}

#[test]
fn the_signature_errors_are_distinct() {
    let build = |key: Option<&SecretKey>| {
        let mut builder = v2::Builder::new(Package::new(Ecosystem::Alpine, "p", "1-r0")).unwrap();
        builder.entry(&Entry::new(RelPath::root(), EntryKind::Dir, 0o755), &mut &b""[..]).unwrap();
        builder.entry(&Entry::new(RelPath::literal("a"), EntryKind::File, 0o644), &mut &b"x"[..]).unwrap();
        let mut file = Vec::new();
        builder.finish(&mut file, key).unwrap();
        file
    };
    let verify = |file: &[u8], keys: &Keyring| {
        package::open(Cursor::new(file), "p.apk", Ecosystem::Alpine, &Limits::default())?.verify_signature(keys)
    };
    let ring = |key: &SecretKey| Keyring::from_iter([key.public().clone()]);
    let (first, second) = (secret("0001"), secret("0002"));
    let signed = build(Some(&first));
    assert_eq!(verify(&signed, &ring(&first)).unwrap().key, "k.rsa.pub");
    // The other key under the same name: the signature claims it and it did not make it.
    assert!(matches!(verify(&signed, &ring(&second)), Err(Error::BadSignature { key, .. }) if key == "k.rsa.pub"));
    assert!(matches!(verify(&signed, &Keyring::new()), Err(Error::UnknownKey { names, .. }) if names == ["k.rsa.pub"]));
    assert!(matches!(verify(&build(None), &ring(&first)), Err(Error::Unsigned { .. })));

    let odd = [gzip(&file(".SIGN.DSA.old", b"x")), build(None)].concat();
    assert!(matches!(verify(&odd, &ring(&first)), Err(Error::UnknownKey { names, .. }) if names == ["old (DSA)"]));

    let mut refuse = |envelope: &mut dyn package::Envelope| envelope.verify_signature(&Keyring::new()).map(drop);
    let broken_inside = [gzip(&file(".SIGN.RSA.k", b"x")), gzip(&file(".PKGINFO", b"pkgname = ..\n"))].concat();
    let outcome =
        package::open_if(Cursor::new(&broken_inside), "p", Ecosystem::Alpine, &Limits::default(), &mut refuse)
            .map(drop);
    assert!(matches!(outcome, Err(Error::UnknownKey { .. })), "nothing is parsed before it is trusted");
}

#[test]
fn weak_and_foreign_keys_are_refused() {
    let p256 = SecretKey::generate_p256("k").unwrap();
    let mut out = Vec::new();
    assert!(matches!(index::write_v2(&mut out, "", [], Some(&p256)), Err(Error::Unwritable { .. })));
    assert!(matches!(secret("0001").sign(Hash::Sha1, b"x"), Err(Error::BadKey { .. })));
    let private = include_str!("../../fixtures/keys/xpkg-fixture-0001.rsa");
    assert!(matches!(PublicKey::parse("k", private.as_bytes()), Err(Error::BadKey { .. })));
}

#[test]
fn an_index_with_strange_packages_stays_usable() {
    let ok = "C:Q1AAAAAAAAAAAAAAAAAAAAAAAAAAA=\nP:good\nV:1-r0\nA:x86_64\nS:1\nI:2\n\n";
    let text = format!("{ok}{}{}{ok}", ok.replace("S:1", "X:new"), ok.replace("P:good", "P:../up"));
    let read = |tar: &[u8], more: &[u8]| {
        let mut names = Vec::new();
        let bytes = [&gzip(tar), more].concat();
        let mut opened = index::open(Cursor::new(bytes), "i", &Limits::default())?;
        let info = opened.read(Ecosystem::Alpine, &mut |p| {
            names.push(p.name);
            Ok(())
        })?;
        Ok::<_, Error>((info, names))
    };
    let (info, names) = read(&file("APKINDEX", text.as_bytes()), b"").unwrap();
    assert_eq!((info.count, info.skipped, names), (2, 2, vec!["good".to_owned(), "good".to_owned()]));
    assert!(info.reasons[0].starts_with("good: field X"), "{:?}", info.reasons);
    for (tar, more) in [
        (file("OTHER", b""), &b""[..]),
        (file("APKINDEX", b"no colon"), b""),
        (file("APKINDEX", ok.as_bytes()), b"x"),
        ([file("APKINDEX", ok.as_bytes()), file("APKINDEX", ok.as_bytes())].concat(), b""),
    ] {
        assert!(matches!(read(&tar, more), Err(Error::Malformed { .. })));
    }
    // Without a blank line behind it the last package counts all the same (apk itself would lose it).
    assert_eq!(read(&file("APKINDEX", ok.trim_end().as_bytes()), b"").unwrap().0.count, 1);
}

#[test]
fn what_the_receiver_says_comes_back() {
    let package = around(&file("a", b"x"));
    let mut opened = package::open(Cursor::new(&package), "p", Ecosystem::Alpine, &Limits::default()).unwrap();
    let error = opened.read_payload(&mut |_, _| Err("the disk is full".into())).unwrap_err();
    assert_eq!(error.to_string(), "the disk is full");
    // It starts over.
    opened.read_payload(&mut |_, _| Ok(())).unwrap();
}
