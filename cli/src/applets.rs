//! Small programs that xpkg is beside itself, called as `xpkg applet NAME …`: what runs inside roots for packages of the other
//! world. They read no configuration of xpkg and never reach the command line.

mod supervise;

use std::ffi::OsString;
use std::process::ExitCode;

/// The word that makes the program an applet.
const WORD: &str = "applet";

/// Runs the applet that the arguments (the program's own name included) ask for; `None` when they ask for none.
pub fn asked_for(args: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let mut args = args.into_iter().skip(1);
    if args.next()? != WORD {
        return None;
    }
    let name = args.next().unwrap_or_default();
    match name.to_str() {
        Some("supervise") => Some(supervise::main(args)),
        _ => {
            eprintln!("error: there is no applet called `{}`", name.display());
            Some(ExitCode::from(2))
        }
    }
}
