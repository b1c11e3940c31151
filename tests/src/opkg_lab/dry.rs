//! Our account of a universe: the decisions of `resolver::native::opkg`, with hands that find everything possible.

use xpkg_formats::Limits;
use xpkg_pipeline::front::opkg as front;
use xpkg_resolver::native::opkg::{
    Database, Described, Hands, Incoming, Level, Opkg, Outgoing, Package, Relation, Settings,
};

use super::real::{argument, list, without_times};
use super::{Said, Step, Universe};

struct Collected {
    repo: String,
    verbosity: i32,
    stdout: String,
    errors: Vec<String>,
}

impl Hands for Collected {
    fn say(&mut self, level: Level, text: String) {
        match level {
            Level::Error => self.errors.push(text),
            Level::Notice if self.verbosity >= 1 => self.stdout.push_str(&text),
            _ => {}
        }
    }

    fn has_room(&mut self, _: &Incoming<'_>) -> bool {
        true
    }

    fn fetch(&mut self, incoming: &Incoming<'_>) -> bool {
        if incoming.package.fetched {
            return true;
        }
        let package = incoming.package;
        if package.list.is_none() {
            let name = package.name();
            self.errors.push(format!("opkg_download_pkg: Package {name} is not available from any configured src.\n"));
            self.errors
                .push(format!("opkg_install_pkg: Failed to download {name}. Perhaps you need to run 'opkg update'?\n"));
            return false;
        }
        let file = package.package.filename.clone().unwrap_or_default();
        self.say(Level::Notice, format!("Downloading {}/{file}\n", self.repo));
        true
    }

    fn open(&mut self, _: &Incoming<'_>) -> bool {
        true
    }

    fn unpack(&mut self, _: &Incoming<'_>) -> bool {
        true
    }

    fn before_removal(&mut self, _: &Outgoing<'_>) -> bool {
        true
    }

    fn remove(&mut self, _: &Outgoing<'_>) -> bool {
        true
    }

    fn settle(&mut self, _: &[String]) -> bool {
        true
    }

    fn configure(&mut self, _: &Package) -> bool {
        true
    }
}

/// Carries a universe out in memory.
pub fn carry_out(universe: &Universe) -> Vec<Said> {
    let (mut lists, mut status) = (String::new(), String::new());
    let mut said = Vec::new();
    for step in &universe.steps {
        match step {
            Step::Lists(which) => lists = list(universe, which),
            Step::Run(words) => said.push(run(universe, words, &lists, &mut status)),
        }
    }
    said
}

fn read(text: &str, status: bool) -> Vec<Described> {
    let (found, skipped) = front::read_stanzas(text.as_bytes(), "text", 0, status, &Limits::default()).unwrap();
    assert!(skipped.is_empty(), "{skipped:?}");
    found
}

fn run(universe: &Universe, words: &[String], lists: &str, status: &mut String) -> Said {
    let arch = |name: &str, priority| (name.to_owned(), priority);
    let mut settings = Settings {
        arches: vec![arch("all", 1), arch("noarch", 1), arch("x86_64", 10)],
        dests: vec!["root".to_owned()],
        ..Settings::default()
    };
    let mut hands = Collected {
        repo: format!("file:/u/{}/repo", universe.seed),
        verbosity: 1,
        stdout: String::new(),
        errors: Vec::new(),
    };
    let mut rest = words.iter();
    let mut args: Vec<String> = Vec::new();
    for word in rest.by_ref() {
        match word.as_str() {
            "--force-depends" => settings.force_depends = true,
            "--noaction" => settings.no_action = true,
            "--nodeps" => settings.no_deps = true,
            "--force-downgrade" => settings.force_downgrade = true,
            "--force-reinstall" => settings.force_reinstall = true,
            "--download-only" => settings.download_only = true,
            "--autoremove" => settings.autoremove = true,
            "--force-removal-of-dependent-packages" => settings.force_removal_of_dependents = true,
            "--force-removal-of-essential-packages" => settings.force_removal_of_essential = true,
            "--nocase" => settings.no_case = true,
            "--size" => settings.size = true,
            "-A" => settings.query_all = true,
            "-V0" => hands.verbosity = 0,
            word => args.push(argument(universe, word)),
        }
    }
    let verb = args.remove(0);
    let mut database = Database::default();
    let (offered, recorded) = (read(lists, false), read(status, true));
    let known = ["install", "flag", "configure", "remove", "list-installed", "status"].contains(&verb.as_str());
    if !known {
        database.load_all(&offered, &settings, &mut hands);
        database.load_status(&recorded, &settings, &mut hands);
    }
    if verb == "install" || verb == "upgrade" {
        for arg in &mut args {
            let made = universe.packages.iter().find(|m| arg.ends_with(&format!("/{}", m.file())));
            match made {
                Some(made) => {
                    let text: String = made.fields.iter().map(|(n, v)| format!("{n}: {v}\n")).collect();
                    let mut described = read(&text, false).remove(0);
                    described.by_hand = true;
                    database.take_file(&described, &settings);
                    if verb == "install" {
                        *arg = made.field("Package").to_owned();
                    }
                }
                None => database.ask_for(arg),
            }
        }
    }
    if verb == "install" {
        database.load_wanted(&offered, &settings, &mut hands);
    }
    if known {
        database.load_status(&recorded, &settings, &mut hands);
    }
    let no_action = settings.no_action;
    let mut opkg = Opkg::new(database, settings, &mut hands);
    let wanted = args.first().map(String::as_str);
    let mut lines = String::new();
    let well = match verb.as_str() {
        "install" => opkg.install(&args, 1),
        "remove" => opkg.remove(&args),
        "upgrade" => opkg.upgrade(&args, 1),
        "configure" => opkg.configure(wanted),
        "flag" => {
            opkg.flag(&args[0], &args[1..]);
            true
        }
        "list-upgradable" => {
            for (old, new) in opkg.upgradable() {
                let (old, new) = (&opkg.database[old], &opkg.database[new]);
                lines.push_str(&format!("{} - {} - {}\n", old.name(), old.version(), new.version()));
            }
            true
        }
        "list" | "find" | "list-installed" => {
            for id in opkg.listed_packages(verb == "list-installed", wanted, verb == "find") {
                lines.push_str(&format!("{}\n", opkg.line(id)));
            }
            true
        }
        "info" | "status" => {
            for id in opkg.shown_packages(verb == "status", wanted) {
                lines.push_str(&front::info(&opkg.database[id], verb == "info"));
            }
            true
        }
        "depends" => {
            opkg.depends(&args);
            true
        }
        "whatprovides" | "whatreplaces" => {
            opkg.what_provides(verb == "whatprovides", &args);
            true
        }
        _ => {
            let relation = match verb.as_str() {
                "whatconflicts" => Relation::Conflicts,
                "whatrecommends" => Relation::Recommends,
                "whatsuggests" => Relation::Suggests,
                _ => Relation::Depends,
            };
            opkg.what(relation, verb == "whatdependsrec", &args);
            true
        }
    };
    if opkg.changed() && !no_action {
        let ids = opkg.database.recorded();
        *status = ids.into_iter().map(|id| front::status(&opkg.database[id])).collect();
    }
    hands.stdout.push_str(&lines);
    let mut stderr = String::new();
    if !hands.errors.is_empty() {
        stderr.push_str("Collected errors:\n");
        hands.errors.iter().for_each(|e| stderr.push_str(&format!(" * {e}")));
    }
    Said {
        command: words.join(" "),
        code: if well { 0 } else { 255 },
        stdout: without_times(&hands.stdout),
        stderr,
        status: without_times(status),
    }
}
