//! The same question to our decisions and to the real apk: universes become questions of the resolver, and roots below
//! the real one's root, and both answers become the same text.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use xpkg_fixtures::real::{self, Chroot, Output};
use xpkg_fixtures::solver::{Case, write_apk_root};
use xpkg_model::Dependency;
use xpkg_resolver::native::apk::{
    Add, Fix, Generation, Line, Options, Record, Repository, Universe, Upgrade, Verb, decide,
};

/// Processor time of one question. 2.14 does not end on some universes; only then is a second used up.
const SECONDS: u32 = 1;

/// A real apk, which answers as many questions as one likes.
pub struct RealApk {
    /// Which one.
    pub generation: Generation,
    root: TempDir,
    chroot: Chroot,
    program: &'static str,
}

impl RealApk {
    /// Unpacks the root that has it. `None` where the real data or the rights are missing.
    pub fn new(generation: Generation) -> Option<Self> {
        if real::data().is_none() || !real::root_rights() {
            return None;
        }
        let (name, program) = match generation {
            Generation::V2 => (real::ALPINE_3_20, "/sbin/apk"),
            Generation::V3 => (real::OPENWRT_25_12, "/usr/bin/apk"),
        };
        let root = real::unpack_root(name).unwrap();
        let chroot = Chroot::new(root.path()).unwrap();
        Some(Self { generation, root, chroot, program })
    }

    /// The directory of its root.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// Carries out a command line in its root, with the limit of time that questions have.
    pub fn run(&self, line: &[&str]) -> Output {
        let limited = format!("ulimit -t {SECONDS}; exec {} \"$@\" </dev/null", self.program);
        self.chroot.run(["/bin/sh", "-c", limited.as_str(), "apk"].iter().chain(line)).unwrap()
    }

    /// What it answers, as text.
    pub fn answers(&self, cases: &[Case]) -> Vec<String> {
        let dir = tempfile::Builder::new().prefix("u").tempdir_in(self.root.path()).unwrap();
        let inside = Path::new("/").join(dir.path().file_name().unwrap());
        let mut script = format!("cd {}\n", inside.display());
        for (number, case) in cases.iter().enumerate() {
            let seen_as = format!("{}/{number}", inside.display());
            write_apk_root(case, &dir.path().join(number.to_string()), &seen_as).unwrap();
            let args: Vec<String> = case.args.iter().map(|a| format!("'{a}'")).collect();
            let _ = writeln!(
                script,
                "(ulimit -t {SECONDS}; exec {} --root {seen_as} --simulate --allow-untrusted --no-network {} >{number}/out 2>{number}/err </dev/null); echo $? >{number}/status",
                self.program,
                args.join(" ")
            );
        }
        fs::write(dir.path().join("ask"), script).unwrap();
        let ask = inside.join("ask");
        self.chroot.run(["/bin/sh".as_ref(), ask.as_os_str()]).unwrap();
        (0..cases.len())
            .map(|number| {
                let read = |name: &str| fs::read(dir.path().join(number.to_string()).join(name)).unwrap_or_default();
                let text =
                    |name: &str| String::from_utf8_lossy(&read(name)).replace(&format!("{}/", inside.display()), "");
                answer(text("out").lines(), text("err").lines(), text("status").trim().parse().unwrap_or(-1))
            })
            .collect()
    }
}

/// Whether an answer is that of an apk which was ended because it had used up its time. Where the limit is at once the last
/// one, the kernel ends it by `SIGKILL`, else by `SIGXCPU`.
pub fn never_ended(answer: &str) -> bool {
    answer.ends_with("=137\n") || answer.ends_with("=152\n")
}

fn answer<'a>(out: impl Iterator<Item = &'a str>, err: impl Iterator<Item = &'a str>, status: i32) -> String {
    let mut text = String::new();
    for line in out {
        let _ = writeln!(text, "{line}");
    }
    for line in err {
        let _ = writeln!(text, "!{line}");
    }
    if status != 0 {
        let _ = writeln!(text, "={status}");
    }
    text
}

/// What we answer, as the same text.
pub fn our_answer(case: &Case, generation: Generation) -> String {
    let Some((universe, verb, options)) = question(case, generation) else {
        return "not a question\n".to_owned();
    };
    let answer_of = decide(&universe, &verb, &options);
    let (mut out, mut err, mut status) = (Vec::new(), Vec::new(), answer_of.status);
    for line in answer_of.said {
        match line {
            Line::Out(text) => out.push(text),
            Line::Err(text) => err.push(text),
        }
    }
    out.extend(answer_of.first.iter().flat_map(xpkg_resolver::native::apk::Plan::lines));
    if let Some(plan) = &answer_of.plan {
        out.extend(plan.lines());
        out.push(plan.last_line(plan.errors, options.simulate));
        status = i32::try_from(plan.errors).unwrap();
    }
    answer(out.iter().map(String::as_str), err.iter().map(String::as_str), status)
}

/// A case as a question of the resolver.
pub fn question(case: &Case, generation: Generation) -> Option<(Universe, Verb, Options)> {
    let mut universe = Universe::new(generation);
    universe.world = parse(&case.world)?;
    for entry in &case.installed {
        universe.installed.push(Record {
            package: Arc::new(entry.package().ok()?),
            tag: entry.tag.clone(),
            broken: entry.broken,
            broken_xattr: false,
        });
    }
    for source in &case.sources {
        let packages = source.packages.iter().map(|e| e.package().ok().map(Arc::new)).collect::<Option<_>>()?;
        universe.repositories.push(Repository { tag: source.tag.clone(), packages, available: true });
    }
    let mut options = Options { simulate: true, ..Options::default() };
    let verb = verb(&case.args, &mut options)?;
    Some((universe, verb, options))
}

fn parse(tokens: &[String]) -> Option<Vec<Dependency>> {
    tokens.iter().map(|t| t.parse().ok()).collect()
}

fn verb(args: &[String], options: &mut Options) -> Option<Verb> {
    let (verb, rest) = args.split_first()?;
    let mut flags = Vec::new();
    let mut names = Vec::new();
    let mut virtual_package = None;
    let mut rest = rest.iter();
    while let Some(arg) = rest.next() {
        match arg.as_str() {
            "--force-broken-world" => options.force_broken_world = true,
            "-t" => {
                let (name, version) = rest.next()?.split_once('=')?;
                virtual_package = Some((name.to_owned(), version.to_owned()));
            }
            flag if flag.starts_with('-') => flags.push(flag),
            _ => names.push(arg.clone()),
        }
    }
    let has = |long: &str, short: &str| flags.contains(&long) || flags.contains(&short);
    Some(match verb.as_str() {
        "add" => Verb::Add(Add {
            wanted: parse(&names)?,
            files: Vec::new(),
            upgrade: has("--upgrade", "-u"),
            latest: has("--latest", "-l"),
            virtual_package,
        }),
        "del" => Verb::Del(names, has("--rdepends", "-r")),
        "upgrade" => Verb::Upgrade(Upgrade {
            names,
            available: has("--available", "-a"),
            latest: has("--latest", "-l"),
            ignore: has("--ignore", ""),
            prune: has("--prune", ""),
            no_self_upgrade: has("--no-self-upgrade", ""),
            self_upgrade_only: has("--self-upgrade-only", ""),
        }),
        "fix" => Verb::Fix(Fix {
            names,
            depends: has("--depends", "-d"),
            reinstall: has("--reinstall", "-r"),
            upgrade: has("--upgrade", "-u"),
            xattr: has("--xattr", "-x"),
        }),
        _ => return None,
    })
}
