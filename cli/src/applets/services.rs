//! `rc-update`, `rc-service` and `service`: what scripts of one system ask of services, put to the services of the root.
//! Reads words; the pipeline knows how the root does it.

use std::process::ExitCode;

use xpkg_pipeline::applets::{self, Outcome};

use super::complain;

/// `service NAME ACTION`, as OpenWrt's and busybox's scripts write it.
pub fn service(tool: &str, words: &[String]) -> ExitCode {
    match words {
        [name, action, ..] => ask(tool, name, action),
        _ => complain(tool, "a service and an action"),
    }
}

/// `rc-service [options] NAME ACTION` (OpenRC's rc-service(8)).
pub fn rc_service(tool: &str, words: &[String]) -> ExitCode {
    let (options, rest): (Vec<&String>, Vec<&String>) = words.iter().partition(|word| word.starts_with('-'));
    let has = |short: &str, long: &str| options.iter().any(|o| *o == short || *o == long);
    match rest.as_slice() {
        [name] if has("-e", "--exists") => ExitCode::from(u8::from(!applets::has_service("/".as_ref(), name))),
        [name, action, ..] => ask(tool, name, action),
        _ => complain(tool, "a service and an action"),
    }
}

/// `rc-update add|del NAME [RUNLEVEL …]` (OpenRC's rc-update(8)).
pub fn rc_update(tool: &str, words: &[String]) -> ExitCode {
    let rest: Vec<&str> = words.iter().map(String::as_str).filter(|word| !word.starts_with('-')).collect();
    match rest.as_slice() {
        ["add", name, ..] => ask(tool, name, "enable"),
        ["del" | "delete", name, ..] => ask(tool, name, "disable"),
        // OpenRC's cache of dependencies has no counterpart.
        [] | ["update" | "show", ..] => ExitCode::SUCCESS,
        _ => complain(tool, "add or del, and a service"),
    }
}

fn ask(tool: &str, name: &str, action: &str) -> ExitCode {
    match applets::ask_service("/".as_ref(), name, action) {
        Ok(Outcome::Ended(code)) => ExitCode::from(code),
        Ok(Outcome::Nothing(why)) => {
            eprintln!("{tool}: {why}");
            ExitCode::SUCCESS
        }
        Err(why) => complain(tool, &why.to_string()),
    }
}
