//! Accounts that a package needs: OpenWrt's `Require-User` words (`user=uid:group=gid:more,groups`) and the `addgroup` and
//! `adduser` lines of Alpine's pre-install scripts. Pure text; makes no account.

use std::collections::BTreeMap;

/// The first line of the block of commands that this module writes.
const BEGIN: &str = "# accounts: ";
/// Its last line.
const END: &str = "# end of accounts";

/// Numbers that the words give to names: `(users, groups)`.
pub(super) fn numbers(words: &[String]) -> (BTreeMap<String, u32>, BTreeMap<String, u32>) {
    let (mut users, mut groups) = (BTreeMap::new(), BTreeMap::new());
    for word in words {
        let account = Account::parse(word);
        if let (Some(name), Some(uid)) = (account.user, account.uid.and_then(|n| n.parse().ok())) {
            users.insert(name.to_owned(), uid);
        }
        for (name, gid) in account.groups() {
            if let Some(gid) = gid.and_then(|n| n.parse().ok()) {
                groups.insert(name.to_owned(), gid);
            }
        }
    }
    (users, groups)
}

/// One word in parts.
#[derive(Default)]
struct Account<'a> {
    user: Option<&'a str>,
    uid: Option<&'a str>,
    group: Option<(&'a str, Option<&'a str>)>,
    more: Vec<(&'a str, Option<&'a str>)>,
}

impl<'a> Account<'a> {
    fn parse(word: &'a str) -> Self {
        let named = |text: &'a str| match text.split_once('=') {
            Some((name, number)) => (name, Some(number)),
            None => (text, None),
        };
        let plain = |(name, _): &(&str, _)| is_name(name);
        let mut parts = word.splitn(3, ':');
        let user = parts.next().map(named).filter(plain);
        let group = parts.next().map(named).filter(plain);
        let more = parts.next().unwrap_or_default().split(',').map(named).filter(plain).collect();
        Self { user: user.map(|(name, _)| name), uid: user.and_then(|(_, uid)| uid), group, more }
    }

    fn groups(&self) -> impl Iterator<Item = (&'a str, Option<&'a str>)> {
        self.group.into_iter().chain(self.more.clone())
    }
}

/// What may stand on a command line as it is.
fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.starts_with('-') && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.len() < 10 && text.bytes().all(|b| b.is_ascii_digit())
}

/// Lines for a pre-install script of Alpine, which busybox's `addgroup` and `adduser` carry out. An account that is there
/// already stays as it is.
pub(super) fn to_commands(words: &[String]) -> String {
    let mut out = format!("{BEGIN}{}\n", words.join(" "));
    for word in words {
        let account = Account::parse(word);
        for (name, gid) in account.groups() {
            let number = gid.filter(|n| is_number(n)).map(|n| format!("-g {n} ")).unwrap_or_default();
            out.push_str(&format!("addgroup -S {number}{name} 2>/dev/null\n"));
        }
        let Some(user) = account.user else { continue };
        let number = account.uid.filter(|n| is_number(n)).map(|n| format!("-u {n} ")).unwrap_or_default();
        let group = account.group.map(|(name, _)| format!("-G {name} ")).unwrap_or_default();
        out.push_str(&format!(
            "adduser -S -D -H -h /var/run/{user} -s /sbin/nologin {group}-g {user} {number}{user} 2>/dev/null\n"
        ));
        for (name, _) in &account.more {
            out.push_str(&format!("addgroup {user} {name} 2>/dev/null\n"));
        }
    }
    out.push_str(END);
    out.push('\n');
    out
}

/// The accounts that a script of Alpine makes, and the script without the lines that do so (`None` when nothing is left).
/// Knows the forms that Alpine's packages use; what it does not understand stays in the script.
pub(super) fn from_script(script: &str) -> (Vec<String>, Option<String>) {
    if let Some((words, rest)) = ours(script) {
        return (words, rest);
    }
    let mut made = Made::default();
    let mut rest = String::new();
    for line in script.lines() {
        if !made.take(line) {
            rest.push_str(line);
            rest.push('\n');
        }
    }
    let empty = |line: &str| matches!(line.trim(), "" | "exit 0" | "true" | ":") || line.trim_start().starts_with('#');
    let kept = (!rest.lines().all(empty)).then_some(rest);
    (made.words(), kept)
}

/// The block that [`to_commands`] writes says its words itself.
fn ours(script: &str) -> Option<(Vec<String>, Option<String>)> {
    let start = script.find(BEGIN)?;
    let (before, block) = script.split_at(start);
    let (block, after) = block.split_once(END)?;
    let words = block.lines().next()?.strip_prefix(BEGIN)?.split_ascii_whitespace().map(str::to_owned).collect();
    let rest = format!("{before}{}", after.strip_prefix('\n').unwrap_or(after));
    let bare = rest.lines().all(|line| matches!(line.trim(), "" | "#!/bin/sh" | "exit 0"));
    Some((words, (!bare).then_some(rest)))
}

#[derive(Default)]
struct Made {
    groups: BTreeMap<String, Option<String>>,
    /// In the order made.
    users: Vec<User>,
}

struct User {
    name: String,
    uid: Option<String>,
    group: Option<String>,
    more: Vec<String>,
}

impl Made {
    /// Whether the line makes an account and nothing else.
    fn take(&mut self, line: &str) -> bool {
        let line = line.trim();
        let plain = ["|| true", "|| :", "&>/dev/null", ">/dev/null 2>&1", "2>/dev/null", "2> /dev/null", ">/dev/null"];
        let mut command = line;
        while let Some(shorter) = plain.iter().find_map(|end| command.strip_suffix(end)) {
            command = shorter.trim_end();
        }
        let mut words = command.split_ascii_whitespace();
        let tool = words.next().unwrap_or_default();
        let (mut id, mut group, mut names) = (None, None, Vec::new());
        while let Some(word) = words.next() {
            match word {
                "-g" if tool == "addgroup" => id = words.next(),
                "-u" if tool == "adduser" => id = words.next(),
                "-G" if tool == "adduser" => group = words.next(),
                "-h" | "-s" | "-g" | "-k" if tool == "adduser" => drop(words.next()),
                "-S" | "-D" | "-H" => {}
                name if is_name(name) => names.push(name.to_owned()),
                _ => return false,
            }
        }
        if id.is_some_and(|id| !is_number(id)) || group.is_some_and(|g| !is_name(g)) {
            return false;
        }
        let id = id.map(str::to_owned);
        match (tool, names.as_slice()) {
            ("addgroup", [name]) => drop(self.groups.insert(name.clone(), id)),
            ("addgroup" | "adduser", [user, more]) => match self.users.iter_mut().find(|known| known.name == *user) {
                Some(known) => known.more.push(more.clone()),
                None => return false,
            },
            ("adduser", [user]) => {
                self.users.push(User { name: user.clone(), uid: id, group: group.map(str::to_owned), more: Vec::new() })
            }
            _ => return false,
        }
        true
    }

    fn words(mut self) -> Vec<String> {
        let mut out = Vec::new();
        for User { name: user, uid, group, more } in std::mem::take(&mut self.users) {
            let with = |name: &str, number: Option<&str>| match number {
                Some(number) => format!("{name}={number}"),
                None => name.to_owned(),
            };
            let group = group.unwrap_or_else(|| user.clone());
            let gid = self.groups.remove(&group).flatten();
            let mut word = format!("{}:{}", with(&user, uid.as_deref()), with(&group, gid.as_deref()));
            let more: Vec<String> =
                more.iter().map(|name| with(name, self.groups.remove(name).flatten().as_deref())).collect();
            if !more.is_empty() {
                word.push_str(&format!(":{}", more.join(",")));
            }
            out.push(word);
        }
        // A group without a user.
        out.extend(self.groups.into_iter().map(|(name, gid)| match gid {
            Some(gid) => format!(":{name}={gid}"),
            None => format!(":{name}"),
        }));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alpines_scripts_are_understood() {
        let script = "#!/bin/sh\n\naddgroup -S -g 123 chrony 2>/dev/null\n\
            adduser -S -D -H -h /var/log/chrony -s /sbin/nologin -G chrony -g chrony -u 99 chrony 2>/dev/null\n\
            addgroup chrony tty 2>/dev/null\n\nexit 0\n";
        assert_eq!(from_script(script), (vec!["chrony=99:chrony=123:tty".to_owned()], None));
        let (words, rest) = from_script("#!/bin/sh\naddgroup -S dhcpcd &>/dev/null\nmkdir -p /x\n");
        assert_eq!(words, [":dhcpcd"]);
        assert_eq!(rest.as_deref(), Some("#!/bin/sh\nmkdir -p /x\n"));
        let hostile = "#!/bin/sh\nadduser -S $(reboot)\nadduser `x`\n";
        assert_eq!(from_script(hostile), (Vec::new(), Some(hostile.to_owned())));
    }

    #[test]
    fn words_come_back() {
        for words in [vec!["dnsmasq=453:dnsmasq=453"], vec!["a:a", "b=5:c=6:d,e=7"], vec![":g=1"]] {
            let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
            let commands = format!("#!/bin/sh\n{}exit 0\n", to_commands(&words));
            assert_eq!(from_script(&commands), (words.clone(), None), "{commands}");
        }
        let (users, groups) = numbers(&["b=5:c=6:d,e=7".to_owned()]);
        assert_eq!((users.get("b"), groups.get("e"), groups.get("d")), (Some(&5), Some(&7), None));
        assert!(!to_commands(&["$(x)=1:`y`".to_owned()]).lines().skip(1).any(|l| l.contains("$(")));
    }
}
