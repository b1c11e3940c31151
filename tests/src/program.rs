//! The built `xpkg`, run as a person runs it. Never links to any of its crates.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

use serde_json::Value;
use xpkg_fixtures::real::{Output, capture};

/// `xpkg` on one root.
#[derive(Clone, Debug)]
pub struct Xpkg {
    root: PathBuf,
    options: Vec<OsString>,
    program: Option<PathBuf>,
}

impl Xpkg {
    /// `xpkg --root DIR`.
    pub fn on(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), options: Vec::new(), program: None }
    }

    /// With a global option in every run.
    pub fn with<A: AsRef<OsStr>>(mut self, options: impl IntoIterator<Item = A>) -> Self {
        self.options.extend(options.into_iter().map(|o| o.as_ref().to_owned()));
        self
    }

    /// By another build than [`binary`].
    pub fn run_by(self, program: &Path) -> Self {
        Self { program: Some(program.to_owned()), ..self }
    }

    /// The command line, not started yet; nobody is asked anything.
    pub fn command<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(self.program.as_deref().unwrap_or_else(|| binary()));
        command.arg("--root").arg(&self.root).arg("--yes").args(&self.options).args(args);
        for proxy in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
            command.env_remove(proxy);
        }
        command
    }

    /// Runs it.
    pub fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Output {
        capture(self.command(args)).unwrap()
    }

    /// Runs it and expects success.
    pub fn ok<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Output {
        self.run(args).expect_success().unwrap()
    }

    /// Runs it with `--json`, expects success and reads the answer.
    pub fn json<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Value {
        let out = self.clone().with(["--json"]).ok(args);
        serde_json::from_str(&out.stdout).unwrap_or_else(|e| panic!("{e}: {out:?}"))
    }

    /// Runs it, expects a refusal (status 1) and gives everything it said.
    pub fn refused<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> String {
        let out = self.run(args);
        assert_eq!(out.status, 1, "not refused: {out:?}");
        format!("{}{}", out.stdout, out.stderr)
    }
}

/// The program: `XPKG_BIN`, else the one beside this test's own executable, built anew when it is missing or older than
/// what it is made of.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(given) = std::env::var_os("XPKG_BIN") {
            return PathBuf::from(given);
        }
        let test = std::env::current_exe().unwrap();
        let profile_dir = test.parent().and_then(Path::parent).unwrap();
        let binary = profile_dir.join("xpkg");
        let built = fs::metadata(&binary).and_then(|m| m.modified()).ok();
        if built.is_none_or(|built| built < newest_source()) {
            build(profile_dir);
        }
        binary
    })
}

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn build(profile_dir: &Path) {
    let profile = match profile_dir.file_name().and_then(OsStr::to_str) {
        Some("debug") => "dev",
        other => other.unwrap(),
    };
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--bin", "xpkg", "--package", "xpkg", "--profile", profile]);
    cargo.arg("--target-dir").arg(profile_dir.parent().unwrap()).current_dir(project());
    capture(cargo).and_then(Output::expect_success).unwrap();
}

/// When any source, rule or manifest of the program was changed last.
fn newest_source() -> SystemTime {
    let crates = ["model", "formats", "resolver", "repos", "shims", "install", "image", "pipeline", "cli", "fixtures"];
    let mut newest = SystemTime::UNIX_EPOCH;
    let mut todo: Vec<PathBuf> = crates.iter().map(|name| project().join(name)).collect();
    while let Some(path) = todo.pop() {
        let meta = fs::metadata(&path).unwrap();
        if !meta.is_dir() {
            newest = newest.max(meta.modified().unwrap());
        } else if !path.ends_with("tests") && !path.ends_with("examples") {
            todo.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    newest
}
