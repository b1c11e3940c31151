//! `xpkg opkg …`, and xpkg when it is called by the name `opkg`: opkg's command line, words and exit codes. Decides nothing.

mod options;
mod usage;

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use xpkg_pipeline::front::opkg::{Voice, run};

use options::Parsed;

/// Verbs and whether they need an argument; `_` stands for `-` in any of them.
const VERBS: [(&str, bool); 27] = [
    ("update", false),
    ("upgrade", true),
    ("list", false),
    ("list-installed", false),
    ("list-upgradable", false),
    ("list-changed-conffiles", false),
    ("info", false),
    ("flag", true),
    ("status", false),
    ("install", true),
    ("remove", true),
    ("configure", false),
    ("files", true),
    ("search", true),
    ("find", true),
    ("download", true),
    ("compare-versions", true),
    ("print-architecture", false),
    ("print-installation-architecture", false),
    ("depends", true),
    ("whatdepends", true),
    ("whatdependsrec", true),
    ("whatrecommends", true),
    ("whatsuggests", true),
    ("whatprovides", true),
    ("whatreplaces", true),
    ("whatconflicts", true),
];

/// Standard output, piece by piece.
struct Out;

impl Voice for Out {
    fn out(&mut self, text: &str) {
        // A reader that has gone away ends nothing: the work is done all the same.
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}

/// The main function of this front; `arguments` are what follows its name.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let words: Vec<String> = arguments.into_iter().map(|a| a.to_string_lossy().into_owned()).collect();
    let parsed = match options::parse(words) {
        Ok(parsed) => parsed,
        Err(options::Refused::Version) => {
            println!("opkg version xpkg-{}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        Err(options::Refused::Bad(text)) => {
            eprintln!("opkg: {text}");
            eprintln!("opkg must have one sub-command argument");
            return usage::told();
        }
    };
    let Parsed { options, verb, arguments } = parsed;
    let Some(verb) = verb else {
        eprintln!("opkg must have one sub-command argument");
        return usage::told();
    };
    let dashed = verb.replace('_', "-");
    let known = VERBS.iter().find(|(name, _)| *name == verb || (*name == dashed && dashed.contains('-')));
    let Some((name, needs_argument)) = known else {
        eprintln!("opkg: unknown sub-command {verb}");
        return usage::told();
    };
    if *needs_argument && arguments.is_empty() {
        eprintln!("opkg: the ``{verb}'' command requires at least one argument");
        return usage::told();
    }
    let ended = run(&options, name, &arguments, &mut Out);
    if !ended.errors.is_empty() {
        eprintln!("Collected errors:");
        ended.errors.iter().for_each(|text| eprint!(" * {}", crate::terminal::shown(text)));
    }
    ExitCode::from(ended.code)
}
