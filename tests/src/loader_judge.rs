//! A root's own dynamic loader as the judge of verdicts: what it says about many files, and which of them start. One
//! process of the root's shell walks the whole list.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use xpkg_fixtures::real::{Chroot, capture};

use crate::elf_lab::alone;

/// What the loader says about one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Exit status of `ld-musl --list`.
    pub status: i32,
    /// Libraries that it did not find: who needs them, and their names.
    pub libraries: BTreeSet<(String, String)>,
    /// Names that it did not find: in which object.
    pub names: BTreeSet<(String, String)>,
    /// Anything else that it said.
    pub other: Vec<String>,
}

/// Asks the loader at `loader` about every file.
pub fn list(chroot: &Chroot, loader: &str, files: &[String]) -> BTreeMap<String, Answer> {
    let script = "while read -r f; do echo \"=== $f\"; LOADER --list \"$f\" 2>&1; echo \"=== $?\"; done < /tmp/files";
    fs::create_dir_all(chroot.root().join("tmp")).unwrap();
    fs::write(chroot.root().join("tmp/files"), files.join("\n") + "\n").unwrap();
    let said = chroot.sh(&script.replace("LOADER", loader)).unwrap().expect_success().unwrap();
    let mut answers = BTreeMap::new();
    let (mut file, mut answer) = (String::new(), Answer::default());
    for line in said.lines() {
        match line.strip_prefix("=== ") {
            Some(path) if path.starts_with('/') => path.clone_into(&mut file),
            Some(status) => {
                answer.status = status.parse().unwrap();
                answers.insert(std::mem::take(&mut file), std::mem::take(&mut answer));
            }
            None => read(line, &mut answer),
        }
    }
    answers
}

/// The loader's sentences (`ldso/dynlink.c` of musl).
fn read(line: &str, answer: &mut Answer) {
    if let Some(rest) = line.strip_prefix("Error loading shared library ")
        && let Some((name, rest)) = rest.split_once(": ")
        && let Some((_, by)) = rest.split_once("(needed by ")
    {
        answer.libraries.insert((by.trim_end_matches(')').to_owned(), name.to_owned()));
    } else if let Some(rest) = line.strip_prefix("Error relocating ")
        && let Some((object, rest)) = rest.split_once(": ")
        && let Some(name) = rest.strip_suffix(": symbol not found")
    {
        answer.names.insert((object.to_owned(), name.to_owned()));
    } else if !line.contains(" => ") && !line.starts_with('\t') {
        answer.other.push(line.to_owned());
    }
}

/// Starts every program with `--version`, as nobody and with nothing around it, at most two seconds each. Gives the
/// statuses, 128 and the signal's number where one ended it, and whether the loader complained.
pub fn start(root: &Path, files: &[String]) -> BTreeMap<String, (i32, bool)> {
    const LOOP: &str = "while read -r f; do \"$f\" --version </dev/null >/tmp/said 2>&1 & p=$!; \
        (sleep 2; kill -9 $p) >/dev/null 2>&1 & k=$!; wait $p; s=$?; kill -9 $k 2>/dev/null; \
        if grep -q -e '^Error relocating ' -e '^Error loading shared' /tmp/said; then c=1; else c=0; fi; \
        echo \"=== $s $c $f\"; done < /tmp/files";
    const ENTER: &str = "mount -t proc proc \"$0/proc\" 2>/dev/null; \
        exec timeout -s KILL 300 setpriv --no-new-privs chroot --userspec=65534:65534 \"$0\" /bin/sh -c \"$1\" 2>/dev/null";
    fs::write(root.join("tmp/files"), files.join("\n") + "\n").unwrap();
    fs::write(root.join("tmp/said"), "").unwrap();
    std::os::unix::fs::chown(root.join("tmp/said"), Some(65534), Some(65534)).unwrap();
    let mut command = alone(ENTER);
    command.arg(root).arg(LOOP);
    let said = capture(command).unwrap();
    let mut answers = BTreeMap::new();
    for line in said.lines() {
        let Some(rest) = line.strip_prefix("=== ") else { continue };
        let mut words = rest.splitn(3, ' ');
        let (status, complained, file) = (words.next(), words.next(), words.next());
        let status = status.and_then(|s| s.parse().ok()).unwrap();
        answers.insert(file.unwrap().to_owned(), (status, complained == Some("1")));
    }
    answers
}
