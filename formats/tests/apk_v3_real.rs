//! apk v3 against what OpenWrt builders published: every package and index is read, verified, and agrees with each other.

#[allow(dead_code)] // Nothing is unpacked here.
mod real_root;

use std::collections::HashMap;
use std::fs::File;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use xpkg_formats::apk::index;
use xpkg_formats::keys::{Keyring, PublicKey};
use xpkg_formats::package::{self, Format};
use xpkg_formats::{Error, Limits};
use xpkg_model::payload::{Entry, EntryKind};
use xpkg_model::{Ecosystem, Identity, Package};

const FEEDS: [&str; 5] = ["base", "luci", "packages", "routing", "target"];

/// Directory of each feed and the key that signed its index.
fn feeds(real: &Path) -> Vec<(PathBuf, PathBuf)> {
    let openwrt = real.join("openwrt-25.12");
    let made = real.join("made/openwrt-tmux-apk3");
    let mut out: Vec<_> = FEEDS.iter().map(|f| (openwrt.join(f), openwrt.join("keys/public-key.pem"))).collect();
    out.push((made.clone(), made.join("ow-ec.pem")));
    out
}

fn keyring(file: &Path) -> Keyring {
    [PublicKey::parse("key.pem", &std::fs::read(file).unwrap()).unwrap()].into_iter().collect()
}

fn read_index(bytes: &[u8], what: &str, keys: &Keyring) -> (Vec<Package>, index::IndexInfo) {
    let mut opened = index::open(Cursor::new(bytes), what, &Limits::default()).unwrap();
    opened.verify(keys).unwrap();
    let mut packages = Vec::new();
    let info = opened
        .read(Ecosystem::Openwrt, &mut |package| {
            packages.push(package);
            Ok(())
        })
        .unwrap();
    (packages, info)
}

fn packages_in(dir: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|e| e == "apk")).collect();
    files.sort();
    files
}

#[test]
fn indexes_verify_and_every_package_agrees_with_its_index() {
    let Some(real) = real_root::data() else { return };
    let (mut listed, mut read, mut unlisted) = (0, 0, 0);
    for (dir, key) in feeds(&real) {
        let file = dir.join("packages.adb");
        let what = file.display().to_string();
        let (packages, info) = read_index(&std::fs::read(&file).unwrap(), &what, &keyring(&key));
        assert_eq!(info.format, Format::Apk3);
        assert_eq!((info.skipped, info.count), (0, packages.len() as u64), "{what}: {:?}", info.reasons);
        listed += packages.len();
        // Written again and read again they are the same.
        let mut bytes = Vec::new();
        index::write_adb(&mut bytes, "", &packages, None).unwrap();
        let mut again = index::open(Cursor::new(bytes), &what, &Limits::default()).unwrap();
        let mut expected = packages.iter();
        let info = again.read(Ecosystem::Openwrt, &mut |package| {
            assert_eq!(Some(&package), expected.next());
            Ok(())
        });
        assert_eq!(info.unwrap().count, packages.len() as u64);
        let by_name: HashMap<&str, &Package> = packages.iter().map(|p| (p.name.as_str(), p)).collect();
        for path in packages_in(&dir) {
            let what = path.display().to_string();
            let mut opened =
                package::open(File::open(&path).unwrap(), &what, Ecosystem::Openwrt, &Limits::default()).unwrap();
            let mut sizes = 0;
            opened
                .read_payload(&mut |entry, content| {
                    if entry.kind == EntryKind::File {
                        let n = std::io::copy(content, &mut std::io::sink())?;
                        assert_eq!(n, entry.size);
                        sizes += n;
                    }
                    Ok(())
                })
                .unwrap_or_else(|e| panic!("{e}"));
            let meta = opened.meta();
            assert!(sizes <= meta.package.installed_size.max(1), "{what}");
            read += 1;
            let Some(listed) = by_name.get(meta.package.name.as_str()).filter(|p| p.version == meta.package.version)
            else {
                // A few packages are newer or older than the index beside them.
                unlisted += 1;
                continue;
            };
            assert_eq!(listed.identity, Some(opened.identity()), "{what}");
            // What the file says and what the index says of it are the same, all fields of it.
            let mut expected = (*listed).clone();
            expected.replaces_priority = meta.package.replaces_priority;
            assert_eq!(expected, meta.package, "{what}");
        }
    }
    assert!(listed > 1400 && read > 120 && unlisted == 0, "{listed} {read} {unlisted}");
}

#[test]
fn a_flipped_byte_in_an_index_is_refused() {
    let Some(real) = real_root::data() else { return };
    let key = keyring(&real.join("openwrt-25.12/keys/public-key.pem"));
    let bytes = std::fs::read(real.join("openwrt-25.12/packages/packages.adb")).unwrap();
    let (original, _) = read_index(&bytes, "packages.adb", &key);
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        let Ok(mut opened) = index::open(Cursor::new(&flipped), "packages.adb", &Limits::default()) else { continue };
        if opened.verify(&key).is_ok() {
            // Only a bit that means nothing to the decompressor can come so far.
            assert_eq!(read_index(&flipped, "packages.adb", &key).0, original, "{at}");
        }
    }
}

#[test]
fn the_key_decides() {
    let Some(real) = real_root::data() else { return };
    let official = keyring(&real.join("openwrt-25.12/keys/public-key.pem"));
    let made = keyring(&real.join("made/openwrt-tmux-apk3/ow-ec.pem"));
    let file = |path: &str| File::open(real.join(path)).unwrap();
    let mut opened = index::open(file("openwrt-25.12/base/packages.adb"), "x", &Limits::default()).unwrap();
    assert!(matches!(opened.verify(&made), Err(Error::UnknownKey { names, .. }) if names.len() == 1));
    assert!(matches!(opened.verify(&Keyring::new()), Err(Error::UnknownKey { .. })));
    assert_eq!(opened.verify(&official).unwrap().key, "key.pem");
    let package = file("openwrt-25.12/base/zlib-1.3.1-r1.apk");
    let mut opened = package::open(package, "x", Ecosystem::Openwrt, &Limits::default()).unwrap();
    assert!(matches!(opened.verify_signature(&official), Err(Error::Unsigned { .. })));
}

#[test]
fn a_flipped_byte_in_a_package_makes_it_another_or_none() {
    let Some(real) = real_root::data() else { return };
    let bytes = std::fs::read(real.join("openwrt-25.12/base/getrandom-2025.10.30~6f78fa49-r1.apk")).unwrap();
    type Whole = (Identity, Vec<(Entry, Vec<u8>)>);
    let whole = |bytes: &[u8]| -> Result<Whole, Error> {
        let mut opened = package::open(Cursor::new(bytes), "x", Ecosystem::Openwrt, &Limits::default())?;
        let mut entries = Vec::new();
        opened.read_payload(&mut |entry, content| {
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes)?;
            entries.push((entry.clone(), bytes));
            Ok(())
        })?;
        Ok((opened.identity(), entries))
    };
    let original = whole(&bytes).unwrap();
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        if let Ok(found) = whole(&flipped) {
            assert!(found.0 != original.0 || found == original, "{at}");
        }
    }
}
