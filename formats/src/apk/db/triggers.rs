//! The triggers file: which package wants its trigger script run when which directories change.

use std::fmt;

use xpkg_model::identity::{parse_hex, parse_q1, q1};

use crate::Error;

/// One line: a package's identity and its directory patterns, as written (`+` before a pattern asks for modified
/// directories only).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trigger {
    /// The 20 bytes of the package's `C:`.
    pub id: [u8; 20],
    /// Patterns against absolute directory paths.
    pub patterns: Vec<String>,
}

impl Trigger {
    /// Reads a triggers file. `what` names it in messages.
    pub fn parse(text: &[u8], what: &str) -> Result<Vec<Self>, Error> {
        let text = std::str::from_utf8(text).map_err(|e| Error::malformed(what, e.to_string()))?;
        let mut triggers = Vec::new();
        for (i, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
            let mut words = line.split_ascii_whitespace();
            let id = words.next().unwrap_or_default();
            let Some(id) = parse_q1(id).or_else(|| parse_hex(id.strip_prefix("X1")?)) else {
                return Err(Error::malformed(what, format!("line {}: no package identity at its start", i + 1)));
            };
            triggers.push(Self { id, patterns: words.map(str::to_owned).collect() });
        }
        Ok(triggers)
    }

    /// Makes a line; refuses patterns that would not stay on it. `None` when there are no patterns.
    pub fn new(id: [u8; 20], patterns: &[String], what: &str) -> Result<Option<Self>, Error> {
        if let Some(bad) = patterns.iter().find(|p| p.is_empty() || p.bytes().any(|b| b <= b' ' || b == 0x7f)) {
            let reason = format!("the trigger `{}` is no path pattern", bad.escape_debug());
            return Err(Error::Unwritable { what: what.to_owned(), reason });
        }
        Ok((!patterns.is_empty()).then(|| Self { id, patterns: patterns.to_vec() }))
    }
}

impl fmt::Display for Trigger {
    /// The line, with its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&q1(&self.id))?;
        for pattern in &self.patterns {
            write!(f, " {pattern}")?;
        }
        f.write_str("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_real_line_round_trips() {
        let text = "Q1AYNx2pLOAHRYZQgv3nM8TNtvRWY= /bin /usr/bin /sbin /usr/sbin /lib/modules/*\n";
        let triggers = Trigger::parse(text.as_bytes(), "triggers").unwrap();
        assert_eq!(triggers[0].patterns.len(), 5);
        assert_eq!(triggers.iter().map(Trigger::to_string).collect::<String>(), text);
        assert!(Trigger::parse(b"busybox /bin\n", "triggers").is_err());
        assert!(Trigger::new([0; 20], &["/a\nQ1".to_owned()], "x").is_err());
    }
}
