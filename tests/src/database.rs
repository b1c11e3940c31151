//! The native manager's databases, decoded, so that two of them compare by what they say and not by how they are packed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use xpkg_formats::Limits;
use xpkg_formats::apk::db::{InstalledRecord, Trigger, read_installed, read_scripts};
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
    /// Scripts by entry name, with the time of the entry.
    pub scripts: BTreeMap<String, (u64, Vec<u8>)>,
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
        let mut installed = BTreeMap::new();
        let mut sink = |record: InstalledRecord| {
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
                scripts.insert(script.entry_name(), (script.mtime, script.content));
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

    /// Fails, naming the packages, unless both say the same.
    pub fn assert_same(&self, other: &Self) {
        let names: BTreeSet<_> = self.installed.keys().chain(other.installed.keys()).collect();
        for name in names {
            assert_eq!(self.installed.get(name), other.installed.get(name), "the record of {name}");
        }
        let scripts = |d: &Self| d.scripts.keys().cloned().collect::<Vec<_>>();
        assert_eq!(scripts(self), scripts(other), "the scripts on record");
        assert_eq!(self, other);
    }

    /// Files, links and devices that the record of a package lists.
    pub fn paths_of(&self, name: &str) -> Vec<PathBuf> {
        let record = self.installed.get(name).unwrap_or_else(|| panic!("{name} is not on record"));
        record.file_paths().map(|(path, _)| path.as_path().to_owned()).collect()
    }
}
