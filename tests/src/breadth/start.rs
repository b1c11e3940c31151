//! Starts the programs of an installed package, each in namespaces of its own, and says which did not get past the loader.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use xpkg_fixtures::real::{Output, capture};

use super::layer::Layer;

/// Where programs lie.
const PLACES: [&str; 4] = ["/bin/", "/sbin/", "/usr/bin/", "/usr/sbin/"];
/// What a program is asked that should change nothing; the first that it answers with 0 ends it.
const QUESTIONS: [&str; 3] = ["--version", "--help", "-V"];
/// Programs of one package that are started; some have hundreds.
const MOST: usize = 6;
/// Enters the root in namespaces of its own. A program that goes on (a service) is ended after some seconds: it did start.
const ENTER: &str = "mount --bind \"$0\" \"$0\" || exit 125\ntest ! -d \"$0/proc\" || mount -t proc proc \"$0/proc\" || exit 125\n\
    exec chroot \"$0\" \"$@\"";

/// How many of these files are programs that started, and what the others said.
pub fn programs(layer: &Layer, files: &[&str]) -> (usize, BTreeMap<String, String>) {
    let (mut started, mut failed) = (0, BTreeMap::new());
    let is_program = |path: &&&str| {
        // Links lead to programs that are listed themselves, or to those of others.
        let meta = fs::symlink_metadata(layer.root().join(path.trim_start_matches('/')));
        PLACES.iter().any(|place| path.strip_prefix(place).is_some_and(|name| !name.contains('/')))
            && meta.is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
    };
    for path in files.iter().filter(is_program).take(MOST) {
        match start(layer, path) {
            Ok(()) => started += 1,
            Err(why) => drop(failed.insert((*path).to_owned(), why)),
        }
    }
    (started, failed)
}

fn start(layer: &Layer, path: &str) -> Result<(), String> {
    let mut said = Err("not asked".to_owned());
    for question in QUESTIONS {
        let out = run(layer, &[path, question]);
        said = judge(&out);
        if out.status == 0 || said.is_err() {
            break;
        }
    }
    said
}

/// Runs a program of the root, five seconds at most.
pub fn run(layer: &Layer, words: &[&str]) -> Output {
    let mut command = Command::new("timeout");
    command.args([
        "--signal=KILL",
        "5",
        "unshare",
        "--mount",
        "--pid",
        "--net",
        "--ipc",
        "--uts",
        "--fork",
        "--kill-child",
    ]);
    command.args(["--propagation", "private", "sh", "-c", ENTER]).arg(layer.root()).args(words).env_clear();
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", "/root").env("LC_ALL", "C").current_dir("/");
    capture(command).unwrap()
}

/// Whether it got past the loader and did not crash. 137 is the end of its five seconds.
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
