//! ipk packages and feeds that were published: every signature, size and digest must hold, and what is written again must
//! be the same package.

mod real_root;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Cursor;
use std::path::{Path, PathBuf};

use xpkg_formats::keys::{Keyring, PublicKey};
use xpkg_formats::opkg::Control;
use xpkg_formats::opkg::conf::Conf;
use xpkg_formats::opkg::feed::{self, Detail};
use xpkg_formats::opkg::info;
use xpkg_formats::opkg::ipk::{self, Outer};
use xpkg_formats::opkg::status::{self, State};
use xpkg_formats::package::{self, Meta};
use xpkg_formats::{Error, Limits};
use xpkg_model::payload::{Entry, EntryKind};
use xpkg_model::{Ecosystem, Identity, Package};

const FEEDS: [(&str, &str, &str, u64); 10] = [
    ("openwrt-19.07/base", "Packages", "openwrt-19.07/keys", 0),
    ("openwrt-19.07/packages", "Packages", "openwrt-19.07/keys", 0),
    ("openwrt-19.07/luci", "Packages.gz", "openwrt-19.07/keys", 0),
    ("openwrt-19.07/telephony", "Packages.gz", "openwrt-19.07/keys", 0),
    ("openwrt-19.07/target", "Packages", "openwrt-19.07/keys", 0),
    ("made/openwrt-tmux-ipk", "Packages.gz", "made/openwrt-tmux-ipk/ow-usign.pub", 4),
    ("indexes/openwrt-23.05-arm/base", "Packages.gz", "indexes/openwrt-23.05-arm/d95e275d41a63bff", 0),
    ("indexes/openwrt-23.05-arm/core", "Packages.gz", "indexes/openwrt-23.05-arm/d95e275d41a63bff", 0),
    ("indexes/openwrt-23.05-arm/luci", "Packages.gz", "indexes/openwrt-23.05-arm/d95e275d41a63bff", 0),
    ("indexes/openwrt-23.05-arm/packages", "Packages.gz", "indexes/openwrt-23.05-arm/d95e275d41a63bff", 0),
];

fn keyring(path: &Path) -> Keyring {
    let files: Vec<PathBuf> = match path.is_dir() {
        true => fs::read_dir(path).unwrap().map(|e| e.unwrap().path()).collect(),
        false => vec![path.to_owned()],
    };
    let parse = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        PublicKey::parse(name, &fs::read(path).unwrap()).unwrap()
    };
    files.iter().map(parse).collect()
}

fn read(bytes: Vec<u8>, what: &str) -> Vec<Package> {
    let mut packages = Vec::new();
    let mut opened = feed::open(Cursor::new(bytes), what, &Limits::default()).unwrap();
    let info = opened
        .read(Ecosystem::Openwrt, &mut |package| {
            packages.push(package);
            Ok(())
        })
        .unwrap_or_else(|e| panic!("{e}"));
    // One stanza of OpenWrt's own feeds has no name.
    assert!(info.skipped <= u64::from(what.contains("23.05")), "{what}: {:?}", info.reasons);
    assert_eq!(info.count, packages.len() as u64);
    packages
}

#[test]
fn every_feed_is_verified_read_and_written_again() {
    let Some(real) = real_root::data() else { return };
    let mut total = 0;
    for (dir, file, keys, _) in FEEDS {
        let path = real.join(dir).join(file);
        let what = path.display().to_string();
        let keys = keyring(&real.join(keys));
        let signature = fs::read(real.join(dir).join("Packages.sig")).unwrap();
        let mut opened = feed::open(File::open(&path).unwrap(), &what, &Limits::default()).unwrap();
        opened.verify(&keys, &signature).unwrap_or_else(|e| panic!("{e}"));
        assert!(matches!(opened.verify(&Keyring::new(), &signature), Err(Error::UnknownKey { .. })));

        let packages = read(fs::read(&path).unwrap(), &what);
        total += packages.len();
        let mut plain = Vec::new();
        feed::write(&mut plain, &packages, Detail::Manifest).unwrap();
        assert_eq!(read(plain.clone(), &what), packages);
        assert_eq!(read(feed::compress(&plain).unwrap(), &what), packages);
        let manifest = path.with_file_name("Packages.manifest");
        if manifest.is_file() {
            let full = read(fs::read(&manifest).unwrap(), &what);
            let mut again = Vec::new();
            feed::write(&mut again, &full, Detail::Manifest).unwrap();
            // The same lines, but for blanks: two before a description, none behind an operator, some at the end.
            let same = |text: Vec<u8>| -> Vec<String> {
                let text =
                    String::from_utf8(text).unwrap().replace("Description:  ", "Description: ").replace("(= ", "(=");
                text.lines().map(|line| line.trim_end().to_owned()).filter(|line| !line.is_empty()).collect()
            };
            for (ours, theirs) in same(again).iter().zip(&same(fs::read(&manifest).unwrap())) {
                assert_eq!(ours, theirs, "{what}");
            }
        }
    }
    assert!(total > 4_600, "{total}");
}

fn ipks(real: &Path) -> Vec<PathBuf> {
    let feeds = ["base", "packages", "luci", "telephony", "target"].map(|feed| real.join("openwrt-19.07").join(feed));
    let mut out: Vec<_> = feeds
        .into_iter()
        .chain([real.join("made/openwrt-tmux-ipk")])
        .flat_map(|dir| fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()))
        .filter(|path| path.extension().is_some_and(|e| e == "ipk"))
        .collect();
    out.sort();
    out
}

type Files = Vec<(Entry, Vec<u8>)>;

fn unpack(bytes: &[u8], what: &str) -> (Meta, Files) {
    let mut opened = package::open(Cursor::new(bytes), what, Ecosystem::Openwrt, &Limits::default())
        .unwrap_or_else(|e| panic!("{e}"));
    let mut files = Vec::new();
    opened
        .read_payload(&mut |entry, content| {
            let mut data = Vec::new();
            content.read_to_end(&mut data)?;
            files.push((entry.clone(), data));
            Ok(())
        })
        .unwrap_or_else(|e| panic!("{e}"));
    (opened.meta().clone(), files)
}

#[test]
fn every_package_matches_its_index_and_survives_rewriting() {
    let Some(real) = real_root::data() else { return };
    let mut listed = BTreeMap::new();
    for (dir, file, ..) in FEEDS {
        let path = real.join(dir).join(file);
        for package in read(fs::read(&path).unwrap(), dir) {
            listed.insert(real.join(dir).join(package.filename.as_deref().unwrap()), package);
        }
    }
    let (mut matched, mut unlisted) = (0, Vec::new());
    for path in ipks(&real) {
        let what = path.display().to_string();
        let bytes = fs::read(&path).unwrap();
        let (meta, files) = unpack(&bytes, &what);
        match listed.get(&path) {
            Some(entry) => {
                matched += 1;
                assert_eq!((entry.identity, entry.size), (meta.package.identity, bytes.len() as u64), "{what}");
                let own = &meta.package;
                assert_eq!((&entry.name, &entry.version, &entry.arch), (&own.name, &own.version, &own.arch));
                assert_eq!((&entry.depends, &entry.provides), (&own.depends, &own.provides));
            }
            None => unlisted.push(meta.package.name.clone()),
        }
        assert_eq!(ipk::file_name(&meta.package), path.file_name().unwrap().to_str().unwrap());

        for outer in [Outer::Tar, Outer::Ar] {
            let again = rewrite(&meta, &files, outer);
            let (other, same) = unpack(&again, &what);
            // The writer adds directories that the package itself left out.
            let known = |e: &Entry| e.kind != EntryKind::Dir || files.iter().any(|(own, _)| own.path == e.path);
            let same: Files = same.into_iter().filter(|(entry, _)| known(entry)).collect();
            assert!(same == files, "{what}: the payload differs");
            let mut package = other.package.clone();
            (package.identity, package.size) = (meta.package.identity, meta.package.size);
            assert_eq!(package, meta.package, "{what}");
            assert_eq!((&other.control_files, &other.scripts), (&meta.control_files, &meta.scripts), "{what}");
        }
    }
    unlisted.sort();
    assert_eq!((matched, unlisted.as_slice()), (178, ["kernel".to_owned(), "libc".to_owned()].as_slice()));
}

/// The same package, packed by our writer.
fn rewrite(meta: &Meta, files: &Files, outer: Outer) -> Vec<u8> {
    let mut builder = ipk::Builder::new(meta.package.clone()).unwrap();
    for (name, content) in &meta.control_files {
        builder = builder.control_file(name, content.clone());
    }
    for (entry, content) in files {
        builder.entry(entry, &mut content.as_slice()).unwrap();
    }
    let mut bytes = Vec::new();
    let written = builder.finish(&mut bytes, outer).unwrap();
    assert!(matches!(written.identity, Identity::File(_)) && written.size == bytes.len() as u64);
    bytes
}

#[test]
fn the_database_of_the_root_comes_back_byte_for_byte() {
    let Some(real) = real_root::data() else { return };
    let root = real_root::unpack(
        &real,
        "openwrt-19.07.2-x86_64-musl-ipk",
        &["./usr/lib/opkg", "./etc/opkg.conf", "./etc/opkg"],
    );
    let limits = Limits::default();
    let before = fs::read(root.path().join(status::STATUS)).unwrap();
    let mut after = Vec::new();
    let mut names = Vec::new();
    status::read(before.as_slice(), "status", &limits, &mut |record| {
        record.package(Ecosystem::Openwrt, &limits)?;
        assert!(record.status.state == State::Installed && record.installed_time > 0, "{}", record.name());
        names.push(record.name().to_owned());
        status::write(&mut after, &record)?;
        Ok(())
    })
    .unwrap();
    assert!(after == before, "the status file differs");
    assert_eq!(names.len(), 187);

    let (mut lists, mut controls) = (0, 0);
    for file in fs::read_dir(root.path().join(info::INFO)).unwrap() {
        let file = file.unwrap().path();
        let (name, suffix) = info::split(file.file_name().unwrap().to_str().unwrap()).unwrap();
        assert!(names.iter().any(|known| known == name), "{name}");
        let before = fs::read(&file).unwrap();
        let mut after = Vec::new();
        match suffix {
            info::LIST | info::CONFFILES => {
                lists += 1;
                info::write_list(&mut after, &info::read_list(before.as_slice(), suffix, &limits).unwrap()).unwrap();
            }
            info::CONTROL => {
                controls += 1;
                after = Control::parse(&before, suffix, &limits).unwrap().to_bytes();
            }
            _ => continue,
        }
        assert!(after == before, "{}", file.display());
    }
    assert_eq!((lists, controls), (201, 187));

    let mut conf = Conf::new();
    for file in ["opkg.conf", "opkg/customfeeds.conf", "opkg/distfeeds.conf"] {
        conf.read(fs::read(root.path().join("etc").join(file)).unwrap().as_slice(), file, &limits).unwrap();
    }
    assert!(conf.problems.is_empty() && conf.check_signature(), "{:?}", conf.problems);
    assert_eq!((conf.sources.len(), conf.dests.len(), conf.lists_dir()), (8, 2, "/var/opkg-lists"));
}
