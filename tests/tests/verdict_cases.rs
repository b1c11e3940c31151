//! One program per rule of the verdict, made with a real linker: what `xpkg check` finds, and what the root's own loader
//! makes of it.

use std::fs;
use std::path::Path;

use xpkg_fixtures::real::{self, ALPINE_3_19, Chroot, OPENWRT_19_07};
use xpkg_tests::Xpkg;
use xpkg_tests::elf_lab::{compile, musl_gcc};
use xpkg_tests::loader_judge;
use xpkg_tests::system::ready;

const LOADER: &str = "/lib/ld-musl-x86_64.so.1";

/// A library of a case: where it goes, its soname, its source when the program is linked, and the one that is there later
/// (`None`: no file at all).
type Library = (&'static str, &'static str, &'static str, Option<&'static str>);

struct Case {
    name: &'static str,
    libraries: &'static [Library],
    source: &'static str,
    options: &'static [&'static str],
    /// Codes that the verdict finds.
    finds: &'static [&'static str],
    /// Whether the loader resolves it.
    resolves: bool,
}

const GIVES: &str = "int give(void) { return 0; }";
const CALLS: &str = "int give(void); int main(void) { return give(); }";

const CASES: &[Case] = &[
    Case {
        name: "weak",
        libraries: &[],
        source: "__attribute__((weak)) void maybe(void); int main(void) { if (maybe) maybe(); return 0; }",
        options: &[],
        finds: &[],
        resolves: true,
    },
    Case {
        name: "lfs64",
        libraries: &[("usr/lib", "liblfs.so.1", "int open64(const char *p, int f) { return 0; }", Some("int unused;"))],
        source: "int open64(const char *, int); int main(void) { return open64(\"/\", 0) < 0; }",
        options: &[],
        finds: &[],
        resolves: true,
    },
    Case {
        name: "no-lfs64",
        libraries: &[("usr/lib", "libnolfs.so.1", "int strtol64(void) { return 0; }", Some("int unused;"))],
        source: "int strtol64(void); int main(void) { return strtol64(); }",
        options: &[],
        finds: &["missing-symbol"],
        resolves: false,
    },
    Case {
        name: "origin",
        libraries: &[("opt/own", "libown.so.1", GIVES, Some(GIVES))],
        source: CALLS,
        options: &["-Wl,-rpath,$ORIGIN/own"],
        finds: &[],
        resolves: true,
    },
    Case {
        name: "other-variable",
        libraries: &[("opt/own", "libown.so.1", GIVES, Some(GIVES))],
        source: CALLS,
        options: &["-Wl,-rpath,$ORIGIN/own:$LIB/x"],
        finds: &["missing-library"],
        resolves: false,
    },
    Case {
        name: "path-file",
        libraries: &[("opt/listed", "liblisted.so.1", GIVES, Some(GIVES))],
        source: CALLS,
        options: &[],
        finds: &[],
        resolves: true,
    },
    Case {
        name: "nowhere",
        libraries: &[("opt/own", "libnowhere.so.1", GIVES, Some(GIVES))],
        source: CALLS,
        options: &[],
        finds: &["missing-library"],
        resolves: false,
    },
    Case {
        name: "part-of-libc",
        libraries: &[("opt", "libpthread.so.0", "int unused;", None)],
        source: "int main(void) { return 0; }",
        options: &["-Wl,--no-as-needed"],
        finds: &[],
        resolves: true,
    },
    Case {
        name: "lost-name",
        libraries: &[("usr/lib", "liblost.so.1", GIVES, Some("int other(void) { return 0; }"))],
        source: CALLS,
        options: &[],
        finds: &["missing-symbol"],
        resolves: false,
    },
    Case {
        name: "symbol-version",
        libraries: &[(
            "usr/lib",
            "libversion.so.1",
            "__asm__(\".symver give_2,give@@V_2\"); int give_2(void) { return 0; }",
            Some("__asm__(\".symver give_1,give@@V_1\"); int give_1(void) { return 0; }"),
        )],
        source: CALLS,
        options: &[],
        finds: &[],
        resolves: true,
    },
    Case {
        name: "hidden-version",
        libraries: &[(
            "usr/lib",
            "libhidden.so.1",
            GIVES,
            Some("__asm__(\".symver give_1,give@V_1\"); int give_1(void) { return 0; }"),
        )],
        source: CALLS,
        options: &[],
        finds: &["missing-symbol"],
        resolves: false,
    },
    // The loader copies as many bytes as the program asked for and says nothing; the verdict knows better.
    Case {
        name: "copy-size",
        libraries: &[("usr/lib", "libcopy.so.1", "int table[4] = { 1 };", Some("int table[8] = { 1 };"))],
        source: "extern int table[4]; int main(void) { return table[3]; }",
        options: &["-no-pie", "-fno-pie"],
        finds: &["copy-size"],
        resolves: true,
    },
];

/// `libc`: the root whose C library is linked with; OpenWrt's has no section headers, and no linker takes it.
fn make(gcc: &Path, libc: &Path, root: &Path, case: &Case) {
    let link = tempfile::tempdir().unwrap();
    let script = link.path().join("versions");
    fs::write(&script, "V_1 { }; V_2 { };\n").unwrap();
    let script = format!("-Wl,--version-script,{}", script.display());
    let mut options: Vec<String> = case.options.iter().map(|o| (*o).to_owned()).collect();
    for (dir, soname, linked, there) in case.libraries {
        let mut shared = vec!["-shared", "-fPIC"];
        let soname_option = format!("-Wl,-soname,{soname}");
        shared.push(&soname_option);
        if linked.contains("symver") || there.is_some_and(|t| t.contains("symver")) {
            shared.push(&script);
        }
        compile(gcc, libc, linked, &shared, &link.path().join(soname));
        options.push(link.path().join(soname).display().to_string());
        if let Some(there) = there {
            fs::create_dir_all(root.join(dir)).unwrap();
            compile(gcc, libc, there, &shared, &root.join(dir).join(soname));
        }
    }
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    compile(gcc, libc, case.source, &options, &root.join("opt").join(case.name));
}

#[test]
fn every_rule_is_the_loaders() {
    let Some(gcc) = musl_gcc().filter(|_| ready()) else { return };
    let libc = real::unpack_root(ALPINE_3_19).unwrap();
    for root in [ALPINE_3_19, OPENWRT_19_07] {
        let dir = real::unpack_root(root).unwrap();
        let chroot = Chroot::new(dir.path()).unwrap();
        fs::create_dir_all(dir.path().join("opt")).unwrap();
        fs::write(dir.path().join("etc/ld-musl-x86_64.path"), "/lib:/usr/lib\n/opt/listed\n").unwrap();
        for case in CASES {
            make(&gcc, libc.path(), dir.path(), case);
        }
        let files: Vec<String> = CASES.iter().map(|case| format!("/opt/{}", case.name)).collect();
        let loader = loader_judge::list(&chroot, LOADER, &files);
        let started = loader_judge::start(dir.path(), &files);
        let said =
            Xpkg::on(dir.path()).with(["--json"]).run(["check"].into_iter().chain(files.iter().map(String::as_str)));
        let said: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
        for (case, file) in CASES.iter().zip(&files) {
            let row = said["checked"].as_array().unwrap().iter().find(|row| row["subject"] == file.as_str()).unwrap();
            let codes: Vec<&str> =
                row["findings"].as_array().unwrap().iter().map(|f| f["code"].as_str().unwrap()).collect();
            assert_eq!(codes, case.finds, "{root} {}: {row}", case.name);
            assert_eq!(loader[file].status == 0, case.resolves, "{root} {}: {:?}", case.name, loader[file]);
            assert_eq!(started[file].0 == 0, case.resolves, "{root} {}: {:?}", case.name, started[file]);
        }
    }
}
