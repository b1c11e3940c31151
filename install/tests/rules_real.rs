//! Every shipped rule against what it is about: it holds on a real root, or none of them has what it asks for and the packages
//! that it names are in real indexes. A rule that nothing real exercises fails.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::path::Path;

use xpkg_fixtures::real::{self, ALPINE_3_19, ALPINE_3_20, OPENWRT_19_07, OPENWRT_25_12};
use xpkg_install::live::{LiveRoot, Ownership};
use xpkg_install::native::Native;
use xpkg_model::Ecosystem;
use xpkg_shims::probe::{NativeSoname, native_of};
use xpkg_shims::{RootProbe, load_builtin};

/// Names of packages and (Alpine's) commands in the real indexes, by world: the text forms are enough.
fn names(data: &Path) -> BTreeMap<Ecosystem, BTreeSet<String>> {
    let mut out: BTreeMap<Ecosystem, BTreeSet<String>> = BTreeMap::new();
    for dir in ["alpine-3.19/main/x86_64", "alpine-3.19/community/x86_64", "indexes/alpine-3.12"] {
        let mut todo = vec![data.join(dir)];
        while let Some(dir) = todo.pop() {
            for entry in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap()) {
                let path = entry.path();
                if path.is_dir() {
                    todo.push(path);
                } else if entry.file_name().to_str().is_some_and(|n| n.contains("APKINDEX") && n.ends_with(".tar.gz")) {
                    // A signature and the index are one stream each; tar goes on over the end of the first.
                    let mut tar = Vec::new();
                    flate2::read::MultiGzDecoder::new(fs::File::open(path).unwrap()).read_to_end(&mut tar).unwrap();
                    let text = String::from_utf8_lossy(&tar);
                    let found = text.lines().filter_map(|line| line.strip_prefix("P:")).map(str::to_owned);
                    let words = text.lines().filter_map(|line| line.strip_prefix("p:")).flat_map(str::split_whitespace);
                    let commands = words.filter(|word| word.starts_with("cmd:"));
                    let commands = commands.filter_map(|word| word.split('=').next()).map(str::to_owned);
                    out.entry(Ecosystem::Alpine).or_default().extend(found.chain(commands));
                }
            }
        }
    }
    let openwrt = out.entry(Ecosystem::Openwrt).or_default();
    for entry in fs::read_dir(data.join("indexes/openwrt-25.12.0-official")).unwrap().map(|entry| entry.unwrap()) {
        let json: serde_json::Value = serde_json::from_slice(&fs::read(entry.path()).unwrap()).unwrap();
        collect(&json, openwrt);
    }
    for feed in ["target", "base", "packages", "luci"] {
        let Ok(text) = fs::read(data.join("openwrt-19.07").join(feed).join("Packages")) else { continue };
        let text = String::from_utf8_lossy(&text).into_owned();
        openwrt.extend(text.lines().filter_map(|line| line.strip_prefix("Package: ")).map(str::to_owned));
    }
    // Everything depends on them, and old indexes do not list them.
    openwrt.extend(["libc", "kernel"].map(str::to_owned));
    out
}

fn collect(json: &serde_json::Value, names: &mut BTreeSet<String>) {
    match json {
        serde_json::Value::Array(list) => list.iter().for_each(|value| collect(value, names)),
        serde_json::Value::Object(fields) => {
            names.extend(fields.get("name").and_then(|name| name.as_str()).map(str::to_owned));
            // Some forms have the names as keys.
            names.extend(
                fields.iter().filter(|(_, value)| value.get("version").is_some()).map(|(name, _)| name.clone()),
            );
            fields.values().for_each(|value| collect(value, names));
        }
        _ => {}
    }
}

#[test]
fn every_rule_is_exercised() {
    let Some(data) = real::data() else { return };
    if !real::root_rights() {
        return;
    }
    let rules = load_builtin().unwrap();
    let known = names(&data);
    let mut held: BTreeMap<String, bool> = BTreeMap::new();
    let mut unknown: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut tools: BTreeMap<(Ecosystem, String), bool> = BTreeMap::new();
    for root in [OPENWRT_25_12, OPENWRT_19_07, ALPINE_3_19, ALPINE_3_20] {
        let dir = real::unpack_root(root).unwrap();
        let live = LiveRoot::open(dir.path(), Ownership::Ignore).unwrap();
        let native = native_of(&live).unwrap();
        let (mut packages, mut sonames) = (Vec::new(), Vec::new());
        Native::detect(&live, native)
            .unwrap()
            .unwrap()
            .each(&live, &mut |record| {
                packages.push((record.package.name.clone(), record.package.version.clone()));
                for file in record.dirs.iter().flat_map(|dir| &dir.files) {
                    let name = String::from_utf8_lossy(&file.name).into_owned();
                    if name.contains(".so.") {
                        sonames.push(NativeSoname { soname: name, package: record.package.name.clone() });
                    }
                }
                Ok(())
            })
            .unwrap();
        let probe = RootProbe::new(&live, packages, vec!["x86_64".to_owned()]).with_sonames(sonames);
        for trial in rules.trials(&probe).into_iter().filter(|trial| trial.native == native) {
            let foreign = if native == Ecosystem::Alpine { Ecosystem::Openwrt } else { Ecosystem::Alpine };
            // Some of a rule's packages are of other releases than the real data; one at least is real.
            let real = |name: &String| known[&foreign].contains(name);
            let named = trial.packages.iter().any(real);
            *held.entry(trial.rule.clone()).or_default() |= trial.holds || named;
            for tool in &trial.tools {
                tools
                    .entry((foreign, tool.clone()))
                    .or_insert_with(|| known[&foreign].contains(&format!("cmd:{tool}")));
            }
            let tables = ["[[mask]]", "[[account]]", "[[library]]"];
            if tables.iter().any(|table| trial.rule.contains(table)) && !named {
                unknown.insert(trial.rule, trial.packages);
            }
        }
    }
    // OpenWrt's index names no commands; its root has them.
    let openwrt = real::unpack_root(OPENWRT_25_12).unwrap();
    for ((world, tool), there) in &mut tools {
        *there |= *world == Ecosystem::Openwrt && openwrt.path().join("sbin").join(tool).exists();
    }
    let strange: Vec<_> = tools.iter().filter(|(_, there)| !**there).collect();
    assert!(strange.is_empty(), "no real package has these tools: {strange:?}");
    let idle: Vec<&String> = held.iter().filter(|(_, held)| !**held).map(|(rule, _)| rule).collect();
    assert!(idle.is_empty(), "these rules hold on no real root: {idle:#?}");
    assert!(unknown.is_empty(), "these rules are about no real package: {unknown:#?}");
}
