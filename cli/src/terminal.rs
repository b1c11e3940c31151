//! The terminal: the only place that prints, asks and draws. Data goes to standard output, everything else to standard error.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use xpkg_model::{Event, Observer};

use crate::args::Global;

/// Draws progress and prints words.
pub struct Terminal {
    verbose: u8,
    quiet: bool,
    progress: Option<Progress>,
}

struct Progress {
    bars: MultiProgress,
    stage: Mutex<Option<ProgressBar>>,
    transfers: Mutex<HashMap<u64, ProgressBar>>,
}

impl Terminal {
    /// Bars only where a person watches: standard error is a terminal and nobody asked for silence or JSON.
    pub fn new(global: &Global) -> Self {
        let watched = io::stderr().is_terminal() && !global.quiet && !global.json;
        let progress = watched.then(|| Progress {
            bars: MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10)),
            stage: Mutex::new(None),
            transfers: Mutex::new(HashMap::new()),
        });
        Self { verbose: global.verbose, quiet: global.quiet, progress }
    }

    /// A line for people, on standard error.
    pub fn say(&self, line: &str) {
        if self.quiet {
            return;
        }
        let line = shown(line);
        match &self.progress {
            Some(progress) => progress.bars.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }

    /// Takes the bars away, before a question or the end.
    pub fn finish(&self) {
        let Some(progress) = &self.progress else { return };
        if let Some(bar) = lock(&progress.stage).take() {
            bar.finish_and_clear();
        }
        for (_, bar) in lock(&progress.transfers).drain() {
            bar.finish_and_clear();
        }
    }

    /// Asks; without a terminal to ask on, the answer is no.
    pub fn confirm(&self, question: &str) -> bool {
        self.finish();
        if !io::stdin().is_terminal() {
            return false;
        }
        eprint!("{} [Y/n] ", shown(question));
        let _ = io::stderr().flush();
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer).is_ok()
            && !answer.is_empty()
            && matches!(answer.trim().to_ascii_lowercase().as_str(), "" | "y" | "yes")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Observer for Terminal {
    fn event(&self, event: Event) {
        match event {
            Event::Warning(text) => self.say(&format!("warning: {text}")),
            Event::Detail(text) if self.verbose > 0 => self.say(&text),
            Event::ScriptOutput { script, line } => self.say(&format!("{script}: {line}")),
            event => {
                if let Some(progress) = &self.progress {
                    progress.draw(event);
                }
            }
        }
    }
}

impl Progress {
    fn draw(&self, event: Event) {
        match event {
            Event::Stage { name, items } => {
                let bar = match items {
                    Some(items) if items > 1 => {
                        ProgressBar::new(items).with_style(style("{prefix:>12} {bar:30} {pos}/{len} {wide_msg}"))
                    }
                    _ => ProgressBar::new_spinner().with_style(style("{prefix:>12} {spinner} {wide_msg}")),
                };
                let bar = self.bars.add(bar.with_prefix(name));
                bar.enable_steady_tick(Duration::from_millis(120));
                if let Some(old) = lock(&self.stage).replace(bar) {
                    old.finish_and_clear();
                }
            }
            Event::Item { name } => {
                if let Some(bar) = &*lock(&self.stage) {
                    bar.set_message(name);
                    bar.inc(1);
                }
            }
            Event::TransferStart { id, name, size } => {
                let bar = match size {
                    Some(size) => ProgressBar::new(size)
                        .with_style(style("{prefix:>30!} {bar:20} {bytes:>10}/{total_bytes:10} {bytes_per_sec}")),
                    None => ProgressBar::new_spinner()
                        .with_style(style("{prefix:>30!} {spinner} {bytes:>10} {bytes_per_sec}")),
                };
                let bar = self.bars.add(bar.with_prefix(name));
                lock(&self.transfers).insert(id, bar);
            }
            Event::TransferProgress { id, bytes } => {
                if let Some(bar) = lock(&self.transfers).get(&id) {
                    bar.set_position(bytes);
                }
            }
            Event::TransferEnd { id } => {
                if let Some(bar) = lock(&self.transfers).remove(&id) {
                    bar.finish_and_clear();
                }
            }
            Event::Warning(_)
            | Event::Detail(_)
            | Event::PackageStep { .. }
            | Event::Script { .. }
            | Event::ScriptOutput { .. } => {}
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Bytes for people: 1024-based, as disks and `ls -h` show them.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{count} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// Like [`bytes`], with a sign.
pub fn signed_bytes(count: i64) -> String {
    let sign = if count < 0 { "-" } else { "+" };
    format!("{sign}{}", bytes(count.unsigned_abs()))
}

/// Rows with aligned columns, to standard output. A closed pipe (`| head`) is no error.
pub fn table(rows: &[Vec<String>]) {
    self::rows(|| rows.iter().cloned());
}

/// As [`table`], for rows that are made twice instead of kept: once to measure them, once to print them.
pub fn rows<I: Iterator<Item = Vec<String>>>(rows: impl Fn() -> I) {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows() {
        widths.resize(widths.len().max(row.len()), 0);
        widths.iter_mut().zip(&row).for_each(|(width, cell)| *width = (*width).max(cell.chars().count()));
    }
    for row in rows() {
        let mut line = String::new();
        for (i, (cell, width)) in row.iter().zip(&widths).enumerate() {
            if i + 1 == row.len() {
                line.push_str(cell);
            } else {
                line.push_str(&format!("{cell:<width$}  "));
            }
        }
        if !print(line.trim_end()) {
            return;
        }
    }
}

/// One formatted line to standard output. Unlike `println!`, a reader that has gone (`| head`) is no reason to panic.
macro_rules! outln {
    ($($argument:tt)*) => {{
        let _ = $crate::terminal::print(&format!($($argument)*));
    }};
}
pub(crate) use outln;

/// One line to standard output; false when nobody reads it any more.
pub fn print(line: &str) -> bool {
    writeln!(io::stdout().lock(), "{}", shown(line)).is_ok()
}

/// Text as it may go to a terminal. Names, descriptions and reasons come from packages that anybody may have made: a control
/// character in them is written as `\u{1b}`, never obeyed. Lines and tabs stay.
pub fn shown(text: &str) -> Cow<'_, str> {
    let obeyed = |c: char| c.is_control() && c != '\n' && c != '\t';
    if !text.contains(obeyed) {
        return Cow::Borrowed(text);
    }
    let escape = |c: char| if obeyed(c) { c.escape_unicode().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(escape).collect())
}

/// One JSON document to standard output, under the version that readers check first.
pub fn json(kind: &str, mut body: serde_json::Value) {
    if let Some(object) = body.as_object_mut() {
        object.insert("schema".into(), xpkg_model::schema::JSON.to_string().into());
        object.insert("kind".into(), kind.into());
    }
    let _ = writeln!(io::stdout().lock(), "{}", serde_json::to_string_pretty(&body).unwrap_or_default());
}

/// A JSON document with one list, as [`json`] prints it; written item by item, because a list may be long.
pub fn json_list<T: Serialize, I: Iterator<Item = T>>(kind: &str, name: &str, items: impl Fn() -> I) {
    let document = Document { kind, name, items };
    let mut out = io::BufWriter::new(io::stdout().lock());
    // A reader that has gone is no error.
    let _ = serde_json::to_writer_pretty(&mut out, &document).map_err(io::Error::from).and_then(|()| writeln!(out));
}

struct Document<'a, F> {
    kind: &'a str,
    name: &'a str,
    items: F,
}

impl<T: Serialize, I: Iterator<Item = T>, F: Fn() -> I> Serialize for Document<'_, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("kind", self.kind)?;
        map.serialize_entry(self.name, &Items(&self.items))?;
        map.serialize_entry("schema", &xpkg_model::schema::JSON.to_string())?;
        map.end()
    }
}

struct Items<'a, F>(&'a F);

impl<T: Serialize, I: Iterator<Item = T>, F: Fn() -> I> Serialize for Items<'_, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((self.0)())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_no_package() {
        assert_eq!(shown("a\tb\nc ä"), "a\tb\nc ä");
        assert_eq!(shown("x\u{1b}[2Jy\r\u{7}\u{9b}1m\u{7f}"), "x\\u{1b}[2Jy\\u{d}\\u{7}\\u{9b}1m\\u{7f}");
    }

    #[test]
    fn sizes_read_well() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(signed_bytes(-1536), "-1.5 KiB");
    }
}
