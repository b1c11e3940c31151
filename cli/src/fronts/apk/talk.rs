//! What is said, and where: answers on standard output, errors and warnings on standard error, as much as `-q` and `-v` want,
//! and all of it in apk 3's log when something is changed. Also hears what the pipeline tells.

use std::io::Write as _;
use std::sync::Mutex;

use xpkg_model::{Event, Observer};
use xpkg_pipeline::front::apk::{Generation, Settings, append_log};

use super::change::Progress;
use super::help;
use crate::terminal::shown;

/// The voice of a run.
pub(super) struct Talk {
    generation: Generation,
    verbosity: i32,
    logs: bool,
    log: Mutex<Log>,
    /// The steps of a change, while there is one.
    pub(super) progress: Mutex<Option<Progress>>,
}

#[derive(Default)]
struct Log {
    wanted: bool,
    text: String,
}

impl Talk {
    pub fn new(generation: Generation, verbosity: i32, logs: bool) -> Self {
        Self { generation, verbosity, logs, log: Mutex::default(), progress: Mutex::new(None) }
    }

    /// One is normal, more is `-v`, less is `-q`.
    pub fn verbosity(&self) -> i32 {
        self.verbosity
    }

    /// An answer: said even when little is.
    pub fn print(&self, text: &str) {
        // A reader that has gone has heard enough.
        let _ = writeln!(std::io::stdout(), "{}", shown(text));
    }

    /// Something on the way.
    pub fn message(&self, text: &str) {
        self.note(text);
        if self.verbosity > 0 {
            self.print(text);
        }
    }

    /// A warning.
    pub fn warning(&self, text: &str) {
        self.note(&format!("WARNING: {text}"));
        if self.verbosity > 0 {
            eprintln!("WARNING: {}", shown(text));
        }
    }

    /// An error.
    pub fn error(&self, text: &str) {
        self.note(&format!("ERROR: {text}"));
        eprintln!("ERROR: {}", shown(text));
    }

    /// A further line of an error.
    pub fn go_on(&self, text: &str) {
        self.note(text);
        eprintln!("{}", shown(text));
    }

    fn note(&self, text: &str) {
        if let Ok(mut log) = self.log.lock() {
            for line in text.lines().filter(|l| !l.is_empty()) {
                log.text.push_str(line);
                log.text.push('\n');
            }
        }
    }

    /// What is said from now on belongs into the log: the root is being changed.
    pub fn begin_log(&self) {
        if let Ok(mut log) = self.log.lock() {
            log.wanted = self.logs && self.generation == Generation::Apk3;
        }
    }

    /// Adds the run to the root's log, where it belongs there.
    pub fn write_log(&self, settings: &Settings, words: &[String]) {
        let Ok(log) = self.log.lock() else { return };
        if !log.wanted || settings.simulate {
            return;
        }
        let head = format!(
            "\nRunning `apk {}` at {}\n{}\n",
            words.join(" "),
            date(settings.now),
            help::version(self.generation)
        );
        // A log that cannot be written ends nothing.
        if let Err(error) = append_log(settings, &format!("{head}{}", log.text)) {
            tracing::warn!(%error, "the log is not written");
        }
    }
}

impl Observer for Talk {
    fn event(&self, event: Event) {
        if let Ok(mut progress) = self.progress.lock()
            && let Some(progress) = progress.as_mut()
        {
            progress.hear(self, &event);
        }
        match event {
            // Only indexes are named by their address.
            Event::TransferStart { name, .. } if name.contains("://") && self.generation == Generation::Apk2 => {
                self.message(&format!("fetch {name}"));
            }
            _ => {}
        }
    }
}

/// `2026-11-24 15:20:12`, in UTC.
pub(super) fn date(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60)
}

/// Year, month and day of a day since 1970-01-01, in the Gregorian calendar.
pub(super) fn civil(days: u64) -> (u64, u64, u64) {
    // Counted from 0000-03-01, so that leap days end a year.
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

/// apk 3 keeps no more of a description.
const DESCRIPTION: usize = 512;

/// A description, as far as apk knows it.
pub(in crate::fronts::apk) fn description(package: &xpkg_model::Package, generation: Generation) -> &str {
    let text = package.description.as_str();
    if generation == Generation::Apk2 || text.len() <= DESCRIPTION {
        return text;
    }
    let end = (0..=DESCRIPTION).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.get(..end).unwrap_or(text)
}

/// A size as apk writes it: whole numbers in apk 2, a decimal from mebibytes on in apk 3.
#[allow(clippy::cast_precision_loss, reason = "one decimal is shown")]
pub(super) fn size(bytes: u64, generation: Generation) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut unit, mut scale) = (0, 1u64);
    while bytes / scale >= 10_000 && unit + 1 < UNITS.len() {
        unit += 1;
        scale *= 1024;
    }
    let name = UNITS.get(unit).unwrap_or(&"B");
    if generation == Generation::Apk3 && unit >= 2 {
        return format!("{:.1} {name}", bytes as f64 / scale as f64);
    }
    format!("{} {name}", bytes / scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_dates_are_apks() {
        for (bytes, two, three) in [
            (0, "0 B", "0 B"),
            (946_176, "924 KiB", "924 KiB"),
            (1_216_512, "1188 KiB", "1188 KiB"),
            (26_128_384, "24 MiB", "24.9 MiB"),
            (33_805_568, "32 MiB", "32.2 MiB"),
        ] {
            assert_eq!(size(bytes, Generation::Apk2), two);
            assert_eq!(size(bytes, Generation::Apk3), three);
        }
        assert_eq!(date(0), "1970-01-01 00:00:00");
        assert_eq!(date(951_827_696), "2000-02-29 12:34:56");
        assert_eq!(date(1_795_533_612), "2026-11-24 15:20:12");
    }
}
