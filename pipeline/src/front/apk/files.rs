//! Package files: fetched from a repository, given by a person, or made for a virtual package; verified before anything of
//! them is used, and again whenever they are read.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use xpkg_formats::apk::{v2, v3};
use xpkg_formats::keys::Keyring;
use xpkg_formats::package::{Envelope, Opened, open_if};
use xpkg_formats::{Error as FormatError, Limits};
use xpkg_install::PayloadSource;
use xpkg_model::{Ecosystem, Identity, Package};
use xpkg_repos::transport::Get;

use super::database::Database;
use super::error::{io_words, native_words};
use super::places::Place;
use super::{Error, Generation};

/// Largest package whose index does not say its size.
const MAX_PACKAGE: u64 = 4 << 30;

/// A package file that is what its index, or its own signature, says.
pub struct PackageFile {
    package: Arc<Package>,
    path: PathBuf,
    identity: Identity,
}

impl PackageFile {
    /// A file that a person named: `keys` are those it must be signed by; `None` accepts any.
    pub fn given(path: &Path, ecosystem: Ecosystem, keys: Option<&Keyring>) -> Result<Self, Error> {
        let what = path.display().to_string();
        let said = |why: String| Error::Said(format!("{what}: {why}"));
        let file = File::open(path).map_err(|e| said(io_words(&e)))?;
        let opened = open_if(file, &what, ecosystem, &Limits::default(), &mut |envelope| match keys {
            Some(keys) => envelope.verify_signature(keys).map(drop),
            None => Ok(()),
        });
        let mut opened = opened.map_err(|e| said(trouble(&e)))?;
        // Every digest inside is checked once before anything is decided on it.
        opened.read_payload(&mut |_, _| Ok(())).map_err(|e| said(trouble(&e)))?;
        let identity = opened.identity();
        Ok(Self { package: Arc::new(opened.meta().package.clone()), path: path.to_owned(), identity })
    }

    /// A file that an index vouches for.
    pub(super) fn promised(package: &Arc<Package>, path: &Path) -> Result<Self, Error> {
        let what = format!("{}-{}", package.name, package.version);
        let identity =
            package.identity.ok_or_else(|| Error::Said(format!("{what}: its index does not say what it is")))?;
        let file = Self { package: Arc::clone(package), path: path.to_owned(), identity };
        let mut opened = file.open_checked(&what)?;
        opened.read_payload(&mut |_, _| Ok(())).map_err(|e| Error::Said(format!("{what}: {}", trouble(&e))))?;
        Ok(file)
    }

    /// A package without files, for `add --virtual`.
    pub(super) fn made(
        package: &Package,
        ecosystem: Ecosystem,
        generation: Generation,
        path: &Path,
    ) -> Result<Self, Error> {
        let mut package = package.clone();
        package.ecosystem = ecosystem;
        let mut out = File::create(path).map_err(Error::io(format!("writing {}", path.display())))?;
        match generation {
            Generation::Apk2 => v2::Builder::new(package)?.finish(&mut out, None)?,
            Generation::Apk3 => v3::Builder::new(package)?.finish(&mut out, None)?,
        };
        Self::given(path, ecosystem, None)
    }

    /// The package.
    pub fn shared(&self) -> &Arc<Package> {
        &self.package
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens it.
    pub fn reopen(&self) -> Result<Opened<File>, Error> {
        self.open_checked(&self.path.display().to_string())
    }

    fn open_checked(&self, what: &str) -> Result<Opened<File>, Error> {
        let file = File::open(&self.path).map_err(|e| Error::Said(format!("{what}: {}", io_words(&e))))?;
        let opened = open_if(file, what, self.package.ecosystem, &Limits::default(), &mut |e| self.expect(e, what));
        opened.map_err(|e| Error::Said(format!("{what}: {}", trouble(&e))))
    }

    fn expect(&self, envelope: &mut dyn Envelope, what: &str) -> Result<(), FormatError> {
        let found = envelope.identity();
        if self.identity.matches(&found) {
            return Ok(());
        }
        Err(FormatError::Digest {
            what: what.to_owned(),
            part: "its identity".into(),
            expected: self.identity.to_string(),
            found: found.to_string(),
        })
    }
}

impl PayloadSource for PackageFile {
    fn package(&self) -> &Package {
        &self.package
    }
    fn open(&self) -> Result<Opened<File>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(self.reopen()?)
    }
}

/// Why a package file is not used, in apk's words where it has some.
pub(super) fn trouble(error: &FormatError) -> String {
    match error {
        FormatError::Unsigned { .. } | FormatError::UnknownKey { .. } => "UNTRUSTED signature".to_owned(),
        FormatError::BadSignature { .. } => "BAD signature".to_owned(),
        FormatError::Digest { .. } => "BAD archive".to_owned(),
        FormatError::Malformed { .. } => "v2 package format error".to_owned(),
        other => other.to_string(),
    }
}

impl Database {
    /// Brings a package of a repository to `path`, or takes it where it lies.
    pub(super) fn bring_package(
        &self,
        place: &Place,
        package: &Arc<Package>,
        path: &Path,
    ) -> Result<PackageFile, Error> {
        let id = format!("{}-{}", package.name, package.version);
        let url = place.package_url(package)?;
        let failed = |error: &xpkg_repos::Error| {
            let words = match error {
                xpkg_repos::Error::NotFound { .. } => {
                    "package mentioned in index not found (try 'apk update')".to_owned()
                }
                other => native_words(other),
            };
            Error::Said(format!("{id}: {words}"))
        };
        let local = url.strip_prefix("file://").unwrap_or(&url);
        if local.starts_with('/') {
            return match Path::new(local).exists() {
                true => PackageFile::promised(package, Path::new(local)),
                false => Err(Error::Said(format!("{id}: package mentioned in index not found (try 'apk update')"))),
            };
        }
        let mut file = File::create(path).map_err(Error::io(format!("writing {}", path.display())))?;
        let mut get = Get::new(&url, &package.name, if package.size == 0 { MAX_PACKAGE } else { package.size });
        get.expected = Some(package.size).filter(|size| *size != 0);
        self.transport.get(&get, &mut file, self.observer.as_ref()).map_err(|e| failed(&e))?;
        PackageFile::promised(package, path)
    }
}
