//! Shell patterns on names, as apk's queries use them: `*`, `?`, `[…]`, letters of either case alike. Touches nothing.

/// Whether `text` matches all of `pattern`.
pub fn matches(pattern: &str, text: &str) -> bool {
    xpkg_model::fnmatch::matches(pattern, text, true)
}

/// Whether a text has what makes it a pattern.
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
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
