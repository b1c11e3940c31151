//! The real indexes and packages: everything an index says comes back out of the catalogue, and the packages that it vouches for pass.

mod support;

use std::fs::{self, File};
use std::ops::ControlFlow;
use std::path::Path;

use support::World;
use xpkg_fixtures::{Server, real};
use xpkg_formats::Limits;
use xpkg_formats::apk::index;
use xpkg_model::event::Silent;
use xpkg_model::{Candidates as _, Ecosystem, Package, elf};
use xpkg_repos::catalogue::Query;
use xpkg_repos::update::UpdateOptions;
use xpkg_repos::{Error, fetch};

const FEEDS: [&str; 5] = ["base", "luci", "packages", "routing", "target"];

fn world(data: &Path) -> (World, Server) {
    let server = Server::start(data).unwrap();
    let world = World::new();
    world.source("alpine", Ecosystem::Alpine, &server.url_of("alpine-3.19"), "components = [\"main\", \"community\"]");
    let feeds = format!("components = {FEEDS:?}");
    world.source("openwrt", Ecosystem::Openwrt, &server.url_of("openwrt-25.12"), &feeds);
    world.copy_keys("alpine", &data.join("alpine-3.19/keys"));
    world.copy_keys("openwrt", &data.join("openwrt-25.12/keys"));
    (world, server)
}

#[test]
fn everything_an_index_says_comes_back() {
    let Some(data) = real::data() else { return };
    let (world, _server) = world(&data);
    let results = world.update_with(&UpdateOptions::default());
    let counts: Vec<u32> = results.into_iter().map(|r| r.unwrap().packages).collect();
    assert_eq!(counts, [5443, 17587, 130, 171, 9, 1, 1186]);
    let sources = world.sources();
    let size: u64 = sources.iter().take(2).map(|s| fs::metadata(world.cache.catalogue_path(s)).unwrap().len()).sum();
    assert!(size <= 6_000_000, "the catalogue of Alpine has {size} bytes");

    // Every package with every field, in the order of the indexes.
    let catalogue = world.catalogue();
    let mut listed = Vec::new();
    catalogue
        .search(&Query::default(), &mut |p| {
            listed.push(p);
            ControlFlow::Continue(())
        })
        .unwrap();
    let mut listed = listed.into_iter();
    let mut compare = |path: std::path::PathBuf, ecosystem, source: u16| {
        let file = File::open(&path).unwrap();
        let mut opened = index::open(file, "index", &Limits::default()).unwrap();
        let sink = &mut |mut original: Package| {
            original.source = Some(source);
            assert_eq!(listed.next(), Some(original));
            Ok(())
        };
        opened.read(ecosystem, sink).unwrap();
    };
    for (i, repo) in ["main", "community"].into_iter().enumerate() {
        compare(data.join("alpine-3.19").join(repo).join("x86_64/APKINDEX.tar.gz"), Ecosystem::Alpine, i as u16);
    }
    for (i, feed) in FEEDS.into_iter().enumerate() {
        compare(data.join("openwrt-25.12").join(feed).join("packages.adb"), Ecosystem::Openwrt, i as u16 + 2);
    }
    assert!(listed.next().is_none());
}

#[test]
fn every_name_provide_and_trigger_is_found() {
    let Some(data) = real::data() else { return };
    let (world, _server) = world(&data);
    assert!(world.update_with(&UpdateOptions::default()).iter().all(Result::is_ok));
    let catalogue = world.catalogue();
    let mut every = Vec::new();
    catalogue
        .search(&Query::default(), &mut |p| {
            every.push(p);
            ControlFlow::Continue(())
        })
        .unwrap();
    let holds = |list: Vec<std::sync::Arc<Package>>, p: &Package| list.iter().any(|found| found.key() == p.key());
    // One in seven keeps the test short and meets every block.
    for p in every.iter().step_by(7) {
        assert!(holds(catalogue.named(p.ecosystem, &p.name).unwrap(), p), "{}", p.name);
        assert_eq!(catalogue.package_by_key(&p.key()).unwrap().map(|f| f.key()), Some(p.key()));
        for provide in &p.provides {
            assert!(
                holds(catalogue.providing(p.ecosystem, &provide.name).unwrap(), p),
                "{} of {}",
                provide.name,
                p.name
            );
        }
        for trigger in p.install_if.iter().filter(|t| !t.conflict && t.name != "docs") {
            assert!(
                holds(catalogue.installed_if(p.ecosystem, &trigger.name).unwrap(), p),
                "{} of {}",
                trigger.name,
                p.name
            );
        }
    }
    assert!(catalogue.named(Ecosystem::Alpine, "no-such-package").unwrap().is_empty());
    assert!(catalogue.named(Ecosystem::Openwrt, "tmux").unwrap().is_empty());
}

#[test]
fn nothing_is_fetched_twice_and_old_indexes_are_refused() {
    let Some(data) = real::data() else { return };
    let (world, server) = world(&data);
    assert!(world.update_with(&UpdateOptions::default()).iter().all(Result::is_ok));
    let sent = |from: usize| server.requests().iter().skip(from).map(|r| r.sent).sum::<u64>();
    let before = server.requests().len();
    let again = world.update_with(&UpdateOptions::default());
    assert!(again.iter().all(|r| r.as_ref().is_ok_and(|u| !u.changed)));
    assert_eq!(sent(before), 0);

    // Alpine 3.12's index carries a good signature by a key that 3.19 trusts too: only its age gives it away.
    let copy = tempfile::tempdir().unwrap();
    let place = copy.path().join("main/x86_64");
    fs::create_dir_all(&place).unwrap();
    let put = |from: &str| fs::copy(data.join(from), place.join("APKINDEX.tar.gz")).unwrap();
    put("alpine-3.19/main/x86_64/APKINDEX.tar.gz");
    let world = World::new();
    world.source("copy", Ecosystem::Alpine, &copy.path().join("main").display().to_string(), "");
    world.copy_keys("copy", &data.join("alpine-3.19/keys"));
    world.update().unwrap();
    put("indexes/alpine-3.12/main.APKINDEX.tar.gz");
    let error = world.update().unwrap_err();
    assert!(matches!(error, Error::OlderThanSeen { .. }), "{error:?}");
}

#[test]
fn real_packages_are_fetched_and_read() {
    let Some(data) = real::data() else { return };
    let (world, _server) = world(&data);
    assert!(world.update_with(&UpdateOptions::default()).iter().all(Result::is_ok));
    let catalogue = world.catalogue();
    let pick = |ecosystem, name: &str| catalogue.named(ecosystem, name).unwrap().remove(0);
    let wanted = [
        pick(Ecosystem::Alpine, "jq"),
        pick(Ecosystem::Alpine, "git"),
        pick(Ecosystem::Alpine, "libcurl"),
        pick(Ecosystem::Openwrt, "libopenssl3"),
        pick(Ecosystem::Openwrt, "busybox"),
        pick(Ecosystem::Alpine, "tmux"),
    ];
    let list: Vec<&Package> = wanted.iter().map(|p| &**p).collect();
    let results = fetch(&list, &catalogue, &world.cache, &world.transport, &Silent, 3);
    for ((key, result), package) in results.iter().zip(&wanted).take(5) {
        let fetched = result.as_ref().unwrap_or_else(|e| panic!("{key}: {e}"));
        assert_eq!(Some(fetched.identity()), package.identity);
        let facts = fetched.facts(&world.cache).unwrap();
        assert!(!facts.entries.is_empty() && facts.unreadable.is_empty(), "{key}: {:?}", facts.unreadable);
    }
    assert!(matches!(results[5].1, Err(Error::NotFound { .. })), "tmux is listed and not there");
    let facts = |i: usize| results[i].1.as_ref().unwrap().facts(&world.cache).unwrap();
    let jq = facts(0).files.into_iter().find(|f| f.path == "/usr/bin/jq").unwrap();
    assert_eq!((jq.elf.kind, jq.elf.needed.iter().any(|n| n == "libonig.so.5")), (elf::Kind::Program, true));
    let ssl = facts(3).files.into_iter().find(|f| f.elf.soname.as_deref() == Some("libssl.so.3")).unwrap();
    assert!(ssl.elf.export("SSL_connect").is_some());
}

#[test]
fn real_roots_name_their_sources() {
    let Some(data) = real::data() else { return };
    let world = World::new();
    let archive = data.join(format!("roots/{}.tar.gz", real::OPENWRT_25_12));
    fs::create_dir_all(world.path("")).unwrap();
    // `unpack_root` needs root rights; the source files do not.
    let tar = real::run(
        "tar",
        ["-xzf", &archive.display().to_string(), "-C", &world.path("").display().to_string(), "./etc/apk"],
    );
    assert!(tar.unwrap().success());
    let native = xpkg_repos::sources::load(&world.root(), Ecosystem::Openwrt, &[]).unwrap();
    let names: Vec<_> = native.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["targets", "base", "luci", "packages", "routing", "telephony", "video"]);
    assert_eq!(
        native[1].index_url(),
        "https://downloads.openwrt.org/releases/25.12.2/packages/x86_64/base/packages.adb"
    );
    assert_eq!(native[1].arch, "x86_64");
    let keys = xpkg_repos::keyring_for(&world.root(), &native[0]).unwrap();
    let profile = xpkg_repos::profiles::Profiles::builtin().unwrap().named("openwrt@25.12.2").unwrap();
    for known in profile.keys("x86_64") {
        assert!(keys.iter().any(|k| k.fingerprint() == known.fingerprint), "{} is what the root trusts", known.name);
    }
}
