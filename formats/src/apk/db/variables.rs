//! `${NAME}` and `${NAME:N}` in repository lines and in an index's `pkgname-spec`.

use std::collections::BTreeMap;

/// Longest text after substitution: apk's buffers hold PATH_MAX.
const MAX_TEXT: usize = 4096;
/// Variables of one root.
const MAX_VARIABLES: usize = 1024;

/// The variables that repository files set, and `APK_ARCH`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variables {
    values: BTreeMap<String, String>,
}

impl Variables {
    /// Only `APK_ARCH`, the root's own architecture.
    pub fn new(arch: &str) -> Self {
        Self { values: BTreeMap::from([("APK_ARCH".to_owned(), arch.to_owned())]) }
    }

    /// The value of one.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// `set NAME=VALUE`, or with `keep` `set -default NAME=VALUE`. Values may use variables set before.
    pub fn set(&mut self, name: &str, value: &str, keep: bool) -> Result<(), String> {
        let letters = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || !name.bytes().all(letters) || name.len() > 255 {
            return Err(format!("`{}` is no name of a variable", name.escape_debug()));
        }
        if name.starts_with("APK_") {
            return Err(format!("`{name}` cannot be set: names that begin with APK_ are apk's own"));
        }
        let value = self.substitute(value)?;
        if keep && self.values.contains_key(name) {
            return Ok(());
        }
        if self.values.len() >= MAX_VARIABLES {
            return Err(format!("more than {MAX_VARIABLES} variables"));
        }
        self.values.insert(name.to_owned(), value);
        Ok(())
    }

    /// Puts values in place of `${NAME}`.
    pub fn substitute(&self, text: &str) -> Result<String, String> {
        substitute(text, &|name| self.get(name))
    }
}

/// Puts values in place of `${NAME}`, and their first N characters in place of `${NAME:N}`.
pub fn substitute<'v>(text: &str, value: &dyn Fn(&str) -> Option<&'v str>) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (key, after) = after.split_once('}').ok_or_else(|| "`${` without `}`".to_owned())?;
        let (name, length) = match key.split_once(':') {
            Some((name, length)) => {
                let bad = || format!("`{}` is no length", length.escape_debug());
                (name, length.parse::<usize>().map_err(|_| bad())?)
            }
            None => (key, MAX_TEXT),
        };
        let value = value(name).ok_or_else(|| format!("the variable `{}` is not defined", name.escape_debug()))?;
        out.push_str(before);
        out.extend(value.chars().take(length));
        rest = after;
        if out.len() > MAX_TEXT {
            break;
        }
    }
    out.push_str(rest);
    if out.len() > MAX_TEXT {
        return Err(format!("longer than {MAX_TEXT} bytes with its variables filled in"));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_follow_apk() {
        let mut vars = Variables::new("x86_64");
        vars.set("mirror", "https://example.org/${APK_ARCH}", false).unwrap();
        vars.set("mirror", "other", true).unwrap();
        assert_eq!(vars.substitute("${mirror}/main").unwrap(), "https://example.org/x86_64/main");
        assert_eq!(vars.substitute("${APK_ARCH:3}").unwrap(), "x86");
        for (name, value) in [("APK_ARCH", "x"), ("1a", "x"), ("a-b", "x"), ("a", "${b}"), ("a", "${")] {
            assert!(vars.set(name, value, false).is_err(), "{name}={value}");
        }
    }
}
