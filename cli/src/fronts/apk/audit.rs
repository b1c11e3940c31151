//! `audit`: what differs from what the packages brought. The comparing is the pipeline's.

use std::collections::BTreeSet;

use xpkg_model::RelPath;
use xpkg_pipeline::front::apk::Need;
use xpkg_pipeline::front::apk::audit::{Audit, Scope};

use super::{Call, Outcome};

pub(super) fn run(call: &Call) -> Outcome {
    let options = &call.options;
    let database = call.open(Need { without_repositories: true, ..Need::default() })?;
    let scope = match (options.has("full"), options.has("system")) {
        (true, _) => Scope::Full,
        (_, true) => Scope::System,
        _ => Scope::Backup,
    };
    let mut below = Vec::new();
    for dir in &options.arguments {
        match RelPath::from_absolute(dir.trim_end_matches('/')) {
            Ok(path) if dir.starts_with('/') => below.push(path),
            _ => call.talk.warning(&format!("{dir}: relative path skipped.{}", if call.apk3() { "" } else { "\n" })),
        }
    }
    if below.is_empty() && !options.arguments.is_empty() {
        return Ok(0);
    }
    let audit = Audit {
        scope,
        check_permissions: options.has("check-permissions"),
        recursive: options.has("recursive"),
        ignore_busybox_links: options.has("ignore-busybox-symlinks"),
    };
    let mut said = BTreeSet::new();
    for difference in database.audit(audit, &below)? {
        if options.has("packages") {
            let owner = difference.owner.and_then(|at| database.installed.get(at));
            if let Some(package) = owner.map(|r| &r.package).filter(|p| said.insert(p.name.clone())) {
                call.talk.print(&match call.talk.verbosity() {
                    ..=0 => package.name.clone(),
                    _ => format!("{}-{}", package.name, package.version),
                });
            }
            continue;
        }
        if options.has("details") {
            for (sign, text) in [('-', &difference.expected), ('+', &difference.found)] {
                if let Some(text) = text {
                    call.talk.print(&format!("{sign} {text}"));
                }
            }
        }
        if call.talk.verbosity() < 1 {
            call.talk.print(&difference.path);
        } else {
            call.talk.print(&format!("{} {}", difference.sign, difference.path));
        }
    }
    Ok(0)
}
