//! Shell patterns on names, as apk's queries use them: `*`, `?`, `[…]`, letters of either case alike. Touches nothing.

/// Whether `text` matches all of `pattern`.
pub fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.to_lowercase().chars().collect();
    let text: Vec<char> = text.to_lowercase().chars().collect();
    // Where to go on when a star took too little; each text position is tried once per star.
    let (mut p, mut t, mut back) = (0, 0, None);
    while t < text.len() {
        let step = match pattern.get(p) {
            Some('*') => {
                back = Some((p + 1, t));
                p += 1;
                continue;
            }
            Some('?') => Some(1),
            Some('[') => class(pattern.get(p..).unwrap_or_default(), text.get(t)),
            Some('\\') if pattern.get(p + 1) == text.get(t) => Some(2),
            Some(c) if Some(c) == text.get(t) => Some(1),
            _ => None,
        };
        match (step, back) {
            (Some(step), _) => {
                p += step;
                t += 1;
            }
            (None, Some((after, at))) => {
                back = Some((after, at + 1));
                p = after;
                t = at + 1;
            }
            (None, None) => return false,
        }
    }
    pattern.get(p..).unwrap_or_default().iter().all(|c| *c == '*')
}

/// Whether a text has what makes it a pattern.
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// The length of a `[…]` that holds the character; one that is never closed is a plain bracket.
fn class(pattern: &[char], c: Option<&char>) -> Option<usize> {
    let c = *c?;
    let negated = matches!(pattern.get(1), Some('!' | '^'));
    let start = if negated { 2 } else { 1 };
    let Some(end) = pattern.iter().skip(start + 1).position(|c| *c == ']').map(|n| n + start + 1) else {
        return (c == '[').then_some(1);
    };
    let set = pattern.get(start..end).unwrap_or_default();
    let mut hit = false;
    let mut i = 0;
    while let Some(first) = set.get(i) {
        match (set.get(i + 1), set.get(i + 2)) {
            (Some('-'), Some(last)) => {
                hit |= (*first..=*last).contains(&c);
                i += 3;
            }
            _ => {
                hit |= *first == c;
                i += 1;
            }
        }
    }
    (hit != negated).then_some(end + 1)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_are_fnmatchs() {
        for (pattern, text, yes) in [
            ("zlib", "zlib", true),
            ("zlib", "zlib-dev", false),
            ("zlib*", "zlib-dev", true),
            ("*lib*", "zlib", true),
            ("*-dev", "a-dev-dev", true),
            ("z?ib", "zlib", true),
            ("z[k-m]ib", "zlib", true),
            ("z[!l]ib", "zlib", false),
            ("ZLIB", "zlib", true),
            ("", "", true),
            ("**a*b**", "xaxxb", true),
            ("[", "[", true),
            ("a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
        ] {
            assert_eq!(matches(pattern, text), yes, "{pattern} {text}");
        }
    }
}
