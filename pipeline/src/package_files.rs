//! Package files on their own, apart from any root: making, reading, checking, signing and indexing them, in all three
//! formats. Writes only the files and directories that a person names; never a root, and never through the network.

mod build;
mod extract;
mod index;
mod inspect;
mod output;
mod payload;
mod sign;
mod spec;

use std::fs::File;
use std::path::Path;

use xpkg_formats::Limits;
use xpkg_formats::apk::{v2, v3};
use xpkg_formats::keys::SecretKey;
use xpkg_formats::opkg::ipk;
use xpkg_formats::package::{self, Meta};
use xpkg_model::{Ecosystem, Identity};

use crate::error::Error;

pub use xpkg_formats::package::Format;

pub use build::{Build, build};
pub use extract::{Extract, extract};
pub use index::{Index, IndexWritten, index};
pub use inspect::{FileLine, Inspected, ScriptText, inspect};
pub use output::{Written, load_keys, load_secret};
pub use payload::Payload;
pub use sign::{Verification, generate_key, sign, verify};

/// A package file, read whole: what it says, and its entries with their contents in a temporary file.
pub struct PackageFile {
    /// What it says about itself.
    pub meta: Meta,
    /// Its entries.
    pub payload: Payload,
}

impl PackageFile {
    /// Reads a package of any format; every digest that it declares is checked.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let mut opened = open(path)?;
        let mut payload = Payload::new();
        opened.read_payload(&mut |entry, content| Ok(payload.add(entry, content)?))?;
        Ok(Self { meta: opened.meta().clone(), payload })
    }

    /// Writes it in the format that its metadata names.
    pub fn write(&mut self, key: Option<&SecretKey>, out: &mut dyn std::io::Write) -> Result<Sealed, Error> {
        let package = self.meta.package.clone();
        let (scripts, triggers) = (self.meta.scripts.clone(), self.meta.triggers.clone());
        let written = match self.meta.format {
            Format::Apk2 => {
                let mut builder = v2::Builder::new(package)?.scripts(scripts).triggers(triggers);
                self.payload.each(&mut |entry, content| Ok(builder.entry(entry, content)?))?;
                builder.finish(out, key)?
            }
            Format::Apk3 => {
                let mut builder = v3::Builder::new(package)?.scripts(scripts).triggers(triggers);
                self.payload.each(&mut |entry, content| Ok(builder.entry(entry, content)?))?;
                builder.finish(out, key)?
            }
            Format::Ipk => {
                let mut builder = ipk::Builder::new(package)?.conffiles(&self.meta.conffiles);
                for (name, text) in &self.meta.control_files {
                    builder = builder.control_file(name, text.as_slice());
                }
                self.payload.each(&mut |entry, content| Ok(builder.entry(entry, content)?))?;
                builder.finish(out, ipk::Outer::Tar)?
            }
        };
        Ok(Sealed { identity: written.identity, size: written.size, installed_size: written.installed_size })
    }

    /// Writes it where a person wants it: into a directory under the name that repositories use, or as a file.
    pub fn place(&mut self, output: Option<&Path>, key: Option<&SecretKey>) -> Result<Written, Error> {
        let path = output::target(output, &file_name(&self.meta));
        let sealed = output::place(&path, 0o644, |out| self.write(key, out))?;
        let package = &self.meta.package;
        Ok(Written {
            path,
            name: package.name.clone(),
            version: package.version.clone(),
            arch: package.arch.clone(),
            identity: sealed.identity,
            size: sealed.size,
            signed_by: key.map(|key| key.public().name.clone()),
        })
    }
}

/// What a writer knows of a package when it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// What an index calls it by.
    pub identity: Identity,
    /// Bytes of the file.
    pub size: u64,
    /// Bytes of the contents.
    pub installed_size: u64,
}

/// `NAME-VERSION.apk`, or opkg's `NAME_VERSION_ARCH.ipk`.
fn file_name(meta: &Meta) -> String {
    let package = &meta.package;
    match meta.format {
        Format::Ipk => ipk::file_name(package),
        Format::Apk2 | Format::Apk3 => format!("{}-{}.apk", package.name, package.version),
    }
}

/// Opens a package file; its format decides which world it is taken to be from.
fn open(path: &Path) -> Result<package::Opened<File>, Error> {
    let what = path.display().to_string();
    let reading = || Error::io(format!("reading {what}"));
    let limits = Limits::default();
    let opened = package::open(File::open(path).map_err(reading())?, &what, Ecosystem::Openwrt, &limits)?;
    if opened.meta().format != Format::Apk2 {
        return Ok(opened);
    }
    Ok(package::open(File::open(path).map_err(reading())?, &what, Ecosystem::Alpine, &limits)?)
}
