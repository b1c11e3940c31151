//! Packages and indexes that were published, written again by our writers: read back they say and hold the same.

mod real_root;

use std::fs::{self, File};
use std::io::{Cursor, Read, Seek};
use std::path::{Path, PathBuf};

use xpkg_formats::apk::{index, v2, v3};
use xpkg_formats::keys::{Keyring, SecretKey};
use xpkg_formats::package::{self, Meta};
use xpkg_formats::{Error, Limits};
use xpkg_model::payload::Entry;
use xpkg_model::{Ecosystem, Package};

const RSA: &str = include_str!("../../fixtures/keys/xpkg-fixture-0001.rsa");

/// Every file below that folder with such a name.
fn files(dir: &Path, fits: &dyn Fn(&str) -> bool, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap().map(|e| e.unwrap()) {
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            files(&path, fits, out);
        } else if fits(entry.file_name().to_str().unwrap()) {
            out.push(path);
        }
    }
}

/// What a package says, and its entries with the digests of their contents.
fn read(file: impl Read + Seek, what: &str, each: &mut package::EntrySink<'_>) -> Result<Content, Error> {
    let mut opened = package::open(file, what, Ecosystem::Alpine, &Limits::default())?;
    let mut entries = Vec::new();
    opened.read_payload(&mut |entry, content| {
        entries.push(entry.clone());
        each(entry, content)
    })?;
    Ok((opened.meta().clone(), entries))
}

/// What a package says and what it holds.
type Content = (Meta, Vec<Entry>);

fn rewrite(path: &Path, key: &SecretKey) -> Result<(Content, Vec<u8>), Error> {
    let what = path.display().to_string();
    let file = || File::open(path).map_err(|e| Error::io(&what, e));
    let opened = package::open(file()?, &what, Ecosystem::Alpine, &Limits::default())?;
    let Meta { package, scripts, triggers, format, .. } = opened.meta().clone();
    let mut bytes = Vec::new();
    let read = if format == package::Format::Apk2 {
        let mut builder = v2::Builder::new(package)?.scripts(scripts).triggers(triggers);
        let read = read(file()?, &what, &mut |entry, content| Ok(builder.entry(entry, content)?))?;
        builder.finish(&mut bytes, Some(key))?;
        read
    } else {
        let mut builder = v3::Builder::new(package)?.scripts(scripts).triggers(triggers);
        let read = read(file()?, &what, &mut |entry, content| Ok(builder.entry(entry, content)?))?;
        builder.finish(&mut bytes, Some(key))?;
        read
    };
    Ok((read, bytes))
}

/// Sorted, without what only one of the two files has: directories that the writer adds.
fn comparable(mut entries: Vec<Entry>, other: &[Entry]) -> Vec<Entry> {
    let known: std::collections::HashSet<_> = other.iter().map(|e| e.path.clone()).collect();
    entries.retain(|e| known.contains(&e.path));
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    entries
}

#[test]
fn every_package_survives_rewriting() {
    let Some(real) = real_root::data() else { return };
    let key = SecretKey::parse("ours.rsa", RSA.as_bytes()).unwrap();
    let keys: Keyring = [key.public().clone()].into_iter().collect();
    let mut paths = Vec::new();
    files(&real, &|name| name.ends_with(".apk"), &mut paths);
    let (mut second, mut third) = (0, 0);
    for path in paths {
        let what = path.display().to_string();
        let ((meta, entries), bytes) = rewrite(&path, &key).unwrap_or_else(|e| panic!("{what}: {e}"));
        let mut opened = package::open(Cursor::new(&bytes), &what, Ecosystem::Alpine, &Limits::default()).unwrap();
        opened.verify_signature(&keys).unwrap_or_else(|e| panic!("{e}"));
        let (again, same) = read(Cursor::new(&bytes), &what, &mut |_, _| Ok(())).unwrap_or_else(|e| panic!("{e}"));
        assert!(entries.iter().all(|e| same.iter().any(|s| s.path == e.path) || e.path.is_root()), "{what}");
        assert_eq!(comparable(same.clone(), &entries), comparable(entries, &same), "{what}");
        let mut package = again.package.clone();
        (package.identity, package.size) = (meta.package.identity, meta.package.size);
        assert_eq!(package, meta.package, "{what}");
        assert_eq!((&again.scripts, &again.triggers), (&meta.scripts, &meta.triggers), "{what}");
        *(if meta.format == package::Format::Apk2 { &mut second } else { &mut third }) += 1;
    }
    assert!(second >= 276 && third > 120, "{second} {third}");
}

#[test]
fn every_index_survives_rewriting() {
    let Some(real) = real_root::data() else { return };
    let key = SecretKey::parse("ours.rsa", RSA.as_bytes()).unwrap();
    let keys: Keyring = [key.public().clone()].into_iter().collect();
    let mut paths = Vec::new();
    files(&real, &|name| name.ends_with("APKINDEX.tar.gz") || name.ends_with("packages.adb"), &mut paths);
    let mut total = 0;
    for path in paths {
        let what = path.display().to_string();
        let bytes = fs::read(&path).unwrap();
        let all = |bytes: &[u8], verified: bool| {
            let mut packages: Vec<Package> = Vec::new();
            let mut opened = index::open(Cursor::new(bytes), &what, &Limits::default()).unwrap();
            if verified {
                opened.verify(&keys).unwrap_or_else(|e| panic!("{e}"));
            }
            let info = opened.read(Ecosystem::Alpine, &mut |p| {
                packages.push(p);
                Ok(())
            });
            (info.unwrap_or_else(|e| panic!("{e}")), packages)
        };
        let (info, packages) = all(&bytes, false);
        let mut written = Vec::new();
        match info.format {
            package::Format::Apk2 => index::write_v2(&mut written, &info.description, &packages, Some(&key)).unwrap(),
            _ => index::write_adb(&mut written, &info.description, &packages, Some(&key)).unwrap(),
        }
        let (again, same) = all(&written, true);
        assert!(same == packages && again.description == info.description, "{what} differs");
        total += packages.len();
    }
    assert!(total > 37_000, "{total}");
}
