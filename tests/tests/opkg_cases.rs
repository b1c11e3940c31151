//! The cases of `fixtures/solver/opkg-*.case`: what opkg decides, small enough to read. Ours must say what the case says;
//! where the real opkg can be run it must too. `XPKG_RECORD=1` writes what the real one says into the files.

use std::fs;
use std::path::{Path, PathBuf};

use xpkg_tests::opkg_lab::{Judge, carry_out, case};

fn files() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/solver");
    let entries = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    let wanted = |path: &PathBuf| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("opkg-"));
    let mut files: Vec<_> = entries.filter(wanted).collect();
    files.sort();
    files
}

#[test]
fn decisions_are_those_of_the_cases() {
    let mut count = 0;
    for file in files() {
        for case in case::parse(&fs::read_to_string(&file).unwrap(), 1) {
            let ours = case::reduced(carry_out(&case.universe), &case.universe);
            assert_eq!(ours, case.expected, "{}: {}", file.display(), case.title);
            count += 1;
        }
    }
    assert!(count >= 60, "only {count} cases");
}

#[test]
fn the_real_opkg_agrees() {
    let Some(judge) = Judge::new() else { return };
    let record = std::env::var_os("XPKG_RECORD").is_some();
    for file in files() {
        let text = fs::read_to_string(&file).unwrap();
        let cases = case::parse(&text, 1_000_000);
        let answers: Vec<_> = cases.iter().map(|c| case::reduced(judge.carry_out(&c.universe), &c.universe)).collect();
        if record {
            fs::write(&file, case::record(&text, &answers)).unwrap();
            continue;
        }
        for (case, real) in cases.iter().zip(answers) {
            assert_eq!(real, case.expected, "{}: {}", file.display(), case.title);
        }
    }
}
