//! Names that are not found, whose fault that probably is, and data whose size must agree.

use std::collections::BTreeMap;

use xpkg_model::elf::{Class, ElfFacts, Export};
use xpkg_model::verdict::Severity;

use super::check::Checker;
use super::closure::{Closure, Object};
use super::names::is_reserved;
use super::report::{Failure, FailureKind, Report, Suspect};

/// How many missing names of one object become findings of their own; the rest is counted.
const MAX_FINDINGS: usize = 20;

/// Reports names that an object of the closure needs and nobody gives, grouped by who should have given them.
pub(super) fn missing(checker: &Checker<'_>, report: &mut Report, closure: &Closure, index: usize, names: Vec<String>) {
    let (Some(program), Some(object)) = (closure.objects.first(), closure.objects.get(index)) else { return };
    let mut groups: BTreeMap<usize, (Vec<Suspect>, Vec<String>)> = BTreeMap::new();
    let total = names.len();
    for (i, name) in names.into_iter().enumerate() {
        let (key, suspects) = suspects(checker, closure, object, &name);
        if i < MAX_FINDINGS {
            let from = suspects.first().map_or_else(String::new, |s| match &s.owner {
                Some(owner) => format!("; {} of {owner} does not have it", s.soname),
                None => format!("; {} does not have it", s.soname),
            });
            let via = if index == 0 { String::new() } else { format!(" (loaded by {})", program.path) };
            let detail = format!("{}{via} needs {name}, and nothing it loads gives it{from}", object.path);
            report.find(Severity::NeedsPrivateLayer, "missing-symbol", &object.path, &name, detail);
        }
        groups.entry(key).or_insert_with(|| (suspects, Vec::new())).1.push(name);
    }
    if total > MAX_FINDINGS {
        let detail = format!("{} needs {} more names that nothing gives", object.path, total - MAX_FINDINGS);
        report.find(Severity::NeedsPrivateLayer, "missing-symbol", &object.path, "…", detail);
    }
    for (suspects, mut missing) in groups.into_values() {
        let missing_total = missing.len();
        missing.truncate(Failure::MAX_NAMES);
        let mut suspects = suspects.into_iter();
        let likeliest = suspects.next();
        report.failures.push(Failure {
            kind: FailureKind::MissingSymbols,
            program: program.path.clone(),
            consumer_file: object.path.clone(),
            consumer: object.owner.clone(),
            provider: likeliest.as_ref().and_then(|s| s.owner.clone()),
            provider_file: likeliest.as_ref().map(|s| s.file.clone()),
            soname: likeliest.map(|s| s.soname),
            missing,
            missing_total,
            also: suspects.collect(),
        });
    }
}

/// Libraries that the object names itself, likeliest first: a library's names begin alike, so the one with the name
/// that shares the longest beginning is it. The key tells groups apart.
fn suspects(checker: &Checker<'_>, closure: &Closure, object: &Object, name: &str) -> (usize, Vec<Suspect>) {
    let mut scored: Vec<(usize, usize, Suspect)> = Vec::new();
    for (soname, index) in &object.needs {
        let Some(library) = closure.objects.get(*index) else { continue };
        let suspect = Suspect { soname: soname.clone(), file: library.path.clone(), owner: library.owner.clone() };
        scored.push((likeness(&library.facts, name), *index, suspect));
    }
    let libc = object.facts.needed.iter().find(|needed| is_reserved(needed));
    if let (Some(soname), Some(facts)) = (libc, &checker.loader.facts) {
        let owner = checker.find(&checker.loader.path).and_then(|found| found.owner);
        let suspect = Suspect { soname: soname.clone(), file: checker.loader.path.clone(), owner };
        scored.push((likeness(facts, name), usize::MAX, suspect));
    }
    scored.sort_by_key(|s| std::cmp::Reverse(s.0)); // stable: the order of needing decides between equals
    let key = scored.first().map_or(usize::MAX - 1, |s| s.1);
    (key, scored.into_iter().map(|(_, _, suspect)| suspect).collect())
}

/// The longest beginning that the name shares with any exported one: its neighbours in the sorted list have it.
fn likeness(facts: &ElfFacts, name: &str) -> usize {
    let at = facts.exports.partition_point(|e| e.name.as_str() < name);
    let shared = |e: &Export| e.name.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
    let before = at.checked_sub(1).and_then(|i| facts.exports.get(i));
    before.into_iter().chain(facts.exports.get(at)).map(shared).max().unwrap_or(0)
}

/// Data that the program keeps a copy of must have the size that the library gives it.
pub(super) fn copies(checker: &Checker<'_>, report: &mut Report, closure: &Closure) {
    let Some(program) = closure.objects.first() else { return };
    for (name, size) in &program.facts.copies {
        let library = closure.objects.iter().skip(1).find_map(|o| o.facts.export(name).map(|e| (o, e)));
        let (file, found, owner) = match library {
            Some((object, export)) => (object.path.as_str(), export, object.owner.clone()),
            None => match checker.loader.facts.as_ref().and_then(|libc| libc.export(name)) {
                Some(export) => {
                    let owner = checker.find(&checker.loader.path).and_then(|found| found.owner);
                    (checker.loader.path.as_str(), export, owner)
                }
                None => {
                    missing(checker, report, closure, 0, vec![name.clone()]);
                    continue;
                }
            },
        };
        if found.size == *size || found.size == 0 || *size == 0 {
            continue;
        }
        let detail = format!("it copies {size} bytes of {name}, and {file} has {} bytes there", found.size);
        report.find(Severity::NeedsPrivateLayer, "copy-size", &program.path, name, detail);
        let soname = program.needs.iter().find(|(_, i)| closure.objects.get(*i).is_some_and(|o| o.path == file));
        report.failures.push(Failure {
            kind: FailureKind::CopySize,
            program: program.path.clone(),
            consumer_file: program.path.clone(),
            consumer: program.owner.clone(),
            soname: soname.map(|(name, _)| name.clone()),
            provider: owner,
            provider_file: Some(file.to_owned()),
            missing: vec![name.clone()],
            missing_total: 1,
            also: Vec::new(),
        });
    }
}

/// Functions whose 32-bit form takes a 32-bit `time_t`; musl ≥ 1.2 gives programs `__…_time64` instead.
const OLD_TIME: [&str; 12] = [
    "clock_gettime",
    "difftime",
    "fstat",
    "gettimeofday",
    "gmtime_r",
    "localtime_r",
    "mktime",
    "nanosleep",
    "select",
    "stat",
    "time",
    "utimes",
];

/// On 32 bit: objects built for musl 1.1 and for 1.2 in one process disagree about `time_t`.
pub(super) fn time64(checker: &Checker<'_>, report: &mut Report, closure: &Closure) {
    if !checker.loader.is_musl() || closure.objects.first().is_none_or(|o| o.facts.class != Class::Elf32) {
        return;
    }
    let new = |o: &&Object| o.facts.undefined.iter().any(|name| name.contains("_time64"));
    let old = |o: &&Object| !new(o) && o.facts.undefined.iter().any(|name| OLD_TIME.contains(&name.as_str()));
    if let (Some(a), Some(b)) = (closure.objects.iter().find(new), closure.objects.iter().find(old)) {
        let detail =
            format!("{} keeps time in 64 bit, {} in 32 bit: times that they exchange are wrong", a.path, b.path);
        report.find(Severity::Warning, "time64", &b.path, "time_t", detail);
    }
}
