//! What the program does when a package's script calls it as `adduser`, `rc-update` and their like, inside the root that the
//! script runs in. Never opens the package database, which whoever runs the script has locked.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Command;

use xpkg_install::accounts::edit;
use xpkg_install::live::{LiveRoot, Ownership};
use xpkg_model::Ecosystem;
use xpkg_model::accounts::is_name;
use xpkg_shims::probe::native_of;

pub use xpkg_install::accounts::edit::Change;
pub use xpkg_shims::scripts::APPLETS as NAMES;

use crate::error::Error;

/// The world that a script's root is of, by its files: a script may run before there is anything else.
fn native(root: &LiveRoot) -> Ecosystem {
    native_of(root).unwrap_or(Ecosystem::Alpine)
}

/// Changes users and groups.
pub fn change_accounts(root: &Path, change: &Change) -> Result<(), Error> {
    let root = LiveRoot::open(root, Ownership::Apply)?;
    Ok(edit::edit(&root, native(&root), change)?)
}

/// Lines of passwd, or of group, that have one of these names or numbers; `None` for what nobody has.
pub fn accounts(root: &Path, groups: bool, keys: &[String]) -> Result<Vec<Option<String>>, Error> {
    let root = LiveRoot::open(root, Ownership::Apply)?;
    Ok(edit::entries(&root, groups, keys)?)
}

/// How a request to a service ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The root's own tool was asked and ended with this code.
    Ended(u8),
    /// There was nothing to ask, and why.
    Nothing(String),
}

/// Whether the root has a service of this name.
pub fn has_service(root: &Path, name: &str) -> bool {
    is_name(name) && root.join("etc/init.d").join(name).exists()
}

/// Asks a service for something, in the words of OpenWrt's init scripts: `enable`, `start`, `reload` …
pub fn ask_service(root: &Path, name: &str, action: &str) -> Result<Outcome, Error> {
    if !has_service(root, name) {
        return Ok(Outcome::Nothing(format!("there is no service `{}` here", name.escape_debug())));
    }
    let live = LiveRoot::open(root, Ownership::Apply)?;
    let openrc = native(&live) == Ecosystem::Alpine;
    let script = root.join("etc/init.d").join(name);
    let mut command = match (openrc, action) {
        (true, "enable" | "disable") => {
            let word = if action == "enable" { "add" } else { "del" };
            let mut command = Command::new("rc-update");
            command.args([word, name, "default"]);
            command
        }
        (true, _) => {
            let mut command = Command::new("rc-service");
            command.args([name, action]);
            command
        }
        (false, _) => {
            let mut command = Command::new(script);
            command.arg(action);
            command
        }
    };
    if !matches!(action, "enable" | "disable" | "enabled") && !init_runs(root, openrc) {
        return Ok(Outcome::Nothing(format!("{name} is not asked to {action}: no services run in this root")));
    }
    let status = command.status().map_err(Error::io(format!("starting {name}")))?;
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    Ok(Outcome::Ended(u8::try_from(code).unwrap_or(1)))
}

/// Whether the root's own init has started it: in a chroot and in an image there is nobody to ask.
fn init_runs(root: &Path, openrc: bool) -> bool {
    if openrc {
        return root.join("run/openrc/softlevel").exists();
    }
    let first = std::fs::read_to_string(root.join("proc/1/comm")).unwrap_or_default();
    first.trim() == "procd"
}
