//! One package of an APKINDEX: `X:value` lines, read and written in apk's order. A package that asks for something not
//! understood is left out with a reason; the index stays usable.

use std::fmt::Display;

use xpkg_model::identity::{parse_hex, parse_q1};
use xpkg_model::{Ecosystem, Identity, Package};

use crate::apk::v2::fields::{check_words, extend, join, number};
use crate::{Error, Limits};

/// A package whose lines are coming in.
pub(super) struct Record {
    package: Package,
    problem: Option<String>,
}

impl Record {
    pub(super) fn new(ecosystem: Ecosystem) -> Self {
        Self { package: Package::new(ecosystem, "", ""), problem: None }
    }

    /// Takes one line.
    pub(super) fn take(&mut self, field: u8, value: &[u8], limits: &Limits) {
        if let Err(reason) = self.set(field, &String::from_utf8_lossy(value), limits.max_list) {
            self.problem.get_or_insert(format!("field {}: {reason}", char::from(field).escape_debug()));
        }
    }

    fn set(&mut self, field: u8, value: &str, max: u64) -> Result<(), String> {
        let package = &mut self.package;
        match field {
            b'C' => package.identity = Some(identity(value).ok_or("no checksum that is understood")?),
            b'P' => package.name = value.to_owned(),
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
            b'k' => package.provider_priority = Some(number(value)?).filter(|priority| *priority > 0),
            b'D' => extend(&mut package.depends, value, max)?,
            b'p' => extend(&mut package.provides, value, max)?,
            b'i' => extend(&mut package.install_if, value, max)?,
            b'r' => extend(&mut package.replaces, value, max)?,
            b'q' => package.replaces_priority = number(value)?,
            // Of the installed database; apk ignores them here.
            b'F' | b'M' | b'R' | b'Z' => {}
            // apk-tools, src/package.c: an upper-case field is one that old versions must not ignore.
            _ if field.is_ascii_uppercase() => {
                return Err("it is not known, and what needs it cannot be installed".to_owned());
            }
            _ => {}
        }
        Ok(())
    }

    /// The package, or its name and why it is left out.
    pub(super) fn finish(self) -> Result<Package, (String, String)> {
        let Self { package, problem } = self;
        let check = || {
            problem.map_or(Ok(()), Err)?;
            check_words(&package)?;
            package.identity.map(drop).ok_or_else(|| "no checksum".to_owned())
        };
        match check() {
            Ok(()) => Ok(package),
            Err(reason) => Err((package.name.chars().take(128).collect::<String>().escape_debug().to_string(), reason)),
        }
    }
}

/// `Q1` and base64, or `X1` and hex: apk's two spellings of a SHA-1.
fn identity(text: &str) -> Option<Identity> {
    parse_q1(text).or_else(|| parse_hex(text.strip_prefix("X1")?)).map(Identity::ApkSha1)
}

/// Appends a package and the blank line behind it.
pub(super) fn write(out: &mut Vec<u8>, package: &Package) -> Result<(), Error> {
    let unfit = |reason: String| Error::Unwritable { what: format!("the index entry of {}", package.name), reason };
    check_words(package).map_err(unfit)?;
    let identity = match package.identity {
        Some(identity @ Identity::ApkSha1(_)) => identity,
        _ => return Err(unfit("an APKINDEX lists packages by their SHA-1".to_owned())),
    };
    let mut line = |field: char, value: &dyn Display, always: bool| {
        let value = value.to_string();
        if value.contains('\n') {
            return Err(unfit(format!("field {field} holds a line break")));
        }
        if always || !value.is_empty() {
            out.extend_from_slice(format!("{field}:{value}\n").as_bytes());
        }
        Ok(())
    };
    line('C', &identity.to_q1(), true)?;
    line('P', &package.name, true)?;
    line('V', &package.version, true)?;
    line('A', &package.arch, false)?;
    line('S', &package.size, true)?;
    line('I', &package.installed_size, true)?;
    line('T', &package.description, true)?;
    line('U', &package.url, true)?;
    line('L', &package.license, true)?;
    line('o', &package.origin, false)?;
    line('m', &package.maintainer, false)?;
    if package.build_time != 0 {
        line('t', &package.build_time, true)?;
    }
    line('c', &package.commit, false)?;
    if let Some(priority) = package.provider_priority {
        line('k', &priority, true)?;
    }
    if let Some(choice) = package.depends.iter().find(|depend| depend.alternatives().len() != 1) {
        return Err(unfit(format!("`{choice}`: apk has no alternatives")));
    }
    line('D', &join(&package.depends), false)?;
    line('p', &join(&package.provides), false)?;
    line('i', &join(&package.install_if), false)?;
    out.push(b'\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Package, (String, String)> {
        let mut record = Record::new(Ecosystem::Alpine);
        for line in text.lines() {
            let (field, value) = line.split_once(':').unwrap();
            record.take(field.as_bytes()[0], value.as_bytes(), &Limits::default());
        }
        record.finish()
    }

    #[test]
    fn unknown_fields_follow_apks_rule() {
        let text = "C:Q1AAAAAAAAAAAAAAAAAAAAAAAAAAA=\nP:a\nV:1-r0\n";
        assert_eq!(read(text).unwrap().name, "a");
        assert!(read(&format!("{text}x:ignored")).is_ok());
        assert_eq!(read(&format!("{text}X:new")).unwrap_err().0, "a");
        for broken in ["D:=1", "S:many", "P:../a", "V:1/2", "A:x/../y", "C:Q1short"] {
            assert!(read(&format!("{text}{broken}")).is_err(), "{broken}");
        }
        assert!(read("P:a\nV:1-r0").is_err());
    }
}
