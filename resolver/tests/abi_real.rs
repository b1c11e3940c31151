//! The ABI check on real roots and packages (`XPKG_REAL_DATA`). Reads ELF facts straight from the archives; unpacks nothing.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Cursor, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use xpkg_formats::{elf, limits::Limits, package};
use xpkg_model::payload::EntryKind;
use xpkg_model::verdict::{Severity, Verdict};
use xpkg_model::{Ecosystem, ElfFacts, PackageKey};
use xpkg_resolver::abi::{
    DEFAULT_SEARCH, FailureKind, Found, LinkSpace, Loader, Owner, RelrSupport, Report, Subject, check_all,
};

const OPENWRT_25: &str = "roots/openwrt-25.12.2-x86_64-musl-apk3.tar.gz";
const OPENWRT_19: &str = "roots/openwrt-19.07.2-x86_64-musl-ipk.tar.gz";
const ALPINE_3_19: &str = "roots/alpine-3.19.1-x86_64-openrc.tar.gz";

/// The folder of real data, or `None` after saying why the test does nothing.
fn data() -> Option<PathBuf> {
    match std::env::var_os("XPKG_REAL_DATA") {
        Some(dir) => Some(dir.into()),
        None if std::env::var_os("XPKG_REQUIRE").is_some_and(|v| v == "all") => panic!("XPKG_REAL_DATA is not set"),
        None => {
            #[allow(clippy::print_stdout)] // the only way for a test to say that it was skipped
            {
                println!("skipped: XPKG_REAL_DATA is not set");
            }
            None
        }
    }
}

/// A root's ELF files and links.
#[derive(Clone)]
struct Root {
    files: BTreeMap<String, (Arc<ElfFacts>, Option<Owner>)>,
    links: BTreeMap<String, String>,
    relr: RelrSupport,
    made_by: Ecosystem,
}

impl Root {
    fn read(data: &Path, archive: &str, made_by: Ecosystem, relr: RelrSupport) -> Self {
        let mut root = Self { files: BTreeMap::new(), links: BTreeMap::new(), relr, made_by };
        let gzip = flate2::read::MultiGzDecoder::new(File::open(data.join(archive)).unwrap());
        let mut tar = tar::Archive::new(gzip);
        for entry in tar.entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = format!("/{}", entry.path().unwrap().display().to_string().trim_start_matches("./"));
            let kind = entry.header().entry_type();
            if kind.is_symlink() || kind.is_hard_link() {
                let target = entry.link_name().unwrap().unwrap().display().to_string();
                let target = if kind.is_hard_link() { format!("/{}", target.trim_start_matches("./")) } else { target };
                root.links.insert(path, target);
            } else if kind.is_file() {
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes).unwrap();
                root.add(&path, bytes, None);
            }
        }
        root
    }

    fn add(&mut self, path: &str, bytes: Vec<u8>, owner: Option<Owner>) -> Option<Subject> {
        let facts = Arc::new(elf::read_facts(&mut Cursor::new(bytes), path, &Limits::default()).unwrap()?);
        self.files.insert(path.to_owned(), (Arc::clone(&facts), owner));
        Some(Subject::new(path, facts))
    }

    /// Puts a package's files on top; gives its ELF files.
    fn install(&mut self, file: &Path, ecosystem: Ecosystem) -> Vec<Subject> {
        let what = file.display().to_string();
        let mut opened = package::open(File::open(file).unwrap(), &what, ecosystem, &Limits::default()).unwrap();
        let key: PackageKey = opened.meta().package.key();
        let mut subjects = Vec::new();
        opened
            .read_payload(&mut |entry, content| {
                let path = entry.path.to_string();
                match &entry.kind {
                    EntryKind::File => {
                        let mut bytes = Vec::new();
                        content.read_to_end(&mut bytes)?;
                        subjects.extend(self.add(&path, bytes, Some(Owner::Package(key.clone()))));
                    }
                    EntryKind::Symlink(target) => {
                        self.links.insert(path, String::from_utf8_lossy(target).into_owned());
                    }
                    EntryKind::Hardlink(target) => {
                        self.links.insert(path, target.to_string());
                    }
                    _ => {}
                }
                Ok(())
            })
            .unwrap();
        subjects
    }

    /// Follows links, those of directories included.
    fn real(&self, path: &str) -> Option<String> {
        let mut todo: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
        let mut at = String::new();
        let mut hops = 0;
        while let Some(part) = todo.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." => at.truncate(at.rfind('/').unwrap_or(0)),
                _ => {
                    let next = format!("{at}/{part}");
                    match self.links.get(&next) {
                        Some(target) => {
                            hops += 1;
                            if hops > 40 {
                                return None;
                            }
                            if target.starts_with('/') {
                                at.clear();
                            }
                            todo.extend(target.split('/').rev().map(str::to_owned));
                        }
                        None => at = next,
                    }
                }
            }
        }
        Some(at)
    }

    fn programs(&self) -> Vec<Subject> {
        self.files.iter().map(|(path, (facts, _))| Subject::new(path.clone(), Arc::clone(facts))).collect()
    }
}

impl LinkSpace for Root {
    fn find(&self, path: &str) -> Option<Found> {
        let path = self.real(path)?;
        let (facts, owner) = self.files.get(&path)?;
        Some(Found { facts: Arc::clone(facts), owner: owner.clone(), path })
    }
    fn search_path(&self) -> Vec<String> {
        DEFAULT_SEARCH.iter().map(|s| (*s).to_owned()).collect()
    }
    fn loader(&self) -> Loader {
        let found = self.find("/lib/ld-musl-x86_64.so.1").unwrap();
        Loader { made_by: Some(self.made_by), ..Loader::musl(found.path, found.facts, None, self.relr) }
    }
}

fn refusals(report: &Report) -> Vec<String> {
    let grave = report.findings.iter().filter(|f| f.severity != Severity::Warning);
    grave.map(|f| format!("{} {} {}", f.code, f.file, f.subject)).collect()
}

fn alpine(data: &Path, names: &[&str]) -> Vec<PathBuf> {
    let find = |name: &&str| {
        ["main", "community"]
            .iter()
            .map(|repo| data.join(format!("alpine-3.19/{repo}/x86_64/{name}.apk")))
            .find(|path| path.exists())
            .unwrap_or_else(|| panic!("{name} is not in the real data"))
    };
    names.iter().map(find).collect()
}

#[test]
fn roots_are_in_order_as_they_are() {
    let Some(data) = data() else { return };
    for (archive, world) in
        [(OPENWRT_25, Ecosystem::Openwrt), (ALPINE_3_19, Ecosystem::Alpine), (OPENWRT_19, Ecosystem::Openwrt)]
    {
        let root = Root::read(&data, archive, world, RelrSupport::Yes);
        let subjects = root.programs();
        assert!(subjects.len() > 50, "{archive}: {} ELF files", subjects.len());
        let report = check_all(&root, &subjects);
        assert_eq!(refusals(&report), Vec::<String>::new(), "{archive}");
    }
}

const GIT: [&str; 9] = [
    "git-2.43.4-r0",
    "libcurl-8.5.0-r0",
    "brotli-libs-1.1.0-r1",
    "c-ares-1.27.0-r0",
    "libexpat-2.6.2-r0",
    "libidn2-2.3.4-r4",
    "libunistring-1.1-r2",
    "nghttp2-libs-1.58.0-r0",
    "pcre2-10.42-r2",
];

#[test]
fn alpine_git_on_openwrt() {
    let Some(data) = data() else { return };
    let mut root = Root::read(&data, OPENWRT_25, Ecosystem::Openwrt, RelrSupport::Yes);
    let files = alpine(&data, &GIT);
    let subjects: Vec<Subject> = files.iter().flat_map(|file| root.install(file, Ecosystem::Alpine)).collect();
    let report = check_all(&root, &subjects);
    assert_eq!(refusals(&report), Vec::<String>::new());
    assert!(report.verdict().allows_install());
    // OpenWrt's own OpenSSL and zlib carry it.
    for library in ["/usr/lib/libssl.so.3", "/usr/lib/libz.so.1"] {
        let real = root.real(library).unwrap();
        assert!(report.objects.contains(&real), "{library} in {:?}", report.objects);
    }

    // The same with an OpenSSL that lacks one of the names.
    let libssl = root.real("/usr/lib/libssl.so.3").unwrap();
    let curl = Arc::clone(&root.files[&root.real("/usr/lib/libcurl.so.4").unwrap()].0);
    let (facts, owner) = root.files[&libssl].clone();
    let victim =
        curl.undefined.iter().find(|n| n.starts_with("SSL_CTX_") && facts.export(n).is_some()).unwrap().clone();
    let mut poorer = (*facts).clone();
    poorer.exports.retain(|e| e.name != victim);
    root.files.insert(libssl, (Arc::new(poorer), owner));
    let report = check_all(&root, &subjects);
    assert_eq!(report.verdict(), Verdict::NeedsPrivateLayer);
    let failure = report.failures.iter().find(|f| f.kind == FailureKind::MissingSymbols).unwrap();
    assert_eq!(failure.missing, [victim]);
    assert!(failure.consumer_file.contains("libcurl.so.4"), "{failure:?}");
    assert_eq!(failure.consumer.as_ref().and_then(Owner::package).map(|k| k.name.as_str()), Some("libcurl"));
    assert_eq!(failure.soname.as_deref(), Some("libssl.so.3"));
}

#[test]
fn tmux_with_relr_on_an_old_loader() {
    let Some(data) = data() else { return };
    for (made, relr, allowed) in [
        ("alpine-tmux", RelrSupport::No, false),
        ("alpine-tmux", RelrSupport::Yes, true),
        ("alpine-tmux-norelr", RelrSupport::No, true),
    ] {
        let mut root = Root::read(&data, OPENWRT_19, Ecosystem::Openwrt, relr);
        let dir = data.join("made").join(made).join("x86_64");
        let mut subjects = Vec::new();
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "apk") {
                subjects.extend(root.install(&path, Ecosystem::Alpine));
            }
        }
        let report = check_all(&root, &subjects);
        assert_eq!(report.verdict().allows_install(), allowed, "{made}: {:?}", refusals(&report));
        assert_eq!(report.findings.iter().any(|f| f.code == "relr"), !allowed);
    }
}

#[test]
fn openwrt_tools_on_alpine() {
    let Some(data) = data() else { return };
    let mut root = Root::read(&data, ALPINE_3_19, Ecosystem::Alpine, RelrSupport::Yes);
    let feed = data.join("openwrt-25.12");
    let mut subjects = Vec::new();
    for name in [
        "base/ucode-2026.01.16~85922056-r1",
        "base/libucode20230711-2026.01.16~85922056-r1",
        "base/usign-2025.10.03~c4c72b1b-r1",
        "base/jsonfilter-2026.03.16~b9034210-r1",
        "base/libubox20260213-2026.03.13~81563384-r2",
        "base/libjson-c5-0.18-r1",
    ] {
        subjects.extend(root.install(&feed.join(format!("{name}.apk")), Ecosystem::Openwrt));
    }
    // Alpine's base has no libgcc: that is what they still need, and only that.
    let report = check_all(&root, &subjects);
    let sonames: std::collections::BTreeSet<_> = report
        .failures
        .iter()
        .filter_map(|f| f.soname.as_deref().map(|s| (f.kind == FailureKind::MissingLibrary, s)))
        .collect();
    assert_eq!(sonames.into_iter().collect::<Vec<_>>(), [(true, "libgcc_s.so.1")]);
    subjects.extend(root.install(&feed.join("target/libgcc1-14.3.0-r5.apk"), Ecosystem::Openwrt));
    let report = check_all(&root, &subjects);
    assert_eq!(refusals(&report), Vec::<String>::new());
}
