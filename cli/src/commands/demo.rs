//! `xpkg demo`: the whole bridge on two small roots and two feeds, made here and served on loopback. Needs no network and
//! no root rights, and goes the same way as every other command.

use std::path::PathBuf;

use serde_json::json;
use xpkg_fixtures::demo::{Demo, Outcome, SCENES, Scene};
use xpkg_fixtures::http::Server;
use xpkg_model::{Ecosystem, Spec};
use xpkg_pipeline::{Apply, Depth, Error, NewSource, Options, Request, Session};

use super::{Context, Done, now};
use crate::args;
use crate::error::Failure;
use crate::terminal::outln;
use crate::{report, terminal};

pub fn run(context: &Context<'_>, arguments: &args::Demo) -> Result<Done, Failure> {
    let dir = directory(arguments)?;
    let failed = |e: xpkg_fixtures::Error| {
        Failure::usage(format!("the demonstration could not be made in {}: {e}", dir.display()))
    };
    let demo = Demo::create(&dir).map_err(failed)?;
    let server = Server::start(demo.served()).map_err(failed)?;
    demo.connect(&server.url()).map_err(failed)?;
    let mut told = Vec::new();
    let mut good = true;
    say(
        context,
        &format!("Two roots and two feeds, generated in {}; the feeds are served at {}.", dir.display(), server.url()),
    );
    for native in [Ecosystem::Openwrt, Ecosystem::Alpine] {
        let mut session = open(context, &demo, native)?;
        say(context, &format!("\n== {native} root: {}", demo.root(native).dir().display()));
        let feed = demo.foreign_feed(native);
        session.source_add(&NewSource {
            name: format!("demo-{}", feed.ecosystem),
            urls: vec![feed.index_url(&server.url())],
            ecosystem: feed.ecosystem,
            keys: Some(feed.key_file.clone()),
            unsigned: false,
            priority: 0,
        })?;
        for outcome in session.update(&[], false)? {
            let updated = outcome.result.map_err(Failure::from)?;
            let key = updated.signed_by.unwrap_or_default();
            say(context, &format!("   {}: {} packages, signed by {key}", outcome.source, updated.packages));
        }
        for scene in SCENES.iter().filter(|s| s.native == native) {
            let (went, words) = play(context, &mut session, scene)?;
            good &= went;
            told.push(json!({ "title": scene.title, "request": scene.request, "as_expected": went, "outcome": words }));
        }
    }
    if context.global.json {
        terminal::json("demo", json!({ "directory": dir, "scenes": told }));
    } else {
        say(context, "\nWhere to look:");
        for native in [Ecosystem::Openwrt, Ecosystem::Alpine] {
            let root = demo.root(native).dir().display().to_string();
            say(context, &format!("  {root}/lib/apk/db/installed   what the native manager now knows"));
            say(context, &format!("  xpkg --usermode --root {root} list   what is installed"));
        }
        say(context, &format!("Remove it all with: rm -r {}", dir.display()));
    }
    Ok(if good { Done::Well } else { Done::Badly })
}

fn directory(arguments: &args::Demo) -> Result<PathBuf, Failure> {
    let failed = |e| Failure::usage(format!("no directory for the demonstration: {e}"));
    match &arguments.dir {
        Some(dir) => {
            if dir.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
                return Err(Failure::usage(format!("{} is not empty", dir.display())));
            }
            std::path::absolute(dir).map_err(failed)
        }
        None => Ok(tempfile::Builder::new().prefix("xpkg-demo-").tempdir().map_err(failed)?.keep()),
    }
}

fn open(context: &Context<'_>, demo: &Demo, native: Ecosystem) -> Result<Session, Failure> {
    let options = Options {
        root: demo.root(native).dir().to_owned(),
        cache_dir: None,
        no_network: false,
        allow_untrusted: false,
        usermode: true,
        now: now(),
    };
    Ok(Session::open(options, context.terminal.clone())?)
}

/// Plays one scene; says whether it went as it must.
fn play(context: &Context<'_>, session: &mut Session, scene: &Scene) -> Result<(bool, String), Failure> {
    say(context, &format!("\n-- {}\n   $ xpkg install {}", scene.title, scene.request));
    let spec: Spec = scene.request.parse().map_err(Failure::usage)?;
    let request = Request { install: vec![spec], ..Request::default() };
    match session.prepare(&request, Depth::Fetch) {
        Ok(prepared) => {
            context.terminal.finish();
            if !context.global.json && !context.global.quiet {
                report::plan_text(&prepared);
            }
            session.apply(&prepared, &Apply { no_scripts: true, ..Apply::default() })?;
            context.terminal.finish();
            let expected = matches!(scene.outcome, Outcome::Installed { .. });
            let words =
                if expected { "installed".to_owned() } else { "installed, and should not have been".to_owned() };
            say(context, &format!("   {words}"));
            Ok((expected, words))
        }
        Err(error @ (Error::Unsolvable(_) | Error::Refused { .. } | Error::TooManyRounds { .. })) => {
            context.terminal.finish();
            let words = error.to_string();
            say(context, &indent(&words));
            let expected = match scene.outcome {
                Outcome::Refused { symbol, .. } => words.contains(symbol),
                // Its private layer is a later release's; until then the refusal must say what is in the way.
                Outcome::PrivateLayer { library, .. } => words.contains(library),
                Outcome::Installed { .. } => false,
            };
            say(
                context,
                if expected { "   refused, and nothing was changed" } else { "   refused, and should not have been" },
            );
            Ok((expected, words))
        }
        Err(error) => Err(error.into()),
    }
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("   {line}")).collect::<Vec<_>>().join("\n")
}

/// The story goes to standard output; in JSON it is data instead.
fn say(context: &Context<'_>, line: &str) {
    if !context.global.json && !context.global.quiet {
        outln!("{line}");
    }
}
