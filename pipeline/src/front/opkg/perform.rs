//! Carrying out what was planned, as one transaction for each destination: all of it or nothing, where opkg goes package by
//! package. What scripts print is kept, to be told where opkg would have told it.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::sync::{Arc, Mutex};

use xpkg_install::live::{LiveRoot, Ownership};
use xpkg_install::{ApplyInput, Begin, Meta, PayloadSource, Receipt, Target as _, apply};
use xpkg_model::adaptation::AS_THEY_ARE;
use xpkg_model::payload::ScriptKind;
use xpkg_model::plan::{Reason, Step};
use xpkg_model::{Action, Ecosystem, Event, Observer, Package, Plan, RelPath, Spec};
use xpkg_repos::FetchedPackage;
use xpkg_resolver::native::opkg::{Flags, walk_order};

use super::hands::Doer;
use super::place::exists;
use crate::Error;

/// One package that comes or goes.
pub(super) struct Planned {
    pub package: Arc<Package>,
    pub old: Option<Arc<Package>>,
    /// `None` when it goes.
    pub file: Option<Arc<FetchedPackage>>,
    pub dest: usize,
    pub explicit: bool,
}

/// Keeps what scripts print, by package.
#[derive(Default)]
struct Listener {
    /// Package, script, and whether it is one that follows the files.
    current: Mutex<(String, bool)>,
    before: Mutex<String>,
    after: Mutex<HashMap<String, String>>,
}

impl Observer for Listener {
    fn event(&self, event: Event) {
        match event {
            Event::Script { package, kind, .. } => {
                if let Ok(mut current) = self.current.lock() {
                    *current = (package, late(kind));
                }
            }
            Event::ScriptOutput { line, .. } => {
                let Ok(current) = self.current.lock() else { return };
                match current.1 {
                    true => {
                        if let Ok(mut after) = self.after.lock() {
                            let text = after.entry(current.0.clone()).or_default();
                            text.push_str(&line);
                            text.push('\n');
                        }
                    }
                    false => {
                        if let Ok(mut before) = self.before.lock() {
                            before.push_str(&line);
                            before.push('\n');
                        }
                    }
                }
            }
            _ => {}
        }
    }
}

impl Doer<'_> {
    /// Carries out what was planned; forgets it. `false` when nothing of it was done.
    pub(super) fn perform(&mut self, named: &[String]) -> bool {
        let mut by_dest: BTreeMap<usize, Vec<Planned>> = BTreeMap::new();
        for mut planned in std::mem::take(&mut self.planned) {
            planned.explicit |= planned.file.is_some() && named.contains(&planned.package.name);
            add(by_dest.entry(planned.dest).or_default(), planned);
        }
        let mut well = true;
        for (dest, planned) in by_dest {
            let listener = Listener::default();
            let outcome = self.perform_on(dest, &planned, named, &listener);
            self.keep(listener);
            match outcome {
                Ok(receipt) => {
                    let came = planned.iter().filter(|p| p.file.is_some());
                    let came: Vec<String> = came.map(|p| p.package.name.clone()).collect();
                    self.note_failures(&receipt, &came);
                    self.came.extend(came);
                }
                Err(error) => {
                    self.error("opkg_install_pkg", format!("{error}."));
                    well = false;
                }
            }
        }
        well
    }

    fn keep(&mut self, listener: Listener) {
        if let Ok(before) = listener.before.into_inner() {
            self.voice.out(&before);
        }
        for (package, text) in listener.after.into_inner().unwrap_or_default() {
            self.scripts.entry(package).or_default().0 = text;
        }
    }

    /// opkg runs no script for an offline root unless told to; another destination has no shell of its own.
    fn runs_no_scripts(&self, dir: &str) -> bool {
        let offline = self.place.options.offline_root.is_some() && !self.place.has("force_postinstall");
        offline || dir.trim_end_matches('/') != self.place.prefix.trim_end_matches('/')
    }

    /// Runs the last script of a package that an earlier run left unpacked, and records it as installed if that goes well.
    pub(super) fn configure_pending(&mut self, name: &str) {
        let stanza = format!("Package: {name}");
        let has = |dest: &usize| {
            let text = fs::read_to_string(self.place.status_file(*dest)).unwrap_or_default();
            text.split("\n\n").any(|s| s.lines().any(|l| l == stanza) && s.contains(" unpacked"))
        };
        let Some(dest) = (0..self.place.dests.len()).find(has) else { return };
        let dir = self.place.dir(dest).to_owned();
        let ownership = if rustix::process::geteuid().is_root() { Ownership::Apply } else { Ownership::Ignore };
        let listener = Listener::default();
        let outcome = LiveRoot::open(&dir, ownership)
            .and_then(|mut root| xpkg_install::configure(&mut root, name, self.runs_no_scripts(&dir), &listener));
        self.keep(listener);
        match outcome {
            Ok(receipt) => self.note_failures(&receipt, &[name.to_owned()]),
            Err(error) => {
                self.error("opkg_configure", format!("{error}."));
                self.scripts.entry(name.to_owned()).or_default().1 = Some(255);
            }
        }
    }

    fn note_failures(&mut self, receipt: &Receipt, names: &[String]) {
        for failure in &receipt.failures {
            if late(failure.kind) {
                // `name-version`, and how it ended in words: opkg tells the number.
                let of = |name: &&String| failure.package.strip_prefix(*name).is_some_and(|v| v.starts_with('-'));
                let Some(name) = names.iter().filter(of).max_by_key(|name| name.len()).cloned() else { continue };
                let digits: String = failure.reason.chars().filter(char::is_ascii_digit).collect();
                self.scripts.entry(name).or_default().1 = Some(digits.parse().unwrap_or(1));
            }
        }
    }

    fn perform_on(
        &self,
        dest: usize,
        planned: &[Planned],
        named: &[String],
        listener: &Listener,
    ) -> Result<Receipt, Error> {
        let dir = self.place.dir(dest);
        fs::create_dir_all(dir).map_err(Error::io(format!("making {dir}")))?;
        let ownership = if rustix::process::geteuid().is_root() { Ownership::Apply } else { Ownership::Ignore };
        let mut root = LiveRoot::open(dir, ownership)?;
        if !exists(self.place.status_file(dest)) {
            found_database(&mut root)?;
        }
        let plan = Plan { steps: steps(planned), ..Plan::default() };
        let sources: Vec<&dyn PayloadSource> =
            planned.iter().filter_map(|p| p.file.as_deref()).map(|file| file as &dyn PayloadSource).collect();
        // Only what is not recorded so yet: the record of a package that is left alone is left alone.
        let recorded = self.place.recorded()?;
        let known = |name: &str| recorded.iter().any(|d| d.package.name == name && d.state.flags.any(Flags::USER));
        let coming = |name: &str| planned.iter().any(|p| p.file.is_some() && p.package.name == name);
        let news = named.iter().filter(|name| coming(name) || !known(name));
        let mark: Vec<Spec> = news.filter_map(|name| name.parse().ok()).collect();
        let input = ApplyInput {
            plan: &plan,
            native: Ecosystem::Openwrt,
            sources: &sources,
            provider: None,
            adaptations: &AS_THEY_ARE,
            mark: &mark,
            unmark: &[],
            options: xpkg_install::Options {
                no_scripts: self.runs_no_scripts(dir),
                force_overwrite: self.place.has("force_overwrite"),
                overwrite_unowned: self.place.has("force_overwrite"),
                force_maintainer: self.place.has("force_maintainer"),
                force_remove: self.place.has("force_remove"),
                now: self.place.options.now,
                ..xpkg_install::Options::default()
            },
        };
        let receipt = apply(&mut root, &input, listener)?;
        in_walk_order(&mut root, &self.place.status_file(dest))?;
        Ok(receipt)
    }
}

/// Whether a script follows the files: its output belongs to the configuring.
fn late(kind: Option<ScriptKind>) -> bool {
    matches!(kind, Some(ScriptKind::PostInstall | ScriptKind::PostUpgrade))
}

/// Adds to the plan; what happens to one package in several steps becomes one.
fn add(plan: &mut Vec<Planned>, mut new: Planned) {
    let Some(at) = plan.iter().position(|p| p.package.name == new.package.name) else {
        plan.push(new);
        return;
    };
    let earlier = plan.remove(at);
    new.explicit |= earlier.explicit && new.file.is_some();
    match (&earlier.file, &new.file) {
        // Came in this run and goes again: what was there before goes.
        (Some(_), None) => plan.extend(earlier.old.map(|old| Planned { package: old, ..new })),
        (Some(_), Some(_)) => plan.push(Planned { old: earlier.old, ..new }),
        (None, Some(_)) => plan.push(Planned { old: Some(earlier.package), ..new }),
        (None, None) => plan.push(earlier),
    }
}

/// Brings a status file into the order in which opkg would have written it: its messages follow that order.
fn in_walk_order(root: &mut LiveRoot, path: &str) -> Result<(), Error> {
    let text = fs::read_to_string(path).map_err(Error::io(format!("reading {path}")))?;
    let name = |stanza: &&str| stanza.lines().find_map(|l| l.strip_prefix("Package: ")).map_or(0, walk_order);
    let stanzas: Vec<&str> = text.split_inclusive("\n\n").collect();
    let mut sorted = stanzas.clone();
    sorted.sort_by_key(name);
    if sorted == stanzas || !text.ends_with("\n\n") {
        return Ok(());
    }
    super::verbs::replace_status(root, sorted.concat().as_bytes())
}

fn steps(planned: &[Planned]) -> Vec<Step> {
    let step = |p: &Planned| Step {
        action: match (&p.file, &p.old) {
            (None, _) => Action::Remove,
            (Some(_), Some(_)) => Action::Replace,
            (Some(_), None) => Action::Install,
        },
        package: match &p.file {
            Some(file) => Arc::clone(FetchedPackage::package(file)),
            None => Arc::clone(&p.package),
        },
        old: p.old.clone(),
        reason: if p.explicit { Reason::Requested } else { Reason::Orphan },
        explicit: p.explicit,
    };
    planned.iter().map(step).collect()
}

/// Makes an empty database, as opkg does for a bare directory.
fn found_database(root: &mut LiveRoot) -> Result<(), Error> {
    use xpkg_model::root::RootView as _;
    root.lock()?;
    let dirs = ["usr", "usr/lib", "usr/lib/opkg", "usr/lib/opkg/info"].map(RelPath::literal);
    root.begin(&Begin { dirs: std::iter::once(RelPath::root()).chain(dirs.clone()).collect() })?;
    let staged = (|| {
        for dir in &dirs {
            let there = root.node(dir).map_err(Error::io(format!("reading {dir}")))?.is_some();
            if !there {
                root.stage_dir(dir, &Meta::new(0o755), false)?;
            }
        }
        let status = RelPath::literal(xpkg_formats::opkg::status::STATUS);
        root.stage_file(&status, &Meta::new(0o644), &mut std::io::empty())?;
        Ok::<_, Error>(root.commit()?)
    })();
    if staged.is_err() {
        root.rollback()?;
    }
    staged
}
