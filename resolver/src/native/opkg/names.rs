//! The names that anybody uses, in the order in which opkg walks them: it keeps them in a hash table of 1024 chains
//! (djb2 of the name), and the order of its upgrades, configurations and removals is the order of those chains.

use std::collections::HashMap;

use super::database::PackageId;
use super::flags::Status;

/// Index of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct NameId(pub(super) usize);

/// Number of chains: OPKG_CONF_DEFAULT_HASH_LEN.
const CHAINS: u64 = 1024;

/// How far a walk over needs got with a name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Seen {
    #[default]
    No,
    /// Its needs were collected.
    Needs,
    /// Its dependents are being removed.
    Removal,
}

/// One name, whether a package has it or not.
#[derive(Clone, Debug)]
pub(super) struct Name {
    pub(super) text: String,
    /// A stanza of a package of that name was met that was kept or says what it provides or replaces: the name stands for
    /// its own packages from then on, even for none.
    pub(super) own: bool,
    /// Packages that have it, each version once.
    pub(super) packages: Vec<PackageId>,
    /// Names of the packages that provide it, itself among them once a package has it.
    pub(super) provided_by: Vec<NameId>,
    /// Names of the packages that both replace and conflict with it.
    pub(super) replaced_by: Vec<NameId>,
    /// Names of the packages that need it; once for each time a stanza said so.
    pub(super) needed_by: Vec<NameId>,
    pub(super) status: Status,
    pub(super) seen: Seen,
    /// Its stanzas are wanted from the lists.
    pub(super) wanted: bool,
    /// A mark of one walk.
    pub(super) marked: bool,
}

/// All names.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    all: Vec<Name>,
    by_text: HashMap<String, NameId>,
}

impl Names {
    pub(super) fn find(&self, text: &str) -> Option<NameId> {
        self.by_text.get(text).copied()
    }

    /// The name, new if it was not there.
    pub(super) fn ensure(&mut self, text: &str) -> NameId {
        if let Some(id) = self.find(text) {
            return id;
        }
        let id = NameId(self.all.len());
        self.all.push(Name {
            text: text.to_owned(),
            own: false,
            packages: Vec::new(),
            provided_by: Vec::new(),
            replaced_by: Vec::new(),
            needed_by: Vec::new(),
            status: Status::NotInstalled,
            seen: Seen::No,
            wanted: false,
            marked: false,
        });
        self.by_text.insert(text.to_owned(), id);
        id
    }

    /// Every name, chain after chain, and in a chain as they came.
    pub(super) fn walk(&self) -> Vec<NameId> {
        let mut ids: Vec<_> = (0..self.all.len()).map(NameId).collect();
        ids.sort_by_key(|id| (chain(&self[*id].text), id.0));
        ids
    }
}

impl std::ops::Index<NameId> for Names {
    type Output = Name;

    fn index(&self, id: NameId) -> &Name {
        &self.all[id.0]
    }
}

impl std::ops::IndexMut<NameId> for Names {
    fn index_mut(&mut self, id: NameId) -> &mut Name {
        &mut self.all[id.0]
    }
}

/// Chain of a name: djb2, as opkg's hash_table.c counts it.
pub(super) fn chain(text: &str) -> u64 {
    text.bytes().fold(5381_u64, |hash, byte| hash.wrapping_mul(33).wrapping_add(u64::from(byte))) % CHAINS
}
