//! `xpkg apk …`: reads the words as apk does, runs the verb, and ends with apk's exit code. What the verbs say is in the files
//! beside this one; what they do is the pipeline's.

mod audit;
mod change;
mod files;
mod graph;
mod help;
mod info;
mod list;
mod options;
mod query;
mod repositories;
mod search;
mod talk;
mod versions;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;

use xpkg_pipeline::front::apk::{Database, Error, Generation, Need, Settings, generation};

use options::{Options, Refused};
use talk::Talk;

/// What a verb ends with: the number of things that failed, or an error of its own.
type Outcome = Result<usize, Error>;

/// apk's exit code for errors that are no count.
const FAILED: u8 = 99;
/// Highest version apk's own answers are modelled on, by generation.
const SPOKEN: [(Generation, &str); 2] = [(Generation::Apk2, "2.14.0"), (Generation::Apk3, "3.0.5")];

/// Everything a verb gets.
struct Call {
    options: Options,
    talk: Arc<Talk>,
    generation: Generation,
}

impl Call {
    fn apk3(&self) -> bool {
        self.generation == Generation::Apk3
    }

    /// Opens the root, and says what is to be said of its repositories.
    fn open(&self, need: Need) -> Result<Database, Error> {
        self.open_as(need, self.settings()?)
    }

    fn open_as(&self, need: Need, settings: Settings) -> Result<Database, Error> {
        let opened = Database::open(settings, need, Arc::clone(&self.talk) as Arc<dyn xpkg_model::Observer>);
        let database = match opened {
            Err(error @ Error::Database { .. }) => {
                let text = error.to_string();
                // apk 3 says for queries what apk 2 says for everything but locking.
                let text = if self.apk3() { text } else { text.replace("read database", "read database state") };
                self.talk.error(&text);
                let why = text.split_once(": ").map_or("", |(_, why)| why);
                return Err(Error::Said(format!("Failed to open apk database: {why}")));
            }
            other => other?,
        };
        if let Some(why) = &database.unread {
            let file = self.options.value("repositories-file").unwrap_or_default();
            if self.apk3() {
                self.talk.error(&format!("failed to read repositories: {file}: {why}"));
            } else {
                self.talk.error(&format!("failed to read repositories: {file}"));
                self.talk
                    .message("NOTE: --repositories-file is relative to the startup directory since apk 2.12.0_rc2");
            }
        }
        for warning in database.warnings() {
            self.talk.warning(&warning);
        }
        Ok(database)
    }

    fn settings(&self) -> Result<Settings, Error> {
        self.options.settings().map_err(Error::Said)
    }
}

/// Runs what follows the front's name.
pub fn main(words: Vec<OsString>) -> ExitCode {
    let words: Vec<String> = words.into_iter().map(|w| w.to_string_lossy().into_owned()).collect();
    let root = options::root_of(&words);
    let generation = generation(&root);
    let parsed = options::parse(&words, generation);
    let options = match parsed {
        Ok(options) => options,
        Err(refused) => return refuse(&refused, generation),
    };
    let talk = Arc::new(Talk::new(generation, options.verbosity(), options.logs()));
    if options.has("version") && !(options.verb == "version" && options.verb_has("version")) {
        println!("{}", help::version(generation));
        return ExitCode::SUCCESS;
    }
    let call = Call { options, talk: Arc::clone(&talk), generation };
    if call.options.has("print-arch") {
        return print_arch(&call);
    }
    if call.options.has("help") || call.options.verb.is_empty() {
        print!("{}", help::text(&call.options.verb, generation));
        return ExitCode::FAILURE;
    }
    if call.options.has("usermode") && generation == Generation::Apk3 && rustix_is_root() {
        talk.error("--usermode not allowed as root");
        return ExitCode::from(FAILED);
    }
    let code = match run(&call) {
        Ok(count) => u8::try_from(count).unwrap_or(FAILED).min(FAILED),
        Err(error) => {
            let words = words_of(&error);
            talk.error(&words);
            if words.starts_with("command line: ") { 1 } else { FAILED }
        }
    };
    if let Ok(settings) = call.settings() {
        talk.write_log(&settings, &words);
    }
    ExitCode::from(code)
}

fn rustix_is_root() -> bool {
    xpkg_pipeline::front::apk::is_superuser()
}

/// The message with all its causes.
fn words_of(error: &Error) -> String {
    match error {
        Error::Failed(error) => error.words(),
        other => other.to_string(),
    }
}

fn run(call: &Call) -> Outcome {
    match call.options.verb.as_str() {
        "add" | "del" | "fix" | "upgrade" => change::run(call),
        "update" => repositories::update(call),
        "cache" => repositories::cache(call),
        "fetch" => repositories::fetch(call),
        "policy" => repositories::policy(call),
        "stats" => repositories::stats(call),
        "list" => list::run(call),
        "info" => info::run(call),
        "search" => search::run(call),
        "query" => query::run(call),
        "version" => versions::run(call),
        "dot" => graph::run(call),
        "audit" => audit::run(call),
        "manifest" => files::manifest(call),
        "verify" => files::verify(call),
        "extract" => files::extract(call),
        "index" | "mkndx" => files::index(call),
        other => Err(Error::Said(format!("'{other}' is not supported by xpkg's apk"))),
    }
}

fn print_arch(call: &Call) -> ExitCode {
    let settings = call.settings().unwrap_or_default();
    let arch = xpkg_pipeline::front::apk::main_arch(&settings);
    println!("{arch}");
    ExitCode::SUCCESS
}

fn refuse(refused: &Refused, generation: Generation) -> ExitCode {
    match refused {
        Refused::Verb(word) => eprintln!("ERROR: '{word}' is not an apk command. See 'apk --help'."),
        Refused::Option { verb, apk2, apk3 } => {
            if generation == Generation::Apk3 {
                eprintln!("ERROR: command line: {apk3}");
            } else {
                print!("{}", help::text(verb, generation));
                eprintln!("apk: {apk2}");
            }
        }
    }
    ExitCode::FAILURE
}
