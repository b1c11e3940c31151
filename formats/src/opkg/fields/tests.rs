//! Stanzas that say everything come back as they were.

use xpkg_model::Ecosystem;

use super::*;

const CONTROL: &str = "Package: libfoo2
Version: 1:2.0~rc1-3
Pre-Depends: libc
Depends: libubox20191228 (>= 3), a | b (<< 2)
Recommends: c
Suggests: d (= 1)
Conflicts: e, f (>> 1)
Provides: libfoo, foo=1.2
Replaces: oldfoo
Alternatives: 200:/usr/bin/foo:/usr/libexec/foo-full, -1:/bin/x:/bin/y
Source: package/libs/foo
SourceName: foo
License: MIT
LicenseFiles: COPYING
Section: libs
Require-User: foo=52:foo=52 bar
SourceDateEpoch: 1700000000
URL: https://example.invalid/
ABIVersion: 2
CPE-ID: cpe:/a:foo:foo
Status: unknown hold not-installed
Essential: yes
Maintainer: A <a@example.invalid>
Tags: one two
Architecture: x86_64
Installed-Size: 1234
Description: Foo does
 much: more
";

fn read(text: &str) -> Result<Package, String> {
    let limits = Limits::default();
    Control::parse(text.as_bytes(), "control", &limits).unwrap().to_package(Ecosystem::Openwrt, &limits)
}

#[test]
fn everything_survives() {
    let package = read(CONTROL).unwrap();
    assert_eq!(package.depends.len(), 5);
    assert_eq!(package.conflicts().count(), 2);
    assert_eq!((package.description.as_str(), package.provides.len()), ("Foo does", 2));
    let opkg = package.opkg.as_ref().unwrap();
    assert!(opkg.essential && opkg.alternatives.len() == 2 && opkg.require_user.len() == 2);
    assert_eq!(String::from_utf8(Control::from_package(&package).unwrap().to_bytes()).unwrap(), CONTROL);
}

#[test]
fn an_index_entry_locates_its_file() {
    let mut package = read(CONTROL).unwrap();
    assert!(Control::describe(&package, Detail::Packages).is_err());
    package.identity = Some(Identity::File([0xab; 32]));
    package.filename = Some("libfoo2_2.0_x86_64.ipk".to_owned());
    package.size = 77;
    let text = |detail| String::from_utf8(Control::describe(&package, detail).unwrap().to_bytes()).unwrap();
    let located = format!("Filename: libfoo2_2.0_x86_64.ipk\nSize: 77\nSHA256sum: {}\nDescription: ", "ab".repeat(32));
    assert_eq!(text(Detail::Manifest), CONTROL.replace("Description: ", &located));
    let short = text(Detail::Packages);
    assert!(!short.contains("Maintainer") && !short.contains("Source") && short.contains(&located));
    let mut again = read(&text(Detail::Manifest)).unwrap();
    assert_eq!(again, package);
    again.description = "changed".to_owned();
    assert!(Control::from_package(&again).unwrap().to_bytes().ends_with(b"Description: changed\n"));
}

#[test]
fn fields_that_make_no_sense_are_named() {
    let base = "Package: a\nVersion: 1\n";
    assert!(read(base).is_ok());
    for bad in [
        "Filename: ../x.ipk",
        "Filename: /x.ipk",
        "Filename: ./",
        "SHA256sum: 12",
        "Size: many",
        "Depends: a (1)",
        "Package: ../a",
        "Version: 1/2",
        "Architecture: a/b",
        "Alternatives: x",
        "Alternatives: 1:/../x:/y",
    ] {
        let reason = read(&format!("{base}{bad}\n"));
        assert!(reason.is_err(), "{bad}");
    }
    assert!(read("Package: a\n").is_err() && read("Version: 1\n").is_err());
}
