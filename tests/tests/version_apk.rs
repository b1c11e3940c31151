//! `fixtures/version/apk.table`: each line as apk 3.0.5 answered it (`apk version -t` and `-c`), and our order beside it.

use std::fs;
use std::path::Path;

use xpkg_model::VersionScheme;
use xpkg_model::version::{Relation, compare, is_valid_apk};

#[test]
fn versions_are_ordered_as_in_the_table() {
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/version/apk.table");
    let text = fs::read_to_string(table).unwrap();
    let (mut lines, mut wrong) = (0, Vec::new());
    for line in text.lines().map(|l| l.split('#').next().unwrap().trim()).filter(|l| !l.is_empty()) {
        lines += 1;
        let good = match *line.split(' ').collect::<Vec<_>>() {
            ["valid", version] => is_valid_apk(version),
            ["invalid", version] => !is_valid_apk(version),
            [left, sign, right] => {
                let relation = match sign {
                    "<" => Relation::Less,
                    "=" => Relation::Equal,
                    _ => Relation::Greater,
                };
                compare(VersionScheme::Apk, left, right, false) == relation
            }
            _ => false,
        };
        if !good {
            wrong.push(line);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(lines >= 400, "{lines}");
}
