//! Shell patterns as fnmatch(3) without flags takes them: `*` and `?` cross slashes, `[a-c]`, `[!a]`, `\` takes the next
//! character as it is. One for all that names packages; triggers and protected paths, where `*` stops at slashes, have their
//! own in `install`.

/// Whether the whole text matches; with `no_case`, letters of either case alike.
pub fn matches(pattern: &str, text: &str, no_case: bool) -> bool {
    let fold = |s: &str| if no_case { s.to_lowercase() } else { s.to_owned() };
    let pattern: Vec<char> = fold(pattern).chars().collect();
    let text: Vec<char> = fold(text).chars().collect();
    // Where to go on after the last `*`: what follows it, and how much of the text it takes.
    let mut star: Option<(usize, usize)> = None;
    let (mut p, mut t) = (0, 0);
    while t < text.len() {
        if pattern.get(p) == Some(&'*') {
            star = Some((p + 1, t));
            p += 1;
            continue;
        }
        if let Some(next) = text.get(t).and_then(|c| one(&pattern, p, *c)) {
            p = next;
            t += 1;
            continue;
        }
        let Some((after, taken)) = star else { return false };
        star = Some((after, taken + 1));
        (p, t) = (after, taken + 1);
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|c| *c == '*'))
}

/// Where the pattern goes on when its element at `p` takes the character.
fn one(pattern: &[char], p: usize, c: char) -> Option<usize> {
    match pattern.get(p)? {
        '?' => Some(p + 1),
        '[' => set(pattern, p, c).unwrap_or((c == '[').then_some(p + 1)),
        '\\' => match pattern.get(p + 1) {
            Some(next) => (*next == c).then_some(p + 2),
            None => None,
        },
        other => (*other == c).then_some(p + 1),
    }
}

/// The bracket expression at `p`: where the pattern goes on after it when it takes `c`. The outer `None` when there is no end
/// to it, so that `[` is only a character, or nothing at all. Of characters or of bytes.
pub fn set<T: Copy + PartialOrd + From<u8>>(pattern: &[T], p: usize, c: T) -> Option<Option<usize>> {
    let is = |at: usize, byte: u8| pattern.get(at).is_some_and(|t| *t == T::from(byte));
    let mut at = p + 1;
    let negated = is(at, b'!') || is(at, b'^');
    at += usize::from(negated);
    let first = at;
    let mut found = false;
    loop {
        let low = *pattern.get(at)?;
        if low == T::from(b']') && at > first {
            return Some((found != negated).then_some(at + 1));
        }
        match pattern.get(at + 2) {
            Some(high) if is(at + 1, b'-') && *high != T::from(b']') => {
                found |= (low..=*high).contains(&c);
                at += 3;
            }
            _ => {
                found |= low == c;
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn as_fnmatch() {
        for (pattern, text) in [
            ("a", "a"),
            ("*", ""),
            ("a*c", "abbc"),
            ("*lib*", "xliby"),
            ("[a-c]x", "bx"),
            ("[!a]", "b"),
            ("\\*", "*"),
            ("[", "["),
        ] {
            assert!(matches(pattern, text, false), "{pattern} {text}");
        }
        for (pattern, text) in [("a", "ab"), ("a?", "a"), ("[a-c]", "d"), ("[!a]", "a"), ("A", "a"), ("*a", "ab")] {
            assert!(!matches(pattern, text, false), "{pattern} {text}");
        }
        assert!(matches("A*", "abc", true));
    }
}
