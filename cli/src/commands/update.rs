//! `xpkg update`.

use serde_json::json;

use super::{Context, Done};
use crate::args::Update;
use crate::error::Failure;
use crate::terminal;

/// Fetches every index; one source that fails does not stop the others.
pub fn run(context: &Context<'_>, arguments: &Update) -> Result<Done, Failure> {
    let mut session = context.session()?;
    let outcomes = session.update(&arguments.sources, arguments.allow_older)?;
    context.terminal.finish();
    let good = outcomes.iter().all(|o| o.result.is_ok());
    if context.global.json {
        let sources: Vec<_> = outcomes
            .iter()
            .map(|o| match &o.result {
                Ok(done) => json!({ "name": o.source, "packages": done.packages, "changed": done.changed, "signed_by": done.signed_by }),
                Err(error) => json!({ "name": o.source, "error": error.words(), "hint": error.hint() }),
            })
            .collect();
        terminal::json("update", json!({ "sources": sources }));
        return Ok(Done::well_if(good));
    }
    for outcome in &outcomes {
        match &outcome.result {
            Ok(done) => {
                let state = if done.changed { "new" } else { "unchanged" };
                let signed = done.signed_by.as_deref().map_or("unsigned".to_owned(), |key| format!("signed by {key}"));
                context.terminal.say(&format!("{}: {} packages, {state}, {signed}", outcome.source, done.packages));
            }
            Err(error) => {
                eprintln!("error: {}: {}", outcome.source, error.words());
                if let Some(hint) = error.hint() {
                    eprintln!("hint: {hint}");
                }
            }
        }
    }
    Ok(Done::well_if(good))
}
