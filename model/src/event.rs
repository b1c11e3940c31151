//! What happens, told to whoever watches. Libraries emit; only the command line draws.

use crate::Action;
use crate::payload::ScriptKind;

/// One thing that happened. Sizes are bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A stage of work begins: `updating`, `resolving`, `fetching`, `checking`, `staging`, `committing` …
    Stage {
        /// Its name.
        name: &'static str,
        /// How many items, when known.
        items: Option<u64>,
    },
    /// One item of the stage is done.
    Item {
        /// What it was.
        name: String,
    },
    /// A transfer begins.
    TransferStart {
        /// Handle for the events that follow.
        id: u64,
        /// What is transferred.
        name: String,
        /// Expected bytes.
        size: Option<u64>,
    },
    /// Bytes came.
    TransferProgress {
        /// Handle.
        id: u64,
        /// Bytes so far.
        bytes: u64,
    },
    /// A transfer ended, well or not.
    TransferEnd {
        /// Handle.
        id: u64,
    },
    /// Something a person should know; not an error.
    Warning(String),
    /// Detail for `-v`.
    Detail(String),
    /// One package of a transaction, in the plan's order and with the events of its scripts right after it: what native
    /// tools print as `(1/4) Installing x (1.0-r0)`. It is told once the files are in place, so that it is never untrue.
    PackageStep {
        /// Which, from 1.
        number: usize,
        /// Of how many.
        of: usize,
        /// What was done.
        action: Action,
        /// Its name as the native manager knows it.
        name: String,
        /// Its version: the new one, or the one that went.
        version: String,
        /// The version that was replaced.
        old: Option<String>,
    },
    /// A maintainer script, trigger or commit hook is run: what native tools print as `Executing x-1.0-r0.post-install`.
    Script {
        /// Package name as the native manager knows it; a hook's path.
        package: String,
        /// Its version; empty for a hook.
        version: String,
        /// Which script; `None` for a hook.
        kind: Option<ScriptKind>,
        /// What it is called with.
        arguments: Vec<String>,
    },
    /// A line that a maintainer script printed.
    ScriptOutput {
        /// Package and script.
        script: String,
        /// The line.
        line: String,
    },
}

/// Receives events, possibly from several threads.
pub trait Observer: Send + Sync {
    /// Takes one event. Must not block for long.
    fn event(&self, event: Event);
}

/// Ignores everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn event(&self, _: Event) {}
}
