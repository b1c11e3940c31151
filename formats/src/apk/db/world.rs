//! `/etc/apk/world`: what a person asked for, one dependency per line, sorted by name. Decides nothing.

use std::fmt;

use xpkg_model::{Dependency, dependency};

use crate::Error;

/// The world.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct World {
    /// In the order written.
    pub deps: Vec<Dependency>,
}

impl World {
    /// Reads a world file. `what` names it in messages.
    pub fn parse(text: &[u8], what: &str) -> Result<Self, Error> {
        let text = std::str::from_utf8(text).map_err(|e| Error::malformed(what, e.to_string()))?;
        let deps = dependency::parse_list(text).map_err(|e| Error::malformed(what, e.to_string()))?;
        Ok(Self { deps })
    }

    /// The entry of that name.
    pub fn get(&self, name: &str) -> Option<&Dependency> {
        self.deps.iter().find(|d| d.name == name)
    }

    /// Puts an entry in place of the one of its name, or where it sorts to. Returns what was there.
    pub fn set(&mut self, dep: Dependency) -> Option<Dependency> {
        if let Some(old) = self.deps.iter_mut().find(|d| d.name == dep.name) {
            return Some(std::mem::replace(old, dep));
        }
        // A world that a person wrote need not be sorted; then this still leaves all others where they are.
        let at = self
            .deps
            .iter()
            .position(|d| super::name_order(&d.name) > super::name_order(&dep.name))
            .unwrap_or(self.deps.len());
        self.deps.insert(at, dep);
        None
    }

    /// Takes an entry out.
    pub fn remove(&mut self, name: &str) -> Option<Dependency> {
        let at = self.deps.iter().position(|d| d.name == name)?;
        Some(self.deps.remove(at))
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.deps.iter().try_for_each(|dep| writeln!(f, "{dep}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setting_and_removing_restores_the_bytes() {
        let text = "alpine-base\nchrony\ndhcpcd\nopenssh\nwget\n";
        let mut world = World::parse(text.as_bytes(), "world").unwrap();
        assert_eq!(world.set("jq><Q1AYNx2pLOAHRYZQgv3nM8TNtvRWY=".parse().unwrap()), None);
        assert!(world.to_string().contains("dhcpcd\njq><Q1AYNx2pLOAHRYZQgv3nM8TNtvRWY=\nopenssh\n"));
        assert!(world.set("jq@edge".parse().unwrap()).is_some());
        assert_eq!(world.get("jq").unwrap().tag.as_deref(), Some("edge"));
        world.remove("jq");
        assert_eq!(world.to_string(), text);
        assert!(World::parse(b"a=\n", "world").is_err());
    }
}
