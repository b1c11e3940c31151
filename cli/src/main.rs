//! The `xpkg` binary: arguments, one file per command, progress, reports. The only terminal.
//!
//! Exit codes: 0 done, 1 it failed or was refused, 2 it was called wrongly.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the one crate that prints")]
#![allow(missing_docs, reason = "arguments document themselves in --help; nothing here is public")]

mod applets;
mod args;
mod commands;
mod error;
mod fronts;
mod log;
mod report;
mod terminal;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    // Maintainer scripts run in a copy of this program that has moved into the root: see install::helper.
    if arguments.nth(1).is_some_and(|a| a == xpkg_pipeline::HELPER_ARGUMENT) {
        return ExitCode::from(xpkg_pipeline::script_helper(arguments.collect()));
    }
    if let Some(code) = applets::asked_for(std::env::args_os()) {
        return code;
    }
    if let Some(code) = fronts::asked_for(std::env::args_os()) {
        return code;
    }
    let cli = match args::Cli::try_parse() {
        Ok(cli) => cli,
        // Answers to --help and --version are no errors.
        Err(error) if error.use_stderr() && std::env::args_os().any(|a| a == "--json") => {
            let text = error.render().to_string();
            let failure = error::Failure::usage(text.trim_end().trim_start_matches("error: "));
            error::report(&failure, true);
            return ExitCode::from(failure.exit_code());
        }
        Err(error) => error.exit(),
    };
    let terminal = std::sync::Arc::new(terminal::Terminal::new(&cli.global));
    log::Log::start(&terminal, cli.global.verbose);
    let outcome = commands::run(&cli, &terminal);
    terminal.finish();
    match outcome {
        Ok(done) => done.exit_code(),
        Err(error) => {
            error::report(&error, cli.global.json);
            ExitCode::from(error.exit_code())
        }
    }
}
