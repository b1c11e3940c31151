//! Generated files of both classes and byte orders. Programs that really start are in `tests/tests/elf_patch.rs`.

use std::io::Cursor;

use proptest::prelude::*;
use xpkg_model::adaptation::ElfPatch;
use xpkg_model::elf::ElfFacts;

use super::patch;
use crate::elf::tests::{damaged, program, shapes};
use crate::elf::{read_facts, read_outline};
use crate::{Error, Limits};

/// Longer than the old name and not.
const LOADERS: [&str; 3] = ["/lib/ld.so", "/usr/lib/xpkg/alpine/lib/ld-musl-x86_64.so.1", "/lib/ld-musl-x86_64.so.2"];
const PATHS: [&str; 3] = ["", "/usr/lib/xpkg/alpine/lib:/usr/lib/xpkg/alpine/usr/lib", "$ORIGIN"];

fn wish(interpreter: Option<&str>, runpath: Option<&str>) -> ElfPatch {
    ElfPatch { interpreter: interpreter.map(str::to_owned), runpath: runpath.map(str::to_owned) }
}

fn patched(bytes: &[u8], wish: &ElfPatch) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    let size = patch(&mut Cursor::new(bytes), &mut out, wish, "test.elf")?;
    assert_eq!(size, out.len() as u64);
    Ok(out)
}

fn facts(bytes: &[u8]) -> ElfFacts {
    read_facts(&mut Cursor::new(bytes), "test.elf", &Limits::default()).unwrap().unwrap()
}

#[test]
fn only_what_was_asked_for_changes() {
    for shape in shapes() {
        let original = program(shape);
        for interpreter in [None].into_iter().chain(LOADERS.map(Some)) {
            for runpath in [None].into_iter().chain(PATHS.map(Some)) {
                let copy = patched(&original, &wish(interpreter, runpath)).unwrap();
                let mut expected = facts(&original);
                if let Some(interpreter) = interpreter {
                    expected.interpreter = Some(interpreter.to_owned());
                }
                if let Some(runpath) = runpath {
                    expected.rpath = None;
                    expected.runpath = Some(runpath.to_owned()).filter(|path| !path.is_empty());
                }
                assert_eq!(facts(&copy), expected, "{shape:?} {interpreter:?} {runpath:?}");
                // And back again.
                let old = facts(&original);
                let back = patched(&copy, &wish(old.interpreter.as_deref(), old.runpath.as_deref())).unwrap();
                assert_eq!(facts(&back), old, "{shape:?} {interpreter:?} {runpath:?}");
            }
        }
    }
}

#[test]
fn nothing_asked_nothing_changed() {
    for shape in shapes() {
        let original = program(shape);
        assert_eq!(patched(&original, &ElfPatch::default()).unwrap(), original);
    }
}

#[test]
fn what_cannot_be_is_said() {
    let original = program(shapes().next().unwrap());
    for (interpreter, runpath) in [
        (Some("relative"), None),
        (Some("/with\0zero"), None),
        (Some("/lib/".repeat(2000)).as_deref(), None),
        (None, Some("/a\0b")),
        (None, Some("/lib:".repeat(2000)).as_deref()),
    ] {
        let error = patched(&original, &wish(interpreter, runpath)).unwrap_err();
        assert!(matches!(error, Error::Unwritable { .. }), "{error}");
    }
    let error = patched(&[original.as_slice(), b"PK and more"].concat(), &ElfPatch::default()).unwrap_err();
    assert!(error.to_string().contains("data follow"), "{error}");
    let error = patched(b"#!/bin/sh\n", &ElfPatch::default()).unwrap_err();
    assert!(matches!(error, Error::Malformed { .. }), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    /// Errors are fine; panics, long loops and copies of any size are bugs.
    #[test]
    fn damaged_files_never_panic(
        bytes in damaged(),
        interpreter in prop::option::of(0..LOADERS.len()),
        runpath in prop::option::of(0..PATHS.len()),
    ) {
        let wish = wish(interpreter.map(|i| LOADERS[i]), runpath.map(|i| PATHS[i]));
        let mut out = Vec::new();
        if let Ok(size) = patch(&mut Cursor::new(&bytes), &mut out, &wish, "x") {
            prop_assert_eq!(size, out.len() as u64);
            prop_assert!(size < bytes.len() as u64 + (20 << 20));
            let _ = read_outline(&mut Cursor::new(&out), "x", &Limits::default());
        }
    }
}
