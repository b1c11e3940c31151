//! A package file whose every digest was checked: the only way to get one is to check it. Reading it again checks again, because a
//! cache directory is no safe.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use xpkg_formats::keys::Keyring;
use xpkg_formats::package::{Envelope, Opened, open_if};
use xpkg_formats::{BoxError, Error as FormatError, Limits, elf};
use xpkg_model::payload::{Entry, EntryKind};
use xpkg_model::{Ecosystem, Identity, Package};

use crate::cache::Cache;
use crate::error::{Error, Result};
use crate::facts::{self, EntryFact, EntryType, FileFact, PackageFacts};

const ELF_MAGIC: &[u8; 4] = b"\x7fELF";

/// A package file that is what its index, or its own signature, says.
#[derive(Clone, Debug)]
pub struct FetchedPackage {
    package: Arc<Package>,
    path: PathBuf,
    identity: Identity,
    signed_by: Option<String>,
}

impl FetchedPackage {
    /// The package as it was resolved.
    pub fn package(&self) -> &Arc<Package> {
        &self.package
    }

    /// Where its file is. Open it with [`FetchedPackage::open`], which makes sure that it is still the same.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The digest that was checked.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// The key that signed the file itself: only for files given by a person.
    pub fn signed_by(&self) -> Option<&str> {
        self.signed_by.as_deref()
    }

    /// Opens the file for reading its metadata and payload; refused when it is no longer the one that was checked. Reading the
    /// payload checks every digest once more on the way.
    pub fn open(&self) -> Result<Opened<File>> {
        let what = self.path.display().to_string();
        let file = File::open(&self.path).map_err(|e| Error::io("open", &self.path, e))?;
        let ecosystem = self.package.ecosystem;
        let opened =
            open_if(file, &what, ecosystem, &Limits::default(), &mut |e| expect_identity(e, &self.identity, &what));
        opened.map_err(|e| Error::format(&what, e))
    }

    /// What its files say: from the cache, else read now.
    pub fn facts(&self, cache: &Cache) -> Result<PackageFacts> {
        if let Ok(Some(known)) = facts::facts(cache, &self.identity) {
            return Ok(known);
        }
        let read = read_facts(&mut self.open()?, cache, &self.path.display().to_string())?;
        keep_facts(cache, &self.identity, &read);
        Ok(read)
    }

    /// Checks a file that an index promised: size, identity, and every digest inside, in one pass that also reads the facts
    /// where they are not known yet.
    pub(crate) fn verify(cache: &Cache, package: &Arc<Package>, path: &Path, url: &str) -> Result<Self> {
        let identity = package.identity.ok_or_else(|| Error::NoIdentity { package: package.key().to_string() })?;
        let file = File::open(path).map_err(|e| Error::io("open", path, e))?;
        let found = file.metadata().map_err(|e| Error::io("read", path, e))?.len();
        if package.size != 0 && found != package.size {
            return Err(Error::Size { url: url.to_owned(), expected: package.size, found });
        }
        let check = &mut |e: &mut dyn Envelope| expect_identity(e, &identity, url);
        let opened = open_if(file, url, package.ecosystem, &Limits::default(), check);
        let mut opened = opened.map_err(|e| Error::format(url, e))?;
        let own = &opened.meta().package;
        if own.name != package.name || own.version != package.version {
            return Err(Error::BadDigest {
                url: url.to_owned(),
                what: "the name".into(),
                expected: format!("{} {}", package.name, package.version),
                found: format!("{} {}", own.name, own.version),
            });
        }
        let identity = opened.identity();
        pass(&mut opened, cache, &identity, url)?;
        Ok(Self { package: package.clone(), path: path.to_owned(), identity, signed_by: None })
    }

    /// Checks a file that a person named: its own signature by one of the keys, unless `allow_untrusted` (then a missing signature
    /// and an unknown key are passed over, a wrong signature never), and every digest inside.
    pub fn from_file(
        cache: &Cache,
        path: &Path,
        ecosystem: Ecosystem,
        keys: &Keyring,
        allow_untrusted: bool,
    ) -> Result<Self> {
        let what = path.display().to_string();
        let file = File::open(path).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => Error::NotFound { url: what.clone() },
            _ => Error::io("open", path, e),
        })?;
        if !file.metadata().map_err(|e| Error::io("read", path, e))?.is_file() {
            return Err(Error::BadUrl { url: what, reason: "it is no regular file".into() });
        }
        let mut signed_by = None;
        let opened = open_if(file, &what, ecosystem, &Limits::default(), &mut |envelope| {
            match envelope.verify_signature(keys) {
                Ok(verified) => signed_by = Some(verified.key),
                Err(FormatError::Unsigned { .. } | FormatError::UnknownKey { .. }) if allow_untrusted => {}
                Err(error) => return Err(error),
            }
            Ok(())
        });
        let mut opened = opened.map_err(|e| Error::format(&what, e))?;
        let identity = opened.identity();
        pass(&mut opened, cache, &identity, &what)?;
        Ok(Self { package: Arc::new(opened.meta().package.clone()), path: path.to_owned(), identity, signed_by })
    }

    /// The same file under another name.
    pub(crate) fn moved_to(mut self, path: PathBuf) -> Self {
        self.path = path;
        self
    }
}

fn expect_identity(envelope: &mut dyn Envelope, expected: &Identity, what: &str) -> Result<(), FormatError> {
    let found = envelope.identity();
    if expected.matches(&found) {
        return Ok(());
    }
    Err(FormatError::Digest {
        what: what.to_owned(),
        part: "its identity".into(),
        expected: expected.to_string(),
        found: found.to_string(),
    })
}

/// One pass over the payload: every digest, and the facts if nobody has them.
fn pass(opened: &mut Opened<File>, cache: &Cache, identity: &Identity, what: &str) -> Result<()> {
    if facts::has_facts(cache, identity) {
        return opened.read_payload(&mut |_, _| Ok(())).map_err(|e| Error::format(what, e));
    }
    let read = read_facts(opened, cache, what)?;
    keep_facts(cache, identity, &read);
    Ok(())
}

fn keep_facts(cache: &Cache, identity: &Identity, facts: &PackageFacts) {
    if let Err(error) = facts::store(cache, identity, facts) {
        tracing::warn!(%error, "facts are not kept");
    }
}

fn read_facts(opened: &mut Opened<File>, cache: &Cache, what: &str) -> Result<PackageFacts> {
    let (mut facts, mut spool) = (PackageFacts::default(), None);
    let limits = Limits::default();
    let read = opened.read_payload(&mut |entry, content| {
        let path = entry.path.to_string();
        let kind = match &entry.kind {
            EntryKind::File => {
                read_elf(&path, content, &mut facts, &mut spool, cache, &limits)?;
                EntryType::File
            }
            EntryKind::Dir => EntryType::Dir,
            EntryKind::Symlink(target) => EntryType::Symlink(String::from_utf8_lossy(target).into_owned()),
            EntryKind::Hardlink(target) => {
                let target = target.to_string();
                if let Some(same) = facts.files.iter().find(|f| f.path == target).map(|f| f.elf.clone()) {
                    facts.files.push(FileFact { path: path.clone(), elf: same });
                }
                EntryType::Hardlink(target)
            }
            EntryKind::Char(..) | EntryKind::Block(..) | EntryKind::Fifo => EntryType::Special,
        };
        facts.unpacked = facts.unpacked.saturating_add(entry.size);
        facts.entries.push(entry_fact(entry, path, kind));
        Ok(())
    });
    read.map_err(|e| Error::format(what, e))?;
    Ok(facts)
}

fn entry_fact(entry: &Entry, path: String, kind: EntryType) -> EntryFact {
    EntryFact { path, kind, mode: entry.mode, size: entry.size }
}

/// Files that begin as ELF are put aside, because their facts are found by jumping about in them.
fn read_elf(
    path: &str,
    content: &mut dyn Read,
    facts: &mut PackageFacts,
    spool: &mut Option<File>,
    cache: &Cache,
    limits: &Limits,
) -> Result<(), BoxError> {
    let mut magic = Vec::with_capacity(4);
    content.take(4).read_to_end(&mut magic)?;
    if magic != ELF_MAGIC {
        return Ok(());
    }
    let file = match spool {
        Some(file) => file,
        None => spool.insert(cache.anonymous()?),
    };
    let failed = |e| Error::io("write beside", cache.dir(), e);
    file.set_len(0).and_then(|()| file.seek(SeekFrom::Start(0))).map_err(failed)?;
    file.write_all(&magic).map_err(failed)?;
    copy(content, file, cache)?;
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    match elf::read_facts(file, path, limits) {
        Ok(Some(elf)) => facts.files.push(FileFact { path: path.to_owned(), elf }),
        Ok(None) => {}
        // Firmware and boot code may look like ELF; whether it matters is for the ABI check to say.
        Err(error) => facts.unreadable.push((path.to_owned(), error.to_string())),
    }
    Ok(())
}

/// Copies, keeping apart what the package and what the disk is to blame for.
fn copy(content: &mut dyn Read, file: &mut File, cache: &Cache) -> Result<(), BoxError> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let n = content.read(&mut buffer)?;
        match buffer.get(..n) {
            Some(chunk) if !chunk.is_empty() => {
                file.write_all(chunk).map_err(|e| Error::io("write beside", cache.dir(), e))?;
            }
            _ => return Ok(()),
        }
    }
}
