//! The commands that change a root: install, upgrade, remove, autoremove, hold.

use std::path::Path;

use serde_json::json;
use xpkg_pipeline::{Apply, Depth, Error, LayerPolicy, Prepared, Request, Session, Upgrade as Which};

use super::{Context, Done};
use crate::args::{Change, Hold, Install, Layer, Remove, Upgrade};
use crate::error::Failure;
use crate::terminal::outln;
use crate::{report, terminal};

pub fn install(context: &Context<'_>, arguments: &Install) -> Result<Done, Failure> {
    let mut session = context.session()?;
    let mut request = Request::default();
    for text in &arguments.packages {
        if is_file(text) {
            if !Path::new(text).is_file() {
                return Err(Failure::usage(format!("there is no file {text}")));
            }
            request.local.push(session.open_local(text.as_ref())?);
        } else {
            request.install.push(super::spec(text)?);
        }
    }
    let outcome = change(context, &mut session, &request, &arguments.change);
    match outcome {
        Err(Failure::Pipeline(error)) => match &*error {
            Error::NoSource { ecosystem, fitting: Some(release) } => {
                let question = format!("no {ecosystem} source is known here; add {release}?");
                let agreed =
                    if context.global.yes { arguments.add_source } else { context.terminal.confirm(&question) };
                if !agreed || context.global.dry_run {
                    return Err(Failure::Pipeline(error));
                }
                super::source::add_release(context, &mut session, release)?;
                for outcome in session.update(&[], false)? {
                    outcome.result?;
                }
                change(context, &mut session, &request, &arguments.change)
            }
            _ => Err(Failure::Pipeline(error)),
        },
        other => other,
    }
}

/// Whether a file is meant, not a name: it has a slash where no world or capability does, or it is there and has a package's
/// ending.
fn is_file(text: &str) -> bool {
    let path = Path::new(text);
    let dotted = ["/", "./", "../"].iter().any(|start| text.starts_with(start));
    let package = path.extension().is_some_and(|e| e == "apk" || e == "ipk");
    dotted && (package || path.is_file()) || package && (path.is_file() || text.contains('/'))
}

pub fn upgrade(context: &Context<'_>, arguments: &Upgrade) -> Result<Done, Failure> {
    let mut session = context.session()?;
    let upgrade = if arguments.packages.is_empty() {
        Which::All
    } else {
        let named: Result<_, Failure> = arguments.packages.iter().map(|p| super::spec(p)).collect();
        Which::Named(named?)
    };
    let request = Request { upgrade, ..Request::default() };
    change(context, &mut session, &request, &arguments.change)
}

pub fn remove(context: &Context<'_>, arguments: &Remove) -> Result<Done, Failure> {
    let mut session = context.session()?;
    let named: Result<_, Failure> = arguments.packages.iter().map(|p| super::spec(p)).collect();
    let request = Request { remove: named?, cascade: arguments.cascade, ..Request::default() };
    change(context, &mut session, &request, &Change::default())
}

pub fn autoremove(context: &Context<'_>) -> Result<Done, Failure> {
    let mut session = context.session()?;
    let request = Request { autoremove: true, ..Request::default() };
    change(context, &mut session, &request, &Change::default())
}

pub fn hold(context: &Context<'_>, arguments: &Hold) -> Result<Done, Failure> {
    let mut session = context.session()?;
    let specs: Result<Vec<_>, Failure> = arguments.packages.iter().map(|p| super::spec(p)).collect();
    let specs = specs?;
    if !context.global.dry_run {
        session.hold(&specs, !arguments.release)?;
    }
    if context.global.json {
        terminal::json("hold", json!({ "packages": arguments.packages, "held": !arguments.release }));
    } else {
        let verb = match (arguments.release, context.global.dry_run) {
            (false, false) => "held",
            (true, false) => "released",
            (false, true) => "would be held",
            (true, true) => "would be released",
        };
        context.terminal.say(&format!("{verb}: {}", arguments.packages.join(", ")));
    }
    Ok(Done::Well)
}

/// Prepare, show, ask, apply, report: the same for every change.
fn change(context: &Context<'_>, session: &mut Session, request: &Request, options: &Change) -> Result<Done, Failure> {
    let global = context.global;
    let apply =
        Apply { no_scripts: global.no_scripts, replace_applets: options.replace_applets, overwrite: options.overwrite };
    session.permit(&apply);
    session.set_layer(match options.layer {
        Layer::Auto => LayerPolicy::Auto,
        Layer::Never => LayerPolicy::Never,
        Layer::Always => LayerPolicy::Always,
    });
    let depth = if global.dry_run && !global.fetch { Depth::Plan } else { Depth::Fetch };
    let prepared = session.prepare(request, depth)?;
    context.terminal.finish();
    if global.dry_run || prepared.plan().is_empty() && !prepared.changes_intent() {
        show(context, &prepared, false);
        return Ok(Done::well_if(!prepared.is_incomplete()));
    }
    if !global.json && !global.quiet {
        report::plan_text(&prepared);
    }
    if !global.yes && !prepared.plan().is_empty() && !context.terminal.confirm("Do it?") {
        return Err(Failure::Declined);
    }
    let receipt = session.apply(&prepared, &apply)?;
    context.terminal.finish();
    if global.json {
        let mut body = report::plan_json(&prepared, true);
        if let Some(object) = body.as_object_mut() {
            object.insert("script_failures".into(), json!(receipt.script_failures));
            object.insert("new_config_files".into(), json!(receipt.new_config_files));
        }
        terminal::json("plan", body);
    } else {
        for note in receipt.notes.iter().filter(|n| !prepared.notes().contains(n)) {
            context.terminal.say(&format!("note: {note}"));
        }
        for script in &receipt.scripts_skipped {
            context.terminal.say(&format!("note: not run: {script}"));
        }
        for failure in &receipt.script_failures {
            eprintln!("warning: {}", terminal::shown(failure));
        }
        for path in &receipt.new_config_files {
            context.terminal.say(&format!("kept your {}; the package's version lies beside it", path));
        }
        context.terminal.say("done");
    }
    Ok(Done::well_if(!prepared.is_incomplete()))
}

fn show(context: &Context<'_>, prepared: &Prepared, done: bool) {
    if context.global.json {
        terminal::json("plan", report::plan_json(prepared, done));
    } else if prepared.plan().is_empty() {
        for note in prepared.plan().notes.iter().chain(prepared.notes()) {
            outln!("note: {note}");
        }
        report::chosen_text(prepared);
        if !prepared.changes_intent() {
            outln!("nothing to do");
        }
    } else {
        report::plan_text(prepared);
    }
}
