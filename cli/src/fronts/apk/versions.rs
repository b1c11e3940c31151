//! `version`: installed versions beside the newest that are offered, and tests of version texts. Decides nothing.

use std::cmp::Reverse;

use xpkg_model::version;
use xpkg_pipeline::front::apk::pattern::matches;
use xpkg_pipeline::front::apk::{Database, Known, Need, relation_sign};

use super::{Call, Outcome, repositories};

/// Width of the left column where the names are short.
const COLUMN: usize = 40;

pub(super) fn run(call: &Call) -> Outcome {
    let options = &call.options;
    let arguments = &options.arguments;
    if options.has("test") {
        let [left, right] = arguments.as_slice() else { return Ok(1) };
        call.talk.print(relation_sign(left, right));
        return Ok(0);
    }
    if options.has("check") {
        let bad: Vec<_> = arguments.iter().filter(|v| !version::is_valid_apk(v)).collect();
        bad.iter().for_each(|v| call.talk.print(v));
        return Ok(bad.len());
    }
    let database = call.open(Need::default())?;
    if options.has("indexes") {
        repositories::indexes(call, &database);
        return Ok(0);
    }
    compare(call, &database);
    Ok(0)
}

fn compare(call: &Call, database: &Database) {
    let arguments = &call.options.arguments;
    let limit = call.options.value("limit").map(str::to_owned).or_else(|| {
        // Everything is shown when something is named, when much is wanted and when only names are.
        (arguments.is_empty() && call.talk.verbosity() == 1).then(|| "<".to_owned())
    });
    let named = |known: &&Known| arguments.is_empty() || arguments.iter().any(|a| matches(a, &known.package.name));
    let mut rows = Vec::new();
    for known in database.universe.all_installed().filter(named) {
        let newest = newest(call, database, known);
        let sign = newest.map_or("?", |n| relation_sign(&known.package.version, &n.package.version));
        if limit.as_ref().is_some_and(|limit| !limit.contains(sign)) {
            continue;
        }
        let tag = newest.and_then(|n| n.places.first()).and_then(|at| database.places.get(*at)?.tag.clone());
        let tag = tag.map_or(String::new(), |t| format!("@{t}"));
        rows.push((known, sign, newest.map_or(String::new(), |n| n.package.version.clone()), tag));
    }
    // apk 3 makes the column as wide as what it holds.
    let width =
        rows.iter().map(|(known, ..)| known.id().len() + 1).max().filter(|_| call.apk3()).unwrap_or(0).max(COLUMN);
    call.talk.message(&format!("{:<left$}{}", "Installed:", "Available:", left = width + 2));
    for (known, sign, version, tag) in rows {
        if call.talk.verbosity() < 1 {
            call.talk.print(&known.package.name);
        } else {
            call.talk.print(&format!("{:<width$}{sign} {version} {tag}", known.id()));
        }
    }
}

/// The newest package of that name that may be chosen: from an untagged repository, from the one it is pinned to, or any.
fn newest<'a>(call: &Call, database: &'a Database, known: &Known) -> Option<&'a Known> {
    let pinned = database.record(&known.package.name).and_then(|r| r.repo_tag.clone());
    let allowed = |k: &&Known| {
        call.options.has("all")
            || k.places.iter().filter_map(|at| database.places.get(*at)).any(|p| p.tag.is_none() || p.tag == pinned)
    };
    let all = database.universe.named(&known.package.name);
    all.iter()
        .enumerate()
        .filter(|(_, k)| !k.places.is_empty() && allowed(k))
        .min_by_key(|(at, _)| Reverse(*at))
        .map(|(_, k)| k)
}
