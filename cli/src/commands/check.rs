//! `xpkg check`: would it run here?

use serde_json::json;
use xpkg_model::verdict::Verdict;

use super::{Context, Done};
use crate::args::Check;
use crate::error::Failure;
use crate::terminal::outln;
use crate::{report, terminal};

pub fn run(context: &Context<'_>, arguments: &Check) -> Result<Done, Failure> {
    let mut session = context.session()?;
    let verdicts = session.check(&arguments.targets)?;
    context.terminal.finish();
    let worst = report::worst(&verdicts);
    if context.global.json {
        let rows: Vec<_> = verdicts.iter().map(report::verdict_json).collect();
        terminal::json("check", json!({ "verdict": worst, "checked": rows }));
    } else {
        for verdict in &verdicts {
            // Over a whole root only what is not plainly well is worth a line.
            if !arguments.targets.is_empty() || verdict.verdict != Verdict::Ok {
                outln!("{}: {}", verdict.subject, verdict.verdict.words(&verdict.findings));
                report::findings_text(verdict);
            }
        }
        outln!("{} checked: {}", verdicts.len(), worst.as_str());
    }
    Ok(Done::well_if(worst.allows_install()))
}
