//! `info`: what is known of a package, section by section, in the form that apk 2 and apk 3 share. `--format` and `--fields` ask
//! as `query` does.

use std::collections::BTreeSet;

use xpkg_model::{Dependency, RelPath};
use xpkg_pipeline::front::apk::pattern::{is_pattern, matches};
use xpkg_pipeline::front::apk::{Database, Known, Need};

use super::talk::{description, size};
use super::{Call, Outcome, query};

pub(super) fn run(call: &Call) -> Outcome {
    let options = &call.options;
    if call.apk3() && (options.has("format") || options.has("fields")) {
        return query::info(call);
    }
    let only_installed = options.has("who-owns") || options.has("exists");
    let database = call.open(Need { without_repositories: only_installed, ..Need::default() })?;
    if options.has("who-owns") {
        return Ok(owners(call, &database));
    }
    if options.arguments.is_empty() && !options.has("exists") {
        for known in database.universe.all_installed() {
            call.talk.print(&match call.talk.verbosity() {
                ..=1 => known.package.name.clone(),
                2 => known.id(),
                _ => format!("{} - {}", known.id(), description(&known.package, call.generation)),
            });
        }
        return Ok(0);
    }
    if options.has("exists") {
        return Ok(exists(call, &database));
    }
    let mut missing = 0;
    for name in &options.arguments {
        let found = called(call, &database, name);
        if found.is_empty() && !is_pattern(name) {
            missing += 1;
        }
        for known in found {
            show(call, &database, known);
        }
    }
    // A pattern may match nothing, and apk 2 then counts no other name either.
    let counts = call.apk3() || !options.arguments.iter().any(|name| is_pattern(name));
    Ok(if counts { missing } else { 0 })
}

/// The packages that a word of the command line means: those that have or provide the name, or whose name the pattern matches;
/// patterns match provided names with apk 2 only.
fn called<'a>(call: &Call, database: &'a Database, name: &str) -> Vec<&'a Known> {
    let universe = &database.universe;
    if is_pattern(name) {
        let provided = |k: &Known| !call.apk3() && k.package.provides.iter().any(|p| matches(name, &p.name));
        return universe.all().filter(|k| matches(name, &k.package.name) || provided(k)).collect();
    }
    let mut found: Vec<&Known> = universe.providers(name).into_iter().map(|(known, _)| known).collect();
    found.sort_by(|a, b| a.package.name.cmp(&b.package.name));
    found
}

fn exists(call: &Call, database: &Database) -> usize {
    let mut missing = 0;
    for name in &call.options.arguments {
        let asked: Dependency = name.parse().unwrap_or_else(|_| Dependency::any(name.as_str()));
        let installed = database.universe.providers(&asked.name).into_iter().map(|(known, _)| known);
        match installed.filter(|k| k.installed.is_some()).find(|k| k.package.meets(&asked)) {
            Some(known) => match call.talk.verbosity() {
                ..=0 => {}
                1 => call.talk.print(&known.package.name),
                _ => call.talk.print(&known.id()),
            },
            None => missing += 1,
        }
    }
    missing
}

fn owners(call: &Call, database: &Database) -> usize {
    let mut failed = 0;
    let mut said = BTreeSet::new();
    for path in &call.options.arguments {
        let Some(owner) = database.owner(path) else {
            call.talk.error(&format!("{path}: Could not find owner package"));
            failed += 1;
            continue;
        };
        let package = &owner.record.package;
        if call.talk.verbosity() < 1 {
            if said.insert(package.name.clone()) {
                call.talk.print(&package.name);
            }
            continue;
        }
        let link = if owner.through_link { "symlink target " } else { "" };
        call.talk.print(&format!("{path} {link}is owned by {}-{}", package.name, package.version));
    }
    failed
}

/// The sections, in apk's order, with the option that asks for each.
const SECTIONS: [&str; 12] = [
    "description",
    "webpage",
    "size",
    "depends",
    "provides",
    "rdepends",
    "contents",
    "triggers",
    "install-if",
    "rinstall-if",
    "replaces",
    "license",
];

fn show(call: &Call, database: &Database, known: &Known) {
    let options = &call.options;
    let all = options.has("all");
    let any = SECTIONS.iter().any(|s| options.has(s));
    for section in SECTIONS {
        let by_default = !any && !all && matches!(section, "description" | "webpage" | "size");
        if all || by_default || options.has(section) {
            one(call, database, known, section);
        }
    }
}

fn one(call: &Call, database: &Database, known: &Known, section: &str) {
    let package = &known.package;
    let ids = |all: Vec<&Known>| all.iter().map(|k| k.id()).collect::<Vec<_>>();
    let texts = |all: Vec<String>| Section::List(all);
    // What only an installed package has is not shown of another.
    if known.installed.is_none() && matches!(section, "contents" | "triggers" | "rdepends" | "rinstall-if" | "replaces")
    {
        return;
    }
    let (title, what) = match section {
        "description" => ("description:", Section::Text(description(package, call.generation).to_owned())),
        "webpage" => ("webpage:", Section::Text(package.url.clone())),
        "size" => ("installed size:", Section::Text(size(package.installed_size, call.generation))),
        "license" => ("license:", Section::Text(package.license.clone())),
        "depends" => ("depends on:", texts(package.depends.iter().map(ToString::to_string).collect())),
        "provides" => ("provides:", texts(package.provides.iter().map(ToString::to_string).collect())),
        "rdepends" => ("is required by:", texts(ids(database.dependents(known, true)))),
        "install-if" => ("has auto-install rule:", texts(package.install_if.iter().map(ToString::to_string).collect())),
        "rinstall-if" => ("affects auto-installation of:", texts(ids(database.install_if_dependents(known, true)))),
        "replaces" => {
            // Only the database knows: apk 2's indexes do not say.
            let record = database.record(&package.name).filter(|_| known.installed.is_some());
            let replaces = record.map_or(&package.replaces, |r| &r.package.replaces);
            ("replaces:", texts(replaces.iter().map(ToString::to_string).collect()))
        }
        "contents" => ("contains:", texts(contents(database, known))),
        _ => ("triggers:", texts(database.triggers_of(known))),
    };
    print(call, known, title, &what);
}

fn contents(database: &Database, known: &Known) -> Vec<String> {
    let plain = |path: RelPath| path.to_string().trim_start_matches('/').to_owned();
    database
        .record(&known.package.name)
        .map_or_else(Vec::new, |r| r.file_paths().map(|(path, _)| plain(path)).collect())
}

enum Section {
    Text(String),
    List(Vec<String>),
}

fn print(call: &Call, known: &Known, title: &str, section: &Section) {
    let (talk, verbosity) = (&call.talk, call.talk.verbosity());
    let lead = if verbosity > 1 { format!("{}: ", known.package.name) } else { String::new() };
    let header = || {
        if verbosity == 1 {
            talk.print(&format!("{} {title}", known.id()));
        }
    };
    match section {
        Section::Text(text) => {
            // apk 3 tells what an index leaves out from what a database has empty.
            if text.is_empty() && call.apk3() && !known.places.is_empty() {
                return;
            }
            header();
            talk.print(&format!("{lead}{text}"));
            if verbosity == 1 {
                talk.print("");
            }
        }
        Section::List(items) => {
            header();
            for item in items {
                talk.print(&format!("{lead}{item}"));
            }
            talk.print("");
        }
    }
}
