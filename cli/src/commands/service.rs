//! `xpkg service`: services of both worlds.

use serde_json::json;
use xpkg_pipeline::ServiceAction;

use super::{Context, Done};
use crate::args::Service;
use crate::error::Failure;
use crate::terminal;
use crate::terminal::outln;

pub fn run(context: &Context<'_>, command: &Service) -> Result<Done, Failure> {
    let (names, action) = match command {
        Service::List => return list(context, None),
        Service::Status { names } => return list(context, Some(names)),
        Service::Enable { names } => (names, ServiceAction::Enable),
        Service::Disable { names } => (names, ServiceAction::Disable),
        Service::Start { names } => (names, ServiceAction::Start),
        Service::Stop { names } => (names, ServiceAction::Stop),
        Service::Restart { names } => (names, ServiceAction::Restart),
        Service::Reload { names } => (names, ServiceAction::Reload),
    };
    let mut session = context.session()?;
    let mut done = Vec::new();
    for name in names {
        let said = session.service(name, action)?;
        if !context.global.json {
            said.iter().for_each(|line| context.terminal.say(line));
        }
        done.push(json!({ "name": name, "action": action, "said": said }));
    }
    context.terminal.finish();
    if context.global.json {
        terminal::json("service", json!({ "done": done }));
    }
    Ok(Done::Well)
}

fn list(context: &Context<'_>, only: Option<&[String]>) -> Result<Done, Failure> {
    let mut session = context.session()?;
    let mut answer = session.services()?;
    context.terminal.finish();
    let missing: Vec<&String> =
        only.into_iter().flatten().filter(|name| !answer.services.iter().any(|s| s.name == **name)).collect();
    if let Some(name) = missing.first() {
        return Err(xpkg_pipeline::Error::NoSuch { what: "service", name: (*name).clone() }.into());
    }
    answer.services.retain(|s| only.is_none_or(|only| only.contains(&s.name)));
    if context.global.json {
        terminal::json(
            "services",
            json!({ "init": answer.init, "booted": answer.booted, "services": answer.services }),
        );
    } else {
        let rows = || {
            answer.services.iter().map(|s| {
                let running = match s.running {
                    Some(true) => "running",
                    Some(false) => "stopped",
                    None => "-",
                };
                let enabled = if s.enabled { "enabled" } else { "disabled" };
                let at = s.start.map(|n| format!("S{n:02}")).unwrap_or_else(|| s.runlevels.join(","));
                let world =
                    if s.translated { format!("{} (translated)", s.ecosystem) } else { s.ecosystem.to_string() };
                vec![s.name.clone(), running.to_owned(), enabled.to_owned(), at, world]
            })
        };
        if answer.services.is_empty() {
            outln!("no services");
        }
        terminal::rows(rows);
        if !answer.booted {
            context.terminal.say("note: this root is not the running system: nothing of it runs");
        }
    }
    let all_run = answer.services.iter().all(|s| s.running != Some(false));
    Ok(Done::well_if(only.is_none() || all_run))
}
