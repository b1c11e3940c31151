//! The native managers' command lines: `xpkg apk …`, `xpkg opkg …`, and the same when the program is called by such a name.
//! Finds the front and hands the words over; decides nothing.

mod apk;
mod opkg;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

/// A front: takes what follows its name, gives the exit code.
type Front = fn(Vec<OsString>) -> ExitCode;

/// The fronts by the name that calls them.
const FRONTS: &[(&str, Front)] = &[("apk", apk::main), ("opkg", opkg::main)];

/// The fronts in the help, where they are no commands of xpkg's own: they take neither its options nor its words.
pub const HELP: &str =
    "`xpkg apk …` and `xpkg opkg …` take the native command lines: `apk` or `opkg` first, its own options after it.";

/// The front that the program's own name or its first argument asks for, and what it ended with.
pub fn asked_for(arguments: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let mut arguments = arguments.into_iter();
    let called = arguments.next()?;
    let name = Path::new(&called).file_name()?.to_owned();
    if let Some((_, front)) = FRONTS.iter().find(|(front, _)| name == *front) {
        return Some(front(arguments.collect()));
    }
    let first = arguments.next()?;
    let (_, front) = FRONTS.iter().find(|(front, _)| first == *front)?;
    Some(front(arguments.collect()))
}
