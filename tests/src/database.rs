//! The native manager's databases, decoded, so that two of them compare by what they say and not by how they are packed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use xpkg_formats::Limits;
use xpkg_formats::apk::db::{InstalledRecord, Trigger, name_order, read_installed, read_scripts};
use xpkg_model::Ecosystem;
use xpkg_model::identity::q1;

/// Files of `lib/apk/db` whose bytes may differ where their meaning does not.
pub const PACKED: [&str; 4] =
    ["lib/apk/db/installed", "lib/apk/db/triggers", "lib/apk/db/scripts.tar", "lib/apk/db/scripts.tar.gz"];

/// Everything that apk has on record about a root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Databases {
    /// Packages by name.
    pub installed: BTreeMap<String, InstalledRecord>,
    /// Identity and pattern, in the order of neither file nor writer.
    pub triggers: BTreeSet<(String, Vec<String>)>,
    /// Scripts by entry name. The times of the entries say when apk 2 wrote the archive.
    pub scripts: BTreeMap<String, String>,
    /// `/etc/apk/world`, its bytes.
    pub world: String,
    /// `/etc/apk/arch`, its bytes.
    pub arch: String,
}

impl Databases {
    /// Reads those of a root.
    pub fn read(root: &Path, native: Ecosystem) -> Self {
        let limits = Limits::default();
        let open = |path: &str| fs::File::open(root.join(path)).map(BufReader::new);
        let text = |path: &str| fs::read_to_string(root.join(path)).unwrap();
        let mut installed: BTreeMap<String, InstalledRecord> = BTreeMap::new();
        let mut before: Option<String> = None;
        let mut sink = |record: InstalledRecord| {
            // Both generations of apk write it so.
            let last = before.replace(record.package.name.clone());
            let last = last.as_deref();
            assert!(
                last.is_none_or(|last| name_order(last) <= name_order(&record.package.name)),
                "not sorted: {last:?}"
            );
            let twice = installed.insert(record.package.name.clone(), record);
            assert!(twice.is_none(), "on record twice: {twice:?}");
            Ok(())
        };
        let file = open("lib/apk/db/installed").unwrap();
        read_installed(file, "installed", native, &limits, &mut sink).unwrap();
        let triggers = Trigger::parse(text("lib/apk/db/triggers").as_bytes(), "triggers").unwrap();
        let mut scripts = BTreeMap::new();
        for path in ["lib/apk/db/scripts.tar", "lib/apk/db/scripts.tar.gz"] {
            let Ok(file) = open(path) else { continue };
            let mut sink = |script: xpkg_formats::apk::db::Script| {
                scripts.insert(script.entry_name(), String::from_utf8_lossy(&script.content).into_owned());
                Ok(())
            };
            read_scripts(file, path, &limits, &mut sink).unwrap();
        }
        Self {
            installed,
            triggers: triggers.into_iter().map(|t| (q1(&t.id), t.patterns)).collect(),
            scripts,
            world: text("etc/apk/world"),
            arch: text("etc/apk/arch"),
        }
    }

    /// Fails, naming what differs, unless both say the same.
    pub fn assert_same(&self, other: &Self) {
        assert_same_entries(&self.installed, &other.installed, "the record of package");
        assert_same_entries(&self.scripts, &other.scripts, "the script");
        assert_eq!(self.triggers, other.triggers, "triggers");
        assert_eq!(self.world, other.world, "world");
        assert_eq!(self.arch, other.arch, "arch");
    }

    /// Files, links and devices that the record of a package lists.
    pub fn paths_of(&self, name: &str) -> Vec<PathBuf> {
        let record = self.installed.get(name).unwrap_or_else(|| panic!("{name} is not on record"));
        record.file_paths().map(|(path, _)| path.as_path().to_owned()).collect()
    }
}

fn assert_same_entries<T: PartialEq + std::fmt::Debug>(a: &BTreeMap<String, T>, b: &BTreeMap<String, T>, what: &str) {
    let names: BTreeSet<_> = a.keys().chain(b.keys()).collect();
    for name in names {
        assert_eq!(a.get(name), b.get(name), "{what} {name}");
    }
}
