//! Indexes that are not as they should be: what is refused as a whole, and what costs one package only.

use std::io::Cursor;

use xpkg_model::Identity;

use super::*;
use crate::adb::block::{self, Kind};
use crate::adb::heap::Value;
use crate::adb::signature;
use crate::apk::v3::schema::info as slots;

const P256: &str = include_str!("../../../../fixtures/keys/xpkg-fixture-0001.p256");
const RSA: &str = include_str!("../../../../fixtures/keys/xpkg-fixture-0002.rsa");

fn key(pem: &str, name: &str) -> SecretKey {
    SecretKey::parse(name, pem.as_bytes()).unwrap()
}

fn open(bytes: Vec<u8>) -> Result<Reader<Cursor<Vec<u8>>>, Error> {
    Reader::open(Cursor::new(bytes), "x.adb", &Limits::default())
}

fn read(bytes: Vec<u8>) -> Result<(Vec<Package>, IndexInfo), Error> {
    let mut out = Vec::new();
    let info = open(bytes)?.read(Ecosystem::Openwrt, &mut |package| {
        out.push(package);
        Ok(())
    })?;
    Ok((out, info))
}

fn package(name: &str) -> Package {
    let mut package = Package::new(Ecosystem::Openwrt, name, "1-r0");
    package.identity = Some(Identity::ApkSha256([7; 32]));
    package
}

/// An index whose packages are written by hand, field by field.
fn by_hand(packages: &[&[(usize, &[u8])]], spec: &str) -> Vec<u8> {
    let mut heap = HeapWriter::new();
    let mut values = Vec::new();
    for fields in packages {
        let mut object = Fields::<{ slots::SLOTS }>::new();
        for (slot, bytes) in *fields {
            let value = heap.blob(bytes);
            object.set(*slot, value);
        }
        values.push(object.write(&mut heap));
    }
    let (values, spec) = (heap.array(&values), heap.text(spec));
    let root = heap.object(&[Value::NULL, values, spec]);
    let adb = heap.finish(root, "x").unwrap();
    let mut out = Vec::new();
    container::write(&mut out, "x", Schema::Index, &adb, None, io::empty(), Compression::None).unwrap();
    out
}

#[test]
fn a_package_that_is_not_understood_costs_itself_only() {
    let hash = [9; 32];
    let good: &[(usize, &[u8])] = &[(slots::NAME, b"good"), (slots::VERSION, b"1-r0"), (slots::HASHES, &hash)];
    let bad: &[(usize, &[u8])] = &[(slots::NAME, b"../bad"), (slots::VERSION, b"1-r0"), (slots::HASHES, &hash)];
    let none: &[(usize, &[u8])] = &[(slots::NAME, b"none"), (slots::VERSION, b"1-r0")];
    let (packages, info) = read(by_hand(&[bad, good, none], "")).unwrap();
    assert_eq!((packages.len(), info.count, info.skipped), (1, 1, 2));
    assert!(info.reasons[0].contains("../bad") && info.reasons[1].contains("no identity"), "{:?}", info.reasons);
    assert_eq!((packages[0].filename.as_deref(), info.pkgname_spec), (None, None));
    // A value of the wrong kind is damage of the file.
    let broken: &[(usize, &[u8])] = &[(slots::NAME, b"x"), (slots::DEPENDS, b"no list")];
    assert!(matches!(read(by_hand(&[good, broken], "")), Err(Error::Malformed { .. })));
}

#[test]
fn file_names_follow_the_pattern() {
    let short = [0xab; 20];
    let one: &[(usize, &[u8])] = &[(slots::NAME, b"one"), (slots::VERSION, b"1-r0"), (slots::HASHES, &short)];
    let (packages, info) = read(by_hand(&[one], "${name:1}/${name}-${version}.${hash:4}.apk")).unwrap();
    assert_eq!(packages[0].identity, Some(Identity::ApkSha256Short(short)));
    assert_eq!(packages[0].filename.as_deref(), Some("o/one-1-r0.abab.apk"));
    assert!(info.pkgname_spec.is_some());
    let (packages, info) = read(by_hand(&[one], "../${name}")).unwrap();
    assert_eq!((packages.len(), info.skipped), (0, 1));
}

#[test]
fn one_good_signature_is_enough() {
    let (ec, rsa) = (key(P256, "ec"), key(RSA, "rsa"));
    let mut signed = Vec::new();
    write_adb(&mut signed, "", &[package("a")], Some(&ec)).unwrap();
    let verify = |bytes: &[u8], keys: &[&SecretKey]| {
        let keys: Keyring = keys.iter().map(|key| key.public().clone()).collect();
        open(bytes.to_vec()).unwrap().verify(&keys)
    };
    assert_eq!(verify(&signed, &[&rsa, &ec]).unwrap().key, "ec.pub");
    assert!(matches!(verify(&signed, &[&rsa]), Err(Error::UnknownKey { .. })));
    let mut unsigned = Vec::new();
    write_adb(&mut unsigned, "", &[package("a")], None).unwrap();
    assert!(matches!(verify(&unsigned, &[&ec]), Err(Error::Unsigned { .. })));

    // A heap with signatures over something else, then one that fits.
    let adb = HeapWriter::new().finish(Value::NULL, "x").unwrap();
    let digest = ring::digest::digest(&ring::digest::SHA512, &adb);
    let wrong = signature::sign(Schema::Index, &[0; 64], &ec).unwrap();
    let other = signature::sign(Schema::Package, digest.as_ref(), &ec).unwrap();
    let right = signature::sign(Schema::Index, digest.as_ref(), &rsa).unwrap();
    let file = |signatures: &[&[u8]]| {
        let mut out = b"ADB.indx".to_vec();
        for (kind, payload) in [(Kind::Adb, &*adb)].into_iter().chain(signatures.iter().map(|s| (Kind::Signature, *s)))
        {
            let len = payload.len() as u64;
            out.extend([&block::header(kind, len), payload, block::padding(len)].concat());
        }
        out
    };
    assert_eq!(verify(&file(&[&wrong, &other, &right]), &[&ec, &rsa]).unwrap().key, "rsa.pub");
    assert!(matches!(verify(&file(&[&wrong]), &[&ec]), Err(Error::BadSignature { key, .. }) if key == "ec.pub"));
    // A signature for a package does not count for an index.
    assert!(matches!(verify(&file(&[&other]), &[&ec]), Err(Error::BadSignature { .. })));
    assert!(matches!(verify(&file(&[b"short"]), &[&ec]), Err(Error::Malformed { .. })));
    let many = vec![&right[..]; 5000];
    assert!(matches!(open(file(&many)).err(), Some(Error::Limit { .. })));
}

#[test]
fn what_does_not_belong_into_an_index_is_not_written() {
    let write = |package: Package| write_adb(&mut io::sink(), "", &[package], None);
    write(package("a")).unwrap();
    assert!(write(Package { identity: Some(Identity::ApkSha1([0; 20])), ..package("a") }).is_err());
    assert!(write(Package { name: "../a".into(), ..package("a") }).is_err());
    assert!(write(Package { license: "MIT\nC:x".into(), ..package("a") }).is_err());
    let choice = ["a", "b"].map(xpkg_model::Dependency::any).to_vec();
    let choice = xpkg_model::Requirement::any_of(choice).unwrap();
    assert!(write(Package { depends: vec![choice], ..package("a") }).is_err());
}
