//! apk-tools' version order (apk-package(5), "Package version"; behaviour of apk-tools 3.0).
//!
//! `number{.number}*{letter}{_suffix{number}}*{~hexhash}{-r number}`: a version is a row of tokens whose kinds never go
//! back. Two versions are compared token by token; where the kinds differ, the kinds decide.

use super::Relation;

/// Token kinds, in the order that decides when they differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    FirstDigit,
    Digit,
    Letter,
    Suffix,
    SuffixNumber,
    CommitHash,
    Revision,
    End,
    Invalid,
}

/// Pre-release suffixes rank below "no suffix"; the others above. Lower sorts first.
const SUFFIXES: [(&str, u8); 9] =
    [("alpha", 1), ("beta", 2), ("pre", 3), ("rc", 4), ("cvs", 6), ("svn", 7), ("git", 8), ("hg", 9), ("p", 10)];
/// Rank of having no suffix at all.
const NO_SUFFIX: u8 = 5;

struct Tokens<'a> {
    rest: &'a str,
    kind: Kind,
    /// Text of the current token: digits, the letter, the hash.
    text: &'a str,
    /// Rank of the current suffix.
    rank: u8,
}

impl<'a> Tokens<'a> {
    fn new(version: &'a str) -> Self {
        let mut tokens = Self { rest: version, kind: Kind::FirstDigit, text: "", rank: 0 };
        tokens.digits(Kind::FirstDigit);
        tokens
    }

    fn digits(&mut self, kind: Kind) {
        let end = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
        (self.text, self.rest) = self.rest.split_at(end);
        self.kind = if end == 0 { Kind::Invalid } else { kind };
    }

    fn advance(&mut self) {
        let Some(first) = self.rest.bytes().next() else {
            if self.kind != Kind::Invalid {
                self.kind = Kind::End;
            }
            return;
        };
        let before = self.kind;
        let numeric = matches!(before, Kind::FirstDigit | Kind::Digit);
        match first {
            b'a'..=b'z' if numeric => {
                (self.text, self.rest) = self.rest.split_at(1);
                self.kind = Kind::Letter;
            }
            b'.' if numeric => {
                self.rest = &self.rest[1..];
                self.digits(Kind::Digit);
            }
            b'0'..=b'9' if before == Kind::Suffix => self.digits(Kind::SuffixNumber),
            b'_' if before <= Kind::SuffixNumber => self.suffix(),
            b'~' if before < Kind::CommitHash => {
                let text = &self.rest[1..];
                let end = text.find(|c: char| !matches!(c, '0'..='9' | 'a'..='f')).unwrap_or(text.len());
                (self.text, self.rest) = text.split_at(end);
                self.kind = if end == 0 { Kind::Invalid } else { Kind::CommitHash };
            }
            b'-' if before < Kind::Revision && self.rest.starts_with("-r") => {
                self.rest = &self.rest[2..];
                self.digits(Kind::Revision);
            }
            _ => self.kind = Kind::Invalid,
        }
    }

    fn suffix(&mut self) {
        let text = &self.rest[1..];
        let end = text.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(text.len());
        match SUFFIXES.iter().find(|(name, _)| *name == &text[..end]) {
            Some((_, rank)) => {
                self.rank = *rank;
                self.rest = &text[end..];
                self.kind = Kind::Suffix;
            }
            None => self.kind = Kind::Invalid,
        }
    }

    fn is_prerelease(&self) -> bool {
        self.kind == Kind::Suffix && self.rank < NO_SUFFIX
    }
}

/// Whether the text follows the grammar to its end.
pub fn is_valid(version: &str) -> bool {
    let mut tokens = Tokens::new(version);
    while tokens.kind < Kind::End {
        tokens.advance();
    }
    tokens.kind == Kind::End
}

/// Compares part by part until one differs; what is left of both is at parts of different kinds, or at the end.
fn common<'a>(left: &'a str, right: &'a str) -> Result<(Tokens<'a>, Tokens<'a>), Relation> {
    let (mut a, mut b) = (Tokens::new(left), Tokens::new(right));
    while a.kind == b.kind && a.kind < Kind::End {
        match token_order(&a, &b) {
            Relation::Equal => {}
            other => return Err(other),
        }
        a.advance();
        b.advance();
    }
    Ok((a, b))
}

/// Whether the versions agree up to where they end or go on with different kinds of parts. That is all that the fuzzy
/// comparison of apk-tools 2.14 asks for: there `1` meets `~1.1`, and `1_p1` meets `~1a`.
pub fn agree_in_common(left: &str, right: &str) -> bool {
    common(left, right).is_ok()
}

/// Compares two versions; invalid ones compare by the part that is valid.
pub fn compare(left: &str, right: &str, fuzzy: bool) -> Relation {
    let (a, b) = match common(left, right) {
        Ok(rest) => rest,
        Err(relation) => return relation,
    };
    if a.kind == b.kind || (fuzzy && b.kind == Kind::End) {
        Relation::Equal
    } else if a.is_prerelease() {
        Relation::Less
    } else if b.is_prerelease() || a.kind < b.kind {
        Relation::Greater
    } else {
        Relation::Less
    }
}

fn token_order(a: &Tokens<'_>, b: &Tokens<'_>) -> Relation {
    let order = match a.kind {
        Kind::Suffix => a.rank.cmp(&b.rank),
        // A part that begins with zero is a fraction: "1.05" comes before "1.1".
        Kind::Digit if a.text.starts_with('0') || b.text.starts_with('0') => a.text.cmp(b.text),
        Kind::Letter | Kind::CommitHash => a.text.cmp(b.text),
        _ => super::deb::numeric(a.text, b.text),
    };
    order.into()
}

impl From<std::cmp::Ordering> for Relation {
    fn from(order: std::cmp::Ordering) -> Self {
        match order {
            std::cmp::Ordering::Less => Self::Less,
            std::cmp::Ordering::Equal => Self::Equal,
            std::cmp::Ordering::Greater => Self::Greater,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_follows_apk() {
        for (left, right) in [
            ("1.0_rc1", "1.0"),
            ("1.0", "1.0_p1"),
            ("1.0", "1.0a"),
            ("1.0", "1.0.1"),
            ("1.0", "1.0-r1"),
            ("1.0_alpha", "1.0_beta"),
            ("1.05", "1.1"),
            ("1.9", "1.10"),
            ("0.1.0_alpha_pre2", "0.1.0_alpha"),
            ("1.0-r9", "1.0-r10"),
            ("3.9~aaa", "3.9~bbb"),
        ] {
            assert_eq!(compare(left, right, false), Relation::Less, "{left} < {right}");
            assert_eq!(compare(right, left, false), Relation::Greater, "{right} > {left}");
        }
    }

    #[test]
    fn fuzzy_ends_where_the_wanted_version_ends() {
        assert_eq!(compare("1.2.3-r4", "1.2", true), Relation::Equal);
        assert_eq!(compare("1.3", "1.2", true), Relation::Greater);
        assert_eq!(compare("1.2", "1.2.3", true), Relation::Less);
    }

    #[test]
    fn grammar() {
        for good in ["1", "1.2.3a_rc1_p2~abc-r0", "26.071.08919~480f2e5", "1699~f505120278", "2023.09_p1-r3"] {
            assert!(is_valid(good), "{good}");
        }
        for bad in ["", "a", "1.", "1_foo", "1-r", "1-1", "1~", "1-r1-r2", "1 2", "1ab", "1A"] {
            assert!(!is_valid(bad), "{bad}");
        }
    }
}
