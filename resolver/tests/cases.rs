//! Every case of tests/cases/*.case.

mod support;

use std::path::Path;

#[test]
fn cases() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    let (mut count, mut failures) = (0, Vec::new());
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let cases = support::parse(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        for case in cases {
            count += 1;
            let first = case.solve();
            if let Err(e) = case.check() {
                failures.push(format!("{} · {}\n{e}", file.file_name().unwrap().to_string_lossy(), case.title));
            }
            let again = case.solve();
            match (first, again) {
                (Ok((_, a)), Ok((_, b))) => assert_eq!(a, b, "{}: not deterministic", case.title),
                (a, b) => assert_eq!(a.err(), b.err(), "{}: not deterministic", case.title),
            }
        }
    }
    assert!(count >= 40, "only {count} cases were found");
    assert!(failures.is_empty(), "{} of {count} cases fail\n\n{}", failures.len(), failures.join("\n\n"));
}
