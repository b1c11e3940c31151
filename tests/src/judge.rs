//! The root's own package manager as the judge: it is asked the same questions before and after, and what it says may
//! differ by our packages only.

use std::collections::{BTreeMap, BTreeSet};

use xpkg_fixtures::real::Output;
use xpkg_model::Ecosystem;

use crate::{Databases, System};

/// What xpkg itself keeps below the root. Audits that look for files nobody owns find it.
const OUR_FILES: [&str; 2] = ["etc/xpkg", "usr/lib/xpkg"];

/// The packages that came between two looks, by name, as the native manager has them on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ours(pub BTreeMap<String, String>);

impl Ours {
    /// What `after` has and `before` has not. Everything that was there before must be there as it was.
    pub fn between(before: &Databases, after: &Databases) -> Self {
        let mut came = BTreeMap::new();
        for (name, record) in &after.installed {
            match before.installed.get(name) {
                Some(was) => assert_eq!(was, record, "the record of {name} was touched"),
                None => drop(came.insert(name.clone(), record.package.version.clone())),
            }
        }
        let gone: Vec<_> = before.installed.keys().filter(|name| !after.installed.contains_key(*name)).collect();
        assert!(gone.is_empty(), "no longer on record: {gone:?}");
        Self(came)
    }

    /// The same from what `apk info` and `apk info -v` list, where nothing but packages came.
    pub fn listed(before: &Answers, after: &Answers) -> Self {
        let was: BTreeSet<&str> = before.to("apk info -v").lines().collect();
        let came = after.to("apk info -v").lines().filter(|line| !was.contains(line));
        // A version begins at the last but one hyphen: `name-1.0-r0`.
        let split = |line: &str| {
            let at = line.rmatch_indices('-').nth(1).unwrap_or_else(|| panic!("no version: {line}")).0;
            (line[..at].to_owned(), line[at + 1..].to_owned())
        };
        Self(came.map(split).collect())
    }

    /// Whether a line is about one of them, or about files of xpkg.
    fn is_about(&self, line: &str) -> bool {
        let mut words = line.split_ascii_whitespace();
        let full = |word: &str| self.0.iter().any(|(name, version)| word == format!("{name}-{version}"));
        let path = words.clone().last().unwrap_or_default().trim_start_matches('/');
        words.any(|w| full(w.trim_end_matches(':'))) || OUR_FILES.iter().any(|p| path.starts_with(p))
    }
}

/// How two answers to one question are compared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Compare {
    /// Line by line.
    Lines,
    /// The same lines; their order is that of a directory.
    Sorted,
    /// The same words, because the lines break elsewhere when there are more of them.
    Words,
}

/// What the native manager said to every question.
pub struct Answers(Vec<(Compare, Output)>);

impl Answers {
    /// Asks. What is added on the way is removed again.
    pub fn of(system: &System) -> Self {
        Self::by(system.native, |line| system.chroot.run(line.split(' ')).unwrap())
    }

    /// Asks whoever runs the lines, for one a guest that is booted.
    pub fn by(native: Ecosystem, ask: impl Fn(&str) -> Output) -> Self {
        let questions: &[(Compare, &str)] = match native {
            Ecosystem::Openwrt => &[
                (Compare::Lines, "apk update"),
                (Compare::Lines, "apk list -I"),
                (Compare::Lines, "apk info -v"),
                (Compare::Lines, "apk info -L base-files busybox libc zlib uhttpd dnsmasq"),
                (Compare::Lines, "apk info -W /bin/busybox /usr/lib/libz.so.1 /usr/sbin/uhttpd"),
                (Compare::Sorted, "apk audit"),
                (Compare::Sorted, "apk audit --system"),
                (Compare::Lines, "apk upgrade -s"),
                (Compare::Lines, "apk del -s zerotier"),
                (Compare::Words, "apk del -s zlib"),
                (Compare::Lines, "apk add iw"),
                (Compare::Lines, "apk info -L iw"),
                (Compare::Lines, "apk list -I"),
                (Compare::Sorted, "apk audit"),
                (Compare::Lines, "apk del iw"),
                (Compare::Lines, "apk upgrade"),
                (Compare::Lines, "apk list -I"),
            ],
            _ => &[
                (Compare::Lines, "apk update"),
                (Compare::Lines, "apk list -I"),
                (Compare::Lines, "apk info -v"),
                (Compare::Lines, "apk info -L alpine-baselayout busybox musl zlib openssh-server chrony"),
                (Compare::Lines, "apk info -W /bin/busybox /lib/libz.so.1 /usr/sbin/sshd"),
                (Compare::Sorted, "apk audit"),
                (Compare::Sorted, "apk audit --system"),
                (Compare::Lines, "apk upgrade -s"),
                (Compare::Lines, "apk del -s wget"),
                (Compare::Words, "apk del -s zlib"),
                (Compare::Lines, "apk add jq"),
                (Compare::Lines, "apk info -L jq"),
                (Compare::Lines, "apk list -I"),
                (Compare::Sorted, "apk audit"),
                (Compare::Lines, "apk del jq"),
                (Compare::Lines, "apk upgrade -s"),
                (Compare::Lines, "apk list -I"),
            ],
        };
        Self(questions.iter().map(|(compare, line)| (*compare, ask(line))).collect())
    }

    /// The answer to a question, the first if it was asked more than once.
    pub fn to(&self, question: &str) -> &Output {
        let asked = |output: &Output| {
            let command = output.command.replace('"', "");
            command == question || command.ends_with(&format!(" {question}"))
        };
        self.0.iter().map(|(_, output)| output).find(|o| asked(o)).unwrap_or_else(|| panic!("not asked: {question}"))
    }

    /// Fails unless `after` says the same, but for `ours`, and that every question of `self` went well or badly alike.
    pub fn assert_same_but_for(&self, after: &Self, ours: &Ours) {
        for ((compare, was), (_, is)) in self.0.iter().zip(&after.0) {
            let context = format!(" to {}\nours: {ours:?}", is.command);
            assert_eq!(was.status, is.status, "another exit code{context}");
            let none = Ours(BTreeMap::new());
            for (was, is) in [(&was.stdout, &is.stdout), (&was.stderr, &is.stderr)] {
                assert_eq!(reduce(was, &none, *compare), reduce(is, ours, *compare), "another answer{context}");
            }
        }
    }
}

/// Whether a line of `apk audit` is about a process that ended meanwhile: apk walks /proc too.
pub fn is_gone_process(line: &str) -> bool {
    line.strip_prefix("e proc/").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// An answer without the lines and counts that are ours.
fn reduce(text: &str, ours: &Ours, compare: Compare) -> Vec<String> {
    let kept = text.lines().filter(|line| !ours.is_about(line) && !is_gone_process(line));
    let mut lines: Vec<String> = kept.map(|line| without_count(line, ours.0.len())).collect();
    match compare {
        Compare::Lines => lines,
        Compare::Sorted => {
            lines.sort();
            lines
        }
        Compare::Words => {
            let words: BTreeSet<&str> = lines.iter().flat_map(|l| l.split_ascii_whitespace()).collect();
            words.into_iter().filter(|w| !ours.0.contains_key(*w)).map(str::to_owned).collect()
        }
    }
}

/// `OK: 32.2 MiB in 223 packages` without ours, and without sizes. In `OK: 1497 distinct packages available` apk counts the
/// installed ones too; what is left of that is that it went well.
fn without_count(line: &str, ours: usize) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    match words.as_slice() {
        ["OK:", _, _, "in", count, "packages"] => {
            let count = count.parse::<usize>().unwrap_or_else(|e| panic!("{line}: {e}"));
            format!("OK: {} packages", count.checked_sub(ours).unwrap_or_else(|| panic!("fewer than ours: {line}")))
        }
        ["OK:", _, "distinct", "packages", "available"] => "OK".to_owned(),
        _ => line.to_owned(),
    }
}
