//! How a root makes the accounts that packages ask for: which numbers are given, and what stands in the new lines. Works on the
//! texts of [`Files`]; reads and writes no file.

use std::collections::BTreeSet;

use xpkg_model::accounts::{Account, Group, User};

use super::files::{Files, NewUser, Refusal};
use super::lines::bytes;

/// How numbers are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Numbers {
    /// As OpenWrt's own scripts do for OpenWrt's packages: the first free one, and wishes are taken as they are.
    Ascending(u32),
    /// Out of this range, by the name: who is removed and comes again has the number that their files still have. A wish
    /// counts where the number is free.
    ByName(u32, u32),
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

impl Files {
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
    pub(super) fn number(&self, name: &str, wishes: &[Option<u32>], numbers: Numbers, user: bool) -> Option<u32> {
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

/// FNV-1a: the same name gives the same number on every machine.
fn hash(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::super::lines::text;
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
