//! Indexes through the whole way: server, signature, age, catalogue.

mod support;

use std::fs;

use support::World;
use xpkg_fixtures::{Apk, Repo, Server, keys};
use xpkg_model::{Candidates as _, Ecosystem};
use xpkg_repos::catalogue::Query;
use xpkg_repos::update::UpdateOptions;
use xpkg_repos::{Error, sources};

fn built(name: &str, version: &str, time: u64) -> Apk {
    Apk::new(name, version).file("usr/bin/x", "#!/bin/sh\n").with(move |p| p.build_time = time)
}

fn alpine() -> (tempfile::TempDir, Repo, Server, World) {
    let dir = tempfile::tempdir().unwrap();
    let mut repo = Repo::v2(dir.path(), keys::RSA).unwrap();
    built("a", "1.0-r0", 100)
        .depends("so:libb.so.1")
        .depends("b>=1")
        .provides("cmd:x=1.0")
        .install_if("b c")
        .publish(&mut repo)
        .unwrap();
    built("b", "1.1-r0", 200).provides("so:libb.so.1=1").provides("virtual").publish(&mut repo).unwrap();
    let server = Server::start(dir.path()).unwrap();
    let world = World::new();
    world.source("test", Ecosystem::Alpine, &server.url(), "");
    world.key("test", keys::RSA);
    (dir, repo, server, world)
}

#[test]
fn an_index_becomes_a_catalogue_once() {
    let (_dir, repo, server, world) = alpine();
    let first = world.update().unwrap();
    assert_eq!((first.packages, first.changed, first.signed_by), (2, true, Some(keys::RSA.public_name())));
    let catalogue = world.catalogue();
    let names =
        |list: Vec<std::sync::Arc<xpkg_model::Package>>| list.iter().map(|p| p.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(catalogue.named(Ecosystem::Alpine, "a").unwrap()), ["a"]);
    assert_eq!(names(catalogue.providing(Ecosystem::Alpine, "virtual").unwrap()), ["b"]);
    assert!(names(catalogue.providing(Ecosystem::Alpine, "b").unwrap()).is_empty(), "its own name is not a provide");
    for trigger in ["b", "c"] {
        assert_eq!(names(catalogue.installed_if(Ecosystem::Alpine, trigger).unwrap()), ["a"]);
    }
    assert!(catalogue.named(Ecosystem::Openwrt, "a").unwrap().is_empty());
    for original in repo.packages() {
        let found = catalogue.info(None, &original.name).unwrap().remove(0);
        assert_eq!(found.key(), original.key());
        assert_eq!(found.build_time, original.build_time);
        assert_eq!(server.url_of(&repo.package_path(original)), catalogue.package_url(&found).unwrap());
    }
    let second = world.update().unwrap();
    assert!(!second.changed);
    assert_eq!(second.packages, 2);
    assert_eq!(server.requests().last().unwrap().status, 304);
}

#[test]
fn each_way_of_failing_trust_is_its_own_and_changes_nothing() {
    let (dir, mut repo, _server, world) = alpine();
    world.update().unwrap();
    let index = dir.path().join(repo.index_path());
    let good = fs::read(&index).unwrap();
    let still_there = || assert_eq!(world.catalogue().count(Ecosystem::Alpine), 2);

    repo.sign_with(None).unwrap();
    repo.write_index().unwrap();
    assert!(matches!(world.update(), Err(Error::Unsigned { .. })), "{:?}", world.update());
    still_there();
    repo.sign_with(Some(keys::OTHER_RSA)).unwrap();
    repo.write_index().unwrap();
    let error = world.update().unwrap_err();
    assert!(matches!(&error, Error::UnknownKey { names, .. } if names[0].contains("0002")), "{error:?}");
    still_there();
    // Every byte of the signed member counts; this one is in the middle of the deflated text.
    let mut flipped = good.clone();
    let at = flipped.len() - 40;
    flipped[at] ^= 1;
    fs::write(&index, flipped).unwrap();
    let error = world.update().unwrap_err();
    assert!(matches!(error, Error::BadSignature { .. } | Error::Malformed { .. }), "{error:?}");
    still_there();
    fs::write(&index, &good[..good.len() / 2]).unwrap();
    let error = world.update().unwrap_err();
    assert!(
        matches!(error, Error::BadSignature { .. } | Error::Malformed { .. } | Error::Unsigned { .. }),
        "{error:?}"
    );
    still_there();
    fs::remove_file(&index).unwrap();
    assert!(matches!(world.update(), Err(Error::NotFound { .. })));
    still_there();
}

#[test]
fn an_older_index_is_refused_until_a_person_allows_it() {
    let (dir, mut repo, _server, world) = alpine();
    let index = dir.path().join(repo.index_path());
    let old = fs::read(&index).unwrap();
    world.update().unwrap();
    built("a", "1.1-r0", 300).publish(&mut repo).unwrap();
    world.update().unwrap();
    fs::write(&index, &old).unwrap();
    let error = world.update().unwrap_err();
    assert!(matches!(error, Error::OlderThanSeen { .. }), "{error:?}");
    let versions = || {
        world.catalogue().named(Ecosystem::Alpine, "a").unwrap().iter().map(|p| p.version.clone()).collect::<Vec<_>>()
    };
    assert!(versions().contains(&"1.1-r0".into()));
    // Deleting the catalogues does not make it forget.
    world.cache.clean(xpkg_repos::cache::Clean::All).unwrap();
    assert!(matches!(world.update(), Err(Error::OlderThanSeen { .. })));
    let allow = UpdateOptions { allow_older: true, ..UpdateOptions::default() };
    assert!(world.update_with(&allow).remove(0).is_ok());
    assert_eq!(versions(), ["1.0-r0"]);
    assert!(world.update().is_ok(), "what was allowed is now the newest seen");
}

#[test]
fn trust_follows_the_source_not_the_cache() {
    let (_dir, mut repo, _server, world) = alpine();
    world.update().unwrap();
    // The key is withdrawn: the server's "not modified" must not keep the index.
    fs::remove_file(world.path("etc/xpkg/keys/test").join(keys::RSA.public_name())).unwrap();
    assert!(matches!(world.update(), Err(Error::UnknownKey { .. })));
    // Without trust an unsigned index is taken, and forgotten when trust is asked for again.
    repo.sign_with(None).unwrap();
    repo.write_index().unwrap();
    let url = world.sources()[0].url.clone();
    world.source("test", Ecosystem::Alpine, &url, "trust = \"none\"");
    assert_eq!(world.update().unwrap().signed_by, None);
    assert_eq!(world.catalogue().count(Ecosystem::Alpine), 2);
    world.source("test", Ecosystem::Alpine, &url, "");
    assert_eq!(world.catalogue().missing().count(), 1);
    assert!(matches!(world.update(), Err(Error::Unsigned { .. })));
}

#[test]
fn keys_of_one_source_do_not_vouch_for_another() {
    let (_dir, _repo, server, world) = alpine();
    world.source("other", Ecosystem::Alpine, &server.url(), "priority = 5");
    let results = world.update_with(&UpdateOptions::default());
    let names: Vec<_> = world.sources().iter().map(|s| s.name.clone()).collect();
    assert_eq!(names, ["other", "test"], "highest priority first");
    assert!(matches!(results[0], Err(Error::UnknownKey { .. })));
    assert!(results[1].is_ok());
}

#[test]
fn native_files_and_own_files_make_the_sources() {
    let (_dir, _repo, server, world) = alpine();
    world
        .write("etc/apk/repositories", &format!("# c\n{}\n@edge {}/edge main community\n", server.url(), server.url()));
    world.write("etc/apk/repositories.d/a.list", "set -default X=h\nhttp://${X}/f/packages.adb\n");
    world.write("lib/apk/repositories.d/a.list", "http://shadowed/f/packages.adb\n");
    world.write("etc/apk/keys/k.pub", keys::RSA.public_pem());
    world.write("etc/apk/keys/junk", "no key");
    let list = world.sources();
    let shown: Vec<_> = list.iter().map(|s| format!("{} {}", s.origin, s.index_url())).collect();
    let url = server.url();
    assert_eq!(
        shown,
        [
            format!("/etc/apk/repositories:2 {url}/x86_64/APKINDEX.tar.gz"),
            format!("/etc/apk/repositories:3 {url}/edge/main/x86_64/APKINDEX.tar.gz"),
            format!("/etc/apk/repositories:3 {url}/edge/community/x86_64/APKINDEX.tar.gz"),
            "/etc/apk/repositories.d/a.list:2 http://h/f/packages.adb".into(),
            format!("/etc/xpkg/sources.d/test.toml {url}/x86_64/APKINDEX.tar.gz"),
        ]
    );
    assert_eq!(list[1].tag.as_deref(), Some("edge"));
    assert_eq!(xpkg_repos::keyring_for(&world.root(), &list[0]).unwrap().len(), 1);
    world.write("etc/xpkg/sources.d/broken.toml", "schema = 1");
    let error = sources::load(&world.root(), Ecosystem::Alpine, &[]).unwrap_err();
    assert!(error.to_string().contains("broken.toml"), "{error}");
}

#[test]
fn searching_finds_names_descriptions_and_provides() {
    let (_dir, _repo, _server, world) = alpine();
    world.update().unwrap();
    let catalogue = world.catalogue();
    let found = |query: Query| {
        let mut names = Vec::new();
        let sink = &mut |p: xpkg_model::Package| {
            names.push(p.name);
            std::ops::ControlFlow::Continue(())
        };
        catalogue.search(&query, sink).unwrap();
        names
    };
    assert_eq!(found(Query { pattern: "A".into(), ..Query::default() }), ["a"]);
    assert_eq!(found(Query { pattern: "so:libb*".into(), provides: true, ..Query::default() }), ["b"]);
    assert_eq!(found(Query::default()).len(), 2);
}

/// A cache in memory is gone after a boot; what the root keeps is not.
#[test]
fn the_root_remembers_when_the_cache_is_gone() {
    let (_dir, mut repo, _server, mut world) = alpine();
    let memory = world.update().unwrap().memory.unwrap();
    world.write(memory.path.to_string().trim_start_matches('/'), std::str::from_utf8(&memory.bytes).unwrap());
    world.cache = xpkg_repos::Cache::open(world.dir.path().join("another")).unwrap();
    assert_eq!(world.update().unwrap().memory, None, "nothing new to remember");

    world.cache = xpkg_repos::Cache::open(world.dir.path().join("a third")).unwrap();
    repo.withdraw("b").unwrap();
    assert!(matches!(world.update(), Err(Error::OlderThanSeen { .. })));
    let allow = UpdateOptions { allow_older: true, ..UpdateOptions::default() };
    let newer = world.update_with(&allow).remove(0).unwrap().memory.unwrap();
    assert_eq!((&newer.path, newer.bytes.starts_with(b"100\n")), (&memory.path, true));
}
