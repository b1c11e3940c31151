//! `docs/verdicts.md`: how far verdicts agree with the loaders they speak of. Only makes, compares and records the table.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// One root, as it is or with packages laid over it.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// Which root.
    pub root: &'static str,
    /// What was laid over it; empty for its own files.
    pub laid: &'static str,
    /// Programs and libraries judged.
    pub files: usize,
    /// Those of which the loader says what the verdict says.
    pub agreed: usize,
    /// Those that the loader cannot resolve.
    pub unresolved: usize,
    /// Programs that the loader resolves, and that were started.
    pub programs: usize,
    /// Those that crashed, or ended with the loader's complaint.
    pub crashes: usize,
    /// Those that did as the verdict says.
    pub started: usize,
    /// Files and words about those that differ.
    pub differences: Vec<(String, String)>,
}

impl Row {
    /// Notes a difference.
    pub fn differ(&mut self, file: &str, why: &str) {
        self.differences.push((file.to_owned(), why.to_owned()));
    }
}

/// The differences that are understood: part of the root's and the feed's name, of the file's path, and why it is so.
const EXPLAINED: &[(&str, &str, &str)] = &[];

/// All rows.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// In the order of the roots.
    pub rows: Vec<Row>,
}

impl Table {
    /// Whether every difference is explained, and the recorded table and the README's percentage are these.
    /// `XPKG_RECORD=1` records them instead.
    ///
    /// # Panics
    /// When they are not.
    pub fn hold(&self) {
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let (path, text) = (project.join("docs/verdicts.md"), self.text());
        let unexplained: Vec<_> = self.differences().filter(|(.., why)| why.is_none()).collect();
        assert!(unexplained.is_empty(), "{} unexplained: {unexplained:#?}\n{text}", unexplained.len());
        if std::env::var_os("XPKG_RECORD").is_some() {
            fs::write(&path, &text).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap_or_default(), text, "{} is not what was found", path.display());
        let readme = fs::read_to_string(project.join("README.md")).unwrap();
        assert!(readme.contains(&self.percentage()), "the README does not say {}", self.percentage());
    }

    fn differences(&self) -> impl Iterator<Item = (&Row, &str, &str, Option<&'static str>)> {
        self.rows.iter().flat_map(|row| {
            row.differences.iter().map(move |(file, words)| {
                let place = format!("{}/{}", row.root, row.laid);
                let known = EXPLAINED.iter().find(|(p, f, _)| place.contains(p) && file.contains(f));
                (row, file.as_str(), words.as_str(), known.map(|(.., why)| *why))
            })
        })
    }

    /// `99.9 %`, rounded down.
    fn percentage(&self) -> String {
        let sum = |count: fn(&Row) -> usize| self.rows.iter().map(count).sum::<usize>();
        let (all, agreed) = (sum(|r| r.files + r.programs), sum(|r| r.agreed + r.started));
        let tenths = agreed * 1000 / all.max(1);
        format!("{}.{} %", tenths / 10, tenths % 10)
    }

    fn text(&self) -> String {
        let mut text = HEAD.replace("PERCENT", &self.percentage());
        for r in &self.rows {
            let laid = if r.laid.is_empty() { "its own files".to_owned() } else { format!("packages of {}", r.laid) };
            let _ = writeln!(
                text,
                "| {} | {laid} | {} | {} | {} | {} | {} | {} |",
                r.root, r.files, r.unresolved, r.agreed, r.programs, r.crashes, r.started
            );
        }
        text.push_str("\n## Differences\n\n");
        if self.differences().next().is_none() {
            text.push_str("None.\n");
        } else {
            text.push_str("| root | packages of | file | why |\n|---|---|---|---|\n");
        }
        for (row, file, _, why) in self.differences() {
            let laid = if row.laid.is_empty() { "(its own)" } else { row.laid };
            let _ = writeln!(text, "| {} | {laid} | `{file}` | {} |", row.root, why.unwrap_or("not explained"));
        }
        text
    }
}

const HEAD: &str = "\
# Verdicts and loaders

Whether `xpkg check` says what the loader of the root says. Made by `tests/tests/verdict_loader.rs`, which fails when this
page is not what it finds; `XPKG_RECORD=1` writes it anew.

For every program and library of four real roots, and of whole feeds whose files are laid over these roots (what the root has
already stays), the root's own `ld-musl-x86_64.so.1 --list` is asked. The verdict agrees when it names the same missing
libraries for the same files, and, where no library is missing, as many missing names in the same files. Every program that
the loader resolves is then started with `--version`, by nobody and with nothing around it; the verdict agrees when it crashes
exactly where `relr` says that it would.

Agreement: PERCENT of all answers.

| root | what | files | unresolved, says the loader | agree | started | crash | agree |
|---|---|---|---|---|---|---|---|
";
