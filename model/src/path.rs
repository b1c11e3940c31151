//! Paths inside a root: relative, normalised, and safe to join.

use std::borrow::Borrow;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// Longest path accepted, in bytes (PATH_MAX).
pub const MAX_PATH: usize = 4096;

/// A path below a root: no leading `/`, no empty, `.` or `..` component, no NUL, no line break (the databases are
/// line-based). The empty path is the root directory itself. Bytes, because file names need not be UTF-8.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelPath(Box<[u8]>);

impl RelPath {
    /// The root directory.
    pub fn root() -> Self {
        Self(Box::new([]))
    }

    /// Accepts what a package may name: `usr/bin/x`, also `./usr/bin/x`, `usr/bin/`. Refuses absolute paths and everything
    /// that could leave the root or break a line-based database.
    pub fn from_package(bytes: &[u8]) -> Result<Self, BadPath> {
        let refuse = |reason| BadPath { path: String::from_utf8_lossy(bytes).escape_debug().to_string(), reason };
        if bytes.len() > MAX_PATH {
            return Err(refuse("longer than 4096 bytes"));
        }
        if bytes.first() == Some(&b'/') {
            return Err(refuse("absolute"));
        }
        if bytes.iter().any(|b| matches!(b, 0 | b'\n' | b'\r')) {
            return Err(refuse("holds a NUL or a line break"));
        }
        let mut out = Vec::with_capacity(bytes.len());
        for component in bytes.split(|b| *b == b'/') {
            match component {
                b"" | b"." => continue,
                b".." => return Err(refuse("leaves its directory with `..`")),
                _ if component.len() > 255 => return Err(refuse("a component longer than 255 bytes")),
                _ => {
                    if !out.is_empty() {
                        out.push(b'/');
                    }
                    out.extend_from_slice(component);
                }
            }
        }
        Ok(Self(out.into()))
    }

    /// Accepts what a person or a configuration names: as a package, but a leading `/` means the root.
    pub fn from_absolute(path: impl AsRef<[u8]>) -> Result<Self, BadPath> {
        let bytes = path.as_ref();
        let start = bytes.iter().position(|b| *b != b'/').unwrap_or(bytes.len());
        Self::from_package(&bytes[start..])
    }

    /// A constant known to be valid; for literals in code and tests.
    ///
    /// # Panics
    /// When the literal is no valid path: a mistake in the program, not in its input.
    #[allow(clippy::missing_panics_doc)]
    pub fn literal(text: &'static str) -> Self {
        Self::from_absolute(text).unwrap_or_else(|e| unreachable!("{e}"))
    }

    /// The bytes, without a leading `/`.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// As a relative [`Path`].
    pub fn as_path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.0))
    }

    /// UTF-8 or nothing.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// Whether this is the root directory.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The directory it lies in; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        let end = self.0.iter().rposition(|b| *b == b'/').unwrap_or(0);
        Some(Self(self.0[..end].into()))
    }

    /// The last component; empty for the root.
    pub fn file_name(&self) -> &[u8] {
        let start = self.0.iter().rposition(|b| *b == b'/').map_or(0, |i| i + 1);
        &self.0[start..]
    }

    /// Components from the root down.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|b| *b == b'/').filter(|c| !c.is_empty())
    }

    /// A path below this one.
    pub fn join(&self, below: &[u8]) -> Result<Self, BadPath> {
        let mut bytes = self.0.to_vec();
        bytes.push(b'/');
        bytes.extend_from_slice(below);
        Self::from_absolute(bytes)
    }

    /// Where a link at this path leads, by the words of its text alone; `..` stops at the root.
    pub fn linked(&self, text: &[u8]) -> Option<Self> {
        let parent = self.parent()?;
        let mut parts: Vec<&[u8]> = if text.starts_with(b"/") { Vec::new() } else { parent.components().collect() };
        for part in text.split(|b| *b == b'/') {
            match part {
                b"" | b"." => {}
                b".." => _ = parts.pop(),
                part => parts.push(part),
            }
        }
        Self::from_package(&parts.join(&b'/')).ok()
    }

    /// Whether it is `dir` or lies below it.
    pub fn starts_with(&self, dir: &Self) -> bool {
        dir.is_root() || self.0.strip_prefix(&*dir.0).is_some_and(|rest| rest.is_empty() || rest.first() == Some(&b'/'))
    }

    /// The directories above it, from the top, without the root and without itself.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> + '_ {
        self.0.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(i, _)| Self(self.0[..i].into()))
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Borrow<[u8]> for RelPath {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

/// A path that is refused, and why.
#[derive(Debug, thiserror::Error)]
#[error("path `{path}` is refused: {reason}")]
pub struct BadPath {
    /// The path, escaped.
    pub path: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_paths_are_refused() {
        for bad in ["/etc/passwd", "../x", "a/../b", "a\nb", "a\0b", "a\rb"] {
            assert!(RelPath::from_package(bad.as_bytes()).is_err(), "{bad:?}");
        }
        for (given, want) in [("./usr//bin/", "/usr/bin"), ("", "/"), ("a/./b", "/a/b")] {
            assert_eq!(RelPath::from_package(given.as_bytes()).unwrap().to_string(), want);
        }
    }

    #[test]
    fn walks_up_and_down() {
        let path = RelPath::literal("/usr/lib/libz.so");
        assert_eq!(path.ancestors().map(|p| p.to_string()).collect::<Vec<_>>(), ["/usr", "/usr/lib"]);
        assert_eq!(path.parent().unwrap().to_string(), "/usr/lib");
        assert_eq!(path.file_name(), b"libz.so");
        assert!(path.starts_with(&RelPath::literal("usr")) && !path.starts_with(&RelPath::literal("us")));
    }
}
