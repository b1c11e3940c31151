//! `/etc/apk/arch`: the architectures whose packages may be installed. The first is the root's own.

use std::fmt;

use crate::Error;

/// The list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arches {
    /// In the order written.
    pub words: Vec<String>,
}

impl Arches {
    /// Reads an arch file. `what` names it in messages.
    pub fn parse(text: &[u8], what: &str) -> Result<Self, Error> {
        let text = std::str::from_utf8(text).map_err(|e| Error::malformed(what, e.to_string()))?;
        let mut words: Vec<String> = Vec::new();
        for word in text.lines().map(str::trim).filter(|word| !word.is_empty()) {
            if !word.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-+.".contains(&b)) {
                return Err(Error::malformed(what, format!("`{}` is no architecture", word.escape_debug())));
            }
            words.push(word.to_owned());
        }
        Ok(Self { words })
    }

    /// The root's own architecture.
    pub fn primary(&self) -> Option<&str> {
        self.words.first().map(String::as_str)
    }

    /// Whether apk would install a package of this architecture.
    pub fn accepts(&self, arch: &str) -> bool {
        arch.is_empty() || arch == "noarch" || self.words.iter().any(|word| word == arch)
    }

    /// Adds a further architecture; `false` when it was there.
    pub fn add(&mut self, arch: &str) -> bool {
        let new = !self.accepts(arch);
        if new {
            self.words.push(arch.to_owned());
        }
        new
    }

    /// Takes a further architecture out; never the first.
    pub fn remove(&mut self, arch: &str) -> bool {
        let at = self.words.iter().skip(1).position(|word| word == arch);
        at.map(|at| self.words.remove(at + 1)).is_some()
    }
}

impl fmt::Display for Arches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.words.iter().try_for_each(|word| writeln!(f, "{word}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_word_comes_and_goes() {
        let mut arches = Arches::parse(b"aarch64_cortex-a53\n", "arch").unwrap();
        assert!(!arches.accepts("aarch64") && arches.accepts("noarch"));
        assert!(arches.add("aarch64") && !arches.add("aarch64"));
        assert_eq!(arches.to_string(), "aarch64_cortex-a53\naarch64\n");
        assert!(!arches.remove("aarch64_cortex-a53") && arches.remove("aarch64"));
        assert_eq!(arches.to_string(), "aarch64_cortex-a53\n");
    }
}
