//! Where a run of the front takes packages from: the root's repository files and `--repository`. Reads no index.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use xpkg_formats::apk::db::Generation;
use xpkg_formats::apk::db::repositories::{self, RepoLine, Variables};
use xpkg_formats::keys::Hash;
use xpkg_model::root::RootView;
use xpkg_model::{Package, RelPath, identity};

use super::error::io_words;
use super::{Error, Settings};

/// Largest repository file.
const MAX_FILE: u64 = 256 << 10;
/// Further files, the first directory's winning (apk-tools, `apk-repositories(5)`).
const DIRS: [&str; 2] = ["etc/apk/repositories.d", "lib/apk/repositories.d"];

/// What became of a repository's index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// Not looked at yet.
    #[default]
    Unread,
    /// Its packages are known.
    Read,
    /// An older index stands in for one that could not be fetched.
    Stale(String),
    /// There is none: what was tried, and why it failed.
    Unavailable {
        /// `opening from cache`, `updating and opening`, `opening`.
        doing: &'static str,
        /// In apk's words.
        why: String,
    },
}

/// One repository.
#[derive(Clone, Debug)]
pub struct Place {
    line: RepoLine,
    arch: String,
    /// `@tag`, without the `@`.
    pub tag: Option<String>,
    /// How messages name it.
    pub shown: String,
    /// Where its index is.
    pub index_url: String,
    /// What its index says of itself.
    pub description: String,
    /// How its index names package files, where it says so.
    pub spec: Option<String>,
    /// What became of its index.
    pub standing: Standing,
}

impl Place {
    fn new(line: RepoLine, arch: &str) -> Self {
        let index_url = line.index_url(arch);
        Self {
            tag: line.tag.clone(),
            shown: line.url.clone(),
            index_url,
            arch: arch.to_owned(),
            line,
            description: String::new(),
            spec: None,
            standing: Standing::Unread,
        }
    }

    /// The index's path where it lies on this machine: nothing of it is cached.
    pub fn local(&self) -> Option<PathBuf> {
        let path = self.index_url.strip_prefix("file://").unwrap_or(&self.index_url);
        path.starts_with('/').then(|| PathBuf::from(path))
    }

    /// Name of its index in apk's cache: a hash of the base in apk 2, of the index's URL in apk 3.
    pub fn cache_name(&self, generation: Generation) -> String {
        let (hash, text) = match generation {
            Generation::Apk2 => (Hash::Sha1, &self.line.url),
            Generation::Apk3 => (Hash::Sha256, &self.index_url),
        };
        let hex = identity::hex(&hash.of(text.as_bytes()));
        format!("APKINDEX.{}.tar.gz", hex.get(..8).unwrap_or_default())
    }

    /// How a failure of its index is told: apk 2 names the repository, apk 3 the index.
    pub fn blamed(&self, generation: Generation) -> &str {
        if generation == Generation::Apk2 { &self.shown } else { &self.index_url }
    }

    /// Where a package of it is.
    pub fn package_url(&self, package: &Package) -> Result<String, Error> {
        if let Some(file) = &package.filename {
            return Ok(format!("{}/{file}", self.line.package_base()));
        }
        Ok(self.line.package_url(package, &self.arch, self.spec.as_deref())?)
    }
}

/// The repositories of a run.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// In apk's order.
    pub(super) all: Vec<Place>,
    /// Why the file of `--repositories-file` could not be read.
    pub(super) unread: Option<String>,
}

/// Every repository of a run: those of the command line first, as apk counts them. A file given that cannot be read leaves the
/// run without those that it would have named, as it does with apk.
pub(super) fn load(root: &dyn RootView, settings: &Settings, arch: &str) -> Result<Places, Error> {
    let mut vars = Variables::new(arch);
    let (mut lines, mut unread) = (Vec::new(), None);
    for text in &settings.repositories {
        lines.extend(repositories::parse(given(text)?.as_bytes(), "--repository", &mut vars)?);
    }
    for text in &settings.repository_configs {
        lines.extend(repositories::parse(text.as_bytes(), "--repository-config", &mut vars)?);
    }
    if let Some(file) = &settings.repositories_file {
        let mut bytes = Vec::new();
        match File::open(file).and_then(|f| f.take(MAX_FILE).read_to_end(&mut bytes)) {
            Ok(_) => lines.extend(repositories::parse(&bytes, &file.display().to_string(), &mut vars)?),
            Err(error) => unread = Some(io_words(&error)),
        }
    } else {
        for file in files(root)? {
            let bytes = root.read(&file, MAX_FILE).map_err(Error::io(format!("reading {file}")))?;
            lines.extend(repositories::parse(&bytes.unwrap_or_default(), &file.to_string(), &mut vars)?);
        }
    }
    let mut places: Vec<Place> = Vec::new();
    for line in lines {
        let place = Place::new(line, arch);
        // The same repository twice is one; tags of both count, but only the first is kept here.
        if !places.iter().any(|p| p.index_url == place.index_url && p.tag == place.tag) {
            places.push(place);
        }
    }
    Ok(Places { all: places, unread })
}

/// `[@tag] URL` or a path of this machine, relative ones included; a path to a file is an index whatever its name.
fn given(text: &str) -> Result<String, Error> {
    let (tag, url) = match text.strip_prefix('@').and_then(|rest| rest.split_once([' ', '\t'])) {
        Some((tag, url)) => (format!("@{tag} "), url.trim_start()),
        None => (String::new(), text),
    };
    if url.contains("://") {
        return Ok(format!("{tag}{url}"));
    }
    let path = std::path::absolute(url).map_err(Error::io(format!("finding {url}")))?;
    let kind = if Path::new(&path).is_file() { "ndx " } else { "" };
    Ok(format!("{kind}{tag}{}", path.display()))
}

fn files(root: &dyn RootView) -> Result<Vec<RelPath>, Error> {
    let mut files = vec![RelPath::literal("etc/apk/repositories")];
    let mut further = std::collections::BTreeMap::new();
    for dir in DIRS.map(RelPath::literal) {
        for name in root.list(&dir).map_err(Error::io(format!("reading {dir}")))? {
            if name.ends_with(b".list")
                && !name.starts_with(b".")
                && let Ok(path) = dir.join(&name)
            {
                further.entry(name).or_insert(path);
            }
        }
    }
    files.extend(further.into_values());
    Ok(files)
}
