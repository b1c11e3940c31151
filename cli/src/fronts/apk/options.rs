//! apk's command line: which options there are, and how they are read. Options may stand anywhere; what follows `--` are
//! arguments. Gives values, runs nothing.

mod table;

use std::path::PathBuf;

use xpkg_pipeline::front::apk::{Generation, Settings};

pub(super) use table::{GROUPS, Opt, Takes, VERBS, group};

/// A command line that was understood.
#[derive(Clone, Debug, Default)]
pub(super) struct Options {
    /// The verb; empty when there is none.
    pub verb: String,
    /// What is no option.
    pub arguments: Vec<String>,
    given: Vec<(&'static str, Option<String>)>,
    of_verb: Vec<&'static str>,
}

/// A command line that was not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// There is no such verb.
    Verb(String),
    /// An option is unknown or lacks something, in the words of each generation.
    Option {
        /// The verb, as far as it is known.
        verb: String,
        /// What apk 2 says after `apk: `.
        apk2: String,
        /// What apk 3 says after `ERROR: command line: `.
        apk3: String,
    },
}

/// The root that a command line names, found before anything else is read: whose words are spoken depends on it.
pub(super) fn root_of(words: &[String]) -> PathBuf {
    let mut root = "/";
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--" => break,
            "-p" | "--root" => root = words.next().map_or(root, String::as_str),
            _ => {
                let given = word
                    .strip_prefix("--root=")
                    .or_else(|| word.strip_prefix("-p").filter(|_| !word.starts_with("--")));
                root = given.unwrap_or(root);
            }
        }
    }
    PathBuf::from(root)
}

/// Reads a command line.
pub(super) fn parse(words: &[String], generation: Generation) -> Result<Options, Refused> {
    let words = &configured(words);
    let verb_at = find_verb(words);
    let verb = verb_at.and_then(|at| words.get(at)).cloned().unwrap_or_default();
    let mut options = Options { verb: verb.clone(), ..Options::default() };
    let groups: Vec<&[Opt]> = if verb.is_empty() { vec![table::GLOBAL] } else { group(&verb) };
    let find = |matches: &dyn Fn(&Opt) -> bool| {
        // A verb's own letters come before the global ones: `fetch -s` is not `--simulate`.
        groups.iter().rev().flat_map(|g| g.iter()).find(|opt| matches(opt))
    };
    let refuse = |apk2: String, apk3: String| Refused::Option { verb: verb.clone(), apk2, apk3 };
    let mut i = 0;
    while let Some(word) = words.get(i) {
        i += 1;
        if Some(i - 1) == verb_at {
            continue;
        }
        if word == "--" {
            options.arguments.extend(words.get(i..).unwrap_or_default().iter().filter(|_| true).cloned());
            break;
        }
        if let Some(long) = word.strip_prefix("--") {
            let (name, value) = match long.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (long, None),
            };
            let opt = find(&|o| o.names().any(|n| n == name));
            let off = name.strip_prefix("no-").and_then(|n| find(&|o| o.can_be_off() && o.names().any(|m| m == n)));
            let abbreviated = || {
                let mut all = groups.iter().flat_map(|g| g.iter()).filter(|o| o.names().any(|n| n.starts_with(name)));
                let first = all.next().filter(|_| !name.is_empty())?;
                all.all(|o| o.name == first.name).then_some(first)
            };
            let (opt, off) = match (opt, off) {
                (Some(opt), _) => (opt, false),
                (None, Some(opt)) => (opt, true),
                (None, None) => match abbreviated() {
                    Some(opt) => (opt, false),
                    None => {
                        let apk2 = format!("unrecognized option: {name}");
                        return Err(refuse(apk2, format!("unrecognized option '{name}'")));
                    }
                },
            };
            match (opt.takes, value) {
                (Takes::Value, None) => {
                    let Some(next) = words.get(i) else {
                        let apk2 = format!("option requires an argument: {name}");
                        return Err(refuse(apk2, format!("option '{name}' expects an argument")));
                    };
                    i += 1;
                    options.take(opt, Some(next.clone()));
                }
                (Takes::Value, value) => options.take(opt, value),
                (Takes::Nothing, Some(value)) => {
                    let apk2 = format!("option doesn't take an argument: {name}");
                    return Err(refuse(apk2, format!("option '{name}' does not expect argument (got '{value}')")));
                }
                (Takes::Nothing, None) => options.take(opt, None),
                (Takes::Switch | Takes::Auto, value) => {
                    let on = match value.as_deref() {
                        None => !off,
                        Some("yes" | "true" | "on" | "1") if !off => true,
                        Some("no" | "false" | "off" | "0") if !off => false,
                        Some("auto") if opt.takes == Takes::Auto => continue,
                        Some(value) => {
                            let apk2 = format!("option doesn't take an argument: {name}");
                            return Err(refuse(apk2, format!("invalid argument for option '{name}': '{value}'")));
                        }
                    };
                    options.take(opt, Some(if on { "yes" } else { "no" }.to_owned()));
                }
            }
            continue;
        }
        let Some(letters) = word.strip_prefix('-').filter(|l| !l.is_empty()) else {
            options.arguments.push(word.clone());
            continue;
        };
        let mut letters = letters.chars();
        while let Some(letter) = letters.next() {
            let Some(opt) = find(&|o| o.letters.contains(letter)) else {
                let apk2 = format!("unrecognized option: {letter}");
                return Err(refuse(apk2, format!("unrecognized option '{letter}'")));
            };
            if opt.takes != Takes::Value {
                options.take(opt, (opt.takes != Takes::Nothing).then(|| "yes".to_owned()));
                continue;
            }
            let rest: String = letters.by_ref().collect();
            let value = if rest.is_empty() { words.get(i).cloned() } else { Some(rest.clone()) };
            if rest.is_empty() {
                i += 1;
            }
            let Some(value) = value else {
                let apk2 = format!("option requires an argument: {letter}");
                return Err(refuse(apk2, format!("option '{letter}' expects an argument")));
            };
            options.take(opt, Some(value));
        }
    }
    if options.verb.is_empty()
        && let Some(word) = options.arguments.first()
        && !options.has("version")
        && !options.has("print-arch")
    {
        return Err(Refused::Verb(word.clone()));
    }
    let _ = generation;
    Ok(options)
}

/// `/etc/apk/config`, or the file that `APK_CONFIG` names: one long option per line, before those of the command line.
fn configured(words: &[String]) -> Vec<String> {
    let named = std::env::var_os("APK_CONFIG").map(PathBuf::from);
    let files =
        named.map_or_else(|| vec![PathBuf::from("/etc/apk/config"), PathBuf::from("/lib/apk/config")], |f| vec![f]);
    let text = files.iter().find_map(|f| std::fs::read_to_string(f).ok()).unwrap_or_default();
    let lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    let mut all: Vec<String> = lines
        .map(|line| match line.split_once([' ', '\t']) {
            Some((name, value)) => format!("--{name}={}", value.trim()),
            None => format!("--{line}"),
        })
        .collect();
    all.extend(words.iter().cloned());
    all
}

/// The first word that is a verb and no option's value. Another first word that is no option hides none: it is refused.
fn find_verb(words: &[String]) -> Option<usize> {
    let takes_next = |word: &String| {
        let of = |matches: &dyn Fn(&Opt) -> bool| table::GLOBAL.iter().any(|o| o.takes == Takes::Value && matches(o));
        match word.strip_prefix("--") {
            Some(name) => of(&|o| o.names().any(|n| n == name)),
            None => {
                word.len() == 2 && word.starts_with('-') && of(&|o| o.letters.contains(word.get(1..).unwrap_or("?")))
            }
        }
    };
    let mut i = 0;
    while let Some(word) = words.get(i) {
        if word == "--" {
            return None;
        }
        if word.starts_with('-') {
            i += if takes_next(word) { 2 } else { 1 };
            continue;
        }
        return VERBS.contains(&word.as_str()).then_some(i);
    }
    None
}

impl Options {
    fn take(&mut self, opt: &Opt, value: Option<String>) {
        if !table::GLOBAL.iter().any(|o| std::ptr::eq(o, opt)) {
            self.of_verb.push(opt.name);
        }
        self.given.push((opt.name, value));
    }

    /// Whether an option was given; a switch that was turned off was not.
    pub fn has(&self, name: &str) -> bool {
        self.given.iter().rev().find(|(n, _)| *n == name).is_some_and(|(_, v)| v.as_deref() != Some("no"))
    }

    /// Whether it was given as one of the verb's own.
    pub fn verb_has(&self, name: &str) -> bool {
        self.of_verb.contains(&name) && self.has(name)
    }

    /// Whether a switch was turned off.
    pub fn is_off(&self, name: &str) -> bool {
        self.given.iter().rev().find(|(n, _)| *n == name).is_some_and(|(_, v)| v.as_deref() == Some("no"))
    }

    /// The last value given.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.given.iter().rev().find(|(n, _)| *n == name).and_then(|(_, v)| v.as_deref())
    }

    /// Every value given.
    pub fn values(&self, name: &str) -> Vec<String> {
        self.given.iter().filter(|(n, _)| *n == name).filter_map(|(_, v)| v.clone()).collect()
    }

    fn count(&self, name: &str) -> i32 {
        i32::try_from(self.given.iter().filter(|(n, _)| *n == name).count()).unwrap_or(i32::MAX)
    }

    /// What `-v` and `-q` make of it: one is normal.
    pub fn verbosity(&self) -> i32 {
        1 + self.count("verbose") - self.count("quiet")
    }

    /// Whether a verb that changes something writes the log.
    pub fn logs(&self) -> bool {
        !self.is_off("logfile")
    }

    /// The global options as the pipeline wants them.
    pub fn settings(&self) -> Result<Settings, String> {
        let force = self.has("force");
        let number = |name: &str| -> Result<Option<u64>, String> {
            let Some(text) = self.value(name) else { return Ok(None) };
            text.parse().map(Some).map_err(|_| format!("command line: invalid argument for option '{name}': '{text}'"))
        };
        let defaults = Settings::default();
        let minutes = number("cache-max-age")?.map(|m| m.saturating_mul(60));
        let age = if self.has("update-cache") { Some(0) } else { minutes };
        Ok(Settings {
            root: self.value("root").map_or(defaults.root, PathBuf::from),
            arch: self.values("arch"),
            keys_dir: self.value("keys-dir").map(PathBuf::from),
            repositories_file: self.value("repositories-file").map(PathBuf::from),
            repositories: self.values("repository"),
            repository_configs: self.values("repository-config"),
            cache_dir: self.value("cache-dir").map(PathBuf::from),
            no_cache: self.is_off("cache"),
            cache_max_age: age.unwrap_or(defaults.cache_max_age),
            force_refresh: force || self.has("force-refresh"),
            no_network: self.is_off("network"),
            allow_untrusted: self.has("allow-untrusted"),
            force_missing_repositories: self.has("force-missing-repositories"),
            force_broken_world: self.has("force-broken-world"),
            force_overwrite: force || self.has("force-overwrite"),
            simulate: self.has("simulate"),
            no_scripts: self.is_off("scripts"),
            no_commit_hooks: self.is_off("commit-hooks"),
            purge: self.has("purge"),
            clean_protected: self.is_off("clean-protected"),
            usermode: self.has("usermode") || self.has("no-chown"),
            initdb: self.has("initdb"),
            // apk reads what is no number as none.
            timeout: self.value("timeout").and_then(|text| text.parse().ok()),
            now: std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |t| t.as_secs()),
        })
    }
}

#[cfg(test)]
mod tests;
