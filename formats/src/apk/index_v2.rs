//! APKINDEX.tar.gz: a signature member, then a tar of DESCRIPTION and APKINDEX. Streams; one package in memory at a time.

mod record;

use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::ops::ControlFlow;

use tempfile::SpooledTempFile;
use xpkg_model::{Ecosystem, Package};

use super::index::{IndexInfo, PackageSink};
use super::v2::signature::{self, Signatures, leading};
use crate::archive::bounded::read_all;
use crate::archive::gzip;
use crate::archive::lines::Lines;
use crate::archive::member::Metered;
use crate::archive::tar;
use crate::archive::tar_write;
use crate::keys::{Keyring, SecretKey, Verified};
use crate::package::Format;
use crate::{Error, Limits};
use record::Record;

/// apk uses 160 bytes of a description; nobody writes more than a line.
const MAX_DESCRIPTION: u64 = 4096;

/// An index of which only the signatures were read.
pub struct Reader<R> {
    file: R,
    what: String,
    limits: Limits,
    signatures: Signatures,
    start: u64,
}

impl<R: Read + Seek> Reader<R> {
    /// Reads the signatures.
    pub fn open(mut file: R, what: &str, limits: &Limits) -> Result<Self, Error> {
        let (signatures, start) = leading(&mut file, what, limits)?;
        Ok(Self { file, what: what.to_owned(), limits: limits.clone(), signatures, start })
    }

    /// Hashes everything behind the signatures as it is stored, and checks it against them. Inflates nothing.
    pub fn verify(&mut self, keys: &Keyring) -> Result<Verified, Error> {
        let mut rest = Metered::at(&mut self.file, self.start, &self.what)?;
        rest.start(&self.signatures.hashes());
        rest.consume_rest(&self.what)?;
        self.signatures.verify(&self.what, &rest.finish(), keys)
    }

    /// Streams the packages.
    pub fn read(&mut self, ecosystem: Ecosystem, sink: &mut PackageSink<'_>) -> Result<IndexInfo, Error> {
        let (what, limits) = (self.what.as_str(), &self.limits);
        let mut info = IndexInfo::new(Format::Apk2);
        let mut found = false;
        let mut member = Metered::at(&mut self.file, self.start, what)?;
        let inflated = member.inflate(limits.max_index_unpacked, what, "the unpacked index");
        tar::each(BufReader::with_capacity(64 << 10, inflated), what, limits, &mut |item, content| {
            match item.name.as_slice() {
                b"DESCRIPTION" => {
                    let text = read_all(content, MAX_DESCRIPTION, what, "DESCRIPTION")?;
                    info.description = String::from_utf8_lossy(&text).trim_end().to_owned();
                }
                b"APKINDEX" if found => return Err(Error::malformed(what, "two APKINDEX")),
                b"APKINDEX" => {
                    found = true;
                    records(content, what, ecosystem, limits, &mut info, sink)?;
                }
                b".PKGINFO" => return Err(Error::malformed(what, "a package, not an index")),
                _ => {}
            }
            Ok(ControlFlow::Continue(()))
        })?;
        if !found {
            return Err(Error::malformed(what, "no APKINDEX in it"));
        }
        // The signature covers everything up to the end of the file, so nothing there may be left unread.
        if !member.at_end(what)? {
            return Err(Error::malformed(what, "something follows the index"));
        }
        Ok(info)
    }
}

fn records(
    content: &mut dyn Read,
    what: &str,
    ecosystem: Ecosystem,
    limits: &Limits,
    info: &mut IndexInfo,
    sink: &mut PackageSink<'_>,
) -> Result<(), Error> {
    let mut lines = Lines::new(BufReader::with_capacity(32 << 10, content), what, limits);
    let mut open: Option<Record> = None;
    let mut finish = |record: Record| {
        if info.count + info.skipped >= limits.max_entries {
            return Err(Error::limit(what, "the number of packages", limits.max_entries));
        }
        match record.finish() {
            Ok(package) => {
                info.count += 1;
                sink(package).map_err(Error::receiver)
            }
            Err((name, reason)) => {
                info.skip(&name, reason);
                Ok(())
            }
        }
    };
    while let Some((line, number)) = lines.next()? {
        // apk-tools, src/database.c: a line shorter than two bytes ends a record.
        if line.len() < 2 {
            if let Some(record) = open.take() {
                finish(record)?;
            }
            continue;
        }
        let [field, b':', value @ ..] = line else {
            return Err(Error::malformed(what, format!("APKINDEX line {number} has no `X:` at its start")));
        };
        open.get_or_insert_with(|| Record::new(ecosystem)).take(*field, value, limits);
    }
    open.map_or(Ok(()), finish)
}

/// Writes an index, signed when a key is given. Packages are written in the order given. The compressed index is held in memory.
pub fn write_v2<'a>(
    out: &mut dyn Write,
    description: &str,
    packages: impl IntoIterator<Item = &'a Package>,
    key: Option<&SecretKey>,
) -> Result<(), Error> {
    let what = "APKINDEX.tar.gz";
    let io = |e| Error::io(what, e);
    let mut text = SpooledTempFile::new(1 << 20);
    let mut record = Vec::new();
    let mut size = 0;
    for package in packages {
        record.clear();
        record::write(&mut record, package)?;
        text.write_all(&record).map_err(io)?;
        size += record.len() as u64;
    }
    text.seek(SeekFrom::Start(0)).map_err(io)?;
    let member = gzip::pack(what, |out| {
        let item = signature::file(b"DESCRIPTION".to_vec(), 0o644, 0, description.len() as u64);
        tar_write::append(out, &item, &mut description.as_bytes(), what)?;
        let item = signature::file(b"APKINDEX".to_vec(), 0o644, 0, size);
        tar_write::append(out, &item, &mut text, what)?;
        tar_write::end(out, what)
    })?;
    if let Some(key) = key {
        out.write_all(&signature::member(&member, key, 0, what)?).map_err(io)?;
    }
    out.write_all(&member).map_err(io)
}
