//! The whole Alpine 3.19 index on the real Alpine root. Reads records when they are asked for, as the catalogue does.
#![allow(clippy::print_stdout, reason = "a skipped test says so")]

use std::collections::HashMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use xpkg_model::candidates::CandidatesError;
use xpkg_model::dependency::parse_list;
use xpkg_model::host::Host;
use xpkg_model::installed::{Installed, InstalledPackage};
use xpkg_model::{Candidates, Dependency, Ecosystem, Identity, Package, Provide};
use xpkg_resolver::{Problem, Request, Upgrade, plan, solve};

fn data() -> Option<PathBuf> {
    match std::env::var_os("XPKG_REAL_DATA") {
        Some(dir) => Some(dir.into()),
        None if std::env::var("XPKG_REQUIRE").is_ok_and(|v| v == "all") => panic!("XPKG_REAL_DATA is not set"),
        None => {
            println!("skipped: XPKG_REAL_DATA is not set");
            None
        }
    }
}

fn entry(archive: &Path, name: &str) -> String {
    let mut tar = tar::Archive::new(MultiGzDecoder::new(std::fs::File::open(archive).unwrap()));
    tar.set_ignore_zeros(true);
    for entry in tar.entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.path().unwrap().to_string_lossy().trim_start_matches("./") == name {
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            return text;
        }
    }
    panic!("{name} is not in {}", archive.display());
}

fn record(text: &str) -> Package {
    let mut package = Package::new(Ecosystem::Alpine, "", "");
    for line in text.lines() {
        let Some((field, value)) = line.split_once(':') else { continue };
        let list = || parse_list(value).unwrap();
        match field {
            "P" => package.name = value.to_owned(),
            "V" => package.version = value.to_owned(),
            "A" => package.arch = value.to_owned(),
            "C" => package.identity = xpkg_model::identity::parse_q1(value).map(Identity::ApkSha1),
            "k" => package.provider_priority = value.parse().ok(),
            "D" => package.depends = list().into_iter().map(Into::into).collect(),
            "p" => package.provides = list().into_iter().map(Provide::from).collect(),
            "i" => package.install_if = list(),
            "r" => package.replaces = list(),
            "T" => package.description = value.to_owned(),
            "F" => break,
            _ => {}
        }
    }
    package
}

#[derive(Default)]
struct Index {
    text: String,
    names: HashMap<String, Vec<u32>>,
    provides: HashMap<String, Vec<u32>>,
    install_if: HashMap<String, Vec<u32>>,
}

impl Index {
    fn new(files: &[PathBuf]) -> Self {
        let mut index = Self::default();
        for file in files {
            index.text.push_str(&entry(file, "APKINDEX"));
            index.text.push_str("\n\n");
        }
        let mut at = 0;
        for text in index.text.split("\n\n") {
            let package = record(text);
            for provide in package.provides {
                index.provides.entry(provide.name).or_default().push(at);
            }
            for condition in package.install_if {
                index.install_if.entry(condition.name).or_default().push(at);
            }
            index.names.entry(package.name).or_default().push(at);
            at += text.len() as u32 + 2;
        }
        index
    }

    fn read(&self, e: Ecosystem, map: &HashMap<String, Vec<u32>>, name: &str) -> Vec<Arc<Package>> {
        let found = map.get(name).into_iter().flatten().filter(|_| e == Ecosystem::Alpine);
        found.map(|at| Arc::new(record(self.text[*at as usize..].split("\n\n").next().unwrap()))).collect()
    }
}

impl Candidates for Index {
    fn named(&self, e: Ecosystem, name: &str) -> Result<Vec<Arc<Package>>, CandidatesError> {
        Ok(self.read(e, &self.names, name))
    }
    fn providing(&self, e: Ecosystem, name: &str) -> Result<Vec<Arc<Package>>, CandidatesError> {
        Ok(self.read(e, &self.provides, name))
    }
    fn installed_if(&self, e: Ecosystem, name: &str) -> Result<Vec<Arc<Package>>, CandidatesError> {
        Ok(self.read(e, &self.install_if, name))
    }
    fn hinted(&self, _: Ecosystem, _: &str) -> Result<Vec<String>, CandidatesError> {
        Ok(Vec::new())
    }
}

fn root(data: &Path) -> Installed {
    let archive = data.join("roots/alpine-3.19.1-x86_64-openrc.tar.gz");
    let world: Vec<Dependency> = parse_list(&entry(&archive, "etc/apk/world")).unwrap();
    let packages = entry(&archive, "lib/apk/db/installed");
    let packages = packages.split("\n\n").map(record).filter(|p| !p.name.is_empty()).map(|package| {
        let explicit = world.iter().any(|d| d.name == package.name);
        InstalledPackage { package: package.into(), explicit, held: false, foreign: false, registered_as: None }
    });
    Installed { packages: packages.collect(), world: world.clone(), wanted: Vec::new() }
}

/// Peak memory of this process so far, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0)
}

#[test]
fn gnome_and_the_pending_upgrades() {
    let Some(data) = data() else { return };
    let files = ["main", "community"].map(|r| data.join(format!("alpine-3.19/{r}/x86_64/APKINDEX.tar.gz")));
    let index = Index::new(&files);
    let installed = root(&data);
    let arches = vec![(Ecosystem::Alpine, "x86_64".to_owned())];
    let host = Host { native: Ecosystem::Alpine, arches, provides: Vec::new(), masked: Vec::new(), apart: false };
    let run = |request: &Request| {
        let before = peak();
        let start = std::time::Instant::now();
        let problem = Problem { installed: &installed, host: &host, candidates: &index, request, learnt: &[] };
        let solution = solve(&problem).unwrap_or_else(|e| panic!("{e}"));
        let plan = plan(&problem, &solution);
        println!("{} steps, {:?}, {} KiB more than before", plan.steps.len(), start.elapsed(), peak() - before);
        plan
    };
    let gnome = run(&Request { install: vec!["gnome".parse().unwrap()], ..Request::default() });
    let upgrade = run(&Request { upgrade: Upgrade::All, ..Request::default() });
    assert_eq!(gnome.steps.len(), 496, "as the real apk of this root says");
    assert_eq!(upgrade.steps.len(), 13, "as the real apk of this root says");
}
