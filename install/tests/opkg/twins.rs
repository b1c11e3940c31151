//! Two roots that begin alike, one changed by opkg, one by whoever's turn it is; after each step they must be equal. Never
//! decides what is done.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use tempfile::TempDir;
use xpkg_fixtures::real::{self, Chroot, Output, diff};
use xpkg_install::{Options, Receipt};
use xpkg_model::Ecosystem::Openwrt;
use xpkg_model::plan::Step;

use crate::support::{Run, Source, look};

pub const ROOT: &str = "openwrt-19.07.2-x86_64-musl-ipk";
/// Where scripts write what they were called with.
pub const LOG: &str = "root/scripts";
pub const STATUS: &str = "usr/lib/opkg/status";
/// Lock files with the number of a process, and what opkg makes for its second destination, `ram`.
pub const EXCEPT: [&str; 10] = [
    STATUS,
    "tmp/lock/group",
    "tmp/lock/passwd",
    "tmp",
    "tmp/opkg-lists",
    "tmp/usr",
    "tmp/usr/lib",
    "tmp/usr/lib/opkg",
    "tmp/usr/lib/opkg/info",
    "tmp/usr/lib/opkg/status",
];

/// Who does the work.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Hand {
    Opkg,
    Ours,
}

/// Two roots that begin alike: the first is always changed by opkg alone, the second by `hands` in turns.
pub struct Twins {
    _dirs: [TempDir; 2],
    pub roots: [Chroot; 2],
    hands: [Hand; 2],
    turn: usize,
    options: fn(&mut Options),
}

impl Twins {
    pub fn new(hands: [Hand; 2]) -> Self {
        let dirs = [(); 2].map(|()| real::unpack_root(ROOT).unwrap());
        let roots = [0, 1].map(|i| Chroot::new(dirs[i].path()).unwrap());
        Self { _dirs: dirs, roots, hands, turn: 0, options: |_| {} }
    }

    /// Our options from now on, where opkg's stand in its command line.
    pub fn options(&mut self, options: fn(&mut Options)) {
        self.options = options;
    }

    pub fn each(&self, work: impl Fn(&Chroot)) {
        self.roots.iter().for_each(work);
    }

    pub fn write(&self, path: &str, text: &str) {
        self.each(|root| std::fs::write(root.root().join(path), text).unwrap());
    }

    /// Does one thing on both; answers what opkg said on the first, and our receipt where we did it.
    pub fn step(&mut self, opkg: &[&str], sources: &[&Source], steps: &[Step]) -> (Output, Option<Receipt>) {
        let hand = self.hands[self.turn % 2];
        self.turn += 1;
        let said = run_opkg(&self.roots[0], opkg, sources);
        let receipt = match hand {
            Hand::Opkg => {
                run_opkg(&self.roots[1], opkg, sources);
                None
            }
            Hand::Ours => {
                let run = Run::new(Openwrt, sources).options(|o| o.no_scripts = false).options(self.options);
                Some(run.go(self.roots[1].root(), steps.iter().cloned()))
            }
        };
        self.assert_alike(&opkg.join(" "));
        (said, receipt)
    }

    pub fn install(&mut self, source: &Source, old: Option<&Source>) -> (Output, Option<Receipt>) {
        self.step(&["install"], &[source], &[source.step(old)])
    }

    pub fn remove(&mut self, source: &Source, options: &[&str]) -> (Output, Option<Receipt>) {
        let words: Vec<&str> = options.iter().chain(&["remove", source.package.name.as_str()]).copied().collect();
        self.step(&words, &[], &[source.removal()])
    }

    pub fn assert_alike(&self, when: &str) {
        let [a, b] = &self.roots;
        let log = |root: &Chroot| std::fs::read_to_string(root.root().join(LOG)).unwrap_or_default();
        assert_eq!(log(a), log(b), "calls of scripts, {when}");
        let (theirs, ours) = (stanzas(a.root()), stanzas(b.root()));
        for name in theirs.keys().chain(ours.keys()) {
            assert_eq!(theirs.get(name), ours.get(name), "status, {when}");
        }
        let lists: BTreeSet<String> = [a, b].iter().flat_map(|r| info(r.root())).collect();
        for list in lists.iter().filter(|name| name.ends_with(".list")) {
            let lines = |root: &Chroot| {
                let text =
                    std::fs::read_to_string(root.root().join("usr/lib/opkg/info").join(list)).unwrap_or_default();
                text.lines().map(str::to_owned).collect::<BTreeSet<_>>()
            };
            assert_eq!(lines(a), lines(b), "{list}, {when}");
        }
        let mut except: Vec<String> =
            lists.into_iter().filter(|l| l.ends_with(".list")).map(|l| format!("usr/lib/opkg/info/{l}")).collect();
        except.extend(EXCEPT.map(str::to_owned));
        let except: Vec<&str> = except.iter().map(String::as_str).collect();
        let changes = diff(&look(a.root()), &look(b.root())).without(&except);
        assert!(changes.is_empty(), "{when}: {changes:?}");
        for question in ["list-installed", "list-changed-conffiles"] {
            let ask = |root: &Chroot| {
                let said = root.run(["opkg", question]).unwrap();
                let lines: BTreeSet<String> = said.lines().map(str::to_owned).collect();
                (said.status, lines, said.stderr)
            };
            assert_eq!(ask(a), ask(b), "{question}, {when}");
        }
    }
}

pub fn run_opkg(root: &Chroot, words: &[&str], sources: &[&Source]) -> Output {
    let mut args: Vec<String> = std::iter::once("opkg").chain(words.iter().copied()).map(str::to_owned).collect();
    for (i, source) in sources.iter().enumerate() {
        let path = format!("tmp/{i}.ipk");
        std::fs::copy(&source.path, root.root().join(&path)).unwrap();
        args.push(format!("/{path}"));
    }
    let said = root.run(&args).unwrap();
    for i in 0..sources.len() {
        std::fs::remove_file(root.root().join(format!("tmp/{i}.ipk"))).unwrap();
    }
    said
}

fn info(root: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(root.join("usr/lib/opkg/info")).unwrap();
    entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
}

/// Stanzas by name, without the time.
pub fn stanzas(root: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(root.join(STATUS)).unwrap();
    let stanzas = text.split("\n\n").map(str::trim).filter(|s| !s.is_empty());
    let timeless = |s: &str| {
        let lines = s.lines().filter(|l| !l.starts_with("Installed-Time:"));
        lines.map(|l| format!("{l}\n")).collect::<String>()
    };
    stanzas.map(|s| (s.lines().next().unwrap_or_default().to_owned(), timeless(s))).collect()
}
