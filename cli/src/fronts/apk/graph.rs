//! `dot`: who depends on whom, as text for graphviz. Draws nothing itself.

use std::collections::BTreeSet;

use xpkg_model::Requirement;
use xpkg_pipeline::front::apk::pattern::matches;
use xpkg_pipeline::front::apk::{Database, Known, Need};

use super::{Call, Outcome};

pub(super) fn run(call: &Call) -> Outcome {
    let database = call.open(Need::default())?;
    let only_installed = call.options.has("installed");
    let patterns = &call.options.arguments;
    let mut todo: Vec<&Known> = database
        .universe
        .all()
        .filter(|k| !only_installed || k.installed.is_some())
        .filter(|k| patterns.is_empty() || patterns.iter().any(|p| matches(p, &k.package.name)))
        .collect();
    todo.reverse();
    let (mut seen, mut lines) = (BTreeSet::new(), Vec::new());
    while let Some(known) = todo.pop() {
        if seen.insert(known.id()) {
            edges(call, &database, known, only_installed, &mut lines, &mut todo);
        }
    }
    if lines.is_empty() {
        return Ok(1);
    }
    call.talk.print("digraph \"apkindex\" {\n  rankdir=LR;\n  node [shape=box];");
    lines.iter().for_each(|line| call.talk.print(line));
    call.talk.print("}");
    Ok(0)
}

fn edges<'a>(
    call: &Call,
    database: &'a Database,
    known: &Known,
    only_installed: bool,
    lines: &mut Vec<String>,
    todo: &mut Vec<&'a Known>,
) {
    let errors = call.options.has("errors");
    for dependency in known.package.requirements().flat_map(Requirement::alternatives) {
        let mut met = false;
        for (provider, _) in database.universe.providers(&dependency.name) {
            if only_installed && provider.installed.is_none() || !provider.package.meets(dependency) {
                continue;
            }
            met = true;
            if errors {
                continue;
            }
            todo.push(provider);
            let by_name = provider.package.name == dependency.name;
            let label = if by_name { String::new() } else { format!("arrowhead=inv,label=\"{}\",", dependency.name) };
            lines.push(format!("  \"{}\" -> \"{}\"[{label}];", known.id(), provider.id()));
        }
        if !met {
            lines.push(format!("  \"{}\" [style=dashed, color=red, fontcolor=red, shape=octagon];", dependency.name));
            lines.push(format!("  \"{}\" -> \"{}\"[color=red];", known.id(), dependency.name));
        }
    }
}
