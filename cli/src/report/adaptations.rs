//! What is done to foreign packages on their way, for people and as JSON. Decides nothing.

use serde_json::{Value, json};
use xpkg_model::adaptation::{Adaptation, Adaptations, AddedKind, Placement};
use xpkg_model::payload::ScriptKind;

use crate::terminal::{outln, table};

/// Paths named in one line.
const NAMED: usize = 3;

/// A table of what is changed, and the notes.
pub fn text(adaptations: &Adaptations) {
    let mut rows = Vec::new();
    for (key, adaptation) in adaptations {
        let title = format!("  {}:{}", key.ecosystem, key.name);
        for line in lines(adaptation) {
            rows.push(vec![title.clone(), line]);
        }
    }
    if !rows.is_empty() {
        outln!("\nChanged on the way:");
        table(&rows);
    }
    for (key, adaptation) in adaptations {
        for note in &adaptation.notes {
            outln!("note: {}:{}: {note}", key.ecosystem, key.name);
        }
    }
}

fn lines(adaptation: &Adaptation) -> Vec<String> {
    let mut lines = Vec::new();
    let mut say = |what: &str, paths: Vec<String>| {
        if !paths.is_empty() {
            lines.push(format!("{what} {}", some(&paths)));
        }
    };
    if adaptation.placement == Placement::Layer {
        say("lives in", vec!["a private layer".to_owned()]);
    }
    say("moved", adaptation.moved.iter().map(|(from, to)| format!("{from} to {to}")).collect());
    say("left out", adaptation.left_out.iter().map(|(path, why)| format!("{path} ({why})")).collect());
    say("rewritten", adaptation.patched.keys().map(ToString::to_string).collect());
    let added = adaptation.added.iter().filter(|a| a.kind != AddedKind::Dir);
    say("added", added.map(|a| a.path.to_string()).collect());
    say("enabled by", adaptation.enables.keys().map(ToString::to_string).collect());
    let composed = adaptation.scripts.iter().filter(|(_, text)| !text.is_empty());
    say("composed", composed.map(|(kind, _)| kind.as_str().to_owned()).collect());
    lines
}

fn some(paths: &[String]) -> String {
    let named = paths.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match paths.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// Under the schema of plans.
pub fn json(adaptations: &Adaptations) -> Value {
    let one = |(key, a): (&xpkg_model::PackageKey, &Adaptation)| {
        let pairs: Vec<Value> =
            a.moved.iter().map(|(from, to)| json!({ "from": from.to_string(), "to": to.to_string() })).collect();
        let left_out: Vec<Value> =
            a.left_out.iter().map(|(path, why)| json!({ "path": path.to_string(), "why": why })).collect();
        json!({
            "ecosystem": key.ecosystem,
            "name": key.name,
            "version": key.version,
            "placement": a.placement,
            "moved": pairs,
            "left_out": left_out,
            "rewritten": a.patched.keys().map(ToString::to_string).collect::<Vec<_>>(),
            "added": a.added.iter().map(|added| added.path.to_string()).collect::<Vec<_>>(),
            "enables": a.enables.keys().map(ToString::to_string).collect::<Vec<_>>(),
            "scripts": a.scripts.keys().copied().map(ScriptKind::as_str).collect::<Vec<_>>(),
            "notes": a.notes,
        })
    };
    adaptations.iter().map(one).collect()
}
