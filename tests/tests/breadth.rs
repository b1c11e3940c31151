//! Breadth: every package of the real releases on a root of the other world, against docs/compatibility.md and the README.

use std::fs;
use std::path::Path;

use xpkg_tests::breadth::{JOURNEYS, document, summary};

#[test]
fn every_package_installs_and_starts_or_is_refused_with_a_confirmed_reason() {
    let mut tables = Vec::new();
    for journey in &JOURNEYS {
        let Some(rows) = journey.go() else { return };
        tables.push(rows);
    }
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let (page, found) = (project.join("docs/compatibility.md"), document(&tables));
    let sentences: Vec<String> = JOURNEYS.iter().zip(&tables).map(|(j, rows)| summary(j.title, rows)).collect();
    let readme = project.join("README.md");
    if std::env::var_os("XPKG_REWRITE").is_some() {
        fs::write(&page, &found).unwrap();
        fs::write(&readme, with_sentences(&fs::read_to_string(&readme).unwrap(), &sentences)).unwrap();
    }
    let committed = fs::read_to_string(&page).unwrap_or_default();
    let differs: Vec<_> = found.lines().filter(|line| !committed.lines().any(|c| c == *line)).collect();
    assert!(
        differs.is_empty(),
        "docs/compatibility.md is not what was found (XPKG_REWRITE=1 writes it):\n{differs:#?}"
    );
    assert_eq!(committed, found, "docs/compatibility.md has lines that were not found");
    let readme = fs::read_to_string(readme).unwrap();
    for sentence in sentences {
        assert!(readme.contains(&sentence), "README.md does not say: {sentence}");
    }
}

/// The text with each of its lines about a journey saying that sentence.
fn with_sentences(text: &str, sentences: &[String]) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let about = JOURNEYS.iter().position(|journey| line.starts_with(&format!("- {}:", journey.title)));
        match about {
            Some(number) => out.push_str(&format!("- {}.", sentences[number])),
            None => out.push_str(line),
        }
        out.push('\n');
    }
    out
}
