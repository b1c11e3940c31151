//! The verdicts on small closures made of facts.

use std::collections::BTreeMap;
use std::sync::Arc;

use xpkg_model::elf::{Class, ElfFacts, Export, Kind};
use xpkg_model::verdict::{Severity, Verdict};
use xpkg_model::{Ecosystem, PackageKey};

use super::*;

const LIBC: [&str; 5] = ["__libc_start_main", "malloc", "open", "printf", "stdin"];

fn facts(kind: Kind, needed: &[&str], undefined: &[&str], exports: &[&str]) -> ElfFacts {
    let mut exports: Vec<Export> =
        exports.iter().map(|name| Export { name: (*name).to_owned(), size: 0, weak: false }).collect();
    exports.sort_by(|a, b| a.name.cmp(&b.name));
    let owned = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
    ElfFacts {
        interpreter: (kind == Kind::Program).then(|| "/lib/ld-musl-x86_64.so.1".to_owned()),
        needed: owned(needed),
        undefined: owned(undefined),
        weak_undefined: vec!["_ITM_registerTMCloneTable".to_owned()],
        exports,
        ..ElfFacts::new(kind, Class::Elf64, 62)
    }
}

fn program(needed: &[&str], undefined: &[&str]) -> ElfFacts {
    facts(Kind::Program, needed, undefined, &[])
}

fn library(needed: &[&str], undefined: &[&str], exports: &[&str]) -> ElfFacts {
    facts(Kind::Library, needed, undefined, exports)
}

/// A root given by its ELF files and links.
struct Root {
    files: BTreeMap<String, (Arc<ElfFacts>, Option<Owner>)>,
    links: BTreeMap<String, String>,
    loader: Loader,
}

impl Root {
    fn new() -> Self {
        let libc = Arc::new(library(&[], &[], &LIBC));
        let loader = Loader::musl("/lib/libc.so", Arc::clone(&libc), Some("1.2.5".to_owned()), RelrSupport::Yes);
        let mut root = Self { files: BTreeMap::new(), links: BTreeMap::new(), loader };
        root.files.insert("/lib/libc.so".to_owned(), (libc, Some(Owner::Native("libc".to_owned()))));
        root.links.insert("/lib/ld-musl-x86_64.so.1".to_owned(), "/lib/libc.so".to_owned());
        root
    }

    fn with(mut self, path: &str, facts: ElfFacts, owner: Option<(Ecosystem, &str)>) -> Self {
        let key = |(ecosystem, name): (Ecosystem, &str)| {
            let (name, version) = (name.to_owned(), "1-r0".to_owned());
            Owner::Package(PackageKey { ecosystem, name, version, identity: None })
        };
        self.files.insert(path.to_owned(), (Arc::new(facts), owner.map(key)));
        self
    }

    fn check(&self, path: &str) -> Report {
        let facts = Arc::clone(&self.files[path].0);
        let role = Role::of(&facts);
        check_file(self, path, &facts, role)
    }
}

impl LinkSpace for Root {
    fn find(&self, path: &str) -> Option<Found> {
        let path = self.links.get(path).map_or(path, String::as_str);
        let (facts, owner) = self.files.get(path)?;
        Some(Found { path: path.to_owned(), facts: Arc::clone(facts), owner: owner.clone() })
    }
    fn search_path(&self) -> Vec<String> {
        DEFAULT_SEARCH.iter().map(|s| (*s).to_owned()).collect()
    }
    fn loader(&self) -> Loader {
        self.loader.clone()
    }
}

const ALPINE: Ecosystem = Ecosystem::Alpine;
const OPENWRT: Ecosystem = Ecosystem::Openwrt;

fn codes(report: &Report) -> Vec<(&str, &str)> {
    report.findings.iter().map(|f| (f.code.as_str(), f.subject.as_str())).collect()
}

#[test]
fn libc_is_the_loader_whatever_it_is_called() {
    let root = Root::new()
        .with("/usr/bin/a", program(&["libz.so.1", "libc.musl-x86_64.so.1"], &["malloc", "deflate"]), None)
        .with("/usr/lib/libz.so.1", library(&["libc.so"], &["malloc"], &["deflate"]), None);
    let report = root.check("/usr/bin/a");
    assert_eq!(report.verdict(), Verdict::Ok, "{:?}", report.findings);
    assert_eq!(report.objects, ["/usr/bin/a", "/usr/lib/libz.so.1"]);
}

#[test]
fn a_missing_name_names_consumer_and_provider() {
    let root = Root::new()
        .with("/usr/bin/git", program(&["libcurl.so.4"], &["curl_easy_init"]), Some((ALPINE, "git")))
        .with(
            "/usr/lib/libcurl.so.4",
            library(&["libz.so.1", "libcrypto.so.3"], &["EVP_MD_fetch", "deflate", "malloc"], &["curl_easy_init"]),
            Some((ALPINE, "libcurl")),
        )
        .with("/usr/lib/libz.so.1", library(&[], &[], &["deflate", "inflate"]), Some((OPENWRT, "zlib")))
        .with("/usr/lib/libcrypto.so.3", library(&[], &[], &["EVP_MD_free"]), Some((OPENWRT, "libopenssl3")));
    let report = root.check("/usr/bin/git");
    assert_eq!(codes(&report), [("missing-symbol", "EVP_MD_fetch")]);
    assert_eq!(report.findings[0].file, "/usr/lib/libcurl.so.4");
    let [failure] = report.failures.as_slice() else { unreachable!("{:?}", report.failures) };
    let name = |owner: &Option<Owner>| owner.as_ref().and_then(Owner::package).map(|k| k.name.clone());
    assert_eq!(name(&failure.consumer).as_deref(), Some("libcurl"));
    assert_eq!(name(&failure.provider).as_deref(), Some("libopenssl3"));
    assert_eq!(failure.capability().as_deref(), Some("so:libcrypto.so.3"));
    assert_eq!(failure.missing, ["EVP_MD_fetch"]);
}

#[test]
fn a_name_may_come_from_anywhere_in_the_process() {
    let root = Root::new()
        .with("/usr/bin/a", program(&["liba.so", "libb.so"], &[]), None)
        .with("/usr/lib/liba.so", library(&[], &["from_b"], &[]), None)
        .with("/usr/lib/libb.so", library(&[], &[], &["from_b"]), None);
    assert_eq!(root.check("/usr/bin/a").verdict(), Verdict::Ok);
    // Alone, the library does not know where the name comes from: a word, no refusal.
    let alone = root.check("/usr/lib/liba.so");
    assert_eq!(codes(&alone), [("plugin-unresolved", "from_b")]);
    assert_eq!(alone.verdict(), Verdict::OkWithWarnings);
    // Checked together with the program that loads it there is nothing to say.
    let subjects: Vec<Subject> =
        ["/usr/bin/a", "/usr/lib/liba.so"].iter().map(|p| Subject::new(*p, Arc::clone(&root.files[*p].0))).collect();
    assert_eq!(check_all(&root, &subjects).verdict(), Verdict::Ok);
}

#[test]
fn a_missing_library_is_an_error_for_plugins_too() {
    let root = Root::new().with("/usr/lib/x/p.so", library(&["libgone.so.1"], &[], &[]), Some((ALPINE, "p")));
    let report = root.check("/usr/lib/x/p.so");
    assert_eq!(codes(&report), [("missing-library", "libgone.so.1")]);
    assert_eq!(report.verdict(), Verdict::NeedsPrivateLayer);
    assert_eq!(report.failures[0].kind, FailureKind::MissingLibrary);
}

#[test]
fn rpath_is_inherited_and_origin_is_the_opened_path() {
    let mut a = program(&["liba.so"], &[]);
    a.runpath = Some("$ORIGIN/../opt".to_owned());
    let root = Root::new()
        .with("/usr/bin/a", a, None)
        .with("/usr/bin/../opt/liba.so", library(&["libb.so"], &["b"], &[]), None)
        .with("/usr/bin/../opt/libb.so", library(&[], &[], &["b"]), None);
    assert_eq!(root.check("/usr/bin/a").verdict(), Verdict::Ok);
    let root = root.with("/usr/bin/c", program(&["liba.so"], &[]), None);
    assert_eq!(codes(&root.check("/usr/bin/c")), [("missing-library", "liba.so")]);
}

#[test]
fn relr_depends_on_the_loader() {
    let mut lib = library(&[], &[], &["f"]);
    lib.relr = true;
    let mut root = Root::new().with("/usr/bin/a", program(&["liba.so"], &["f"]), None).with(
        "/usr/lib/liba.so",
        lib,
        Some((ALPINE, "liba")),
    );
    let verdicts: Vec<Verdict> =
        [RelrSupport::Yes, RelrSupport::Unknown(Some(true)), RelrSupport::Unknown(None), RelrSupport::No]
            .into_iter()
            .map(|relr| {
                root.loader.relr = relr;
                root.check("/usr/bin/a").verdict()
            })
            .collect();
    let layer = Verdict::NeedsPrivateLayer;
    assert_eq!(verdicts, [Verdict::Ok, Verdict::OkWithWarnings, layer, layer]);
    let failure = root.check("/usr/bin/a").failures.remove(0);
    assert_eq!((failure.kind, failure.capability().as_deref()), (FailureKind::Unusable, Some("so:liba.so")));
}

#[test]
fn other_loaders_and_libcs() {
    let mut glibc = program(&["libc.so.6"], &["printf"]);
    glibc.interpreter = Some("/lib64/ld-linux-x86-64.so.2".to_owned());
    let mut tagged = library(&["libc.so.6"], &[], &["f"]);
    tagged.version_needs = vec!["GLIBC_2.34".to_owned()];
    let mut cxx = library(&[], &[], &["f"]);
    cxx.version_needs = vec!["GLIBCXX_3.4".to_owned()];
    let root = Root::new()
        .with("/usr/bin/g", glibc, None)
        .with("/usr/bin/a", program(&["libg.so"], &["f"]), None)
        .with("/usr/lib/libg.so", tagged, None)
        .with("/usr/bin/c", program(&["libcxx.so"], &["f"]), None)
        .with("/usr/lib/libcxx.so", cxx, None)
        .with("/opt/libc.so", library(&[], &[], &LIBC), None)
        .with("/usr/bin/two", program(&["/opt/libc.so"], &["printf"]), None);
    assert_eq!(codes(&root.check("/usr/bin/g")), [("interpreter", "/lib64/ld-linux-x86-64.so.2")]);
    assert_eq!(codes(&root.check("/usr/bin/a")), [("other-libc", "glibc")]);
    assert_eq!(root.check("/usr/bin/c").verdict(), Verdict::Ok, "GLIBCXX is libstdc++'s own tag");
    assert_eq!(codes(&root.check("/usr/bin/two")), [("second-libc", "/opt/libc.so")]);
}

#[test]
fn lfs64_names_follow_the_loader() {
    let root = Root::new().with("/usr/bin/a", program(&[], &["open64", "stat64"]), None);
    // This libc has `open` and no `stat`.
    assert_eq!(codes(&root.check("/usr/bin/a")), [("missing-symbol", "stat64")]);
}

#[test]
fn copied_data_must_have_the_same_size() {
    let mut a = program(&["liba.so"], &[]);
    a.copies = vec![("table".to_owned(), 64)];
    let mut lib = library(&[], &[], &["table"]);
    lib.exports[0].size = 80;
    let root = Root::new().with("/usr/bin/a", a, None).with("/usr/lib/liba.so", lib, Some((OPENWRT, "liba")));
    let report = root.check("/usr/bin/a");
    assert_eq!(codes(&report), [("copy-size", "table")]);
    assert_eq!(report.failures[0].capability().as_deref(), Some("so:liba.so"));
}

#[test]
fn two_versions_in_one_process() {
    let names: Vec<String> = (0..40).map(|i| format!("SSL_{i:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let lib = |soname: &str, needed: &[&str]| {
        let mut facts = library(needed, &[], &names);
        facts.soname = Some(soname.to_owned());
        facts
    };
    let root = Root::new()
        .with("/usr/bin/a", program(&["libssl.so.3", "libcurl.so.4"], &["SSL_01"]), Some((ALPINE, "a")))
        .with("/usr/lib/libssl.so.3", lib("libssl.so.3", &[]), Some((ALPINE, "libssl3")))
        .with("/usr/lib/libcurl.so.4", library(&["libssl.so.1.1"], &[], &[]), Some((OPENWRT, "libcurl4")))
        .with("/usr/lib/libssl.so.1.1", lib("libssl.so.1.1", &[]), Some((OPENWRT, "libopenssl1.1")));
    assert_eq!(codes(&root.check("/usr/bin/a")), [("two-versions", "libssl.so.1.1")]);
}

#[test]
fn what_only_a_person_can_judge() {
    let mut facts = program(&[], &["crypt", "printf"]);
    facts.textrel = true;
    facts.exec_stack = true;
    let mut root = Root::new().with("/usr/bin/su", facts, Some((ALPINE, "su")));
    root.loader.made_by = Some(OPENWRT);
    let libc = Arc::new(library(&[], &[], &["crypt", "printf"]));
    root.loader.facts = Some(libc);
    let subject = Subject {
        mode: Some(0o4755),
        capabilities: true,
        ..Subject::new("/usr/bin/su", Arc::clone(&root.files["/usr/bin/su"].0))
    };
    let report = check_all(&root, &[subject]);
    let found: Vec<&str> = report.findings.iter().map(|f| f.code.as_str()).collect();
    assert_eq!(found, ["textrel", "exec-stack", "setuid", "capabilities", "crypt-hashes"]);
    assert!(report.findings.iter().all(|f| f.severity == Severity::Warning));
}

#[test]
fn another_machine_is_impossible() {
    let mut arm = program(&[], &[]);
    arm.machine = 183;
    let root = Root::new().with("/usr/bin/a", arm, None);
    assert_eq!(root.check("/usr/bin/a").verdict(), Verdict::Impossible);
}

#[test]
fn what_others_would_lose() {
    let user = || program(&["libz.so.1"], &["deflate"]);
    let plugin = || library(&["libz.so.1"], &["deflate", "from_program"], &[]);
    let base = || {
        Root::new()
            .with("/usr/bin/user", user(), None)
            .with("/usr/bin/broken", program(&["libnever.so"], &[]), None)
            .with("/usr/lib/x/plugin.so", plugin(), None)
            .with("/usr/bin/apart", program(&[], &["printf"]), None)
    };
    let before = base().with("/usr/lib/libz.so.1", library(&[], &[], &["deflate"]), None);
    let remaining: Vec<(String, Arc<ElfFacts>)> =
        ["/usr/bin/user", "/usr/bin/broken", "/usr/lib/x/plugin.so", "/usr/bin/apart"]
            .iter()
            .map(|p| ((*p).to_owned(), Arc::clone(&before.files[*p].0)))
            .collect();
    let gone = [Gone { path: "/usr/lib/libz.so.1.3".to_owned(), soname: Some("libz.so.1".to_owned()) }];

    let removed = reverse_check(&before, &base(), &remaining, &gone);
    let lost = ("missing-library", "libz.so.1");
    assert_eq!(codes(&removed), [lost, lost]);
    assert!(removed.findings.iter().all(|f| !f.file.contains("broken") && !f.file.contains("apart")));

    let replaced = base().with("/usr/lib/libz.so.1", library(&[], &[], &["inflate"]), None);
    let report = reverse_check(&before, &replaced, &remaining, &gone);
    assert_eq!(codes(&report), [("missing-symbol", "deflate"), ("missing-symbol", "deflate")]);

    let same = base().with("/usr/lib/libz.so.1", library(&[], &[], &["deflate", "inflate"]), None);
    assert_eq!(reverse_check(&before, &same, &remaining, &gone).verdict(), Verdict::Ok);
}
