//! The built program's account of a universe: `xpkg opkg` on a directory, with the same package files that the real opkg
//! gets. What differs on purpose (docs/opkg.md) is left out on both sides.

use std::fs;
use std::process::Command;

use xpkg_fixtures::real::capture;

use super::real::{list, prepare, without_lost_lists, without_times};
use super::{Said, Step, Universe};
use crate::program::binary;

/// Carries a universe out with `xpkg opkg`.
pub fn carry_out_by_front(universe: &Universe) -> Vec<Said> {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    let shown = format!("/u/{}", universe.seed);
    let here = root.display().to_string();
    prepare(&root, universe, &here);
    let mut said = Vec::new();
    for step in &universe.steps {
        let words = match step {
            Step::Lists(which) => {
                fs::write(root.join("var/opkg-lists/feed"), list(universe, which)).unwrap();
                continue;
            }
            Step::Run(words) => words,
        };
        let mut command = Command::new(binary());
        command.args(["opkg", "-o", &here, "-f", &format!("{here}/etc/opkg.conf")]).current_dir(&root);
        command.args(words.iter().map(|w| super::real::argument(universe, w).replace(&shown, &here)));
        let out = capture(command).unwrap();
        let status = fs::read_to_string(root.join("usr/lib/opkg/status")).unwrap();
        said.push(Said {
            command: words.join(" "),
            code: out.status,
            stdout: without_times(&out.stdout.replace(&here, &shown)),
            stderr: without_lost_lists(&out.stderr.replace(&here, &shown)),
            status: without_times(&status),
        });
    }
    said
}

/// An account without what the front does otherwise on purpose: the order of stanzas, and what was wanted and not had.
pub fn as_front_tells(said: Vec<Said>) -> Vec<Said> {
    let stanzas = |status: &str| {
        let there = |s: &&str| !s.trim().is_empty() && !s.contains(" not-installed");
        // In a circle of needs opkg records what a person named as automatic too.
        let once = |s: &str| match s.contains(" user ") || s.contains(",user ") {
            true => s.replace("\nAuto-Installed: yes", ""),
            false => s.to_owned(),
        };
        let mut kept: Vec<String> = status.split("\n\n").filter(there).map(once).collect();
        kept.sort_unstable();
        kept.join("\n\n")
    };
    said.into_iter().map(|s| Said { status: stanzas(&s.status), ..s }).collect()
}
