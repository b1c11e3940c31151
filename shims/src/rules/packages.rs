//! Rules about single foreign packages and paths: what of a package comes, where it lands, what it needs here that its own
//! index does not say. Applies them to lists of names; touches nothing.

use serde::{Deserialize, Deserializer, de};
use xpkg_model::adaptation::{Added, AddedKind};
use xpkg_model::payload::EntryKind;
use xpkg_model::{Adaptation, Dependency, Ecosystem, Package, RelPath, Requirement};

use super::{RuleFile, Rules};
use crate::{Delivered, Foreign, HostProbe};

/// What is done to packages of these names.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct PackageRow {
    packages: Vec<String>,
    /// Only these paths come, and what lies below them.
    #[serde(default, deserialize_with = "several")]
    keep: Vec<RelPath>,
    /// These paths do not come.
    #[serde(default, deserialize_with = "several")]
    leave_out: Vec<RelPath>,
    /// Packages that it needs here beside those which it names itself.
    #[serde(default)]
    needs: Vec<String>,
    /// Packages that it names and does not need here.
    #[serde(default)]
    without: Vec<String>,
    /// A link that comes with it.
    link: Option<LinkRow>,
    reason: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LinkRow {
    #[serde(deserialize_with = "one")]
    path: RelPath,
    to: String,
}

/// Where paths of every package land.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PathRow {
    #[serde(deserialize_with = "several")]
    paths: Vec<RelPath>,
    /// Where they land instead; without it they do not come.
    #[serde(default, deserialize_with = "maybe")]
    to: Option<RelPath>,
    reason: String,
}

/// A setting that a package's configuration begins with on roots that have these native packages.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// The package.
    pub package: String,
    /// Which, as UCI names it: `config.section.option`.
    pub option: String,
    /// What its own package says; anything else is somebody's choice and stays.
    pub from: String,
    /// What it becomes.
    pub to: String,
    native: Vec<String>,
    /// Why, for the plan.
    pub reason: String,
}

fn read<E: de::Error>(text: &str) -> Result<RelPath, E> {
    RelPath::from_absolute(text).map_err(E::custom)
}

fn one<'de, D: Deserializer<'de>>(words: D) -> Result<RelPath, D::Error> {
    read(&String::deserialize(words)?)
}

fn maybe<'de, D: Deserializer<'de>>(words: D) -> Result<Option<RelPath>, D::Error> {
    one(words).map(Some)
}

fn several<'de, D: Deserializer<'de>>(words: D) -> Result<Vec<RelPath>, D::Error> {
    Vec::<String>::deserialize(words)?.iter().map(|text| read(text)).collect()
}

pub(super) fn check(file: &RuleFile) -> Result<(), String> {
    for need in file.package.iter().flat_map(|row| &row.needs) {
        need.parse::<Dependency>().map_err(|e| format!("`{need}`: {e}"))?;
    }
    for path in file.package.iter().flat_map(|row| row.keep.iter().chain(&row.leave_out)) {
        whole(path)?;
    }
    for row in &file.path {
        row.paths.iter().chain(&row.to).try_for_each(whole)?;
    }
    // They are put into shell scripts.
    let plain = |text: &String| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._@[]-/:".contains(&b));
    for setting in &file.setting {
        let words = [&setting.option, &setting.from, &setting.to];
        if let Some(bad) = words.into_iter().find(|word| word.is_empty() || !plain(word)) {
            return Err(format!("`{bad}` is no plain word of a setting"));
        }
    }
    Ok(())
}

fn whole(path: &RelPath) -> Result<(), String> {
    if path.is_root() { Err("a path rule for `/` would cover everything".to_owned()) } else { Ok(()) }
}

impl Rules {
    fn of(&self, native: Ecosystem, foreign: Ecosystem) -> impl Iterator<Item = &RuleFile> {
        self.files.iter().filter(move |f| f.native == native && f.foreign == foreign)
    }

    /// The dependencies of a foreign package on a root of world `native`; `None` when they are what its index says.
    pub fn depends(&self, native: Ecosystem, package: &Package) -> Option<Vec<Requirement>> {
        let rows: Vec<&PackageRow> = self
            .of(native, package.ecosystem)
            .flat_map(|file| &file.package)
            .filter(|row| row.packages.contains(&package.name))
            .filter(|row| !row.needs.is_empty() || !row.without.is_empty())
            .collect();
        if rows.is_empty() {
            return None;
        }
        let unneeded = |name: &str| rows.iter().any(|row| row.without.iter().any(|w| w == name));
        let mut depends: Vec<Requirement> =
            package.depends.iter().filter(|r| !r.alternatives().iter().any(|d| unneeded(&d.name))).cloned().collect();
        for need in rows.iter().flat_map(|row| &row.needs).filter_map(|need| need.parse::<Dependency>().ok()) {
            let need = Requirement::from(need);
            if !depends.contains(&need) {
                depends.push(need);
            }
        }
        Some(depends)
    }

    /// How this package's configuration begins on this root.
    pub fn settings<'a>(
        &'a self,
        native: Ecosystem,
        package: &'a Package,
        probe: &'a dyn HostProbe,
    ) -> impl Iterator<Item = &'a Setting> {
        let there = |setting: &&Setting| setting.native.iter().any(|name| probe.native_package(name).is_some());
        self.of(native, package.ecosystem)
            .flat_map(|file| &file.setting)
            .filter(|setting| setting.package == package.name)
            .filter(there)
    }
}

/// What the rules do to the paths of a foreign package.
pub fn translate(foreign: &Foreign<'_>) -> Adaptation {
    let mut adaptation = Adaptation::default();
    for file in foreign.rules.of(foreign.native, foreign.package.ecosystem) {
        for row in file.package.iter().filter(|row| row.packages.contains(&foreign.package.name)) {
            for file in foreign.files.iter().filter(|file| is_left_out(row, file)) {
                adaptation.left_out.insert(file.path.clone(), row.reason.clone());
            }
            if let Some(link) = &row.link
                && let Some(arch) = foreign.probe.musl_arch()
            {
                let kind = AddedKind::Symlink(link.to.replace("$ARCH", &arch).into_bytes());
                adaptation.added.push(Added { path: link.path.clone(), kind, mode: 0o777 });
            }
        }
        for row in &file.path {
            paths(row, foreign.files, &mut adaptation);
        }
    }
    adaptation
}

fn paths(row: &PathRow, files: &[Delivered], adaptation: &mut Adaptation) {
    for path in &row.paths {
        let comes = |file: &&Delivered| file.path.starts_with(path) && adaptation.lands(&file.path).is_some();
        if !files.iter().any(|file| comes(&file)) {
            continue;
        }
        match &row.to {
            Some(to) => {
                adaptation.moved.insert(path.clone(), to.clone());
            }
            None => {
                adaptation.left_out.insert(path.clone(), row.reason.clone());
            }
        }
    }
}

fn is_left_out(row: &PackageRow, file: &Delivered) -> bool {
    let at = &file.path;
    let kept = row.keep.is_empty()
        || row.keep.iter().any(|keep| at.starts_with(keep) || (file.kind == EntryKind::Dir && keep.starts_with(at)));
    !kept || row.leave_out.iter().any(|path| at.starts_with(path))
}
