//! Which package has which file, from the lists of a place, and what the plan so far changes of that. Reads only.

use std::collections::HashMap;
use std::fs;

use super::place::Place;

/// Owners by path, as opkg writes paths into lists: absolute inside the root.
#[derive(Debug, Default)]
pub(super) struct Owners {
    by_path: HashMap<String, String>,
    /// Paths by package, in the order of its list.
    paths: HashMap<String, Vec<String>>,
    /// Files that the plan has made or unmade.
    planned: HashMap<String, bool>,
}

impl Owners {
    /// Reads every list of files of every destination.
    pub fn load(place: &Place) -> Self {
        let mut owners = Self::default();
        for dest in 0..place.dests.len() {
            let info = format!("{}usr/lib/opkg/info", place.dir(dest));
            for entry in fs::read_dir(&info).into_iter().flatten().flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                if let Some(package) = name.strip_suffix(".list") {
                    let text = fs::read_to_string(entry.path()).unwrap_or_default();
                    owners.add(package, text.lines().map(|line| inside(line, &place.prefix)));
                }
            }
        }
        owners.planned.clear();
        owners
    }

    /// A package has these files.
    pub fn add(&mut self, package: &str, paths: impl IntoIterator<Item = String>) {
        let paths: Vec<String> = paths.into_iter().collect();
        for path in &paths {
            self.by_path.insert(path.clone(), package.to_owned());
            self.planned.insert(path.clone(), true);
        }
        self.paths.insert(package.to_owned(), paths);
    }

    /// A package's files go, but for `kept`.
    pub fn remove(&mut self, package: &str, kept: &[String]) {
        for path in self.paths.remove(package).unwrap_or_default() {
            if self.by_path.get(&path).is_some_and(|owner| owner == package) {
                self.by_path.remove(&path);
                if !kept.contains(&path) {
                    self.planned.insert(path, false);
                }
            }
        }
    }

    pub fn owner(&self, path: &str) -> Option<&str> {
        self.by_path.get(path).map(String::as_str)
    }

    /// A package's files, in the order of its list.
    pub fn files(&self, package: &str) -> Vec<String> {
        self.paths.get(package).cloned().unwrap_or_default()
    }

    /// Whether something that is no directory is at a path, after what is planned.
    pub fn occupied(&self, path: &str, on_disk: &str) -> bool {
        match self.planned.get(path) {
            Some(there) => *there,
            None => fs::metadata(on_disk).is_ok_and(|m| !m.is_dir()),
        }
    }
}

/// A path of a list without the offline root that old lists have in it.
pub(super) fn inside(line: &str, prefix: &str) -> String {
    match line.strip_prefix(prefix) {
        Some(rest) if !prefix.is_empty() && rest.starts_with('/') => rest.to_owned(),
        _ => line.to_owned(),
    }
}
