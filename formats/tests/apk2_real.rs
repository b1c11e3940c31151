//! apk v2 packages and indexes that Alpine published: every signature, digest and index entry must hold.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Cursor};
use std::path::{Path, PathBuf};

use flate2::bufread::GzDecoder;
use xpkg_formats::apk::index;
use xpkg_formats::keys::{Keyring, PublicKey};
use xpkg_formats::{Error, Limits, package};
use xpkg_model::{Ecosystem, Package};

fn real_data() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("XPKG_REAL_DATA") {
        return Some(path.into());
    }
    assert_ne!(std::env::var("XPKG_REQUIRE").as_deref(), Ok("all"), "XPKG_REAL_DATA is not set");
    #[allow(clippy::print_stderr)]
    {
        eprintln!("skipped: XPKG_REAL_DATA is not set");
    }
    None
}

fn keyring(dir: &Path) -> Keyring {
    let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    names.sort();
    names
        .iter()
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            PublicKey::parse(name, &fs::read(path).unwrap()).unwrap()
        })
        .collect()
}

fn read_index(path: &Path, keys: &Keyring, mut each: impl FnMut(Package)) -> index::IndexInfo {
    let what = path.display().to_string();
    let mut opened = index::open(File::open(path).unwrap(), &what, &Limits::default()).unwrap();
    opened.verify(keys).unwrap_or_else(|e| panic!("{e}"));
    let info = opened.read(Ecosystem::Alpine, &mut |p| {
        each(p);
        Ok(())
    });
    info.unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn the_full_indexes_of_two_releases_are_read() {
    let Some(real) = real_data() else { return };
    let keys = keyring(&real.join("alpine-3.19/keys"));
    for (path, count) in [
        ("alpine-3.19/main/x86_64/APKINDEX.tar.gz", 5_443),
        ("alpine-3.19/community/x86_64/APKINDEX.tar.gz", 17_587),
        ("indexes/alpine-3.12/main.APKINDEX.tar.gz", 4_835),
        ("indexes/alpine-3.12/community.APKINDEX.tar.gz", 7_909),
    ] {
        let path = real.join(path);
        let mut largest = 0;
        let info = read_index(&path, &keys, |p| {
            largest = largest.max(p.depends.len().max(p.provides.len()));
        });
        assert_eq!((info.count, info.skipped), (count, 0), "{} {:?}", path.display(), info.reasons);
        assert!(info.description.starts_with("v3."), "{}", info.description);
        assert!(largest < 5_000);
    }
}

#[test]
fn every_package_is_what_its_index_says() {
    let Some(real) = real_data() else { return };
    let keys = keyring(&real.join("alpine-3.19/keys"));
    let mut checked = 0;
    for dir in ["alpine-3.19/main/x86_64", "alpine-3.19/community/x86_64", "alpine-3.19-iso/x86_64"] {
        let dir = real.join(dir);
        let mut listed = HashMap::new();
        let present: Vec<_> = fs::read_dir(&dir).unwrap().map(|e| e.unwrap().path()).collect();
        read_index(&dir.join("APKINDEX.tar.gz"), &keys, |p| {
            let file = dir.join(format!("{}-{}.apk", p.name, p.version));
            if present.contains(&file) {
                listed.insert(file, p);
            }
        });
        for path in present.iter().filter(|p| p.extension().is_some_and(|e| e == "apk")) {
            let what = path.display().to_string();
            let file = File::open(path).unwrap();
            let mut opened = package::open(file, &what, Ecosystem::Alpine, &Limits::default()).unwrap();
            opened.verify_signature(&keys).unwrap_or_else(|e| panic!("{e}"));
            let (mut entries, mut bytes) = (0, 0);
            opened
                .read_payload(&mut |entry, content| {
                    entries += 1;
                    // Some content is left unread: it must be verified all the same.
                    if entries % 3 != 0 {
                        let mut found = Vec::new();
                        content.read_to_end(&mut found)?;
                        assert_eq!(found.len() as u64, entry.size);
                    }
                    bytes += entry.size;
                    Ok(())
                })
                .unwrap_or_else(|e| panic!("{e}"));
            let meta = opened.meta();
            assert_eq!(meta.package.identity, Some(opened.identity()));
            let mut package = meta.package.clone();
            // An APKINDEX does not carry these.
            package.replaces.clear();
            package.replaces_priority = 0;
            // `apk index --rewrite-arch` is how Alpine makes its indexes.
            if package.arch == "noarch" {
                package.arch = "x86_64".to_owned();
            }
            assert_eq!(listed.get(path), Some(&package), "{what}");
            checked += 1;
        }
    }
    assert_eq!(checked, 276);
}

#[test]
fn one_changed_byte_anywhere_is_noticed() {
    let Some(real) = real_data() else { return };
    let keys = keyring(&real.join("alpine-3.19/keys"));
    let path = real.join("alpine-3.19-iso/x86_64/ssl_client-1.36.1-r15.apk");
    let bytes = fs::read(&path).unwrap();
    let identity = |bytes: &[u8]| -> Result<_, Error> {
        let mut opened = package::open(Cursor::new(bytes), "x.apk", Ecosystem::Alpine, &Limits::default())?;
        opened.verify_signature(&keys)?;
        opened.read_payload(&mut |_, content| {
            io::copy(content, &mut io::sink())?;
            Ok(())
        })?;
        Ok(opened.identity())
    };
    let good = identity(&bytes).unwrap();
    let mut signature = GzDecoder::new(&bytes[..]);
    io::copy(&mut signature, &mut io::sink()).unwrap();
    let signed = bytes.len() - signature.into_inner().len();
    for at in (0..bytes.len()).step_by(7) {
        let mut broken = bytes.clone();
        broken[at] ^= 0x10;
        match identity(&broken) {
            Err(_) => {}
            // The same signature can be compressed in more than one way.
            Ok(same) => assert!(same == good && at < signed, "byte {at} is covered by nothing"),
        }
    }
    for cut in [1, 9, bytes.len() / 2, bytes.len() - 700, bytes.len() - 9, bytes.len() - 1] {
        assert!(identity(&bytes[..cut]).is_err(), "cut at {cut}");
    }
    assert!(identity(&[&bytes[..], b"x"].concat()).is_err());
    assert!(identity(&[&bytes[..], &bytes[..]].concat()).is_err());
}

#[test]
fn a_changed_index_is_refused_before_it_is_read() {
    let Some(real) = real_data() else { return };
    let keys = keyring(&real.join("alpine-3.19/keys"));
    let bytes = fs::read(real.join("alpine-3.19-iso/x86_64/APKINDEX.tar.gz")).unwrap();
    let verify = |bytes: &[u8], keys: &Keyring| {
        index::open(Cursor::new(bytes), "APKINDEX", &Limits::default()).and_then(|mut i| i.verify(keys))
    };
    verify(&bytes, &keys).unwrap();
    for at in [bytes.len() - 1, bytes.len() / 2, 2000] {
        let mut broken = bytes.clone();
        broken[at] ^= 1;
        assert!(matches!(verify(&broken, &keys), Err(Error::BadSignature { .. })), "byte {at}");
    }
    assert!(matches!(verify(&[&bytes[..], b"\0"].concat(), &keys), Err(Error::BadSignature { .. })));
    assert!(matches!(verify(&bytes, &Keyring::new()), Err(Error::UnknownKey { .. })));
}
