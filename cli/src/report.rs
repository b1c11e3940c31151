//! How plans, packages and verdicts look: as text for people and as JSON under a version.

mod adaptations;

use serde_json::{Value, json};
use xpkg_model::plan::{HostUse, Reason};
use xpkg_model::verdict::Verdict;
use xpkg_model::{Action, Package, Step};
use xpkg_pipeline::{PackageVerdict, Prepared};

use crate::terminal::outln;
use crate::terminal::{bytes, signed_bytes, table};

/// Files named with one finding.
const MAX_FILES: usize = 3;

/// The plan before the question: steps, sources, verdicts, what the host gives, sizes.
pub fn plan_text(prepared: &Prepared) {
    let plan = prepared.plan();
    let rows: Vec<Vec<String>> = plan.steps.iter().map(|step| row(prepared, step)).collect();
    table(&rows);
    let comes = |used: &HostUse| {
        used.native
            .as_ref()
            .is_some_and(|n| plan.incoming().any(|s| s.package.name == *n && used.by.contains(&s.package.version)))
    };
    for (heading, coming) in [
        ("Taken from this root instead of being installed:", false),
        ("Taken from native packages of this plan:", true),
    ] {
        let uses = host_uses(plan.host_uses.iter().filter(|used| comes(used) == coming));
        if !uses.is_empty() {
            outln!("\n{heading}");
            table(&uses);
        }
    }
    if prepared.verdicts().iter().any(|v| !v.findings.is_empty()) {
        outln!("");
    }
    for verdict in prepared.verdicts() {
        findings_text(verdict);
    }
    adaptations::text(prepared.adaptations());
    for note in plan.notes.iter().chain(prepared.notes()) {
        outln!("note: {note}");
    }
    chosen_text(prepared);
    let (done, missing) = (prepared.downloaded(), prepared.download_size());
    let download = match (done, missing) {
        (0, 0) => String::new(),
        (0, missing) => format!("{} to download, ", bytes(missing)),
        (done, 0) => format!("{} downloaded and verified, ", bytes(done)),
        (done, missing) => format!("{} downloaded, {} to download, ", bytes(done), bytes(missing)),
    };
    // opkg does not keep how large a package is: what nobody knows is not called nothing.
    match prepared.disk_change() {
        0 if download.is_empty() => {}
        0 => outln!("\n{}", download.trim_end_matches(", ")),
        change => outln!("\n{download}{} on disk", signed_bytes(change)),
    }
}

/// What is there and becomes a person's choice.
pub fn chosen_text(prepared: &Prepared) {
    for (ecosystem, name) in prepared.chosen() {
        outln!("{ecosystem}:{name} is there already, and stays from now on until you remove it");
    }
}

fn row(prepared: &Prepared, step: &Step) -> Vec<String> {
    let package = &step.package;
    let version = match (&step.old, step.action) {
        (Some(old), Action::Replace) => format!("{} -> {}", old.version, package.version),
        _ => package.version.clone(),
    };
    let (source, verdict) = if step.action == Action::Remove {
        (String::new(), String::new())
    } else {
        let verdict = prepared.verdict(&package.key());
        (prepared.source_name(package).to_owned(), verdict.as_str().to_owned())
    };
    vec![word(step.action).to_owned(), package.scoped(), version, source, verdict, reason(&step.reason)]
}

/// The word of the schema.
pub fn word(action: Action) -> &'static str {
    match action {
        Action::Install => "install",
        Action::Replace => "replace",
        Action::Remove => "remove",
    }
}

fn reason(reason: &Reason) -> String {
    match reason {
        Reason::Requested => String::new(),
        Reason::Needed { by, requirement } => format!("{by} needs {requirement}"),
        Reason::InstallIf => "its install_if is met".to_owned(),
        Reason::Upgrade => "newer version".to_owned(),
        Reason::Orphan => "no longer needed".to_owned(),
        Reason::Displaced { why } => why.clone(),
    }
}

/// One line per requirement and giver; several consumers share it.
fn host_uses<'p>(uses: impl Iterator<Item = &'p HostUse>) -> Vec<Vec<String>> {
    let mut rows: Vec<(String, String, Vec<String>)> = Vec::new();
    for used in uses {
        let by = match &used.settled {
            Some(why) => format!("{} (another version does: {why})", used.by),
            None => used.by.clone(),
        };
        match rows.iter_mut().find(|(requirement, known, _)| *requirement == used.requirement && *known == by) {
            Some((_, _, consumers)) => consumers.push(used.consumer.clone()),
            None => rows.push((used.requirement.clone(), by, vec![used.consumer.clone()])),
        }
    }
    rows.into_iter()
        .map(|(requirement, by, consumers)| {
            vec![format!("  {requirement}"), by, format!("for {}", consumers.join(", "))]
        })
        .collect()
}

/// Findings of one package or file, one line each; the same finding in several files is told once.
pub fn findings_text(verdict: &PackageVerdict) {
    let mut told: Vec<(&str, &str, Vec<&str>)> = Vec::new();
    for finding in &verdict.findings {
        match told.iter_mut().find(|(code, detail, _)| *code == finding.code && *detail == finding.detail) {
            Some((_, _, files)) => files.push(&finding.file),
            None => told.push((&finding.code, &finding.detail, vec![&finding.file])),
        }
    }
    for (code, detail, mut files) in told {
        let more = files.len().saturating_sub(MAX_FILES);
        files.truncate(MAX_FILES);
        let mut place = files.join(", ");
        if more > 0 {
            place.push_str(&format!(" and {more} more"));
        }
        if place == verdict.subject {
            outln!("{place}: {detail} ({code})");
        } else {
            outln!("{}: {place}: {detail} ({code})", verdict.subject);
        }
    }
}

/// The plan under its schema.
pub fn plan_json(prepared: &Prepared, done: bool) -> Value {
    let plan = prepared.plan();
    let steps: Vec<Value> = plan
        .steps
        .iter()
        .map(|step| {
            let package = &step.package;
            let incoming = step.action != Action::Remove;
            json!({
                "action": word(step.action),
                "ecosystem": package.ecosystem,
                "name": package.name,
                "version": package.version,
                "old_version": step.old.as_ref().map(|old| &old.version),
                "arch": package.arch,
                "identity": package.identity,
                "explicit": step.explicit,
                "reason": step.reason,
                "source": incoming.then(|| prepared.source_name(package)),
                "size": incoming.then_some(package.size),
                "installed_size": package.installed_size,
                "verdict": incoming.then(|| prepared.verdict(&package.key())),
            })
        })
        .collect();
    let verdicts: Vec<Value> = prepared.verdicts().iter().map(verdict_json).collect();
    json!({
        "steps": steps,
        "host_uses": plan.host_uses,
        "verdicts": verdicts,
        "adaptations": adaptations::json(prepared.adaptations()),
        "chosen": prepared.chosen().iter().map(|(ecosystem, name)| format!("{ecosystem}:{name}")).collect::<Vec<_>>(),
        "notes": plan.notes.iter().chain(prepared.notes()).collect::<Vec<_>>(),
        "download_size": prepared.download_size(),
        "downloaded": prepared.downloaded(),
        "disk_change": prepared.disk_change(),
        "done": done,
    })
}

/// One verdict with its evidence.
pub fn verdict_json(verdict: &PackageVerdict) -> Value {
    let words = verdict.verdict.words(&verdict.findings);
    json!({ "subject": verdict.subject, "verdict": verdict.verdict, "words": words, "findings": verdict.findings })
}

/// A package's public facts.
pub fn package_json(package: &Package) -> Value {
    let list = |items: Vec<String>| items;
    json!({
        "ecosystem": package.ecosystem,
        "name": package.name,
        "version": package.version,
        "arch": package.arch,
        "identity": package.identity,
        "description": package.description,
        "url": package.url,
        "license": package.license,
        "origin": package.origin,
        "maintainer": package.maintainer,
        "build_time": package.build_time,
        "size": package.size,
        "installed_size": package.installed_size,
        "depends": list(package.depends.iter().map(ToString::to_string).collect()),
        "provides": list(package.provides.iter().map(ToString::to_string).collect()),
        "install_if": list(package.install_if.iter().map(ToString::to_string).collect()),
    })
}

/// `info` for people.
pub fn package_text(package: &Package, source: Option<&str>, status: &str) {
    outln!("{}:{} {}", package.ecosystem, package.name, package.version);
    let line = |label: &str, text: &str| {
        if !text.is_empty() {
            outln!("  {label:<13} {text}");
        }
    };
    let joined = |items: Vec<String>| items.join(" ");
    line("status", status);
    line("source", source.unwrap_or_default());
    line("description", &package.description);
    line("home", &package.url);
    line("license", &package.license);
    line("origin", &package.origin);
    line("maintainer", &package.maintainer);
    line("architecture", &package.arch);
    if package.size > 0 {
        line("download", &bytes(package.size));
    }
    line("on disk", &bytes(package.installed_size));
    line("depends", &joined(package.depends.iter().map(ToString::to_string).collect()));
    line("provides", &joined(package.provides.iter().map(ToString::to_string).collect()));
    line("install if", &joined(package.install_if.iter().map(ToString::to_string).collect()));
    line("identity", &package.identity.map(|i| i.to_string()).unwrap_or_default());
}

/// The word people read for a verdict that covers everything.
pub fn worst(verdicts: &[PackageVerdict]) -> Verdict {
    verdicts.iter().map(|v| v.verdict).max().unwrap_or(Verdict::Ok)
}

/// What a conversion could not carry over, for people.
pub fn lost_text(terminal: &crate::terminal::Terminal, lost: &[xpkg_pipeline::convert::Lost]) {
    for lost in lost {
        terminal.say(&format!("lost: {}: {}: {}", lost.package, lost.what, lost.detail));
    }
}
