//! Conditions on the release of a root: `>=23.05`, `<25.12`, `=19.07`; several with commas between them. Decides nothing else.

use serde::Deserialize;

/// A condition, read and checked.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Release(Vec<(Op, Vec<u32>)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Less,
    AtMost,
    Equal,
    AtLeast,
    Greater,
}

/// Longest first: `<` begins `<=`.
const OPS: [(&str, Op); 5] =
    [("<=", Op::AtMost), (">=", Op::AtLeast), ("<", Op::Less), (">", Op::Greater), ("=", Op::Equal)];

impl TryFrom<String> for Release {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let bad = || format!("`{text}` is no condition on a release: write `>=23.05` or `>=21.02,<24.10`");
        let part = |part: &str| {
            let part = part.trim();
            let (sign, op) = OPS.iter().find(|(sign, _)| part.starts_with(sign))?;
            Some((*op, numbers(part.strip_prefix(sign)?)?))
        };
        text.split(',').map(part).collect::<Option<Vec<_>>>().map(Self).ok_or_else(bad)
    }
}

/// `25.12.2` and `25.12.0-rc3` as numbers; a development version has none.
fn numbers(release: &str) -> Option<Vec<u32>> {
    let release = release.trim().split(['-', '_', '+']).next()?;
    release.split('.').map(|part| part.parse().ok()).collect()
}

impl Release {
    /// Whether a release meets it. Only as many numbers are compared as the condition has: 19.07.2 is `=19.07`. A
    /// development version is newer than every release.
    pub(super) fn met_by(&self, release: &str) -> bool {
        let release = numbers(release);
        self.0.iter().all(|(op, wanted)| {
            let Some(release) = &release else { return matches!(op, Op::AtLeast | Op::Greater) };
            let mut found: Vec<u32> = release.iter().copied().take(wanted.len()).collect();
            found.resize(wanted.len(), 0);
            match op {
                Op::Less => found < *wanted,
                Op::AtMost => found <= *wanted,
                Op::Equal => found == *wanted,
                Op::AtLeast => found >= *wanted,
                Op::Greater => found > *wanted,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_by_their_numbers() {
        let met = |condition: &str, release: &str| Release::try_from(condition.to_owned()).unwrap().met_by(release);
        assert!(met(">=23.05", "25.12.2") && met("=19.07", "19.07.2") && met("<3.20", "3.19.1"));
        assert!(!met("<3.9", "3.19.1") && !met(">=25.12", "24.10.1") && !met(">=21.02,<24.10", "24.10.0-rc2"));
        assert!(met(">=25.12", "SNAPSHOT") && !met("<25.12", "SNAPSHOT"));
        for bad in ["", "23.05", ">=x", ">=1,,<2"] {
            assert!(Release::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
