//! What happens, told to whoever watches. Libraries emit; only the command line draws.

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
