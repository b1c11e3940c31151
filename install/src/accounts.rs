//! Users and groups of a root, from its own passwd and group files. Never the host's; they are changed only for accounts
//! that packages require, in a transaction or by the applets that packages' scripts call.

pub mod edit;
mod files;
mod foreign;
mod lines;
mod making;
mod required;
mod used;

use std::collections::BTreeMap;

use xpkg_model::RelPath;
use xpkg_model::payload::Entry;
use xpkg_model::root::RootView;

use crate::{Error, Result};

pub use files::Refusal;
pub(crate) use foreign::stage;

/// A passwd file of ten thousand users has half a megabyte.
const MAX_FILE: u64 = 4 << 20;

/// Names and their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    users: BTreeMap<String, u32>,
    groups: BTreeMap<String, u32>,
}

impl Accounts {
    /// Reads `/etc/passwd` and `/etc/group`; what is missing or damaged knows nobody.
    pub fn load(root: &(impl RootView + ?Sized)) -> Result<Self> {
        let read = |path: &'static str| {
            let path = RelPath::literal(path);
            root.read(&path, MAX_FILE).map_err(|e| Error::io("reading", &path, e))
        };
        Ok(Self::parse(&read("etc/passwd")?.unwrap_or_default(), &read("etc/group")?.unwrap_or_default()))
    }

    fn parse(passwd: &[u8], group: &[u8]) -> Self {
        Self { users: parse(passwd), groups: parse(group) }
    }

    /// Number of a user.
    pub fn user(&self, name: &str) -> Option<u32> {
        self.users.get(name).copied()
    }

    /// Number of a group.
    pub fn group(&self, name: &str) -> Option<u32> {
        self.groups.get(name).copied()
    }

    /// A user that has a number.
    pub fn user_named(&self, number: u32) -> Option<&str> {
        self.users.iter().find(|(_, n)| **n == number).map(|(name, _)| name.as_str())
    }

    /// A group that has a number.
    pub fn group_named(&self, number: u32) -> Option<&str> {
        self.groups.iter().find(|(_, n)| **n == number).map(|(name, _)| name.as_str())
    }

    /// Owner of an entry on this root: by name where the root knows the name, else by the number in the package.
    pub fn owner(&self, entry: &Entry) -> (u32, u32) {
        let pick = |names: &BTreeMap<String, u32>, name: &str, number| match name {
            "" => number,
            "root" => 0,
            name => names.get(name).copied().unwrap_or(number),
        };
        (pick(&self.users, &entry.user, entry.uid), pick(&self.groups, &entry.group, entry.gid))
    }
}

/// `name:x:number:…`; the first line of a name counts, as for the C library.
fn parse(file: &[u8]) -> BTreeMap<String, u32> {
    let mut out = BTreeMap::new();
    for line in String::from_utf8_lossy(file).lines() {
        let mut fields = line.split(':');
        let (Some(name), Some(number)) = (fields.next(), fields.nth(1)) else { continue };
        if let Ok(number) = number.parse() {
            out.entry(name.to_owned()).or_insert(number);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use xpkg_model::payload::EntryKind;

    #[test]
    fn a_known_name_beats_the_number() {
        let accounts = Accounts {
            users: parse(b"root:x:0:0:root:/:/bin/sh\nsshd:x:22:22::/:\nbroken\nsshd:x:9:9\n"),
            ..Accounts::default()
        };
        let mut entry = Entry::new(RelPath::literal("x"), EntryKind::File, 0o644);
        (entry.user, entry.uid, entry.group, entry.gid) = ("sshd".into(), 74, "mail".into(), 12);
        assert_eq!(accounts.owner(&entry), (22, 12));
    }
}
