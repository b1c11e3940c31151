//! Reads the installed database, one package at a time. Keeps every line, and refuses what apk itself would refuse.

use std::io::BufRead;

use xpkg_model::dependency::{self, Provide};
use xpkg_model::identity::{parse_hex, parse_q1};
use xpkg_model::{Ecosystem, Identity, Package, RelPath};

use super::lines::Lines;
use super::record::{Acl, DbDir, DbFile, InstalledRecord, Verbatim};
use super::write::write_header;
use crate::limits::Limits;
use crate::{BoxError, Error};

/// Letters of `f:` that apk knows; any other makes it refuse the database.
const FLAGS: &str = "fsxS";

/// Reads every package of an installed database and hands it over. `ecosystem` is the world of the root: the database
/// does not know which package came from another one. `what` names the file in messages.
pub fn read_installed(
    reader: impl BufRead,
    what: &str,
    ecosystem: Ecosystem,
    limits: &Limits,
    sink: &mut dyn FnMut(InstalledRecord) -> Result<(), BoxError>,
) -> Result<(), Error> {
    let mut lines = Lines::new(reader, what, limits);
    let mut open: Option<Paragraph> = None;
    let mut packages = 0;
    while lines.advance()? {
        if lines.line().len() < 2 {
            let Some(paragraph) = open.take() else { continue };
            packages += 1;
            if packages > limits.max_entries {
                return Err(Error::limit(what, "installed packages", limits.max_entries));
            }
            let record = paragraph.finish().map_err(|reason| lines.bad(reason))?;
            sink(record).map_err(Error::receiver)?;
            continue;
        }
        let paragraph = open.get_or_insert_with(|| Paragraph::new(ecosystem));
        paragraph.take(lines.line()).map_err(|reason| lines.bad(reason))?;
        if paragraph.entries > limits.max_entries {
            return Err(Error::limit(what, "entries of one package", limits.max_entries));
        }
    }
    match open {
        // apk would lose the package without a word.
        Some(cut) => Err(lines.bad(format!("the file ends within the package `{}`", cut.record.package.name))),
        None => Ok(()),
    }
}

struct Paragraph {
    record: InstalledRecord,
    identity: Option<[u8; 20]>,
    header: Vec<u8>,
    entries: u64,
}

impl Paragraph {
    fn new(ecosystem: Ecosystem) -> Self {
        let record = InstalledRecord::new(Package::new(ecosystem, "", ""));
        Self { record, identity: None, header: Vec::new(), entries: 0 }
    }

    fn take(&mut self, line: &[u8]) -> Result<(), String> {
        let [field, b':', value @ ..] = line else { return Err("no `X:` at its start".to_owned()) };
        match field {
            b'F' | b'M' | b'R' | b'a' | b'Z' => {
                self.entries += 1;
                self.take_entry(*field, value)
            }
            _ => {
                if self.record.dirs.is_empty() {
                    self.header.extend_from_slice(line);
                    self.header.push(b'\n');
                }
                self.take_header(*field, &String::from_utf8_lossy(value))
            }
        }
    }

    fn take_header(&mut self, field: u8, value: &str) -> Result<(), String> {
        let package = &mut self.record.package;
        match field {
            b'C' => self.identity = Some(digest(value)?),
            b'P' if dependency::valid_name(value) => package.name = value.to_owned(),
            b'P' => return Err(format!("`{}` is no package name", value.escape_debug())),
            b'V' => package.version = value.to_owned(),
            b'A' => package.arch = value.to_owned(),
            b'S' => package.size = number(value)?,
            b'I' => package.installed_size = number(value)?,
            b'T' => package.description = value.to_owned(),
            b'U' => package.url = value.to_owned(),
            b'L' => package.license = value.to_owned(),
            b'o' => package.origin = value.to_owned(),
            b'm' => package.maintainer = value.to_owned(),
            b't' => package.build_time = number(value)?,
            b'c' => package.commit = value.to_owned(),
            b'k' => package.provider_priority = Some(number(value)?),
            b'D' => package.depends = list(value)?.into_iter().map(Into::into).collect(),
            b'p' => package.provides = list(value)?.into_iter().map(Provide::from).collect(),
            b'i' => package.install_if = list(value)?,
            b'r' => package.replaces = list(value)?,
            b'g' => package.tags = value.split_ascii_whitespace().map(str::to_owned).collect(),
            b'q' => package.replaces_priority = number(value)?,
            b's' => self.record.repo_tag = Some(value.to_owned()),
            b'f' => match value.chars().find(|c| !FLAGS.contains(*c)) {
                Some(flag) => return Err(format!("flag `{flag}` is of a newer apk")),
                None => self.record.flags = value.to_owned(),
            },
            _ => return Err(format!("field `{}` is of a newer apk", (field as char).escape_debug())),
        }
        Ok(())
    }

    fn take_entry(&mut self, field: u8, value: &[u8]) -> Result<(), String> {
        if field == b'F' {
            let path = RelPath::from_package(value).map_err(|e| e.to_string())?;
            if path.as_bytes() != value {
                return Err(format!("directory `{}` is not written plainly", String::from_utf8_lossy(value)));
            }
            self.record.dirs.push(DbDir { path, acl: None, files: Vec::new() });
            return Ok(());
        }
        let early = || format!("`{}:` before the entry it belongs to", field as char);
        let dir = self.record.dirs.last_mut().ok_or_else(early)?;
        match field {
            b'M' => dir.acl = Some(acl(value)?),
            b'R' => {
                let path = RelPath::from_package(value).map_err(|e| e.to_string())?;
                if path.as_bytes() != value || value.contains(&b'/') || value.is_empty() {
                    return Err(format!("`{}` is no file name", String::from_utf8_lossy(value)));
                }
                dir.files.push(DbFile { name: value.to_vec(), acl: None, digest: None });
            }
            b'a' => dir.files.last_mut().ok_or_else(early)?.acl = Some(acl(value)?),
            _ => dir.files.last_mut().ok_or_else(early)?.digest = Some(digest(&String::from_utf8_lossy(value))?),
        }
        Ok(())
    }

    fn finish(mut self) -> Result<InstalledRecord, String> {
        let package = &mut self.record.package;
        if package.name.is_empty() || package.version.is_empty() {
            return Err("a package without name or version ends here".to_owned());
        }
        let Some(identity) = self.identity else {
            return Err(format!("the package `{}` that ends here has no identity (`C:`)", package.name));
        };
        package.identity = Some(match self.record.flags.contains('S') {
            true => Identity::ApkSha256Short(identity),
            false => Identity::ApkSha1(identity),
        });
        let mut written = Vec::new();
        write_header(&mut written, &self.record).map_err(|e| e.to_string())?;
        if written != self.header {
            self.record.verbatim = Some(Box::new(Verbatim { read: self.header, written }));
        }
        Ok(self.record)
    }
}

/// `Q1` and base64, or `X1` and hex.
fn digest(text: &str) -> Result<[u8; 20], String> {
    let found = parse_q1(text).or_else(|| parse_hex(text.strip_prefix("X1")?));
    found.ok_or_else(|| format!("`{}` is no digest", text.chars().take(60).collect::<String>().escape_debug()))
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("`{}` is no number", text.chars().take(30).collect::<String>().escape_debug()))
}

fn list(text: &str) -> Result<Vec<dependency::Dependency>, String> {
    dependency::parse_list(text).map_err(|e| e.to_string())
}

/// `uid:gid:mode` or `uid:gid:mode:Q1…`.
fn acl(value: &[u8]) -> Result<Acl, String> {
    let text = String::from_utf8_lossy(value);
    let mut parts = text.splitn(4, ':');
    let mut next = || parts.next().ok_or_else(|| "an owner and mode need three numbers".to_owned());
    let (uid, gid, mode) = (number(next()?)?, number(next()?)?, next()?);
    let mode = u32::from_str_radix(mode, 8).ok().filter(|mode| *mode <= 0o7777);
    let mode = mode.ok_or_else(|| "a mode is an octal number up to 7777".to_owned())?;
    let xattr = parts.next().map(|text| digest(text).map(|_| text.to_owned())).transpose()?;
    Ok(Acl { uid, gid, mode, xattr })
}

#[cfg(test)]
mod tests;
