//! What the asking verbs tell: which packages, in which order, in opkg's words. Changes nothing but marks.

use std::fmt::Write as _;

use xpkg_model::fnmatch;

use super::Opkg;
use super::database::{Package, PackageId};
use super::describe::{Possibility, Strength};
use super::hands::Level;

/// What one of the `what…` verbs asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// `whatdepends`.
    Depends,
    /// `whatconflicts`.
    Conflicts,
    /// `whatrecommends`.
    Recommends,
    /// `whatsuggests`.
    Suggests,
}

impl Relation {
    fn words(self) -> &'static str {
        match self {
            Self::Depends => "depends on",
            Self::Conflicts => "conflicts with",
            Self::Recommends => "recommends",
            Self::Suggests => "suggests",
        }
    }

    /// What a package relates to in this way, need by need.
    fn of(self, package: &Package) -> Vec<Possibility> {
        let strength = match self {
            Self::Conflicts => return package.conflicts.iter().flatten().cloned().collect(),
            Self::Depends => Strength::Depend,
            Self::Recommends => Strength::Recommend,
            Self::Suggests => Strength::Suggest,
        };
        package.requires_with(strength).flat_map(|r| r.any_of.clone()).collect()
    }
}

impl Opkg<'_> {
    fn queried(&self) -> Vec<PackageId> {
        if self.settings.query_all { self.database.walk() } else { self.database.present() }
    }

    fn fits(&self, wanted: Option<&str>, text: &str) -> bool {
        wanted.is_none_or(|wanted| fnmatch::matches(wanted, text, self.settings.no_case))
    }

    /// `list`, `list-installed` and `find`: sorted by name.
    pub fn listed_packages(&self, present: bool, wanted: Option<&str>, describe: bool) -> Vec<PackageId> {
        let mut ids = if present { self.database.present() } else { self.database.walk() };
        crate::native::smoothsort::sort_by(&mut ids, |a, b| self.database[*a].name().cmp(self.database[*b].name()));
        ids.retain(|id| {
            let package = &self.database[*id];
            let description = package.description();
            self.fits(wanted, package.name())
                || (describe && !description.is_empty() && self.fits(wanted, &description))
        });
        ids
    }

    /// `info` and `status`, in the order of the walk.
    pub fn shown_packages(&self, present: bool, wanted: Option<&str>) -> Vec<PackageId> {
        let ids = if present { self.database.present() } else { self.database.walk() };
        ids.into_iter().filter(|id| self.fits(wanted, self.database[*id].name())).collect()
    }

    /// The package that `download` takes for a name.
    pub fn best(&mut self, name: &str) -> Option<PackageId> {
        self.candidate_by_name(name)
    }

    /// One line of `list`.
    pub fn line(&self, id: PackageId) -> String {
        let package = &self.database[id];
        let mut line = format!("{} - {}", package.name(), package.version());
        if self.settings.size {
            let _ = write!(line, " - {}", package.package.size);
        }
        let description = package.description();
        if !description.is_empty() {
            let _ = write!(line, " - {description}");
        }
        line
    }

    /// `opkg depends`.
    pub fn depends(&mut self, patterns: &[String]) {
        for wanted in patterns {
            for id in self.queried() {
                let package = &self.database[id];
                if !self.fits(Some(wanted), package.name()) {
                    continue;
                }
                let mut lines = vec![format!("{} depends on:", package.name())];
                lines.extend(package.requires_with(Strength::Depend).map(|r| format!("\t{}", r.shown())));
                lines.into_iter().for_each(|line| self.notice(line));
            }
        }
    }

    /// `opkg whatdepends` and its kin; `recursive` asks again for what was found.
    pub fn what(&mut self, relation: Relation, recursive: bool, patterns: &[String]) {
        let ids = self.queried();
        for id in &ids {
            let matches = |name: &String| patterns.iter().any(|wanted| fnmatch::matches(wanted, name, false));
            self.database[*id].marked = self.database[*id].provides.iter().any(matches);
        }
        self.notice("Root set:".to_owned());
        for id in &ids {
            if self.database[*id].marked {
                self.mark(*id);
                let text = format!("  {}", self.database[*id].name());
                self.notice(text);
            }
        }
        self.notice(format!("What {} root set", relation.words()));
        loop {
            let mut changed = false;
            for id in &ids {
                let package = &self.database[*id];
                if self.database.names[package.name].marked {
                    continue;
                }
                let related = relation.of(package);
                let names = &self.database.names;
                let found = related.into_iter().find(|p| names.find(&p.name).is_some_and(|name| names[name].marked));
                let Some(found) = found else { continue };
                let package = &self.database[*id];
                let mut text =
                    format!("\t{} {}\t{} {}", package.name(), package.version(), relation.words(), found.name);
                if !found.version.is_empty() {
                    let _ = write!(text, " ({})", found.condition());
                }
                if !self.satisfiable(&found) {
                    text.push_str(" unsatisfiable");
                }
                self.mark(*id);
                changed = true;
                self.notice(text);
            }
            if !(changed && recursive) {
                return;
            }
        }
    }

    fn mark(&mut self, id: PackageId) {
        let own = self.database[id].name;
        self.database.names[own].marked = true;
        for name in self.database[id].provides.clone() {
            let id = self.database.names.ensure(&name);
            self.database.names[id].marked = true;
        }
    }

    fn satisfiable(&self, possibility: &Possibility) -> bool {
        let names = &self.database.names;
        let Some(name) = names.find(&possibility.name) else { return false };
        let packages = names[name].provided_by.iter().flat_map(|provider| &names[*provider].packages);
        packages.into_iter().any(|id| self.database[*id].fits(possibility))
    }

    /// `opkg whatprovides` (`provides`) and `opkg whatreplaces`.
    pub fn what_provides(&mut self, provides: bool, patterns: &[String]) {
        let word = if provides { "provides" } else { "replaces" };
        for wanted in patterns {
            self.notice(format!("What {word} {wanted}"));
            for id in self.queried() {
                let package = &self.database[id];
                let names = if provides { &package.provides } else { &package.replaces };
                for name in names.clone() {
                    if !self.fits(Some(wanted), &name) {
                        continue;
                    }
                    let mut text = format!("    {}", self.database[id].name());
                    let same = if self.settings.no_case { wanted.eq_ignore_ascii_case(&name) } else { *wanted == name };
                    if !same {
                        let _ = writeln!(text, "\t{word} {name}");
                    }
                    self.hands.say(Level::Notice, text + "\n");
                }
            }
        }
    }
}
