//! How a foreign package is changed on its way onto a root: what lands elsewhere, what is left out, what is added. A value
//! that is made before anything is written, shown in the plan, and carried out by the installer alone. Decides nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::accounts::Account;
use crate::payload::ScriptKind;
use crate::{PackageKey, RelPath};

/// The first words of a script that xpkg composed: it stands in the script's second line, and says that the script asks
/// only for what is there.
pub const COMPOSED: &str = "# Composed by xpkg";

/// What is done to each package of a plan; packages that come as they are have no entry.
pub type Adaptations = BTreeMap<PackageKey, Adaptation>;

/// Every package comes as it is.
pub static AS_THEY_ARE: Adaptations = Adaptations::new();

/// Where a package's files live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Placement {
    /// Among the root's own files, with the root's loader and libraries.
    #[default]
    Host,
    /// In the private layer of its world, `/usr/lib/xpkg/<world>`.
    Layer,
}

/// What a person wants of private layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LayerPolicy {
    /// Where the root's own loader and libraries cannot carry what is asked for.
    #[default]
    Auto,
    /// Never: what cannot live among the root's own files is refused.
    Never,
    /// For every foreign package.
    Always,
}

/// What a program's headers are made to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ElfPatch {
    /// PT_INTERP.
    pub interpreter: Option<String>,
    /// DT_RUNPATH, in place of whatever search path it had.
    pub runpath: Option<String>,
}

/// What an added path is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddedKind {
    /// A directory.
    Dir,
    /// A file with this content.
    File(Vec<u8>),
    /// A symbolic link to this.
    Symlink(Vec<u8>),
}

/// A path that comes from us and belongs to the package all the same: the native manager removes it with the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    /// Where.
    pub path: RelPath,
    /// What.
    pub kind: AddedKind,
    /// Permission bits.
    pub mode: u32,
}

/// Everything that is done to one package. Paths that are keys are those of the package's payload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Adaptation {
    /// Where its files live.
    pub placement: Placement,
    /// Payload paths that land elsewhere. A directory takes what lies in it along.
    pub moved: BTreeMap<RelPath, RelPath>,
    /// Payload paths that do not come, and why. A directory takes what lies in it along.
    pub left_out: BTreeMap<RelPath, String>,
    /// ELF files whose headers are rewritten.
    pub patched: BTreeMap<RelPath, ElfPatch>,
    /// Paths that are added.
    pub added: Vec<Added>,
    /// Scripts that take the place of the package's own (which they may contain); an empty text takes one away.
    pub scripts: BTreeMap<ScriptKind, Vec<u8>>,
    /// Users and groups that it needs: they are made in the transaction, without any script.
    pub accounts: Vec<Account>,
    /// Links that enable its services, and what they say: made where none of its scripts runs, which would make them. They are
    /// not the package's: a person may take them away.
    pub enables: BTreeMap<RelPath, String>,
    /// What a person should know, in words.
    pub notes: Vec<String>,
}

impl Adaptation {
    /// Whether the package comes as it is.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Takes another translator's answer in. Scripts of `other` take the place of those here: it was shown them. Two answers
    /// for one path are an error, in words.
    pub fn merge(&mut self, other: Self) -> Result<(), String> {
        fn join<V: PartialEq>(into: &mut BTreeMap<RelPath, V>, from: BTreeMap<RelPath, V>) -> Result<(), String> {
            for (path, value) in from {
                match into.get(&path) {
                    Some(there) if *there != value => return Err(format!("two rules disagree about {path}")),
                    _ => _ = into.insert(path, value),
                }
            }
            Ok(())
        }
        self.placement = self.placement.max(other.placement);
        join(&mut self.moved, other.moved)?;
        join(&mut self.patched, other.patched)?;
        join(&mut self.enables, other.enables)?;
        for (path, why) in other.left_out {
            self.left_out.entry(path).or_insert(why);
        }
        for added in other.added {
            match self.added.iter().find(|a| a.path == added.path) {
                Some(there) if *there != added => return Err(format!("{} would be added twice", added.path)),
                Some(_) => {}
                None => self.added.push(added),
            }
        }
        self.scripts.extend(other.scripts);
        for account in other.accounts {
            if !self.accounts.contains(&account) {
                self.accounts.push(account);
            }
        }
        self.notes.extend(other.notes);
        Ok(())
    }

    /// Where a payload path lands; `None` when it does not come. The longest entry that covers the path counts.
    pub fn lands(&self, path: &RelPath) -> Option<RelPath> {
        let covers = |key: &&RelPath| path.starts_with(key);
        let left_out = self.left_out.keys().filter(covers).map(|k| k.as_bytes().len()).max();
        let moved = self.moved.iter().filter(|(key, _)| covers(key)).max_by_key(|(key, _)| key.as_bytes().len());
        match moved {
            Some((key, to)) if left_out.is_none_or(|l| l < key.as_bytes().len()) => {
                let rest = path.as_bytes().get(key.as_bytes().len()..).unwrap_or_default();
                let rest = rest.strip_prefix(b"/").unwrap_or(rest);
                if rest.is_empty() { Some(to.clone()) } else { to.join(rest).ok() }
            }
            _ if left_out.is_some() => None,
            _ => Some(path.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_entry_counts() {
        let path = |p: &'static str| RelPath::literal(p);
        let adaptation = Adaptation {
            moved: [(path("etc/init.d"), path("usr/lib/xpkg/alpine/init.d")), (path("etc/motd"), path("etc/motd.a"))]
                .into(),
            left_out: [(path("etc"), "base".to_owned()), (path("etc/init.d/savecache"), "no".to_owned())].into(),
            ..Adaptation::default()
        };
        assert_eq!(adaptation.lands(&path("etc/init.d/sshd")), Some(path("usr/lib/xpkg/alpine/init.d/sshd")));
        assert_eq!(adaptation.lands(&path("etc/motd")), Some(path("etc/motd.a")));
        assert_eq!(adaptation.lands(&path("etc/init.d/savecache")), None);
        assert_eq!(adaptation.lands(&path("etc/passwd")), None);
        assert_eq!(adaptation.lands(&path("etcetera")), Some(path("etcetera")));
    }
}
