//! The same lines were given to OpenWrt's opkg 2020-01-25; what it took and what it passed over is written here.

use super::*;

const TEXT: &str = "dest root /
# c
  # indented
arch foo
arch bar 20
arch \"ba z\" \"30\"
arch qux 0x10
arch neg -5
bogus a b
src/gz a http://x/ extra
src/gz \"b c\" \"http://y\"
src/gz d http://z # comment
src/gz a http://dup
src/gz\"e\"http://zz
option verbosity 2
option verbosity 3
option check_signature
option check_signature 0
option nothing 1
include /etc/x
arch tab\t5
lists_dir ext /var/opkg-lists
src plain file:///srv
dist old http://debian main
src/gz g \"unclosed
";

fn read(text: &str) -> Conf {
    let mut conf = Conf::new();
    conf.read(text.as_bytes(), "opkg.conf", &Limits::default()).unwrap();
    conf
}

#[test]
fn lines_mean_what_they_mean_to_opkg() {
    let conf = read(TEXT);
    let priorities: Vec<_> = conf.architectures("x86_64").into_iter().collect();
    let expected = [("foo", 0), ("bar", 20), ("ba z", 30), ("qux", 16), ("neg", -5), ("tab", 5)];
    assert_eq!(priorities, expected.map(|(name, priority)| (name.to_owned(), priority)));
    let sources: Vec<_> = conf.sources.iter().map(ToString::to_string).collect();
    assert_eq!(
        sources,
        [
            "src/gz a http://x/ extra",
            "src/gz \"b c\" http://y",
            "src plain file:///srv",
            "dist old http://debian main",
            "src/gz g \"unclosed"
        ]
    );
    assert_eq!(conf.sources[0].index_url(), "http://x/extra/Packages.gz");
    assert_eq!(conf.sources[2].signature_url(), "file:///srv/Packages.sig");
    assert_eq!((conf.option("verbosity"), conf.check_signature()), (Some("2"), true));
    assert_eq!((conf.lists_dir(), conf.dests[0].path.as_str()), ("/var/opkg-lists", "/"));
    let problems: Vec<_> = conf.problems.iter().map(|p| (p.line, p.kind)).collect();
    use ProblemKind::*;
    assert_eq!(
        problems,
        [
            (9, Invalid),
            (12, TrailingGarbage),
            (13, DuplicateSource),
            (14, Invalid),
            (16, DuplicateOption),
            (18, DuplicateOption),
            (19, UnknownOption),
            (20, Invalid)
        ]
    );
    assert_eq!(conf.problems[0].to_string(), "opkg.conf, line 9: passed over, not understood: `bogus a b`");
}

#[test]
fn files_add_up_and_lines_round_trip() {
    let mut conf = read("src/gz a http://x\n");
    conf.read(&b"src/gz a http://y\nsrc/gz b http://y\n"[..], "custom.conf", &Limits::default()).unwrap();
    assert_eq!((conf.sources.len(), conf.problems[0].what.as_str()), (2, "custom.conf"));
    let again: String = conf.sources.iter().map(|source| format!("{source}\n")).collect();
    assert_eq!(read(&again).sources, conf.sources);
    assert_eq!(read("").architectures("mips_24kc").last(), Some(&("mips_24kc".to_owned(), 10)));
    assert_eq!(read("").lists_dir(), DEFAULT_LISTS_DIR);
}
