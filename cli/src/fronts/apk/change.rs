//! `add`, `del`, `fix`, `upgrade`: what is asked becomes a decision, the decision is told step by step as it is carried out, and
//! the last line says what is installed. What is decided and done is the pipeline's.

use std::io::{BufRead as _, Write as _};
use std::path::Path;

use xpkg_model::payload::ScriptKind;
use xpkg_model::{Dependency, Event};
use xpkg_pipeline::front::apk::change::{
    Action, Add, Answer, Change, Done, Fix, Line, LocalFiles, Plan, Upgrade, Verb,
};
use xpkg_pipeline::front::apk::{Database, Error, Need, Refresh};

use super::talk::{Talk, civil, size};
use super::{Call, Outcome};

/// Columns where no terminal says otherwise (apk-tools, `apk_get_screen_width`).
const WIDTH: usize = 50;

/// Runs one of the verbs.
pub(super) fn run(call: &Call) -> Outcome {
    let verb = call.options.verb.as_str();
    let settings = call.settings()?;
    let refresh = if verb == "del" { Refresh::Never } else { Refresh::WhenOld };
    let need = Need { write: true, refresh, ..Need::default() };
    if verb == "add" && !call.apk3() {
        // apk 2 looks for files before it opens anything.
        for file in call.options.arguments.iter().filter(|a| a.contains(".apk")) {
            if !Path::new(file).exists() {
                return Err(Error::Said(format!("{file}: No such file or directory")));
            }
        }
    }
    let mut database = call.open_as(need, settings)?;
    if verb == "upgrade" {
        database.check_complete()?;
    }
    call.talk.begin_log();
    let mut files = LocalFiles::default();
    let asked = ask(call, &database, &mut files)?;
    let answer = database.decide(&asked, &files, WIDTH);
    say(call, &answer);
    if let Some(first) = &answer.first {
        let failed = carry_out(call, &mut database, first, &files)?;
        if failed.is_some_and(|n| n > 0) || call.options.has("preupgrade-only") {
            return Ok(failed.unwrap_or(0));
        }
        call.talk.message("Continuing the upgrade transaction with new apk-tools:");
        // The root has another apk now, and so another database.
        database = call.open_as(Need { write: true, ..Need::default() }, database.settings.clone())?;
        let answer = database.decide(&without_self(asked), &files, WIDTH);
        say(call, &answer);
        return settle(call, &mut database, &answer, &files);
    }
    settle(call, &mut database, &answer, &files)
}

fn without_self(verb: Verb) -> Verb {
    match verb {
        Verb::Upgrade(upgrade) => Verb::Upgrade(Upgrade { no_self_upgrade: true, ..upgrade }),
        other => other,
    }
}

fn settle(call: &Call, database: &mut Database, answer: &Answer, files: &LocalFiles) -> Outcome {
    match &answer.plan {
        Some(plan) => Ok(carry_out(call, database, plan, files)?.unwrap_or(0)),
        None => Ok(usize::try_from(answer.status).unwrap_or(99)),
    }
}

pub(super) fn say(call: &Call, answer: &Answer) {
    for line in &answer.said {
        match line {
            Line::Out(text) => call.talk.message(text),
            Line::Err(text) => match (text.strip_prefix("ERROR: "), text.strip_prefix("WARNING: ")) {
                (Some(text), _) => call.talk.error(text),
                (_, Some(text)) => call.talk.warning(text),
                _ => call.talk.go_on(text),
            },
        }
    }
}

fn ask(call: &Call, database: &Database, files: &mut LocalFiles) -> Result<Verb, Error> {
    let options = &call.options;
    let names = options.arguments.clone();
    Ok(match options.verb.as_str() {
        "del" => Verb::Del(names, options.has("rdepends")),
        "fix" => Verb::Fix(Fix {
            names,
            depends: options.has("depends"),
            reinstall: options.has("reinstall"),
            upgrade: options.has("upgrade"),
            xattr: options.has("xattr"),
        }),
        "upgrade" => Verb::Upgrade(Upgrade {
            names,
            available: options.has("available"),
            latest: options.has("latest"),
            ignore: options.has("ignore"),
            prune: options.has("prune"),
            no_self_upgrade: options.is_off("preupgrade"),
            self_upgrade_only: options.has("preupgrade-only"),
        }),
        _ => {
            let mut wanted = Vec::new();
            for name in &names {
                if name.contains(".apk") && Path::new(name).exists() {
                    database.open_local(Path::new(name), files)?;
                    continue;
                }
                let dependency: Dependency = name.parse().map_err(|_| {
                    Error::Said(format!(
                        "'{name}' is not a valid world dependency, format is name(@tag)([<>~=]version)"
                    ))
                })?;
                wanted.push(dependency);
            }
            let packages = files.packages();
            let virtual_package = options.value("virtual").map(|given| match given.split_once('=') {
                Some((name, version)) => (name.to_owned(), version.to_owned()),
                None => (given.to_owned(), version_of(database.settings.now)),
            });
            Verb::Add(Add {
                wanted,
                files: packages,
                upgrade: options.has("upgrade"),
                latest: options.has("latest"),
                virtual_package,
            })
        }
    })
}

/// `20261124.152039`: the time as a version.
fn version_of(now: u64) -> String {
    let (year, month, day) = civil(now / 86_400);
    let rest = now % 86_400;
    format!("{year:04}{month:02}{day:02}.{:02}{:02}{:02}", rest / 3600, rest / 60 % 60, rest % 60)
}

/// Tells and carries out a plan; `None` when a person said no.
fn carry_out(call: &Call, database: &mut Database, plan: &Plan, files: &LocalFiles) -> Result<Option<usize>, Error> {
    let interactive = call.options.has("interactive") && !database.settings.simulate;
    if !plan.changes.is_empty() && (interactive || call.talk.verbosity() > 1) {
        overview(call, database, plan, interactive);
    }
    if interactive && !plan.changes.is_empty() && !confirmed() {
        return Ok(None);
    }
    let lines = plan.lines();
    if database.settings.simulate {
        lines.iter().for_each(|line| call.talk.message(line));
        last_line(call, database, plan, true, plan.errors);
        return Ok(Some(plan.errors));
    }
    if let Ok(mut progress) = call.talk.progress.lock() {
        *progress = Some(Progress::new(plan, lines, call.apk3()));
    }
    let done = database.carry_out(plan, files);
    let progress = call.talk.progress.lock().ok().and_then(|mut progress| progress.take());
    if let Some(mut progress) = progress
        && done.is_ok()
    {
        progress.finish(&call.talk);
    }
    let done: Done = match done {
        Ok(done) => done,
        Err(error) => return refused(call, &error).map(Some),
    };
    for (package, kind, reason) in &done.failed_scripts {
        // What xpkg says as `it ended with exit code 1`.
        let code = reason.rsplit_once("exit code ").map_or(reason.as_str(), |(_, code)| code);
        call.talk.error(&format!("{package}.{kind}: script exited with error {code}"));
    }
    let errors = plan.errors + done.failed_scripts.len();
    let settings = database.settings.clone();
    let after = Database::open(
        settings,
        Need { without_repositories: true, ..Need::default() },
        std::sync::Arc::new(xpkg_model::event::Silent),
    )?;
    last_line(call, &after, plan, false, errors);
    Ok(Some(errors))
}

/// A plan that was refused as a whole: every reason is one of apk's errors. Nothing was changed.
fn refused(call: &Call, error: &Error) -> Outcome {
    let conflicts = match error {
        Error::Failed(error) => error.file_conflicts(),
        _ => Vec::new(),
    };
    if conflicts.is_empty() {
        call.talk.error(&super::words_of(error));
        return Ok(1);
    }
    for (package, path, against) in &conflicts {
        call.talk.error(&format!("{package}: trying to overwrite {path} {against}."));
    }
    Ok(conflicts.len())
}

fn last_line(call: &Call, database: &Database, plan: &Plan, simulated: bool, errors: usize) {
    let word = match errors {
        0 => "OK:".to_owned(),
        1 => "1 error;".to_owned(),
        n => format!("{n} errors;"),
    };
    // apk 2 counts only what was really done; apk 3 what would be.
    let (packages, bytes) = match (simulated, call.apk3()) {
        (true, true) => plan.after,
        (true, false) => plan.before,
        (false, _) => (
            i64::try_from(database.installed.len()).unwrap_or(0),
            i64::try_from(database.installed_bytes()).unwrap_or(0),
        ),
    };
    let bytes = u64::try_from(bytes).unwrap_or(0);
    let bytes = if call.apk3() { size(bytes, call.generation) } else { format!("{} MiB", bytes / (1024 * 1024)) };
    if call.talk.verbosity() > 1 {
        let (dirs, files) = database.counts();
        call.talk.message(&format!("{word} {packages} packages, {dirs} dirs, {files} files, {bytes}"));
    } else {
        call.talk.message(&format!("{word} {bytes} in {packages} packages"));
    }
}

fn overview(call: &Call, database: &Database, plan: &Plan, interactive: bool) {
    let of =
        |wanted: &[Action]| -> Vec<&Change> { plan.changes.iter().filter(|c| wanted.contains(&c.action)).collect() };
    let (removed, older) = (of(&[Action::Purge]), of(&[Action::Downgrade]));
    let name = |c: &&Change| c.new.as_ref().or(c.old.as_ref()).map_or(String::new(), |p| p.name.clone());
    let full = |c: &&Change| c.old.as_ref().map_or(String::new(), |p| format!("{} ({})", p.name, p.version));
    let versions = |c: &&Change| match (&c.old, &c.new) {
        (Some(old), Some(new)) if call.apk3() && call.talk.verbosity() > 1 => {
            format!("{} ({} -> {})", new.name, old.version, new.version)
        }
        _ => name(c),
    };
    let with_versions = call.apk3() && call.talk.verbosity() > 1;
    let removed: Vec<String> = removed.iter().map(|c| if with_versions { full(c) } else { name(c) }).collect();
    let older: Vec<String> = older.iter().map(versions).collect();
    let told = list(call, "The following packages will be REMOVED:", &removed)
        | list(call, "The following packages will be DOWNGRADED:", &older);
    if told || interactive || call.talk.verbosity() > 2 {
        let new: Vec<String> = of(&[Action::Install]).iter().map(name).collect();
        list(call, "The following NEW packages will be installed:", &new);
        let newer: Vec<String> = of(&[Action::Upgrade, Action::Replace]).iter().map(versions).collect();
        list(call, "The following packages will be upgraded:", &newer);
        let again: Vec<String> = of(&[Action::Reinstall]).iter().map(name).collect();
        list(call, "The following packages will be reinstalled:", &again);
        let download = database.download_size(plan);
        if download > 0 {
            call.talk.message(&format!("Need to download {} of packages.", size(download, call.generation)));
        }
        let change = plan.after.1 - plan.before.1;
        let shown = size(change.unsigned_abs(), call.generation);
        let what = if change < 0 { "disk space will be freed." } else { "additional disk space will be used." };
        call.talk.message(&format!("After this operation, {shown} of {what}"));
    }
}

/// Words in lines of at most [`WIDTH`] columns, set in by two.
fn list(call: &Call, title: &str, items: &[String]) -> bool {
    if items.is_empty() {
        return false;
    }
    call.talk.message(title);
    let mut line = " ".to_owned();
    for item in items {
        if line.len() > 1 && line.len() + 1 + item.len() > WIDTH {
            call.talk.message(&line);
            line = " ".to_owned();
        }
        line.push(' ');
        line.push_str(item);
    }
    call.talk.message(&line);
    true
}

fn confirmed() -> bool {
    print!("Do you want to continue [Y/n]? ");
    let _ = std::io::stdout().flush();
    let mut answer = String::new();
    // Nobody there to answer: yes, as apk has it.
    let _ = std::io::stdin().lock().read_line(&mut answer);
    !answer.trim_start().starts_with(['n', 'N'])
}

/// The steps of a change as they are told: each with its scripts below it.
pub(super) struct Progress {
    lines: Vec<String>,
    titles: Vec<String>,
    told: usize,
    indented: bool,
}

impl Progress {
    fn new(plan: &Plan, lines: Vec<String>, indented: bool) -> Self {
        let title = |c: &Change| {
            c.new.as_ref().or(c.old.as_ref()).map_or(String::new(), |p| format!("{}-{}", p.name, p.version))
        };
        Self { titles: plan.changes.iter().map(title).collect(), lines, told: 0, indented }
    }

    /// Takes an event of the transaction.
    pub fn hear(&mut self, talk: &Talk, event: &Event) {
        match event {
            Event::PackageStep { name, version, .. } => {
                let title = format!("{name}-{version}");
                // Steps that change no file stand between those that do.
                let end = self.titles.iter().position(|t| *t == title).map_or(self.told, |at| at + 1);
                self.tell_until(talk, end);
            }
            Event::Script { package, version, kind: Some(kind), .. } => {
                let indent = if self.indented && *kind != ScriptKind::Trigger { "  " } else { "" };
                talk.message(&format!("{indent}Executing {package}-{version}.{}", kind.as_str()));
            }
            Event::Script { package, kind: None, arguments, .. } if talk.verbosity() > 1 => {
                talk.message(&format!("Executing: {package} {}", arguments.join(" ")));
            }
            Event::ScriptOutput { line, .. } if self.indented => talk.message(&format!("  * {line}")),
            Event::ScriptOutput { line, .. } => talk.message(line),
            _ => {}
        }
    }

    fn tell_until(&mut self, talk: &Talk, end: usize) {
        while self.told < end {
            if let Some(line) = self.lines.get(self.told) {
                talk.message(line);
            }
            self.told += 1;
        }
    }

    /// What was not told yet.
    fn finish(&mut self, talk: &Talk) {
        self.tell_until(talk, self.lines.len());
    }
}
