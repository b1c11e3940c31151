//! `xpkg fetch` and `xpkg cache`.

use serde_json::json;

use super::{Context, Done};
use crate::args::{Cache, Fetch};
use crate::error::Failure;
use crate::terminal;
use crate::terminal::outln;

pub fn fetch(context: &Context<'_>, arguments: &Fetch) -> Result<Done, Failure> {
    let mut session = context.session()?;
    let specs: Result<Vec<_>, Failure> = arguments.packages.iter().map(|p| super::spec(p)).collect();
    let written = session.fetch(&specs?, &arguments.output, arguments.recursive)?;
    context.terminal.finish();
    let paths: Vec<String> = written.iter().map(|p| p.display().to_string()).collect();
    if context.global.json {
        terminal::json("fetch", json!({ "files": paths }));
    } else {
        for path in paths {
            terminal::print(&path);
        }
    }
    Ok(Done::Well)
}

pub fn run(context: &Context<'_>, command: &Cache) -> Result<Done, Failure> {
    let session = context.session()?;
    let (kind, info) = match command {
        Cache::Clean { all } => ("cache-clean", session.cache_clean(*all)?),
        Cache::Info => ("cache", session.cache_info()?),
    };
    if context.global.json {
        terminal::json(kind, json!({ "path": info.path, "bytes": info.bytes, "files": info.files }));
    } else {
        let verb = if kind == "cache" { "holds" } else { "freed" };
        outln!("{} {verb} {} in {} files", info.path.display(), terminal::bytes(info.bytes), info.files);
    }
    Ok(Done::Well)
}
