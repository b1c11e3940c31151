//! What the libraries note for developers, on standard error: warnings always, the rest with `-vv`.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::terminal::Terminal;

/// Prints one line per event; spans are not shown.
pub struct Log {
    terminal: Arc<Terminal>,
    level: Level,
    /// Warnings that were said: files that are read twice are complained about once.
    said: Mutex<BTreeSet<String>>,
}

impl Log {
    /// Starts listening. A second call would change nothing.
    pub fn start(terminal: &Arc<Terminal>, verbose: u8) {
        let level = if verbose > 1 { Level::DEBUG } else { Level::WARN };
        let _ = tracing::subscriber::set_global_default(Self {
            terminal: Arc::clone(terminal),
            level,
            said: Mutex::default(),
        });
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Only our own crates: what dependencies note is not for people.
        *metadata.level() <= self.level && metadata.target().starts_with("xpkg")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        let label = if *event.metadata().level() == Level::WARN { "warning" } else { event.metadata().target() };
        let line = format!("{label}: {}", line.0.trim_start());
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if *event.metadata().level() != Level::WARN || said.insert(line.clone()) {
            self.terminal.say(&line);
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = if field.name() == "message" {
            write!(self.0, " {value:?}")
        } else {
            write!(self.0, " {}={value:?}", field.name())
        };
    }
}
