//! `search`: packages that the repositories offer, by name or description. What is installed plays no part.

use std::collections::BTreeSet;

use xpkg_pipeline::front::apk::pattern::matches;
use xpkg_pipeline::front::apk::{Database, Known, Need};

use super::talk::description;
use super::{Call, Outcome};

pub(super) fn run(call: &Call) -> Outcome {
    let database = call.open(Need { without_state: true, ..Need::default() })?;
    let options = &call.options;
    let exact = options.has("exact");
    let patterns: Vec<String> =
        options.arguments.iter().map(|p| if exact { p.clone() } else { format!("*{p}*") }).collect();
    let any = |text: &str| patterns.is_empty() || patterns.iter().any(|p| matches(p, text));
    let fits = |known: &&Known| {
        let package = &known.package;
        if options.has("has-origin") {
            return any(&package.origin);
        }
        // What a package provides is a name of it too.
        let mut names = package.provides.iter().map(|p| p.name.as_str());
        let described = options.has("description");
        any(&package.name)
            || (call.apk3() || !described) && names.any(any)
            || options.has("description") && any(&package.description)
    };
    let mut said = BTreeSet::new();
    for name in database.universe.package_names() {
        let all = database.universe.named(name);
        let newest = all.len().saturating_sub(1);
        let shown =
            all.iter().enumerate().filter(|(at, _)| options.has("all") || *at == newest).map(|(_, known)| known);
        for known in shown.filter(fits) {
            said.insert(name);
            show(call, &database, known);
        }
    }
    // apk 3 counts an exact name that nobody has as a failure.
    let failed = call.apk3() && exact && said.is_empty() && !patterns.is_empty();
    Ok(usize::from(failed))
}

fn show(call: &Call, database: &Database, known: &Known) {
    let options = &call.options;
    if options.has("rdepends") {
        call.talk.print(&format!("{} is required by:", known.id()));
        for other in database.dependents(known, false) {
            call.talk.print(&title(call, other));
        }
        return;
    }
    let mut line = title(call, known);
    if call.talk.verbosity() > 1 {
        line.push_str(&format!(" - {}", description(&known.package, call.generation)));
    }
    call.talk.print(&line);
}

fn title(call: &Call, known: &Known) -> String {
    let package = &known.package;
    let name = match call.options.has("origin") && !package.origin.is_empty() {
        true => &package.origin,
        false => &package.name,
    };
    if call.talk.verbosity() > 0 { format!("{name}-{}", package.version) } else { name.clone() }
}
