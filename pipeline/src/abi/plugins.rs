//! Plugins of known programs under a plan: those that come are checked in their program, and those that stay in a program that
//! comes. Which they are is told by `shims`.

use std::collections::BTreeMap;

use xpkg_model::RelPath;
use xpkg_model::verdict::Severity;
use xpkg_resolver::abi::{Checker, LinkSpace as _, Report, Subject};

use crate::error::Error;
use crate::space::Space;

/// What was found, and the subjects that are left to be checked alone. What a plugin that stays would lack is a warning about
/// the program that comes.
pub(super) fn check(space: &Space<'_>, subjects: Vec<Subject>) -> Result<(Report, Vec<Subject>), Error> {
    let mut report = Report::default();
    if subjects.is_empty() {
        return Ok((report, subjects));
    }
    let opened = xpkg_shims::plugins::opened(space.prospect).map_err(Error::io("reading the root"))?;
    let checker = Checker::new(space);
    let found = |path: &RelPath| space.find(&path.to_string()).map(|found| Subject::new(found.path, found.facts));
    let (coming, alone): (Vec<Subject>, Vec<Subject>) =
        subjects.into_iter().partition(|s| path_of(s).is_some_and(|path| opened.contains_key(&path)));
    let mut alone = alone;
    for plugin in coming {
        match path_of(&plugin).and_then(|path| opened.get(&path)).and_then(found) {
            Some(program) => report.absorb(checker.check_plugin(&plugin, &program)),
            None => alone.push(plugin),
        }
    }
    let new: BTreeMap<RelPath, &Subject> = alone.iter().filter_map(|s| Some((path_of(s)?, s))).collect();
    for (path, program) in opened.iter().filter(|(path, _)| space.prospect.brought(path).is_none()) {
        let Some(program) = new.get(program) else { continue };
        let Some(plugin) = found(path) else { continue };
        for mut finding in checker.check_plugin(&plugin, program).findings {
            if !finding.code.starts_with("plugin") && finding.severity == Severity::Warning {
                continue; // what it is like, it was before
            }
            finding.severity = Severity::Warning;
            finding.detail = format!("{}: {}", finding.file, finding.detail);
            finding.subject = std::mem::replace(&mut finding.file, program.path.clone());
            report.findings.push(finding);
        }
    }
    Ok((report, alone))
}

fn path_of(subject: &Subject) -> Option<RelPath> {
    RelPath::from_absolute(subject.path.as_bytes()).ok()
}
