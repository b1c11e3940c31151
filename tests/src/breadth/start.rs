//! Starts the programs of an installed package, each in namespaces of its own, and says what they
//! answered and which did not get past the loader. Never judges by the answer's words alone.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use xpkg_fixtures::real::{Output, capture};

use super::layer::Layer;

/// Where programs lie.
const PLACES: [&str; 4] = ["/bin/", "/sbin/", "/usr/bin/", "/usr/sbin/"];
/// Where init scripts lie.
const SERVICES: [&str; 2] = ["/etc/init.d/", "/etc/openwrt/init.d/"];
/// Letters of a program's words that are shown.
const WIDTH: usize = 48;
/// What a program is asked that should change nothing; the first that it answers with 0 ends it.
const QUESTIONS: [&str; 3] = ["--version", "--help", "-V"];
/// Programs whose answer says more of the machine than of the program, and what is said in its place: the end of one is
/// a race with its own background process, the other lists the files where it stands as their file system has them.
const UNSTEADY: [(&str, &str); 2] = [("luci-bwc", "goes into the background"), ("lsattr", "lists attributes")];
/// Programs of one package that are started; some have hundreds.
const MOST: usize = 6;
/// Enters the root in namespaces of its own. A program that goes on (a service) is ended after some seconds: it did start.
const ENTER: &str = "mount --bind \"$0\" \"$0\" || exit 125\ntest ! -d \"$0/proc\" || mount -t proc proc \"$0/proc\" || exit 125\n\
    exec chroot \"$0\" \"$@\"";

/// What was seen of a program.
pub struct Started {
    /// Its name, without the directory.
    pub name: String,
    /// How it ended; `None` where that says nothing of it.
    pub status: Option<i32>,
    /// The first line that it said, as far as a table holds it.
    pub words: String,
    /// Why it counts as not started.
    pub failed: Option<String>,
}

/// Programs among these files, started.
pub fn programs(layer: &Layer, files: &[&str]) -> Vec<Started> {
    let is_program = |path: &&&str| {
        // Links lead to programs that are listed themselves, or to those of others.
        let meta = fs::symlink_metadata(layer.root().join(path.trim_start_matches('/')));
        PLACES.iter().any(|place| name_below(path, place).is_some())
            && meta.is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
    };
    files.iter().filter(is_program).take(MOST).map(|path| start(layer, path, &QUESTIONS)).collect()
}

/// Which of these files are init scripts.
pub fn init_scripts<'f>(files: &[&'f str]) -> Vec<&'f str> {
    files.iter().copied().filter(|path| SERVICES.iter().any(|place| name_below(path, place).is_some())).collect()
}

/// Each init script is read by what reads them at boot, and says how it is called. `openrc`: whose scripts lie in
/// `/etc/init.d`.
pub fn services(layer: &Layer, scripts: &[&str], openrc: bool) -> Vec<Started> {
    // Made at boot, by /etc/init.d/boot and OpenRC's bootmisc.
    for dir in ["tmp/lock", "run/lock"] {
        fs::create_dir_all(layer.root().join(dir)).unwrap();
    }
    let question = |path: &str| if openrc && path.starts_with("/etc/init.d/") { "describe" } else { "help" };
    scripts.iter().map(|path| start(layer, path, &[question(path)])).collect()
}

fn name_below<'p>(path: &'p str, place: &str) -> Option<&'p str> {
    path.strip_prefix(place).filter(|name| !name.contains('/'))
}

fn start(layer: &Layer, path: &str, questions: &[&str]) -> Started {
    let name = path.rsplit('/').next().unwrap_or_default().to_owned();
    let unsteady = UNSTEADY.iter().find(|(unsteady, _)| *unsteady == name);
    let mut seen = Started { name, status: None, words: String::new(), failed: Some("not asked".to_owned()) };
    for question in questions {
        let out = run(layer, &[path, question]);
        (seen.status, seen.words, seen.failed) = (Some(out.status), first_words(&out), judge(&out).err());
        if out.status == 0 || seen.failed.is_some() {
            break;
        }
    }
    if let Some((_, words)) = unsteady.filter(|_| seen.failed.is_none()) {
        (seen.status, seen.words) = (None, (*words).to_owned());
    }
    seen
}

/// The first line with a letter in it, cut to the width of a table.
fn first_words(out: &Output) -> String {
    let lines = out.stdout.lines().chain(out.stderr.lines());
    let line = lines.map(str::trim).find(|line| line.chars().any(char::is_alphabetic)).unwrap_or_default();
    let plain = line.chars().map(|c| if c.is_control() { ' ' } else { c });
    let shown: String = plain.take(WIDTH).collect();
    shown.trim_end().to_owned()
}

/// Runs a program of the root. All end by themselves; the machine may have other things to do.
pub fn run(layer: &Layer, words: &[&str]) -> Output {
    let mut command = Command::new("timeout");
    command.args([
        "--signal=KILL",
        "20",
        "unshare",
        "--mount",
        "--pid",
        "--net",
        "--ipc",
        "--uts",
        "--fork",
        "--kill-child",
    ]);
    command.args(["--propagation", "private", "/bin/sh", "-c", ENTER]).arg(layer.root()).args(words).env_clear();
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", "/root").env("LC_ALL", "C").current_dir("/");
    capture(command).unwrap()
}

/// Whether it got past the loader and did not crash. 137 is the end of its time.
fn judge(out: &Output) -> Result<(), String> {
    let words = format!("{}{}", out.stdout, out.stderr);
    let of_loader = |line: &&str| {
        ["Error loading shared library", "Error relocating", "symbol not found"].iter().any(|w| line.contains(w))
    };
    if let Some(line) = words.lines().find(of_loader) {
        return Err(line.trim().to_owned());
    }
    // Programs have ends of their own called 126, 127 and 255; these are of chroot, and signals as shells count them.
    match out.status {
        126 | 127 if words.contains("failed to run command") => Err("its interpreter is not there".to_owned()),
        status @ 129..=192 if status != 137 => Err(format!("signal {}", status - 128)),
        _ => Ok(()),
    }
}
