//! `query` (apk 3): packages by any of their fields, as text, JSON or YAML. Every query is answered by the best match of each name
//! unless all are wanted.

mod fields;
mod form;

use std::collections::BTreeSet;

use xpkg_model::{Dependency, Requirement};
use xpkg_pipeline::front::apk::change::{Add, LocalFiles, Verb};
use xpkg_pipeline::front::apk::pattern::{is_pattern, matches};
use xpkg_pipeline::front::apk::{Database, Error, Known, Need, relation_sign};

use super::{Call, Outcome};
use fields::{FIELDS, value};
use form::Form;

/// What is shown unless something else is asked for.
const SHOWN: [&str; 8] = ["name", "version", "description", "arch", "license", "origin", "url", "file-size"];
/// What `info` shows in this form.
const INFO: [&str; 5] = ["name", "version", "description", "url", "installed-size"];

pub(super) fn run(call: &Call) -> Outcome {
    answer(call, &SHOWN)
}

/// `info --format …`
pub(super) fn info(call: &Call) -> Outcome {
    answer(call, &INFO)
}

fn answer(call: &Call, default: &[&'static str]) -> Outcome {
    let options = &call.options;
    let shown = chosen(call, "fields", default)?;
    let compared = chosen(call, "match", &["name"])?;
    let summary = options.value("summarize").map(|f| known_field(f, "summarize")).transpose()?;
    let form = Form::of(options.value("format")).map_err(|f| bad("format", &f))?;
    let from = options.value("from").unwrap_or("system");
    if !["system", "repositories", "installed", "none"].contains(&from) {
        return Err(bad("from", from));
    }
    let need = Need {
        without_state: from == "repositories" || from == "none",
        without_repositories: from == "installed"
            // What is installed is in the database.
            || options.has("installed") && !options.has("available") && !options.has("upgradable")
            || from == "none" && options.values("repository").is_empty(),
        ..Need::default()
    };
    let database = call.open(need)?;
    let found: Vec<&Known> = if options.has("recursive") || options.has("world") {
        match needed(call, &database)? {
            Ok(found) => found,
            Err(status) => return Ok(status),
        }
    } else {
        search(call, &database, &compared)
    };
    let found: Vec<&Known> = found.into_iter().filter(|k| keeps(call, &database, k)).collect();
    if let Some(field) = summary {
        let mut values = BTreeSet::new();
        for known in &found {
            values.extend(value(&database, known, field).into_iter().flat_map(fields::Value::words));
        }
        values.iter().for_each(|v| call.talk.print(v));
        return Ok(0);
    }
    let items: Vec<_> = found
        .iter()
        .map(|known| shown.iter().filter_map(|f| Some((*f, value(&database, known, f)?))).collect::<Vec<_>>())
        .collect();
    form.print(&items, &mut |line| call.talk.print(line));
    Ok(0)
}

fn bad(option: &str, text: &str) -> Error {
    Error::Said(format!("command line: invalid argument for option '{option}': '{text}'"))
}

fn known_field(field: &str, option: &str) -> Result<&'static str, Error> {
    let name = field.split(':').next().unwrap_or(field);
    FIELDS.iter().find(|f| **f == name).copied().ok_or_else(|| bad(option, field))
}

/// The fields that an option names, in the order in which they are always shown.
fn chosen(call: &Call, option: &str, default: &[&'static str]) -> Result<Vec<&'static str>, Error> {
    let Some(text) = call.options.value(option) else { return Ok(default.to_vec()) };
    if text == "all" {
        return Ok(FIELDS.iter().copied().filter(|f| *f != "owner").collect());
    }
    let mut named = Vec::new();
    for field in text.split(',') {
        named.push(known_field(field, option).map_err(|_| bad(option, text))?);
    }
    Ok(FIELDS.iter().copied().filter(|f| named.contains(f)).collect())
}

fn search<'a>(call: &Call, database: &'a Database, compared: &[&str]) -> Vec<&'a Known> {
    let mut found: Vec<&Known> = Vec::new();
    for query in &call.options.arguments {
        let mut here: Vec<&Known> = if compared.contains(&"owner") {
            let owner = database.owner(query).map(|o| o.record.package.name.clone());
            owner.and_then(|name| database.universe.installed(&name)).into_iter().collect()
        } else {
            database.universe.all().filter(|k| fits(database, k, query, compared)).collect()
        };
        if !call.options.has("all-matches") {
            here = best(call, here);
        }
        found.extend(here);
    }
    found.sort_by(|a, b| a.package.name.cmp(&b.package.name));
    found.dedup_by(|a, b| std::ptr::eq(*a, *b));
    found
}

fn fits(database: &Database, known: &Known, query: &str, compared: &[&str]) -> bool {
    let package = &known.package;
    for field in compared {
        let hit = match *field {
            // `name>version` is understood here.
            "name" if !is_pattern(query) => query.parse::<Dependency>().is_ok_and(|d| package.meets_by_name(&d)),
            "depends" => package.requirements().flat_map(Requirement::alternatives).any(|d| matches(query, &d.name)),
            "provides" => package.provides.iter().any(|p| matches(query, &p.name)),
            field => value(database, known, field).is_some_and(|v| v.words().iter().any(|word| matches(query, word))),
        };
        if hit {
            return true;
        }
    }
    false
}

/// Of each name the installed package, else the newest; of those on offer alone the newest.
fn best<'a>(call: &Call, all: Vec<&'a Known>) -> Vec<&'a Known> {
    let mut best: Vec<&'a Known> = Vec::new();
    for known in all {
        match best.last_mut().filter(|b| b.package.name == known.package.name) {
            Some(b) => {
                let offered = call.options.has("available") || call.options.has("upgradable");
                if offered || b.installed.is_none() {
                    *b = known;
                }
            }
            None => best.push(known),
        }
    }
    best
}

fn keeps(call: &Call, database: &Database, known: &Known) -> bool {
    let options = &call.options;
    let (installed, offered) = (known.installed.is_some(), !known.places.is_empty());
    if options.has("installed") && !installed || options.has("available") && !offered {
        return false;
    }
    if options.has("orphaned") && (!installed || offered) {
        return false;
    }
    if options.has("upgradable") {
        let old = database.universe.installed(&known.package.name).filter(|_| !installed);
        return old.is_some_and(|o| relation_sign(&o.package.version, &known.package.version) == "<");
    }
    true
}

fn needed<'a>(call: &Call, database: &'a Database) -> Result<Result<Vec<&'a Known>, usize>, Error> {
    let mut wanted = Vec::new();
    if call.options.has("world") {
        wanted.extend(database.world_of_root()?);
    }
    for name in &call.options.arguments {
        wanted.push(name.parse().map_err(|_| Error::Said(format!("{name}: no such constraint")))?);
    }
    // As on an empty root: what is there already is needed too.
    let answer = database.decide_on_empty(&Verb::Add(Add { wanted, ..Add::default() }), &LocalFiles::default());
    let Some(plan) = answer.plan else {
        super::change::say(call, &answer);
        return Ok(Err(usize::try_from(answer.status).unwrap_or(1)));
    };
    let mut all = Vec::new();
    for new in plan.changes.iter().filter_map(|c| c.new.as_ref()) {
        all.extend(database.universe.named(&new.name).iter().find(|k| k.package.version == new.version));
    }
    all.sort_by(|a: &&Known, b| a.package.name.cmp(&b.package.name));
    Ok(Ok(all))
}
