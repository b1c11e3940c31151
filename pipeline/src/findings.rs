//! What a search found, packed: everything that 25,000 packages say in one line each fits a router's memory.

use std::ops::Range;

use serde::Serialize;
use xpkg_model::{Ecosystem, Package};

/// One line of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Found<'a> {
    /// World.
    pub ecosystem: Ecosystem,
    /// Name.
    pub name: &'a str,
    /// Source that offers it.
    pub source: &'a str,
    /// Version offered.
    pub version: &'a str,
    /// One line about it.
    pub description: &'a str,
    /// Version installed here.
    pub installed_version: Option<&'a str>,
}

/// The lines of a search.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    text: String,
    sources: Vec<String>,
    rows: Vec<Row>,
}

/// Where the words of a line end in the text; each begins where the one before ends.
#[derive(Clone, Copy, Debug)]
struct Row {
    ecosystem: Ecosystem,
    source: u16,
    installed: bool,
    start: u32,
    ends: [u32; 4],
}

impl Findings {
    /// Adds a line. What no longer fits into 4 GiB is left out.
    pub(crate) fn push(&mut self, package: &Package, source: &str, installed: Option<&str>) {
        let at = |text: &String| u32::try_from(text.len()).ok();
        let known = self.sources.iter().position(|known| known == source).unwrap_or_else(|| {
            self.sources.push(source.to_owned());
            self.sources.len() - 1
        });
        let (Ok(source), Some(start)) = (u16::try_from(known), at(&self.text)) else { return };
        let mut ends = [0; 4];
        for (end, word) in
            ends.iter_mut().zip([&package.name, &package.version, &package.description, installed.unwrap_or_default()])
        {
            self.text.push_str(word);
            let Some(here) = at(&self.text) else { return };
            *end = here;
        }
        self.rows.push(Row { ecosystem: package.ecosystem, source, installed: installed.is_some(), start, ends });
    }

    /// Puts the lines in order; a package that two patterns found is one line.
    pub(crate) fn sort(&mut self) {
        let mut rows = std::mem::take(&mut self.rows);
        rows.sort_unstable_by(|a, b| self.found(a).cmp(&self.found(b)));
        rows.dedup_by(|a, b| self.found(a) == self.found(b));
        self.rows = rows;
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The lines: by world, name and source.
    pub fn iter(&self) -> impl Iterator<Item = Found<'_>> {
        self.rows.iter().map(|row| self.found(row))
    }

    fn found(&self, row: &Row) -> Found<'_> {
        let [name, version, description, installed] = row.ends;
        let text = |range: Range<u32>| self.text.get(range.start as usize..range.end as usize).unwrap_or_default();
        Found {
            ecosystem: row.ecosystem,
            name: text(row.start..name),
            source: self.sources.get(usize::from(row.source)).map(String::as_str).unwrap_or_default(),
            version: text(name..version),
            description: text(version..description),
            installed_version: row.installed.then(|| text(description..installed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back_sorted_and_once() {
        let mut findings = Findings::default();
        let package = |name: &str| {
            let mut package = Package::new(Ecosystem::Alpine, name, "1-r0");
            package.description = format!("about {name}");
            package
        };
        for name in ["b", "a", "b"] {
            findings.push(&package(name), "main", (name == "a").then_some("0-r9"));
        }
        findings.sort();
        let lines: Vec<_> = findings.iter().map(|f| (f.name, f.description, f.installed_version)).collect();
        assert_eq!(lines, [("a", "about a", Some("0-r9")), ("b", "about b", None)]);
        assert!(findings.iter().all(|f| (f.source, f.version) == ("main", "1-r0")));
    }
}
