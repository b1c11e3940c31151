//! opkg's configuration: `/etc/opkg.conf` and `/etc/opkg/*.conf`, read one after the other into one value. As opkg does, a
//! line that is not understood is passed over and noted. Reads text only; which files there are is the caller's.

mod words;

use std::io::BufRead;

use crate::archive::lines::Lines;
use crate::{Error, Limits};
use words::words;

/// The file that is read first.
pub const OPKG_CONF: &str = "etc/opkg.conf";
/// Every `*.conf` in it is read behind that, in the order of names.
pub const CONF_DIR: &str = "etc/opkg";
/// Trusted usign keys, each in a file called by its fingerprint.
pub const KEYS: &str = "etc/opkg/keys";
/// Where lists lie when no `lists_dir` says otherwise.
pub const DEFAULT_LISTS_DIR: &str = "/usr/lib/opkg/lists";
/// Locked (`lockf`) by whoever changes anything.
pub const LOCK: &str = "var/lock/opkg.lock";

/// Options that are on or off; any value is ignored. What opkg 2020-01-25 takes, tried one by one.
pub const SWITCHES: [&str; 16] = [
    "force_defaults",
    "force_maintainer",
    "force_depends",
    "force_overwrite",
    "force_downgrade",
    "force_reinstall",
    "force_space",
    "force_postinstall",
    "force_checksum",
    "check_signature",
    "no_check_certificate",
    "test",
    "noaction",
    "download_only",
    "nodeps",
    "nocase",
];
/// More switches, which only change what is shown.
pub const SHOWN: [&str; 2] = ["query-all", "size"];
/// Options that have a value.
pub const VALUES: [&str; 11] = [
    "cache",
    "ftp_proxy",
    "http_proxy",
    "http_timeout",
    "no_proxy",
    "offline_root",
    "overlay_root",
    "proxy_passwd",
    "proxy_user",
    "tmp_dir",
    "verbosity",
];

/// What the files say, in the order of the lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conf {
    /// `src`, `src/gz`, `dist` and `dist/gz`.
    pub sources: Vec<Source>,
    /// `dest`. The first one is where packages go.
    pub dests: Vec<Dest>,
    /// `arch`. Empty means opkg's own three: `all` 1, `noarch` 1 and the machine's 10.
    pub arches: Vec<Arch>,
    /// `lists_dir`, the last one.
    pub lists_dir: Option<String>,
    /// `option`, each name once: the first value counts. The value of a switch is empty.
    pub options: Vec<(String, String)>,
    /// What was passed over.
    pub problems: Vec<Problem>,
}

/// Where packages come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its list is kept under that name.
    pub name: String,
    /// Base address; the index lies directly below, packages below it by their `Filename`.
    pub url: String,
    /// `Packages.gz` instead of `Packages`.
    pub gzip: bool,
    /// `dist`: a Debian repository with a `Release` file and components instead of a feed.
    pub dist: bool,
    /// A fourth word: a directory between address and index; with `dist` a component.
    pub extra: Option<String>,
}

/// Where packages go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dest {
    /// Chosen by `-d`.
    pub name: String,
    /// Directory, as a root of its own.
    pub path: String,
}

/// An architecture whose packages may be installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arch {
    /// As in `Architecture`.
    pub name: String,
    /// As written; `print-architecture` shows it so.
    pub text: String,
}

impl Arch {
    /// The higher, the better; at most 0 means never. Decimal, or hexadecimal behind `0x`, or octal behind `0`, as `strtol`
    /// reads it: as far as it makes sense.
    pub fn priority(&self) -> i64 {
        let text = self.text.trim();
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (radix, digits) = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
            Some(hex) => (16, hex),
            None if digits.starts_with('0') => (8, digits),
            None => (10, digits),
        };
        let end = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
        let number = i64::from_str_radix(digits.get(..end).unwrap_or_default(), radix).unwrap_or(0);
        if negative { -number } else { number }
    }
}

/// A line that was passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub what: String,
    /// Its line, from 1.
    pub line: u64,
    /// The line's text.
    pub text: String,
    /// Why.
    pub kind: ProblemKind,
}

/// Why a line was passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProblemKind {
    /// No such directive.
    Invalid,
    /// More words than any directive has.
    TrailingGarbage,
    /// A source of that name is there already.
    DuplicateSource,
    /// The option is set already.
    DuplicateOption,
    /// No such option.
    UnknownOption,
    /// A name or a value is missing.
    Missing,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let why = match self.kind {
            ProblemKind::Invalid => "not understood",
            ProblemKind::TrailingGarbage => "too many words",
            ProblemKind::DuplicateSource => "a source of that name is there already",
            ProblemKind::DuplicateOption => "the option is set already",
            ProblemKind::UnknownOption => "no such option",
            ProblemKind::Missing => "a name or a value is missing",
        };
        write!(f, "{}, line {}: passed over, {why}: `{}`", self.what, self.line, self.text.escape_debug())
    }
}

impl Conf {
    /// Nothing said.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what a file says.
    pub fn read(&mut self, reader: impl BufRead, what: &str, limits: &Limits) -> Result<(), Error> {
        let mut lines = Lines::new(reader, what, limits);
        while let Some((line, number)) = lines.next()? {
            if number > limits.max_list {
                return Err(Error::limit(what, "the number of lines", limits.max_list));
            }
            let text = String::from_utf8_lossy(line);
            // opkg_conf_parse_file in opkg's opkg_conf.c: a comment fills its line.
            if text.trim().is_empty() || text.trim_start().starts_with('#') {
                continue;
            }
            if let Err(kind) = self.take(&text) {
                let text = text.chars().take(256).collect();
                self.problems.push(Problem { what: what.to_owned(), line: number, text, kind });
            }
        }
        Ok(())
    }

    fn take(&mut self, text: &str) -> Result<(), ProblemKind> {
        let ([directive, name, value], extra) = words(text).ok_or(ProblemKind::TrailingGarbage)?;
        let (gzip, dist) = (directive.ends_with("/gz"), directive.starts_with("dist"));
        match directive.as_str() {
            "src" | "src/gz" | "dist" | "dist/gz" => {
                if name.is_empty() || value.is_empty() {
                    return Err(ProblemKind::Missing);
                }
                if self.sources.iter().any(|known| known.name == name && known.dist == dist) {
                    return Err(ProblemKind::DuplicateSource);
                }
                self.sources.push(Source { name, url: value, gzip, dist, extra });
            }
            "dest" if name.is_empty() || value.is_empty() => return Err(ProblemKind::Missing),
            "dest" => self.dests.push(Dest { name, path: value }),
            "lists_dir" if value.is_empty() => return Err(ProblemKind::Missing),
            "lists_dir" => self.lists_dir = Some(value),
            "arch" if name.is_empty() => return Err(ProblemKind::Missing),
            "arch" => self.arches.push(Arch { name, text: value }),
            "option" => {
                let is_switch = SWITCHES.iter().chain(&SHOWN).any(|known| *known == name);
                if !is_switch && !VALUES.contains(&name.as_str()) {
                    return Err(ProblemKind::UnknownOption);
                }
                if self.option(&name).is_some() {
                    return Err(ProblemKind::DuplicateOption);
                }
                self.options.push((name, if is_switch { String::new() } else { value }));
            }
            _ => return Err(ProblemKind::Invalid),
        }
        Ok(())
    }

    /// An option's value; `None` when it is not set, empty for a switch that is.
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether `Packages` must be signed by a key of [`KEYS`].
    pub fn check_signature(&self) -> bool {
        self.option("check_signature").is_some()
    }

    /// Where lists are kept: `NAME` as fetched and `NAME.sig`.
    pub fn lists_dir(&self) -> &str {
        self.lists_dir.as_deref().unwrap_or(DEFAULT_LISTS_DIR)
    }

    /// The architectures that may be installed and their priorities; `machine` is what opkg was built for.
    pub fn architectures(&self, machine: &str) -> Vec<(String, i64)> {
        if self.arches.is_empty() {
            return vec![("all".to_owned(), 1), ("noarch".to_owned(), 1), (machine.to_owned(), 10)];
        }
        self.arches.iter().map(|arch| (arch.name.clone(), arch.priority())).collect()
    }
}

impl Source {
    /// The index's address.
    pub fn index_url(&self) -> String {
        let file = if self.gzip { super::feed::PACKAGES_GZ } else { super::feed::PACKAGES };
        format!("{}/{file}", self.base_url())
    }

    /// The signature's address.
    pub fn signature_url(&self) -> String {
        format!("{}/{}", self.base_url(), super::feed::PACKAGES_SIG)
    }

    /// What a package's `Filename` is relative to.
    pub fn base_url(&self) -> String {
        let url = self.url.trim_end_matches('/');
        match &self.extra {
            Some(extra) => format!("{url}/{}", extra.trim_matches('/')),
            None => url.to_owned(),
        }
    }
}

impl std::fmt::Display for Source {
    /// The line that says it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (kind, gzip) = (if self.dist { "dist" } else { "src" }, if self.gzip { "/gz" } else { "" });
        write!(f, "{kind}{gzip} {} {}", words::quoted(&self.name), words::quoted(&self.url))?;
        self.extra.as_ref().map_or(Ok(()), |extra| write!(f, " {extra}"))
    }
}

#[cfg(test)]
mod tests;
