//! The check itself: one program or plugin with everything it would load, or a whole plan's files.
//! Decides nothing about what to do with a failure.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use xpkg_model::elf::{ElfFacts, Kind};
use xpkg_model::verdict::Severity;

use super::closure::{self, Closure, Object};
use super::gate;
use super::interpose;
use super::names::given_by_loader;
use super::report::{Failure, FailureKind, Report, Role, Subject};
use super::symbols;
use super::{Found, LinkSpace, Loader, behaviour};

/// How many lookups and results are remembered at once; beyond that the memory starts afresh.
const MAX_REMEMBERED: usize = 16_384;

/// Checks files against one space, remembering what it has looked up.
pub struct Checker<'a> {
    space: &'a dyn LinkSpace,
    pub(super) loader: Loader,
    search: Vec<String>,
    found: RefCell<HashMap<String, Option<Found>>>,
    /// Names that a library's own libraries do not give, by real path.
    residual: RefCell<HashMap<String, Arc<Vec<String>>>>,
    overlaps: RefCell<HashMap<(String, String), usize>>,
}

/// Checks one file. Convenient for one; use a [`Checker`] or [`check_all`] for many.
pub fn check_file(space: &dyn LinkSpace, path: &str, facts: &Arc<ElfFacts>, role: Role) -> Report {
    let subject = Subject { role, ..Subject::new(path, Arc::clone(facts)) };
    Checker::new(space).check(&subject)
}

/// Checks the files that a plan would put on a root: programs first; libraries that none of them loads as plugins.
pub fn check_all(space: &dyn LinkSpace, subjects: &[Subject]) -> Report {
    Checker::new(space).check_all(subjects)
}

impl<'a> Checker<'a> {
    /// A checker with an empty memory. The space must not change while it lives.
    pub fn new(space: &'a dyn LinkSpace) -> Self {
        Self {
            space,
            loader: space.loader(),
            search: space.search_path(),
            found: RefCell::default(),
            residual: RefCell::default(),
            overlaps: RefCell::default(),
        }
    }

    pub(super) fn find(&self, path: &str) -> Option<Found> {
        if let Some(known) = self.found.borrow().get(path) {
            return known.clone();
        }
        let found = self.space.find(path);
        let mut memory = self.found.borrow_mut();
        if memory.len() >= MAX_REMEMBERED {
            memory.clear();
        }
        memory.insert(path.to_owned(), found.clone());
        found
    }

    /// Everything a subject loads.
    pub fn closure(&self, subject: &Subject) -> Closure {
        closure::load(subject, &self.loader, &self.search, &|path| self.find(path))
    }

    /// Checks one subject with all it loads.
    pub fn check(&self, subject: &Subject) -> Report {
        let mut report = Report::default();
        self.check_into(subject, &[], &mut report);
        report
    }

    /// Checks a plugin in the program that opens it at run time: its names may be that program's and its libraries'. What the
    /// program does not give is a warning, `plugin-symbol`: the program itself runs.
    pub fn check_plugin(&self, plugin: &Subject, program: &Subject) -> Report {
        let given: Vec<Arc<ElfFacts>> = self.closure(program).objects.into_iter().map(|object| object.facts).collect();
        let mut report = Report::default();
        self.check_into(plugin, &given, &mut report);
        for finding in report.findings.iter_mut().filter(|finding| finding.code == "plugin-unresolved") {
            finding.code = "plugin-symbol".to_owned();
            finding.detail = format!(
                "{} opens it at run time, and there it would not load: {}",
                program.path,
                finding.detail.replace("the program that opens it", &program.path)
            );
        }
        report
    }

    /// Checks the files that a plan would put on a root, see [`check_all`].
    pub fn check_all(&self, subjects: &[Subject]) -> Report {
        let mut report = Report::default();
        // What the checked programs load may give a plugin its names: perl's own names to perl's modules.
        let mut scope: BTreeMap<String, Arc<ElfFacts>> = BTreeMap::new();
        for subject in subjects.iter().filter(|s| s.role == Role::Program) {
            let mut one = Report::default();
            for object in self.check_into(subject, &[], &mut one).objects {
                scope.entry(object.path).or_insert(object.facts);
            }
            report.absorb(one);
        }
        let scope_paths: BTreeSet<String> = scope.keys().cloned().collect();
        let scope: Vec<Arc<ElfFacts>> = scope.into_values().collect();
        for subject in subjects.iter().filter(|s| s.role == Role::Plugin) {
            let mut one = Report::default();
            let real = self.find(&subject.path).map_or_else(|| subject.path.clone(), |f| f.path);
            if scope_paths.contains(&real) {
                gate::file_warnings(&mut one, subject); // its names were checked in the program that loads it
            } else {
                self.check_into(subject, &scope, &mut one);
            }
            report.absorb(one);
        }
        report
    }

    /// Returns the closure, empty when the file cannot even be started.
    fn check_into(&self, subject: &Subject, helpers: &[Arc<ElfFacts>], report: &mut Report) -> Closure {
        if subject.facts.kind == Kind::Other {
            return Closure::default();
        }
        gate::file_warnings(report, subject);
        if !gate::machine(self, report, subject) || !subject.facts.is_dynamic() {
            return Closure::default();
        }
        if !gate::interpreter(self, report, subject) {
            return Closure::default();
        }
        let closure = self.closure(subject);
        gate::objects(self, report, &closure);
        self.libraries(report, &closure);
        if self.loader.facts.is_none() {
            let detail = "the loader's own names are not known, so no name could be checked".to_owned();
            report.find(Severity::Warning, "unchecked-names", &subject.path, &self.loader.path, detail);
            return closure;
        }
        // Without all its libraries nobody can say which names the process would have, nor whose fault a missing one is.
        if !closure.missing.is_empty() {
            return closure;
        }
        match subject.role {
            Role::Program => self.program_names(report, &closure),
            Role::Plugin => self.plugin_names(report, &closure, helpers),
        }
        symbols::copies(self, report, &closure);
        symbols::time64(self, report, &closure);
        interpose::warn(report, &closure, &|a, b| self.overlap(a, b));
        if let Some(object) = closure.objects.first() {
            let made_for = object.owner.as_ref().and_then(super::Owner::ecosystem);
            behaviour::warn(report, &self.loader, &object.path, &object.facts, made_for);
        }
        report.objects = closure.objects.iter().map(|o| o.path.clone()).collect();
        report.objects.sort_unstable();
        closure
    }

    fn libraries(&self, report: &mut Report, closure: &Closure) {
        let program = closure.objects.first().map(|o| o.path.clone()).unwrap_or_default();
        for (index, soname) in &closure.missing {
            let Some(object) = closure.objects.get(*index) else { continue };
            let via = if *index == 0 { String::new() } else { format!(" (loaded by {program})") };
            let detail = format!("{}{via} needs {soname}, and no library of that name is there", object.path);
            report.find(Severity::NeedsPrivateLayer, "missing-library", &object.path, soname, detail);
            report.failures.push(Failure {
                kind: FailureKind::MissingLibrary,
                program: program.clone(),
                consumer_file: object.path.clone(),
                consumer: object.owner.clone(),
                soname: Some(soname.clone()),
                provider: None,
                provider_file: None,
                missing: Vec::new(),
                missing_total: 0,
                also: Vec::new(),
            });
        }
        for (index, path) in &closure.second_libc {
            let Some(object) = closure.objects.get(*index) else { continue };
            let detail = format!("{} asks for another C library, {path}; the loader takes itself instead", object.path);
            report.find(Severity::Warning, "second-libc", &object.path, path, detail);
        }
        if closure.truncated {
            let detail = format!("{program} loads more than {} objects", closure::MAX_OBJECTS);
            report.find(Severity::NeedsPrivateLayer, "closure-too-large", &program, &program, detail);
        }
    }

    fn program_names(&self, report: &mut Report, closure: &Closure) {
        // With an RPATH somewhere a library may get other libraries than it gets alone.
        let alone = !closure.has_rpath();
        for (index, object) in closure.objects.iter().enumerate() {
            let missing: Vec<String> = if alone && index > 0 {
                let residual = self.residual(object);
                residual.iter().filter(|name| !self.in_scope(closure, object, name)).cloned().collect()
            } else {
                object.facts.undefined.iter().filter(|name| !self.in_scope(closure, object, name)).cloned().collect()
            };
            symbols::missing(self, report, closure, index, missing);
        }
    }

    /// A plugin's own names, and those of the libraries that come with it: all may be meant for the program.
    fn plugin_names(&self, report: &mut Report, closure: &Closure, helpers: &[Arc<ElfFacts>]) {
        let given = |name: &str| helpers.iter().any(|facts| facts.export(name).is_some());
        for object in &closure.objects {
            let undefined = &object.facts.undefined;
            let open: Vec<&str> = undefined
                .iter()
                .map(String::as_str)
                .filter(|name| !self.in_scope(closure, object, name) && !given(name))
                .collect();
            let Some(first) = open.first() else { continue };
            let some = open.iter().take(5).copied().collect::<Vec<_>>().join(", ");
            let detail = format!(
                "{} names must come from the program that opens it ({some}{})",
                open.len(),
                if open.len() > 5 { ", …" } else { "" }
            );
            report.find(Severity::Warning, "plugin-unresolved", &object.path, first, detail);
        }
    }

    /// Names that an object's own libraries and libc do not give.
    fn residual(&self, object: &Object) -> Arc<Vec<String>> {
        if let Some(known) = self.residual.borrow().get(&object.path) {
            return Arc::clone(known);
        }
        let subject = Subject::new(object.path.clone(), Arc::clone(&object.facts));
        let own = self.closure(&subject);
        let names = match own.objects.first() {
            Some(first) => {
                let open = object.facts.undefined.iter().filter(|name| !self.in_scope(&own, first, name));
                Arc::new(open.cloned().collect::<Vec<_>>())
            }
            None => Arc::default(),
        };
        let mut memory = self.residual.borrow_mut();
        if memory.len() >= MAX_REMEMBERED {
            memory.clear();
        }
        memory.insert(object.path.clone(), Arc::clone(&names));
        names
    }

    /// Whether the process has a name: most are in libc or in a library that the consumer names itself.
    pub(super) fn in_scope(&self, closure: &Closure, consumer: &Object, name: &str) -> bool {
        let has = |object: &Object| object.facts.export(name).is_some();
        given_by_loader(&self.loader, name)
            || consumer.needs.iter().any(|(_, index)| closure.objects.get(*index).is_some_and(has))
            || closure.objects.iter().any(has)
    }

    fn overlap(&self, a: &Object, b: &Object) -> usize {
        let key = (a.path.clone(), b.path.clone());
        if let Some(known) = self.overlaps.borrow().get(&key) {
            return *known;
        }
        let count = interpose::overlap(&a.facts, &b.facts);
        let mut memory = self.overlaps.borrow_mut();
        if memory.len() >= MAX_REMEMBERED {
            memory.clear();
        }
        memory.insert(key, count);
        count
    }
}
