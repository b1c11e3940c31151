//! The written cases of `fixtures/solver/apk-*.case`: our answer is what the real apk answered when the case was recorded,
//! and the real apk, where it is there, still answers so, or still never ends where the case says that. `XPKG_RECORD=1` writes
//! its answers into the files.

use std::fs;
use std::path::{Path, PathBuf};

use xpkg_fixtures::solver::Case;
use xpkg_resolver::native::apk::Generation;
use xpkg_tests::fidelity::{RealApk, never_ended, our_answer};

fn files() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/solver");
    let all = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    let is_ours = |p: &PathBuf| {
        p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("apk-"))
            && p.extension().is_some_and(|e| e == "case")
    };
    let mut files: Vec<PathBuf> = all.filter(is_ours).collect();
    files.sort();
    files
}

fn read(file: &Path) -> Vec<Case> {
    Case::parse_all(&fs::read_to_string(file).unwrap()).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

/// Whether the real apk of that generation never ends on it (docs/fidelity.md).
fn is_endless(case: &Case, generation: Generation) -> bool {
    let name = if generation == Generation::V2 { "2" } else { "3" };
    case.endless.iter().any(|g| g == name)
}

fn expected(case: &Case, generation: Generation) -> Option<&str> {
    match generation {
        Generation::V2 => case.expect_v2.as_deref(),
        Generation::V3 => case.expect_v3.as_deref(),
    }
}

#[test]
fn our_answers_are_the_recorded_ones() {
    let (mut count, mut wrong) = (0, String::new());
    for file in files() {
        for case in read(&file) {
            for generation in [Generation::V2, Generation::V3] {
                let Some(expected) = expected(&case, generation) else { continue };
                count += 1;
                let ours = our_answer(&case, generation);
                if ours != expected {
                    wrong += &format!("{} {generation:?}\n{case}ours:\n{ours}", file.display());
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(count >= 200, "only {count} answers are recorded");
}

#[test]
fn the_real_ones_still_answer_so() {
    let record = std::env::var_os("XPKG_RECORD").is_some();
    let judges: Vec<RealApk> = [Generation::V2, Generation::V3].into_iter().filter_map(RealApk::new).collect();
    for file in files() {
        let mut cases = read(&file);
        for apk in &judges {
            let answers = apk.answers(&cases);
            for (case, answer) in cases.iter_mut().zip(answers) {
                if is_endless(case, apk.generation) {
                    assert!(never_ended(&answer), "{} {:?} ended\n{case}{answer}", file.display(), apk.generation);
                    continue;
                }
                match (record, apk.generation) {
                    (true, Generation::V2) => case.expect_v2 = Some(answer),
                    (true, Generation::V3) => case.expect_v3 = Some(answer),
                    (false, generation) => {
                        if let Some(expected) = expected(case, generation) {
                            assert_eq!(answer, expected, "{} {generation:?}\n{case}", file.display());
                        }
                    }
                }
            }
        }
        if record && judges.len() == 2 {
            let text: Vec<String> = cases.iter().map(ToString::to_string).collect();
            fs::write(&file, text.join("---\n")).unwrap();
        }
    }
}
