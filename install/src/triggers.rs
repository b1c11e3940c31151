//! Which triggers a changed directory fires. Runs nothing.

use std::collections::BTreeSet;

use xpkg_model::{RelPath, fnmatch};

/// Directories as triggers see them.
#[derive(Clone, Debug, Default)]
pub struct Changed {
    /// Every directory of every installed package; only filled when a package with triggers is new.
    pub all: BTreeSet<RelPath>,
    /// Directories in which something was put or removed.
    pub modified: BTreeSet<RelPath>,
}

impl Changed {
    /// The directories, absolute, that fire a trigger with these patterns: the modified ones, and for a package that is
    /// `new` all that exist, except where `+` before a pattern asks for modified ones only (apk-tools database.c,
    /// fire_triggers).
    pub fn fired(&self, patterns: &[String], new: bool) -> Vec<Vec<u8>> {
        let mut fired = BTreeSet::new();
        for pattern in patterns {
            let (dirs, pattern) = match pattern.strip_prefix('+') {
                None if new => (&self.all, pattern.as_str()),
                rest => (&self.modified, rest.unwrap_or(pattern)),
            };
            for dir in dirs.iter().chain(if new { Some(&self.modified) } else { None }.into_iter().flatten()) {
                let path = [b"/", dir.as_bytes()].concat();
                if matches(pattern.as_bytes(), &path) {
                    fired.insert(path);
                }
            }
        }
        fired.into_iter().collect()
    }
}

/// `fnmatch(pattern, text, FNM_PATHNAME)`: `*`, `?` and `[…]` never match a slash.
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    loop {
        let step = match (pattern.get(p), text.get(t)) {
            (None, None) => return true,
            (Some(b'*'), _) => {
                star = Some((p + 1, t));
                p += 1;
                continue;
            }
            (Some(b'?'), Some(c)) if *c != b'/' => Some(1),
            (Some(b'['), Some(c)) if *c != b'/' => fnmatch::set(pattern, p, *c).flatten().map(|next| next - p),
            (Some(b'\\'), Some(c)) if pattern.get(p + 1) == Some(c) => Some(2),
            (Some(a), Some(c)) if a == c && *a != b'[' => Some(1),
            _ => None,
        };
        if let Some(len) = step {
            p += len;
            t += 1;
            continue;
        }
        // Back to the last star, which takes one byte more, but no slash.
        match star {
            Some((after, from)) if text.get(from).is_some_and(|c| *c != b'/') => {
                star = Some((after, from + 1));
                (p, t) = (after, from + 1);
            }
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_stop_at_slashes() {
        for (pattern, text, want) in [
            ("/lib/modules/*", "/lib/modules/6.1", true),
            ("/lib/modules/*", "/lib/modules/6.1/kernel", false),
            ("/usr/*/icons", "/usr/share/icons", true),
            ("/usr/[a-s]*/x?", "/usr/share/x1", true),
            ("/usr/[!s]*/x", "/usr/share/x", false),
            ("/bin", "/bin", true),
            ("/bin", "/sbin", false),
            ("*", "/bin", false),
            ("/a*b*c", "/aXbYbZc", true),
            ("/[", "/[", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), want, "{pattern} {text}");
        }
    }

    #[test]
    fn a_new_package_sees_all_directories_unless_it_says_plus() {
        let path = |p| RelPath::literal(p);
        let changed = Changed { all: [path("usr/bin"), path("bin")].into(), modified: [path("bin")].into() };
        let fired = |pattern: &str, new| changed.fired(&[pattern.to_owned()], new).len();
        assert_eq!((fired("/usr/*", true), fired("/usr/*", false), fired("+/usr/*", true)), (1, 0, 0));
        assert_eq!((fired("/bin", true), fired("/bin", false), fired("+/bin", false)), (1, 1, 1));
    }
}
