//! Copies of programs that name another loader and search path start, and say the same as the original that its loader
//! was told to start: programs made here with many ways to lay out a file, the programs of all Alpine packages, and those
//! of both OpenWrt roots under their own loaders.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use xpkg_fixtures::real::{self, ALPINE_3_19, OPENWRT_19_07, OPENWRT_25_12, capture};
use xpkg_formats::elf::patch::patch;
use xpkg_model::adaptation::ElfPatch;
use xpkg_model::elf::{ElfFacts, Kind};
use xpkg_tests::elf_lab::{compile, elf_files, musl_gcc, replace, start, start_within};
use xpkg_tests::system::ready;

const LOADER: &str = "lib/ld-musl-x86_64.so.1";
/// Originals and copies: names of one length, so that only they differ in messages.
const ORIGINAL: &str = "opt/one";
const COPY: &str = "opt/two";

fn wish(interpreter: Option<String>, runpath: &str) -> ElfPatch {
    ElfPatch { interpreter, runpath: Some(runpath.to_owned()) }
}

fn patched(path: &Path, wish: &ElfPatch) -> Vec<u8> {
    let mut out = Vec::new();
    let size = patch(&mut fs::File::open(path).unwrap(), &mut out, wish, &path.display().to_string());
    assert_eq!(size.unwrap_or_else(|e| panic!("{e}")), out.len() as u64);
    out
}

fn is_loader(path: &Path) -> bool {
    let name = path.file_name().unwrap().to_str().unwrap();
    name.starts_with("ld-musl-") || name == "libc.so"
}

/// Rewrites every dynamic file below the copies' directory. Facts differ in nothing else.
fn rewrite_all(root: &Path) -> usize {
    let runpath = format!("/{COPY}/lib:/{COPY}/usr/lib");
    let mut rewritten = 0;
    for (path, facts) in elf_files(&root.join(COPY)) {
        if !facts.is_dynamic() || is_loader(&path) {
            continue;
        }
        let own = facts.runpath.as_ref().or(facts.rpath.as_ref());
        let runpath = own.map_or_else(|| runpath.clone(), |own| format!("{runpath}:{own}"));
        let interpreter = facts.interpreter.as_ref().map(|_| format!("/{COPY}/{LOADER}"));
        replace(&path, &patched(&path, &wish(interpreter.clone(), &runpath)));
        let mut file = fs::File::open(&path).unwrap();
        let now = xpkg_formats::elf::read_facts(&mut file, "copy", &xpkg_formats::Limits::default());
        let expected = ElfFacts { interpreter, runpath: Some(runpath), rpath: None, ..facts };
        assert_eq!(now.unwrap().unwrap(), expected, "{}", path.display());
        rewritten += 1;
    }
    rewritten
}

/// Starts every program both ways. Gives the number of those that ended by themselves.
fn compare(root: &Path, harmful: &[&str]) -> usize {
    let mut ended = 0;
    let mut differ = BTreeMap::new();
    for (path, facts) in elf_files(&root.join(ORIGINAL)) {
        let name = path.strip_prefix(root.join(ORIGINAL)).unwrap().to_str().unwrap();
        if facts.kind != Kind::Program || facts.interpreter.is_none() || harmful.iter().any(|h| name.ends_with(h)) {
            continue;
        }
        let (loader, libraries) = (format!("/{ORIGINAL}/{LOADER}"), format!("/{ORIGINAL}/lib:/{ORIGINAL}/usr/lib"));
        let original = format!("/{ORIGINAL}/{name}");
        let copied = format!("/{COPY}/{name}");
        let theirs = [loader.as_str(), "--library-path", &libraries, &original, "--version"];
        let ours = [copied.as_str(), "--version"];
        let (mut told, mut copy) = (start(root, &theirs), start(root, &ours));
        if (told.status == 137) != (copy.status == 137) {
            // One was only slower: the machine has other things to do.
            (told, copy) = (start_within("60", root, &theirs), start_within("60", root, &ours));
        }
        ended += usize::from(told.status != 137);
        let same = |text: &str| text.replace(ORIGINAL, COPY);
        if (told.status, same(&told.stdout)) != (copy.status, copy.stdout.clone()) {
            differ.insert(name.to_owned(), (told, copy));
        }
    }
    assert!(differ.is_empty(), "{} differ: {differ:#?}", differ.len());
    ended
}

#[test]
fn alpine_packages_start() {
    if !ready() {
        return;
    }
    let root = real::unpack_root(ALPINE_3_19).unwrap();
    real::Chroot::new(root.path()).unwrap();
    let original = root.path().join(ORIGINAL);
    fs::create_dir_all(&original).unwrap();
    let data = real::data().unwrap();
    for dir in ["alpine-3.19-iso/x86_64", "alpine-3.19/main/x86_64", "alpine-3.19/community/x86_64"] {
        for entry in fs::read_dir(data.join(dir)).unwrap() {
            let package = entry.unwrap().path();
            if package.extension().is_some_and(|e| e == "apk") {
                let mut tar = Command::new("tar");
                tar.args(["--warning=no-unknown-keyword", "-xzf"]).arg(&package).arg("-C").arg(&original);
                tar.args(["--exclude=.*", "--exclude=boot", "--exclude=lib/modules"]);
                capture(tar).unwrap().expect_success().unwrap();
            }
        }
    }
    copies(root.path());
    let rewritten = rewrite_all(root.path());
    assert!(rewritten > 300, "{rewritten}");
    let ended = compare(root.path(), &[]);
    assert!(ended > 100, "{ended}");
}

fn copies(root: &Path) {
    // A loader that is told to start a program reads it, the kernel need not: some cannot be read by everyone.
    for (program, args) in [("chmod", ["-R", "a+rX"].as_slice()), ("cp", &["-a"])] {
        let mut command = Command::new(program);
        command.args(args).arg(root.join(ORIGINAL)).args((program == "cp").then(|| root.join(COPY)));
        capture(command).unwrap().expect_success().unwrap();
    }
}

#[test]
fn openwrt_roots_start() {
    for name in [OPENWRT_19_07, OPENWRT_25_12] {
        if !ready() {
            return;
        }
        let root = real::unpack_root(name).unwrap();
        real::Chroot::new(root.path()).unwrap();
        fs::create_dir_all(root.path().join(ORIGINAL).join("usr")).unwrap();
        for dir in ["lib", "bin", "sbin", "usr/lib", "usr/bin", "usr/sbin", "usr/libexec"] {
            let from = root.path().join(dir);
            if from.is_dir() {
                let mut cp = Command::new("cp");
                cp.arg("-a").arg(&from).arg(root.path().join(ORIGINAL).join(dir));
                capture(cp).unwrap().expect_success().unwrap();
            }
        }
        copies(root.path());
        assert!(rewrite_all(root.path()) > 80);
        assert!(compare(root.path(), &[]) > 30);
    }
}

/// Says how it was started, where its headers are, and that its data are right.
const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <elf.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>
static char zeroed[BSS];
static __thread int local = 7;
char *moved[] = { "a", "b", zeroed };
static int each(struct dl_phdr_info *info, size_t size, void *first) {
    if (!*(const void **)first) *(const void **)first = info->dlpi_phdr;
    return 0;
}
int main(int argc, char **argv) {
    const ElfW(Phdr) *told = (void *)getauxval(AT_PHDR), *found = 0;
    dl_iterate_phdr(each, &found);
    if (told != found || told->p_type != PT_PHDR && told->p_type != PT_INTERP && told->p_type != PT_LOAD) return 2;
    for (size_t i = 0; i < sizeof zeroed; i++) if (zeroed[i]) return 3;
    memset(zeroed, 1, sizeof zeroed);
    char *heap = malloc(200000), *brk = (char *)syscall(SYS_brk, 0);
    if (!heap || (char *)syscall(SYS_brk, brk + 65536) != brk + 65536) return 4;
    memset(heap, 2, 200000);
    memset(brk, 3, 65536);
    if (zeroed[sizeof zeroed - 1] != 1 || moved[2] != zeroed || local != 7) return 5;
    if (argc < 2) { execl("/proc/self/exe", argv[0], "again", (char *)0); return 6; }
    puts(strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0]);
    return 0;
}
"#;

#[test]
fn programs_of_every_layout_start() {
    let Some(gcc) = musl_gcc().filter(|_| ready()) else { return };
    let root = real::unpack_root(ALPINE_3_19).unwrap();
    real::Chroot::new(root.path()).unwrap();
    let dir = root.path().join("opt/made");
    fs::create_dir_all(&dir).unwrap();
    // A loader elsewhere, and none where programs usually look: a copy that still asks for the old one cannot start.
    fs::copy(root.path().join(LOADER), root.path().join("opt/ld")).unwrap();
    let mut made = 0;
    for kind in [&["-no-pie"][..], &["-fpie", "-pie"]] {
        for notes in ["-Wl,--build-id=none", "-Wl,--build-id=sha1"] {
            for layout in
                ["-Wl,-z,noseparate-code", "-Wl,-z,separate-code", "-Wl,-z,max-page-size=65536", "-Wl,-z,norelro"]
            {
                for bss in ["-DBSS=64", "-DBSS=3000000"] {
                    for spare in ["-Wl,--spare-dynamic-tags=0", "-Wl,--spare-dynamic-tags=5"] {
                        let name = format!("p{made}");
                        let path = dir.join(&name);
                        let options = [kind, &[notes, layout, bss, spare, "-fcf-protection=none"]].concat();
                        compile(&gcc, root.path(), SOURCE, &options, &path);
                        if made % 3 == 0 {
                            no_sections(&path);
                        }
                        for (interpreter, runpath) in [
                            ("/opt/ld", "/opt/lib"),
                            ("/opt/made/../../opt/made/../ld", "/some/where:/else"),
                            ("/opt/./ld", ""),
                        ] {
                            let copy = patched(&path, &wish(Some(interpreter.to_owned()), runpath));
                            replace(&path, &copy);
                            let said = start(root.path(), &[&format!("/opt/made/{name}")]);
                            assert_eq!(
                                (said.status, said.stdout),
                                (0, format!("{name}\n")),
                                "{options:?} {interpreter}"
                            );
                            readelf_agrees(&path, interpreter, runpath);
                        }
                        made += 1;
                    }
                }
            }
        }
    }
    assert!(made > 60);
}

/// As OpenWrt's sstrip: nothing behind the segments, no section headers.
fn no_sections(path: &Path) {
    let mut strip = Command::new("objcopy");
    strip.args(["--strip-section-headers"]).arg(path);
    let done = capture(strip).unwrap();
    if done.success() {
        return;
    }
    let mut bytes = fs::read(path).unwrap();
    let number = |at: usize, width: usize| bytes[at..at + width].iter().rev().fold(0, |n, b| n << 8 | usize::from(*b));
    let (table, count) = (number(32, 8), number(56, 2));
    let end = (0..count).map(|i| number(table + i * 56 + 8, 8) + number(table + i * 56 + 32, 8)).max().unwrap();
    bytes.truncate(end.max(table + count * 56));
    bytes[40..48].fill(0);
    bytes[58..64].fill(0);
    replace(path, &bytes);
}

fn readelf_agrees(path: &Path, interpreter: &str, runpath: &str) {
    let mut readelf = Command::new("readelf");
    readelf.args(["-W", "-l", "-d"]).arg(path).env("LC_ALL", "C");
    let said = capture(readelf).unwrap().expect_success().unwrap();
    let all = format!("{}{}", said.stdout, said.stderr);
    assert!(all.contains(&format!("[Requesting program interpreter: {interpreter}]")), "{all}");
    assert_eq!(all.contains(&format!("Library runpath: [{runpath}]")), !runpath.is_empty(), "{all}");
    assert!(!all.contains("readelf: "), "{all}");
}
