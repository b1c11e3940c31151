//! Every package that a list, a status file or a file named by hand describes, under every name that it has, provides,
//! needs or replaces. Names come to be in the order in which opkg meets them, because its walks follow that order.

use std::sync::Arc;

use xpkg_model::version::{self, Relation};
use xpkg_model::{Package as Model, VersionScheme};

use super::describe::{Described, Field, Possibility, Requires, Strength};
use super::flags::{Flags, Status, Want};
use super::names::{NameId, Names};

/// Index of a package in a [`Database`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PackageId(pub(super) usize);

/// One package: what stanzas say of it, and how far it got.
#[derive(Clone, Debug)]
pub struct Package {
    /// What is not about other packages.
    pub package: Arc<Model>,
    /// `Essential: yes`.
    pub essential: bool,
    /// Path and digest of its configuration files; without a digest until they are there.
    pub conffiles: Vec<(String, String)>,
    /// What is wanted of it.
    pub want: Want,
    /// Its flags.
    pub flags: Flags,
    /// How far it got.
    pub status: Status,
    /// It came only because something needed it.
    pub auto_installed: bool,
    /// When it was unpacked, seconds since 1970.
    pub installed_time: u64,
    /// The list that offers it.
    pub list: Option<usize>,
    /// The destination that it is on.
    pub dest: Option<usize>,
    /// A person named its file.
    pub by_hand: bool,
    /// Its file is at hand.
    pub fetched: bool,
    /// Its scripts are told that this is an upgrade.
    pub upgrade: bool,
    /// Priority of its architecture.
    pub arch_priority: i64,
    /// What it needs, in the order of its stanza.
    pub requires: Vec<Requires>,
    /// What it conflicts with.
    pub conflicts: Vec<Vec<Possibility>>,
    /// Names it provides, its own first.
    pub provides: Vec<String>,
    /// Names it replaces.
    pub replaces: Vec<String>,
    pub(super) name: NameId,
    /// A mark of one walk.
    pub(super) marked: bool,
}

impl Package {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.package.name
    }

    /// Its version as opkg shows it.
    pub fn version(&self) -> String {
        super::shown_version(&self.package.version)
    }

    /// Its description in one piece: opkg joins the lines where it does not write to a terminal.
    pub fn description(&self) -> String {
        let long = self.package.opkg.iter().flat_map(|o| &o.other).find(|(name, _)| name == "Description");
        let text = long.map_or(&self.package.description, |(_, text)| text);
        // Only the first line is trimmed.
        text.split_once('\n')
            .map_or(text.clone(), |(first, more)| format!("{}{}", first.trim_end(), more.replace('\n', "")))
    }

    /// Whether its own version meets a condition, whatever name the condition is on.
    pub(super) fn fits(&self, possibility: &Possibility) -> bool {
        let condition = xpkg_model::Dependency {
            name: String::new(),
            op: possibility.op,
            version: possibility.version.clone(),
            conflict: false,
            tag: None,
        };
        condition.met_by_version(VersionScheme::Deb, &self.package.version)
    }

    pub(super) fn compare(&self, other: &Self) -> std::cmp::Ordering {
        versions(&self.package.version, &other.package.version)
    }

    /// Its `Depends` as the status file has them: without needs of any other strength.
    pub fn requires_with(&self, strength: Strength) -> impl Iterator<Item = &Requires> {
        self.requires.iter().filter(move |r| r.strength == strength)
    }
}

pub(super) fn versions(left: &str, right: &str) -> std::cmp::Ordering {
    Relation::into(version::compare(VersionScheme::Deb, left, right, false))
}

/// The packages and the names.
#[derive(Clone, Debug, Default)]
pub struct Database {
    pub(super) packages: Vec<Package>,
    pub(super) names: Names,
}

impl std::ops::Index<PackageId> for Database {
    type Output = Package;

    fn index(&self, id: PackageId) -> &Package {
        &self.packages[id.0]
    }
}

impl std::ops::IndexMut<PackageId> for Database {
    fn index_mut(&mut self, id: PackageId) -> &mut Package {
        &mut self.packages[id.0]
    }
}

impl Database {
    /// Every package, in the order of opkg's walks.
    pub fn walk(&self) -> Vec<PackageId> {
        self.names.walk().into_iter().flat_map(|name| self.names[name].packages.clone()).collect()
    }

    /// Every package that is there, in the order of opkg's walks.
    pub fn present(&self) -> Vec<PackageId> {
        self.walk().into_iter().filter(|id| self[*id].status.present()).collect()
    }

    /// What the status files record, in the order of opkg's walks: what is there, and what was wanted and did not come.
    pub fn recorded(&self) -> Vec<PackageId> {
        let recorded = |package: &Package| {
            package.status != Status::NotInstalled
                || match package.want {
                    Want::Install => true,
                    Want::Deinstall => package.flags.0 == Flags::HOLD,
                    Want::Unknown | Want::Purge => false,
                }
        };
        self.walk().into_iter().filter(|id| recorded(&self[*id])).collect()
    }

    /// The package of that name that is there. A name that no package was ever said to have stands for its first provider.
    pub fn installed(&self, name: &str) -> Option<PackageId> {
        self.under(name).iter().copied().find(|id| self[*id].status.present())
    }

    /// The same on one destination.
    pub fn installed_on(&self, name: &str, dest: usize) -> Option<PackageId> {
        self.under(name).iter().copied().find(|id| self[*id].status.present() && self[*id].dest == Some(dest))
    }

    fn under(&self, name: &str) -> &[PackageId] {
        let Some(id) = self.names.find(name) else { return &[] };
        let name = &self.names[id];
        match name.provided_by.first() {
            Some(first) if !name.own => &self.names[*first].packages,
            _ => &name.packages,
        }
    }

    /// Takes in what a stanza says about names, whether the package is kept or not, in the order of its fields. Answers
    /// whether its own name is wanted.
    pub(super) fn meet(&mut self, described: &Described, mut wanted: bool) -> (Package, bool) {
        let text = described.package.name.as_str();
        wanted |= self.names.find(text).is_some_and(|id| self.names[id].wanted);
        let mut package = blank(described);
        let mut provides = None;
        for field in &described.fields {
            match field {
                Field::Requires(list) => {
                    for possibility in list.iter().flat_map(|r| &r.any_of) {
                        self.names.ensure(&possibility.name);
                    }
                    package.requires.extend(list.iter().cloned());
                }
                Field::Conflicts(list) => {
                    for possibility in list.iter().flatten() {
                        self.names.ensure(&possibility.name);
                    }
                    package.conflicts.extend(list.iter().cloned());
                }
                Field::Provides(list) => {
                    let own = self.provides_itself(text);
                    self.want_related(&package);
                    let known = provides.get_or_insert_with(|| vec![text.to_owned()]);
                    for item in list {
                        let id = self.names.ensure(item);
                        if self.names[id].wanted {
                            self.names[own].wanted = true;
                        }
                        if !self.names[id].provided_by.contains(&own) {
                            self.names[id].provided_by.push(own);
                        }
                        known.push(item.clone());
                    }
                }
                Field::Replaces(list) => {
                    let own = self.names.ensure(text);
                    self.names[own].own = true;
                    self.names[own].provided_by.push(own);
                    for item in list {
                        let id = self.names.ensure(item);
                        self.names[id].wanted |= wanted;
                        // Only conflicts that the stanza named before count.
                        let conflicts = package.conflicts.iter().flatten().any(|p| p.name == *item);
                        if conflicts && !self.names[id].replaced_by.contains(&own) {
                            self.names[id].replaced_by.push(own);
                        }
                    }
                    package.replaces.extend(list.iter().cloned());
                }
            }
        }
        package.provides = provides.unwrap_or_default();
        (package, wanted)
    }

    /// Keeps a package that was met. `set_status`: it comes from a status file or by hand, and what the lists say of the
    /// same version is added to it.
    pub(super) fn keep(&mut self, mut package: Package, set_status: bool) {
        let text = package.package.name.clone();
        let own = self.names.ensure(&text);
        self.names[own].own = true;
        if package.status.present() {
            self.names[own].status = package.status;
        }
        if package.provides.is_empty() {
            self.provides_itself(&text);
            package.provides = vec![text];
        }
        self.want_related(&package);
        for requires in &package.requires {
            if matches!(requires.strength, Strength::PreDepend | Strength::Depend | Strength::Recommend) {
                for possibility in &requires.any_of {
                    let id = self.names.ensure(&possibility.name);
                    self.names[id].needed_by.push(own);
                }
            }
        }
        package.name = own;
        // A package that is held off (`deinstall hold`) stands for whatever version is there.
        let held_off = package.want == Want::Deinstall && package.flags.any(Flags::HOLD);
        let same = self.names[own].packages.iter().copied().find(|id| {
            let known = &self[*id];
            held_off || (package.compare(known).is_eq() && package.package.arch == known.package.arch)
        });
        match same {
            Some(id) => {
                if set_status {
                    merge(&mut package, &self[id]);
                }
                self[id] = package;
            }
            None => {
                self.packages.push(package);
                let id = PackageId(self.packages.len() - 1);
                self.names[own].packages.push(id);
            }
        }
    }

    fn provides_itself(&mut self, text: &str) -> NameId {
        let own = self.names.ensure(text);
        self.names[own].own = true;
        if !self.names[own].provided_by.contains(&own) {
            self.names[own].provided_by.push(own);
        }
        own
    }

    /// What a package that was met needs or conflicts with is wanted from the lists.
    fn want_related(&mut self, package: &Package) {
        let names = package.requires.iter().flat_map(|r| &r.any_of).chain(package.conflicts.iter().flatten());
        for possibility in names {
            let id = self.names.ensure(&possibility.name);
            self.names[id].wanted = true;
        }
    }
}

fn blank(described: &Described) -> Package {
    let state = described.state.clone();
    let from_list = described.offered && !described.by_hand;
    Package {
        package: Arc::clone(&described.package),
        essential: described.essential,
        conffiles: described.conffiles.clone(),
        want: state.want,
        flags: state.flags,
        status: state.status,
        auto_installed: state.auto_installed,
        installed_time: state.installed_time,
        list: from_list.then_some(described.place),
        dest: (!from_list).then_some(described.place),
        by_hand: described.by_hand,
        fetched: described.by_hand,
        upgrade: false,
        arch_priority: 0,
        requires: Vec::new(),
        conflicts: Vec::new(),
        provides: Vec::new(),
        replaces: Vec::new(),
        name: NameId(0),
        marked: false,
    }
}

/// Adds to a package of a status file what a list says of the same version and the status file does not.
fn merge(package: &mut Package, known: &Package) {
    package.auto_installed |= known.auto_installed;
    package.list = package.list.or(known.list);
    package.dest = package.dest.or(known.dest);
    if package.requires.is_empty() {
        package.requires.clone_from(&known.requires);
    }
    if package.provides.len() < 2 {
        package.provides.clone_from(&known.provides);
    }
    if package.conflicts.is_empty() {
        package.conflicts.clone_from(&known.conflicts);
    }
    if package.replaces.is_empty() {
        package.replaces.clone_from(&known.replaces);
    }
    package.essential |= known.essential;
    if package.conffiles.is_empty() {
        package.conffiles.clone_from(&known.conffiles);
    }
    package.by_hand |= known.by_hand;
    package.fetched |= known.fetched;
    let (ours, theirs) = (Arc::make_mut(&mut package.package), &known.package);
    if ours.description.is_empty() {
        ours.description.clone_from(&theirs.description);
    }
    if ours.maintainer.is_empty() {
        ours.maintainer.clone_from(&theirs.maintainer);
    }
    ours.filename = ours.filename.take().or_else(|| theirs.filename.clone());
    ours.identity = ours.identity.or(theirs.identity);
    ours.source = ours.source.or(theirs.source);
    if ours.size == 0 {
        ours.size = theirs.size;
    }
    if ours.installed_size == 0 {
        ours.installed_size = theirs.installed_size;
    }
    let Some(told) = theirs.opkg.as_deref() else { return };
    let own = ours.opkg.get_or_insert_default();
    if own.section.is_empty() {
        own.section.clone_from(&told.section);
    }
    for (name, value) in &told.other {
        if MERGED.contains(&name.as_str()) && !own.other.iter().any(|(known, _)| known == name) {
            own.other.push((name.clone(), value.clone()));
        }
    }
}

/// Fields without a place of their own that a list adds to a package of a status file.
const MERGED: [&str; 4] = ["Description", "MD5Sum", "MD5sum", "Priority"];
