//! `list`: packages one a line, by name, by what they provide, need or are made from. Chooses nothing.

use xpkg_model::Requirement;
use xpkg_pipeline::front::apk::pattern::matches;
use xpkg_pipeline::front::apk::{Database, Known, Need, relation_sign};

use super::talk::description;
use super::{Call, Outcome};

pub(super) fn run(call: &Call) -> Outcome {
    // apk 3 looks at no repository for what is installed.
    let without_repositories = call.apk3() && only_installed(call);
    let database = call.open(Need { without_repositories, ..Need::default() })?;
    let patterns = &call.options.arguments;
    for known in database.universe.all() {
        let Some(prefix) = found(call, known, patterns) else { continue };
        if keeps(call, &database, known) {
            call.talk.print(&format!("{prefix}{}", line(call, &database, known)));
            if call.talk.verbosity() > 1 {
                call.talk.print(&format!("  {}\n", description(&known.package, call.generation)));
            }
        }
    }
    Ok(0)
}

fn only_installed(call: &Call) -> bool {
    let has = |name| call.options.has(name);
    has("installed") && !["upgradable", "orphaned", "available"].into_iter().any(has)
}

/// Whether a package is asked for, and what stands before it.
fn found(call: &Call, known: &Known, patterns: &[String]) -> Option<String> {
    let options = &call.options;
    if patterns.is_empty() {
        return Some(String::new());
    }
    let package = &known.package;
    let any = |text: &str| patterns.iter().any(|p| matches(p, text));
    if options.has("depends") {
        let mut needed = package.requirements().flat_map(Requirement::alternatives);
        return needed.any(|d| any(&d.name)).then(String::new);
    }
    if options.has("providers") {
        let provided =
            package.provides.iter().map(|p| p.name.as_str()).chain([package.name.as_str()]).find(|n| any(n))?;
        return Some(format!("<{provided}> "));
    }
    if options.has("origin") {
        return (!package.origin.is_empty() && any(&package.origin)).then(String::new);
    }
    any(&package.name).then(String::new)
}

fn keeps(call: &Call, database: &Database, known: &Known) -> bool {
    let options = &call.options;
    let offered = !known.places.is_empty();
    if options.has("installed") && known.installed.is_none() || options.has("available") && !offered {
        return false;
    }
    // What a repository offers in any version is no orphan.
    let known_there = || database.universe.named(&known.package.name).iter().any(|k| !k.places.is_empty());
    if options.has("orphaned") && (known.installed.is_none() || known_there()) {
        return false;
    }
    !options.has("upgradable") || older(database, known).is_some()
}

/// The installed version that a package would be an upgrade of.
fn older<'a>(database: &'a Database, known: &Known) -> Option<&'a Known> {
    let installed = database.universe.installed(&known.package.name).filter(|_| known.installed.is_none())?;
    (relation_sign(&installed.package.version, &known.package.version) == "<").then_some(installed)
}

fn line(call: &Call, database: &Database, known: &Known) -> String {
    let package = &known.package;
    if call.options.has("manifest") {
        return format!("{} {}", package.name, package.version);
    }
    if call.apk3() && call.talk.verbosity() < 1 {
        return package.name.clone();
    }
    let origin = if package.origin.is_empty() { &package.name } else { &package.origin };
    let standing = match (known.installed, older(database, known)) {
        (Some(_), _) => " [installed]".to_owned(),
        (None, Some(old)) => format!(" [upgradable from: {}]", old.id()),
        (None, None) => String::new(),
    };
    format!("{} {} {{{origin}}} ({}){standing}", known.id(), package.arch, package.license)
}
