//! What holds for the command line on any machine: help, exit codes, JSON errors, completions, manual pages.

use std::process::{Command, Output};

fn xpkg(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xpkg")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn help_names_every_command() {
    let help = xpkg(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    let help = text(&help.stdout);
    for command in [
        "update",
        "search",
        "info",
        "install",
        "upgrade",
        "remove",
        "autoremove",
        "hold",
        "list",
        "files",
        "owns",
        "why",
        "check",
        "fetch",
        "cache",
        "source",
        "key",
        "image",
        "demo",
    ] {
        assert!(help.contains(&format!("  {command} ")), "{command} is not in --help");
    }
}

#[test]
fn a_wrong_call_exits_with_2_and_a_failure_with_1() {
    assert_eq!(xpkg(&["frobnicate"]).status.code(), Some(2));
    assert_eq!(xpkg(&["install"]).status.code(), Some(2));
    let failed = xpkg(&["--root", "/nonexistent-root", "list"]);
    assert_eq!(failed.status.code(), Some(1));
    let words = text(&failed.stderr);
    assert!(words.contains("error: ") && words.contains("hint: ") && words.contains("/nonexistent-root"), "{words}");
    assert!(failed.stdout.is_empty());
}

#[test]
fn json_errors_are_documents_under_the_schema() {
    let failed = xpkg(&["--json", "--root", "/nonexistent-root", "list"]);
    assert_eq!(failed.status.code(), Some(1));
    let error: serde_json::Value = serde_json::from_slice(&failed.stdout).unwrap();
    assert_eq!((error["kind"].as_str(), error["schema"].as_str()), (Some("error"), Some("1.0.0")));
    assert!(error["error"].as_str().unwrap().contains("/nonexistent-root"));
}

#[test]
fn completions_and_manual_pages_come_out() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(text(&xpkg(&["completions", shell]).stdout).contains("autoremove"), "{shell}");
    }
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(xpkg(&["man", dir.path().to_str().unwrap()]).status.code(), Some(0));
    assert!(std::fs::read_to_string(dir.path().join("xpkg-install.1")).unwrap().contains("alpine:tmux"));
}
