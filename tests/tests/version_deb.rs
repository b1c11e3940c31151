//! `fixtures/version/deb.table` is the order of `model::version`, and of the real opkg where it can be run.

use std::cmp::Ordering;
use std::fmt::Write as _;

use xpkg_fixtures::real;
use xpkg_model::VersionScheme;
use xpkg_model::version::compare;

fn table() -> Vec<(String, Ordering, String)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/version/deb.table");
    let text = std::fs::read_to_string(path).unwrap();
    let line = |line: &str| {
        let words: Vec<_> = line.split(' ').collect();
        let [left, relation, right] = words[..] else { panic!("not three words: {line}") };
        let order = match relation {
            "<" => Ordering::Less,
            "=" => Ordering::Equal,
            ">" => Ordering::Greater,
            _ => panic!("no relation: {line}"),
        };
        (left.to_owned(), order, right.to_owned())
    };
    text.lines().filter(|l| !l.starts_with('#')).map(line).collect()
}

#[test]
fn the_table_is_our_order() {
    let table = table();
    assert!(table.len() >= 200);
    for (left, order, right) in &table {
        let ours = |a: &str, b: &str| Ordering::from(compare(VersionScheme::Deb, a, b, false));
        assert_eq!(ours(left, right), *order, "{left} {right}");
        assert_eq!(ours(right, left), order.reverse(), "{right} {left}");
    }
}

#[test]
fn the_table_is_opkgs_order() {
    if real::data().is_none() || !real::root_rights() {
        return;
    }
    let root = real::unpack_root(real::OPENWRT_19_07).unwrap();
    let chroot = real::Chroot::new(root.path()).unwrap();
    let mut script = String::new();
    for (left, order, right) in table() {
        let op = match order {
            Ordering::Less => "<<",
            Ordering::Equal => "=",
            Ordering::Greater => ">>",
        };
        writeln!(script, "opkg compare-versions '{left}' '{op}' '{right}' || echo '{left} {op} {right}'").unwrap();
    }
    std::fs::write(root.path().join("root/compare.sh"), script).unwrap();
    let out = chroot.run(["/bin/sh", "/root/compare.sh"]).unwrap();
    assert_eq!(out.stdout, "");
}
