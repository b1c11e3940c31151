//! passwd, group and shadow of one root as texts, and the changes that accounts make to them. What is not changed keeps every
//! byte, the order of lines and of members included. Reads and writes no file by itself.

use xpkg_model::RelPath;
use xpkg_model::accounts::{Group, is_field, is_name};
use xpkg_model::root::RootView;

use super::lines::{bytes, line_of, push, replace, text};
use super::making::Numbers;
use super::{Accounts, MAX_FILE};
use crate::{Error, Result};

/// The files, in the order in which they are written: a user's group is there before the user is.
pub(super) const PATHS: [&str; 3] = ["etc/group", "etc/shadow", "etc/passwd"];

/// Why an account cannot be made or changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It would break the files' lines.
    #[error("`{}` is no name for an account", .0.escape_debug())]
    Name(String),
    /// A field of passwd would break the files' lines.
    #[error("`{}` cannot stand in passwd", .0.escape_debug())]
    Field(String),
    /// There is one already.
    #[error("{0} `{1}` is there already")]
    There(&'static str, String),
    /// There is none.
    #[error("there is no {0} `{1}`")]
    Unknown(&'static str, String),
    /// Another one has the number.
    #[error("number {0} is taken by {1}")]
    Taken(u32, String),
    /// It is somebody's own group.
    #[error("`{0}` is the own group of user `{1}`")]
    Primary(String, String),
    /// No number is free.
    #[error("every number for accounts of the system is taken")]
    Full,
}

/// The texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// One character per byte: files may hold what is no UTF-8.
    pub(super) passwd: String,
    pub(super) group: String,
    pub(super) shadow: Option<String>,
}

/// A user as it stands in passwd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewUser {
    /// Name.
    pub name: String,
    /// Number.
    pub uid: u32,
    /// Number of its own group.
    pub gid: u32,
    /// Description.
    pub gecos: String,
    /// Home directory.
    pub home: String,
    /// Login shell.
    pub shell: String,
    /// Password field and times in shadow, from the second field on.
    pub shadow: &'static str,
}

impl Files {
    /// Reads the files of a root; `None` where there is no passwd or no group, as in a container without users.
    pub fn load(root: &(impl RootView + ?Sized)) -> Result<Option<Self>> {
        let read = |path: &'static str| -> Result<Option<String>> {
            let path = RelPath::literal(path);
            let bytes = root.read(&path, MAX_FILE).map_err(|e| Error::io("reading", &path, e))?;
            Ok(bytes.map(|bytes| text(&bytes)))
        };
        let (Some(passwd), Some(group)) = (read("etc/passwd")?, read("etc/group")?) else { return Ok(None) };
        Ok(Some(Self { passwd, group, shadow: read("etc/shadow")? }))
    }

    /// The content of one of [`PATHS`]; `None` when there is no such file.
    pub(super) fn content(&self, path: &str) -> Option<Vec<u8>> {
        match path {
            "etc/passwd" => Some(bytes(&self.passwd)),
            "etc/group" => Some(bytes(&self.group)),
            _ => self.shadow.as_deref().map(bytes),
        }
    }

    /// Names and numbers.
    pub fn accounts(&self) -> Accounts {
        Accounts::parse(&bytes(&self.passwd), &bytes(&self.group))
    }

    /// The line of a user in passwd.
    pub fn user_line(&self, name: &str) -> Option<&str> {
        line_of(&self.passwd, name)
    }

    /// The line of a group.
    pub fn group_line(&self, name: &str) -> Option<&str> {
        line_of(&self.group, name)
    }

    /// Adds a group; a number that is not said is chosen.
    pub(super) fn add_group(&mut self, group: &Group, numbers: Numbers) -> std::result::Result<u32, Refusal> {
        checked(&group.name)?;
        if self.group_line(&group.name).is_some() {
            return Err(Refusal::There("group", group.name.clone()));
        }
        let gid = self.number(&group.name, &[group.gid], numbers, false).ok_or(Refusal::Full)?;
        push(&mut self.group, &format!("{}:x:{gid}:", group.name));
        Ok(gid)
    }

    /// Adds a user, with a line in shadow where there is one.
    pub(super) fn add_user(&mut self, user: &NewUser) -> std::result::Result<(), Refusal> {
        checked(&user.name)?;
        if self.user_line(&user.name).is_some() {
            return Err(Refusal::There("user", user.name.clone()));
        }
        for field in [&user.gecos, &user.home, &user.shell] {
            if !is_field(field) {
                return Err(Refusal::Field(field.clone()));
            }
        }
        let NewUser { name, uid, gid, gecos, home, shell, shadow } = user;
        push(&mut self.passwd, &format!("{name}:x:{uid}:{gid}:{gecos}:{home}:{shell}"));
        if let Some(text) = &mut self.shadow
            && line_of(text, name).is_none()
        {
            push(text, &format!("{name}:{shadow}"));
        }
        Ok(())
    }

    /// Makes a user a member of a group. Answers whether it was none before.
    pub(super) fn join(&mut self, group: &str, user: &str) -> std::result::Result<bool, Refusal> {
        checked(user)?;
        let line = self.group_line(group).ok_or_else(|| Refusal::Unknown("group", group.to_owned()))?;
        let members = line.splitn(4, ':').nth(3).unwrap_or_default();
        if members.split(',').any(|member| member == user) {
            return Ok(false);
        }
        let comma = if members.is_empty() { "" } else { "," };
        let new = format!("{line}{comma}{user}");
        replace(&mut self.group, group, Some(&new));
        Ok(true)
    }

    /// Takes a user out of a group.
    pub(super) fn leave(&mut self, group: &str, user: &str) -> std::result::Result<(), Refusal> {
        let line = self.group_line(group).ok_or_else(|| Refusal::Unknown("group", group.to_owned()))?;
        let mut fields = line.splitn(4, ':');
        let head: Vec<&str> = fields.by_ref().take(3).collect();
        let members: Vec<&str> = fields.next().unwrap_or_default().split(',').filter(|m| *m != user).collect();
        let new = format!("{}:{}", head.join(":"), members.join(","));
        replace(&mut self.group, group, Some(&new));
        Ok(())
    }

    /// Removes a user from every file.
    pub(super) fn remove_user(&mut self, user: &str) -> std::result::Result<(), Refusal> {
        if self.user_line(user).is_none() {
            return Err(Refusal::Unknown("user", user.to_owned()));
        }
        replace(&mut self.passwd, user, None);
        if let Some(shadow) = &mut self.shadow {
            replace(shadow, user, None);
        }
        for group in self.groups_of(user) {
            self.leave(&group, user)?;
        }
        Ok(())
    }

    /// Removes a group; not one that is a user's own.
    pub(super) fn remove_group(&mut self, group: &str) -> std::result::Result<(), Refusal> {
        let line = self.group_line(group).ok_or_else(|| Refusal::Unknown("group", group.to_owned()))?;
        let gid = line.split(':').nth(2).unwrap_or_default();
        let own = self.passwd.lines().find(|l| !gid.is_empty() && l.split(':').nth(3) == Some(gid));
        if let Some(user) = own.and_then(|l| l.split(':').next()) {
            return Err(Refusal::Primary(group.to_owned(), user.to_owned()));
        }
        replace(&mut self.group, group, None);
        Ok(())
    }

    /// Members that a group names.
    pub(super) fn members(&self, group: &str) -> Vec<String> {
        let line = self.group_line(group).unwrap_or_default();
        let members = line.splitn(4, ':').nth(3).unwrap_or_default();
        members.split(',').filter(|m| !m.is_empty()).map(str::to_owned).collect()
    }

    fn groups_of(&self, user: &str) -> Vec<String> {
        let is_member = |line: &&str| line.splitn(4, ':').nth(3).is_some_and(|m| m.split(',').any(|m| m == user));
        self.group.lines().filter(is_member).filter_map(|l| l.split(':').next()).map(str::to_owned).collect()
    }
}

fn checked(name: &str) -> std::result::Result<(), Refusal> {
    if is_name(name) { Ok(()) } else { Err(Refusal::Name(name.to_owned())) }
}
