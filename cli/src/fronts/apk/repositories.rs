//! What is about repositories: `update`, `policy`, `fetch`, `cache`, `stats`. Says what the pipeline did.

use std::path::PathBuf;

use xpkg_model::Dependency;
use xpkg_pipeline::front::apk::change::{Add, LocalFiles, Verb};
use xpkg_pipeline::front::apk::{Database, Error, Known, Need, Refresh, Standing};

use super::{Call, Outcome};

/// `update`
pub(super) fn update(call: &Call) -> Outcome {
    let database = call.open(Need { write: true, refresh: Refresh::Always, ..Need::default() })?;
    call.talk.begin_log();
    indexes(call, &database);
    let counted = database.availability();
    // apk 2 counts each that is missing twice.
    let unavailable = counted.unavailable * if call.apk3() { 1 } else { 2 };
    let distinct = format!("{} distinct packages available", database.universe.len());
    if unavailable + counted.stale == 0 {
        call.talk.message(&format!("OK: {distinct}"));
    } else {
        call.talk.message(&format!("{unavailable} unavailable, {} stale; {distinct}", counted.stale));
    }
    Ok(unavailable + counted.stale)
}

/// What each index says of itself.
pub(super) fn indexes(call: &Call, database: &Database) {
    for place in &database.places {
        if matches!(place.standing, Standing::Read | Standing::Stale(_)) {
            call.talk.message(&format!("{} [{}]", place.description, place.shown));
        }
    }
}

/// `policy`
pub(super) fn policy(call: &Call) -> Outcome {
    let database = call.open(Need::default())?;
    for name in &call.options.arguments {
        let all = database.universe.named(name);
        if all.is_empty() {
            continue;
        }
        call.talk.print(&format!("{name} policy:"));
        for known in all {
            call.talk.print(&format!("  {}:", known.package.version));
            if known.installed.is_some() {
                call.talk.print("    lib/apk/db/installed");
            }
            for place in known.places.iter().filter_map(|at| database.places.get(*at)) {
                let tag = place.tag.as_ref().map_or(String::new(), |t| format!("@{t} "));
                call.talk.print(&format!("    {tag}{}", place.shown));
            }
        }
    }
    Ok(0)
}

/// `stats`
pub(super) fn stats(call: &Call) -> Outcome {
    let database = call.open(Need::default())?;
    let (dirs, files) = database.counts();
    call.talk.print(&format!(
        "installed:\n  packages: {}\n  dirs: {dirs}\n  files: {files}\n  bytes: {}\n  triggers: {}\navailable:\n  names: {}\n  packages: {}\natoms:\n  num: {}{}",
        database.installed.len(),
        database.installed_bytes(),
        database.trigger_count()?,
        database.universe.name_count(),
        database.universe.len(),
        database.universe.name_count(),
        if call.apk3() { "\n" } else { "" },
    ));
    Ok(0)
}

/// `fetch`
pub(super) fn fetch(call: &Call) -> Outcome {
    let mut settings = call.settings()?;
    let simulate = settings.simulate;
    settings.simulate = false;
    let database = call.open_as(Need { without_state: true, ..Need::default() }, settings)?;
    let options = &call.options;
    let mut wanted: Vec<Known> = Vec::new();
    let mut failed = 0;
    if options.has("recursive") || options.has("world") {
        match needed(call, &database)? {
            Ok(all) => wanted = all,
            // apk 3 says why and ends well all the same.
            Err(count) => return Ok(if call.apk3() { 0 } else { count }),
        }
    } else {
        for name in &options.arguments {
            let offered = database.universe.named(name).iter().rev().find(|k| !k.places.is_empty());
            match offered {
                Some(known) => wanted.push(known.clone()),
                None => {
                    call.talk.message(&format!("{name}: unable to select package (or its dependencies)"));
                    failed += 1;
                }
            }
        }
    }
    // What cannot be had keeps the rest from being fetched.
    if failed > 0 {
        return Ok(failed);
    }
    let after: u64 = options.value("built-after").and_then(|t| t.parse().ok()).unwrap_or(0);
    let dir = PathBuf::from(options.value("output").unwrap_or("."));
    for known in wanted.iter().filter(|k| k.package.build_time >= after) {
        if options.has("stdout") {
            if let Err(error) = database.fetch_to(known, &mut std::io::stdout()) {
                call.talk.error(&super::words_of(&error));
                failed += 1;
            }
            continue;
        }
        if database.is_fetched(known, &dir) {
            continue;
        }
        match options.has("url") {
            true => call.talk.message(&database.url_of(known)?),
            false => call.talk.message(&format!("Downloading {}", known.id())),
        }
        if simulate {
            continue;
        }
        if !dir.is_dir() {
            // apk goes on with the directory that it could not open.
            call.talk.error(&format!("{}: Bad file descriptor", known.id()));
            failed += 1;
            continue;
        }
        if let Err(error) = database.fetch_into(known, &dir) {
            call.talk.error(&super::words_of(&error));
            failed += 1;
        }
    }
    Ok(failed)
}

/// What the arguments need on an empty root, by name.
fn needed(call: &Call, database: &Database) -> Result<Result<Vec<Known>, usize>, Error> {
    let mut wanted: Vec<Dependency> = Vec::new();
    if call.options.has("world") {
        wanted.extend(database.world_of_root()?);
    }
    for name in &call.options.arguments {
        wanted.push(name.parse().map_err(|_| Error::Said(format!("{name}: no such constraint")))?);
    }
    let answer =
        database.decide(&Verb::Add(Add { wanted: wanted.clone(), ..Add::default() }), &LocalFiles::default(), 50);
    let Some(plan) = answer.plan else {
        if !call.apk3() {
            // apk 2 asks for one after the other, and counts each that fails twice.
            let fails = |name: &&Dependency| {
                let one = Verb::Add(Add { wanted: vec![(*name).clone()], ..Add::default() });
                database.decide(&one, &LocalFiles::default(), 50).plan.is_none()
            };
            let failing: Vec<&Dependency> = wanted.iter().filter(fails).collect();
            for name in &failing {
                call.talk.message(&format!("{}: unable to select package (or its dependencies)", name.name));
            }
            return Ok(Err(2 * failing.len()));
        }
        super::change::say(call, &answer);
        return Ok(Err(usize::try_from(answer.status).unwrap_or(1)));
    };
    let mut all = Vec::new();
    for new in plan.changes.iter().filter_map(|c| c.new.as_ref()) {
        let same = |k: &&Known| k.package.version == new.version && k.package.identity == new.identity;
        all.extend(database.universe.named(&new.name).iter().find(same).cloned());
    }
    all.sort_by(|a, b| a.package.name.cmp(&b.package.name));
    Ok(Ok(all))
}

/// `cache`
pub(super) fn cache(call: &Call) -> Outcome {
    let (action, rest) = match call.options.arguments.split_first() {
        Some((action, rest)) => (action.as_str(), rest),
        None => return Ok(99),
    };
    if !matches!(action, "clean" | "download" | "purge" | "sync") {
        return Ok(99);
    }
    let database = call.open(Need { write: true, ..Need::default() })?;
    let simulate = database.settings.simulate;
    match action {
        "clean" | "purge" => {
            for name in database.cache_leftovers(action == "purge" || database.settings.purge)? {
                if call.talk.verbosity() > 1 {
                    call.talk.message(&format!("deleting {name}"));
                }
                if !simulate {
                    database.cache_delete(&name)?;
                }
            }
        }
        _ => {
            let _ = rest;
            for name in database.cache_missing(simulate)? {
                call.talk.message(&format!("Downloading {name}"));
            }
        }
    }
    Ok(0)
}
