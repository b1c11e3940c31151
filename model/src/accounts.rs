//! Users and groups that a package asks for, one value for both worlds: OpenWrt's `Require-User` words
//! (`user=uid:group=gid:more,groups`) and what Alpine's pre-install scripts make. Reads and makes no account.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::opkg::Opkg;

/// As shadow's and busybox's limit.
const MAX_NAME: usize = 32;
/// As long as a home directory, a shell or a description may be.
const MAX_FIELD: usize = 256;

/// A group, and the number that it should have where that is said.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Group {
    /// Its name; always one that [`is_name`] accepts.
    pub name: String,
    /// Its number; a wish.
    pub gid: Option<u32>,
}

/// A user, and what is said about it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct User {
    /// Its name; always one that [`is_name`] accepts.
    pub name: String,
    /// Its number; a wish.
    pub uid: Option<u32>,
    /// Home directory; `None`: as the root's own tools would say.
    pub home: Option<String>,
    /// Login shell.
    pub shell: Option<String>,
    /// Who it is, in words.
    pub gecos: Option<String>,
    /// Whether its home directory is made.
    pub make_home: bool,
}

/// One user with its groups, or groups alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct Account {
    /// The user.
    pub user: Option<User>,
    /// Its own group.
    pub group: Option<Group>,
    /// Groups that it is a member of besides.
    pub more: Vec<Group>,
}

impl Account {
    /// What a package of OpenWrt asks for: the words of its `Require-User`, and of the `.rusers` list that it brings.
    pub fn required(opkg: Option<&Opkg>, list: &str) -> Vec<Self> {
        let words = opkg.into_iter().flat_map(|opkg| &opkg.require_user).map(String::as_str);
        let accounts = words.chain(list.split_ascii_whitespace()).filter_map(|word| word.parse().ok());
        accounts.filter(|account: &Self| !account.is_nobody()).collect()
    }

    /// Every group, the user's own first.
    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        self.group.iter().chain(&self.more)
    }

    /// Whether it names nobody.
    pub fn is_nobody(&self) -> bool {
        self.user.is_none() && self.group.is_none() && self.more.is_empty()
    }

    /// For the person: `user chrony (group chrony)`.
    pub fn title(&self) -> String {
        let groups: Vec<&str> = self.groups().map(|group| group.name.as_str()).collect();
        let word = if groups.len() == 1 { "group" } else { "groups" };
        match &self.user {
            Some(user) if groups.is_empty() => format!("user {}", user.name),
            Some(user) => format!("user {} ({word} {})", user.name, groups.join(", ")),
            None => format!("{word} {}", groups.join(", ")),
        }
    }
}

/// Whether a name can stand in passwd, in group and on a command line as it is.
pub fn is_name(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    let first = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.');
    text.len() <= MAX_NAME && text.as_bytes().first().is_some_and(first) && text.bytes().all(plain)
}

/// Whether a text can be a field of passwd: it breaks no line and ends no field.
pub fn is_field(text: &str) -> bool {
    text.len() <= MAX_FIELD && !text.contains(|c: char| c == ':' || c.is_control())
}

impl Group {
    /// A group without a number.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), gid: None }
    }
}

/// `name=number`; what breaks the files' lines is nobody, and a number that is none is no wish.
fn named(text: &str) -> Option<(String, Option<u32>)> {
    let (name, number) = text.split_once('=').map_or((text, None), |(name, number)| (name, number.parse().ok()));
    is_name(name).then(|| (name.to_owned(), number))
}

impl FromStr for Account {
    type Err = std::convert::Infallible;

    /// Reads a word of `Require-User`. Any part may be absent; what is no name is left out, as OpenWrt's own build does.
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let mut parts = word.splitn(3, ':');
        let user = parts.next().and_then(named).map(|(name, uid)| User { name, uid, ..User::default() });
        let group = |(name, gid)| Group { name, gid };
        let own = parts.next().and_then(named).map(group);
        let more = parts.next().unwrap_or_default().split(',').filter_map(named).map(group).collect();
        Ok(Self { user, group: own, more })
    }
}

impl fmt::Display for Account {
    /// The word of `Require-User`: homes, shells and descriptions have no place there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let with = |name: &str, number: Option<u32>| match number {
            Some(number) => format!("{name}={number}"),
            None => name.to_owned(),
        };
        if let Some(user) = &self.user {
            f.write_str(&with(&user.name, user.uid))?;
        }
        let group = |group: &Group| with(&group.name, group.gid);
        match &self.group {
            Some(own) => write!(f, ":{}", group(own))?,
            None if !self.more.is_empty() => f.write_str(":")?,
            None => {}
        }
        if !self.more.is_empty() {
            write!(f, ":{}", self.more.iter().map(group).collect::<Vec<_>>().join(","))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(word: &str) -> Account {
        word.parse().unwrap_or_default()
    }

    #[test]
    fn words_come_back() {
        for word in ["ntp=123:ntp=123", ":dialout=20", "x:dialout:audio,new=7", "own", "a::b"] {
            assert_eq!(read(word).to_string(), word);
        }
        assert!(read("::").is_nobody());
        assert_eq!(read("b:a/d").to_string(), "b");
        assert_eq!(read("a=x:$(b)=1").to_string(), "a");
    }

    #[test]
    fn names_that_break_lines_are_none() {
        for bad in ["", "-x", "a:b", "a b", "a\nb", "$(x)", &"a".repeat(33)] {
            assert!(!is_name(bad), "{bad:?}");
        }
        assert!(is_name("_apt") && is_name("systemd-x.y") && is_name("0x"));
        assert!(!is_field("a:b") && !is_field("a\nb") && is_field("X Font Server"));
        assert_eq!(read("chrony:chrony:tty").title(), "user chrony (groups chrony, tty)");
    }
}
