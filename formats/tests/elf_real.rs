//! Every ELF file of the real roots, compared with what binutils' readelf says of it.

mod real_root;

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use proptest::prelude::*;
use xpkg_formats::elf::{read_facts, read_outline};
use xpkg_formats::limits::Limits;
use xpkg_model::elf::{ElfFacts, Kind};

const OPENWRT: &str = "openwrt-25.12.2-x86_64-musl-apk3";
const ROOTS: [&str; 4] =
    ["alpine-3.19.1-x86_64-openrc", "alpine-minirootfs-3.20.3-x86_64", OPENWRT, "openwrt-19.07.2-x86_64-musl-ipk"];

/// Regular files below a directory, links not followed.
fn files(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            files(&entry.path(), out);
        } else if kind.is_file() {
            out.push(entry.path());
        }
    }
}

fn elf_files(root: &Path) -> Vec<(PathBuf, ElfFacts)> {
    let mut paths = Vec::new();
    files(root, &mut paths);
    let facts = |path: &PathBuf| {
        let facts = read_facts(&mut File::open(path).unwrap(), &path.display().to_string(), &Limits::default());
        facts.unwrap_or_else(|e| panic!("{e}"))
    };
    paths.into_iter().filter_map(|path| facts(&path).map(|facts| (path, facts))).collect()
}

fn readelf(path: &Path, options: &[&str]) -> String {
    let out = Command::new("readelf").args(options).arg(path).output().expect("readelf runs");
    String::from_utf8_lossy(&out.stdout).into_owned()
}

#[derive(Debug, Default, PartialEq)]
struct Names {
    undefined: BTreeSet<String>,
    weak_undefined: BTreeSet<String>,
    defined: BTreeSet<String>,
}

/// The names in readelf's table, sorted by the loader's rules.
fn names(table: &str) -> Names {
    let mut names = Names::default();
    for line in table.lines() {
        let columns: Vec<&str> = line.split_ascii_whitespace().collect();
        let [number, value, _, kind, bind, visibility, section, name, ..] = columns[..] else { continue };
        if !number.ends_with(':') || !matches!(bind, "GLOBAL" | "WEAK" | "UNIQUE") || matches!(kind, "SECTION" | "FILE")
        {
            continue;
        }
        let (plain, version) = name.split_once('@').unwrap_or((name, ""));
        let plain = plain.to_owned();
        let nowhere = value.bytes().all(|b| b == b'0') && kind != "TLS" && section != "ABS";
        // `@V` is a version that is not the default one, unless a number follows: then it is one that a library has
        // and this file asks for (data that a program copies).
        let asked = columns.get(8).is_some_and(|column| column.starts_with('('));
        let other_version = !version.is_empty() && !version.starts_with('@') && !asked;
        match section {
            "UND" if bind == "WEAK" => names.weak_undefined.insert(plain),
            "UND" => names.undefined.insert(plain),
            _ if matches!(visibility, "HIDDEN" | "INTERNAL") || nowhere || other_version => continue,
            _ => names.defined.insert(plain),
        };
    }
    let strong = &names.undefined;
    names.weak_undefined.retain(|name| !strong.contains(name));
    names
}

#[test]
fn facts_are_those_of_readelf() {
    let Some(data) = real_root::data() else { return };
    for name in ROOTS {
        let root = real_root::unpack(&data, name, &[]);
        let mut compared = 0;
        for (path, facts) in elf_files(root.path()).into_iter().filter(|(_, f)| f.kind != Kind::Other) {
            let dynamic = readelf(&path, &["-d", "-W"]);
            let tagged = |tag: &str| -> Vec<String> {
                let lines = dynamic.lines().filter(|line| line.contains(tag));
                lines.filter_map(|l| Some(l.split_once('[')?.1.rsplit_once(']')?.0.to_owned())).collect()
            };
            assert_eq!(facts.needed, tagged("(NEEDED)"), "{}", path.display());
            assert_eq!(Vec::from_iter(facts.soname.clone()), tagged("(SONAME)"), "{}", path.display());
            assert_eq!(facts.relr, dynamic.contains("(RELR)"), "{}", path.display());
            assert_eq!(facts.textrel, dynamic.contains("TEXTREL"), "{}", path.display());
            // Without sections readelf needs to be told to look where the loader looks.
            let sections = readelf(&path, &["-h"]).contains("Number of section headers:         0");
            let options: &[&str] = if sections { &["-D", "-s", "-W"] } else { &["--dyn-syms", "-W"] };
            let found = Names {
                undefined: facts.undefined.iter().cloned().collect(),
                weak_undefined: facts.weak_undefined.iter().cloned().collect(),
                defined: facts.exports.iter().map(|e| e.name.clone()).collect(),
            };
            assert_eq!(found, names(&readelf(&path, options)), "{}", path.display());
            let outline = read_outline(&mut File::open(&path).unwrap(), "outline", &Limits::default()).unwrap();
            let nameless = ElfFacts {
                undefined: Vec::new(),
                weak_undefined: Vec::new(),
                exports: Vec::new(),
                copies: Vec::new(),
                version_needs: Vec::new(),
                ..facts
            };
            assert_eq!(outline, Some(nameless), "{}", path.display());
            compared += 1;
        }
        assert!(compared > 10, "{name}: only {compared} files");
    }
}

#[test]
fn what_is_known_of_the_25_12_root() {
    let Some(data) = real_root::data() else { return };
    let root = real_root::unpack(&data, OPENWRT, &[]);
    let all = elf_files(root.path());
    let user: Vec<_> = all.iter().filter(|(_, f)| f.kind != Kind::Other).collect();
    let relr = |files: &[&(PathBuf, ElfFacts)]| (files.iter().filter(|(_, f)| f.relr).count(), files.len());
    assert_eq!(relr(&user), (78, 113));
    // The number that whoever built the bridges by hand counted, in the directories of programs and libraries.
    let usual: Vec<_> = user.iter().copied().filter(|(p, _)| !p.starts_with(root.path().join("usr/libexec"))).collect();
    assert_eq!(relr(&usual), (75, 107));
    let find = |end: &str| &all.iter().find(|(path, _)| path.ends_with(end)).unwrap_or_else(|| panic!("{end}")).1;
    let libc = find("lib/libc.so");
    assert_eq!(libc.kind, Kind::Library);
    assert!(libc.export("malloc").is_some_and(|e| e.weak) && libc.export("open").is_some_and(|e| !e.weak));
    let busybox = find("bin/busybox");
    assert_eq!(busybox.kind, Kind::Program);
    assert_eq!(busybox.interpreter.as_deref(), Some("/lib/ld-musl-x86_64.so.1"));
    assert!(busybox.undefined.iter().any(|name| name == "__libc_start_main"));
    assert!(busybox.copies.iter().any(|(name, size)| name == "stdout" && *size == 8), "{:?}", busybox.copies);
    assert!(user.iter().all(|(_, f)| !f.exec_stack && !f.textrel));
}

#[test]
fn damaged_real_files_never_panic() {
    let Some(data) = real_root::data() else { return };
    let root =
        real_root::unpack(&data, OPENWRT, &["./lib/libubox.so.20260213", "./usr/bin/zerotier-one", "./sbin/ubusd"]);
    let mut paths = Vec::new();
    files(root.path(), &mut paths);
    assert!(!paths.is_empty());
    for path in paths {
        let whole = std::fs::read(&path).unwrap();
        let change = (any::<prop::sample::Index>(), any::<[u8; 8]>(), any::<bool>());
        let config = ProptestConfig { cases: 2048, failure_persistence: None, ..ProptestConfig::default() };
        let mut runner = prop::test_runner::TestRunner::new(config);
        let run = runner.run(&prop::collection::vec(change, 1..24), |changes| {
            let mut bytes = whole.clone();
            for (place, value, near) in changes {
                // Headers, and with them the tables they point at, are where damage matters most.
                let reach = if near { bytes.len().min(4096) } else { bytes.len() };
                let at = place.index(reach - 8);
                let width = 1 + usize::from(value[0] % 8);
                bytes[at..at + width].copy_from_slice(&value[..width]);
            }
            let _ = read_facts(&mut std::io::Cursor::new(&bytes), "damaged", &Limits::default());
            Ok(())
        });
        run.unwrap();
    }
}
