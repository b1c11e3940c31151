//! Verdicts against the loaders they speak of: for every program and library of four real roots, and of whole feeds laid
//! over them, `xpkg check` names the same missing libraries and names as the root's own loader, and programs start or
//! crash as it says. The outcome is `docs/verdicts.md`; `XPKG_RECORD=1` writes it anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;
use xpkg_fixtures::real::{self, ALPINE_3_19, ALPINE_3_20, Chroot, OPENWRT_19_07, OPENWRT_25_12, capture};
use xpkg_model::elf::Kind;
use xpkg_tests::elf_lab::elf_files;
use xpkg_tests::loader_judge::{self, Answer};
use xpkg_tests::system::ready;
use xpkg_tests::{Xpkg, verdict_table};

const LOADER: &str = "/lib/ld-musl-x86_64.so.1";
/// Where programs and libraries lie in packages.
const DIRS: [&str; 8] = ["bin", "sbin", "lib", "usr/bin", "usr/sbin", "usr/lib", "usr/libexec", "opt"];

/// Packages that are laid over a root, where they lie in the real data.
const ALPINE: (&str, &[&str]) =
    ("Alpine 3.19", &["alpine-3.19/main/x86_64", "alpine-3.19/community/x86_64", "alpine-3.19-iso/x86_64"]);
const NEW: (&str, &[&str]) = (
    "OpenWrt 25.12",
    &[
        "openwrt-25.12/base",
        "openwrt-25.12/luci",
        "openwrt-25.12/packages",
        "openwrt-25.12/routing",
        "openwrt-25.12/target",
    ],
);
const OLD: (&str, &[&str]) =
    ("OpenWrt 19.07", &["openwrt-19.07/base", "openwrt-19.07/luci", "openwrt-19.07/packages", "openwrt-19.07/target"]);
const TMUX: (&str, &[&str]) = ("tmux with DT_RELR", &["made/alpine-tmux/x86_64"]);

type Feed = (&'static str, &'static [&'static str]);
const CASES: [(&str, &str, &[Feed]); 4] = [
    ("OpenWrt 25.12", OPENWRT_25_12, &[NEW, ALPINE, TMUX]),
    ("OpenWrt 19.07", OPENWRT_19_07, &[OLD, ALPINE, TMUX]),
    ("Alpine 3.19", ALPINE_3_19, &[ALPINE, NEW, OLD]),
    ("Alpine 3.20", ALPINE_3_20, &[ALPINE, NEW, OLD]),
];

#[test]
fn verdicts_are_the_loaders() {
    if !ready() {
        return;
    }
    let feeds: BTreeMap<&str, TempDir> = [ALPINE, NEW, OLD, TMUX].map(|feed| (feed.0, unpack(feed))).into();
    let mut table = verdict_table::Table::default();
    std::thread::scope(|scope| {
        let runs = CASES.map(|(title, root, laid)| {
            let feeds = &feeds;
            scope.spawn(move || rows(title, root, laid, feeds))
        });
        for run in runs {
            table.rows.extend(run.join().unwrap());
        }
    });
    table.hold();
}

fn rows(title: &'static str, root: &str, laid: &[Feed], feeds: &BTreeMap<&str, TempDir>) -> Vec<verdict_table::Row> {
    let fresh = real::unpack_root(root).unwrap();
    let own = files(fresh.path());
    let mut rows = vec![judge(title, "", fresh.path(), &own)];
    assert!(!own.is_empty());
    for (name, _) in laid {
        let root = real::unpack_root(root).unwrap();
        for dir in DIRS {
            let (from, to) = (feeds[name].path().join(dir), root.path().join(dir));
            if from.is_dir() {
                fs::create_dir_all(&to).unwrap();
                // What the root has stays.
                let mut cp = Command::new("cp");
                cp.args(["-a", "--no-clobber"]).arg(from.join(".")).arg(&to);
                capture(cp).unwrap();
            }
        }
        let coming: Vec<_> = files(root.path()).into_iter().filter(|file| !own.contains(file)).collect();
        // A feed from which a root was made brings nothing new to it.
        if !coming.is_empty() {
            rows.push(judge(title, name, root.path(), &coming));
        }
    }
    rows
}

/// Dynamic files, and whether each is a program.
fn files(root: &Path) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    for dir in DIRS.map(|dir| root.join(dir)).iter().filter(|dir| dir.is_dir() && !dir.is_symlink()) {
        for (path, facts) in elf_files(dir) {
            let name = format!("/{}", path.strip_prefix(root).unwrap().display());
            if facts.is_dynamic() && !name.contains("/ld-musl-") && !name.ends_with("/libc.so") {
                found.push((name, facts.kind == Kind::Program));
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Unpacks packages, each with the tool that its format has.
fn unpack((_, dirs): Feed) -> TempDir {
    let to = tempfile::Builder::new().prefix("xpkg-feed-").tempdir().unwrap();
    let mut v3 = Vec::new();
    for dir in dirs {
        let mut packages: Vec<PathBuf> =
            fs::read_dir(real::data().unwrap().join(dir)).unwrap().map(|e| e.unwrap().path()).collect();
        packages.sort();
        for package in packages {
            let name = package.to_str().unwrap();
            let line = if name.ends_with(".ipk") {
                "tar -xzOf \"$0\" ./data.tar.gz | tar -xzf - -C \"$1\""
            } else if name.ends_with(".apk") && fs::read(&package).unwrap().starts_with(b"ADB") {
                v3.push(package);
                continue;
            } else if name.ends_with(".apk") {
                "tar --warning=no-unknown-keyword --exclude=.* --exclude=lib/modules -xzf \"$0\" -C \"$1\""
            } else {
                continue;
            };
            let mut sh = Command::new("sh");
            sh.args(["-c", line]).arg(&package).arg(to.path());
            capture(sh).unwrap().expect_success().unwrap();
        }
    }
    if !v3.is_empty() {
        let judge = real::unpack_root(OPENWRT_25_12).unwrap();
        let chroot = Chroot::new(judge.path()).unwrap();
        fs::create_dir(judge.path().join("in")).unwrap();
        fs::create_dir(judge.path().join("out")).unwrap();
        for package in v3 {
            fs::copy(&package, judge.path().join("in").join(package.file_name().unwrap())).unwrap();
        }
        let line = "for p in /in/*; do apk extract --allow-untrusted --destination /out $p || exit 1; done";
        chroot.sh(line).unwrap().expect_success().unwrap();
        let mut cp = Command::new("cp");
        cp.arg("-a").arg(judge.path().join("out/.")).arg(to.path());
        capture(cp).unwrap().expect_success().unwrap();
    }
    to
}

fn judge(title: &'static str, laid: &'static str, root: &Path, files: &[(String, bool)]) -> verdict_table::Row {
    let chroot = Chroot::new(root).unwrap();
    let names: Vec<String> = files.iter().map(|(name, _)| name.clone()).collect();
    let loader = loader_judge::list(&chroot, LOADER, &names);
    let said = Xpkg::on(root).with(["--json"]).run(["check"].into_iter().chain(names.iter().map(String::as_str)));
    let said: Value = serde_json::from_str(&said.stdout).unwrap_or_else(|e| panic!("{e}: {said:?}"));
    let mut ours: BTreeMap<&str, &Value> = BTreeMap::new();
    for row in said["checked"].as_array().unwrap() {
        ours.insert(row["subject"].as_str().unwrap(), row);
    }
    let mut row = verdict_table::Row { root: title, laid, files: names.len(), ..verdict_table::Row::default() };
    let real_paths = real_paths(&chroot, loader.values());
    let mut crash = BTreeSet::new();
    let mut run = Vec::new();
    for (name, is_program) in files {
        let (Some(loader), Some(ours)) = (loader.get(name), ours.get(name.as_str())) else {
            row.differ(name, "not judged by both");
            continue;
        };
        let ours = Ours::of(ours);
        match ours.differs(loader, &real_paths) {
            None => row.agreed += 1,
            Some(why) => row.differ(name, &why),
        }
        row.unresolved += usize::from(loader.status != 0);
        if *is_program && loader.status == 0 {
            run.push(name.clone());
            if ours.crashes {
                crash.insert(name.clone());
            }
        }
    }
    for (name, (status, complained)) in loader_judge::start(root, &run) {
        let crashed = complained || matches!(status, 132..=136 | 139);
        row.programs += 1;
        row.crashes += usize::from(crashed);
        if crashed == crash.contains(&name) {
            row.started += 1;
        } else {
            row.differ(
                &name,
                &format!("started: status {status}, we say it {}", if crashed { "runs" } else { "crashes" }),
            );
        }
    }
    assert_eq!(row.programs, run.len(), "{title} {laid}");
    row
}

/// What `check` says of one file, in the loader's terms.
#[derive(Default)]
struct Ours {
    libraries: BTreeSet<(String, String)>,
    names: BTreeMap<String, usize>,
    crashes: bool,
    refused: Vec<String>,
}

impl Ours {
    fn of(row: &Value) -> Self {
        let mut ours = Self::default();
        for finding in row["findings"].as_array().unwrap() {
            let text = |key: &str| finding[key].as_str().unwrap().to_owned();
            let number = |detail: String| detail.split(' ').find_map(|w| w.parse::<usize>().ok()).unwrap();
            match finding["code"].as_str().unwrap() {
                "missing-library" => drop(ours.libraries.insert((text("file"), text("subject")))),
                "missing-symbol" if text("subject") == "…" => {
                    *ours.names.entry(text("file")).or_default() += number(text("detail"));
                }
                "missing-symbol" => *ours.names.entry(text("file")).or_default() += 1,
                "plugin-unresolved" => *ours.names.entry(text("file")).or_default() += number(text("detail")),
                "relr" => ours.crashes = finding["severity"] != "warning",
                _ if finding["severity"] == "warning" => {}
                code => ours.refused.push(code.to_owned()),
            }
        }
        ours
    }

    fn differs(&self, loader: &Answer, real: &BTreeMap<String, String>) -> Option<String> {
        if !self.refused.is_empty() {
            let other = self.refused.join(", ");
            return (loader.status == 0).then(|| format!("we refuse it ({other}), the loader takes it"));
        }
        let path = |path: &String| real.get(path).unwrap_or(path).clone();
        let theirs: BTreeSet<_> = loader.libraries.iter().map(|(by, name)| (path(by), name.clone())).collect();
        if theirs != self.libraries {
            return Some(format!("libraries: loader {theirs:?}, we {:?}", self.libraries));
        }
        if !theirs.is_empty() {
            return None; // without all libraries nobody knows the names
        }
        let mut names: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
        for (object, name) in &loader.names {
            names.entry(path(object)).or_default().insert(name);
        }
        let counts: BTreeMap<String, usize> =
            names.iter().map(|(object, names)| (object.clone(), names.len())).collect();
        if counts != self.names {
            return Some(format!("names: loader {names:?}, we {:?}", self.names));
        }
        let failed = !loader.names.is_empty();
        (failed != (loader.status != 0)).then(|| format!("loader: status {} {:?}", loader.status, loader.other))
    }
}

/// Real paths of the objects that the loader calls by the names it opened them by.
fn real_paths<'a>(chroot: &Chroot, answers: impl Iterator<Item = &'a Answer>) -> BTreeMap<String, String> {
    let mut objects = BTreeSet::new();
    for answer in answers {
        objects.extend(answer.libraries.iter().chain(&answer.names).map(|(object, _)| object.as_str()));
    }
    let list: Vec<&str> = objects.into_iter().collect();
    fs::write(chroot.root().join("tmp/objects"), list.join("\n") + "\n").unwrap();
    let line = "while read -r f; do test -n \"$f\" && readlink -f \"$f\" || echo \"$f\"; done < /tmp/objects";
    let said = chroot.sh(line).unwrap().expect_success().unwrap();
    let real: Vec<String> = said.lines().map(str::to_owned).collect();
    assert!(list.is_empty() || real.len() == list.len(), "{list:?} {real:?}");
    list.into_iter().map(str::to_owned).zip(real).collect()
}
