//! Programs in a place of their own inside a real root, started there alone; and the compiler that makes some.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use xpkg_fixtures::real::{Output, capture, skip};
use xpkg_formats::Limits;
use xpkg_model::elf::ElfFacts;

/// Seconds that a program may take to say its version; one that takes longer waits for something.
const PATIENCE: &str = "2";

/// Regular files below a directory that are ELF files, sorted; several names of one file count once.
pub fn elf_files(dir: &Path) -> Vec<(PathBuf, ElfFacts)> {
    let mut found = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let meta = path.symlink_metadata().unwrap();
            if meta.is_dir() {
                todo.push(path);
            } else if meta.is_file() && seen.insert((meta.dev(), meta.ino())) {
                let mut file = fs::File::open(&path).unwrap();
                let facts = xpkg_formats::elf::read_facts(&mut file, &path.display().to_string(), &Limits::default());
                found.extend(facts.ok().flatten().map(|facts| (path, facts)));
            }
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

/// Replaces a file, keeping its mode; other names of the old one keep the old content.
pub fn replace(path: &Path, content: &[u8]) {
    let mode = path.metadata().unwrap().permissions().mode();
    fs::remove_file(path).unwrap();
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Runs a program of a root as nobody, alone in namespaces of its own: whatever it starts ends with it, and it is not their
/// first process, which would make an init of some. Its output comes in order, what it says as errors among it; the status
/// is 137 when it did not end by itself.
pub fn start(root: &Path, args: &[&str]) -> Output {
    start_within(PATIENCE, root, args)
}

/// The same, with another number of seconds before it is cut off.
pub fn start_within(seconds: &str, root: &Path, args: &[&str]) -> Output {
    const ENTER: &str = "mount -t proc proc \"$0/proc\" 2>/dev/null; exec timeout -s KILL PATIENCE \
        setpriv --no-new-privs chroot --userspec=65534:65534 \"$0\" \"$@\" 2>&1";
    let mut command = alone(&ENTER.replace("PATIENCE", seconds));
    command.arg(root).args(args);
    capture(command).unwrap()
}

/// A line of the shell as the first process of new namespaces, with nothing around it.
pub fn alone(line: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--pid", "--fork", "--net", "--ipc", "--uts", "--propagation", "private", "sh", "-c"]);
    command.arg(line).env_clear().current_dir("/");
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C").env("HOME", "/tmp");
    command
}

/// Compiles against musl; `None`, said aloud, where there is no `musl-gcc` (of `XPKG_TOOLS`, else in the path).
pub fn musl_gcc() -> Option<PathBuf> {
    let tools = std::env::var_os("XPKG_TOOLS").map(|dir| Path::new(&dir).join("musl/bin/musl-gcc"));
    let dirs = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&dirs).map(|dir| dir.join("musl-gcc")).collect::<Vec<_>>();
    let found = tools.into_iter().chain(in_path).find(|path| path.is_file());
    found.or_else(|| skip("no musl-gcc: neither below XPKG_TOOLS nor in the path"))
}

/// Makes a program or library of a source text, linked with the C library of a root: musl's compiler may have none to
/// link dynamically with.
pub fn compile(gcc: &Path, root: &Path, source: &str, options: &[&str], to: &Path) {
    let dir = tempfile::tempdir().unwrap();
    let text = dir.path().join("source.c");
    fs::write(&text, source).unwrap();
    std::os::unix::fs::symlink(root.join("lib/ld-musl-x86_64.so.1"), dir.path().join("libc.so")).unwrap();
    let mut command = Command::new(gcc);
    command.arg("-o").arg(to).arg(&text).arg("-L").arg(dir.path()).args(options);
    capture(command).unwrap().expect_success().unwrap();
}
