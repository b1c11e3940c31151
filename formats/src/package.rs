//! One reader over every package format: sniffs the file by its first bytes, never by its name.
//!
//! Opening reads the envelope and bounded metadata. The payload streams past once, every digest that the package declares is
//! checked on the way, and nothing is written anywhere: the receiver does that.

pub(crate) mod items;
pub(crate) mod paths;

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};
use std::ops::ControlFlow;

use xpkg_model::payload::{Entry, Scripts};
use xpkg_model::{Ecosystem, Identity, Package, RelPath};

use crate::apk::{v2, v3};
use crate::archive::member::Metered;
use crate::archive::tar;
use crate::keys::{Keyring, Verified};
use crate::opkg::ipk;
use crate::{BoxError, Error, Limits};

/// Layout of a package file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Three gzip members of tar: Alpine.
    Apk2,
    /// ADB: OpenWrt since 25.12.
    Apk3,
    /// gzip of tar of tars: OpenWrt before.
    Ipk,
}

/// What a package file says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// The package, identity and file size set.
    pub package: Package,
    /// Maintainer scripts.
    pub scripts: Scripts,
    /// Directories whose changes run the trigger script, as globs.
    pub triggers: Vec<String>,
    /// Layout of the file.
    pub format: Format,
    /// SHA-256 of the payload as stored, where the format declares one (apk v2).
    pub datahash: Option<[u8; 32]>,
    /// Configuration files that the metadata names (ipk). apk's layouts have none.
    pub conffiles: Vec<RelPath>,
    /// Every member beside `control` of an ipk's control archive, by name, scripts included, exactly as it is
    /// (`postinst-pkg`, `conffiles` …). apk's layouts have none.
    pub control_files: BTreeMap<String, Vec<u8>>,
    /// An ipk's `control`, as it is: what opkg's database keeps. apk's layouts have none.
    pub control: Vec<u8>,
}

impl Meta {
    /// Metadata without scripts, for writers.
    pub fn new(package: Package, format: Format) -> Self {
        Self {
            package,
            scripts: Scripts::new(),
            triggers: Vec::new(),
            format,
            datahash: None,
            conffiles: Vec::new(),
            control_files: BTreeMap::new(),
            control: Vec::new(),
        }
    }
}

/// Who receives a payload: each entry, and its content for regular files. Content may be left unread.
pub type EntrySink<'a> = dyn FnMut(&Entry, &mut dyn Read) -> Result<(), BoxError> + 'a;

/// What is known of a package before its metadata is parsed: enough to decide whether to go on.
pub trait Envelope {
    /// What an index knows the package by.
    fn identity(&self) -> Identity;
    /// Checks the package's own signatures against keys.
    fn verify_signature(&mut self, keys: &Keyring) -> Result<Verified, Error>;
}

/// An open package.
pub struct Opened<R> {
    reader: Reader<R>,
}

enum Reader<R> {
    V2(v2::Reader<R>),
    V3(v3::Reader<R>),
    Ipk(ipk::Reader<R>),
}

/// Opens a package of any supported format. `what` names it in messages.
pub fn open<R: Read + Seek>(file: R, what: &str, ecosystem: Ecosystem, limits: &Limits) -> Result<Opened<R>, Error> {
    open_if(file, what, ecosystem, limits, &mut |_| Ok(()))
}

/// Opens a package whose metadata is parsed only after `accept` agreed to its identity or signature.
pub fn open_if<R: Read + Seek>(
    mut file: R,
    what: &str,
    ecosystem: Ecosystem,
    limits: &Limits,
    accept: &mut dyn FnMut(&mut dyn Envelope) -> Result<(), Error>,
) -> Result<Opened<R>, Error> {
    let reader = match sniff(&mut file, what, limits)? {
        Format::Apk2 => {
            let mut envelope = v2::Sealed::read(file, what, limits)?;
            accept(&mut envelope)?;
            Reader::V2(envelope.open(ecosystem)?)
        }
        Format::Apk3 => {
            let mut envelope = v3::Sealed::read(file, what, limits)?;
            accept(&mut envelope)?;
            Reader::V3(envelope.open(ecosystem)?)
        }
        Format::Ipk => {
            let mut envelope = ipk::Sealed::read(file, what, limits)?;
            accept(&mut envelope)?;
            Reader::Ipk(envelope.open(ecosystem)?)
        }
    };
    Ok(Opened { reader })
}

/// The format that a file's first bytes announce. An ipk and an apk v2 both begin as gzip of tar and are told apart by the
/// first name in it.
fn sniff(file: &mut (impl Read + Seek), what: &str, limits: &Limits) -> Result<Format, Error> {
    let io = |e| Error::io(what, e);
    let mut magic = Vec::new();
    file.seek(SeekFrom::Start(0)).map_err(io)?;
    file.by_ref().take(8).read_to_end(&mut magic).map_err(io)?;
    file.seek(SeekFrom::Start(0)).map_err(io)?;
    match magic.as_slice() {
        [0x1f, 0x8b, ..] => {
            let mut format = Format::Apk2;
            let mut member = Metered::at(&mut *file, 0, what)?;
            let inflated = member.inflate(limits.max_unpacked, what, "the start of the package");
            tar::each(inflated, what, limits, &mut |item, _| {
                if ipk::is_member(&item.name) {
                    format = Format::Ipk;
                }
                Ok(ControlFlow::Break(()))
            })?;
            file.seek(SeekFrom::Start(0)).map_err(io)?;
            Ok(format)
        }
        [b'A', b'D', b'B', b'.' | b'd' | b'c', ..] => Ok(Format::Apk3),
        b"!<arch>\n" => Ok(Format::Ipk),
        _ => Err(Error::malformed(what, "not a package of any known format")),
    }
}

impl<R: Read + Seek> Opened<R> {
    /// What the package says about itself.
    pub fn meta(&self) -> &Meta {
        match &self.reader {
            Reader::V2(reader) => reader.meta(),
            Reader::V3(reader) => reader.meta(),
            Reader::Ipk(reader) => reader.meta(),
        }
    }

    /// What an index knows the package by. Computed from the file's bytes, not read from it.
    pub fn identity(&self) -> Identity {
        match &self.reader {
            Reader::V2(reader) => reader.identity(),
            Reader::V3(reader) => reader.identity(),
            Reader::Ipk(reader) => reader.identity(),
        }
    }

    /// Checks the package's own signatures: one good signature by one of the keys is enough.
    pub fn verify_signature(&mut self, keys: &Keyring) -> Result<Verified, Error> {
        match &mut self.reader {
            Reader::V2(reader) => reader.verify_signature(keys),
            Reader::V3(reader) => reader.verify_signature(keys),
            Reader::Ipk(reader) => reader.verify_signature(keys),
        }
    }

    /// Streams every entry to `sink` and checks every declared digest. An error after entries were handed out means that
    /// none of them may be used. May be called again; it starts over.
    pub fn read_payload(&mut self, sink: &mut EntrySink<'_>) -> Result<(), Error> {
        match &mut self.reader {
            Reader::V2(reader) => reader.read_payload(sink),
            Reader::V3(reader) => reader.read_payload(sink),
            Reader::Ipk(reader) => reader.read_payload(sink),
        }
    }
}
