//! passwd, group and shadow of one root as texts, and the changes that accounts make to them. What is not changed keeps every
//! byte, the order of lines and of members included. Reads and writes no file by itself.

use std::collections::BTreeSet;

use xpkg_model::RelPath;
use xpkg_model::accounts::{Account, Group, User, is_field, is_name};
use xpkg_model::root::RootView;

use super::{Accounts, MAX_FILE};
use crate::{Error, Result};

/// The files, in the order in which they are written: a user's group is there before the user is.
pub(super) const PATHS: [&str; 3] = ["etc/group", "etc/shadow", "etc/passwd"];

/// How numbers are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Numbers {
    /// As OpenWrt's own scripts do for OpenWrt's packages: the first free one, and wishes are taken as they are.
    Ascending(u32),
    /// Out of this range, by the name: who is removed and comes again has the number that their files still have. A wish
    /// counts where the number is free.
    ByName(u32, u32),
}

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

    /// Makes sure of everything that an account says. Answers what was made, users first.
    pub(super) fn require(&mut self, account: &Account, habits: &Habits) -> std::result::Result<Made, Refusal> {
        let mut made = Made::default();
        let gid = match &account.group {
            Some(group) => Some(self.ensure_group(group, habits.numbers, &mut made)?),
            None => None,
        };
        for group in &account.more {
            self.ensure_group(group, habits.numbers, &mut made)?;
        }
        let Some(user) = &account.user else { return Ok(made) };
        if self.user_line(&user.name).is_none() {
            let wishes = [user.uid, habits.same(gid)];
            let uid = self.number(&user.name, &wishes, habits.numbers, true);
            let uid = uid.ok_or(Refusal::Full)?;
            self.add_user(&habits.user(user, uid, gid.unwrap_or(uid)))?;
            made.users.push((user.name.clone(), uid));
        }
        let own = account.group.iter().filter(|_| habits.joins_own);
        for group in own.chain(&account.more) {
            self.join(&group.name, &user.name)?;
        }
        Ok(made)
    }

    fn ensure_group(&mut self, group: &Group, numbers: Numbers, made: &mut Made) -> std::result::Result<u32, Refusal> {
        match self.accounts().group(&group.name) {
            // OpenWrt's scripts take a number that was asked for as it is.
            Some(there) if matches!(numbers, Numbers::Ascending(_)) => Ok(group.gid.unwrap_or(there)),
            Some(there) => Ok(there),
            None => {
                let gid = self.add_group(group, numbers)?;
                made.groups.push((group.name.clone(), gid));
                Ok(gid)
            }
        }
    }

    /// A number for a new user (`user`) or group.
    fn number(&self, name: &str, wishes: &[Option<u32>], numbers: Numbers, user: bool) -> Option<u32> {
        let mut wishes = wishes.iter().flatten();
        let of = |text: &str| super::parse(&bytes(text)).into_values().collect::<BTreeSet<u32>>();
        match numbers {
            Numbers::Ascending(first) => {
                let used = of(if user { &self.passwd } else { &self.group });
                wishes.next().copied().or_else(|| (first..=LAST).find(|number| !used.contains(number)))
            }
            Numbers::ByName(first, last) => {
                let (users, groups) = (of(&self.passwd), of(&self.group));
                let mine = if user { &users } else { &groups };
                if let Some(wish) = wishes.find(|wish| !mine.contains(wish)) {
                    return Some(*wish);
                }
                let span = last.saturating_sub(first).saturating_add(1);
                let start = hash(name) % span;
                let candidates = (0..span).map(|step| first + (start + step) % span);
                candidates.into_iter().find(|number| !users.contains(number) && !groups.contains(number))
            }
        }
    }
}

/// The last number that is given away in ascending order.
const LAST: u32 = 131_071;

/// What was made: names and numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// Users.
    pub users: Vec<(String, u32)>,
    /// Groups.
    pub groups: Vec<(String, u32)>,
}

/// How a root writes the accounts of packages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Habits {
    pub numbers: Numbers,
    /// The shell of those who never log in.
    pub no_shell: &'static str,
    /// A shell that is said is taken as it is.
    pub any_shell: bool,
    /// From the second field of shadow on.
    pub shadow: &'static str,
    /// Whether users are also listed as members of their own group.
    pub joins_own: bool,
}

impl Habits {
    /// The user's number is its group's, where that is free.
    fn same(&self, gid: Option<u32>) -> Option<u32> {
        gid.filter(|_| matches!(self.numbers, Numbers::ByName(..)))
    }

    fn user(&self, user: &User, uid: u32, gid: u32) -> NewUser {
        let shell = user.shell.clone().filter(|_| self.any_shell);
        NewUser {
            name: user.name.clone(),
            uid,
            gid,
            gecos: user.gecos.clone().unwrap_or_else(|| user.name.clone()),
            home: user.home.clone().unwrap_or_else(|| format!("/var/run/{}", user.name)),
            shell: shell.unwrap_or_else(|| self.no_shell.to_owned()),
            shadow: self.shadow,
        }
    }
}

fn checked(name: &str) -> std::result::Result<(), Refusal> {
    if is_name(name) { Ok(()) } else { Err(Refusal::Name(name.to_owned())) }
}

/// FNV-1a: the same name gives the same number on every machine.
fn hash(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// The way back; characters beyond one byte came from a caller and are written as UTF-8.
fn bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for c in text.chars() {
        match u8::try_from(u32::from(c)) {
            Ok(byte) => out.push(byte),
            Err(_) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out
}

fn line_of<'a>(file: &'a str, name: &str) -> Option<&'a str> {
    file.lines().find(|line| line.split(':').next() == Some(name))
}

fn push(file: &mut String, line: &str) {
    if !file.is_empty() && !file.ends_with('\n') {
        file.push('\n');
    }
    file.push_str(line);
    file.push('\n');
}

/// Gives the first line of a name another text, or takes it away.
fn replace(file: &mut String, name: &str, new: Option<&str>) {
    let mut out = String::with_capacity(file.len());
    let mut done = false;
    for line in file.split_inclusive('\n') {
        let body = line.strip_suffix('\n').unwrap_or(line);
        if done || body.split(':').next() != Some(name) {
            out.push_str(line);
            continue;
        }
        done = true;
        if let Some(new) = new {
            out.push_str(new);
            out.push_str(line.get(body.len()..).unwrap_or_default());
        }
    }
    *file = out;
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOREIGN: Habits = Habits {
        numbers: Numbers::ByName(32_768, 65_533),
        no_shell: "/bin/false",
        any_shell: false,
        shadow: "!::0:99999:7:::",
        joins_own: true,
    };

    fn files() -> Files {
        Files {
            passwd: text(b"root:x:0:0:root:/root:/bin/ash\nnobody:*:65534:65534:caf\xe9:/var:/bin/false\n"),
            group: "root:x:0:\nusers:x:100:a,b".to_owned(),
            shadow: Some("root::0:0:99999:7:::\n".to_owned()),
        }
    }

    #[test]
    fn numbers_come_from_the_name_and_come_again() {
        let account: Account = "chrony:chrony:users".parse().unwrap();
        let mut one = files();
        let made = one.require(&account, &FOREIGN).unwrap();
        let number = made.users[0].1;
        assert_eq!(made.groups, [("chrony".to_owned(), number)]);
        assert!((32_768..65_534).contains(&number));
        assert_eq!(one.members("users"), ["a", "b", "chrony"]);
        assert_eq!(one.require(&account, &FOREIGN).unwrap(), Made::default());
        // Removed, nothing is left; made again among others, it has its number again.
        one.remove_user("chrony").unwrap();
        one.remove_group("chrony").unwrap();
        assert_eq!((&one.passwd, &one.shadow), (&files().passwd, &files().shadow));
        assert_eq!(one.group, "root:x:0:\nusers:x:100:a,b\n");
        one.require(&"other:other".parse().unwrap(), &FOREIGN).unwrap();
        assert_eq!(one.require(&account, &FOREIGN).unwrap().users, [("chrony".to_owned(), number)]);
        assert!(one.content("etc/passwd").unwrap().windows(4).any(|w| w == b"caf\xe9"));
    }

    #[test]
    fn a_wish_counts_where_it_is_free() {
        let mut it = files();
        let made = it.require(&"sshd=22:sshd=22".parse().unwrap(), &FOREIGN).unwrap();
        assert_eq!((made.users[0].1, made.groups[0].1), (22, 22));
        let made = it.require(&"late=22:late=22".parse().unwrap(), &FOREIGN).unwrap();
        assert!(made.users[0].1 >= 32_768 && made.users[0].1 == made.groups[0].1, "{made:?}");
    }

    #[test]
    fn what_breaks_lines_is_refused() {
        let mut it = files();
        let bad = |name: &str| Group::new(name);
        assert_eq!(it.add_group(&bad("a:b"), FOREIGN.numbers), Err(Refusal::Name("a:b".to_owned())));
        assert!(it.add_group(&bad("a\nroot2"), FOREIGN.numbers).is_err());
        assert!(it.add_group(&bad("users"), FOREIGN.numbers).is_err());
        let mut user = FOREIGN.user(&User { name: "x".to_owned(), ..User::default() }, 5, 5);
        user.home = "/x:/bin/sh\nroot2:x:0:0".to_owned();
        assert!(matches!(it.add_user(&user), Err(Refusal::Field(_))));
        assert!(it.join("users", "x,y").is_err() && it.join("none", "x").is_err());
        assert!(matches!(it.remove_group("root"), Err(Refusal::Primary(..))));
        assert_eq!(it, files());
    }

    #[test]
    fn the_range_may_be_full() {
        let mut it = Files { passwd: "a:x:5:5::/:/\n".to_owned(), group: "a:x:5:\nb:x:6:\n".to_owned(), shadow: None };
        let numbers = Numbers::ByName(5, 7);
        assert_eq!(it.add_group(&Group::new("c"), numbers), Ok(7));
        assert_eq!(it.add_group(&Group::new("d"), numbers), Err(Refusal::Full));
    }
}
