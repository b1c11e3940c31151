//! Every maintainer script of the real packages of one world on a real root of the other: what becomes of each is known
//! beforehand, none is unclassified, and the ones that are no stub are named one by one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use xpkg_fixtures::real::{self, ALPINE_3_19, OPENWRT_25_12};
use xpkg_formats::{Limits, package};
use xpkg_install::live::{LiveRoot, Ownership};
use xpkg_model::Ecosystem;
use xpkg_model::adaptation::Placement;
use xpkg_shims::scripts::{Decision, Scene, decide, translate};
use xpkg_shims::{Foreign, RootProbe, Rules};

/// Packages that never go to the other world; their scripts do not either.
fn masked(rules: &Rules, native: Ecosystem, foreign: Ecosystem, probe: &RootProbe<'_>, name: &str) -> bool {
    rules.host(native, probe).masked(foreign, name).is_some()
}

fn files(dir: &Path, end: &str, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap()) {
        if entry.file_type().unwrap().is_dir() {
            files(&entry.path(), end, out);
        } else if entry.file_name().to_str().is_some_and(|name| name.ends_with(end)) {
            out.push(entry.path());
        }
    }
}

/// Classes with how often each is met, and the scripts that are not merely OpenWrt's stub.
fn table(root: &str, native: Ecosystem, dirs: &[&str], end: &str, foreign: Ecosystem) -> Option<String> {
    let data = real::data()?;
    let dir = real::unpack_root(root).unwrap();
    let live = LiveRoot::open(dir.path(), Ownership::Ignore).unwrap();
    let probe = RootProbe::new(&live, [], Vec::new());
    let rules = Rules::of_root(&live).unwrap();
    let mut paths = Vec::new();
    dirs.iter().for_each(|dir| files(&data.join(dir), end, &mut paths));
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut lines = BTreeSet::new();
    let mut seen = BTreeSet::new();
    for path in paths {
        let what = path.display().to_string();
        let opened = package::open(File::open(&path).unwrap(), &what, foreign, &Limits::default()).unwrap();
        let meta = opened.meta().clone();
        let name = meta.package.name.clone();
        if !seen.insert((name.clone(), meta.package.version.clone())) || meta.scripts.is_empty() {
            continue;
        }
        let mut own = BTreeSet::new();
        let mut defaults = Vec::new();
        let mut opened = package::open(File::open(&path).unwrap(), &what, foreign, &Limits::default()).unwrap();
        opened
            .read_payload(&mut |entry, _| {
                own.insert(entry.path.to_string());
                if entry.path.starts_with(&xpkg_model::RelPath::literal("etc/uci-defaults")) && entry.size > 0 {
                    defaults.push(entry.path.to_string());
                }
                Ok(())
            })
            .unwrap();
        let masked = masked(&rules, native, foreign, &probe, &name);
        let mut scripts = meta.scripts.clone();
        scripts.extend(
            translate(&Foreign {
                package: &meta.package,
                native,
                files: &[],
                scripts: &meta.scripts,
                control: &meta.control_files,
                placement: Placement::Host,
                probe: &probe,
                rules: &rules,
                contents: &|_| None,
                owner: &|_| None,
                companion: &|_| false,
            })
            .scripts,
        );
        for (kind, text) in &scripts {
            let scene = Scene {
                foreign,
                probe: &probe,
                rules: &rules,
                coming: &|path| own.contains(path),
                uci_defaults: &defaults,
            };
            let words = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(" ");
            let (class, detail) = match decide(&scene, *kind, &String::from_utf8_lossy(text)) {
                _ if masked => ("never comes", String::new()),
                Decision::Skip(why) => ("skipped", why),
                Decision::Mapped(how) => ("mapped", how),
                Decision::CannotRun(why) => ("refused", why),
                Decision::Run(run) if !run.missing.is_empty() => ("misses", run.missing.join(" ")),
                Decision::Run(run) if run.is_native() => ("native", String::new()),
                Decision::Run(run) => {
                    let functions = if run.functions { "functions " } else { "" };
                    ("with tools", format!("{functions}{} {}", words(&run.applets), words(&run.silent)))
                }
            };
            *counts.entry(class.to_owned()).or_default() += 1;
            let stub = "only calls OpenWrt's default steps";
            if class != "never comes" && !detail.starts_with(stub) {
                let line = format!("{name} {}: {class} {}", kind.as_str(), detail.trim());
                lines.insert(line.trim_end().to_owned());
            }
        }
    }
    let counts = counts.iter().map(|(class, n)| format!("{class} {n}")).collect::<Vec<_>>().join(", ");
    Some(format!("{counts}\n{}\n", lines.into_iter().collect::<Vec<_>>().join("\n")))
}

fn assert_table(found: Option<String>, name: &str) {
    if let Some(found) = found {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tables").join(name);
        let wanted = fs::read_to_string(path).unwrap();
        assert_eq!(found.trim(), wanted.trim(), "\n{found}");
    }
}

const ALPINE: [&str; 3] = ["alpine-3.19/main", "alpine-3.19/community", "alpine-3.19-iso"];

#[test]
fn alpines_scripts_on_openwrt() {
    let found = table(OPENWRT_25_12, Ecosystem::Openwrt, &ALPINE, ".apk", Ecosystem::Alpine);
    assert_table(found, "alpine-on-openwrt-25.12.txt");
}

#[test]
fn openwrts_scripts_on_alpine() {
    let found = table(ALPINE_3_19, Ecosystem::Alpine, &["openwrt-25.12"], ".apk", Ecosystem::Openwrt);
    assert_table(found, "openwrt-25.12-on-alpine.txt");
}

#[test]
fn scripts_of_the_ipk_feeds_on_alpine() {
    let found = table(ALPINE_3_19, Ecosystem::Alpine, &["openwrt-19.07"], ".ipk", Ecosystem::Openwrt);
    assert_table(found, "openwrt-19.07-on-alpine.txt");
}
