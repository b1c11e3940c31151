//! Feeds that a test makes by re-packing real packages, served on loopback.

use std::path::PathBuf;

use tempfile::TempDir;
use xpkg_fixtures::{Apk, Ipk, Repo, Server, keys, real};
use xpkg_model::Ecosystem;

/// A signed feed and its server.
pub struct Feed {
    /// What is in it.
    pub repo: Repo,
    /// What answers.
    pub server: Server,
    _dir: TempDir,
}

impl Feed {
    /// An empty feed of a world, in its format and signed as its distribution signs.
    pub fn new(ecosystem: Ecosystem) -> Self {
        let dir = tempfile::Builder::new().prefix("xpkg-feed-").tempdir().unwrap();
        let repo = match ecosystem {
            Ecosystem::Openwrt => Repo::v3(dir.path(), keys::P256).unwrap(),
            _ => Repo::v2(dir.path(), keys::RSA).unwrap(),
        };
        let server = Server::start(dir.path()).unwrap();
        Self { repo, server, _dir: dir }
    }

    /// An empty feed of opkg's, signed as OpenWrt signed them.
    pub fn opkg() -> Self {
        let dir = tempfile::Builder::new().prefix("xpkg-feed-").tempdir().unwrap();
        let repo = Repo::ipk(dir.path(), keys::USIGN).unwrap();
        let server = Server::start(dir.path()).unwrap();
        Self { repo, server, _dir: dir }
    }

    /// The line that names it in a root's list.
    pub fn line(&self) -> String {
        self.repo.line(&self.server.url())
    }

    /// Path of its index, as requests name it.
    pub fn index_request(&self) -> String {
        format!("/{}", self.repo.index_path())
    }

    /// Publishes.
    pub fn publish(&mut self, package: impl Into<Apk>) -> xpkg_model::Package {
        package.into().publish(&mut self.repo).unwrap()
    }
}

/// File of a real package.
pub fn real_file(ecosystem: Ecosystem, name: &str) -> PathBuf {
    let data = real::data().unwrap();
    let dirs: &[&str] = match ecosystem {
        Ecosystem::Openwrt => &["base", "target", "packages", "luci", "routing"].map(|d| d),
        _ => &["main/x86_64", "community/x86_64"],
    };
    let release = if ecosystem == Ecosystem::Openwrt { "openwrt-25.12" } else { "alpine-3.19" };
    for dir in dirs {
        for entry in std::fs::read_dir(data.join(release).join(dir)).unwrap() {
            let path = entry.unwrap().path();
            let file = path.file_name().unwrap().to_string_lossy().into_owned();
            let version = file.strip_prefix(name).and_then(|rest| rest.strip_prefix('-'));
            if version.is_some_and(|v| v.starts_with(|c: char| c.is_ascii_digit()) && v.ends_with(".apk")) {
                return path;
            }
        }
    }
    panic!("the real data has no file of {ecosystem}:{name}");
}

/// File of a real ipk of OpenWrt 19.07.
pub fn real_ipk(name: &str) -> PathBuf {
    let data = real::data().unwrap().join("openwrt-19.07");
    for feed in ["base", "packages", "target", "luci"] {
        for entry in std::fs::read_dir(data.join(feed)).unwrap() {
            let path = entry.unwrap().path();
            let file = path.file_name().unwrap().to_string_lossy().into_owned();
            let version = file.strip_prefix(name).and_then(|rest| rest.strip_prefix('_'));
            if version.is_some_and(|v| v.starts_with(|c: char| c.is_ascii_digit())) {
                return path;
            }
        }
    }
    panic!("the real data has no file of {name}");
}

/// A real ipk as a recipe.
pub fn repack_ipk(name: &str) -> Ipk {
    Ipk::repack(&real_ipk(name)).unwrap()
}

/// A real package as a recipe.
pub fn repack(ecosystem: Ecosystem, name: &str) -> Apk {
    Apk::repack(&real_file(ecosystem, name), ecosystem).unwrap()
}
