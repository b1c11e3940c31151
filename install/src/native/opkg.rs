//! opkg's database on a root: `/usr/lib/opkg/status` and the files of `/usr/lib/opkg/info`. Reads it, and stages a changed
//! one as opkg would have written it; stanzas and files that are not touched keep their bytes. Never carries anything out.

mod entry;
mod foreign;

use std::collections::BTreeSet;
use std::io::BufReader;

use xpkg_formats::apk::db::{DbDir, DbFile, InstalledRecord};
use xpkg_formats::opkg::{Control, Stanzas};
use xpkg_formats::{BoxError, Limits};
use xpkg_model::identity::parse_hex;
use xpkg_model::root::{NodeKind, RootView};
use xpkg_model::{Dependency, Ecosystem, Package, RelPath};

use super::apk::stage_bytes;
use super::{Changes, Marks};
use crate::{Error, Meta, Result, Target};

pub use entry::Entry;
pub use foreign::{Neighbours, translated};

/// The list of packages.
pub const STATUS: &str = "usr/lib/opkg/status";
/// Where what came with each package is kept.
pub const INFO: &str = "usr/lib/opkg/info";
/// A list of files of a hundred thousand paths has some megabytes.
const MAX_INFO: u64 = 16 << 20;
/// Fields of a stanza that speak of the installation, not of the package.
const OWN: [&str; 4] = ["Status", "Conffiles", "Installed-Time", "Auto-Installed"];

/// The opkg of a root.
#[derive(Clone, Copy, Debug)]
pub struct NativeOpkg {
    /// World whose packages it manages.
    pub ecosystem: Ecosystem,
}

impl NativeOpkg {
    /// Finds the opkg that owns a root; `None` when there is no database.
    pub fn detect(root: &(impl RootView + ?Sized), ecosystem: Ecosystem) -> Result<Option<Self>> {
        let path = RelPath::literal(STATUS);
        let there = root.node(&path).map_err(|e| Error::io("reading", &path, e))?.is_some();
        Ok(there.then_some(Self { ecosystem }))
    }

    /// Every stanza, those of packages that are not installed included.
    fn stanzas(self, root: &(impl RootView + ?Sized), sink: &mut dyn FnMut(Control) -> Result<()>) -> Result<()> {
        let path = RelPath::literal(STATUS);
        let Some(file) = root.open(&path).map_err(|e| Error::io("opening", &path, e))? else {
            // Taking a directory or a pipe for an empty list would lose every package with the next change.
            let there = root.node(&path).map_err(|e| Error::io("reading", &path, e))?;
            return match there.map(|node| node.kind) {
                None | Some(NodeKind::Symlink(_)) => Ok(()),
                Some(_) => Err(Error::native(format!("/{STATUS}"), "it is no regular file")),
            };
        };
        let (limits, what) = (Limits::default(), format!("/{STATUS}"));
        let mut stanzas = Stanzas::new(BufReader::new(file), &what, &limits);
        while let Some(control) = stanzas.next().map_err(|e| Error::Database(Box::new(e)))? {
            sink(control)?;
        }
        Ok(())
    }

    /// Hands over every installed package. Only configuration files have digests.
    pub fn each(
        self,
        root: &(impl RootView + ?Sized),
        sink: &mut dyn FnMut(InstalledRecord) -> Result<(), BoxError>,
    ) -> Result<()> {
        self.stanzas(root, &mut |control| {
            if !is_installed(&control) {
                return Ok(());
            }
            let record = self.record(root, &control)?;
            sink(record).map_err(|e| match e.downcast::<Error>() {
                Ok(error) => *error,
                Err(other) => Error::native(format!("/{STATUS}"), other),
            })
        })
    }

    fn record(self, root: &(impl RootView + ?Sized), control: &Control) -> Result<InstalledRecord> {
        let name = control.get("Package").unwrap_or_default();
        let bad = |reason: String| Error::native(format!("/{STATUS}"), format!("package {name}: {reason}"));
        let mut package = control.to_package(self.ecosystem, &Limits::default()).map_err(bad)?;
        if let Some(opkg) = &mut package.opkg {
            opkg.other.retain(|(field, _)| !OWN.contains(&field.as_str()));
        }
        let conffiles = conffiles(control);
        let mut record = InstalledRecord::new(package);
        record.flags.push('S');
        for path in list(root, name)? {
            let Some(parent) = path.parent() else { continue };
            let digest = conffiles.iter().find(|(of, _)| *of == path).map(|(_, digest)| *digest);
            let file = DbFile { name: path.file_name().to_vec(), acl: None, digest };
            match record.dirs.iter_mut().find(|dir| dir.path == parent) {
                Some(dir) => dir.files.push(file),
                None => record.dirs.push(DbDir { path: parent, acl: None, files: vec![file] }),
            }
        }
        Ok(record)
    }

    /// What was not pulled in for another's sake, and what is held.
    pub fn marks(self, root: &(impl RootView + ?Sized)) -> Result<Marks> {
        let mut marks = Marks::default();
        self.stanzas(root, &mut |control| {
            let name = control.get("Package").unwrap_or_default();
            if is_installed(&control) {
                if control.get("Auto-Installed") != Some("yes") {
                    marks.world.push(Dependency::any(name));
                }
                if flags(&control).any(|flag| flag == "hold") {
                    marks.held.insert(name.to_owned());
                }
            }
            Ok(())
        })?;
        Ok(marks)
    }

    /// Stages the changed database.
    pub fn stage(self, target: &mut dyn Target, changes: &Changes) -> Result<()> {
        let mut out = Vec::new();
        let mut changed = false;
        let mut written = BTreeSet::new();
        let mut write = |control: &Control| {
            control.write(&mut out);
            out.push(b'\n');
        };
        // Older ones (2020-01-25) leave `ABIVersion` out: it is written where it is found.
        let mut abi = false;
        self.stanzas(target, &mut |control| {
            abi |= control.get("ABIVersion").is_some();
            Ok(())
        })?;
        let coming = |name: &str| changes.add.iter().find(|r| r.record.package.name == name);
        self.stanzas(target, &mut |mut control| {
            let name = control.get("Package").unwrap_or_default().to_owned();
            if is_installed(&control) && !changes.remove.contains(&name) {
                changed |= edit(&mut control, &name, changes)?;
                write(&control);
            } else if let Some(new) = coming(&name) {
                changed = true;
                // Where the old one stood; what else is said of that name (`not-installed`) is over.
                if written.insert(name.clone()) {
                    write(&entry::stanza(new, Some(&control).filter(|c| is_installed(c)), changes, abi)?);
                }
            } else if changes.remove.contains(&name) {
                changed = true;
            } else {
                write(&control);
            }
            Ok(())
        })?;
        for new in changes.add.iter().filter(|r| !written.contains(&r.record.package.name)) {
            changed = true;
            write(&entry::stanza(new, None, changes, abi)?);
        }
        if changed {
            stage_bytes(target, &RelPath::literal(STATUS), &out)?;
        }
        self.stage_info(target, changes)
    }

    fn stage_info(self, target: &mut dyn Target, changes: &Changes) -> Result<()> {
        let info = RelPath::literal(INFO);
        let failed = |e| Error::io("reading", &info, e);
        let real = target.real_path(&info, true).map_err(failed)?;
        let mut old: BTreeSet<Vec<u8>> = target.list(&real).map_err(failed)?.into_iter().collect();
        old.retain(|file| owner_of(file).is_some_and(|name| changes.remove.contains(name)));
        for new in &changes.add {
            let name = &new.record.package.name;
            for (suffix, mode, bytes) in entry::files(new)? {
                let file = format!("{name}.{suffix}").into_bytes();
                let path = real.join(&file).map_err(|e| Error::refused(name, e.to_string()))?;
                old.remove(&file);
                target.stage_file(&path, &Meta::new(mode), &mut bytes.as_slice())?;
            }
        }
        for file in old {
            if let Ok(path) = real.join(&file) {
                target.stage_remove(&path)?;
            }
        }
        let touched: BTreeSet<&String> = changes.lose.keys().chain(changes.regain.keys()).collect();
        for name in touched.into_iter().filter(|name| !changes.remove.contains(*name)) {
            let mut paths = list(target, name)?;
            let before = paths.len();
            if let Some(lost) = changes.lose.get(name) {
                paths.retain(|path| !lost.contains(path));
            }
            for (path, _) in changes.regain.get(name).into_iter().flatten() {
                if !paths.contains(path) {
                    paths.push(path.clone());
                }
            }
            if paths.len() != before || changes.regain.contains_key(name) {
                let path = RelPath::from_package(format!("{INFO}/{name}.list").as_bytes())
                    .map_err(|e| Error::refused(name, e.to_string()))?;
                stage_bytes(target, &path, &entry::list_text(&paths))?;
            }
        }
        Ok(())
    }

    /// Says of packages that are there how far they are: opkg leaves those whose last script failed `unpacked`, and
    /// `opkg configure` tries again.
    pub(crate) fn stage_state(self, target: &mut dyn Target, names: &BTreeSet<String>, state: &str) -> Result<()> {
        let mut out = Vec::new();
        self.stanzas(target, &mut |mut control| {
            if control.get("Package").is_some_and(|name| names.contains(name)) && is_installed(&control) {
                let status = control.get("Status").unwrap_or_default();
                let words: Vec<&str> = status.split_ascii_whitespace().take(2).chain([state]).collect();
                let status = words.join(" ");
                set(&mut control, "Status", &status)?;
            }
            control.write(&mut out);
            out.push(b'\n');
            Ok(())
        })?;
        stage_bytes(target, &RelPath::literal(STATUS), &out)
    }

    /// Whether the files of an installed package are on record; where they are not, nobody can say what a removal leaves.
    pub(crate) fn has_list(self, root: &(impl RootView + ?Sized), name: &str) -> Result<bool> {
        Ok(self.script(root, name, "list")?.is_some())
    }

    /// What the `control` file of an installed package says of its size, in bytes: the list of packages does not keep it. 0
    /// where nothing says it.
    pub(crate) fn declared_size(self, root: &(impl RootView + ?Sized), name: &str) -> Result<u64> {
        let path = RelPath::from_package(format!("{INFO}/{name}.control").as_bytes())
            .map_err(|e| Error::refused(name, e.to_string()))?;
        let bytes = root.read(&path, MAX_INFO).map_err(|e| Error::io("reading", &path, e))?.unwrap_or_default();
        // A number for people: a file that is missing or damaged keeps no package from going.
        let control = Control::parse(&bytes, &path.to_string(), &Limits::default()).ok();
        let size = control.and_then(|control| control.get("Installed-Size")?.trim().parse().ok());
        Ok(size.unwrap_or(0))
    }

    /// Where a script of an installed package lies.
    pub(crate) fn script(self, root: &(impl RootView + ?Sized), name: &str, word: &str) -> Result<Option<RelPath>> {
        let path = RelPath::from_package(format!("{INFO}/{name}.{word}").as_bytes())
            .map_err(|e| Error::refused(name, e.to_string()))?;
        let there = root.node(&path).map_err(|e| Error::io("reading", &path, e))?.is_some();
        Ok(there.then_some(path))
    }

    /// A package of another world, or one of its own, as opkg is told of it; see [`translated`] for its dependencies.
    pub fn registered(
        self,
        package: &Package,
        name: &str,
        renamed: &std::collections::BTreeMap<String, String>,
    ) -> Package {
        foreign::registered(self.ecosystem, package, name, renamed)
    }
}

/// Changes what a person wants of a package that stays.
fn edit(control: &mut Control, name: &str, changes: &Changes) -> Result<bool> {
    let before = control.clone();
    let wanted = changes.world_set.iter().any(|d| d.name == name && !d.conflict);
    let unwanted = !wanted && changes.world_remove.iter().any(|n| n == name);
    let held = changes.hold.get(name).copied();
    let mut words: Vec<String> = flags(control).map(str::to_owned).collect();
    let mut put = |flag: &str, on: bool| {
        words.retain(|word| word != flag && word != "ok");
        if on {
            words.push(flag.to_owned());
        }
    };
    if wanted {
        put("user", true);
        control.remove("Auto-Installed");
    }
    if unwanted && control.get("Auto-Installed") != Some("yes") {
        put("user", false);
        entry::push_auto(control)?;
    }
    if let Some(held) = held {
        put("hold", held);
    }
    if wanted || unwanted || held.is_some() {
        let status = entry::status(&words, state(control));
        if control.get("Status") != Some(&status) {
            set(control, "Status", &status)?;
        }
    }
    Ok(*control != before)
}

fn set(control: &mut Control, name: &str, value: &str) -> Result<()> {
    control.set(name, value).map_err(|e| Error::native(format!("/{STATUS}"), e))
}

/// `Status: want flags state`.
fn flags(control: &Control) -> impl Iterator<Item = &str> {
    control.get("Status").and_then(|s| s.split_ascii_whitespace().nth(1)).unwrap_or_default().split(',')
}

fn state(control: &Control) -> &str {
    control.get("Status").and_then(|s| s.split_ascii_whitespace().nth(2)).unwrap_or("not-installed")
}

/// Its files are there: fully installed, or with a script that is still owed.
fn is_installed(control: &Control) -> bool {
    matches!(state(control), "installed" | "unpacked" | "half-configured" | "half-installed" | "post-inst-failed")
}

/// Configuration files and the first 20 bytes of their SHA-256. One with another digest (MD5 before 2019) counts as changed:
/// what a person may have written is kept.
fn conffiles(control: &Control) -> Vec<(RelPath, [u8; 20])> {
    let line = |line: &str| {
        let (path, digest) = line.rsplit_once(' ')?;
        let sha256: Option<[u8; 32]> = parse_hex(digest);
        let short = sha256.map_or([0; 20], |d| std::array::from_fn(|i| d.get(i).copied().unwrap_or_default()));
        Some((RelPath::from_absolute(path.trim()).ok()?, short))
    };
    control.lines("Conffiles").filter_map(line).collect()
}

/// Paths of a package, as its list has them.
pub(crate) fn list(root: &(impl RootView + ?Sized), name: &str) -> Result<Vec<RelPath>> {
    let path = RelPath::from_package(format!("{INFO}/{name}.list").as_bytes())
        .map_err(|e| Error::refused(name, e.to_string()))?;
    let bytes = root.read(&path, MAX_INFO).map_err(|e| Error::io("reading", &path, e))?.unwrap_or_default();
    let mut paths = Vec::new();
    for (number, line) in (1..).zip(bytes.split(|b| *b == b'\n')).filter(|(_, line)| !line.is_empty()) {
        // Newer lists may say more after a tab.
        let written = line.split(|b| *b == b'\t').next().unwrap_or_default();
        // A path that is left out here is a file that a removal would leave behind without a word.
        let bad = |reason: String| Error::native(&path, format!("line {number}: {reason}"));
        let Some(below) = written.strip_prefix(b"/") else {
            return Err(bad(format!("`{}` is no absolute path", written.escape_ascii())));
        };
        let found = RelPath::from_package(below).map_err(|e| bad(e.to_string()))?;
        if !found.is_root() {
            paths.push(found);
        }
    }
    Ok(paths)
}

/// `NAME.suffix`: names may hold dots, suffixes do not.
fn owner_of(file: &[u8]) -> Option<&str> {
    std::str::from_utf8(file).ok()?.rsplit_once('.').map(|(name, _)| name)
}
