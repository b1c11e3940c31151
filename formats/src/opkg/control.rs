//! Control stanzas: `Key: value` lines, continuation lines that begin with a blank, one blank line between stanzas. What
//! is read is written again byte for byte. Does not know what a field means; `fields` does.

use std::io::BufRead;

use crate::archive::lines::Lines;
use crate::{Error, Limits};

/// The one field that may hold blank lines.
const DESCRIPTION: &str = "Description";

/// One stanza: fields in the order written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Control {
    fields: Vec<Field>,
}

/// A name, and everything after its colon up to the line break before the next field.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Field {
    name: String,
    raw: String,
}

impl Control {
    /// No fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there are no fields.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// A field's value without blanks around it; of fields of that name the last counts, as in opkg. Names are compared as
    /// written, letter case included. The value of a field with continuation lines holds their line breaks.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().rev().find(|field| field.name == name).map(|field| field.raw.trim())
    }

    /// A field's lines, each without blanks around it, empty ones left out: the items of `Conffiles`.
    pub fn lines<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        self.get(name).unwrap_or_default().lines().map(str::trim).filter(|line| !line.is_empty())
    }

    /// Every field: its name, and its value without blanks around it.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|field| (field.name.as_str(), field.raw.trim()))
    }

    /// Adds a field behind the others. A value of several lines must already be indented, as it is read.
    pub fn push(&mut self, name: &str, value: &str) -> Result<(), Error> {
        self.fields.push(field(name, value)?);
        Ok(())
    }

    /// Replaces a field where it stands, or adds it behind the others.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), Error> {
        let new = field(name, value)?;
        match self.fields.iter_mut().rev().find(|field| field.name == name) {
            Some(old) => *old = new,
            None => self.fields.push(new),
        }
        Ok(())
    }

    /// Replaces a field where it stands, or adds it before the first field that comes later in `order`.
    pub fn set_in_order(&mut self, name: &str, value: &str, order: &[&str]) -> Result<(), Error> {
        let rank = |name: &str| order.iter().position(|known| *known == name).unwrap_or(order.len());
        if self.get(name).is_none() {
            let own = rank(name);
            let at = self.fields.iter().position(|field| rank(&field.name) > own).unwrap_or(self.fields.len());
            self.fields.insert(at, field(name, value)?);
            return Ok(());
        }
        self.set(name, value)
    }

    /// Takes every field of that name out; `true` when there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.fields.len();
        self.fields.retain(|field| field.name != name);
        self.fields.len() != before
    }

    /// Appends the stanza, without a blank line behind it.
    pub fn write(&self, out: &mut Vec<u8>) {
        for Field { name, raw } in &self.fields {
            out.extend_from_slice(name.as_bytes());
            out.push(b':');
            out.extend_from_slice(raw.as_bytes());
            out.push(b'\n');
        }
    }

    /// The stanza as text, without a blank line behind it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    /// Reads text that holds exactly one stanza: a package's `control`.
    pub fn parse(bytes: &[u8], what: &str, limits: &Limits) -> Result<Self, Error> {
        let mut stanzas = Stanzas::new(bytes, what, limits);
        let control = stanzas.next()?.ok_or_else(|| Error::malformed(what, "no field in it"))?;
        match stanzas.next()? {
            None => Ok(control),
            Some(_) => Err(Error::malformed(what, "more than one stanza")),
        }
    }
}

/// A field that can be read again as one: no line of it may look like another field or like the end of the stanza.
fn field(name: &str, value: &str) -> Result<Field, Error> {
    let unfit = |reason: &str| Error::Unwritable {
        what: format!("field `{}`", name.chars().take(80).collect::<String>().escape_debug()),
        reason: reason.to_owned(),
    };
    if !valid_key(name) {
        return Err(unfit("it is no field name"));
    }
    if value.contains('\0') {
        return Err(unfit("its value holds a NUL"));
    }
    let mut rest = value.split('\n');
    let first = rest.next().unwrap_or_default();
    let ends = |line: &str| line.trim().is_empty() && !(name == DESCRIPTION && line.starts_with(' '));
    if rest.any(|line| !line.starts_with([' ', '\t']) || ends(line)) {
        return Err(unfit("a line of its value is not indented, or empty"));
    }
    let blank = if first.is_empty() || first.starts_with(' ') { "" } else { " " };
    Ok(Field { name: name.to_owned(), raw: format!("{blank}{value}") })
}

fn valid_key(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && b != b':')
}

/// Stanzas of a file, one at a time.
pub struct Stanzas<'a, R> {
    lines: Lines<'a, R>,
    what: &'a str,
    limits: Limits,
    count: u64,
}

impl<'a, R: BufRead> Stanzas<'a, R> {
    /// Starts reading. `what` names the file in messages.
    pub fn new(reader: R, what: &'a str, limits: &Limits) -> Self {
        Self { lines: Lines::new(reader, what, limits), what, limits: limits.clone(), count: 0 }
    }

    /// The next stanza; `None` at the end. Bytes that are no UTF-8 are replaced.
    #[allow(clippy::should_implement_trait, reason = "an iterator over results invites skipping errors")]
    pub fn next(&mut self) -> Result<Option<Control>, Error> {
        let mut control = Control::new();
        let mut size = 0;
        while let Some((line, number)) = self.lines.next()? {
            // opkg (libopkg/pkg_parse.c) ends a stanza at a line of nothing but white space, except that a description
            // goes on after one that begins with a blank.
            let described =
                control.fields.last().is_some_and(|field| field.name == DESCRIPTION) && line.starts_with(b" ");
            if line.iter().all(u8::is_ascii_whitespace) && !described {
                if control.is_empty() {
                    continue;
                }
                break;
            }
            size += line.len() as u64;
            if size > self.limits.max_metadata {
                return Err(Error::limit(self.what, "a stanza", self.limits.max_metadata));
            }
            let text = String::from_utf8_lossy(line);
            let bad = |reason: &str| Error::malformed(self.what, format!("line {number}: {reason}"));
            if text.starts_with([' ', '\t']) {
                let field = control.fields.last_mut().ok_or_else(|| bad("it continues no field"))?;
                if (field.raw.len() + text.len()) as u64 > self.limits.max_line {
                    return Err(Error::limit(self.what, format!("field `{}`", field.name), self.limits.max_line));
                }
                field.raw.push('\n');
                field.raw.push_str(&text);
                continue;
            }
            let (name, raw) = text
                .split_once(':')
                .filter(|(name, _)| valid_key(name))
                .ok_or_else(|| bad("neither `Key: value` nor a continuation"))?;
            if control.fields.len() as u64 >= self.limits.max_list {
                return Err(Error::limit(self.what, "the number of fields", self.limits.max_list));
            }
            control.fields.push(Field { name: name.to_owned(), raw: raw.to_owned() });
        }
        if control.is_empty() {
            return Ok(None);
        }
        self.count += 1;
        if self.count > self.limits.max_entries {
            return Err(Error::limit(self.what, "the number of stanzas", self.limits.max_entries));
        }
        Ok(Some(control))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "Package: a\nDescription:  first\n second: line\n\ttabbed\nConffiles:\n /etc/a 00\n /etc/b 11\nEmpty:\n";

    fn all(text: &str) -> Result<Vec<Control>, Error> {
        let limits = Limits { max_line: 64, max_list: 8, max_metadata: 200, ..Limits::default() };
        let mut stanzas = Stanzas::new(text.as_bytes(), "status", &limits);
        let mut out = Vec::new();
        while let Some(control) = stanzas.next()? {
            out.push(control);
        }
        Ok(out)
    }

    #[test]
    fn bytes_come_back() {
        let described = all("Description: a\n \n b\n\t\nPackage: b\n \nPackage: c").unwrap();
        assert_eq!((described.len(), described[0].get("Description")), (3, Some("a\n \n b")));
        let read = all(&format!("\n{TEXT}\n \nPackage: b\n")).unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!(String::from_utf8(read[0].to_bytes()).unwrap(), TEXT);
        assert_eq!(read[0].get("Description"), Some("first\n second: line\n\ttabbed"));
        assert_eq!(read[0].lines("Conffiles").collect::<Vec<_>>(), ["/etc/a 00", "/etc/b 11"]);
        assert_eq!(read[0].get("Empty"), Some(""));
        assert_eq!(read[0].get("package"), None);
    }

    #[test]
    fn what_is_no_stanza_is_refused() {
        let long = format!("A: {}\n", "x".repeat(70));
        let continued = format!("A: x\n{}", " 0123456789012345678901234567\n".repeat(3));
        let many = "A: b\n".repeat(9);
        for bad in [" indented\n", "<html>\n", ": x\n", "a b: c\n", &long, &continued, &many] {
            assert!(all(bad).is_err(), "{bad:?}");
        }
        assert!(Control::parse(b"A: 1\n\nB: 2\n", "control", &Limits::default()).is_err());
        assert!(Control::parse(b"\n\n", "control", &Limits::default()).is_err());
    }

    #[test]
    fn a_value_cannot_become_another_field() {
        let mut control = Control::new();
        for (name, value) in
            [("A", "x\nEssential: yes"), ("A", "x\n\nPackage: y"), ("A", "x\n "), ("A:B", "x"), ("", "x")]
        {
            assert!(control.push(name, value).is_err(), "{name:?} {value:?}");
        }
        control.push("A", "1").unwrap();
        control.push("B", "\n /etc/a 00").unwrap();
        control.set("A", "2\n more").unwrap();
        assert_eq!(control.to_bytes(), b"A: 2\n more\nB:\n /etc/a 00\n");
        assert!(control.remove("A") && !control.remove("A"));
    }
}
