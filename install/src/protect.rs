//! Which paths hold configuration that a person may have changed: as apk's protected_paths.d says it, or as opkg's packages
//! name their conffiles. Touches nothing.

use std::collections::BTreeSet;

use xpkg_model::RelPath;
use xpkg_model::root::RootView;

use crate::triggers::matches;
use crate::{Error, Result};

/// Where lists lie; later ones override.
const DIRS: [&str; 2] = ["lib/apk/protected_paths.d", "etc/apk/protected_paths.d"];
/// apk's own default (apk-tools database.c).
const DEFAULT: &str = "+etc\n@etc/init.d\n!etc/apk\n";
/// A list is a handful of lines.
const MAX_FILE: u64 = 1 << 20;

/// What is kept.
#[derive(Clone, Debug)]
pub enum Protected {
    /// apk's rules, in order.
    Rules(Vec<(u8, Vec<u8>)>),
    /// opkg's conffiles, as the packages name them.
    Conffiles(BTreeSet<RelPath>),
}

impl Protected {
    /// apk's defaults and what the root adds.
    pub fn load(root: &(impl RootView + ?Sized)) -> Result<Self> {
        let mut rules = parse(DEFAULT.as_bytes());
        for dir in DIRS.map(RelPath::literal) {
            let failed = |e| Error::io("reading", &dir, e);
            for name in root.list(&dir).map_err(failed)? {
                if name.ends_with(b".list")
                    && let Ok(path) = dir.join(&name)
                {
                    rules.extend(parse(&root.read(&path, MAX_FILE).map_err(failed)?.unwrap_or_default()));
                }
            }
        }
        Ok(Self::Rules(rules))
    }

    /// Whether a changed file at this path is kept: what the deepest directory that a rule names says.
    pub fn keeps(&self, path: &RelPath) -> bool {
        match self {
            Self::Rules(_) => self.rule(path).is_some_and(|rule| rule != b'-'),
            Self::Conffiles(paths) => paths.contains(path),
        }
    }

    /// apk's rule for a path, `+`, `@`, `!` or `-`; `None` where nothing names it.
    pub fn rule(&self, path: &RelPath) -> Option<u8> {
        let Self::Rules(rules) = self else { return None };
        let mut found = None;
        for at in path.ancestors().chain([path.clone()]) {
            for (rule, pattern) in rules {
                if matches(pattern, at.as_bytes()) {
                    found = Some(*rule);
                }
            }
        }
        found
    }
}

impl Protected {
    /// What is appended to the name of new configuration that is put beside what a person changed.
    pub fn suffix(&self) -> &'static str {
        match self {
            Self::Rules(_) => ".apk-new",
            Self::Conffiles(_) => "-opkg",
        }
    }
}

/// `+` changed files, `@` links, `!` everything: all of them keep what is on disk when it differs from what was
/// delivered (apk_db_migrate_files treats them alike); they differ in what `apk audit` lists. `-` ends the protection.
fn parse(text: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut rules = Vec::new();
    for line in text.split(|b| *b == b'\n') {
        let (rule, pattern) = match line.trim_ascii() {
            [] | [b'#', ..] => continue,
            [rule @ (b'-' | b'+' | b'@' | b'!'), rest @ ..] => (*rule, rest),
            rest => (b'+', rest),
        };
        let start = pattern.iter().position(|b| *b != b'/').unwrap_or(pattern.len());
        let end = pattern.iter().rposition(|b| *b != b'/').map_or(start, |i| i + 1);
        rules.push((rule, pattern.get(start..end).unwrap_or_default().to_vec()));
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deepest_rule_decides() {
        let mut rules = parse(DEFAULT.as_bytes());
        rules.extend(parse(b"# ours\n-etc/terminfo/\n/srv/*/conf\n"));
        let protected = Protected::Rules(rules);
        let keeps = |path| protected.keeps(&RelPath::literal(path));
        assert!(keeps("etc/passwd") && keeps("etc/init.d/sshd") && keeps("srv/a/conf/x"));
        assert!(!keeps("usr/etc/x") && !keeps("etc/terminfo/x/xterm") && !keeps("srv/a/b/conf"));
    }
}
