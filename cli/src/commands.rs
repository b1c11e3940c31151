//! One file per group of commands; each reads its arguments, calls one operation of the pipeline and reports.

mod cache;
mod change;
mod check;
mod convert;
#[cfg(feature = "demo")]
mod demo;
mod image;
mod index;
mod package;
mod query;
mod service;
mod source;
mod update;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::CommandFactory as _;
use xpkg_model::Spec;
use xpkg_pipeline::{Options, Session};

use crate::args::{Cache, Cli, Command, Global, Key, Package, Service, Source};
use crate::error::Failure;
use crate::terminal::Terminal;
use crate::terminal::outln;

/// How a command that did not fail ends.
pub enum Done {
    /// As wanted.
    Well,
    /// It answered, and the answer is no: nothing found, a check that failed, an update of some sources only.
    Badly,
}

impl Done {
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Well => ExitCode::SUCCESS,
            Self::Badly => ExitCode::FAILURE,
        }
    }

    fn well_if(good: bool) -> Self {
        if good { Self::Well } else { Self::Badly }
    }
}

/// What every command gets.
struct Context<'a> {
    global: &'a Global,
    terminal: &'a Arc<Terminal>,
}

impl Context<'_> {
    fn options(&self) -> Options {
        Options {
            root: self.global.root.clone(),
            cache_dir: self.global.cache_dir.clone(),
            no_network: self.global.no_network,
            allow_untrusted: self.global.allow_untrusted,
            usermode: self.global.usermode,
            now: now(),
        }
    }

    fn session(&self) -> Result<Session, Failure> {
        Ok(Session::open(self.options(), self.terminal.clone())?)
    }
}

/// A package as a person names it.
fn spec(text: &str) -> Result<Spec, Failure> {
    text.parse().map_err(|_| Failure::usage(format!("`{}` names no package", text.escape_debug())))
}

/// Seconds since 1970; SOURCE_DATE_EPOCH decides where it is set (reproducible-builds.org's convention).
fn now() -> u64 {
    let fixed = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|text| text.parse().ok());
    fixed.unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs()))
}

/// Runs the command.
pub fn run(cli: &Cli, terminal: &Arc<Terminal>) -> Result<Done, Failure> {
    let context = Context { global: &cli.global, terminal };
    if cli.global.dry_run && writes_without_a_plan(&cli.command) {
        return Err(Failure::usage("--dry-run is for install, upgrade, remove, autoremove, hold and image build"));
    }
    match &cli.command {
        Command::Update(arguments) => update::run(&context, arguments),
        Command::Search(arguments) => query::search(&context, arguments),
        Command::Info(arguments) => query::info(&context, arguments),
        Command::List(arguments) => query::list(&context, arguments),
        Command::Files(arguments) => query::files(&context, arguments),
        Command::Owns(arguments) => query::owns(&context, arguments),
        Command::Why(arguments) => query::why(&context, arguments),
        Command::Install(arguments) => change::install(&context, arguments),
        Command::Upgrade(arguments) => change::upgrade(&context, arguments),
        Command::Remove(arguments) => change::remove(&context, arguments),
        Command::Autoremove => change::autoremove(&context),
        Command::Hold(arguments) => change::hold(&context, arguments),
        Command::Check(arguments) => check::run(&context, arguments),
        Command::Fetch(arguments) => cache::fetch(&context, arguments),
        Command::Cache(command) => cache::run(&context, command),
        Command::Service(command) => service::run(&context, command),
        Command::Source(command) => source::run(&context, command),
        Command::Key(command) => source::keys(&context, command),
        Command::Image(command) => image::run(&context, command),
        Command::Package(command) => package::run(&context, command),
        Command::Index(arguments) => index::run(&context, arguments),
        Command::Convert(arguments) => convert::run(&context, arguments),
        #[cfg(feature = "demo")]
        Command::Demo(arguments) => demo::run(&context, arguments),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "xpkg", &mut script);
            outln!("{}", String::from_utf8_lossy(&script).trim_end());
            Ok(Done::Well)
        }
        Command::Man { dir } => manual(dir),
    }
}

/// Commands that write something and have no plan to show instead.
fn writes_without_a_plan(command: &Command) -> bool {
    match command {
        Command::Update(_) | Command::Fetch(_) | Command::Man { .. } | Command::Index(_) | Command::Convert(_) => true,
        Command::Package(command) => !matches!(command, Package::Inspect { .. } | Package::Verify { .. }),
        Command::Cache(command) => matches!(command, Cache::Clean { .. }),
        Command::Source(command) => !matches!(command, Source::List),
        Command::Key(command) => !matches!(command, Key::List),
        Command::Service(command) => !matches!(command, Service::List | Service::Status { .. }),
        _ => false,
    }
}

fn manual(dir: &std::path::Path) -> Result<Done, Failure> {
    std::fs::create_dir_all(dir)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), dir))
        .map_err(|e| Failure::usage(format!("cannot write manual pages to {}: {e}", dir.display())))?;
    Ok(Done::Well)
}
