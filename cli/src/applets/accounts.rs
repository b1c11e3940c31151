//! `adduser`, `addgroup`, `deluser`, `delgroup` and `getent`, with the options that busybox gives them. Reads words; the
//! files are changed by the pipeline.

use std::process::ExitCode;

use xpkg_model::accounts::{Group, User};
use xpkg_pipeline::applets::{self, Change};

use super::complain;
use crate::terminal::outln;

/// What `getent` ends with when a key is not found (getent(1)).
const NOT_FOUND: u8 = 2;

pub fn main(name: &str, words: &[String]) -> ExitCode {
    let change = match read(name, words) {
        Ok(change) => change,
        Err(why) => return complain(name, &why),
    };
    match applets::change_accounts("/".as_ref(), &change) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => complain(name, &why.to_string()),
    }
}

/// The words of a command line: options with their values, and the rest.
fn read(tool: &str, words: &[String]) -> Result<Change, String> {
    let (mut options, mut names) = (Vec::new(), Vec::new());
    let with_value = match tool {
        "adduser" => "hgsGuk",
        "addgroup" => "g",
        _ => "",
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.strip_prefix('-').filter(|flags| !flags.is_empty() && names.is_empty()) {
            Some("-") => names.extend(words.by_ref()),
            Some(flags) => {
                let mut flags = flags.chars();
                while let Some(flag) = flags.next() {
                    if !with_value.contains(flag) {
                        options.push((flag, None));
                        continue;
                    }
                    let rest: String = flags.by_ref().collect();
                    let value = if rest.is_empty() { words.next().cloned() } else { Some(rest) };
                    options.push((flag, Some(value.ok_or_else(|| format!("-{flag} needs a value"))?)));
                }
            }
            None => names.push(word),
        }
    }
    let has = |flag: char| options.iter().any(|(known, _)| *known == flag);
    let value = |flag: char| options.iter().rev().find(|(f, _)| *f == flag).and_then(|(_, value)| value.clone());
    let number = |flag: char| match value(flag) {
        Some(text) => text.parse().map(Some).map_err(|_| format!("`{}` is no number", text.escape_debug())),
        None => Ok(None),
    };
    match (tool, names.as_slice()) {
        ("adduser" | "addgroup", [user, group]) => Ok(Change::Join { user: (*user).clone(), group: (*group).clone() }),
        ("deluser" | "delgroup", [user, group]) => Ok(Change::Leave { user: (*user).clone(), group: (*group).clone() }),
        ("addgroup", [name]) => {
            let group = Group { name: (*name).clone(), gid: number('g')? };
            Ok(Change::AddGroup { group, system: has('S') })
        }
        ("adduser", [name]) => {
            let user = User {
                name: (*name).clone(),
                uid: number('u')?,
                home: value('h'),
                shell: value('s'),
                gecos: value('g'),
                make_home: !has('H'),
            };
            Ok(Change::AddUser { user, group: value('G'), system: has('S') })
        }
        ("deluser", [name]) => Ok(Change::RemoveUser((*name).clone())),
        ("delgroup", [name]) => Ok(Change::RemoveGroup((*name).clone())),
        _ => Err("one name, or a user and a group".to_owned()),
    }
}

pub fn getent(tool: &str, words: &[String]) -> ExitCode {
    let (groups, keys) = match words {
        [database, keys @ ..] if database == "passwd" => (false, keys),
        [database, keys @ ..] if database == "group" => (true, keys),
        _ => return complain(tool, "only `passwd` and `group` are known"),
    };
    match applets::accounts("/".as_ref(), groups, keys) {
        Ok(lines) => {
            for line in lines.iter().flatten() {
                outln!("{line}");
            }
            if lines.iter().all(Option::is_some) { ExitCode::SUCCESS } else { ExitCode::from(NOT_FOUND) }
        }
        Err(why) => complain(tool, &why.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Result<Change, String> {
        let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
        read(&words[0], &words[1..])
    }

    #[test]
    fn options_as_busybox_has_them() {
        let Ok(Change::AddUser { user, group, system }) =
            line("adduser -SDH -h /var/log/chrony -s /sbin/nologin -Gchrony -g Time -u 99 chrony")
        else {
            unreachable!()
        };
        assert_eq!((user.name.as_str(), user.uid, user.make_home, system), ("chrony", Some(99), false, true));
        assert_eq!((user.home.as_deref(), user.gecos.as_deref()), (Some("/var/log/chrony"), Some("Time")));
        assert_eq!(group.as_deref(), Some("chrony"));
        let group = Group { name: "a".into(), gid: Some(7) };
        assert_eq!(line("addgroup -S -g 7 a"), Ok(Change::AddGroup { group, system: true }));
        assert_eq!(line("addgroup u g"), Ok(Change::Join { user: "u".into(), group: "g".into() }));
        assert_eq!(line("deluser u g"), Ok(Change::Leave { user: "u".into(), group: "g".into() }));
        for bad in ["adduser", "adduser -u x a", "adduser -u", "addgroup a b c", "delgroup"] {
            assert!(line(bad).is_err(), "{bad}");
        }
    }
}
