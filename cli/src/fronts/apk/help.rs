//! Version and help texts, in the form that apk's have: callers look for verbs and options in them. Says nothing else.

use std::fmt::Write as _;

use xpkg_pipeline::front::apk::Generation;

use super::options::{GROUPS, Opt, Takes};

/// The verbs by what they are for.
const SECTIONS: &[(&str, &[(&str, &str)])] = &[
    (
        "Package installation and removal",
        &[
            ("add", "Put packages into the world and install them"),
            ("del", "Take packages out of the world and remove them"),
        ],
    ),
    (
        "System maintenance",
        &[
            ("fix", "Repair, reinstall or upgrade packages; the world stays as it is"),
            ("update", "Fetch the indexes"),
            ("upgrade", "Install newer versions"),
            ("cache", "Look after the cache of packages"),
        ],
    ),
    (
        "Querying package information",
        &[
            ("query", "Ask about packages by any of their fields"),
            ("list", "List packages"),
            ("dot", "Draw dependencies as a graph"),
            ("policy", "Show which repository offers which version"),
            ("search", "Find packages by name or description"),
            ("info", "Show what is known of packages"),
        ],
    ),
    (
        "Repository and package maintenance",
        &[
            ("mkndx", "Write an index of packages (v3)"),
            ("index", "Write an index of packages (v2)"),
            ("fetch", "Download packages"),
            ("manifest", "Show the digests of a package's files"),
            ("extract", "Unpack package files"),
            ("verify", "Check package files"),
        ],
    ),
    (
        "Miscellaneous",
        &[("audit", "Find changed files"), ("stats", "Count packages and files"), ("version", "Compare versions")],
    ),
];

/// How each verb is called.
const USAGE: &[(&str, &[&str])] = &[
    ("add", &["[CONSTRAINTS|FILES]..."]),
    ("del", &["CONSTRAINTS..."]),
    ("fix", &["[PACKAGES]..."]),
    ("update", &[""]),
    ("upgrade", &["[PACKAGES]..."]),
    ("cache", &["clean", "download [CONSTRAINTS]...", "purge", "sync [CONSTRAINTS]..."]),
    ("query", &["QUERY..."]),
    ("list", &["PATTERN..."]),
    ("dot", &["[PATTERN]..."]),
    ("policy", &["PACKAGES..."]),
    ("search", &["PATTERN..."]),
    ("info", &["PACKAGES...", "-W FILE..."]),
    ("mkndx", &["FILES..."]),
    ("index", &["FILES..."]),
    ("fetch", &["PACKAGES..."]),
    ("manifest", &["PACKAGES|FILES..."]),
    ("extract", &["FILES..."]),
    ("verify", &["FILES..."]),
    ("audit", &["[DIRECTORIES]..."]),
    ("stats", &[""]),
    ("version", &["[PACKAGES]...", "-c VERSIONS...", "-t VERSION VERSION", "-I"]),
];

/// The line that names the apk whose words are spoken; callers take the version from it.
pub(super) fn version(generation: Generation) -> String {
    let spoken = super::SPOKEN.iter().find(|(g, _)| *g == generation).map_or("3", |(_, v)| v);
    let arch = xpkg_pipeline::front::apk::built_for();
    format!("apk-tools {spoken}, compiled for {arch}.")
}

/// The help of a verb, or of all.
pub(super) fn text(verb: &str, generation: Generation) -> String {
    let usage = if generation == Generation::Apk3 { "Usage" } else { "usage" };
    let mut text = format!("{}\n\n", version(generation));
    let Some((_, forms)) = USAGE.iter().find(|(name, _)| *name == verb) else {
        let _ = writeln!(text, "{usage}: apk [<OPTIONS>...] COMMAND [<OPTIONS>...] [<ARGUMENTS>...]");
        for (title, verbs) in SECTIONS {
            let _ = write!(text, "\n{title}:\n");
            for (name, about) in *verbs {
                let _ = writeln!(text, "  {name:<10} {about}");
            }
        }
        text.push_str("\nThis is xpkg, which answers to the name of apk.\n");
        return text;
    };
    for (i, form) in forms.iter().enumerate() {
        let lead = if i == 0 { format!("{usage}:") } else { "   or:".to_owned() };
        let _ = writeln!(text, "{} {form}", format!("{lead} apk {verb} [<OPTIONS>...]").trim_end());
    }
    for group in GROUPS.iter().filter(|g| g.verbs.is_empty() || g.verbs.contains(&verb)) {
        let _ = write!(text, "\n{} options:\n", group.title);
        for option in group.options {
            let left = left(option);
            if left.len() > 22 {
                let _ = writeln!(text, "  {left}\n{:24}{}", "", option.help);
            } else {
                let _ = writeln!(text, "  {left:<22}{}", option.help);
            }
        }
    }
    text
}

fn left(option: &Opt) -> String {
    let mut words: Vec<String> = option.names().map(|n| format!("--{n}")).collect();
    words.extend(option.letters.chars().map(|c| format!("-{c}")));
    let after = match option.takes {
        Takes::Nothing => "",
        Takes::Switch => "[=BOOL]",
        Takes::Auto => "[=AUTO]",
        Takes::Value => " VALUE",
    };
    format!("{}{after}", words.join(", "))
}
