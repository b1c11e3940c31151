//! The first gates: machine, interpreter, which libc a file was made for, what the loader can do, and what only a
//! person can judge (set-id bits, executable stack …).

use xpkg_model::elf::ElfFacts;
use xpkg_model::verdict::Severity;

use super::arch::{self, Arch};
use super::check::Checker;
use super::closure::{Closure, Object};
use super::names::is_reserved;
use super::report::{Failure, FailureKind, Report, Subject};
use super::{LoaderKind, RelrSupport};

/// Warnings that need no other file.
pub(super) fn file_warnings(report: &mut Report, subject: &Subject) {
    let facts = &subject.facts;
    let mut warn = |yes: bool, code, what: &str, detail: &str| {
        if yes {
            report.find(Severity::Warning, code, &subject.path, what, detail.to_owned());
        }
    };
    let mode = subject.mode.unwrap_or(0);
    warn(facts.textrel, "textrel", "TEXTREL", "changes its own code while loading; hardened kernels refuse that");
    warn(facts.exec_stack, "exec-stack", "GNU_STACK", "asks for an executable stack");
    warn(mode & 0o4000 != 0, "setuid", "setuid", "runs with the rights of its owner, whoever starts it");
    warn(mode & 0o2000 != 0, "setgid", "setgid", "runs with the rights of its group, whoever starts it");
    warn(
        subject.capabilities,
        "capabilities",
        "security.capability",
        "has file capabilities: extra rights for everyone",
    );
}

/// Class, byte order, machine, flags. `false`: no further question makes sense.
pub(super) fn machine(checker: &Checker<'_>, report: &mut Report, subject: &Subject) -> bool {
    let Some(host) = &checker.loader.arch else { return true };
    let Some(mismatch) = arch::compare(host, &Arch::of(&subject.facts, None)) else { return true };
    let (severity, detail) = (mismatch.severity, mismatch.detail);
    report.find(severity, mismatch.code, &subject.path, &host.describe(), detail);
    severity == Severity::Warning
}

/// Which libc a file was made for, as far as it says.
fn made_for(facts: &ElfFacts) -> Option<LoaderKind> {
    let musl = || Some(LoaderKind::Musl { version: None });
    if let Some(loader) = facts.interpreter.as_deref().and_then(|path| path.rsplit('/').next()) {
        if loader.starts_with("ld-musl-") {
            return musl();
        } else if loader.starts_with("ld-uClibc") || loader.starts_with("ld64-uClibc") {
            return Some(LoaderKind::Uclibc);
        } else if ["ld-linux", "ld64.so", "ld.so.1"].iter().any(|name| loader.starts_with(name)) {
            return Some(LoaderKind::Glibc);
        }
    }
    // GLIBCXX_ is libstdc++'s own tag and says nothing.
    if facts.version_needs.iter().any(|tag| tag.starts_with("GLIBC_")) {
        return Some(LoaderKind::Glibc);
    }
    facts.needed.iter().find_map(|name| match name.as_str() {
        "libc.so" => musl(),
        "libc.so.6" | "libc.so.6.1" => Some(LoaderKind::Glibc),
        "libc.so.0" | "libc.so.1" => Some(LoaderKind::Uclibc),
        name if name.starts_with("libc.musl-") => musl(),
        _ => None,
    })
}

fn same_family(a: &LoaderKind, b: &LoaderKind) -> bool {
    std::mem::discriminant(a) == std::mem::discriminant(b)
}

/// The interpreter is there, and it is the root's loader. `false`: the root's libraries are not what it would get.
pub(super) fn interpreter(checker: &Checker<'_>, report: &mut Report, subject: &Subject) -> bool {
    let loader = &checker.loader;
    let made_for = made_for(&subject.facts);
    let foreign = made_for.as_ref().filter(|libc| !same_family(libc, &loader.kind));
    let Some(path) = subject.facts.interpreter.as_deref() else {
        if let Some(libc) = foreign {
            let detail = format!("it is made for {libc}, and the root's libc is {}", loader.kind);
            report.find(Severity::NeedsPrivateLayer, "other-libc", &subject.path, &libc.to_string(), detail);
        }
        return foreign.is_none();
    };
    let mut refuse = |severity, code, detail: String| {
        report.find(severity, code, &subject.path, path, detail);
        false
    };
    match checker.find(path) {
        Some(found) if found.path == loader.path && !loader.path.is_empty() => {
            let Some(libc) = foreign else { return true };
            let detail = format!("it is made for {libc}, and the root's libc is {}", loader.kind);
            refuse(Severity::NeedsPrivateLayer, "other-libc", detail)
        }
        Some(found) if found.facts.needed.iter().any(|name| is_reserved(name)) => {
            let detail =
                format!("it is started by {}, which only looks like a loader; not checked further", found.path);
            refuse(Severity::Warning, "loader-wrapper", detail)
        }
        Some(found) => {
            let detail = format!("it is started by {}, which is not the root's loader {}", found.path, loader.path);
            refuse(Severity::NeedsPrivateLayer, "second-loader", detail)
        }
        None => {
            let kind = made_for.map_or_else(|| "an unknown libc".to_owned(), |libc| libc.to_string());
            let detail = format!("its interpreter is not there: it is made for {kind}, this root has {}", loader.kind);
            refuse(Severity::NeedsPrivateLayer, "interpreter", detail)
        }
    }
}

/// What holds for every object of a closure: machine of the libraries, their libc, DT_RELR.
pub(super) fn objects(checker: &Checker<'_>, report: &mut Report, closure: &Closure) {
    let loader = &checker.loader;
    for (index, object) in closure.objects.iter().enumerate() {
        if index > 0 {
            let mismatch = loader.arch.as_ref().and_then(|host| arch::compare(host, &Arch::of(&object.facts, None)));
            if let Some(mismatch) = mismatch {
                report.find(mismatch.severity, mismatch.code, &object.path, "library", mismatch.detail);
                if mismatch.severity != Severity::Warning {
                    report.failures.push(unusable(closure, index, object));
                }
            }
            if let Some(libc) = made_for(&object.facts).filter(|libc| !same_family(libc, &loader.kind)) {
                let detail = format!("the library is made for {libc}, and the root's libc is {}", loader.kind);
                report.find(Severity::NeedsPrivateLayer, "other-libc", &object.path, &libc.to_string(), detail);
                report.failures.push(unusable(closure, index, object));
            }
        }
        if object.facts.relr
            && let Some((severity, detail)) = relr(loader.relr)
        {
            report.find(severity, "relr", &object.path, "DT_RELR", detail.to_owned());
            if severity != Severity::Warning {
                report.failures.push(unusable(closure, index, object));
            }
        }
    }
}

const fn relr(support: RelrSupport) -> Option<(Severity, &'static str)> {
    match support {
        RelrSupport::Yes => None,
        RelrSupport::No => {
            Some((Severity::NeedsPrivateLayer, "uses DT_RELR, and the root's loader does not know it: it would crash"))
        }
        RelrSupport::Unknown(Some(true)) => Some((
            Severity::Warning,
            "uses DT_RELR; the root's loader should know it by the table of releases, not tried",
        )),
        RelrSupport::Unknown(Some(false)) => Some((
            Severity::NeedsPrivateLayer,
            "uses DT_RELR, and by the table of releases the root's loader does not know it: it would crash",
        )),
        RelrSupport::Unknown(None) => Some((
            Severity::NeedsPrivateLayer,
            "uses DT_RELR, and whether the root's loader knows it could neither be tried nor looked up",
        )),
    }
}

fn unusable(closure: &Closure, index: usize, object: &Object) -> Failure {
    let program = closure.objects.first().map(|o| o.path.clone()).unwrap_or_default();
    let consumer = object.needed_by.and_then(|i| closure.objects.get(i));
    let soname = consumer.and_then(|c| c.needs.iter().find(|(_, i)| *i == index)).map(|(name, _)| name.clone());
    Failure {
        kind: FailureKind::Unusable,
        consumer_file: consumer.map_or_else(|| program.clone(), |c| c.path.clone()),
        consumer: consumer.unwrap_or(object).owner.clone(),
        program,
        provider: consumer.and(object.owner.clone()),
        provider_file: soname.is_some().then(|| object.path.clone()),
        soname,
        missing: Vec::new(),
        missing_total: 0,
        also: Vec::new(),
    }
}
