//! Updates the sources of a directory, looks names up and searches, and says what each step cost in time and memory:
//! `catalogue ROOT CACHE update`, `… lookup NAME…`, `… walk NAME` (everything reachable), `… search PATTERN`,
//! `… fetch NAME…`.

#[path = "../tests/support/dir_root.rs"]
mod dir_root;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use dir_root::DirRoot;
use xpkg_model::event::Silent;
use xpkg_model::{Candidates as _, Ecosystem};
use xpkg_repos::catalogue::Query;
use xpkg_repos::update::UpdateOptions;
use xpkg_repos::{Cache, Catalogue, Transport, fetch, sources, transport, update};

fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [root, cache, command, names @ ..] = args.as_slice() else {
        return Err("catalogue ROOT CACHE COMMAND …".into());
    };
    let mut out = std::io::stdout();
    let start = Instant::now();
    let root = DirRoot(PathBuf::from(root));
    let cache = Cache::open(PathBuf::from(cache))?;
    let native = if root.0.join("etc/openwrt_release").exists() { Ecosystem::Openwrt } else { Ecosystem::Alpine };
    let list = sources::load(&root, native, &[])?;
    if command == "update" {
        let transport = Transport::new(transport::Options::default());
        let options = UpdateOptions { force: names.iter().any(|n| n == "--force"), ..UpdateOptions::default() };
        for outcome in update(&list, &root, &cache, &transport, &options, &Silent) {
            let path = cache.catalogue_path(&outcome.source);
            let size = std::fs::metadata(path).map_or(0, |m| m.len());
            match outcome.result {
                Ok(done) => {
                    writeln!(out, "{}: {} packages, {size} bytes, {done:?}", outcome.source.name, done.packages)?
                }
                Err(error) => {
                    writeln!(out, "{}: {error}: {:?}", outcome.source.name, std::error::Error::source(&error))?
                }
            }
        }
    } else {
        let catalogue = Catalogue::open(&cache, &list)?;
        match command.as_str() {
            "lookup" => {
                for name in names {
                    for ecosystem in Ecosystem::ALL {
                        let (named, provided) =
                            (catalogue.named(ecosystem, name)?, catalogue.providing(ecosystem, name)?);
                        let triggered = catalogue.installed_if(ecosystem, name)?;
                        let show = |list: &[std::sync::Arc<xpkg_model::Package>]| {
                            list.iter().map(|p| format!("{} {}", p.name, p.version)).collect::<Vec<_>>().join(", ")
                        };
                        writeln!(
                            out,
                            "{ecosystem}:{name}: named [{}] provided by [{}] triggers [{}]",
                            show(&named),
                            show(&provided),
                            show(&triggered)
                        )?;
                    }
                }
            }
            "walk" => {
                let mut queue: Vec<String> = names.to_vec();
                let (mut seen, mut packages) = (BTreeSet::new(), BTreeSet::new());
                while let Some(name) = queue.pop() {
                    if !seen.insert(name.clone()) {
                        continue;
                    }
                    let mut found = catalogue.named(Ecosystem::Alpine, &name)?;
                    found.extend(catalogue.providing(Ecosystem::Alpine, &name)?);
                    for package in found {
                        if packages.insert((package.name.clone(), package.version.clone())) {
                            queue.extend(package.requirements().flat_map(|r| r.alternatives()).map(|d| d.name.clone()));
                        }
                        drop(catalogue.installed_if(Ecosystem::Alpine, &package.name)?);
                    }
                }
                writeln!(out, "{} names, {} packages", seen.len(), packages.len())?;
            }
            "search" => {
                let pattern = names.first().cloned().unwrap_or_default();
                let query = Query { pattern, descriptions: true, provides: true, ..Query::default() };
                let mut count = 0;
                catalogue.search(&query, &mut |package| {
                    count += 1;
                    let _ = writeln!(out, "{}-{} - {}", package.name, package.version, package.description);
                    ControlFlow::Continue(())
                })?;
                writeln!(out, "{count} found")?;
            }
            "fetch" => {
                let mut wanted = Vec::new();
                for name in names {
                    for ecosystem in Ecosystem::ALL {
                        wanted.extend(catalogue.named(ecosystem, name)?.into_iter().take(1));
                    }
                }
                let list: Vec<_> = wanted.iter().map(|p| &**p).collect();
                let transport = Transport::new(transport::Options::default());
                for (key, result) in fetch(&list, &catalogue, &cache, &transport, &Silent, 4) {
                    match result {
                        Ok(fetched) => writeln!(out, "{key}: {}", fetched.path().display())?,
                        Err(error) => writeln!(out, "{key}: {error}")?,
                    }
                }
            }
            _ => return Err("update, lookup, walk, search or fetch".into()),
        }
    }
    let status = std::fs::read_to_string("/proc/self/status")?;
    let parts: Vec<_> = status.lines().filter(|l| l.starts_with("VmHWM") || l.starts_with("Rss")).collect();
    writeln!(out, "{:?}, {}", start.elapsed(), parts.join(", ").replace('\t', " "))?;
    Ok(())
}
