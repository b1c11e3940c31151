//! Versions of everything that outlives one run: JSON answers, state, rule files. They follow semver: a reader accepts what
//! has its own major version and is not newer than itself.

use semver::Version;

/// JSON answers of every command.
pub const JSON: Version = Version::new(1, 0, 0);
/// `/usr/lib/xpkg/state.sqlite`.
pub const STATE: Version = Version::new(1, 1, 0);
/// Catalogue files; rebuilt when they differ.
pub const CATALOGUE: Version = Version::new(1, 1, 0);
/// `shims/rules/*.toml` and `repos/profiles/*.toml`.
pub const RULES: Version = Version::new(1, 1, 0);
/// The version of xpkg itself, for `requires-xpkg` in rule files.
pub fn program() -> Version {
    // The manifest's own version: cargo has parsed it already.
    Version::parse(env!("CARGO_PKG_VERSION")).unwrap_or(Version::new(0, 0, 0))
}

/// Whether a reader that knows `known` can read something of version `found`.
pub fn readable(known: &Version, found: &Version) -> bool {
    known.major == found.major && found <= known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_minor_is_read_newer_is_not() {
        let known = Version::new(1, 2, 0);
        assert!(readable(&known, &Version::new(1, 0, 0)));
        assert!(!readable(&known, &Version::new(1, 3, 0)));
        assert!(!readable(&known, &Version::new(2, 0, 0)));
    }
}
