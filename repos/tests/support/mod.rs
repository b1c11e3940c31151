//! What the tests of this crate share: a root directory with sources and keys, and a quick transport.

#![allow(dead_code, reason = "each suite uses a part")]

pub mod dir_root;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dir_root::DirRoot;
use tempfile::TempDir;
use xpkg_fixtures::Key;
use xpkg_model::Ecosystem;
use xpkg_model::event::Silent;
use xpkg_repos::update::{UpdateOptions, Updated};
use xpkg_repos::{Cache, Catalogue, Error, Source, Transport, sources, transport, update};

/// A root, a cache, a transport.
pub struct World {
    pub dir: TempDir,
    pub cache: Cache,
    pub transport: Transport,
}

pub fn quick() -> transport::Options {
    transport::Options {
        proxies: false,
        retries: 2,
        backoff: Duration::from_millis(1),
        timeout: Duration::from_secs(10),
        ..transport::Options::default()
    }
}

impl World {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path().join("cache")).unwrap();
        let world = Self { dir, cache, transport: Transport::new(quick()) };
        world.write("etc/apk/arch", "x86_64\n");
        world
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join("root").join(below)
    }

    pub fn write(&self, below: &str, text: &str) {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Writes an own source; `more` is further lines of its file.
    pub fn source(&self, name: &str, ecosystem: Ecosystem, url: &str, more: &str) {
        let text = format!("schema = \"1.0.0\"\necosystem = \"{ecosystem}\"\nurl = \"{url}\"\n{more}\n");
        self.write(&format!("etc/xpkg/sources.d/{name}.toml"), &text);
    }

    pub fn key(&self, source: &str, key: Key) {
        self.write(&format!("etc/xpkg/keys/{source}/{}", key.public_name()), key.public_pem());
    }

    pub fn copy_keys(&self, source: &str, from: &Path) {
        let to = self.path(&format!("etc/xpkg/keys/{source}"));
        fs::create_dir_all(&to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }

    pub fn root(&self) -> DirRoot {
        DirRoot(self.path(""))
    }

    pub fn sources(&self) -> Vec<Source> {
        sources::load(&self.root(), Ecosystem::Alpine, &[]).unwrap()
    }

    pub fn update_with(&self, options: &UpdateOptions) -> Vec<Result<Updated, Error>> {
        let outcomes = update(&self.sources(), &self.root(), &self.cache, &self.transport, options, &Silent);
        outcomes.into_iter().map(|o| o.result).collect()
    }

    /// Updates the only source.
    pub fn update(&self) -> Result<Updated, Error> {
        let mut results = self.update_with(&UpdateOptions::default());
        assert_eq!(results.len(), 1);
        results.remove(0)
    }

    pub fn catalogue(&self) -> Catalogue {
        Catalogue::open(&self.cache, &self.sources()).unwrap()
    }
}
