//! Questions: what is offered, what is here, who owns what, and why. Change nothing.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use xpkg_model::installed::{Installed, InstalledPackage};
use xpkg_model::root::RootView as _;
use xpkg_model::{Dependency, Event, Package, PackageKey, RelPath, Spec, version};
use xpkg_repos::cache::Clean;
use xpkg_repos::catalogue::Query;
use xpkg_repos::update::UpdateOptions;
use xpkg_resolver::{Node, Request, What};

use crate::configure::{self, Change};
use crate::error::Error;
use crate::findings::Findings;
use crate::prepare::{Depth, prove_native_libraries};
use crate::session::Session;

/// What an update did with one source.
#[derive(Debug)]
pub struct SourceOutcome {
    /// Its name.
    pub source: String,
    /// What happened.
    pub result: Result<xpkg_repos::update::Updated, Error>,
}

/// What is known of one package.
#[derive(Clone, Debug)]
pub struct Info {
    /// Its metadata.
    pub package: Package,
    /// The source that offers it; `None` for what is installed only.
    pub source: Option<String>,
    /// Whether exactly this is installed.
    pub installed: bool,
    /// Whether a person asked for it.
    pub explicit: bool,
    /// Whether it is held.
    pub held: bool,
}

/// The answer to `why`.
#[derive(Debug)]
pub struct WhyAnswer {
    /// Whether there is anything of that name.
    pub found: bool,
    /// For people.
    pub text: String,
    /// For programs.
    pub reasons: Vec<Node>,
}

/// What lies in the cache, or was taken out of it.
#[derive(Debug)]
pub struct CacheInfo {
    /// Its directory.
    pub path: PathBuf,
    /// Bytes.
    pub bytes: u64,
    /// Files.
    pub files: u64,
}

impl Session {
    /// Fetches and verifies indexes: all, or those named (a source, or the group it belongs to).
    pub fn update(&mut self, names: &[String], allow_older: bool) -> Result<Vec<SourceOutcome>, Error> {
        if let Some(unknown) = names.iter().find(|n| !self.sources.iter().any(|s| s.name == **n || s.group == **n)) {
            return Err(Error::NoSuch { what: "source", name: unknown.clone() });
        }
        let chosen: Vec<_> = self
            .sources
            .iter()
            .filter(|s| s.enabled && (names.is_empty() || names.iter().any(|n| *n == s.name || *n == s.group)))
            .cloned()
            .collect();
        let options = UpdateOptions { allow_older, ..UpdateOptions::default() };
        let outcomes =
            xpkg_repos::update(&chosen, &self.root, &self.cache, &self.transport, &options, self.observer.as_ref());
        if names.is_empty() {
            self.cache.prune_catalogues(&self.sources)?;
        }
        self.remember(&outcomes);
        Ok(outcomes
            .into_iter()
            .map(|o| SourceOutcome { source: o.source.name, result: o.result.map_err(Error::from) })
            .collect())
    }

    /// Keeps on the root which indexes were accepted: the cache may be memory. An ordinary user's cache has to do.
    fn remember(&mut self, outcomes: &[xpkg_repos::update::Outcome]) {
        let memories = outcomes.iter().filter_map(|o| o.result.as_ref().ok()?.memory.as_ref());
        let changes: Vec<_> = memories.map(|m| (m.path.clone(), Change::Write(m.bytes.clone()))).collect();
        if changes.is_empty() || !self.writable() {
            return;
        }
        let observer = Arc::clone(&self.observer);
        if let Err(error) = configure::apply(&mut self.root, &changes, observer.as_ref()) {
            let words = error.words();
            self.observer.event(Event::Warning(format!("how new the indexes are is not kept on the root: {words}")));
        }
    }

    /// Names of the enabled sources whose index has not been fetched.
    pub fn never_updated(&self) -> Result<Vec<String>, Error> {
        Ok(self.catalogue()?.missing().map(|s| s.name.clone()).collect())
    }

    /// Packages whose names (or descriptions) match one of the patterns.
    pub fn search(&self, patterns: &[String], name_only: bool) -> Result<Findings, Error> {
        let catalogue = self.catalogue()?;
        let installed = self.installed()?;
        let mut found = Findings::default();
        for pattern in patterns {
            let (ecosystem, pattern) = match pattern.split_once(':').map(|(scope, rest)| (scope.parse().ok(), rest)) {
                Some((Some(ecosystem), rest)) => (Some(ecosystem), rest),
                _ => (None, pattern.as_str()),
            };
            let query = Query {
                pattern: pattern.to_owned(),
                ecosystem,
                descriptions: !name_only && !pattern.contains(['*', '?']),
                provides: !name_only,
                exact: false,
            };
            catalogue.search(&query, &mut |package| {
                let source = catalogue.source_of(&package).map(|s| s.name.as_str()).unwrap_or_default();
                let here = installed.get(package.ecosystem, &package.name).map(|p| p.package.version.as_str());
                found.push(&package, source, here);
                ControlFlow::Continue(())
            })?;
        }
        found.sort();
        Ok(found)
    }

    /// Everything known of the packages that a spec means, installed ones first.
    pub fn info(&self, spec: &Spec) -> Result<Vec<Info>, Error> {
        let catalogue = self.catalogue()?;
        let installed = self.installed()?;
        let mut answers: Vec<Info> = matching(&installed, spec)
            .map(|p| Info {
                package: (*p.package).clone(),
                source: None,
                installed: true,
                explicit: p.explicit,
                held: p.held,
            })
            .collect();
        for package in catalogue.info(spec.ecosystem, &spec.dependency.name)? {
            if !package.meets_by_name(&spec.dependency) {
                continue;
            }
            let source = catalogue.source_of(&package).map(|s| s.name.clone());
            let same = |a: &Info| {
                a.installed && a.package.ecosystem == package.ecosystem && a.package.version == package.version
            };
            match answers.iter_mut().find(|a| same(a)) {
                Some(answer) => {
                    answer.source = source;
                    answer.package = Package { identity: answer.package.identity.or(package.identity), ..package };
                }
                None => answers.push(Info { package, source, installed: false, explicit: false, held: false }),
            }
        }
        Ok(answers)
    }

    /// Installed packages for which a source of their own world offers a newer version.
    pub fn upgradeable(&self, installed: &Installed) -> Result<Vec<Arc<Package>>, Error> {
        use xpkg_model::Candidates as _;
        let catalogue = self.catalogue()?;
        let mut newer = Vec::new();
        for here in &installed.packages {
            let offered = catalogue
                .named(here.package.ecosystem, &here.package.name)
                .map_err(|e| Error::NotPossible(e.to_string()))?;
            let best = offered.into_iter().filter(|p| p.scheme == here.package.scheme).reduce(|a, b| {
                if version::compare(a.scheme, &a.version, &b.version, false) == version::Relation::Less { b } else { a }
            });
            newer.extend(best.filter(|p| {
                version::compare(p.scheme, &p.version, &here.package.version, false) == version::Relation::Greater
            }));
        }
        Ok(newer)
    }

    /// Files of an installed package, in its order.
    pub fn files(&self, spec: &Spec) -> Result<Vec<RelPath>, Error> {
        let installed = self.installed()?;
        let package = matching(&installed, spec).next().ok_or_else(|| Error::NotInstalled(spec.to_string()))?;
        let name = package.registered_as.as_deref().unwrap_or(&package.package.name);
        let mut files = Vec::new();
        crate::claims::visit(&self.root, &mut |claim| {
            if claim.package == name
                && !claim.is_dir
                && let Ok(path) = RelPath::from_package(claim.path)
            {
                files.push(path);
            }
        })?;
        Ok(files)
    }

    /// The installed package that a path belongs to. Links above it are followed.
    pub fn owner(&self, path: &str) -> Result<Option<PackageKey>, Error> {
        let asked = RelPath::from_absolute(path).map_err(|e| Error::NotPossible(e.to_string()))?;
        let real = self.root.real_path(&asked, false).map_err(Error::io(format!("following {path}")))?;
        let mut owner = None;
        crate::claims::visit(&self.root, &mut |claim| {
            if !claim.is_dir && (claim.path == real.as_bytes() || claim.path == asked.as_bytes()) {
                owner = Some((claim.package.to_owned(), claim.version.to_owned()));
            }
        })?;
        let installed = self.installed()?;
        Ok(owner.map(|(name, version)| {
            let known =
                installed.packages.iter().find(|p| p.registered_as.as_deref().unwrap_or(&p.package.name) == name);
            known.map_or(PackageKey { ecosystem: self.system.native, name, version, identity: None }, |p| {
                p.package.key()
            })
        }))
    }

    /// Why a package is here; or, when it is not, what installing it would bring, or why it cannot be.
    pub fn why(&self, name: &str) -> Result<WhyAnswer, Error> {
        let spec: Spec =
            name.parse().map_err(|e: xpkg_model::dependency::DependencyError| Error::NotPossible(e.to_string()))?;
        let mut installed = self.installed()?;
        let libraries = crate::libraries::scan(&self.root, &self.cache)?;
        prove_native_libraries(&mut installed, &libraries, self.system.native);
        let ground = self.ground();
        let rules = crate::host::rules(&self.root)?;
        let (placement, _) = crate::layer::placement(&ground, &installed)?;
        let host = crate::host::host(&rules, &ground, &installed, &libraries, placement);
        if let Some(node) = xpkg_resolver::why(&installed, &host, &spec) {
            return Ok(WhyAnswer { found: true, text: format!("{node}\n"), reasons: vec![node] });
        }
        let capability = &spec.dependency.name;
        let by_host = host.provides.iter().find(|p| p.ecosystem == spec.ecosystem && p.provide.name == *capability);
        if let Some(gift) = by_host {
            let owner = gift
                .native
                .as_ref()
                .map(|n| Spec { ecosystem: Some(self.system.native), dependency: Dependency::any(n.as_str()) });
            let because = owner.and_then(|owner| xpkg_resolver::why(&installed, &host, &owner));
            let what = What::More { why: format!("{name} is given by this root: {}", gift.by) };
            let node = Node { what, because: because.into_iter().collect() };
            return Ok(WhyAnswer { found: true, text: format!("{node}\n"), reasons: vec![node] });
        }
        let request = Request { install: vec![spec], ..Request::default() };
        match self.prepare_with(&request, &[], Depth::Plan) {
            Ok(prepared) => {
                let mut text = format!("{name} is not installed; installing it would bring:\n");
                for step in &prepared.plan().steps {
                    text.push_str(&format!(
                        "  {}:{} {}\n",
                        step.package.ecosystem, step.package.name, step.package.version
                    ));
                }
                Ok(WhyAnswer { found: true, text, reasons: Vec::new() })
            }
            Err(Error::Unsolvable(unsolvable)) => {
                Ok(WhyAnswer { found: false, text: format!("{unsolvable}\n"), reasons: unsolvable.reasons })
            }
            Err(error) => Err(error),
        }
    }

    /// Downloads packages into a directory, under the names their repositories give them.
    pub fn fetch(&mut self, specs: &[Spec], output: &Path, recursive: bool) -> Result<Vec<PathBuf>, Error> {
        let request = Request { install: specs.to_vec(), ..Request::default() };
        let catalogue = self.catalogue()?;
        let mut wanted: Vec<Package> = Vec::new();
        if recursive {
            let prepared = self.prepare(&request, Depth::Plan)?;
            wanted.extend(prepared.plan().incoming().map(|s| s.package.as_ref().clone()));
        }
        for spec in specs {
            let ecosystem = spec.ecosystem.unwrap_or(self.system.native);
            let mut offered = catalogue.info(Some(ecosystem), &spec.dependency.name)?;
            if offered.is_empty() && spec.ecosystem.is_none() {
                offered = catalogue.info(None, &spec.dependency.name)?;
            }
            offered.retain(|p| p.meets_by_name(&spec.dependency));
            let best = offered.into_iter().reduce(|a, b| {
                if version::compare(a.scheme, &a.version, &b.version, false) == version::Relation::Less { b } else { a }
            });
            let package = best.ok_or_else(|| Error::NoSuch { what: "package", name: spec.to_string() })?;
            if !wanted.iter().any(|w| w.key() == package.key()) {
                wanted.push(package);
            }
        }
        let wanted: Vec<&Package> = wanted.iter().collect();
        let results = xpkg_repos::fetch(&wanted, &catalogue, &self.cache, &self.transport, self.observer.as_ref(), 4);
        let mut written = Vec::new();
        for (key, result) in results {
            let fetched = result?;
            let path = output.join(format!("{}-{}.apk", key.name, key.version));
            std::fs::copy(fetched.path(), &path).map_err(Error::io(format!("writing {}", path.display())))?;
            written.push(path);
        }
        Ok(written)
    }

    /// Deletes packages and facts from the cache, or with `all` the indexes too.
    pub fn cache_clean(&self, all: bool) -> Result<CacheInfo, Error> {
        let cleaned = self.cache.clean(if all { Clean::All } else { Clean::Work })?;
        Ok(CacheInfo { path: self.cache.dir().to_owned(), bytes: cleaned.bytes, files: cleaned.files })
    }

    /// How large the cache is.
    pub fn cache_info(&self) -> Result<CacheInfo, Error> {
        let mut info = CacheInfo { path: self.cache.dir().to_owned(), bytes: 0, files: 0 };
        let mut todo = vec![info.path.clone()];
        while let Some(dir) = todo.pop() {
            for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
                match entry.metadata() {
                    Ok(meta) if meta.is_dir() => todo.push(entry.path()),
                    Ok(meta) => {
                        info.bytes += meta.len();
                        info.files += 1;
                    }
                    Err(_) => {}
                }
            }
        }
        Ok(info)
    }
}

/// Installed packages that a spec means.
pub(crate) fn matching<'i>(installed: &'i Installed, spec: &'i Spec) -> impl Iterator<Item = &'i InstalledPackage> {
    installed.packages.iter().filter(|p| {
        spec.ecosystem.is_none_or(|e| e == p.package.ecosystem) && p.package.meets_by_name(&spec.dependency)
    })
}
