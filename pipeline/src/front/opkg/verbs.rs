//! The verbs of opkg, each carried out on a place. Answers with the exit code; what is told goes through the hands.

use std::fs;
use std::path::Path;

use xpkg_formats::Limits;
use xpkg_formats::opkg::{Control, Stanzas};
use xpkg_install::live::{LiveRoot, Ownership};
use xpkg_install::{Begin, Meta, Target as _};
use xpkg_model::RelPath;
use xpkg_resolver::native::opkg::{Database, Described, Flags, Opkg, Package, Relation, Status, compare_versions};

use super::hands::Doer;
use super::options::{Options, Voice};
use super::owners::inside;
use super::place::Place;
use super::plan::modified;
use super::show;
use super::stanza::described;
use crate::Error;

/// What a run ended with: exit code and collected errors, each a piece of text with its own line ends.
#[derive(Clone, Debug, Default)]
pub struct Ended {
    /// 0, or 255 when something failed, or what the verb says.
    pub code: u8,
    /// In the order in which they were collected.
    pub errors: Vec<String>,
}

/// Carries out a verb. The command line has checked that there is such a verb and that it has its arguments.
pub fn run(options: &Options, verb: &str, args: &[String], voice: &mut dyn Voice) -> Ended {
    let place = match Place::open(options) {
        Ok(place) => place,
        Err(errors) => return Ended { code: 255, errors },
    };
    let mut doer = match Doer::new(&place, voice) {
        Ok(doer) => doer,
        Err(error) => return Ended { code: 255, errors: vec![format!("opkg_conf_load: {error}.\n")] },
    };
    let code = match doer.verb(verb, args) {
        Ok(code) => code,
        Err(error) => {
            doer.error(&format!("opkg_{}_cmd", verb.replace('-', "_")), format!("{error}."));
            -1
        }
    };
    Ended { code: code.to_le_bytes()[0], errors: doer.errors }
}

fn code(well: bool) -> i32 {
    if well { 0 } else { -1 }
}

impl Doer<'_> {
    fn verb(&mut self, verb: &str, args: &[String]) -> Result<i32, Error> {
        let wanted = args.first().map(String::as_str);
        let settings = self.place.settings.clone();
        match verb.replace('_', "-").as_str() {
            "update" => Ok(self.update()),
            "install" => self.install(args),
            "upgrade" => self.upgrade(args),
            "remove" => {
                let database = self.place.database(false, self)?;
                Ok(code(Opkg::new(database, settings, self).remove(args)))
            }
            "configure" => self.configure_verb(wanted),
            "flag" => self.flag(args),
            "list" | "find" | "list-installed" => {
                let database = self.place.database(verb != "list-installed" && verb != "list_installed", self)?;
                let opkg = Opkg::new(database, settings, self);
                let ids = opkg.listed_packages(verb.ends_with("installed"), wanted, verb == "find");
                let text: String = ids.into_iter().map(|id| opkg.line(id) + "\n").collect();
                self.voice.out(&text);
                Ok(0)
            }
            "info" | "status" => {
                let status = verb == "status";
                let database = self.place.database(!status, self)?;
                let opkg = Opkg::new(database, settings, self);
                let ids = opkg.shown_packages(status, wanted);
                let text: String = ids.into_iter().map(|id| show::info(&opkg.database[id], !status)).collect();
                self.voice.out(&text);
                Ok(0)
            }
            "list-upgradable" => {
                let database = self.place.database(true, self)?;
                let mut opkg = Opkg::new(database, settings, self);
                let pairs = opkg.upgradable();
                let line = |(old, new)| {
                    let (old, new): (&Package, &Package) = (&opkg.database[old], &opkg.database[new]);
                    format!("{} - {} - {}\n", old.name(), old.version(), new.version())
                };
                let text: String = pairs.into_iter().map(line).collect();
                self.voice.out(&text);
                Ok(0)
            }
            "list-changed-conffiles" => self.changed_conffiles(wanted),
            "files" => self.files_of(args),
            "search" => self.search(args),
            "download" => self.download_verb(args),
            "compare-versions" => Ok(self.compare(args)),
            "print-architecture" | "print-installation-architecture" => {
                let listed = &self.place.conf.arches;
                let text: String = match listed.is_empty() {
                    true => {
                        settings.arches.iter().map(|(name, priority)| format!("arch {name} {priority}\n")).collect()
                    }
                    false => listed.iter().map(|arch| format!("arch {} {}\n", arch.name, arch.text)).collect(),
                };
                self.voice.out(&text);
                Ok(0)
            }
            asked => {
                let database = self.place.database(true, self)?;
                let mut opkg = Opkg::new(database, settings, self);
                match asked {
                    "depends" => opkg.depends(args),
                    "whatprovides" | "whatreplaces" => opkg.what_provides(asked == "whatprovides", args),
                    "whatconflicts" => opkg.what(Relation::Conflicts, false, args),
                    "whatrecommends" => opkg.what(Relation::Recommends, false, args),
                    "whatsuggests" => opkg.what(Relation::Suggests, false, args),
                    _ => opkg.what(Relation::Depends, asked == "whatdependsrec", args),
                }
                Ok(0)
            }
        }
    }

    fn install(&mut self, args: &[String]) -> Result<i32, Error> {
        let settings = self.place.settings.clone();
        let mut database = Database::default();
        let mut names = Vec::new();
        for arg in args {
            match self.named(arg, &mut database)? {
                Some(name) => names.push(name),
                None => return Ok(-1),
            }
        }
        database.load_wanted(&self.place.lists()?, &settings, self);
        database.load_status(&self.place.recorded()?, &settings, self);
        let now = self.place.options.now;
        Ok(code(Opkg::new(database, settings, self).install(&names, now)))
    }

    fn upgrade(&mut self, args: &[String]) -> Result<i32, Error> {
        let settings = self.place.settings.clone();
        let mut database = self.place.database(true, self)?;
        for arg in args {
            if self.named(arg, &mut database)?.is_none() {
                return Ok(-1);
            }
        }
        let now = self.place.options.now;
        Ok(code(Opkg::new(database, settings, self).upgrade(args, now)))
    }

    /// What an argument of `install` names: a package, or a file or address of one, which is read. `None` after a failure
    /// that was told.
    fn named(&mut self, arg: &str, database: &mut Database) -> Result<Option<String>, Error> {
        let remote = arg.starts_with("http://") || arg.starts_with("ftp://");
        let file = [".opk", ".ipk", ".deb"].iter().any(|end| arg.ends_with(end));
        if !remote && !file {
            database.ask_for(arg);
            return Ok(Some(arg.to_owned()));
        }
        let path = if remote {
            let path = self.temp.path().join(arg.rsplit('/').next().unwrap_or("package"));
            if !self.download(arg, &path) {
                return Ok(None);
            }
            path
        } else {
            Path::new(arg).to_owned()
        };
        if let Err(error) = fs::metadata(&path) {
            self.error("wfopen", format!("{}: {}.", path.display(), super::place::reason(&error)));
            self.error("pkg_init_from_file", format!("Failed to extract control file from {}.", path.display()));
            return Ok(None);
        }
        let file = match self.read_file(&path) {
            Ok(file) => file,
            Err(error) => {
                self.error("pkg_init_from_file", format!("Malformed package file {}: {error}.", path.display()));
                return Ok(None);
            }
        };
        let control = Control::from_package(file.package())?;
        let place = self.place.settings.dest;
        let stanza = described(&control, place, false, &Limits::default());
        let mut stanza: Described = stanza.unwrap_or_else(|_| Described::new(file.package().clone(), place));
        stanza.package = file.package().clone();
        stanza.by_hand = !remote;
        stanza.offered = false;
        let name = file.package().name.clone();
        let package = file.package();
        self.files.insert((name.clone(), package.version.clone(), package.arch.clone()), file.clone());
        database.take_file(&stanza, &self.place.settings);
        Ok(Some(name))
    }

    /// `configure`: packages that are unpacked only. Their `postinst` runs now; one that fails leaves its package so.
    fn configure_verb(&mut self, wanted: Option<&str>) -> Result<i32, Error> {
        let settings = self.place.settings.clone();
        let database = self.place.database(false, self)?;
        let mut opkg = Opkg::new(database, settings, self);
        let before = unpacked(&opkg.database);
        let well = opkg.configure(wanted);
        let done: Vec<_> = before
            .into_iter()
            .filter(|name| {
                opkg.database.installed(name).is_some_and(|id| opkg.database[id].status == Status::Installed)
            })
            .collect();
        self.rewrite(&done, &mut |words| words.2 = "installed".to_owned())?;
        Ok(code(well))
    }

    fn flag(&mut self, args: &[String]) -> Result<i32, Error> {
        let Some((flag, names)) = args.split_first() else { return Ok(0) };
        let settings = self.place.settings.clone();
        let database = self.place.database(false, self)?;
        let mut opkg = Opkg::new(database, settings, self);
        let found: Vec<String> = names.iter().filter(|name| opkg.database.installed(name).is_some()).cloned().collect();
        opkg.flag(flag, names);
        let words = Flags::parse(flag).words();
        self.rewrite(&found, &mut |status| match flag.as_str() {
            "hold" | "noprune" | "user" | "ok" => status.1.clone_from(&words),
            "installed" | "unpacked" => status.2.clone_from(flag),
            _ => {}
        })?;
        Ok(0)
    }

    /// Changes the three words of `Status:` of packages, in whichever status file they are.
    fn rewrite(&self, names: &[String], change: &mut dyn FnMut(&mut (String, String, String))) -> Result<(), Error> {
        if names.is_empty() || self.place.settings.no_action {
            return Ok(());
        }
        for dest in 0..self.place.dests.len() {
            let path = self.place.status_file(dest);
            let Ok(bytes) = fs::read(&path) else { continue };
            let limits = Limits::default();
            let mut stanzas = Stanzas::new(bytes.as_slice(), &path, &limits);
            let (mut out, mut changed) = (Vec::new(), false);
            while let Some(mut control) = stanzas.next()? {
                if names.iter().any(|name| control.get("Package") == Some(name)) {
                    let text = control.get("Status").unwrap_or_default().to_owned();
                    let mut words = text.split_ascii_whitespace().map(str::to_owned);
                    let mut next = || words.next().unwrap_or_default();
                    let mut status = (next(), next(), next());
                    change(&mut status);
                    control.set("Status", &format!("{} {} {}", status.0, status.1, status.2))?;
                    changed = true;
                }
                control.write(&mut out);
                out.push(b'\n');
            }
            if changed {
                let root = rustix::process::geteuid().is_root();
                let ownership = if root { Ownership::Apply } else { Ownership::Ignore };
                replace_status(&mut LiveRoot::open(self.place.dir(dest), ownership)?, &out)?;
            }
        }
        Ok(())
    }

    fn files_of(&mut self, args: &[String]) -> Result<i32, Error> {
        let Some(name) = args.first() else { return Ok(-1) };
        let database = self.place.database(false, self)?;
        let Some(id) = database.installed(name) else {
            self.error("opkg_files_cmd", format!("Package {name} not installed."));
            return Ok(0);
        };
        let package = &database[id];
        let dest = package.dest.unwrap_or_default();
        let dest_name = self.place.dests.get(dest).map(|d| d.name.clone()).unwrap_or_default();
        let mut text = format!(
            "Package {} ({}) is installed on {dest_name} and has the following files:\n",
            package.name(),
            package.version()
        );
        for path in self.listed(package) {
            text.push_str(&format!("{path}\n"));
        }
        self.voice.out(&text);
        Ok(0)
    }

    /// The files of a package that is there, as opkg prints them: with the offline root.
    fn listed(&mut self, package: &Package) -> Vec<String> {
        let dest = package.dest.unwrap_or_default();
        let path = format!("{}usr/lib/opkg/info/{}.list", self.place.dir(dest), package.name());
        match fs::read_to_string(&path) {
            Ok(text) => {
                let base = self.place.base(dest).to_owned();
                let full = |line: &str| match inside(line, &self.place.prefix) {
                    path if path.starts_with(&base) => self.on_disk(&path),
                    path => self.on_disk(&format!("{base}{}", path.trim_start_matches('/'))),
                };
                text.lines().map(full).collect()
            }
            Err(error) => {
                let text = format!("Failed to open {path}: {}.", super::place::reason(&error));
                self.error("pkg_get_installed_files", text);
                Vec::new()
            }
        }
    }

    fn search(&mut self, args: &[String]) -> Result<i32, Error> {
        let Some(wanted) = args.first() else { return Ok(-1) };
        let settings = self.place.settings.clone();
        let database = self.place.database(false, self)?;
        let opkg = Opkg::new(database, settings, self);
        let ids = opkg.listed_packages(true, None, false);
        let found: Vec<_> = ids.into_iter().map(|id| (opkg.database[id].clone(), opkg.line(id))).collect();
        let mut text = String::new();
        for (package, line) in found {
            for path in self.listed(&package) {
                if xpkg_model::fnmatch::matches(wanted, &path, self.place.settings.no_case) {
                    text.push_str(&format!("{line}\n"));
                }
            }
        }
        self.voice.out(&text);
        Ok(0)
    }

    fn changed_conffiles(&mut self, wanted: Option<&str>) -> Result<i32, Error> {
        let settings = self.place.settings.clone();
        let database = self.place.database(false, self)?;
        let opkg = Opkg::new(database, settings, self);
        let ids = opkg.listed_packages(true, wanted, false);
        let conffiles: Vec<_> = ids.into_iter().flat_map(|id| opkg.database[id].conffiles.clone()).collect();
        let changed = conffiles.iter().filter(|(path, digest)| modified(&self.on_disk(path), digest));
        let text: String = changed.map(|(path, _)| format!("{path}\n")).collect();
        self.voice.out(&text);
        Ok(0)
    }

    fn download_verb(&mut self, args: &[String]) -> Result<i32, Error> {
        let settings = self.place.settings.clone();
        let database = self.place.database(true, self)?;
        let mut found = Vec::new();
        {
            let mut opkg = Opkg::new(database, settings, self);
            for arg in args {
                found.push((arg.clone(), opkg.best(arg).map(|id| opkg.database[id].clone())));
            }
        }
        let mut well = true;
        for (name, package) in found {
            let Some(package) = package else {
                self.error("opkg_download_cmd", format!("Cannot find package {name}."));
                continue;
            };
            match self.download_package(&package, Path::new(".")) {
                Some(path) if well => self.notice(format!("Downloaded {} as {}.", package.name(), path.display())),
                _ => {
                    well = false;
                    self.error("opkg_download_cmd", format!("Failed to download {}.", package.name()));
                }
            }
        }
        Ok(code(well))
    }

    fn compare(&mut self, args: &[String]) -> i32 {
        let [left, op, right] = args else {
            let text = "opkg compare_versions <v1> <op> <v2>\n<op> is one of <= >= << >> =";
            self.error("opkg_compare_versions_cmd", text);
            return -1;
        };
        let order = compare_versions(left, right);
        let met = match op.as_str() {
            "<=" | "<" => order.is_le(),
            ">=" | ">" => order.is_ge(),
            "<<" => order.is_lt(),
            ">>" => order.is_gt(),
            "=" => order.is_eq(),
            op => {
                self.error("pkg_version_satisfied", format!("Unknown operator: {op}."));
                false
            }
        };
        i32::from(!met)
    }
}

fn unpacked(database: &Database) -> Vec<String> {
    let ids = database.present().into_iter().filter(|id| database[*id].status == Status::Unpacked);
    ids.map(|id| database[id].name().to_owned()).collect()
}

/// Puts a status file in the place of the old one.
pub(super) fn replace_status(root: &mut LiveRoot, bytes: &[u8]) -> Result<(), Error> {
    root.lock()?;
    root.begin(&Begin { dirs: vec![RelPath::literal("usr/lib/opkg")] })?;
    let status = RelPath::literal(xpkg_formats::opkg::status::STATUS);
    let mut content = bytes;
    let staged = root.stage_file(&status, &Meta::new(0o644), &mut content).and_then(|_| root.commit());
    if staged.is_err() {
        root.rollback()?;
    }
    Ok(staged?)
}
