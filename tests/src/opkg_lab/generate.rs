//! Universes from seeds: names that collide in every way that opkg knows, in few packages.

use super::{Made, Step, Universe};

/// splitmix64: the same numbers everywhere.
struct Dice {
    state: u64,
    /// Only what a status file holds as it was said: opkg writes `<<` as `<`, forgets greedy needs and alternatives of
    /// conflicts, and mixes up needs of several strengths.
    plain: bool,
}

impl Dice {
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).unwrap_or(0)
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }
}

const NAMES: [&str; 9] = ["aa", "ab", "bb", "cc", "dd", "ee", "ff", "libx", "libx-new"];
const VIRTUAL: [&str; 3] = ["virt", "vv", "cc"];
const VERSIONS: [&str; 7] = ["1.0-1", "1.0-2", "1.1-1", "2.0-1", "1:0.5-1", "1.0~rc1-1", "2"];
const OPS: [&str; 8] = ["=", ">=", "<=", "<<", ">>", ">=", "<", ">"];

/// The universe of a seed.
pub fn universe(seed: u64) -> Universe {
    make(seed, false)
}

/// The universe of a seed, without what opkg's status file cannot hold.
pub fn plain_universe(seed: u64) -> Universe {
    make(seed, true)
}

fn make(seed: u64, plain: bool) -> Universe {
    let mut dice = Dice { state: seed, plain };
    let count = 3 + dice.below(6);
    let names: Vec<&str> = NAMES[..count].to_vec();
    let mut packages = Vec::new();
    for name in &names {
        let versions = if dice.one_in(3) { 2 } else { 1 };
        let mut taken = Vec::new();
        for _ in 0..versions {
            let version = dice.pick(&VERSIONS);
            if !taken.contains(&version) {
                taken.push(version);
                packages.push(package(&mut dice, name, version, &names));
            }
        }
    }
    let steps = steps(&mut dice, &packages, &names);
    Universe { seed, packages, steps }
}

fn package(dice: &mut Dice, name: &str, version: &str, names: &[&str]) -> Made {
    let mut fields: Vec<(String, String)> =
        vec![("Package".to_owned(), name.to_owned()), ("Version".to_owned(), version.to_owned())];
    let mut push = |key: &str, value: String| fields.push((key.to_owned(), value));
    if !dice.one_in(3) {
        let n = 1 + dice.below(3);
        let greedy = dice.one_in(12) && !dice.plain;
        let items: Vec<_> = (0..n).map(|_| need(dice, names, greedy)).collect();
        push("Depends", items.join(", "));
    }
    if dice.one_in(9) && !dice.plain {
        push("Recommends", need(dice, names, false));
    }
    if dice.one_in(12) && !dice.plain {
        push("Suggests", need(dice, names, false));
    }
    if dice.one_in(12) && !dice.plain {
        push("Pre-Depends", need(dice, names, false));
    }
    let conflicts = dice.one_in(5).then(|| need(dice, names, false));
    let conflicts = conflicts.map(|c| match dice.plain {
        true => c.split(" | ").next().unwrap_or_default().to_owned(),
        false => c,
    });
    let replaces_first = dice.one_in(3);
    let replaces = dice.one_in(5).then(|| {
        let same = conflicts.as_deref().filter(|_| dice.below(3) > 0);
        same.and_then(|c| c.split_whitespace().next()).unwrap_or(names[dice.below(names.len())]).to_owned()
    });
    if let (true, Some(replaces)) = (replaces_first, &replaces) {
        push("Replaces", replaces.clone());
    }
    if let Some(conflicts) = conflicts {
        push("Conflicts", conflicts);
    }
    if dice.one_in(4) {
        let mut list = vec![dice.pick(&VIRTUAL).to_owned()];
        if dice.one_in(4) {
            list.push(names[dice.below(names.len())].to_owned());
        }
        push("Provides", list.join(", "));
    }
    if let (false, Some(replaces)) = (replaces_first, replaces) {
        push("Replaces", replaces);
    }
    if dice.one_in(20) {
        push("Essential", "yes".to_owned());
    }
    let arch = if dice.one_in(25) { "mips" } else { dice.pick(&["all", "all", "x86_64", "noarch"]) };
    push("Architecture", arch.to_owned());
    push("Installed-Size", "10".to_owned());
    if dice.one_in(2) {
        push("Description", format!("what {name} is"));
    }
    // One file for each name, the same in all versions: files are another suite's.
    Made { fields, files: vec![format!("usr/bin/{name}")] }
}

fn need(dice: &mut Dice, names: &[&str], greedy: bool) -> String {
    let mut alternatives = Vec::new();
    for _ in 0..if dice.one_in(5) { 2 } else { 1 } {
        let name = match dice.below(12) {
            0..=1 => dice.pick(&VIRTUAL).to_owned(),
            2 if dice.one_in(3) => "missing".to_owned(),
            _ => names[dice.below(names.len())].to_owned(),
        };
        let condition = if dice.one_in(4) {
            format!(" ({} {})", if dice.plain { dice.pick(&OPS[..3]) } else { dice.pick(&OPS) }, dice.pick(&VERSIONS))
        } else {
            String::new()
        };
        alternatives.push(format!("{name}{condition}"));
    }
    let text = alternatives.join(" | ");
    if greedy { format!("{text} *") } else { text }
}

fn steps(dice: &mut Dice, packages: &[Made], names: &[&str]) -> Vec<Step> {
    let all: Vec<usize> = (0..packages.len()).collect();
    let mut steps = vec![Step::Lists(if dice.one_in(2) {
        all.clone()
    } else {
        all.iter().copied().filter(|_| dice.below(4) > 0).collect()
    })];
    for _ in 0..2 + dice.below(4) {
        if dice.one_in(4) {
            let some = all.iter().copied().filter(|_| dice.below(5) > 0).collect();
            steps.push(Step::Lists(some));
        }
        steps.push(Step::Run(command(dice, packages.len(), names)));
    }
    steps
}

fn command(dice: &mut Dice, packages: usize, names: &[&str]) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for (option, n) in [
        ("--force-depends", 12),
        ("--noaction", 10),
        ("--nodeps", 15),
        ("--force-downgrade", 12),
        ("--download-only", 30),
        ("-A", 4),
        ("-V0", 40),
        ("--nocase", 40),
    ] {
        if dice.one_in(n) {
            words.push(option.to_owned());
        }
    }
    let name = |dice: &mut Dice| match dice.below(14) {
        0 => format!("@{}", dice.below(packages)),
        1 => dice.pick(&VIRTUAL).to_owned(),
        _ => names[dice.below(names.len())].to_owned(),
    };
    let verb = match dice.below(20) {
        0..=7 => "install",
        8..=10 => "remove",
        11..=12 => "upgrade",
        13 => "flag",
        14 => "list-upgradable",
        15 => "configure",
        16 => dice.pick(&["whatdepends", "whatdependsrec", "whatrecommends", "whatsuggests", "whatconflicts"]),
        17 => dice.pick(&["whatprovides", "whatreplaces", "depends"]),
        18 => dice.pick(&["list-installed", "status", "list", "find"]),
        _ => "info",
    };
    if verb == "remove" {
        for (option, n) in [
            ("--autoremove", 4),
            ("--force-removal-of-dependent-packages", 4),
            ("--force-removal-of-essential-packages", 4),
        ] {
            if dice.one_in(n) {
                words.push(option.to_owned());
            }
        }
    }
    if verb == "install" && dice.one_in(15) {
        words.push("--force-reinstall".to_owned());
    }
    words.push(verb.to_owned());
    match verb {
        "flag" => {
            words.push(dice.pick(&["hold", "user", "ok", "noprune", "unpacked", "installed"]).to_owned());
            words.push(names[dice.below(names.len())].to_owned());
        }
        "list-upgradable" => {}
        "configure" | "list-installed" | "status" | "list" | "find" | "info" => {
            if verb == "find" || dice.one_in(3) {
                words.push(dice.pick(&["*a*", "lib*", "aa", "[a-c]?"]).to_owned());
            }
        }
        "install" | "upgrade" => {
            for _ in 0..1 + dice.below(2) {
                words.push(name(dice));
            }
        }
        _ => {
            for _ in 0..1 + dice.below(2) {
                words.push(if dice.one_in(6) { "*".to_owned() } else { names[dice.below(names.len())].to_owned() });
            }
        }
    }
    words
}
