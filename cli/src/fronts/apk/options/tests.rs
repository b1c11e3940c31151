//! How words become options, as getopt reads them. Runs no verb.

use super::{Options, Refused, parse, root_of};
use xpkg_pipeline::front::apk::Generation;

fn words(line: &str) -> Vec<String> {
    line.split(' ').filter(|w| !w.is_empty()).map(str::to_owned).collect()
}

fn read(line: &str) -> Options {
    parse(&words(line), Generation::Apk3).unwrap_or_else(|refused| panic!("{line}: {refused:?}"))
}

fn refused(line: &str) -> String {
    match parse(&words(line), Generation::Apk3) {
        Err(Refused::Option { apk3, .. }) => apk3,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn options_stand_anywhere() {
    for line in
        ["-q --root /r add -s a b", "add a -qs b -p /r", "--root=/r -q add --simulate=yes a b", "-p/r add -sq a b"]
    {
        let options = read(line);
        assert_eq!(options.verb, "add", "{line}");
        assert_eq!(options.arguments, ["a", "b"], "{line}");
        assert_eq!(options.value("root"), Some("/r"), "{line}");
        assert!(options.has("simulate"), "{line}");
        assert_eq!(options.verbosity(), 0, "{line}");
        assert_eq!(root_of(&words(line)).to_str(), Some("/r"), "{line}");
    }
}

#[test]
fn a_verbs_letters_come_first() {
    assert!(read("fetch -s a").has("stdout"));
    assert!(!read("fetch -s a").has("simulate"));
    assert!(read("add -s a").has("simulate"));
    assert!(read("info -e a").verb_has("exists"));
    assert!(read("list -I").has("installed"));
}

#[test]
fn switches_turn_off() {
    assert!(read("add --no-network a").is_off("network"));
    assert!(read("add --network=no a").is_off("network"));
    assert!(!read("add --no-network --network a").is_off("network"));
    assert!(read("upgrade --no-self-upgrade").is_off("preupgrade"));
    assert!(read("add --scripts=no a").settings().unwrap().no_scripts);
}

#[test]
fn after_two_dashes_come_arguments() {
    assert_eq!(read("add -- -q a").arguments, ["-q", "a"]);
    // A value that looks like a verb is a value.
    assert_eq!(read("--root add del a").verb, "del");
    assert_eq!(read("--arch x86 --arch noarch add").settings().unwrap().arch, ["x86", "noarch"]);
}

#[test]
fn refusals_have_apks_words() {
    assert_eq!(refused("list --bogus"), "unrecognized option 'bogus'");
    assert_eq!(refused("info -Z"), "unrecognized option 'Z'");
    assert_eq!(refused("--root"), "option 'root' expects an argument");
    assert_eq!(refused("-X"), "option 'X' expects an argument");
    assert_eq!(refused("add --network=bogus"), "invalid argument for option 'network': 'bogus'");
    assert_eq!(refused("list --installed=yes"), "option 'installed' does not expect argument (got 'yes')");
    assert_eq!(parse(&words("-q nosuch a"), Generation::Apk3).unwrap_err(), Refused::Verb("nosuch".to_owned()));
}
