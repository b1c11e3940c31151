//! Packages from a server into the cache: verified, resumed, never trusted for lying there.

mod support;

use std::fs;

use support::World;
use xpkg_fixtures::http::Fault;
use xpkg_fixtures::{Apk, Elf, Repo, Server, keys, real};
use xpkg_model::event::Silent;
use xpkg_model::{Candidates as _, Ecosystem, Package};
use xpkg_repos::facts::{EntryType, facts};
use xpkg_repos::update::UpdateOptions;
use xpkg_repos::{Cache, Error, FetchedPackage, fetch};

struct Feed {
    _dir: tempfile::TempDir,
    server: Server,
    world: World,
    path: String,
    package: Package,
}

/// A feed with one package that holds a library, a link, and half a megabyte that does not compress.
fn feed(v3: bool) -> Feed {
    let dir = tempfile::tempdir().unwrap();
    let (ecosystem, key) = if v3 { (Ecosystem::Openwrt, keys::P256) } else { (Ecosystem::Alpine, keys::RSA) };
    let mut repo = if v3 { Repo::v3(dir.path(), key) } else { Repo::v2(dir.path(), key) }.unwrap();
    let (mut seed, mut noise) = (1_u32, Vec::new());
    for _ in 0..500_000 {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        noise.push((seed >> 24) as u8);
    }
    let library = Elf::library("liba.so.1").exports("a_one");
    let package = Apk::new("a", "1.0-r0")
        .elf("usr/lib/liba.so.1", &library)
        .symlink("usr/lib/liba.so", "liba.so.1")
        .file("usr/share/noise", noise)
        .publish(&mut repo)
        .unwrap();
    let server = Server::start(dir.path()).unwrap();
    let world = World::new();
    world.source("test", ecosystem, &server.url(), "");
    world.key("test", key);
    world.update().unwrap();
    let path = format!("/{}", repo.package_path(&package));
    Feed { _dir: dir, server, world, path, package }
}

impl Feed {
    fn fetch(&self) -> Result<FetchedPackage, Error> {
        let catalogue = self.world.catalogue();
        let package = catalogue.named(self.package.ecosystem, "a").unwrap().remove(0);
        let mut results = fetch(&[&package], &catalogue, &self.world.cache, &self.world.transport, &Silent, 2);
        assert_eq!(results.len(), 1);
        assert_eq!(results[0].0, package.key());
        results.remove(0).1
    }

    fn part(&self) -> std::path::PathBuf {
        self.world.cache.package_path(&self.package.identity.unwrap()).with_extension("part")
    }
}

#[test]
fn a_package_comes_once_with_its_facts() {
    for v3 in [false, true] {
        let feed = feed(v3);
        let fetched = feed.fetch().unwrap();
        assert_eq!(Some(fetched.identity()), feed.package.identity);
        assert_eq!(fetched.open().unwrap().meta().package.name, "a");
        let known = facts(&feed.world.cache, &fetched.identity()).unwrap().unwrap();
        assert_eq!(known.files.len(), 1);
        assert_eq!(known.files[0].path, "/usr/lib/liba.so.1");
        assert!(known.files[0].elf.export("a_one").is_some());
        assert!(known.entries.iter().any(|e| e.kind == EntryType::Symlink("liba.so.1".into())));
        assert!(known.unpacked > 500_000);
        assert_eq!(fetched.facts(&feed.world.cache).unwrap(), known);
        feed.fetch().unwrap();
        assert_eq!(feed.server.count(&feed.path), 1);
        assert!(!feed.part().exists());
    }
}

#[test]
fn what_was_tampered_with_is_refused() {
    for v3 in [false, true] {
        let feed = feed(v3);
        // The last byte but some is payload, the hundredth is in the part that the identity is of (or its signature).
        let corrupt = |offset| feed.server.fault(&feed.path, Fault::Corrupt(offset));
        corrupt(feed.package.size - 2000);
        let error = feed.fetch().unwrap_err();
        assert!(matches!(error, Error::BadDigest { .. } | Error::Malformed { .. }), "{error:?}");
        feed.server.fault(&feed.path, Fault::Status(404));
        assert!(matches!(feed.fetch(), Err(Error::NotFound { .. })));
        feed.server.fault(&feed.path, Fault::NoLength);
        assert!(feed.fetch().is_ok());
    }
}

#[test]
fn another_package_of_the_same_size_is_refused() {
    let feed = feed(false);
    let other = self::feed(false);
    let mut file = fs::read(other.server.dir().join(other.path.trim_start_matches('/'))).unwrap();
    // The same package signed and made alike; its control member differs by one byte of its modification time.
    let at = file.iter().skip(10).position(|b| *b == 0x1f).unwrap_or(0);
    file[at.max(300)] ^= 0x40;
    fs::write(feed.server.dir().join(feed.path.trim_start_matches('/')), &file).unwrap();
    let error = feed.fetch().unwrap_err();
    assert!(matches!(error, Error::BadDigest { .. } | Error::Malformed { .. }), "{error:?}");
    assert!(!feed.part().exists());
    file.push(0);
    fs::write(feed.server.dir().join(feed.path.trim_start_matches('/')), &file).unwrap();
    assert!(matches!(feed.fetch(), Err(Error::Size { .. })));
}

#[test]
fn a_truncated_download_is_resumed_later() {
    let feed = feed(true);
    feed.server.fault(&feed.path, Fault::Truncate(50_000));
    assert!(matches!(feed.fetch(), Err(Error::Network { .. })));
    assert!(fs::metadata(feed.part()).unwrap().len() >= 50_000);
    feed.server.heal(&feed.path);
    feed.server.forget();
    feed.fetch().unwrap();
    let requests = feed.server.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].status, 206);
    assert!(!feed.part().exists());
}

#[test]
fn a_wrong_beginning_costs_one_more_download() {
    let feed = feed(true);
    feed.server.fault(&feed.path, Fault::Truncate(50_000));
    assert!(feed.fetch().is_err());
    feed.server.heal(&feed.path);
    let mut begun = fs::read(feed.part()).unwrap();
    begun[20_000] ^= 0xff;
    fs::write(feed.part(), begun).unwrap();
    feed.fetch().unwrap();
}

#[test]
fn a_file_in_the_cache_is_checked_like_one_that_came() {
    let feed = feed(false);
    let fetched = feed.fetch().unwrap();
    let mut bytes = fs::read(fetched.path()).unwrap();
    let at = bytes.len() - 100;
    bytes[at] ^= 1;
    fs::write(fetched.path(), &bytes).unwrap();
    feed.fetch().unwrap();
    assert_eq!(feed.server.count(&feed.path), 2);
    // A value in hand does not outlive its file either.
    fs::write(fetched.path(), b"junk").unwrap();
    assert!(fetched.open().is_err());
}

#[test]
fn files_given_by_a_person_need_a_signature_or_leave() {
    let feed = feed(false);
    let path = feed.server.dir().join(feed.path.trim_start_matches('/'));
    let cache = &feed.world.cache;
    let from =
        |path: &std::path::Path, keys, allow| FetchedPackage::from_file(cache, path, Ecosystem::Alpine, keys, allow);
    let (ours, others) = (keys::RSA.keyring().unwrap(), keys::OTHER_RSA.keyring().unwrap());
    match from(&path, &ours, false) {
        Ok(fetched) => assert_eq!(fetched.signed_by(), Some(keys::RSA.public_name().as_str())),
        Err(error) => assert!(matches!(error, Error::Unsigned { .. }), "{error:?}"),
    }
    let error = from(&path, &others, false).unwrap_err();
    assert!(matches!(error, Error::UnknownKey { .. } | Error::Unsigned { .. }), "{error:?}");
    assert!(from(&path, &others, true).is_ok());
    let broken = feed.world.path("broken.apk");
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.len() - 100;
    bytes[at] ^= 1;
    fs::create_dir_all(feed.world.path("")).unwrap();
    fs::write(&broken, bytes).unwrap();
    assert!(from(&broken, &ours, true).is_err());
    assert!(matches!(from(&feed.world.path("absent"), &ours, true), Err(Error::NotFound { .. })));
}

/// A file system in memory of so many KiB; unmounted when dropped.
struct Small(std::path::PathBuf);

impl Small {
    fn mount(at: std::path::PathBuf, kib: u32) -> Self {
        fs::create_dir_all(&at).unwrap();
        let (size, place) = (format!("size={kib}k"), at.display().to_string());
        let mounted = real::run("mount", ["-t", "tmpfs", "-o", &size, "tmpfs", &place]).unwrap();
        assert!(mounted.success(), "{mounted:?}");
        Self(at)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        drop(real::run("umount", [self.0.display().to_string()]));
    }
}

#[test]
fn a_full_disk_is_found_beforehand_and_while_writing() {
    if !real::root_rights() {
        return;
    }
    let mut feed = feed(false);
    let small = Small::mount(feed.world.dir.path().join("small"), 256);
    // The index fits, the package does not: nothing is transferred.
    feed.world.cache = Cache::open(small.0.clone()).unwrap();
    feed.world.update().unwrap();
    let error = feed.fetch().unwrap_err();
    assert!(matches!(error, Error::NoSpace { need, .. } if need == feed.package.size), "{error:?}");
    assert_eq!(feed.server.count(&feed.path), 0);
    // Somebody else fills the disk: what was there stays, what was begun is gone.
    let packages = feed.world.catalogue().count(Ecosystem::Alpine);
    let free = feed.world.cache.free_space().unwrap();
    fs::write(small.0.join("ballast"), vec![1; free as usize]).unwrap();
    let force = UpdateOptions { force: true, ..UpdateOptions::default() };
    let error = feed.world.update_with(&force).remove(0).unwrap_err();
    assert!(matches!(error, Error::NoSpace { .. }), "{error:?}");
    fs::remove_file(small.0.join("ballast")).unwrap();
    assert_eq!(feed.world.cache.free_space().unwrap(), free);
    assert_eq!(feed.world.catalogue().count(Ecosystem::Alpine), packages);
}
