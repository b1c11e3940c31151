//! apk's databases on a root, both generations: which one it is, reading it as a stream, and staging a changed one.
//! What is not touched keeps its bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, Read, Seek, SeekFrom, Write};

use tempfile::SpooledTempFile;
use xpkg_formats::apk::db::scripts::Packing;
use xpkg_formats::apk::db::{self, DbFile, Generation, InstalledRecord, Script, ScriptsWriter, Trigger};
use xpkg_formats::{BoxError, Limits};
use xpkg_model::payload::ScriptKind;
use xpkg_model::root::RootView;
use xpkg_model::{Dependency, Ecosystem, RelPath};

use super::Changes;
use super::lists::{edit_arch, edit_world};
use super::place::Place;
use crate::{Error, Meta, Result, Target};

/// Databases up to this size are rewritten in memory.
const SPOOL: usize = 1 << 20;
/// `world`, `arch` and `triggers` are lists of words.
const MAX_LIST: u64 = 16 << 20;

/// The apk of a root.
#[derive(Clone, Copy, Debug)]
pub struct NativeApk {
    /// World whose packages it manages.
    pub ecosystem: Ecosystem,
    /// Which generation reads the files.
    pub generation: Generation,
    /// Where they are.
    pub place: Place,
}

impl NativeApk {
    /// An apk whose generation is known.
    pub const fn of(ecosystem: Ecosystem, generation: Generation) -> Self {
        Self { ecosystem, generation, place: Place::of(ecosystem) }
    }

    /// Finds the apk that owns a root; `None` when there is no database.
    pub fn detect(root: &(impl RootView + ?Sized), ecosystem: Ecosystem) -> Result<Option<Self>> {
        let place = Place::of(ecosystem);
        if place.is_own() {
            return Ok(Some(Self { ecosystem, generation: Generation::Apk3, place }));
        }
        let path = RelPath::literal(place.installed);
        if root.node(&path).map_err(|e| Error::io("reading", &path, e))?.is_none() {
            return Ok(None);
        }
        let mut by_package = None;
        let mut by_records = None;
        let mut native = Self { ecosystem, generation: Generation::Apk2, place };
        native.each(root, &mut |record| {
            let name = record.package.name.as_str();
            // Alpine calls it apk-tools; OpenWrt apk-mbedtls, apk-openssl, apk-wolfssl.
            if (name == "apk" || name.starts_with("apk-"))
                && record.file_paths().any(|(path, _)| path.file_name() == b"apk")
            {
                let three = !record.package.version.starts_with("2.");
                by_package = Some(if three { Generation::Apk3 } else { Generation::Apk2 });
            }
            if record.flags.contains('S') || !record.package.tags.is_empty() {
                by_records = Some(Generation::Apk3);
            }
            Ok(())
        })?;
        // Records that apk 2 cannot read outweigh a package that may be there for something else.
        native.generation = by_records.or(by_package).unwrap_or(Generation::Apk2);
        Ok(Some(native))
    }

    /// Hands over every installed package.
    pub fn each(
        &self,
        root: &(impl RootView + ?Sized),
        sink: &mut dyn FnMut(InstalledRecord) -> Result<(), BoxError>,
    ) -> Result<()> {
        let path = RelPath::literal(self.place.installed);
        let Some(file) = root.open(&path).map_err(|e| Error::io("opening", &path, e))? else { return Ok(()) };
        db::read_installed(BufReader::new(file), &path.to_string(), self.ecosystem, &Limits::default(), sink)
            .map_err(|e| unwrap(e, &path))
    }

    /// The world, as written.
    pub fn world(&self, root: &(impl RootView + ?Sized)) -> Result<Vec<Dependency>> {
        let Some(lists) = self.place.lists else { return Ok(Vec::new()) };
        let text = text(root, lists.world)?.unwrap_or_default();
        xpkg_model::dependency::parse_list(&text).map_err(|e| Error::native(format!("/{}", lists.world), e))
    }

    /// Architectures that may be installed.
    pub fn arches(&self, root: &(impl RootView + ?Sized)) -> Result<Vec<String>> {
        let Some(lists) = self.place.lists else { return Ok(Vec::new()) };
        Ok(text(root, lists.arch)?.unwrap_or_default().split_ascii_whitespace().map(str::to_owned).collect())
    }

    /// Trigger patterns by the 20 bytes of the package's identity.
    pub fn triggers(&self, root: &(impl RootView + ?Sized)) -> Result<Vec<Trigger>> {
        let path = self.place.triggers;
        let text = text(root, path)?.unwrap_or_default();
        Trigger::parse(text.as_bytes(), path).map_err(|e| Error::native(format!("/{path}"), e))
    }

    /// Scripts of the packages that `wanted` names by the 20 bytes of their identity.
    pub fn scripts(
        &self,
        root: &(impl RootView + ?Sized),
        wanted: &mut dyn FnMut(&[u8; 20], ScriptKind) -> bool,
    ) -> Result<Vec<Script>> {
        let mut found = Vec::new();
        let Some((path, file)) = open_scripts(root, &self.place)? else { return Ok(found) };
        let limits = Limits::default();
        db::read_scripts(BufReader::new(file), &path.to_string(), &limits, &mut |script| {
            if wanted(&script.id, script.kind) {
                found.push(script);
            }
            Ok(())
        })
        .map_err(|e| unwrap(e, &path))?;
        Ok(found)
    }

    /// Stages the changed databases. Files whose bytes stay the same are not staged.
    pub fn stage(&self, target: &mut dyn Target, changes: &Changes) -> Result<()> {
        let removed = self.stage_installed(target, changes)?;
        self.stage_scripts(target, changes, &removed)?;
        self.stage_triggers(target, changes, &removed)?;
        let Some(lists) = self.place.lists else { return Ok(()) };
        let edit = |text: &str| edit_world(text, &changes.world_set, &changes.world_remove);
        stage_text(target, lists.world, &edit)?;
        if !changes.arch_add.is_empty() || !changes.arch_remove.is_empty() {
            stage_text(target, lists.arch, &|text| edit_arch(text, &changes.arch_add, &changes.arch_remove))?;
        }
        Ok(())
    }

    /// Answers the identities of what went.
    fn stage_installed(&self, target: &mut dyn Target, changes: &Changes) -> Result<BTreeSet<[u8; 20]>> {
        let path = RelPath::literal(self.place.installed);
        let untouched = changes.remove.is_empty() && changes.add.is_empty();
        if untouched && changes.tags.is_empty() && changes.lose.is_empty() && changes.regain.is_empty() {
            return Ok(BTreeSet::new());
        }
        let mut out = SpooledTempFile::new(SPOOL);
        let mut add: BTreeMap<_, &InstalledRecord> =
            changes.add.iter().map(|r| (db::name_order(&r.record.package.name), &r.record)).collect();
        let write = |out: &mut SpooledTempFile, record: &InstalledRecord| match changes.tags.get(&record.package.name) {
            Some(tag) if record.repo_tag != *tag => {
                let mut tagged = record.clone();
                tagged.repo_tag.clone_from(tag);
                db::write_record(out, &tagged)
            }
            _ => db::write_record(out, record),
        };
        let mut removed = BTreeSet::new();
        self.each(target, &mut |mut record| {
            let name = record.package.name.clone();
            // Both generations keep the database sorted by name.
            while let Some((first, new)) = add.first_key_value()
                && *first < db::name_order(&name)
            {
                write(&mut out, new)?;
                add.pop_first();
            }
            if changes.remove.contains(&name) {
                removed.extend(record.package.identity.map(|id| id.prefix()));
                if let Some(new) = add.remove(&db::name_order(&name)) {
                    write(&mut out, new)?;
                }
                return Ok(());
            }
            if let Some(lost) = changes.lose.get(&name) {
                for dir in &mut record.dirs {
                    dir.files.retain(|file| dir.path.join(&file.name).map_or(true, |path| !lost.contains(&path)));
                }
            }
            for (path, file) in changes.regain.get(&name).into_iter().flatten() {
                regain(&mut record, path, file);
            }
            Ok(write(&mut out, &record)?)
        })?;
        for record in add.into_values() {
            write(&mut out, record).map_err(|e| Error::native(&path, e))?;
        }
        // The bytes of apk 2 for what went may still be under another order; a set is enough here.
        let kept: BTreeSet<[u8; 20]> =
            changes.add.iter().filter_map(|r| r.record.package.identity.map(|i| i.prefix())).collect();
        self.stage_spool(target, &path, out)?;
        Ok(removed.difference(&kept).copied().collect())
    }

    fn stage_scripts(&self, target: &mut dyn Target, changes: &Changes, removed: &BTreeSet<[u8; 20]>) -> Result<()> {
        let mut gone = removed.clone();
        gone.extend(changes.add.iter().filter_map(|r| r.record.package.identity.map(|id| id.prefix())));
        let brings = changes.add.iter().any(|r| !r.scripts.is_empty());
        let open = open_scripts(target, &self.place)?;
        let [plain, packed] = self.place.scripts;
        let default = if self.generation == Generation::Apk3 { packed } else { plain };
        let path = open.as_ref().map_or_else(|| RelPath::literal(default), |(path, _)| path.clone());
        let packing = if path.as_bytes().ends_with(b".gz") { Packing::Gzip } else { Packing::Plain };
        let failed = |e: std::io::Error| Error::io("writing", &path, e);
        let mut writer = ScriptsWriter::new(SpooledTempFile::new(SPOOL), packing);
        let (mut dropped, mut any) = (false, brings);
        if let Some((_, file)) = open {
            let limits = Limits::default();
            db::read_scripts(BufReader::new(file), &path.to_string(), &limits, &mut |script| {
                if gone.contains(&script.id) {
                    dropped = true;
                    return Ok(());
                }
                any = true;
                Ok(writer.append(&script)?)
            })
            .map_err(|e| unwrap(e, &path))?;
        }
        if !brings && !dropped {
            return Ok(());
        }
        if !any && self.place.is_own() {
            return target.stage_remove(&path);
        }
        for registration in &changes.add {
            for (kind, text) in &registration.scripts {
                let package = &registration.record.package;
                if let Some(script) = Script::new(package, *kind, text.clone(), self.generation) {
                    writer.append(&script).map_err(failed)?;
                }
            }
        }
        self.stage_spool(target, &path, writer.finish().map_err(failed)?)
    }

    fn stage_triggers(&self, target: &mut dyn Target, changes: &Changes, removed: &BTreeSet<[u8; 20]>) -> Result<()> {
        let added: Vec<[u8; 20]> =
            changes.add.iter().filter_map(|r| r.record.package.identity.map(|id| id.prefix())).collect();
        let mut new = String::new();
        for registration in &changes.add {
            let package = &registration.record.package;
            let Some(id) = package.identity else { continue };
            let trigger = Trigger::new(id.prefix(), &registration.triggers, &package.name);
            new.extend(trigger.map_err(|e| Error::native(&package.name, e))?.map(|t| t.to_string()));
        }
        self.stage_text(target, self.place.triggers, &|text| {
            let stays = |line: &&str| {
                let id = Trigger::parse(line.as_bytes(), "").ok().and_then(|t| t.first().map(|t| t.id));
                id.is_none_or(|id| !removed.contains(&id) && !added.contains(&id))
            };
            text.split_inclusive('\n').filter(stays).collect::<String>() + &new
        })
    }

    /// A text that became empty goes where it is ours alone.
    fn stage_text(&self, target: &mut dyn Target, path: &'static str, edit: &dyn Fn(&str) -> String) -> Result<()> {
        let old = text(target, path)?;
        if self.place.is_own() && old.is_some() && edit(old.as_deref().unwrap_or_default()).is_empty() {
            return target.stage_remove(&RelPath::literal(path));
        }
        stage_text(target, path, edit)
    }

    /// So does a database.
    fn stage_spool(&self, target: &mut dyn Target, path: &RelPath, mut spool: SpooledTempFile) -> Result<()> {
        let failed = |e| Error::io("writing", path, e);
        if self.place.is_own() && spool.stream_position().map_err(failed)? == 0 {
            let there = target.node(path).map_err(|e| Error::io("reading", path, e))?.is_some();
            return if there { target.stage_remove(path) } else { Ok(()) };
        }
        if let Some(dir) = path.parent().filter(|_| self.place.is_own()) {
            let dir = target.real_path(&dir, true).map_err(|e| Error::io("resolving", &dir, e))?;
            crate::transaction::stage::ensure_dir(target, &dir)?;
        }
        stage_spool(target, path, spool)
    }
}

/// Puts a link back into a record, where its name sorts to.
fn regain(record: &mut InstalledRecord, path: &RelPath, file: &DbFile) {
    let Some(parent) = path.parent() else { return };
    if record.file(path).is_some() {
        return;
    }
    if let Some(dir) = record.dirs.iter_mut().find(|dir| dir.path == parent) {
        let at = dir.files.iter().position(|f| f.name > file.name).unwrap_or(dir.files.len());
        dir.files.insert(at, file.clone());
    }
}

type Opened = (RelPath, Box<dyn xpkg_model::root::ReadSeek>);

fn open_scripts(root: &(impl RootView + ?Sized), place: &Place) -> Result<Option<Opened>> {
    for path in place.scripts.map(RelPath::literal) {
        if let Some(file) = root.open(&path).map_err(|e| Error::io("opening", &path, e))? {
            return Ok(Some((path, file)));
        }
    }
    Ok(None)
}

fn text(root: &(impl RootView + ?Sized), path: &'static str) -> Result<Option<String>> {
    let path = RelPath::literal(path);
    let bytes = root.read(&path, MAX_LIST).map_err(|e| Error::io("reading", &path, e))?;
    bytes.map(|bytes| String::from_utf8(bytes).map_err(|_| Error::native(&path, "it is no text"))).transpose()
}

fn stage_text(target: &mut dyn Target, path: &'static str, edit: &dyn Fn(&str) -> String) -> Result<()> {
    let old = text(target, path)?;
    let new = edit(old.as_deref().unwrap_or_default());
    if new == old.unwrap_or_default() {
        return Ok(());
    }
    stage_bytes(target, &RelPath::literal(path), new.as_bytes())
}

fn stage_spool(target: &mut dyn Target, path: &RelPath, mut spool: SpooledTempFile) -> Result<()> {
    let failed = |e| Error::io("writing", path, e);
    spool.flush().map_err(failed)?;
    spool.seek(SeekFrom::Start(0)).map_err(failed)?;
    stage_content(target, path, &mut spool)
}

/// Stages a small file over the old one, keeping its owner and mode.
pub(crate) fn stage_bytes(target: &mut dyn Target, path: &RelPath, bytes: &[u8]) -> Result<()> {
    stage_content(target, path, &mut &bytes[..])
}

fn stage_content(target: &mut dyn Target, path: &RelPath, content: &mut dyn Read) -> Result<()> {
    let failed = |e| Error::io("reading", path, e);
    let real = target.real_path(path, true).map_err(failed)?;
    let old = target.node(&real).map_err(failed)?;
    let meta = old.map_or(Meta::new(0o644), |n| Meta { mode: n.mode, uid: n.uid, gid: n.gid, ..Meta::default() });
    target.stage_file(&real, &meta, content).map(drop)
}

/// An error of ours that travelled through a reader comes out as itself.
fn unwrap(error: xpkg_formats::Error, path: &RelPath) -> Error {
    match error {
        xpkg_formats::Error::Receiver(inner) => match inner.downcast::<Error>() {
            Ok(error) => *error,
            Err(other) => Error::native(path, other),
        },
        other => Error::Database(Box::new(other)),
    }
}
