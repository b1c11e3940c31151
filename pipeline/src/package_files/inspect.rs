//! Everything that a package file says, for people and for `--json`. Reads only.

use std::collections::BTreeSet;
use std::io::Seek as _;
use std::path::Path;

use serde::Serialize;
use xpkg_formats::package::Format;
use xpkg_formats::{Limits, elf};
use xpkg_model::identity::hex;
use xpkg_model::payload::EntryKind;
use xpkg_model::{Identity, Package};

use super::PackageFile;
use crate::error::Error;

/// A package file's contents in words.
#[derive(Clone, Debug, Serialize)]
pub struct Inspected {
    /// `apk2`, `apk3` or `ipk`.
    pub format: &'static str,
    /// What an index calls it by.
    pub identity: Option<Identity>,
    /// Its metadata.
    pub package: Package,
    /// Its scripts.
    pub scripts: Vec<ScriptText>,
    /// What its trigger script watches.
    pub triggers: Vec<String>,
    /// Its configuration files, where the format says which those are.
    pub conffiles: Vec<String>,
    /// Its entries.
    pub files: Vec<FileLine>,
    /// Libraries that its programs and libraries need and it does not hold itself.
    pub needs: Vec<String>,
    /// Libraries that it holds, by soname.
    pub sonames: Vec<String>,
}

/// One script.
#[derive(Clone, Debug, Serialize)]
pub struct ScriptText {
    /// apk's word for it, or the name of opkg's control member.
    pub name: String,
    /// Its text; what is no UTF-8 is replaced.
    pub text: String,
}

/// One entry.
#[derive(Clone, Debug, Serialize)]
pub struct FileLine {
    /// Absolute path.
    pub path: String,
    /// `file`, `dir`, `symlink`, `hardlink`, `char`, `block` or `fifo`.
    pub kind: &'static str,
    /// Octal.
    pub mode: String,
    /// Owner and group, by name where there is one.
    pub owner: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of a regular file's content.
    pub sha256: Option<String>,
    /// What a link points at.
    pub target: Option<String>,
    /// Names of its extended attributes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub xattrs: Vec<String>,
}

/// Reads a package file whole; every digest that it declares is checked on the way.
pub fn inspect(path: &Path) -> Result<Inspected, Error> {
    let PackageFile { meta, mut payload } = PackageFile::read(path)?;
    let mut files = Vec::new();
    let (mut needed, mut sonames) = (BTreeSet::new(), BTreeSet::new());
    payload.each(&mut |entry, content| {
        let (kind, target) = match &entry.kind {
            EntryKind::File => ("file", None),
            EntryKind::Dir => ("dir", None),
            EntryKind::Symlink(target) => ("symlink", Some(String::from_utf8_lossy(target).into_owned())),
            EntryKind::Hardlink(target) => ("hardlink", Some(target.to_string())),
            EntryKind::Char(major, minor) => ("char", Some(format!("{major}:{minor}"))),
            EntryKind::Block(major, minor) => ("block", Some(format!("{major}:{minor}"))),
            EntryKind::Fifo => ("fifo", None),
        };
        let mut sha256 = None;
        if entry.kind == EntryKind::File {
            let what = entry.path.to_string();
            let reading = || Error::io(format!("reading {what}"));
            let mut context = ring::digest::Context::new(&ring::digest::SHA256);
            let mut buf = vec![0; 64 << 10];
            loop {
                match std::io::Read::read(content, &mut buf).map_err(reading())? {
                    0 => break,
                    n => context.update(buf.get(..n).unwrap_or_default()),
                }
            }
            sha256 = Some(hex(context.finish().as_ref()));
            content.rewind().map_err(reading())?;
            // What only looks like ELF is no reason to refuse the whole package.
            if let Ok(Some(facts)) = elf::read_outline(content, &what, &Limits::default()) {
                needed.extend(facts.needed);
                sonames.extend(facts.soname);
            }
        }
        let named = |name: &str, number: u32| if name.is_empty() { number.to_string() } else { name.to_owned() };
        files.push(FileLine {
            path: entry.path.to_string(),
            kind,
            mode: format!("{:04o}", entry.mode),
            owner: format!("{}:{}", named(&entry.user, entry.uid), named(&entry.group, entry.gid)),
            size: entry.size,
            sha256,
            target,
            xattrs: entry.xattrs.iter().map(|(name, _)| name.clone()).collect(),
        });
        Ok(())
    })?;
    let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
    let apk = meta.scripts.iter().map(|(kind, bytes)| (kind.as_str().to_owned(), bytes));
    // An ipk's scripts keep opkg's names.
    let opkg = meta.control_files.iter().filter(|(name, _)| *name != "conffiles").map(|(n, bytes)| (n.clone(), bytes));
    let named: Vec<_> = if meta.format == Format::Ipk { opkg.collect() } else { apk.collect() };
    let scripts = named.into_iter().map(|(name, bytes)| ScriptText { name, text: text(bytes) }).collect();
    Ok(Inspected {
        format: format_word(meta.format),
        identity: meta.package.identity,
        package: meta.package,
        scripts,
        triggers: meta.triggers,
        conffiles: meta.conffiles.iter().map(ToString::to_string).collect(),
        files,
        needs: needed.difference(&sonames).cloned().collect(),
        sonames: sonames.into_iter().collect(),
    })
}

/// The word that options and answers use.
pub(crate) fn format_word(format: Format) -> &'static str {
    match format {
        Format::Apk2 => "apk2",
        Format::Apk3 => "apk3",
        Format::Ipk => "ipk",
    }
}
