//! `xpkg image`.

use serde_json::json;

use super::{Context, Done};
use crate::args::Image;
use crate::error::Failure;
use crate::terminal::outln;
use crate::{report, terminal};

pub fn run(context: &Context<'_>, command: &Image) -> Result<Done, Failure> {
    let Image::Build { file, output, threads: _ } = command;
    let build = xpkg_pipeline::image::Build {
        file: file.clone(),
        output: output.clone(),
        options: context.options(),
        dry_run: context.global.dry_run,
    };
    let built = xpkg_pipeline::image::build(&build, context.terminal.clone())?;
    context.terminal.finish();
    if context.global.json {
        let mut body = report::plan_json(&built.prepared, !context.global.dry_run);
        if let Some(object) = body.as_object_mut() {
            object.insert("output".into(), json!(built.output));
            object.insert("bytes".into(), json!(built.bytes));
            object.insert("scripts_not_run".into(), json!(built.scripts_not_run));
        }
        terminal::json("image", body);
        return Ok(Done::Well);
    }
    report::plan_text(&built.prepared);
    for script in &built.scripts_not_run {
        context.terminal.say(&format!("note: not run while an image is built: {script}"));
    }
    if !context.global.dry_run {
        outln!("{}: {}", built.output.display(), terminal::bytes(built.bytes));
    }
    Ok(Done::Well)
}
