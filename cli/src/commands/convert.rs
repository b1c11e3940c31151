//! `xpkg convert`: packages of one format from packages of another. Needs no root.

use serde_json::json;
use xpkg_pipeline::convert::{Convert, convert};
use xpkg_pipeline::package_files::load_secret;

use super::package::format;
use super::{Context, Done};
use crate::args;
use crate::error::Failure;
use crate::report;
use crate::terminal::{self, outln};

pub fn run(context: &Context<'_>, arguments: &args::Convert) -> Result<Done, Failure> {
    let key = arguments.sign.as_deref().map(load_secret).transpose()?;
    let converted = convert(&Convert {
        inputs: &arguments.inputs,
        to: format(arguments.to),
        output: arguments.output.as_deref(),
        key: key.as_ref(),
        arch: arguments.arch.as_deref(),
        strict: arguments.strict,
    })?;
    if context.global.json {
        terminal::json("convert", json!(converted));
        return Ok(Done::Well);
    }
    report::lost_text(context.terminal, &converted.lost);
    for package in &converted.packages {
        outln!("{}", package.path.display());
    }
    Ok(Done::Well)
}
