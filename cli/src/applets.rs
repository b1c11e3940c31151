//! Small programs that xpkg is beside itself, called as `xpkg applet NAME …`: what runs inside roots for packages of the other
//! world, and tools that their scripts call and their new root may lack, also by their own names. They read no configuration
//! of xpkg and never reach the command line.

mod accounts;
mod services;
mod supervise;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

/// The word that makes the program an applet.
const WORD: &str = "applet";

/// A tool: takes its own name and what follows it, gives the exit code.
type Tool = fn(&str, &[String]) -> ExitCode;

/// The tools by name.
const TOOLS: &[(&str, Tool)] = &[
    ("addgroup", accounts::main),
    ("adduser", accounts::main),
    ("delgroup", accounts::main),
    ("deluser", accounts::main),
    ("getent", accounts::getent),
    ("rc-service", services::rc_service),
    ("rc-update", services::rc_update),
    ("service", services::service),
];

/// Runs the applet that the arguments (the program's own name included) ask for; `None` when they ask for none.
pub fn asked_for(args: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let mut args = args.into_iter();
    let called = args.next()?;
    let own = Path::new(&called).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if let Some((name, tool)) = find(own) {
        return Some(tool(name, &words(args)));
    }
    if args.next()? != WORD {
        return None;
    }
    let name = args.next().unwrap_or_default();
    match name.to_str() {
        Some("supervise") => Some(supervise::main(args)),
        other => match other.and_then(find) {
            Some((name, tool)) => Some(tool(name, &words(args))),
            None => {
                eprintln!("error: there is no applet called `{}`", name.display());
                Some(ExitCode::from(2))
            }
        },
    }
}

fn find(name: &str) -> Option<(&'static str, Tool)> {
    TOOLS.iter().find(|(known, _)| *known == name).copied()
}

/// Names and numbers of accounts and services are text; what is none is refused as a name later.
fn words(args: impl Iterator<Item = OsString>) -> Vec<String> {
    args.map(|word| word.to_string_lossy().into_owned()).collect()
}

/// One line on standard error, as small tools write it.
fn complain(name: &str, what: &str) -> ExitCode {
    eprintln!("{name}: {what}");
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_that_scripts_are_lent_is_here() {
        let names: Vec<&str> = TOOLS.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, xpkg_pipeline::applets::NAMES);
    }
}
