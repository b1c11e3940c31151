//! The options that apk takes, by group, as apk(8) and the pages of its verbs list them for 2.14 and 3.0 together. The texts are
//! what `--help` shows.

/// What may follow an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Takes {
    /// Nothing.
    Nothing,
    /// `=yes`, `=no`; `--no-NAME` turns it off.
    Switch,
    /// The same and `=auto`.
    Auto,
    /// A value, in the same word or the next.
    Value,
}

/// One option.
#[derive(Debug)]
pub(in super::super) struct Opt {
    /// Long name.
    pub name: &'static str,
    /// Other long names, separated by spaces.
    pub also: &'static str,
    /// Letters.
    pub letters: &'static str,
    /// What follows it.
    pub takes: Takes,
    /// One line of help.
    pub help: &'static str,
}

impl Opt {
    /// All long names.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        [self.name].into_iter().chain(self.also.split_ascii_whitespace())
    }

    /// Whether `--no-NAME` is understood.
    pub fn can_be_off(&self) -> bool {
        matches!(self.takes, Takes::Switch | Takes::Auto)
    }
}

/// Options and the verbs that take them.
pub(in super::super) struct Group {
    /// Title in the help.
    pub title: &'static str,
    /// The verbs; empty: all.
    pub verbs: &'static [&'static str],
    /// The options.
    pub options: &'static [Opt],
}

const fn flag(name: &'static str, letters: &'static str, help: &'static str) -> Opt {
    Opt { name, also: "", letters, takes: Takes::Nothing, help }
}

const fn named(name: &'static str, also: &'static str, letters: &'static str, help: &'static str) -> Opt {
    Opt { name, also, letters, takes: Takes::Nothing, help }
}

const fn switch(name: &'static str, letters: &'static str, help: &'static str) -> Opt {
    Opt { name, also: "", letters, takes: Takes::Switch, help }
}

const fn auto(name: &'static str, letters: &'static str, help: &'static str) -> Opt {
    Opt { name, also: "", letters, takes: Takes::Auto, help }
}

const fn value(name: &'static str, letters: &'static str, help: &'static str) -> Opt {
    Opt { name, also: "", letters, takes: Takes::Value, help }
}

/// The verbs that are understood.
pub(in super::super) const VERBS: &[&str] = &[
    "add", "del", "fix", "update", "upgrade", "cache", "query", "list", "dot", "policy", "search", "info", "fetch",
    "manifest", "extract", "verify", "index", "mkndx", "audit", "stats", "version",
];

/// Every verb takes these.
pub(in super::super) const GLOBAL: &[Opt] = &[
    flag("help", "h", "Show this"),
    flag("force", "f", "Turn on the --force- options that are safe to combine (old scripts use it)"),
    auto("interactive", "i", "Ask before changing anything"),
    value("root", "p", "Work on the file system in DIR"),
    flag("quiet", "q", "Say less"),
    flag("update-cache", "U", "Fetch the indexes first, as --cache-max-age 0 does"),
    flag("verbose", "v", "Say more; may be given twice"),
    flag("version", "V", "Show the version"),
    value("repository", "X", "Take packages from this repository too"),
    flag("allow-untrusted", "", "Accept what no trusted key has signed"),
    value("arch", "", "Another architecture than the root's; the first one given is the main one"),
    switch("cache", "", "Whether anything is kept in the cache"),
    value("cache-dir", "", "Where the cache is, below the root"),
    value("cache-max-age", "", "Minutes after which an index is fetched anew"),
    switch("cache-packages", "", "Whether installed package files are kept"),
    switch("cache-predownload", "", "Whether all packages are fetched before the first is installed; always so here"),
    switch("check-certificate", "", "Whether servers must prove who they are; always so here"),
    flag("force-binary-stdout", "", "Write binary data to a terminal"),
    flag("force-broken-world", "", "Leave out constraints of the world that cannot be met"),
    flag("force-missing-repositories", "", "Go on where an index is missing"),
    flag("force-no-chroot", "", "Not supported: scripts always run inside the root"),
    flag("force-non-repository", "", "Go on where packages would be lost at a reboot"),
    flag("force-old-apk", "", "Go on where packages need something newer"),
    flag("force-overwrite", "", "Overwrite files of other packages"),
    flag("force-refresh", "", "Use nothing from the cache"),
    value("keys-dir", "", "Where the trusted keys are, below the root"),
    switch("legacy-info", "", "Whether `info` answers in its old form"),
    switch("logfile", "", "Whether the log is written"),
    switch("network", "", "Whether the network may be used"),
    switch("preserve-env", "", "Accepted; scripts always get a small environment of their own"),
    auto("pretty-print", "", "Accepted; nothing depends on it"),
    value("preupgrade-depends", "", "Accepted; what is upgraded first is fixed"),
    flag("print-arch", "", "Show the main architecture"),
    auto("progress", "", "Accepted; no progress bar is drawn"),
    value("progress-fd", "", "Accepted; no progress is written"),
    switch("purge", "", "Remove changed configuration, and packages from the cache, too"),
    value("repositories-file", "", "Read the repositories from FILE instead"),
    value("repository-config", "", "A line as repository files have it"),
    auto("root-tmpfs", "", "Accepted; nothing depends on it"),
    auto("sync", "", "Accepted; changes always reach the disk"),
    value("timeout", "", "Seconds of silence after which a transfer ends"),
    value("uvol-manager", "", "Accepted; volumes are not supported"),
    value("wait", "", "Seconds to wait for the lock"),
];

const COMMIT: &[Opt] = &[
    switch("simulate", "s", "Show what would be done"),
    switch("clean-protected", "", "Whether new configuration is put beside a changed one"),
    switch("commit-hooks", "", "Whether the hooks before and after a change run"),
    flag("initramfs-diskless-boot", "", "Accepted; nothing depends on it"),
    flag("overlay-from-stdin", "", "Accepted; nothing depends on it"),
    switch("scripts", "", "Whether scripts run"),
];

const QUERY: &[Opt] = &[
    flag("all-matches", "", "Every match, not the best for each query"),
    flag("available", "", "Only what a repository offers"),
    value("fields", "", "What to show, separated by commas"),
    value("format", "", "default, json or yaml"),
    value("from", "", "Where to look: system, repositories, installed or none"),
    flag("installed", "", "Only what is installed"),
    value("match", "", "The fields that are compared"),
    flag("recursive", "", "And everything that is needed"),
    value("summarize", "", "The different values of one field"),
    named("upgradable", "upgradeable", "", "Only what has a newer version"),
    flag("world", "", "And what the world asks for"),
    flag("orphaned", "", "Only what no repository offers"),
];

/// All groups.
pub(in super::super) const GROUPS: &[Group] = &[
    Group { title: "Global", verbs: &[], options: GLOBAL },
    Group { title: "Commit", verbs: &["add", "del", "fix", "upgrade"], options: COMMIT },
    Group { title: "Query", verbs: &["query", "list", "search", "info", "fetch", "policy"], options: QUERY },
    Group {
        title: "Add",
        verbs: &["add"],
        options: &[
            flag("initdb", "", "Make an empty database"),
            flag("latest", "l", "Prefer the newest version whatever else speaks for another"),
            flag("no-chown", "", "Apply no owners"),
            flag("upgrade", "u", "Upgrade the packages and what they need"),
            flag("usermode", "", "Apply no owners: a database of an ordinary user"),
            value("virtual", "t", "Make a package NAME that needs the others"),
        ],
    },
    Group { title: "Del", verbs: &["del"], options: &[flag("rdepends", "r", "Remove what depends on them too")] },
    Group {
        title: "Fix",
        verbs: &["fix"],
        options: &[
            flag("depends", "d", "And what they depend on"),
            flag("directory-permissions", "", "Put modes of directories right"),
            flag("reinstall", "r", "Install them again"),
            flag("upgrade", "u", "Upgrade them where that is possible"),
            flag("xattr", "x", "Only those with broken attributes"),
        ],
    },
    Group {
        title: "Upgrade",
        verbs: &["upgrade"],
        options: &[
            flag("available", "a", "Take what the repositories have, older versions too"),
            flag("ignore", "", "Upgrade everything but the packages named"),
            flag("latest", "l", "Prefer the newest version whatever else speaks for another"),
            Opt {
                name: "preupgrade",
                also: "self-upgrade",
                letters: "",
                takes: Takes::Switch,
                help: "Whether apk itself is upgraded first",
            },
            named("preupgrade-only", "self-upgrade-only", "", "Upgrade apk itself and stop"),
            flag("prune", "", "Forget what no repository offers any more"),
        ],
    },
    Group {
        title: "Cache",
        verbs: &["cache"],
        options: &[
            flag("add-dependencies", "", "The arguments and the world"),
            flag("available", "a", "Take what the repositories have"),
            flag("ignore-conflict", "", "Accepted; conflicts always count"),
            flag("latest", "l", "Prefer the newest version"),
            flag("upgrade", "u", "Prefer newer versions to the installed ones"),
            switch("simulate", "s", "Show what would be done"),
        ],
    },
    Group {
        title: "List",
        verbs: &["list"],
        options: &[
            flag("available", "a", "Only what a repository offers"),
            flag("depends", "d", "Those that depend on PATTERN"),
            flag("installed", "I", "Only what is installed"),
            flag("manifest", "", "Name and version only"),
            flag("origin", "o", "Those made from the source package PATTERN"),
            flag("orphaned", "O", "Only what no repository offers"),
            flag("providers", "P", "Those that provide PATTERN"),
            named("upgradable", "upgradeable", "u", "Only what has a newer version"),
        ],
    },
    Group {
        title: "Search",
        verbs: &["search"],
        options: &[
            flag("all", "a", "All versions"),
            flag("description", "d", "Look into descriptions too"),
            flag("exact", "ex", "Whole names only"),
            flag("has-origin", "", "Compare with the source package"),
            flag("origin", "o", "Show the source package"),
            flag("rdepends", "r", "Show what needs them"),
        ],
    },
    Group {
        title: "Info",
        verbs: &["info"],
        options: &[
            flag("all", "a", "Everything"),
            flag("contents", "L", "Files"),
            flag("depends", "R", "What it needs"),
            flag("description", "d", "Description"),
            named("exists", "installed", "e", "Whether it is installed"),
            flag("install-if", "", "What brings it by itself"),
            flag("license", "", "License"),
            flag("provides", "P", "What it provides"),
            flag("rdepends", "r", "What needs it"),
            flag("replaces", "", "Whose files it may take"),
            flag("rinstall-if", "", "What it brings by itself"),
            flag("size", "s", "Installed size"),
            flag("triggers", "t", "Its triggers"),
            flag("webpage", "w", "Web page"),
            flag("who-owns", "W", "Whose a file is"),
        ],
    },
    Group {
        title: "Fetch",
        verbs: &["fetch"],
        options: &[
            value("built-after", "", "Only packages built after this time, in seconds since 1970"),
            flag("link", "l", "Link instead of copying where possible"),
            value("pkgname-spec", "", "How files are named"),
            value("output", "o", "Put them into DIR"),
            flag("recursive", "R", "And everything they need"),
            switch("simulate", "", "Show what would be done"),
            flag("stdout", "s", "Write them to standard output"),
            flag("url", "", "Show where they are"),
            flag("world", "w", "What the world needs"),
        ],
    },
    Group {
        title: "Extract",
        verbs: &["extract"],
        options: &[value("destination", "", "Put the files into DIR"), flag("no-chown", "", "Apply no owners")],
    },
    Group {
        title: "Audit",
        verbs: &["audit"],
        options: &[
            flag("backup", "", "Configuration only (default)"),
            flag("check-permissions", "", "Compare owners and modes too"),
            flag("details", "", "Show what was expected and what was found"),
            flag("full", "", "Everything on the file system"),
            flag("ignore-busybox-symlinks", "", "Pass over links to busybox"),
            flag("packages", "", "Show the packages only"),
            value("protected-paths", "", "Take protected paths from FILE"),
            flag("recursive", "r", "Go into directories that are new too"),
            flag("system", "", "All files of packages"),
        ],
    },
    Group {
        title: "Version",
        verbs: &["version"],
        options: &[
            flag("all", "a", "All repository tags"),
            flag("check", "c", "Whether these are versions"),
            flag("indexes", "I", "Describe the indexes"),
            value("limit", "l", "Only these signs"),
            flag("test", "t", "Compare two versions"),
        ],
    },
    Group {
        title: "Dot",
        verbs: &["dot"],
        options: &[flag("errors", "", "Only what is broken"), flag("installed", "", "Only what is installed")],
    },
    Group {
        title: "Index",
        verbs: &["index", "mkndx"],
        options: &[
            value("description", "d", "Text about the index"),
            value("output", "o", "Write it to FILE"),
            value("index", "x", "An older index whose entries are taken over"),
            flag("no-warnings", "", "Say nothing of missing dependencies"),
            value("rewrite-arch", "", "Name this architecture for all"),
            value("sign-key", "", "Sign it with the key in FILE"),
        ],
    },
];

/// The groups of a verb, the global one first.
pub(in super::super) fn group(verb: &str) -> Vec<&'static [Opt]> {
    GROUPS.iter().filter(|g| g.verbs.is_empty() || g.verbs.contains(&verb)).map(|g| g.options).collect()
}
