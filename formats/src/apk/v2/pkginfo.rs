//! .PKGINFO: `key = value` lines. Unknown keys are ignored, as apk does; a key that is understood must make sense.

use std::fmt::Display;
use std::io::{BufReader, Read};

use xpkg_model::identity::{hex, parse_hex};
use xpkg_model::{Ecosystem, Package};

use super::fields::{check_words, extend, join, number};
use crate::archive::lines::Lines;
use crate::package::{Format, Meta};
use crate::{Error, Limits};

/// Reads a .PKGINFO; scripts, identity and file size are the caller's.
pub(super) fn read(content: &mut dyn Read, what: &str, ecosystem: Ecosystem, limits: &Limits) -> Result<Meta, Error> {
    let mut meta = Meta::new(Package::new(ecosystem, "", ""), Format::Apk2);
    let mut lines = Lines::new(BufReader::new(content), what, limits);
    while let Some((line, at)) = lines.next()? {
        let text = String::from_utf8_lossy(line);
        if text.starts_with('#') {
            continue;
        }
        // apk-tools splits at exactly this (src/extract_v2.c) and skips lines without it.
        let Some((key, value)) = text.split_once(" = ") else { continue };
        take(&mut meta, key, value, limits)
            .map_err(|reason| Error::malformed(what, format!(".PKGINFO line {at}: {reason}")))?;
    }
    check_words(&meta.package).map_err(|reason| Error::malformed(what, format!(".PKGINFO: {reason}")))?;
    Ok(meta)
}

fn take(meta: &mut Meta, key: &str, value: &str, limits: &Limits) -> Result<(), String> {
    let package = &mut meta.package;
    let max = limits.max_list;
    match key {
        "pkgname" => package.name = value.to_owned(),
        "pkgver" => package.version = value.to_owned(),
        "pkgdesc" => package.description = value.to_owned(),
        "url" => package.url = value.to_owned(),
        "builddate" => package.build_time = number(value)?,
        "size" => package.installed_size = number(value)?,
        "arch" => package.arch = value.to_owned(),
        "origin" => package.origin = value.to_owned(),
        "commit" => package.commit = value.to_owned(),
        "maintainer" => package.maintainer = value.to_owned(),
        "license" => package.license = value.to_owned(),
        "provider_priority" => package.provider_priority = Some(number(value)?).filter(|priority| *priority > 0),
        "replaces_priority" => package.replaces_priority = number(value)?,
        "depend" => extend(&mut package.depends, value, max)?,
        "provides" => extend(&mut package.provides, value, max)?,
        "replaces" => extend(&mut package.replaces, value, max)?,
        "install_if" => extend(&mut package.install_if, value, max)?,
        "triggers" => {
            meta.triggers.extend(value.split_ascii_whitespace().map(str::to_owned));
            if meta.triggers.len() as u64 > max {
                return Err(format!("more than {max} triggers"));
            }
        }
        "datahash" => meta.datahash = Some(parse_hex(value).ok_or("`datahash` is no SHA-256")?),
        _ => {}
    }
    Ok(())
}

/// Writes a .PKGINFO in abuild's order.
pub(super) fn write(meta: &Meta, what: &str) -> Result<Vec<u8>, Error> {
    let unfit = |reason: String| Error::Unwritable { what: what.to_owned(), reason };
    let package = &meta.package;
    check_words(package).map_err(unfit)?;
    let mut out = String::new();
    let mut line = |key: &str, value: &dyn Display| {
        let value = value.to_string();
        if value.contains('\n') {
            return Err(unfit(format!("`{key}` holds a line break")));
        }
        if !value.is_empty() {
            out.push_str(&format!("{key} = {value}\n"));
        }
        Ok(())
    };
    line("pkgname", &package.name)?;
    line("pkgver", &package.version)?;
    line("pkgdesc", &package.description)?;
    line("url", &package.url)?;
    line("builddate", &package.build_time)?;
    line("size", &package.installed_size)?;
    line("arch", &package.arch)?;
    line("origin", &package.origin)?;
    line("commit", &package.commit)?;
    line("maintainer", &package.maintainer)?;
    if package.replaces_priority != 0 {
        line("replaces_priority", &package.replaces_priority)?;
    }
    if let Some(priority) = package.provider_priority {
        line("provider_priority", &priority)?;
    }
    line("license", &package.license)?;
    for depend in &package.depends {
        if depend.alternatives().len() != 1 {
            return Err(unfit(format!("`{depend}`: apk has no alternatives")));
        }
        line("depend", depend)?;
    }
    for provide in &package.provides {
        line("provides", provide)?;
    }
    for replace in &package.replaces {
        line("replaces", replace)?;
    }
    line("install_if", &join(&package.install_if))?;
    line("triggers", &meta.triggers.join(" "))?;
    if let Some(datahash) = &meta.datahash {
        line("datahash", &hex(datahash))?;
    }
    Ok(out.into_bytes())
}
