//! `xpkg index`: the index of a directory of packages. Needs no root.

use serde_json::json;
use xpkg_pipeline::package_files;

use super::package::format;
use super::{Context, Done};
use crate::args::Index;
use crate::error::Failure;
use crate::terminal::{self, outln};

pub fn run(context: &Context<'_>, arguments: &Index) -> Result<Done, Failure> {
    let written = package_files::index(&package_files::Index {
        dir: &arguments.dir,
        format: format(arguments.format),
        description: &arguments.description,
        arch: arguments.rewrite_arch.as_deref(),
        key: arguments.sign.as_deref(),
        output: arguments.output.as_deref(),
    })?;
    if context.global.json {
        terminal::json("index", json!(written));
        return Ok(Done::Well);
    }
    for skipped in &written.skipped {
        context.terminal.say(&format!("note: not listed: {skipped}"));
    }
    for file in &written.files {
        outln!("{}", file.display());
    }
    context.terminal.say(&format!("{} packages", written.packages));
    Ok(Done::Well)
}
