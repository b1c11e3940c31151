//! The archive of maintainer scripts beside the installed database: tar, plain or in gzip, one entry per script, named
//! `name-version.<id>.<action>`. Runs nothing.

use std::io::{BufRead, Read, Write};

use flate2::Compression as Level;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use xpkg_model::Package;
use xpkg_model::identity::{hex, parse_hex, parse_q1, q1};
use xpkg_model::payload::ScriptKind;

use super::make::Generation;
use crate::limits::Limits;
use crate::{BoxError, Error};

/// Bytes of a tar block.
const BLOCK: usize = 512;
/// What fits into a tar header's name with a NUL after it; apk writes longer ones as GNU tar does.
const MAX_SHORT_NAME: usize = 99;

/// How the identity is spelled in an entry's name. Both apks read both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// `Q1` and base64: apk 2.
    Base64,
    /// `X1` and hex: apk 3.
    Hex,
}

/// How the archive is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// `scripts.tar`
    Plain,
    /// `scripts.tar.gz`
    Gzip,
}

/// One script of one installed package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// `name-version`
    pub owner: String,
    /// The 20 bytes of the package's `C:`; what apk goes by.
    pub id: [u8; 20],
    /// How the identity is written.
    pub spelling: Spelling,
    /// When it runs.
    pub kind: ScriptKind,
    /// The package's build time.
    pub mtime: u64,
    /// The script.
    pub content: Vec<u8>,
}

impl Script {
    /// The entry for a script of a package that is being installed; `None` when the package has no identity.
    pub fn new(package: &Package, kind: ScriptKind, content: Vec<u8>, generation: Generation) -> Option<Self> {
        let spelling = if generation == Generation::Apk2 { Spelling::Base64 } else { Spelling::Hex };
        let owner = format!("{}-{}", package.name, package.version);
        Some(Self { owner, id: package.identity?.prefix(), spelling, kind, mtime: package.build_time, content })
    }

    /// The entry's name.
    pub fn entry_name(&self) -> String {
        let id = match self.spelling {
            Spelling::Base64 => q1(&self.id),
            Spelling::Hex => format!("X1{}", hex(&self.id)),
        };
        format!("{}.{id}.{}", self.owner, self.kind.as_str())
    }

    /// Takes an entry's name apart; `None` when it is no script's.
    fn parse_name(name: &str) -> Option<(String, [u8; 20], Spelling, ScriptKind)> {
        let (rest, action) = name.rsplit_once('.')?;
        let (owner, id) = rest.rsplit_once('.')?;
        let (id, spelling) = match id.strip_prefix("X1") {
            Some(digits) => (parse_hex(digits)?, Spelling::Hex),
            None => (parse_q1(id)?, Spelling::Base64),
        };
        Some((owner.to_owned(), id, spelling, ScriptKind::parse(action)?))
    }
}

/// Reads an archive, packed or not, and hands over script by script. Other entries are passed over, as apk does; it
/// would not write them again either. Says how the archive is packed.
pub fn read_scripts(
    mut reader: impl BufRead,
    what: &str,
    limits: &Limits,
    sink: &mut dyn FnMut(Script) -> Result<(), BoxError>,
) -> Result<Packing, Error> {
    let begins = reader.fill_buf().map_err(|e| Error::io(what, e))?;
    if begins.is_empty() {
        return Ok(Packing::Plain);
    }
    if begins.starts_with(&[0x1f, 0x8b]) {
        read_tar(MultiGzDecoder::new(reader), what, limits, sink)?;
        return Ok(Packing::Gzip);
    }
    read_tar(reader, what, limits, sink)?;
    Ok(Packing::Plain)
}

fn read_tar(
    reader: impl Read,
    what: &str,
    limits: &Limits,
    sink: &mut dyn FnMut(Script) -> Result<(), BoxError>,
) -> Result<(), Error> {
    let broken = |e: std::io::Error| Error::malformed(what, e.to_string());
    // One byte more than allowed: reaching it tells a long archive from one that ends there.
    let mut archive = tar::Archive::new(reader.take(limits.max_metadata.saturating_add(1)));
    let mut count = 0;
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        count += 1;
        if count > limits.max_entries || entry.raw_file_position() > limits.max_metadata {
            return Err(Error::limit(what, "scripts", limits.max_entries));
        }
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let Some((owner, id, spelling, kind)) = Script::parse_name(&name) else { continue };
        if !entry.header().entry_type().is_file() {
            continue;
        }
        if entry.size() > limits.max_script {
            return Err(Error::limit(what, format!("the script {name}"), limits.max_script));
        }
        let mtime = entry.header().mtime().map_err(broken)?;
        let mut content = Vec::new();
        entry.read_to_end(&mut content).map_err(broken)?;
        if content.len() as u64 != entry.size() {
            return Err(Error::malformed(what, format!("it ends within {name}")));
        }
        sink(Script { owner, id, spelling, kind, mtime, content }).map_err(Error::receiver)?;
    }
    Ok(())
}

/// Writes an archive, header for header as apk does.
pub struct ScriptsWriter<W: Write> {
    out: Out<W>,
}

enum Out<W: Write> {
    Plain(W),
    Gzip(Box<GzEncoder<W>>),
}

impl<W: Write> Write for Out<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(out) => out.write(bytes),
            Self::Gzip(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Plain(out) => out.flush(),
            Self::Gzip(out) => out.flush(),
        }
    }
}

impl<W: Write> ScriptsWriter<W> {
    /// Begins an archive.
    pub fn new(out: W, packing: Packing) -> Self {
        Self {
            out: match packing {
                Packing::Plain => Out::Plain(out),
                Packing::Gzip => Out::Gzip(Box::new(GzEncoder::new(out, Level::best()))),
            },
        }
    }

    /// Adds a script.
    pub fn append(&mut self, script: &Script) -> std::io::Result<()> {
        let name = script.entry_name();
        if name.len() > MAX_SHORT_NAME {
            // GNU tar counts the NUL after the name, apk does not; readers take both.
            self.out.write_all(&header(b"././@LongLink", b'L', name.len(), script.mtime))?;
            self.padded(name.as_bytes())?;
        }
        let short = name.as_bytes();
        self.out.write_all(&header(
            short.get(..MAX_SHORT_NAME).unwrap_or(short),
            b'0',
            script.content.len(),
            script.mtime,
        ))?;
        self.padded(&script.content)
    }

    /// Ends the archive.
    pub fn finish(mut self) -> std::io::Result<W> {
        self.out.write_all(&[0; 2 * BLOCK])?;
        match self.out {
            Out::Plain(out) => Ok(out),
            Out::Gzip(out) => out.finish(),
        }
    }

    fn padded(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.out.write_all(bytes)?;
        let padding = bytes.len().next_multiple_of(BLOCK) - bytes.len();
        self.out.write_all(&[0; BLOCK][..padding])
    }
}

/// A header as apk's tar writer makes it (apk-tools tar.c): GNU magic, root:root, 0755, size and mtime of twelve digits
/// without a NUL. The `tar` crate writes eleven and a NUL, which other readers take as well but no byte comparison does.
fn header(name: &[u8], kind: u8, size: usize, mtime: u64) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name);
    put(100, b"0000755\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{size:012o}").as_bytes());
    // Twelve octal digits: until the year 4147.
    put(136, format!("{:012o}", mtime & 0o777_777_777_777).as_bytes());
    put(148, b"        ");
    put(156, &[kind]);
    put(257, b"ustar  \0");
    put(265, b"root");
    put(297, b"root");
    let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
    let digits = format!("{sum:06o}\0");
    block[148..148 + digits.len()].copy_from_slice(digits.as_bytes());
    block
}

#[cfg(test)]
mod tests;
