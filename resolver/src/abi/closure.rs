//! Which libraries a program gets: breadth first, searched as musl does. Never reads a file, never fails: what is not
//! found is part of the answer.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use xpkg_model::elf::ElfFacts;

use super::names::is_reserved;
use super::{Found, Loader, Owner, Subject};

/// How many objects one closure may have; GNOME's largest programs load about 200.
pub const MAX_OBJECTS: usize = 2048;
/// How many directories one search path may have.
const MAX_DIRS: usize = 256;
/// Longest file name (NAME_MAX): musl refuses longer ones.
const MAX_NAME: usize = 255;

/// One loaded object.
#[derive(Clone, Debug)]
pub struct Object {
    /// The path it was opened by: `$ORIGIN` of a library is the directory of this one.
    pub opened: String,
    /// The path with links followed.
    pub path: String,
    /// Its facts.
    pub facts: Arc<ElfFacts>,
    /// Whose it is.
    pub owner: Option<Owner>,
    /// The object that needed it first.
    pub needed_by: Option<usize>,
    /// Objects its needed names lead to, in order; the loader is left out.
    pub needs: Vec<(String, usize)>,
}

/// A program with everything it loads; the first object is the program itself, the loader is not among them.
#[derive(Clone, Debug, Default)]
pub struct Closure {
    /// In the order of loading.
    pub objects: Vec<Object>,
    /// Needed names that lead nowhere, with the object that needs them.
    pub missing: Vec<(usize, String)>,
    /// Other C libraries that were asked for by path; musl ignores them and takes itself.
    pub second_libc: Vec<(usize, String)>,
    /// Whether [`MAX_OBJECTS`] cut it off.
    pub truncated: bool,
}

impl Closure {
    /// Whether any object brings search directories of its own.
    pub fn has_rpath(&self) -> bool {
        self.objects.iter().any(|o| o.facts.rpath.is_some() || o.facts.runpath.is_some())
    }
}

/// What a needed name leads to.
enum Target {
    Loader,
    Object(usize),
    SecondLibc(String),
    Nothing,
}

/// Loads a program or a library on its own. `find` is the space's, usually cached.
pub fn load(subject: &Subject, loader: &Loader, search: &[String], find: &dyn Fn(&str) -> Option<Found>) -> Closure {
    let itself = find(&subject.path);
    // The kernel tells a program its real path; a library keeps the path it was opened by.
    let real = itself.as_ref().map_or_else(|| subject.path.clone(), |f| f.path.clone());
    let first = Object {
        opened: real.clone(),
        path: real.clone(),
        facts: Arc::clone(&subject.facts),
        owner: itself.and_then(|f| f.owner),
        needed_by: None,
        needs: Vec::new(),
    };
    let mut state = State {
        closure: Closure { objects: vec![first], ..Closure::default() },
        by_name: HashMap::new(),
        by_path: HashMap::from([(real, 0)]),
        loader,
        search,
        find,
    };
    let mut queue = VecDeque::from([0]);
    while let Some(index) = queue.pop_front() {
        let Some(facts) = state.closure.objects.get(index).map(|o| Arc::clone(&o.facts)) else { continue };
        for name in &facts.needed {
            let before = state.closure.objects.len();
            match state.resolve(name, index) {
                Target::Loader => {}
                Target::Object(target) => {
                    if let Some(object) = state.closure.objects.get_mut(index) {
                        object.needs.push((name.clone(), target));
                    }
                    if target >= before {
                        queue.push_back(target);
                    }
                }
                Target::SecondLibc(path) => state.closure.second_libc.push((index, path)),
                Target::Nothing => state.closure.missing.push((index, name.clone())),
            }
            if state.closure.objects.len() >= MAX_OBJECTS {
                state.closure.truncated = true;
                return state.closure;
            }
        }
    }
    state.closure
}

struct State<'a> {
    closure: Closure,
    /// musl's "short names": the file names libraries were found by.
    by_name: HashMap<String, usize>,
    by_path: HashMap<String, usize>,
    loader: &'a Loader,
    search: &'a [String],
    find: &'a dyn Fn(&str) -> Option<Found>,
}

impl State<'_> {
    fn resolve(&mut self, name: &str, needed_by: usize) -> Target {
        if name.is_empty() || name.len() > 4096 {
            return Target::Nothing;
        }
        if self.loader.is_musl() && is_reserved(name) {
            return Target::Loader;
        }
        if name.contains('/') {
            // A relative path depends on where the program is started from: it leads nowhere for sure.
            let found = name.starts_with('/').then(|| (self.find)(name)).flatten();
            return found.map_or(Target::Nothing, |f| self.add(f, name.to_owned(), None, needed_by));
        }
        if let Some(index) = self.by_name.get(name) {
            return Target::Object(*index);
        }
        if name.len() > MAX_NAME {
            return Target::Nothing;
        }
        match self.search_for(name, needed_by) {
            Some((opened, found)) => self.add(found, opened, Some(name), needed_by),
            None => Target::Nothing,
        }
    }

    /// RPATH or RUNPATH of the object and of those that needed it, then the system's directories.
    fn search_for(&self, name: &str, needed_by: usize) -> Option<(String, Found)> {
        let mut at = Some(needed_by);
        let mut dirs = 0;
        while let Some(object) = at.and_then(|index| self.closure.objects.get(index)) {
            for dir in own_dirs(object) {
                dirs += 1;
                if dirs > MAX_DIRS {
                    return None;
                }
                if let Some(hit) = self.try_dir(&dir, name) {
                    return Some(hit);
                }
            }
            at = object.needed_by;
        }
        self.search.iter().take(MAX_DIRS).find_map(|dir| self.try_dir(dir, name))
    }

    fn try_dir(&self, dir: &str, name: &str) -> Option<(String, Found)> {
        if !dir.starts_with('/') {
            return None;
        }
        let path = format!("{}/{name}", dir.trim_end_matches('/'));
        (self.find)(&path).map(|found| (path, found))
    }

    fn add(&mut self, found: Found, opened: String, short: Option<&str>, needed_by: usize) -> Target {
        if found.path == self.loader.path {
            return Target::Loader;
        }
        if let Some(index) = self.by_path.get(&found.path).copied() {
            if let Some(short) = short {
                self.by_name.entry(short.to_owned()).or_insert(index);
            }
            return Target::Object(index);
        }
        // musl's own test for a second libc, musl's or glibc's: it then takes itself instead.
        let gives = |name| found.facts.export(name).is_some();
        if self.loader.is_musl() && gives("__libc_start_main") && gives("stdin") {
            return Target::SecondLibc(found.path);
        }
        let index = self.closure.objects.len();
        self.by_path.insert(found.path.clone(), index);
        if let Some(short) = short {
            self.by_name.insert(short.to_owned(), index);
        }
        self.closure.objects.push(Object {
            opened,
            path: found.path,
            facts: found.facts,
            owner: found.owner,
            needed_by: Some(needed_by),
            needs: Vec::new(),
        });
        Target::Object(index)
    }
}

/// The object's own directories. RUNPATH replaces RPATH; musl treats both alike.
fn own_dirs(object: &Object) -> Vec<String> {
    let Some(text) = object.facts.runpath.as_ref().or(object.facts.rpath.as_ref()) else { return Vec::new() };
    let origin = object.opened.rsplit_once('/').map_or("/", |(dir, _)| if dir.is_empty() { "/" } else { dir });
    expand_origin(text, origin).unwrap_or_default()
}

/// Splits a search path and puts the directory of the object in place of `$ORIGIN` and `${ORIGIN}`. `None` when there
/// is any other `$`: musl then ignores the whole path.
pub fn expand_origin(text: &str, origin: &str) -> Option<Vec<String>> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, variable) = rest.split_at(at);
        out.push_str(before);
        out.push_str(origin);
        rest = variable.strip_prefix("$ORIGIN").or_else(|| variable.strip_prefix("${ORIGIN}"))?;
        if out.len() > 65536 {
            return None;
        }
    }
    out.push_str(rest);
    Some(out.split([':', '\n']).filter(|dir| !dir.is_empty()).take(MAX_DIRS).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origin() {
        assert_eq!(
            expand_origin("$ORIGIN/../lib:/opt/x:${ORIGIN}", "/usr/bin"),
            Some(vec!["/usr/bin/../lib".to_owned(), "/opt/x".to_owned(), "/usr/bin".to_owned()])
        );
        assert_eq!(expand_origin("/a:$LIB/x", "/usr/bin"), None);
        assert_eq!(expand_origin("", "/"), Some(Vec::new()));
    }
}
