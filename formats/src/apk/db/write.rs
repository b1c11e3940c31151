//! Writes the installed database, one package at a time, in apk's own order of fields.

use std::fmt::Display;
use std::io::Write;

use xpkg_model::Requirement;
use xpkg_model::dependency::{valid_name, valid_package_name};
use xpkg_model::identity::q1;

use super::record::{Acl, InstalledRecord};
use crate::Error;

/// Writes one package and the empty line after it. A header that was read and has not been changed is written as it was.
pub fn write_record(out: &mut impl Write, record: &InstalledRecord) -> Result<(), Error> {
    let what = || format!("the database entry of {}", record.package.name);
    let mut text = Vec::new();
    write_header(&mut text, record)?;
    if let Some(verbatim) = record.verbatim.as_ref().filter(|v| v.written == text) {
        text.clone_from(&verbatim.read);
    }
    for dir in &record.dirs {
        line(&mut text, b'F', dir.path.as_bytes());
        acl(&mut text, b'M', dir.acl.as_ref());
        for file in &dir.files {
            if file.name.is_empty() || file.name.iter().any(|b| matches!(b, b'/' | b'\n' | b'\r' | 0)) {
                let name = String::from_utf8_lossy(&file.name).escape_debug().to_string();
                return Err(Error::Unwritable { what: what(), reason: format!("`{name}` is no file name") });
            }
            line(&mut text, b'R', &file.name);
            acl(&mut text, b'a', file.acl.as_ref());
            if let Some(digest) = &file.digest {
                line(&mut text, b'Z', q1(digest).as_bytes());
            }
        }
    }
    text.push(b'\n');
    out.write_all(&text).map_err(|e| Error::io(what(), e))
}

/// Writes the lines before the first directory: those of APKINDEX, then `g:` `r:` `q:` `s:` `f:`.
pub fn write_header(text: &mut Vec<u8>, record: &InstalledRecord) -> Result<(), Error> {
    let package = &record.package;
    let refuse = |reason| Error::Unwritable { what: format!("the database entry of {}", package.name), reason };
    let Some(identity) = &package.identity else {
        return Err(refuse("it has no identity, and apk refuses entries without `C:`".to_owned()));
    };
    let word = |name: &str, word: &str| match word.bytes().all(|b| b.is_ascii_graphic()) && !word.is_empty() {
        true => Ok(()),
        false => Err(refuse(format!("its {name} `{}` is no single word", word.escape_debug()))),
    };
    word("version", &package.version)?;
    if !valid_package_name(&package.name) && !valid_name(&package.name) {
        return Err(refuse("its name is not valid".to_owned()));
    }
    line(text, b'C', identity.to_q1().as_bytes());
    line(text, b'P', package.name.as_bytes());
    line(text, b'V', package.version.as_bytes());
    if !package.arch.is_empty() {
        word("architecture", &package.arch)?;
        line(text, b'A', package.arch.as_bytes());
    }
    line(text, b'S', package.size.to_string().as_bytes());
    line(text, b'I', package.installed_size.to_string().as_bytes());
    prose(text, b'T', &package.description);
    prose(text, b'U', &package.url);
    prose(text, b'L', &package.license);
    for (field, value) in [(b'o', &package.origin), (b'm', &package.maintainer)] {
        if !value.is_empty() {
            prose(text, field, value);
        }
    }
    if package.build_time != 0 {
        line(text, b't', package.build_time.to_string().as_bytes());
    }
    if !package.commit.is_empty() {
        prose(text, b'c', &package.commit);
    }
    if let Some(priority) = package.provider_priority.filter(|p| *p != 0) {
        line(text, b'k', priority.to_string().as_bytes());
    }
    if let Some(choice) = package.depends.iter().find(|d| d.alternatives().len() > 1) {
        return Err(refuse(format!("`{choice}` is a choice, and apk's database has no words for one")));
    }
    list(text, b'D', package.depends.iter().map(Requirement::to_string));
    list(text, b'p', &package.provides);
    list(text, b'i', &package.install_if);
    for tag in &package.tags {
        word("tag", tag)?;
    }
    list(text, b'g', &package.tags);
    list(text, b'r', &package.replaces);
    if package.replaces_priority != 0 {
        line(text, b'q', package.replaces_priority.to_string().as_bytes());
    }
    if let Some(tag) = &record.repo_tag {
        word("repository tag", tag)?;
        line(text, b's', tag.as_bytes());
    }
    if !record.flags.is_empty() {
        word("flags", &record.flags)?;
        line(text, b'f', record.flags.as_bytes());
    }
    Ok(())
}

fn line(text: &mut Vec<u8>, field: u8, value: &[u8]) {
    text.extend_from_slice(&[field, b':']);
    text.extend_from_slice(value);
    text.push(b'\n');
}

/// Free text of a package. A v3 package may hold line breaks, which would begin new fields here.
fn prose(text: &mut Vec<u8>, field: u8, value: &str) {
    let one_line: Vec<u8> = value.bytes().map(|b| if matches!(b, b'\n' | b'\r' | 0) { b' ' } else { b }).collect();
    line(text, field, &one_line);
}

fn list(text: &mut Vec<u8>, field: u8, items: impl IntoIterator<Item = impl Display>) {
    let words: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    if !words.is_empty() {
        line(text, field, words.join(" ").as_bytes());
    }
}

fn acl(text: &mut Vec<u8>, field: u8, acl: Option<&Acl>) {
    let Some(Acl { uid, gid, mode, xattr }) = acl else { return };
    let mut value = format!("{uid}:{gid}:{mode:o}");
    if let Some(digest) = xattr {
        value.push(':');
        value.push_str(digest);
    }
    line(text, field, value.as_bytes());
}
