//! Debian's version order, which opkg uses (deb-version(7)).

use std::cmp::Ordering;

use super::Relation;

/// Compares `[epoch:]upstream[-revision]`.
pub fn compare(left: &str, right: &str) -> Relation {
    let (left_epoch, left) = split_epoch(left);
    let (right_epoch, right) = split_epoch(right);
    let (left_upstream, left_revision) = split_revision(left);
    let (right_upstream, right_revision) = split_revision(right);
    numeric(left_epoch, right_epoch)
        .then_with(|| runs(left_upstream, right_upstream))
        .then_with(|| runs(left_revision, right_revision))
        .into()
}

fn split_epoch(version: &str) -> (&str, &str) {
    version.split_once(':').unwrap_or(("0", version))
}

fn split_revision(version: &str) -> (&str, &str) {
    version.rsplit_once('-').unwrap_or((version, ""))
}

/// Digits as numbers of any length.
pub(super) fn numeric(left: &str, right: &str) -> Ordering {
    let left = left.trim_start_matches('0');
    let right = right.trim_start_matches('0');
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

/// Alternating runs of non-digits and digits.
fn runs(mut left: &str, mut right: &str) -> Ordering {
    while !left.is_empty() || !right.is_empty() {
        let (a, b);
        (a, left) = split_run(left, |c| !c.is_ascii_digit());
        (b, right) = split_run(right, |c| !c.is_ascii_digit());
        match words(a.as_bytes(), b.as_bytes()) {
            Ordering::Equal => {}
            other => return other,
        }
        let (a, b);
        (a, left) = split_run(left, |c| c.is_ascii_digit());
        (b, right) = split_run(right, |c| c.is_ascii_digit());
        match numeric(a, b) {
            Ordering::Equal => {}
            other => return other,
        }
    }
    Ordering::Equal
}

fn split_run(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
}

/// `~` before the end, the end before letters, letters before everything else.
fn words(a: &[u8], b: &[u8]) -> Ordering {
    let weight = |word: &[u8], i: usize| match word.get(i) {
        Some(b'~') => -1,
        None => 0,
        Some(c) if c.is_ascii_alphabetic() => i32::from(*c),
        Some(c) => i32::from(*c) + 256,
    };
    (0..a.len().max(b.len())).map(|i| weight(a, i).cmp(&weight(b, i))).find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_follows_debian() {
        for (left, right) in [
            ("1.0~rc1", "1.0"),
            ("1.0", "1.0-1"),
            ("1.0-1", "1.0a-1"),
            ("1.9", "1.10"),
            ("1.0", "1:0.1"),
            ("2022-08-10-901b0f04-20", "2022-08-10-901b0f04-21"),
            ("1.0a", "1.0+"),
        ] {
            assert_eq!(compare(left, right), Relation::Less, "{left} < {right}");
            assert_eq!(compare(right, left), Relation::Greater, "{right} > {left}");
        }
        assert_eq!(compare("01.00", "1.0"), Relation::Equal);
    }
}
