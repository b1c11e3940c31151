//! What the packages of a plan bring, path by path, and where each path leads on the root. Reads payloads once (every
//! digest is verified on the way) and keeps no content.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::LazyLock;

use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use xpkg_formats::package::Format;
use xpkg_model::adaptation::{Adaptation, Adaptations};
use xpkg_model::payload::{Digest, Entry, EntryKind, Scripts};
use xpkg_model::plan::Step;
use xpkg_model::root::{NodeKind, RootView};
use xpkg_model::{Ecosystem, Package, RelPath};

use super::adapted::{added, landed, unite};
use crate::payload::PayloadSource;
use crate::{Error, Result};

/// What is done with one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is written.
    Write,
    /// A directory, or a link to one, is there already: nothing to do.
    Keep,
    /// The same content is there already and belongs to nobody, or the same configuration: it is only recorded.
    Adopt,
    /// Configuration that a person changed stays; the new one is written beside it as `.apk-new`.
    Beside,
    /// Another package has the stronger claim: it is neither written nor recorded.
    Skip,
    /// It takes the place of a link, which is remembered.
    Displace,
}

/// One entry of one package.
#[derive(Clone, Debug)]
pub struct Item {
    /// As the package says.
    pub entry: Entry,
    /// Where it leads on the root.
    pub real: RelPath,
    /// What is done with it.
    pub fate: Fate,
    /// Digest for the native database, once staged.
    pub digest: Option<[u8; 20]>,
    /// Where its content comes from.
    pub origin: Origin,
}

/// Where the content of an item comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The package, under this path.
    Payload(RelPath),
    /// A list of the package's configuration, made when that is staged.
    Sidecar,
    /// The package's adaptation.
    Added(Vec<u8>),
}

impl Item {
    /// Whether its content comes from us and not from the package.
    pub fn is_generated(&self) -> bool {
        !matches!(self.origin, Origin::Payload(_))
    }
}

/// One package that comes.
pub struct Incoming<'a> {
    /// Its step.
    pub step: &'a Step,
    /// What comes, with what only its file says: whose files it may overwrite (apk v2's indexes leave that out).
    pub package: Package,
    /// Where its content comes from.
    pub source: &'a dyn PayloadSource,
    /// What is done to it on its way.
    pub adaptation: &'a Adaptation,
    /// Its name in the native database.
    pub registered: String,
    /// What it brings.
    pub items: Vec<Item>,
    /// Its scripts.
    pub scripts: Scripts,
    /// Patterns of its trigger.
    pub triggers: Vec<String>,
    /// Layout of its file.
    pub format: Format,
    /// Members of its control archive, where it has one, `control` included: as they are, by name.
    pub control: BTreeMap<String, Vec<u8>>,
    /// Configuration that it names.
    pub conffiles: Vec<RelPath>,
    /// SHA-256, in hex, of the configuration that it delivers; known once it is staged.
    pub configuration: BTreeMap<RelPath, String>,
}

impl Incoming<'_> {
    /// The package.
    pub fn package(&self) -> &Package {
        &self.package
    }

    /// For messages.
    pub fn title(&self) -> String {
        self.package().key().to_string()
    }

    pub(crate) fn is_foreign(&self, native: Ecosystem) -> bool {
        self.package().ecosystem != native
    }
}

/// Reads what every incoming step brings.
pub fn survey<'a>(
    steps: impl Iterator<Item = &'a Step>,
    sources: &[&'a dyn PayloadSource],
    adaptations: &'a Adaptations,
) -> Result<Vec<Incoming<'a>>> {
    static AS_IT_IS: LazyLock<Adaptation> = LazyLock::new(Adaptation::default);
    let mut incoming = Vec::new();
    for step in steps {
        let title = step.package.key().to_string();
        let adaptation = adaptations.get(&step.package.key()).unwrap_or(&AS_IT_IS);
        let fits = |s: &&&dyn PayloadSource| {
            let (have, want) = (s.package(), &step.package);
            let same = match (&have.identity, &want.identity) {
                (Some(a), Some(b)) => a.matches(b),
                _ => true,
            };
            (have.ecosystem, &have.name, &have.version) == (want.ecosystem, &want.name, &want.version) && same
        };
        let source =
            *sources.iter().find(fits).ok_or_else(|| Error::Plan(format!("the file of {title} was not fetched")))?;
        let failed = |source| Error::Package { package: title.clone(), source };
        let mut opened = source.open().map_err(failed)?;
        let meta = opened.meta();
        let mut package = Package::clone(&step.package);
        package.replaces.clone_from(&meta.package.replaces);
        package.replaces_priority = meta.package.replaces_priority;
        let (mut scripts, triggers, format) = (meta.scripts.clone(), meta.triggers.clone(), meta.format);
        let mut control = meta.control_files.clone();
        let conffiles = meta.conffiles.iter().filter_map(|path| adaptation.lands(path)).collect();
        if meta.format == Format::Ipk {
            // Feeds leave fields out; the accounts it needs are among them.
            package.opkg.clone_from(&meta.package.opkg);
            control.insert("control".to_owned(), meta.control.clone());
        }
        let mut items: Vec<Item> = Vec::new();
        let read = opened.read_payload(&mut |entry, content| {
            if entry.path.is_root() {
                return Ok(());
            }
            let payload = entry.path.clone();
            let Some(mut entry) = landed(entry, adaptation, &title)? else { return Ok(()) };
            let patched = adaptation.patched.contains_key(&payload);
            if !patched && entry.kind == EntryKind::File && entry.digest.is_none() {
                // Old packages declare none; conflicts are decided by content.
                entry.digest = Some(Digest::Sha1(sha1(content)?));
            }
            let real = entry.path.clone();
            items.push(Item { entry, real, fate: Fate::Write, digest: None, origin: Origin::Payload(payload) });
            Ok(())
        });
        read.map_err(|e| super::stage::from_reader(e, &title))?;
        let added = added(adaptation, &items, &title)?;
        items.extend(added);
        unite(&mut items, &title)?;
        for (kind, text) in &adaptation.scripts {
            scripts.insert(*kind, text.clone());
        }
        scripts.retain(|_, text| !text.is_empty());
        let registered = step.package.name.clone();
        let configuration = BTreeMap::new();
        incoming.push(Incoming {
            step,
            package,
            source,
            adaptation,
            registered,
            items,
            scripts,
            triggers,
            format,
            control,
            conffiles,
            configuration,
        });
    }
    Ok(incoming)
}

pub(super) fn sha1(content: &mut dyn io::Read) -> io::Result<[u8; 20]> {
    let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    let mut buffer = [0; 16 * 1024];
    loop {
        match content.read(&mut buffer)? {
            0 => break,
            n => context.update(buffer.get(..n).unwrap_or_default()),
        }
    }
    let digest = context.finish();
    Ok(std::array::from_fn(|i| digest.as_ref().get(i).copied().unwrap_or_default()))
}

/// Finds where directories lead on the root, each once.
pub struct Places<'a> {
    root: &'a dyn RootView,
    /// Links and files that go away and whose place a directory of the plan takes.
    replaced: BTreeSet<RelPath>,
    known: BTreeMap<RelPath, RelPath>,
    /// Host links that were followed.
    followed: BTreeMap<RelPath, RelPath>,
}

impl<'a> Places<'a> {
    /// `replaced`: paths at which nothing is followed, because a directory comes there.
    pub fn new(root: &'a dyn RootView, replaced: BTreeSet<RelPath>) -> Self {
        Self { root, replaced, known: BTreeMap::new(), followed: BTreeMap::new() }
    }

    /// Where a directory's content lands: host links to directories inside the root are followed.
    pub fn dir(&mut self, dir: &RelPath) -> Result<RelPath> {
        let Some(parent) = dir.parent() else { return Ok(dir.clone()) };
        if let Some(known) = self.known.get(dir) {
            return Ok(known.clone());
        }
        let path = self.dir(&parent)?.join(dir.file_name()).map_err(|e| Error::refused(dir, e.to_string()))?;
        let failed = |e| Error::io("resolving", dir, e);
        let real = match self.root.node(&path).map_err(failed)? {
            Some(node) if matches!(node.kind, NodeKind::Symlink(_)) && !self.replaced.contains(&path) => {
                let real = self.root.real_path(&path, true).map_err(failed)?;
                self.followed.insert(path, real.clone());
                real
            }
            _ => path,
        };
        self.known.insert(dir.clone(), real.clone());
        Ok(real)
    }

    /// Followed links whose directory is emptied at every start, where one of these brings a file there: worth telling. Of
    /// directories nothing is lost: who needs them makes them.
    pub fn in_memory(&self, incoming: &[Incoming<'_>]) -> Vec<String> {
        let lost = ["tmp", "run"].map(RelPath::literal);
        let brings = |link: &RelPath, real: &RelPath| {
            let items = incoming.iter().flat_map(|p| &p.items).filter(|i| i.entry.kind != EntryKind::Dir);
            items.into_iter().any(|i| i.entry.path.starts_with(link) && i.real.starts_with(real))
        };
        let memory = self
            .followed
            .iter()
            .filter(|(link, real)| lost.iter().any(|dir| real.starts_with(dir)) && brings(link, real));
        memory
            .map(|(link, real)| format!("{link} is {real} here: what packages keep there is lost at a restart"))
            .collect()
    }

    /// Where a file or link lies: links above it are followed, it is not.
    pub fn file(&mut self, path: &RelPath) -> Result<RelPath> {
        let Some(parent) = path.parent() else { return Ok(path.clone()) };
        let parent = self.dir(&parent)?;
        parent.join(path.file_name()).map_err(|e| Error::refused(path, e.to_string()))
    }
}

/// Gives every item its real path.
pub fn resolve(incoming: &mut [Incoming<'_>], places: &mut Places<'_>) -> Result<()> {
    for package in incoming {
        for item in &mut package.items {
            item.real = match item.entry.kind {
                EntryKind::Dir => places.dir(&item.entry.path)?,
                _ => places.file(&item.entry.path)?,
            };
        }
    }
    Ok(())
}
