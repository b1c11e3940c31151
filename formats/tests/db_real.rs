//! The databases of real roots: read and written again they are the same bytes.

mod real_root;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use xpkg_formats::apk::db::arch::Arches;
use xpkg_formats::apk::db::repositories::{self, Variables};
use xpkg_formats::apk::db::scripts::{Packing, Spelling};
use xpkg_formats::apk::db::world::World;
use xpkg_formats::apk::db::{
    self, InstalledRecord, ScriptsWriter, Trigger, read_installed, read_scripts, write_record,
};
use xpkg_formats::limits::Limits;
use xpkg_model::payload::ScriptKind;
use xpkg_model::{Ecosystem, Identity};

const ALPINE: &str = "alpine-3.19.1-x86_64-openrc";
const MINIROOT: &str = "alpine-minirootfs-3.20.3-x86_64";
const OPENWRT: &str = "openwrt-25.12.2-x86_64-musl-apk3";

/// Root, packages, files.
const ROOTS: [(&str, usize, usize); 3] = [(ALPINE, 51, 465), (MINIROOT, 14, 107), (OPENWRT, 223, 1280)];

fn records(root: &Path) -> (Vec<u8>, Vec<InstalledRecord>) {
    let bytes = std::fs::read(root.join(db::INSTALLED)).unwrap();
    let mut records = Vec::new();
    read_installed(bytes.as_slice(), "installed", Ecosystem::Alpine, &Limits::default(), &mut |record| {
        records.push(record);
        Ok(())
    })
    .unwrap();
    (bytes, records)
}

#[test]
fn installed_databases_come_back_byte_for_byte() {
    let Some(data) = real_root::data() else { return };
    for (name, packages, files) in ROOTS {
        let root = real_root::unpack(&data, name, &["./lib/apk"]);
        let (bytes, mut records) = records(root.path());
        assert_eq!(records.len(), packages, "{name}");
        assert_eq!(records.iter().flat_map(InstalledRecord::files).count(), files, "{name}");
        let mut again = Vec::new();
        records.iter().for_each(|record| write_record(&mut again, record).unwrap());
        assert!(again == bytes, "{name} differs");
        // The same from the parsed values alone, and in the order that new records are made in.
        let mut parsed = Vec::new();
        for record in &mut records {
            let mut fresh = InstalledRecord::new(record.package.clone());
            fresh.flags = record.flags.clone();
            fresh.dirs = record.dirs.clone();
            let before = fresh.dirs.clone();
            fresh.dirs.sort_by(|a, b| a.path.cmp(&b.path));
            fresh.dirs.iter_mut().for_each(|dir| dir.files.sort_by(|a, b| a.name.cmp(&b.name)));
            if name == OPENWRT {
                assert_eq!(fresh.dirs, before, "{} is not sorted", record.package.name);
            }
            fresh.dirs = before;
            write_record(&mut parsed, &fresh).unwrap();
        }
        assert!(parsed == bytes, "{name} differs when written from its values");
        let sha256 = records.iter().filter(|r| matches!(r.package.identity, Some(Identity::ApkSha256Short(_)))).count();
        assert_eq!(sha256, if name == OPENWRT { packages } else { 0 });
    }
}

#[test]
fn every_file_of_the_database_is_there_with_its_digest() {
    let Some(data) = real_root::data() else { return };
    for (name, _, _) in ROOTS {
        let root = real_root::unpack(&data, name, &[]);
        let (_, records) = records(root.path());
        let (mut same, mut changed) = (0, Vec::new());
        for record in &records {
            for (path, file) in record.file_paths() {
                let disk = root.path().join(path.as_path());
                let Ok(meta) = disk.symlink_metadata() else {
                    changed.push(path.to_string());
                    continue;
                };
                let content = match meta.file_type().is_symlink() {
                    true => std::fs::read_link(&disk).unwrap().into_os_string().into_encoded_bytes(),
                    false => std::fs::read(&disk).unwrap(),
                };
                match file.digest == Some(record.digest_kind().of(&content)) {
                    true => same += 1,
                    false => changed.push(path.to_string()),
                }
            }
        }
        // Whoever made the roots edited configuration files, and one link of OpenWrt's is an alternative.
        let expected = |path: &String| path.starts_with("/etc/") || path == "/sbin/ip";
        assert!(changed.len() < 16 && changed.iter().all(expected), "{name}: changed: {changed:?}");
        assert!(same > 90, "{name}: {same}");
    }
}

#[test]
fn owners_agree_with_the_records() {
    let Some(data) = real_root::data() else { return };
    let root = real_root::unpack(&data, OPENWRT, &["./lib/apk"]);
    let (bytes, records) = records(root.path());
    let mut expected = BTreeMap::new();
    for record in &records {
        expected.extend(record.file_paths().map(|(path, _)| (path, record.package.name.clone())));
    }
    let found = db::owners(bytes.as_slice(), "installed", &Limits::default(), &mut |_| true).unwrap();
    assert_eq!(found.into_iter().collect::<BTreeMap<_, _>>(), expected);
}

#[test]
fn script_archives_come_back_byte_for_byte() {
    let Some(data) = real_root::data() else { return };
    for (name, _, _) in ROOTS {
        let root = real_root::unpack(&data, name, &["./lib/apk"]);
        let (_, records) = records(root.path());
        let packed =
            [db::SCRIPTS_TAR, db::SCRIPTS_TAR_GZ].into_iter().find_map(|p| std::fs::read(root.path().join(p)).ok());
        let packed = packed.unwrap();
        let mut scripts = Vec::new();
        let packing = read_scripts(packed.as_slice(), "scripts", &Limits::default(), &mut |script| {
            scripts.push(script);
            Ok(())
        })
        .unwrap();
        for script in &scripts {
            let owner = records.iter().find(|r| r.package.identity.is_some_and(|id| id.prefix() == script.id)).unwrap();
            assert_eq!(script.owner, format!("{}-{}", owner.package.name, owner.package.version));
            assert_eq!(script.mtime, owner.package.build_time);
            assert_eq!(script.spelling, if name == OPENWRT { Spelling::Hex } else { Spelling::Base64 });
        }
        assert!(scripts.iter().any(|s| s.kind == ScriptKind::PostInstall));
        let mut plain = ScriptsWriter::new(Vec::new(), Packing::Plain);
        scripts.iter().for_each(|script| plain.append(script).unwrap());
        let plain = plain.finish().unwrap();
        let mut before = Vec::new();
        match packing {
            Packing::Plain => before.clone_from(&packed),
            Packing::Gzip => {
                flate2::read::MultiGzDecoder::new(packed.as_slice()).read_to_end(&mut before).unwrap();
            }
        }
        assert!(plain == before, "{name}: scripts differ");
        assert_eq!(packing == Packing::Gzip, name == OPENWRT);
    }
}

#[test]
fn small_files_come_back_byte_for_byte() {
    let Some(data) = real_root::data() else { return };
    for (name, _, _) in ROOTS {
        let root = real_root::unpack(&data, name, &["./lib/apk", "./etc/apk"]);
        let read = |path: &str| std::fs::read(root.path().join(path)).unwrap();
        let world = read(db::WORLD);
        assert_eq!(World::parse(&world, "world").unwrap().to_string().as_bytes(), world);
        let arch = read(db::ARCH);
        let arches = Arches::parse(&arch, "arch").unwrap();
        assert_eq!((arches.to_string().as_bytes(), arches.primary()), (arch.as_slice(), Some("x86_64")));
        let triggers = read(db::TRIGGERS);
        let parsed = Trigger::parse(&triggers, "triggers").unwrap();
        assert_eq!(parsed.iter().map(Trigger::to_string).collect::<String>().as_bytes(), triggers);
    }
}

#[test]
fn distfeeds_are_index_urls() {
    let Some(data) = real_root::data() else { return };
    let root = real_root::unpack(&data, OPENWRT, &["./etc/apk"]);
    let mut vars = Variables::new("x86_64");
    let list = std::fs::read(root.path().join("etc/apk/repositories.d/distfeeds.list")).unwrap();
    let repos = repositories::parse(&list, "distfeeds.list", &mut vars).unwrap();
    assert_eq!(repos.len(), 7);
    assert!(
        repos.iter().all(|r| r.kind == repositories::Kind::Ndx && r.index_url("x86_64").ends_with("/packages.adb"))
    );
    let custom = std::fs::read(root.path().join("etc/apk/repositories.d/customfeeds.list")).unwrap();
    assert_eq!(repositories::parse(&custom, "customfeeds.list", &mut vars).unwrap(), []);
}
