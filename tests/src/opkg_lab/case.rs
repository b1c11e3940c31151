//! Universes written by hand: the text form of `fixtures/solver/opkg-*.case`. A case begins with `## what it shows`; then
//! packages (`package NAME VERSION`, fields indented below), `list NAME=VERSION …` where not everything is offered, and
//! command lines (`$ install a`), each with what opkg says: `>` output, `!` errors, `=` exit code when it is not 0.

use super::{Made, Said, Step, Universe};

/// One case.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it shows.
    pub title: String,
    /// Packages and command lines.
    pub universe: Universe,
    /// What opkg says to each command line; the status file is not part of it.
    pub expected: Vec<Said>,
}

/// Reads every case of a file. `first` is the seed, which names the universe's directory, of the first.
///
/// # Panics
/// When it is no such file.
pub fn parse(text: &str, first: u64) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines().filter(|l| !l.trim().is_empty() && !l.starts_with("//")) {
        if let Some(title) = line.strip_prefix("## ") {
            let seed = first + cases.len() as u64;
            let universe = Universe { seed, packages: Vec::new(), steps: Vec::new() };
            cases.push(Case { title: title.to_owned(), universe, expected: Vec::new() });
            continue;
        }
        let case = cases.last_mut().unwrap_or_else(|| panic!("before the first case: {line}"));
        take(case, line);
    }
    for case in &mut cases {
        finish(case);
    }
    cases
}

fn take(case: &mut Case, line: &str) {
    let universe = &mut case.universe;
    if let Some(rest) = line.strip_prefix("package ") {
        let (name, version) = rest.split_once(' ').unwrap_or_else(|| panic!("no version: {line}"));
        let fields = vec![("Package".to_owned(), name.to_owned()), ("Version".to_owned(), version.to_owned())];
        universe.packages.push(Made { fields, files: vec![format!("usr/bin/{name}")] });
    } else if let Some(rest) = line.strip_prefix("  ") {
        let (name, value) = rest.split_once(": ").unwrap_or_else(|| panic!("no field: {line}"));
        let made = universe.packages.last_mut().unwrap_or_else(|| panic!("of no package: {line}"));
        made.fields.push((name.to_owned(), value.to_owned()));
    } else if let Some(rest) = line.strip_prefix("list") {
        let words: Vec<_> = rest.split_whitespace().collect();
        let offered = universe.packages.iter().enumerate().filter(|(_, made)| {
            words.iter().any(|w| *w == format!("{}={}", made.field("Package"), made.field("Version")))
        });
        universe.steps.push(Step::Lists(offered.map(|(i, _)| i).collect()));
    } else if let Some(rest) = line.strip_prefix("$ ") {
        universe.steps.push(Step::Run(rest.split(' ').map(str::to_owned).collect()));
        let none = String::new();
        let said = Said { command: rest.to_owned(), code: 0, stdout: none.clone(), stderr: none.clone(), status: none };
        case.expected.push(said);
    } else {
        let said = case.expected.last_mut().unwrap_or_else(|| panic!("not understood: {line}"));
        let (kind, rest) = line.split_at(1);
        let text = rest.strip_prefix(' ').unwrap_or(rest);
        match kind {
            ">" => said.stdout.push_str(&format!("{text}\n")),
            "!" => said.stderr.push_str(&format!("{text}\n")),
            "=" => said.code = text.parse().unwrap(),
            _ => panic!("not understood: {line}"),
        }
    }
}

/// Gives every package an architecture and a size, and lists everything where nothing else is said.
fn finish(case: &mut Case) {
    let universe = &mut case.universe;
    for made in &mut universe.packages {
        if made.field("Architecture").is_empty() {
            made.fields.push(("Architecture".to_owned(), "all".to_owned()));
        }
        made.fields.push(("Installed-Size".to_owned(), "10".to_owned()));
    }
    if !matches!(universe.steps.first(), Some(Step::Lists(_))) {
        universe.steps.insert(0, Step::Lists((0..universe.packages.len()).collect()));
    }
}

/// An account without what a case does not hold.
pub fn reduced(said: Vec<Said>, universe: &Universe) -> Vec<Said> {
    let repo = format!("file:/u/{}/repo/", universe.seed);
    let root = format!("/u/{}/", universe.seed);
    // How large a made package is, is the packer's affair.
    let sizeless = |line: &str| match line.strip_prefix("Size: ") {
        Some(_) => "Size: N\n".to_owned(),
        None => line.to_owned(),
    };
    let reduce = |text: &str| -> String {
        text.replace(&repo, "FEED/").replace(&root, "ROOT/").split_inclusive('\n').map(sizeless).collect()
    };
    said.into_iter()
        .map(|s| Said { stdout: reduce(&s.stdout), stderr: reduce(&s.stderr), status: String::new(), ..s })
        .collect()
}

/// The file again, with other answers: how a case is recorded.
pub fn record(text: &str, answers: &[Vec<Said>]) -> String {
    let mut out = String::new();
    let mut answers = answers.iter();
    let mut current = [].iter();
    for line in text.lines() {
        if line.starts_with("## ") {
            current = answers.next().map(|a| a.iter()).unwrap_or_default();
        }
        if line.starts_with(['>', '!', '=']) {
            continue;
        }
        out.push_str(line);
        out.push('\n');
        if line.starts_with("$ ")
            && let Some(said) = current.next()
        {
            said.stdout.lines().for_each(|l| out.push_str(&format!("> {l}\n")));
            said.stderr.lines().for_each(|l| out.push_str(&format!("! {l}\n")));
            if said.code != 0 {
                out.push_str(&format!("= {}\n", said.code));
            }
        }
    }
    out
}
