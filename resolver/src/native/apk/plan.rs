//! A plan as apk tells it: one line a step, and the last line. Values and words only; whoever carries it out prints.

use std::sync::Arc;

use xpkg_model::version::Relation;
use xpkg_model::{Dependency, Package};

use super::changes::Step;
use super::matching::compare;
use super::pool::{CACHED, Pool};
use super::universe::{Generation, Universe};

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing was there.
    Install,
    /// A newer version.
    Upgrade,
    /// An older version.
    Downgrade,
    /// The same version of another build.
    Replace,
    /// The very same again.
    Reinstall,
    /// The same package, from now on from another tag.
    Repin,
    /// Gone.
    Purge,
}

/// One step.
#[derive(Clone, Debug)]
pub struct Change {
    /// What it does.
    pub action: Action,
    /// What is installed before.
    pub old: Option<Arc<Package>>,
    /// What is installed after.
    pub new: Option<Arc<Package>>,
    /// Tag it is recorded with from now on.
    pub tag: Option<String>,
    /// Whether the new package can be had; one that cannot is not reinstalled.
    pub available: bool,
    /// The repositories that offer it, as indexes of the universe's list, in their order.
    pub repositories: Vec<usize>,
    /// Whether the old one's files or scripts were broken, which counts as an error if nothing replaces them.
    pub was_broken: bool,
}

impl Change {
    fn of(pool: &Pool, universe: &Universe, step: &Step) -> Option<Self> {
        let package = |id: usize| pool.pkgs[id].source.clone();
        let action = match (step.old, step.new) {
            (None, None) => return None,
            (None, Some(_)) => Action::Install,
            (Some(_), None) => Action::Purge,
            (Some(old), Some(new)) if old == new => {
                if step.reinstall {
                    Action::Reinstall
                } else if step.old_tag != step.new_tag {
                    Action::Repin
                } else {
                    return None;
                }
            }
            (Some(old), Some(new)) => match compare(Some(&pool.pkgs[new].version), Some(&pool.pkgs[old].version)) {
                Relation::Less => Action::Downgrade,
                Relation::Equal => Action::Replace,
                Relation::Greater => Action::Upgrade,
            },
        };
        let repos = step.new.map_or(0, |new| pool.pkgs[new].repos & !CACHED & pool.available);
        let record = step.old.and_then(|old| pool.pkgs[old].record).and_then(|at| universe.installed.get(at));
        Some(Self {
            action,
            old: step.old.map(package),
            new: step.new.map(package),
            tag: Some(&pool.tags[step.new_tag].text).filter(|t| !t.is_empty()).cloned(),
            available: step.new.is_some_and(|new| pool.is_available(new) || pool.pkgs[new].repos & CACHED != 0),
            repositories: (0..63).filter(|r| repos & (2 << r) != 0).collect(),
            was_broken: record.is_some_and(|r| r.broken),
        })
    }

    /// `Installing b (1.0-r0)`, without the counter.
    pub fn words(&self) -> String {
        let verb = match self.action {
            Action::Install => "Installing",
            Action::Upgrade => "Upgrading",
            Action::Downgrade => "Downgrading",
            Action::Replace => "Replacing",
            Action::Reinstall if self.available => "Reinstalling",
            Action::Reinstall => "[APK unavailable, skipped] Reinstalling",
            Action::Repin => "Updating pinning",
            Action::Purge => "Purging",
        };
        let Some(now) = self.new.as_ref().or(self.old.as_ref()) else { return String::new() };
        let tag = self.tag.as_ref().map(|t| format!("@{t}")).unwrap_or_default();
        let versions = match (&self.old, self.action) {
            (Some(old), Action::Upgrade | Action::Downgrade | Action::Replace) => {
                format!("{} -> {}", old.version, now.version)
            }
            _ => now.version.clone(),
        };
        format!("{verb} {}{tag} ({versions})", now.name)
    }
}

/// What is to be done, in order.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Whose words.
    pub generation: Generation,
    /// The steps.
    pub changes: Vec<Change>,
    /// World as it is to be written.
    pub world: Vec<Dependency>,
    /// Packages and bytes installed before.
    pub before: (i64, i64),
    /// Packages and bytes installed after.
    pub after: (i64, i64),
    /// Packages that stay although they are broken.
    pub errors: usize,
}

impl Plan {
    pub(super) fn of(pool: &Pool, universe: &Universe, steps: &[Step], world: Vec<Dependency>) -> Self {
        let size = |p: &Arc<Package>| i64::try_from(p.installed_size).unwrap_or(i64::MAX);
        let bytes = universe.installed.iter().map(|r| size(&r.package)).fold(0, i64::saturating_add);
        let before = (i64::try_from(pool.installed.len()).unwrap_or(i64::MAX), bytes);
        let mut after = before;
        let mut errors = 0;
        for step in steps {
            for (id, sign) in [(step.new, 1), (step.old, -1)] {
                if let Some(id) = id {
                    after.0 += sign;
                    after.1 = after.1.saturating_add(sign * size(&pool.pkgs[id].source));
                }
            }
            let record = step.old.and_then(|old| pool.pkgs[old].record).and_then(|at| universe.installed.get(at));
            errors += usize::from(record.is_some_and(|r| r.broken));
        }
        let changes = steps.iter().filter(|s| s.is_change()).filter_map(|s| Change::of(pool, universe, s)).collect();
        Self { generation: universe.generation, changes, world, before, after, errors }
    }

    /// The counter before a step's words, counted from 1: `( 1/12)` in apk 3, `(1/12)` in apk 2.
    pub fn counter(&self, number: usize) -> String {
        let total = self.changes.len();
        match self.generation {
            Generation::V2 => format!("({number}/{total})"),
            Generation::V3 => format!("({number:>width$}/{total})", width = total.to_string().len()),
        }
    }

    /// One line a step.
    pub fn lines(&self) -> Vec<String> {
        self.changes.iter().enumerate().map(|(i, c)| format!("{} {}", self.counter(i + 1), c.words())).collect()
    }

    /// The last line: how much is installed after, and how many errors there were on the way. apk 2 says in a simulation how
    /// much is installed before.
    pub fn last_line(&self, errors: usize, simulated: bool) -> String {
        let word = match errors {
            0 => "OK:".to_owned(),
            1 => "1 error;".to_owned(),
            n => format!("{n} errors;"),
        };
        let (packages, bytes) = if simulated && self.generation == Generation::V2 { self.before } else { self.after };
        let size = match self.generation {
            Generation::V2 => format!("{} MiB", bytes.cast_unsigned() / (1024 * 1024)),
            Generation::V3 => human(bytes.cast_unsigned()),
        };
        format!("{word} {size} in {packages} packages")
    }
}

/// A size as apk 3 writes it for people: whole bytes and KiB, from MiB on with one digit after the point, of single
/// precision (apk-tools 3, print.c).
pub(super) fn human(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut whole, mut exact, mut unit) = (bytes, bytes as f32, 0);
    while exact >= 10_000.0 && unit + 1 < UNITS.len() {
        (whole, exact, unit) = (whole / 1024, exact / 1024.0, unit + 1);
    }
    if unit < 2 { format!("{whole} {}", UNITS[unit]) } else { format!("{exact:.1} {}", UNITS[unit]) }
}
