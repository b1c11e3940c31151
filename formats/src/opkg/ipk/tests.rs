//! Packages are written, sniffed and read back, in both containers.

use std::io::Cursor;

use xpkg_model::payload::{Entry, EntryKind, Scripts};
use xpkg_model::{RelPath, VersionScheme};

use super::*;
use crate::package::{self, Format};

fn sample(outer: Outer) -> (Vec<u8>, Identity) {
    let mut package = Package::new(Ecosystem::Openwrt, "foo", "1:2.0~rc1-3");
    package.scheme = VersionScheme::Deb;
    package.arch = "x86_64".into();
    package.build_time = 1_700_000_000;
    package.depends = crate::opkg::depends::parse("libc, a | b (>> 2)", 9).unwrap();
    let scripts = Scripts::from([(ScriptKind::PostInstall, STOCK_POSTINST.as_bytes().to_vec())]);
    let conffile = RelPath::literal("etc/config/foo");
    let mut builder = Builder::new(package)
        .unwrap()
        .scripts(scripts)
        .conffiles([&conffile])
        .control_file("postinst-pkg", b"echo hi\n".as_slice());
    let long: &'static str = Box::leak(format!("usr/share/{}/{}", "d".repeat(90), "f".repeat(120)).into_boxed_str());
    let mut add = |path: &'static str, kind: EntryKind, mode, content: &[u8]| {
        builder.entry(&Entry::new(RelPath::literal(path), kind, mode), &mut &*content).unwrap();
    };
    add("etc/config/foo", EntryKind::File, 0o600, b"config foo\n");
    add(long, EntryKind::File, 0o4755, &[7; 70_000]);
    add("usr/z", EntryKind::Hardlink(RelPath::literal(long)), 0o644, b"");
    add("usr/link", EntryKind::Symlink("../".repeat(60).into_bytes()), 0o777, b"");
    add("dev/null", EntryKind::Char(1, 3), 0o666, b"");
    let mut bytes = Vec::new();
    let written = builder.finish(&mut bytes, outer).unwrap();
    assert_eq!((written.size, written.installed_size), (bytes.len() as u64, 70_011));
    (bytes, written.identity)
}

type Files = Vec<(Entry, Vec<u8>)>;

fn entries(bytes: &[u8]) -> Result<(Meta, Files), Error> {
    let mut opened = package::open(Cursor::new(bytes), "foo.ipk", Ecosystem::Openwrt, &Limits::default())?;
    let mut out = Vec::new();
    opened.read_payload(&mut |entry, content| {
        let mut data = Vec::new();
        content.read_to_end(&mut data)?;
        out.push((entry.clone(), data));
        Ok(())
    })?;
    Ok((opened.meta().clone(), out))
}

#[test]
fn both_containers_hold_the_same_package() {
    let (tar, identity) = sample(Outer::Tar);
    assert_eq!(sample(Outer::Tar).0, tar, "the bytes depend on the input only");
    let (meta, files) = entries(&tar).unwrap();
    assert_eq!(meta.package.identity, Some(identity));
    assert_eq!((meta.format, meta.package.size), (Format::Ipk, tar.len() as u64));
    assert_eq!(meta.conffiles, [RelPath::literal("etc/config/foo")]);
    assert_eq!(meta.control_files.keys().collect::<Vec<_>>(), ["conffiles", "postinst", "postinst-pkg"]);
    assert_eq!(meta.scripts[&ScriptKind::PostInstall], STOCK_POSTINST.as_bytes());
    assert_eq!(meta.package.depends.len(), 2);
    let names: Vec<_> = files.iter().map(|(e, _)| e.path.to_string()).collect();
    assert_eq!(names.first().map(String::as_str), Some("/"));
    assert!(names.iter().any(|n| n.len() > 210));
    let setuid = files.iter().find(|(e, _)| e.mode == 0o4755).unwrap();
    assert_eq!((setuid.1.len(), setuid.0.size), (70_000, 70_000));

    let (ar, _) = sample(Outer::Ar);
    let (other, same) = entries(&ar).unwrap();
    assert_eq!(same, files);
    assert_eq!((other.conffiles, other.control_files), (meta.conffiles, meta.control_files));
}

#[test]
fn an_ipk_is_never_signed() {
    let mut reader =
        Reader::open(Cursor::new(sample(Outer::Tar).0), "x", Ecosystem::Openwrt, &Limits::default()).unwrap();
    assert!(matches!(reader.verify_signature(&Keyring::new()), Err(Error::Unsigned { .. })));
}

#[test]
fn a_cut_or_changed_file_is_an_error() {
    for outer in [Outer::Tar, Outer::Ar] {
        let (bytes, _) = sample(outer);
        for at in (0..bytes.len()).step_by(bytes.len() / 50) {
            assert!(entries(&bytes[..at]).is_err(), "{outer:?} cut at {at}");
        }
    }
}

#[test]
fn what_an_ipk_cannot_hold_is_refused() {
    let package = || {
        let mut package = Package::new(Ecosystem::Openwrt, "foo", "1");
        package.arch = "all".into();
        package
    };
    let scripts = Scripts::from([(ScriptKind::PreUpgrade, b"x".to_vec())]);
    let error = Builder::new(package()).unwrap().scripts(scripts).finish(&mut Vec::new(), Outer::Tar).unwrap_err();
    assert!(error.to_string().contains("pre-upgrade"), "{error}");
    let mut builder = Builder::new(package()).unwrap();
    let mut entry = Entry::new(RelPath::literal("a"), EntryKind::File, 0o644);
    entry.xattrs.push(("user.x".into(), b"1".to_vec()));
    assert!(builder.entry(&entry, &mut &b"x"[..]).is_err());
}
