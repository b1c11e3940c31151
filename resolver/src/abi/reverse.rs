//! The other direction: what files that stay would lose when others go away or are replaced.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use xpkg_model::elf::ElfFacts;
use xpkg_model::verdict::{Finding, Severity};

use super::LinkSpace;
use super::check::Checker;
use super::report::{Report, Role, Subject};

/// A library that goes away or is replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    /// Absolute path; its file name may be what others need.
    pub path: String,
    /// Its DT_SONAME.
    pub soname: Option<String>,
}

/// Checks the files that stay. `before` and `after` are the root without and with the change; `remaining` are ELF files
/// that neither go nor come. Reports only what was in order before: a root that was broken stays installable.
pub fn reverse_check(
    before: &dyn LinkSpace,
    after: &dyn LinkSpace,
    remaining: &[(String, Arc<ElfFacts>)],
    gone: &[Gone],
) -> Report {
    let touched = touched(remaining, gone);
    let subjects: Vec<Subject> =
        touched.into_iter().map(|(path, facts)| Subject::new(path.clone(), Arc::clone(facts))).collect();
    let (was, is) = (Checker::new(before), Checker::new(after));
    // Programs first: a library that some program loads is judged in that program.
    let mut report = Report::default();
    for role in [Role::Program, Role::Plugin] {
        for subject in subjects.iter().filter(|s| s.role == role) {
            if role == Role::Plugin && report.objects.binary_search(&subject.path).is_ok() {
                continue;
            }
            let now = is.check(subject);
            if now.findings.iter().all(harmless) {
                report.absorb(Report { findings: Vec::new(), failures: Vec::new(), objects: now.objects });
                continue;
            }
            report.absorb(only_new(&was.check(subject), now));
        }
    }
    report
}

/// A plugin's open names are no loss by themselves, but they are when they were not open before.
fn harmless(finding: &Finding) -> bool {
    finding.severity == Severity::Warning && finding.code != "plugin-unresolved"
}

fn only_new(was: &Report, now: Report) -> Report {
    let known: BTreeSet<(&str, &str, &str)> = was.findings.iter().map(key).collect();
    // For plugins: the files that already had open names.
    let open: BTreeMap<&str, &str> = was
        .findings
        .iter()
        .filter(|f| f.code == "plugin-unresolved")
        .map(|f| (f.file.as_str(), f.detail.as_str()))
        .collect();
    let mut findings = Vec::new();
    for mut finding in now.findings {
        if harmless(&finding) || known.contains(&key(&finding)) && finding.code != "plugin-unresolved" {
            continue;
        }
        if finding.code == "plugin-unresolved" {
            if open.get(finding.file.as_str()).is_some_and(|detail| *detail == finding.detail) {
                continue;
            }
            finding.code = "missing-symbol".to_owned();
            finding.severity = Severity::NeedsPrivateLayer;
            finding.detail = format!("{} would lose names that it has now: {}", finding.file, finding.detail);
        }
        findings.push(finding);
    }
    let failures = now.failures.into_iter().filter(|f| !was.failures.contains(f)).collect();
    Report { findings, failures, objects: now.objects }
}

fn key(finding: &Finding) -> (&str, &str, &str) {
    (&finding.code, &finding.file, &finding.subject)
}

/// Files that need something that goes, directly or through others. Their names are not looked at.
pub fn touched<'a>(remaining: &'a [(String, Arc<ElfFacts>)], gone: &[Gone]) -> Vec<&'a (String, Arc<ElfFacts>)> {
    let file_name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    let mut names: BTreeSet<String> = BTreeSet::new();
    for gone in gone {
        names.insert(file_name(&gone.path));
        names.extend(gone.soname.clone());
    }
    let mut hit = vec![false; remaining.len()];
    loop {
        let mut grew = false;
        for ((path, facts), hit) in remaining.iter().zip(hit.iter_mut()) {
            let needs = |needed: &String| names.contains(needed) || names.contains(&file_name(needed));
            if *hit || !facts.needed.iter().any(needs) {
                continue;
            }
            *hit = true;
            grew = true;
            names.insert(file_name(path));
            names.extend(facts.soname.clone());
        }
        if !grew {
            break;
        }
    }
    remaining.iter().zip(hit).filter(|(_, hit)| *hit).map(|(file, _)| file).collect()
}
