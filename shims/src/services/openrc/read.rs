//! What can be told from the text of a script for OpenRC without running it: what depend() says, and which commands there
//! are. Words that a shell would have to work out are passed over.

/// How many bytes of a script are looked at.
const MAX_TEXT: usize = 262_144;
/// How many words of one kind are kept.
const MAX_WORDS: usize = 64;

/// What a depend() function says (openrc-run(8), "DEPENDENCIES"), whatever conditions stand around it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Depend {
    /// Cannot start without.
    pub need: Vec<String>,
    /// Started after these when they are enabled.
    pub use_: Vec<String>,
    /// Started too where they exist.
    pub want: Vec<String>,
    /// Order alone.
    pub after: Vec<String>,
    /// Order alone.
    pub before: Vec<String>,
    /// Other names of this service.
    pub provide: Vec<String>,
}

/// A script, as far as its text tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// For a person.
    pub description: Option<String>,
    /// Its place among others.
    pub depend: Depend,
    /// Whether its program stays in the foreground and is put into the background from outside.
    pub background: bool,
    /// Whether it starts a program that is told by its variables or by start-stop-daemon.
    pub starts: bool,
    /// Commands beside start, stop, restart and status.
    pub commands: Vec<String>,
}

/// Whether the first line asks for openrc-run (or runscript, its older name).
pub fn is_for_openrc(text: &[u8]) -> bool {
    let line = text.split(|b| *b == b'\n').next().unwrap_or_default();
    let Some(program) = line.strip_prefix(b"#!") else { return false };
    let program = String::from_utf8_lossy(program);
    let mut words = program.split_ascii_whitespace();
    let name = |word: Option<&str>| word.and_then(|w| w.rsplit('/').next()).unwrap_or_default().to_owned();
    let first = name(words.next());
    let program = if first == "env" { name(words.next()) } else { first };
    matches!(program.as_str(), "openrc-run" | "runscript")
}

impl Script {
    /// Reads a script.
    pub fn read(text: &str) -> Self {
        let mut end = text.len().min(MAX_TEXT);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let mut script = Self::default();
        let mut in_depend = false;
        let mut joined = String::new();
        for line in text.get(..end).unwrap_or_default().lines() {
            // A line that ends with a backslash goes on.
            if let Some(begun) = line.strip_suffix('\\') {
                if joined.len() + begun.len() < MAX_TEXT {
                    joined.push_str(begun);
                }
                continue;
            }
            let whole = std::mem::take(&mut joined) + line;
            let line = whole.as_str();
            if in_depend {
                in_depend = !line.starts_with('}');
                script.depend.line(line);
            } else if let Some(rest) = function(line, "depend") {
                script.depend.line(rest);
                in_depend = !rest.contains('}');
            } else if let Some((name, value)) = assignment(line) {
                script.assign(name, value);
            }
            script.starts |= line.contains("start-stop-daemon") && line.contains("--start");
            script.background |= line.contains("--background") || line.contains("supervise-daemon");
        }
        script
    }

    fn assign(&mut self, name: &str, value: &str) {
        match name {
            "command" => self.starts = true,
            "command_background" => self.background = matches!(value, "yes" | "YES" | "true" | "1"),
            "description" => self.description = Some(value.chars().take(200).collect()),
            "opts" | "extra_commands" | "extra_started_commands" | "extra_stopped_commands" => {
                let known: Vec<String> = self.commands.clone();
                let words = value.split_ascii_whitespace().filter(|w| is_command(w) && !known.iter().any(|k| k == w));
                self.commands.extend(words.take(MAX_WORDS).map(str::to_owned));
                self.commands.truncate(MAX_WORDS);
            }
            _ => {}
        }
    }
}

impl Depend {
    /// One line of the function: its commands are told apart by `;`, `&&` and `||`.
    fn line(&mut self, line: &str) {
        for command in line.split([';', '&', '|', '{', '}']) {
            let mut words = command.split_ascii_whitespace().peekable();
            while words.next_if(|w| matches!(*w, "then" | "else" | "if" | "do" | "!")).is_some() {}
            let into = match words.next() {
                Some("need" | "need_if_exists") => &mut self.need,
                Some("use") => &mut self.use_,
                Some("want") => &mut self.want,
                Some("after") => &mut self.after,
                Some("before") => &mut self.before,
                Some("provide") => &mut self.provide,
                _ => continue,
            };
            for word in words.take_while(|w| !w.starts_with('#')) {
                let plain = word == "*" || super::is_name(word);
                if plain && into.len() < MAX_WORDS && !into.iter().any(|w| w == word) {
                    into.push(word.to_owned());
                }
            }
        }
    }
}

/// What follows `name() {` or `name()` on a line that begins a function.
fn function<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let line = line.strip_prefix("function ").unwrap_or(line).trim_start();
    let rest = line.strip_prefix(name)?.trim_start().strip_prefix('(')?.trim_start().strip_prefix(')')?;
    Some(rest)
}

fn assignment(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once('=')?;
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return None;
    }
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
    let value = match quote {
        Some(quote) => value.get(1..)?.split(quote).next()?,
        None => value.split_ascii_whitespace().next().unwrap_or_default(),
    };
    Some((name, value))
}

/// A command that becomes a function of the generated script, beside those that rc.common has.
fn is_command(word: &str) -> bool {
    const TAKEN: [&str; 22] = [
        "start",
        "stop",
        "restart",
        "boot",
        "shutdown",
        "enable",
        "disable",
        "enabled",
        "running",
        "status",
        "trace",
        "info",
        "help",
        "depends",
        "start_service",
        "stop_service",
        "reload_service",
        "service_started",
        "service_stopped",
        "service_running",
        "describe",
        "xpkg_run",
    ];
    let plain = word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    plain && word.starts_with(|c: char| c.is_ascii_alphabetic()) && word.len() <= 40 && !TAKEN.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_lines() {
        for (line, is) in [
            ("#!/sbin/openrc-run\n", true),
            ("#! /sbin/runscript\n", true),
            ("#!/usr/bin/env openrc-run\n", true),
            ("#!/bin/sh /etc/rc.common\n", false),
            ("#!/bin/sh\n# openrc-run\n", false),
            ("", false),
        ] {
            assert_eq!(is_for_openrc(line.as_bytes()), is, "{line}");
        }
    }

    #[test]
    fn facts_of_a_text() {
        let text = "#!/sbin/openrc-run\ndescription=\"It's a daemon\"\nextra_commands=\"checkconfig rm-rf enable\"\n\
            extra_started_commands='reload'\n\ndepend()\n{\n\tneed net localmount\n\tuse logger dns # not this\n\
            \tif [ \"$x\" ] ; then need dbus; fi\n\tafter * $(reboot) $x\n\tbefore \\\n\t\tsshd\n\tprovide ntp-client\n}\n\
            need() { :; }\nafter_all() { after nothing; }\n";
        let script = Script::read(text);
        assert_eq!(script.description.as_deref(), Some("It's a daemon"));
        assert_eq!(script.commands, ["checkconfig", "reload"]);
        assert_eq!(script.depend.need, ["net", "localmount", "dbus"]);
        assert_eq!(script.depend.use_, ["logger", "dns"]);
        assert_eq!((script.depend.after, script.depend.before), (vec!["*".to_owned()], vec!["sshd".to_owned()]));
        assert_eq!(script.depend.provide, ["ntp-client"]);
    }
}
