//! Accounts out of the scripts that make them, and scripts out of accounts: the `addgroup` and `adduser` lines of Alpine's
//! pre-install scripts. Pure text; makes no account.

use std::collections::BTreeMap;

use xpkg_model::RelPath;
use xpkg_model::accounts::{Account, Group, User, is_field, is_name};
use xpkg_model::adaptation::Adaptation;
use xpkg_model::payload::ScriptKind;

use crate::Foreign;

/// The first line of the block of commands that this module writes.
const BEGIN: &str = "# accounts: ";
/// Its last line.
const END: &str = "# end of accounts";
/// Longest script that is looked at.
const MAX_TEXT: usize = 262_144;

/// What a foreign package needs: its own words and list, what its scripts make, and the accounts of its world's base that
/// rules name.
pub fn translate(foreign: &Foreign<'_>) -> Adaptation {
    let name = &foreign.package.name;
    let list = RelPath::from_package(format!("lib/apk/packages/{name}.rusers").as_bytes()).ok();
    let list = list.and_then(|path| foreign.text(&path)).unwrap_or_default();
    let mut accounts = Account::required(foreign.package.opkg.as_deref(), &list);
    for kind in [ScriptKind::PreInstall, ScriptKind::PreUpgrade] {
        let text = foreign.scripts.get(&kind).map(|text| String::from_utf8_lossy(text));
        accounts.extend(text.into_iter().flat_map(|text| from_script(&text).0));
    }
    accounts.extend(foreign.rules.accounts(foreign.package.ecosystem, foreign.probe, name));
    let mut seen = Vec::new();
    accounts.retain(|account| {
        !seen.contains(account) && {
            seen.push(account.clone());
            true
        }
    });
    let title = foreign.title();
    let notes = accounts.iter().map(|account| format!("{title}: needs {}; what is missing is made", account.title()));
    Adaptation { notes: notes.collect(), accounts, ..Adaptation::default() }
}

/// Lines for a pre-install script of Alpine, which busybox's `addgroup` and `adduser` carry out. An account that is there
/// already stays as it is.
pub fn to_commands(accounts: &[Account]) -> String {
    let words: Vec<String> = accounts.iter().map(ToString::to_string).collect();
    let mut out = format!("{BEGIN}{}\n", words.join(" "));
    for account in accounts {
        for group in account.groups() {
            let number = group.gid.map(|n| format!("-g {n} ")).unwrap_or_default();
            out.push_str(&format!("addgroup -S {number}{} 2>/dev/null\n", group.name));
        }
        let Some(User { name: user, uid, .. }) = &account.user else { continue };
        let number = uid.map(|n| format!("-u {n} ")).unwrap_or_default();
        let group = account.group.as_ref().map(|group| format!("-G {} ", group.name)).unwrap_or_default();
        out.push_str(&format!(
            "adduser -S -D -H -h /var/run/{user} -s /sbin/nologin {group}-g {user} {number}{user} 2>/dev/null\n"
        ));
        for group in &account.more {
            out.push_str(&format!("addgroup {user} {} 2>/dev/null\n", group.name));
        }
    }
    out.push_str(END);
    out.push('\n');
    out
}

/// The accounts that a script of Alpine makes, and the script without the lines that do so (`None` when nothing is left).
/// Knows the forms that Alpine's packages use, variables with a plain value among them; what it does not understand stays in
/// the script.
pub fn from_script(script: &str) -> (Vec<Account>, Option<String>) {
    if let Some((accounts, rest)) = ours(script) {
        return (accounts, rest);
    }
    if script.len() > MAX_TEXT {
        return (Vec::new(), Some(script.to_owned()));
    }
    let mut made = Made::default();
    let mut rest = String::new();
    let mut bare = true;
    // Inside a function, a loop or a condition nothing is certain.
    let mut depth = 0_usize;
    for line in script.lines() {
        let first = line.split_ascii_whitespace().next().unwrap_or_default();
        if depth == 0 && made.take(line) {
            continue;
        }
        match first {
            "if" | "for" | "while" | "until" | "case" if !ends_itself(line) => depth += 1,
            "fi" | "done" | "esac" | "}" => depth = depth.saturating_sub(1),
            _ if line.trim_end().ends_with('{') => depth += 1,
            _ => {}
        }
        bare &= says_nothing(line) || depth == 0 && made.assign(line);
        rest.push_str(line);
        rest.push('\n');
    }
    (made.accounts(), (!bare).then_some(rest))
}

fn ends_itself(line: &str) -> bool {
    ["fi", "done", "esac"].iter().any(|end| line.trim_end().ends_with(end))
}

fn says_nothing(line: &str) -> bool {
    matches!(line.trim(), "" | "exit 0" | "true" | ":") || line.trim_start().starts_with('#')
}

/// The block that [`to_commands`] writes says its words itself.
fn ours(script: &str) -> Option<(Vec<Account>, Option<String>)> {
    let start = script.find(BEGIN)?;
    let (before, block) = script.split_at(start);
    let (block, after) = block.split_once(END)?;
    let words = block.lines().next()?.strip_prefix(BEGIN)?.split_ascii_whitespace();
    let accounts = words.filter_map(|word| word.parse().ok()).collect();
    let rest = format!("{before}{}", after.strip_prefix('\n').unwrap_or(after));
    let bare = rest.lines().all(|line| matches!(line.trim(), "" | "#!/bin/sh" | "exit 0"));
    Some((accounts, (!bare).then_some(rest)))
}

/// What the lines so far have made.
#[derive(Default)]
struct Made {
    groups: BTreeMap<String, Option<u32>>,
    /// In the order made.
    users: Vec<Account>,
    variables: BTreeMap<String, String>,
}

impl Made {
    /// Remembers `name=value` where the value is plain.
    fn assign(&mut self, line: &str) -> bool {
        let Some((name, value)) = line.trim().split_once('=') else { return false };
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"_./-".contains(&b);
        let is_variable = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let value = value.trim_matches('"').trim_matches('\'');
        if !is_variable || !value.bytes().all(plain) {
            return false;
        }
        self.variables.insert(name.to_owned(), value.to_owned());
        true
    }

    /// A line in words as the shell would give them to a command; `None` when that takes a shell.
    fn words(&self, command: &str) -> Option<Vec<String>> {
        let mut words = Vec::new();
        let mut word: Option<String> = None;
        let mut quote = None;
        let mut chars = command.chars().peekable();
        while let Some(c) = chars.next() {
            match (quote, c) {
                (Some(q), c) if c == q => quote = None,
                (None, '"' | '\'') => {
                    quote = Some(c);
                    word.get_or_insert_default();
                }
                (Some('"') | None, '$') => {
                    let braced = chars.next_if_eq(&'{').is_some();
                    let mut name = String::new();
                    while let Some(c) = chars.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
                        name.push(c);
                    }
                    if braced && chars.next() != Some('}') {
                        return None;
                    }
                    word.get_or_insert_default().push_str(self.variables.get(&name)?);
                }
                (Some('"') | None, '`' | '\\') => return None,
                (None, ';' | '|' | '&' | '<' | '>' | '(' | ')' | '*' | '?' | '#' | '{' | '}') => return None,
                (None, c) if c.is_whitespace() => words.extend(word.take()),
                (_, c) => word.get_or_insert_default().push(c),
            }
        }
        words.extend(word);
        quote.is_none().then_some(words)
    }

    /// Whether the line makes an account and nothing else.
    fn take(&mut self, line: &str) -> bool {
        let plain = ["|| true", "|| :", "&>/dev/null", ">/dev/null 2>&1", "2>/dev/null", "2> /dev/null", ">/dev/null"];
        let mut command = line.trim();
        while let Some(shorter) = plain.iter().find_map(|end| command.strip_suffix(end)) {
            command = shorter.trim_end();
        }
        let tool = command.split_ascii_whitespace().next().unwrap_or_default();
        if !matches!(tool, "addgroup" | "adduser") {
            return false;
        }
        self.words(command).and_then(|words| self.run(tool, words.get(1..).unwrap_or_default())).is_some()
    }

    fn run(&mut self, tool: &str, words: &[String]) -> Option<()> {
        let mut words = words.iter();
        let (mut id, mut group, mut names) = (None, None, Vec::new());
        let mut user = User { make_home: tool == "adduser", ..User::default() };
        while let Some(word) = words.next() {
            let mut field = || words.next().filter(|field| is_field(field)).cloned();
            match word.as_str() {
                "-g" if tool == "addgroup" => id = Some(field()?.parse().ok()?),
                "-u" if tool == "adduser" => id = Some(field()?.parse().ok()?),
                "-G" if tool == "adduser" => group = Some(field().filter(|name| is_name(name))?),
                "-h" if tool == "adduser" => user.home = Some(field()?),
                "-s" if tool == "adduser" => user.shell = Some(field()?),
                "-g" if tool == "adduser" => user.gecos = Some(field()?),
                "-k" if tool == "adduser" => drop(field()?),
                flags if flags.strip_prefix('-').is_some_and(|f| f.chars().all(|c| "SDH".contains(c))) => {
                    user.make_home &= !flags.contains('H');
                }
                name if is_name(name) => names.push(name.to_owned()),
                _ => return None,
            }
        }
        match (tool, names.as_slice()) {
            ("addgroup", [name]) => drop(self.groups.insert(name.clone(), id)),
            (_, [name, more]) => {
                let is_it = |known: &&mut Account| known.user.as_ref().is_some_and(|user| user.name == *name);
                self.users.iter_mut().find(is_it)?.more.push(Group::new(more));
            }
            ("adduser", [name]) => {
                // busybox gives a user of the system without -G a group of its own name.
                let group = Some(Group::new(group.as_ref().unwrap_or(name)));
                let user = Some(User { name: name.clone(), uid: id, ..user });
                self.users.push(Account { user, group, more: Vec::new() });
            }
            _ => return None,
        }
        Some(())
    }

    fn accounts(mut self) -> Vec<Account> {
        for account in &mut self.users {
            for group in account.group.iter_mut().chain(&mut account.more) {
                group.gid = self.groups.remove(&group.name).flatten();
            }
        }
        // Groups without a user.
        let alone = self.groups.into_iter().map(|(name, gid)| Group { name, gid });
        let alone = alone.map(|group| Account { group: Some(group), ..Account::default() });
        self.users.into_iter().chain(alone).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(script: &str) -> (Vec<String>, Option<String>) {
        let (accounts, rest) = from_script(script);
        (accounts.iter().map(ToString::to_string).collect(), rest)
    }

    #[test]
    fn alpines_scripts_are_understood() {
        let script = "#!/bin/sh\n\naddgroup -S -g 123 chrony 2>/dev/null\n\
            adduser -S -D -H -h /var/log/chrony -s /sbin/nologin -G chrony -g chrony -u 99 chrony 2>/dev/null\n\
            addgroup chrony tty 2>/dev/null\n\nexit 0\n";
        assert_eq!(words(script), (vec!["chrony=99:chrony=123:tty".to_owned()], None));
        let user = from_script(script).0.swap_remove(0).user.unwrap_or_default();
        assert_eq!((user.home.as_deref(), user.shell.as_deref()), (Some("/var/log/chrony"), Some("/sbin/nologin")));
        let (accounts, rest) = words("#!/bin/sh\naddgroup -S dhcpcd &>/dev/null\nmkdir -p /x\n");
        assert_eq!(accounts, [":dhcpcd"]);
        assert_eq!(rest.as_deref(), Some("#!/bin/sh\nmkdir -p /x\n"));
    }

    #[test]
    fn variables_with_plain_values_are_followed() {
        let script = "#!/bin/sh\n\nuser=dhcpcd\ngroup=\"dhcpcd\"\n\naddgroup -S $group 2>/dev/null\n\
            adduser -S -D -h /var/lib/$user -s /sbin/nologin -G ${group} -g \"the $user\" $user 2>/dev/null\n\nexit 0\n";
        assert_eq!(words(script), (vec!["dhcpcd:dhcpcd".to_owned()], None));
        let user = from_script(script).0.swap_remove(0).user.unwrap_or_default();
        assert_eq!((user.home.as_deref(), user.gecos.as_deref()), (Some("/var/lib/dhcpcd"), Some("the dhcpcd")));
    }

    #[test]
    fn what_takes_a_shell_stays() {
        for line in [
            "adduser -S $(reboot)",
            "adduser `x`",
            "adduser -S $unknown",
            "adduser -S a; rm -rf /",
            "adduser -S -h 'a:b' c",
            "addgroup -S '../x'",
            "adduser -S \"a\nb\"",
            "if x; then\naddgroup -S late\nfi",
            "f() {\naddgroup -S late\n}",
        ] {
            let script = format!("#!/bin/sh\n{line}\n");
            assert_eq!(words(&script), (Vec::new(), Some(script.clone())));
        }
    }

    #[test]
    fn words_come_back() {
        for list in [vec!["dnsmasq=453:dnsmasq=453"], vec!["a:a", "b=5:c=6:d,e=7"], vec![":g=1"]] {
            let accounts: Vec<Account> = list.iter().filter_map(|word| word.parse().ok()).collect();
            let commands = format!("#!/bin/sh\n{}exit 0\n", to_commands(&accounts));
            assert_eq!(from_script(&commands), (accounts, None), "{commands}");
        }
    }
}
