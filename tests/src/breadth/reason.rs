//! Why a package was refused, as one class with its evidence, read from the answer's reasons; and the confirmation by
//! something that is not xpkg.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::Value;
use xpkg_fixtures::real;
use xpkg_formats::{Limits, package};
use xpkg_model::payload::Entry;

use super::Journey;
use super::layer::Layer;
use super::start;
use crate::System;

/// Kinds of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A rule says that the host's own counts.
    Masked,
    /// The root has a package of that name, which stays.
    SameName,
    /// A path belongs to a package of the root.
    Clash,
    /// The index lists a file that the data does not hold.
    MissingFile,
    /// It needs another kernel, or modules for one.
    Kernel,
    /// No index lists what it needs.
    NotListed,
    /// The loader would not take it.
    Abi,
}

impl Class {
    /// As the table says it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Masked => "the host's own counts",
            Self::SameName => "the root has one of that name",
            Self::Clash => "a file of the root is in the way",
            Self::MissingFile => "the data lacks a file",
            Self::Kernel => "kernel",
            Self::NotListed => "in no index",
            Self::Abi => "ABI",
        }
    }
}

/// A refusal.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// What kind.
    pub class: Class,
    /// What it rests on.
    pub evidence: String,
    /// What confirms it: a rule's words, a package, a path, a file, a requirement.
    witness: String,
}

/// Whether links to busybox are all that is in the way.
pub fn is_about_applets(answer: &Value) -> bool {
    answer["error"].as_str().is_some_and(|e| e.contains("replaced only on request"))
}

impl Refusal {
    /// Reads an answer.
    pub fn of(answer: &Value) -> Option<Self> {
        let mut leaves = Vec::new();
        gather(&answer["reasons"]["reasons"], &mut leaves);
        if leaves.is_empty() {
            return Self::of_text(answer["error"].as_str()?);
        }
        // A candidate that cannot be had explains more than one that is merely of another version.
        leaves.iter().find_map(|leaf| Self::of_leaf(leaf))
    }

    fn of_leaf(leaf: &Value) -> Option<Self> {
        let word = |key: &str| leaf[key].as_str().unwrap_or_default().to_owned();
        let (package, why) = (word("package"), word("why"));
        let (class, evidence, witness) = match leaf["kind"].as_str()? {
            "masked" => (Class::Masked, format!("{package}: {why}"), why),
            "stays" => (Class::SameName, format!("{package} stays"), package),
            "unavailable" => {
                let path = why.strip_suffix(" does not exist")?.to_owned();
                let file = Path::new(&path).file_name()?.to_string_lossy().into_owned();
                (Class::MissingFile, file, path)
            }
            "not-found" => {
                let name = word("name").rsplit_once(':')?.1.to_owned();
                let class = if name == "kernel" { Class::Kernel } else { Class::NotListed };
                (class, format!("no index lists {name}"), name)
            }
            "impossible" => return Self::of_text(&format!("{package}: {why}")),
            _ => return None,
        };
        let class = if why_of_kernel(&evidence) { Class::Kernel } else { class };
        Some(Self { class, evidence, witness })
    }

    /// Errors after the solver: a clash, or what the ABI check found.
    fn of_text(text: &str) -> Option<Self> {
        let clash = |l: &&str| !l.ends_with(':') && (l.contains(" owns it") || l.contains(" is there"));
        // A program says more than a configuration file beside it.
        let is_config = |l: &&str| l.trim_start().starts_with("/etc/");
        let told = text.lines().filter(clash).find(|l| !is_config(l)).or_else(|| text.lines().find(clash));
        if let Some(line) = told {
            let path = line.split_ascii_whitespace().find(|w| w.starts_with('/'))?.to_owned();
            let by = line.rsplit_once(": ").map(|(_, by)| by).unwrap_or_default();
            return Some(Self { class: Class::Clash, evidence: format!("{path}: {by}"), witness: path });
        }
        let finding = text.lines().find(|l| l.contains(" needs ") && l.contains("nothing"))?.trim();
        let (_, sentence) = finding.rsplit_once(": ").filter(|(_, s)| s.starts_with('/'))?;
        let subject = text.split(' ').next()?.split_once(':')?.1;
        let (path, symbol) = sentence.split_once(" needs ")?;
        let symbol = symbol.split([',', ' ']).next()?;
        let witness = format!("{subject} {path} {symbol}");
        Some(Self { class: Class::Abi, evidence: sentence.to_owned(), witness })
    }

    /// Asks somebody else.
    pub fn confirm(&self, journey: &Journey, system: &System, layer: &Layer) -> Result<(), String> {
        let ensure = |holds: bool, words: &str| if holds { Ok(()) } else { Err(words.to_owned()) };
        match self.class {
            Class::Masked => ensure(rules().contains(&self.witness), "no rule says so"),
            Class::SameName => {
                let name = self.witness.split_once(':').map(|(_, rest)| rest).unwrap_or_default();
                let (name, version) = name.split_once(' ').unwrap_or((name, ""));
                let installed = system.databases().installed;
                ensure(installed.get(name).is_some_and(|r| r.package.version == version), "not installed")
            }
            Class::Clash => {
                let path = Path::new(self.witness.trim_start_matches('/'));
                let owner = self.evidence.split_once(" owns it").and_then(|(words, _)| words.rsplit_once(':'));
                let owned = owner.is_none_or(|(_, name)| system.databases().paths_of(name).iter().any(|p| p == path));
                ensure(owned && system.has(&self.witness), "the root's database does not say so")
            }
            Class::MissingFile => ensure(!Path::new(&self.witness).exists(), "the file is there"),
            Class::Kernel if rules().contains(&self.witness) => Ok(()),
            Class::Kernel | Class::NotListed => {
                let line = format!("Package: {}", self.witness);
                let lists = |text: &String| text.lines().any(|l| l == line);
                let indexes = indexes(journey);
                ensure(!indexes.is_empty() && !indexes.iter().any(lists), "an index has it")
            }
            Class::Abi => self.ask_the_loader(journey, layer),
        }
    }

    /// Puts the program that cannot run where it would lie, and starts it: the loader has to name what is missing.
    fn ask_the_loader(&self, journey: &Journey, layer: &Layer) -> Result<(), String> {
        let words: Vec<&str> = self.witness.split(' ').collect();
        let [package, path, symbol] = words.as_slice() else { return Err(format!("unclear: {}", self.witness)) };
        let file = journey.file_of(package).ok_or("the data has no file of it")?;
        let mut opened =
            package::open(fs::File::open(&file).unwrap(), package, journey.world, &Limits::default()).unwrap();
        let place = layer.root().join(path.trim_start_matches('/'));
        let mut sink = |entry: &Entry, content: &mut dyn Read| {
            if entry.path.to_string().trim_start_matches('/') == path.trim_start_matches('/') {
                let mut bytes = Vec::new();
                content.read_to_end(&mut bytes).unwrap();
                fs::create_dir_all(place.parent().unwrap()).unwrap();
                fs::write(&place, bytes).unwrap();
                fs::set_permissions(&place, fs::Permissions::from_mode(0o755)).unwrap();
            }
            Ok(())
        };
        opened.read_payload(&mut sink).unwrap();
        let out = start::run(layer, &[path, "--version"]);
        let named = !out.success() && out.stderr.contains(symbol);
        if named { Ok(()) } else { Err(format!("the loader does not say so: {out:?}")) }
    }
}

fn why_of_kernel(evidence: &str) -> bool {
    evidence.contains("kernel modules run only with")
}

/// Reasons that rest on no others, in the order in which they are told.
fn gather<'v>(value: &'v Value, leaves: &mut Vec<&'v Value>) {
    for reason in value.as_array().into_iter().flatten() {
        match reason["because"].as_array() {
            Some(deeper) if !deeper.is_empty() => gather(&reason["because"], leaves),
            _ => leaves.push(reason),
        }
    }
}

fn rules() -> String {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shims/rules");
    let files = fs::read_dir(dir).unwrap().map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
    files.collect()
}

/// Names that the release's plain text indexes list.
fn indexes(journey: &Journey) -> Vec<String> {
    let dir = real::data().unwrap().join(journey.release);
    journey
        .repositories
        .iter()
        .filter_map(|(name, _)| fs::read_to_string(dir.join(name).join("Packages")).ok())
        .collect()
}
