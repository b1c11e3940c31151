//! Lines of apk 2 and apk 3, and what they mean.

use xpkg_model::{Ecosystem, Identity};

use super::*;

fn lines(text: &str) -> Result<Vec<RepoLine>, String> {
    let mut vars = Variables::new("x86_64");
    parse(text.as_bytes(), "/etc/apk/repositories", &mut vars).map_err(|e| e.to_string())
}

fn indexes(text: &str) -> Vec<String> {
    lines(text).unwrap().iter().map(|line| line.index_url("x86_64")).collect()
}

#[test]
fn kinds_and_their_indexes() {
    for (line, index) in [
        ("https://a.org/v3.20/main/", "https://a.org/v3.20/main/x86_64/APKINDEX.tar.gz"),
        ("@edge  http://a.org/edge", "http://a.org/edge/x86_64/APKINDEX.tar.gz"),
        ("v2 @t /media/cdrom/apks", "/media/cdrom/apks/x86_64/APKINDEX.tar.gz"),
        ("v3\thttps://a.org/r", "https://a.org/r/x86_64/Packages.adb"),
        ("ndx https://a.org/r/index", "https://a.org/r/index"),
        ("https://a.org/base/packages.adb", "https://a.org/base/packages.adb"),
        ("https://a.org/x.tar.gz", "https://a.org/x.tar.gz"),
        ("v3 https://a.org/${APK_ARCH:3}", "https://a.org/x86/x86_64/Packages.adb"),
    ] {
        assert_eq!(indexes(line), [index], "{line}");
    }
    let tagged = lines("@edge http://a.org/edge").unwrap();
    assert_eq!((tagged[0].tag.as_deref(), tagged[0].line), (Some("edge"), 1));
}

#[test]
fn variables_components_and_comments() {
    let text = "# mirrors\n\nset mirror=https://a.org/alpine\nset -default mirror=https://b.org\nset branch=v3.20\n\
                ${mirror}/${branch} main community\n";
    let found = lines(text).unwrap();
    assert_eq!(found.iter().map(|l| l.component.as_deref().unwrap()).collect::<Vec<_>>(), ["main", "community"]);
    assert_eq!(found[1].index_url("x86_64"), "https://a.org/alpine/v3.20/community/x86_64/APKINDEX.tar.gz");
    assert_eq!(found[1].line, 6);
}

#[test]
fn bad_lines_say_where_and_why() {
    for (text, reason) in [
        ("\nv4 https://a.org", "line 2: `v4` is neither a keyword nor a URL"),
        ("v2", "without a URL"),
        ("@tag", "without a URL"),
        ("v2 a.org/x", "`a.org/x` is no URL"),
        ("${nope}/x", "`nope` is not defined"),
        ("set -global a=b", "no option"),
        ("set APK_ARCH=x", "cannot be set"),
    ] {
        let error = lines(text).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn package_urls() {
    let mut package = Package::new(Ecosystem::Openwrt, "jq", "1.7-r1");
    package.arch = "noarch".to_owned();
    package.identity = Some(Identity::ApkSha256([0xab; 32]));
    let url =
        |line: &str, spec| lines(line).unwrap()[0].package_url(&package, "x86_64", spec).map_err(|e| e.to_string());
    assert_eq!(url("http://a.org/main", None).unwrap(), "http://a.org/main/x86_64/jq-1.7-r1.apk");
    assert_eq!(url("http://a.org/base/packages.adb", None).unwrap(), "http://a.org/base/jq-1.7-r1.apk");
    let spec = Some("${name:1}/${name}.${hash:8}.apk");
    assert_eq!(url("http://a.org/base/packages.adb", spec).unwrap(), "http://a.org/base/j/jq.abababab.apk");
    for spec in ["../${name}.apk", "/etc/${name}", "http://evil/${name}", "${nope}", "a b"] {
        assert!(url("http://a.org/main", Some(spec)).is_err(), "{spec}");
    }
}
