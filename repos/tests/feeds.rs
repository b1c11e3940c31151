//! opkg's feeds as sources: the native manager's files, signatures that lie beside their index, and indexes without any date.

mod support;

use std::fs;
use std::ops::ControlFlow;

use support::World;
use xpkg_fixtures::{Server, real};
use xpkg_formats::keys::{SecretKey, usign};
use xpkg_formats::opkg::feed;
use xpkg_model::event::Silent;
use xpkg_model::{Candidates as _, Ecosystem, Identity, Package, VersionScheme};
use xpkg_repos::catalogue::Query;
use xpkg_repos::source::Trust;
use xpkg_repos::update::UpdateOptions;
use xpkg_repos::{Catalogue, Error, Source, fetch, sources, update};

const FEEDS: [&str; 5] = ["base", "packages", "luci", "telephony", "target"];

/// Publishes an index of packages that are not there, signed or not.
fn publish(dir: &std::path::Path, packages: &[(&str, &str)], key: Option<&SecretKey>) {
    let package = |(name, version): &(&str, &str)| {
        let mut package = Package::new(Ecosystem::Openwrt, *name, *version);
        package.scheme = VersionScheme::Deb;
        package.arch = "all".into();
        package.filename = Some(format!("{name}_{version}_all.ipk"));
        (package.size, package.identity) = (1, Some(Identity::File([7; 32])));
        package
    };
    let packages: Vec<Package> = packages.iter().map(package).collect();
    let mut plain = Vec::new();
    feed::write(&mut plain, &packages, feed::Detail::Packages).unwrap();
    fs::write(dir.join("Packages.gz"), feed::compress(&plain).unwrap()).unwrap();
    fs::write(dir.join("Packages"), &plain).unwrap();
    let signature = dir.join("Packages.sig");
    match key {
        Some(key) => fs::write(signature, usign::sign(key, &plain).unwrap()).unwrap(),
        None => drop(fs::remove_file(signature)),
    }
}

fn small() -> (tempfile::TempDir, World, SecretKey) {
    let dir = tempfile::tempdir().unwrap();
    let key = SecretKey::generate_usign("0123456789abcdef").unwrap();
    let world = World::new();
    world.source("feed", Ecosystem::Openwrt, dir.path().to_str().unwrap(), "format = \"opkg\"");
    world.write("etc/xpkg/keys/feed/0123456789abcdef", &key.public().to_pem());
    (dir, world, key)
}

#[test]
fn the_signature_beside_the_index_counts() {
    let (dir, world, key) = small();
    publish(dir.path(), &[("a", "1-1"), ("b", "1-1")], Some(&key));
    let updated = world.update().unwrap();
    assert_eq!((updated.packages, updated.signed_by), (2, Some("0123456789abcdef".to_owned())));
    let stranger = SecretKey::generate_usign("fedcba9876543210").unwrap();
    for (signer, packages) in [(None, &[("a", "2-1")]), (Some(&stranger), &[("a", "2-1")])] {
        publish(dir.path(), packages, signer);
        let error = world.update().unwrap_err();
        match signer {
            None => assert!(matches!(error, Error::Unsigned { .. }), "{error}"),
            Some(_) => assert!(matches!(error, Error::UnknownKey { .. }), "{error}"),
        }
    }
    publish(dir.path(), &[("a", "2-1")], Some(&key));
    fs::write(dir.path().join("Packages.gz"), feed::compress(b"Package: a\nVersion: 3\n\n").unwrap()).unwrap();
    let error = world.update().unwrap_err();
    assert!(matches!(error, Error::BadSignature { .. }), "{error}");
    // What failed left the old catalogue as it was.
    assert_eq!(world.catalogue().named(Ecosystem::Openwrt, "a").unwrap()[0].version, "1-1");
}

#[test]
fn an_older_index_is_refused_by_its_versions() {
    let (dir, world, key) = small();
    publish(dir.path(), &[("a", "2-1"), ("b", "1-9")], Some(&key));
    world.update().unwrap();
    publish(dir.path(), &[("a", "1-1"), ("b", "1-9")], Some(&key));
    let error = world.update().unwrap_err();
    assert!(matches!(&error, Error::OlderThanSeen { .. }), "{error}");
    assert!(error.to_string().contains("a 1-1") && error.to_string().contains("a 2-1"), "{error}");
    let allowed = UpdateOptions { allow_older: true, ..UpdateOptions::default() };
    assert!(world.update_with(&allowed).remove(0).is_ok());
}

#[test]
fn native_sources_are_those_of_opkg_conf() {
    let world = World::new();
    fs::remove_file(world.path("etc/apk/arch")).unwrap();
    world.write(
        "etc/opkg.conf",
        "dest root /\nlists_dir ext /var/opkg-lists\narch all 1\narch mips_24kc 10\narch odd 0\n",
    );
    world.write("etc/opkg/distfeeds.conf", "src/gz base http://h/base\n# src/gz no http://h/no\n");
    world.write("etc/opkg/customfeeds.conf", "src \"my own\" \"/srv/feed\"\n");
    let load = || sources::load(&world.root(), Ecosystem::Openwrt, &[]).unwrap();
    let said: Vec<_> = load().into_iter().map(|s| (s.name.clone(), s.index_url(), s.trust, s.arch)).collect();
    let word = || "mips_24kc".to_owned();
    assert_eq!(
        said,
        [
            ("my own".to_owned(), "/srv/feed/Packages".to_owned(), Trust::None, word()),
            ("base".to_owned(), "http://h/base/Packages.gz".to_owned(), Trust::None, word()),
        ]
    );
    world.write("etc/opkg/check.conf", "option check_signature\n");
    assert!(load().iter().all(|s| s.trust == Trust::Signed && s.is_native()));
    // A database of apk says who the manager is.
    world.write("lib/apk/db/installed", "");
    assert!(load().is_empty());
}

/// The real release's feeds as the native sources of a root with its key.
fn release(data: &std::path::Path) -> (World, Server, Vec<Source>) {
    let server = Server::start(data).unwrap();
    let world = World::new();
    let line = |f: &&str| format!("src/gz openwrt_{f} {}\n", server.url_of(&format!("openwrt-19.07/{f}")));
    let feeds: String = FEEDS.iter().map(line).collect();
    world.write("etc/opkg.conf", "option check_signature\n");
    world.write("etc/opkg/distfeeds.conf", &feeds);
    world.write("etc/openwrt_release", "DISTRIB_ARCH='x86_64'\n");
    let keys = world.path("etc/opkg/keys");
    fs::create_dir_all(&keys).unwrap();
    let key = "45254a9b94618a73";
    fs::copy(data.join("openwrt-19.07/keys").join(key), keys.join(key)).unwrap();
    let sources = sources::load(&world.root(), Ecosystem::Openwrt, &[]).unwrap();
    (world, server, sources)
}

#[test]
fn a_real_release_is_verified_and_kept_with_every_field() {
    let Some(data) = real::data() else { return };
    let (world, server, sources) = release(&data);
    let run = || update(&sources, &world.root(), &world.cache, &world.transport, &UpdateOptions::default(), &Silent);
    let counts: Vec<u32> = run().into_iter().map(|o| o.result.unwrap().packages).collect();
    assert_eq!(counts, [85, 18, 29, 0, 51]);
    assert!(run().into_iter().all(|o| !o.result.unwrap().changed));
    let catalogue = Catalogue::open(&world.cache, &sources).unwrap();
    let mut listed = Vec::new();
    let everything = &mut |package| {
        listed.push(package);
        ControlFlow::Continue(())
    };
    catalogue.search(&Query::default(), everything).unwrap();
    let mut listed = listed.into_iter();
    for (source, name) in (0..).zip(FEEDS) {
        let file = fs::File::open(data.join("openwrt-19.07").join(name).join("Packages")).unwrap();
        let mut opened = feed::open(file, name, &xpkg_formats::Limits::default()).unwrap();
        let compare = &mut |mut original: Package| {
            original.source = Some(source);
            assert_eq!(listed.next(), Some(original));
            Ok(())
        };
        opened.read(Ecosystem::Openwrt, compare).unwrap();
    }
    assert_eq!(listed.next(), None);
    let wget = catalogue.info(None, "wget").unwrap().remove(0);
    let link = |package: &Package| package.opkg.as_ref().unwrap().alternatives[0].to_string();
    assert_eq!(link(&wget), "300:/usr/bin/wget:/usr/bin/wget-ssl");
    let url = server.url_of("openwrt-19.07/packages/wget_1.20.3-2_x86_64.ipk");
    assert_eq!(catalogue.package_url(&wget).unwrap(), url);
}

#[test]
fn real_packages_pass_and_their_libraries_are_known() {
    let Some(data) = real::data() else { return };
    let (world, _server, sources) = release(&data);
    update(&sources, &world.root(), &world.cache, &world.transport, &UpdateOptions::default(), &Silent);
    let catalogue = Catalogue::open(&world.cache, &sources).unwrap();
    let package = |name: &str| catalogue.named(Ecosystem::Openwrt, name).unwrap().remove(0);
    let (zlib, mut lua) = (package("zlib"), (*package("lua")).clone());
    lua.identity = Some(Identity::File([9; 32]));
    let results = fetch(&[&zlib, &lua], &catalogue, &world.cache, &world.transport, &Silent, 2);
    let facts = results[0].1.as_ref().unwrap().facts(&world.cache).unwrap();
    assert!(facts.files.iter().any(|f| f.elf.soname.as_deref() == Some("libz.so.1")), "{:?}", facts.files);
    assert!(matches!(results[1].1, Err(Error::BadDigest { .. })), "{:?}", results[1].1);
}
