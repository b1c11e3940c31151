//! Universes that are really installed: each becomes small signed packages in local repositories, the real apk carries out
//! command lines on one root and `xpkg apk` the same on its twin, and both are looked at after every line: words, exit code,
//! databases, files and what the packages' scripts saw. Never looks at how either came to its answer.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use xpkg_fixtures::keys::{P256, RSA};
use xpkg_fixtures::real::{self, Output, Snapshot};
use xpkg_fixtures::solver::{Case, Entry, Random, Source};
use xpkg_fixtures::{Apk, Repo};
use xpkg_model::payload::ScriptKind;
use xpkg_model::{Dependency, Ecosystem};
use xpkg_resolver::native::apk::Generation;

use crate::fidelity::RealApk;
use crate::program::binary;
use crate::{Databases, database};

/// What the roots have to themselves: where their repositories lie, what was called when, and the programs that run the
/// scripts, whose names are shared.
const OWN: [&str; 10] = [
    "etc/apk/repositories",
    "var/log",
    "tmp",
    "lib/apk/db/lock",
    "lib/apk/exec",
    "log",
    "bin",
    "lib/ld-musl-x86_64.so.1",
    "lib/libc.so",
    "lib/libgcc_s.so.1",
];

/// The programs that scripts need, of the judge's own root.
const SHELL: [&str; 4] = ["bin/busybox", "lib/ld-musl-x86_64.so.1", "lib/libc.so", "lib/libgcc_s.so.1"];

const SCRIPTS: [ScriptKind; 6] = [
    ScriptKind::PreInstall,
    ScriptKind::PostInstall,
    ScriptKind::PreUpgrade,
    ScriptKind::PostUpgrade,
    ScriptKind::PreDeinstall,
    ScriptKind::PostDeinstall,
];

/// Carries a universe out on twins, says what differs.
pub fn difference(apk: &RealApk, seed: u64, case: &Case) -> Option<String> {
    let dir = tempfile::Builder::new().prefix("c").tempdir_in(apk.root()).unwrap();
    let inside = Path::new("/").join(dir.path().file_name().unwrap());
    let real = Twin::new(dir.path().join("real"), inside.join("real").display().to_string(), apk);
    let ours = Twin::new(dir.path().join("ours"), dir.path().join("ours").display().to_string(), apk);
    let mut told = String::new();
    for (step, (sources, line)) in steps(seed, case).into_iter().enumerate() {
        if let Some(sources) = sources {
            publish(apk.generation, step, &sources, &dir.path().join("feed"));
            for twin in [&real, &ours] {
                twin.point_at(step, &sources, &dir.path().join("feed"));
            }
        }
        let (theirs, mine) = (real.ask_real(apk, &line), ours.ask_ours(&line));
        // Where the real one does not end there is nothing to compare, nor is what it left a state to go on from.
        if theirs.status == 137 || theirs.status == 152 {
            return None;
        }
        let _ = writeln!(told, "apk {}\n{}", line.join(" "), words(&theirs));
        let mut wrong = String::new();
        if words(&theirs) != words(&mine) {
            let _ = writeln!(wrong, "ours says\n{}", words(&mine));
        }
        let changes = real::diff(&real.snapshot(), &ours.snapshot()).without(&OWN).without(&database::PACKED);
        if !changes.is_empty() {
            let _ = writeln!(wrong, "the roots differ: {changes:?}");
        }
        let (theirs, mut mine) = (real.databases(), ours.databases());
        let signless = apk.generation == Generation::V2 && write_without_sign(&mut mine);
        if theirs != mine {
            let _ = writeln!(
                wrong,
                "the databases differ:\n{}",
                lines_apart(&format!("{theirs:#?}"), &format!("{mine:#?}"))
            );
        }
        let (theirs, mine) = (real.log(), ours.log());
        if theirs != mine {
            let _ = writeln!(wrong, "scripts saw\n{theirs}and with ours\n{mine}");
        }
        if !wrong.is_empty() {
            return Some(format!("--- seed {seed}\n{case}{told}{wrong}"));
        }
        // From here on the real one asks for a name that nobody has.
        if signless {
            return None;
        }
    }
    None
}

/// Writes conditions as apk 2 does in its database: `>~` and `<~` have no sign there. Answers whether there were any.
fn write_without_sign(databases: &mut Databases) -> bool {
    let mut found = false;
    let mut written = |d: &Dependency| {
        let signless = d.op.is_fuzzy() && d.op.0 & 6 != 0;
        found |= signless;
        let name = format!("{}?{}", d.name, d.version);
        signless.then(|| Dependency { conflict: d.conflict, ..Dependency::any(name) })
    };
    for record in databases.installed.values_mut() {
        for requirement in &mut record.package.depends {
            let [only] = requirement.alternatives() else { continue };
            if let Some(named) = written(only) {
                *requirement = named.into();
            }
        }
        for condition in &mut record.package.install_if {
            if let Some(named) = written(condition) {
                *condition = named;
            }
        }
    }
    found
}

/// What is asked, and the repositories that are there from then on: first those of what the case has installed, so that there
/// is something to upgrade.
fn steps(seed: u64, case: &Case) -> Vec<(Option<Vec<Source>>, Vec<String>)> {
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let mut random = Random::new(seed ^ 0x5eed);
    let first: Vec<Entry> = case.installed.iter().map(|e| Entry { tag: None, broken: false, ..e.clone() }).collect();
    let mut steps = Vec::new();
    if !first.is_empty() {
        let mut names = words("add");
        names.extend(case.world.iter().filter(|w| !w.contains('@')).cloned());
        steps.push((Some(vec![Source { tag: None, packages: first }]), names));
    }
    let mut args = case.args.clone();
    args.retain(|a| a != "--force-broken-world");
    steps.push((Some(case.sources.clone()), args));
    let name = |random: &mut Random| random.pick(&["a", "b", "c", "d"]).to_owned();
    for _ in 0..3 {
        let (a, b) = (name(&mut random), name(&mut random));
        let line = random
            .pick(&[
                "add A",
                "add A B",
                "upgrade",
                "upgrade -a",
                "del A",
                "del -r A",
                "fix A",
                "fix -r A",
                "add -u A",
                "fix",
            ])
            .replace('A', &a)
            .replace('B', &b);
        steps.push((None, words(&line)));
    }
    steps
}

/// The repositories of a step: `feed/STEP.N`.
fn publish(generation: Generation, step: usize, sources: &[Source], feed: &Path) {
    for (number, source) in sources.iter().enumerate() {
        let dir = feed.join(format!("{step}.{number}"));
        let mut repo = match generation {
            Generation::V2 => Repo::v2(dir, RSA),
            Generation::V3 => Repo::v3(dir, P256),
        }
        .unwrap();
        let mut seen = BTreeSet::new();
        for entry in &source.packages {
            // Two builds of one version would have one file name.
            if seen.insert((&entry.name, &entry.version)) {
                repo.add(package(entry)).unwrap();
            }
        }
        repo.write_index().unwrap();
    }
}

/// The package of an entry: the same for the same entry, whatever lies beside it.
fn package(entry: &Entry) -> Apk {
    let of = entry.identity().to_q1();
    let mut random = Random::new(of.bytes().fold(0, |sum, b| sum.wrapping_mul(31).wrapping_add(u64::from(b))));
    let Entry { name, version, .. } = entry;
    let mut apk = Apk::new(name, version)
        .arch("noarch")
        .file(&format!("usr/share/{name}/same"), name.as_bytes())
        .file(&format!("usr/share/{name}/version"), of.as_bytes())
        .file(&format!("usr/share/all/{name}"), version.as_bytes());
    for token in &entry.depends {
        apk = apk.depends(token);
    }
    for token in &entry.provides {
        apk = apk.provides(token);
    }
    apk = apk.install_if(&entry.install_if.join(" "));
    if entry.priority != 0 {
        apk = apk.provider_priority(entry.priority);
    }
    if random.chance(50) {
        apk = apk.file(&format!("etc/{name}.conf"), format!("of {version}\n"));
    }
    if random.chance(40) {
        apk = apk.symlink(&format!("usr/lib/{name}-{version}"), "../share/all").dir(&format!("var/lib/{name}"));
    }
    if random.chance(30) {
        apk = apk.file(&format!("usr/lib/only-{version}/{name}"), "x").mode(0o750);
        apk = apk.hardlink(&format!("usr/lib/only-{version}/{name}.2"), &format!("usr/lib/only-{version}/{name}"));
    }
    for kind in SCRIPTS {
        if random.chance(30) {
            apk = apk.script(kind, &script(entry, &format!("{kind:?}"), "echo said\n"));
        }
    }
    if random.chance(25) {
        apk = apk.trigger(&["/usr/share/*", "/etc"], &script(entry, "trigger", ""));
    }
    apk
}

fn script(entry: &Entry, kind: &str, more: &str) -> String {
    format!("#!/bin/sh\necho \"{} {} {kind} $*\" >>/log\n{more}", entry.name, entry.version)
}

/// The lines that only one text has, in their order.
fn lines_apart(theirs: &str, ours: &str) -> String {
    let (left, right): (BTreeSet<&str>, BTreeSet<&str>) = (theirs.lines().collect(), ours.lines().collect());
    let only = |text: &str, sign: &str, other: &BTreeSet<&str>| -> String {
        text.lines().filter(|l| !other.contains(l)).take(20).map(|l| format!("{sign}{}\n", l.trim())).collect()
    };
    only(theirs, "real: ", &right) + &only(ours, "ours: ", &left)
}

/// The end of a run, as one text.
fn words(output: &Output) -> String {
    format!("{}{}={}\n", output.stdout, output.stderr, output.status)
}

/// One of two roots that are to stay alike.
struct Twin {
    root: PathBuf,
    /// What its own manager calls it.
    seen_as: String,
    native: Ecosystem,
}

impl Twin {
    fn new(root: PathBuf, seen_as: String, apk: &RealApk) -> Self {
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let (native, version) = match apk.generation {
            Generation::V2 => (Ecosystem::Alpine, "2.14.4-r0"),
            Generation::V3 => (Ecosystem::Openwrt, "3.0.5-r1"),
        };
        // Whose words a root hears, and whose records it gets, hangs on the apk in its database.
        let tools = format!(
            "C:Q1AAAAAAAAAAAAAAAAAAAAAAAAAAA=\nP:apk-tools\nV:{version}\nA:noarch\nS:1\nI:1\nT:x\nU:x\nL:x\nF:usr/bin\nR:apk\n\n"
        );
        write("lib/apk/db/installed", &tools);
        write("lib/apk/db/triggers", "");
        write("lib/apk/db/scripts.tar", "");
        write("etc/apk/world", "apk-tools\n");
        write("etc/apk/arch", "x86_64\n");
        write("log", "");
        // What xpkg makes for its own state is there beforehand, and apk keeps it.
        write("usr/lib/kept", "");
        for dir in ["bin", "dev", "proc", "tmp", "var/cache/apk", "usr/share"] {
            fs::create_dir_all(root.join(dir)).unwrap();
        }
        for path in SHELL {
            let _ = fs::hard_link(apk.root().join(path), root.join(path));
        }
        std::os::unix::fs::symlink("busybox", root.join("bin/sh")).unwrap();
        for key in [RSA, P256] {
            key.write_public(&root.join("etc/apk/keys")).unwrap();
        }
        Self { root, seen_as, native }
    }

    fn point_at(&self, step: usize, sources: &[Source], feed: &Path) {
        let seen = match Path::new(&self.seen_as).parent() {
            Some(above) => above.join("feed"),
            None => feed.to_owned(),
        };
        let mut text = String::new();
        for (number, source) in sources.iter().enumerate() {
            let tag = source.tag.as_ref().map(|t| format!("@{t} ")).unwrap_or_default();
            let index = if self.native == Ecosystem::Alpine { "" } else { "/packages.adb" };
            let _ = writeln!(text, "{tag}{}/{step}.{number}{index}", seen.display());
        }
        fs::write(self.root.join("etc/apk/repositories"), text).unwrap();
    }

    fn ask_real(&self, apk: &RealApk, line: &[String]) -> Output {
        let words: Vec<&str> = ["--root", &self.seen_as].into_iter().chain(line.iter().map(String::as_str)).collect();
        self.plain(apk.run(&words))
    }

    fn ask_ours(&self, line: &[String]) -> Output {
        let mut command = Command::new(binary());
        command.args(["apk", "--root", &self.seen_as]).args(line).env_remove("APK_CONFIG").current_dir("/");
        self.plain(real::capture(command).unwrap())
    }

    fn plain(&self, mut output: Output) -> Output {
        let above = Path::new(&self.seen_as).parent().unwrap_or(Path::new("/")).display().to_string();
        for text in [&mut output.stdout, &mut output.stderr] {
            *text = text.replace(&above, "");
        }
        output
    }

    fn snapshot(&self) -> Snapshot {
        real::snapshot(&self.root).unwrap()
    }

    fn databases(&self) -> Databases {
        Databases::read(&self.root, self.native)
    }

    /// What the scripts saw, sorted: ours runs those before the change for all packages, then those after it, and the real
    /// one names the directories of a trigger in the order of a hash table.
    fn log(&self) -> String {
        let text = fs::read_to_string(self.root.join("log")).unwrap();
        let sorted = |line: &str| {
            let mut words: Vec<&str> = line.split(' ').collect();
            if let Some((head, paths)) = words.split_at_mut_checked(3)
                && head.ends_with(&["trigger"])
            {
                paths.sort_unstable();
            }
            words.join(" ") + "\n"
        };
        let mut lines: Vec<String> = text.lines().map(sorted).collect();
        lines.sort_unstable();
        lines.concat()
    }
}
