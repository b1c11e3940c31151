//! Accounts changed at once, outside any transaction: what the applets `adduser`, `addgroup` and their like do while a
//! package's script runs. One writer at a time, each file replaced as a whole; never waits for the package database's lock,
//! which whoever runs the script holds.

use xpkg_model::accounts::{Account, Group, User};
use xpkg_model::root::RootView;
use xpkg_model::{Ecosystem, RelPath};

use super::files::{Files, PATHS, Refusal};
use super::making::Numbers;
use super::{foreign, required};
use crate::live::LiveRoot;
use crate::{Error, Result};

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A new group; `system` chooses among the numbers for daemons.
    AddGroup {
        /// The group.
        group: Group,
        /// For daemons.
        system: bool,
    },
    /// A new user; without a group it gets one of its own name.
    AddUser {
        /// The user.
        user: User,
        /// Its own group.
        group: Option<String>,
        /// For daemons.
        system: bool,
    },
    /// A user becomes a member of a group.
    Join {
        /// The user.
        user: String,
        /// The group.
        group: String,
    },
    /// A user is a member no longer.
    Leave {
        /// The user.
        user: String,
        /// The group.
        group: String,
    },
    /// A user goes.
    RemoveUser(String),
    /// A group goes.
    RemoveGroup(String),
    /// What a word of `Require-User` says; what is there stays as it is.
    Require(Account),
}

/// First number of people's accounts, as busybox's adduser has it.
const PEOPLE: u32 = 1000;

/// Carries out one change on a live root.
pub fn edit(root: &LiveRoot, native: Ecosystem, change: &Change) -> Result<()> {
    let _lock = root.lock_accounts()?;
    let refused = |why: Refusal| Error::Account(why.to_string());
    let before = Files::load(root)?.ok_or_else(|| Error::Account("this root has no passwd or no group".to_owned()))?;
    let mut files = before.clone();
    let mut home = None;
    match change {
        Change::AddGroup { group, system } => {
            let numbers = numbers(native, root, *system)?;
            if let Some(gid) = group.gid
                && let Some(other) = before.accounts().group_named(gid)
            {
                return Err(refused(Refusal::Taken(gid, other.to_owned())));
            }
            files.add_group(group, numbers).map(drop).map_err(refused)?;
        }
        Change::AddUser { user, group, system } => {
            let mut habits = foreign::habits(native, root)?;
            habits.numbers = numbers(native, root, *system)?;
            habits.joins_own = false;
            if files.user_line(&user.name).is_some() {
                return Err(refused(Refusal::There("user", user.name.clone())));
            }
            if let Some(uid) = user.uid
                && let Some(other) = before.accounts().user_named(uid)
            {
                return Err(refused(Refusal::Taken(uid, other.to_owned())));
            }
            let named = group.as_ref().filter(|name| files.group_line(name).is_none());
            if let Some(name) = named {
                return Err(refused(Refusal::Unknown("group", name.clone())));
            }
            let group = Group::new(group.as_deref().unwrap_or(&user.name));
            let account = Account { user: Some(user.clone()), group: Some(group), more: Vec::new() };
            files.require(&account, &habits).map_err(refused)?;
            home = Some(user).filter(|user| user.make_home);
        }
        Change::Join { user, group } => {
            if files.user_line(user).is_none() {
                return Err(refused(Refusal::Unknown("user", user.clone())));
            }
            files.join(group, user).map(drop).map_err(refused)?;
        }
        Change::Leave { user, group } => files.leave(group, user).map_err(refused)?,
        Change::RemoveUser(user) => {
            files.remove_user(user).map_err(refused)?;
            // As busybox's deluser: a group of the same name that nobody else is in goes along.
            if files.group_line(user).is_some() && files.members(user).is_empty() {
                let _ = files.remove_group(user);
            }
        }
        Change::RemoveGroup(group) => files.remove_group(group).map_err(refused)?,
        Change::Require(account) => {
            let habits = match native {
                Ecosystem::Openwrt => required::habits(root)?,
                _ => foreign::habits(native, root)?,
            };
            files.require(account, &habits).map(drop).map_err(refused)?;
        }
    }
    for path in PATHS {
        let (old, new) = (before.content(path), files.content(path));
        if let Some(new) = new.filter(|new| old.as_ref() != Some(new)) {
            root.replace_file(&RelPath::literal(path), &new)?;
        }
    }
    if let Some(user) = home
        && let Some(path) = foreign::home_of(&files, &user.name)
        && let Some((uid, gid)) = foreign::ids(&files, &user.name)
    {
        root.make_home(&path, uid, gid)?;
    }
    Ok(())
}

fn numbers(native: Ecosystem, root: &LiveRoot, system: bool) -> Result<Numbers> {
    if system { Ok(foreign::habits(native, root)?.numbers) } else { Ok(Numbers::Ascending(PEOPLE)) }
}

/// The lines of passwd or group that have one of these names or numbers; all when there are none. `None` stands for a name
/// that nobody has.
pub fn entries(root: &impl RootView, groups: bool, keys: &[String]) -> Result<Vec<Option<String>>> {
    let files = Files::load(root)?.unwrap_or_default();
    let text = if groups { &files.group } else { &files.passwd };
    if keys.is_empty() {
        return Ok(text.lines().map(|line| Some(line.to_owned())).collect());
    }
    let fits = |line: &&str, key: &String| {
        let mut fields = line.split(':');
        fields.next() == Some(key) || fields.nth(1) == Some(key)
    };
    Ok(keys.iter().map(|key| text.lines().find(|line| fits(line, key)).map(str::to_owned)).collect())
}
