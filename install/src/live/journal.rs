//! The journal of one transaction on a live root: JSON lines in `/usr/lib/xpkg/journal/<id>.staging`, renamed to
//! `<id>.committed` once everything it lists is on disk, and to `<id>.scripts` once that is in place and only scripts are
//! owed. Knows the lines, never carries them out.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};

use serde::{Deserialize, Serialize};
use xpkg_model::RelPath;
use xpkg_model::identity::{hex, parse_hex};
use xpkg_model::payload::ScriptKind;

use crate::scripts::ScriptCall;

/// Journals of another layout are refused, not guessed at.
pub(super) const LAYOUT: u32 = 2;
/// The oldest layout that is understood: it had no scripts.
pub(super) const OLDEST: u32 = 1;
/// A line holds at most a path, its attributes and a few kilobytes of extended attributes.
const MAX_LINE: u64 = 1 << 20;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub(super) enum Op {
    /// The first line.
    Begin {
        /// [`LAYOUT`].
        layout: u32,
        /// Owners are applied when it is replayed.
        owners: bool,
    },
    /// Temporary files may lie in this directory.
    Dir {
        #[serde(with = "path_text")]
        dir: RelPath,
    },
    /// This directory was made at staging.
    Made {
        #[serde(with = "path_text")]
        dir: RelPath,
    },
    /// Temporary file `n` beside `to` becomes `to`.
    Rename {
        #[serde(with = "path_text")]
        to: RelPath,
        n: u64,
        /// What is at `to` must go first: a directory (emptied by this transaction) or, for a directory, a file.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        clear: bool,
    },
    /// Lies inside a directory that is itself renamed; nothing to do at commit.
    Inner {
        #[serde(with = "path_text")]
        path: RelPath,
    },
    /// The path goes away.
    Remove {
        #[serde(with = "path_text")]
        path: RelPath,
    },
    /// The path gets other attributes.
    Attributes {
        #[serde(with = "path_text")]
        path: RelPath,
        mode: u32,
        uid: u32,
        gid: u32,
        mtime: Option<i64>,
        xattrs: Vec<(String, String)>,
    },
    /// A script is owed once everything else is done.
    Script(Box<Owed>),
    /// One more of the scripts has run.
    Ran,
}

/// A [`ScriptCall`] as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Owed {
    package: String,
    version: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    place: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    args: Vec<String>,
    env: Vec<(String, String)>,
}

impl Owed {
    pub(super) fn new(call: &ScriptCall) -> Self {
        Self {
            package: call.package.clone(),
            version: call.version.clone(),
            kind: call.kind.map(|kind| kind.as_str().to_owned()),
            text: path_text::escape(&call.text),
            place: call.place.as_ref().map(|place| path_text::escape(place.as_bytes())),
            name: call.name.clone(),
            args: call.args.iter().map(|arg| path_text::escape(arg)).collect(),
            env: call.env.clone(),
        }
    }

    /// The call; `None` when the line is damaged.
    pub(super) fn call(&self) -> Option<ScriptCall> {
        let kind = match &self.kind {
            Some(word) => Some(ScriptKind::ALL.into_iter().find(|kind| kind.as_str() == word)?),
            None => None,
        };
        let place = match &self.place {
            Some(place) => Some(RelPath::from_package(&path_text::unescape(place)?).ok()?),
            None => None,
        };
        Some(ScriptCall {
            package: self.package.clone(),
            version: self.version.clone(),
            kind,
            text: path_text::unescape(&self.text)?,
            place,
            name: self.name.clone(),
            args: self.args.iter().map(|arg| path_text::unescape(arg)).collect::<Option<_>>()?,
            env: self.env.clone(),
        })
    }
}

/// Appends lines. Buffered: only [`Writer::flush`] makes them survive a crash of this program.
#[derive(Debug)]
pub(super) struct Writer(BufWriter<File>);

impl Writer {
    pub(super) fn new(file: File) -> Self {
        Self(BufWriter::new(file))
    }

    pub(super) fn add(&mut self, op: &Op) -> std::io::Result<()> {
        serde_json::to_writer(&mut self.0, op)?;
        self.0.write_all(b"\n")
    }

    pub(super) fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

/// Reads a journal. A torn last line (a crash while staging) ends it; anything else that does not parse is an error.
pub(super) fn read(file: impl Read) -> Result<Vec<Op>, String> {
    let mut lines = BufReader::new(file);
    let mut ops = Vec::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut lines).take(MAX_LINE).read_until(b'\n', &mut line).map_err(|e| e.to_string())?;
        if read == 0 || line.last() != Some(&b'\n') {
            return if read as u64 == MAX_LINE { Err("a line is too long".to_owned()) } else { Ok(ops) };
        }
        ops.push(serde_json::from_slice(&line).map_err(|e| format!("line {}: {e}", ops.len() + 1))?);
    }
}

/// Extended attributes as text.
pub(super) fn pack_xattrs(xattrs: &[(String, Vec<u8>)]) -> Vec<(String, String)> {
    xattrs.iter().map(|(name, value)| (name.clone(), hex(value))).collect()
}

/// And back.
pub(super) fn unpack_xattrs(xattrs: &[(String, String)]) -> Vec<(String, Vec<u8>)> {
    let bytes = |text: &str| {
        let pairs = text.as_bytes().chunks_exact(2);
        pairs.map(|p| std::str::from_utf8(p).ok().and_then(parse_hex::<1>).map(|[b]| b)).collect::<Option<Vec<u8>>>()
    };
    xattrs.iter().filter_map(|(name, value)| Some((name.clone(), bytes(value)?))).collect()
}

/// Paths as text: what is not printable ASCII, and `%`, as `%xx`.
pub(crate) mod path_text {
    use std::fmt::Write as _;

    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
    use xpkg_model::RelPath;
    use xpkg_model::identity::parse_hex;

    /// Escapes.
    pub(crate) fn escape(bytes: &[u8]) -> String {
        let mut text = String::with_capacity(bytes.len());
        for b in bytes {
            match b {
                b'%' | 0..=0x1f | 0x7f.. => _ = write!(text, "%{b:02x}"),
                b => text.push(*b as char),
            }
        }
        text
    }

    /// Undoes [`escape`].
    pub(crate) fn unescape(text: &str) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            out.extend_from_slice(rest.get(..at)?.as_bytes());
            let [byte] = parse_hex::<1>(rest.get(at + 1..at + 3)?)?;
            out.push(byte);
            rest = rest.get(at + 3..)?;
        }
        out.extend_from_slice(rest.as_bytes());
        Some(out)
    }

    pub(crate) fn serialize<S: Serializer>(path: &RelPath, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&escape(path.as_bytes()))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<RelPath, D::Error> {
        let text = String::deserialize(from)?;
        let bytes = unescape(&text).ok_or_else(|| D::Error::custom("a path is badly escaped"))?;
        RelPath::from_package(&bytes).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_survive_and_a_torn_one_ends_the_journal() {
        let ops = [
            Op::Begin { layout: LAYOUT, owners: true },
            Op::Rename { to: RelPath::from_package(b"a/%\xffb").unwrap(), n: 3, clear: false },
            Op::Remove { path: RelPath::literal("x") },
        ];
        let mut bytes = Vec::new();
        for op in &ops {
            bytes.extend(serde_json::to_vec(op).unwrap());
            bytes.push(b'\n');
        }
        assert_eq!(read(&bytes[..]).unwrap(), ops);
        assert_eq!(read(&bytes[..bytes.len() - 3]).unwrap(), ops[..2]);
        assert!(read(&b"{}\n"[..]).is_err());
    }

    #[test]
    fn scripts_survive() {
        let mut call =
            ScriptCall::apk("a", "1-r0", ScriptKind::PostInstall, b"#!/bin/sh\n\xff%41\n", vec![b"x y".to_vec()]);
        call.place = Some(RelPath::literal("usr/lib/opkg/info/a.postinst"));
        let op = Op::Script(Box::new(Owed::new(&call)));
        let line = serde_json::to_vec(&op).unwrap();
        let Op::Script(owed) = serde_json::from_slice(&line).unwrap() else { panic!("another line") };
        assert_eq!(owed.call(), Some(call));
        assert!(!line.contains(&b'\n'));
        assert_eq!(serde_json::to_string(&Op::Ran).unwrap(), r#"{"op":"ran"}"#);
    }

    #[test]
    fn attribute_values_survive() {
        let xattrs = vec![("user.x".to_owned(), vec![0, 255, 16])];
        assert_eq!(unpack_xattrs(&pack_xattrs(&xattrs)), xattrs);
    }
}
