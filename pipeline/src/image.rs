//! Builds an image: the same preparation and the same transaction as on a live root, over a root that exists only in
//! memory. Needs no root rights, unpacks no tree, runs no script.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use xpkg_formats::apk::db;
use xpkg_image::spec::{Format, Source as SpecSource, Spec};
use xpkg_image::tree::{Tree, TreeNode};
use xpkg_image::{VirtualRoot, base, squashfs};
use xpkg_model::root::NodeKind;
use xpkg_model::{Ecosystem, Event, Observer, RelPath};
use xpkg_repos::sources::OwnSource;
use xpkg_repos::update::UpdateOptions;
use xpkg_repos::{Cache, Transport, Trust};
use xpkg_resolver::Request;

use crate::change::{Apply, apply_to};
use crate::error::Error;
use crate::identify::{Manager, System, identify};
use crate::prepare::{Depth, Ground, Prepared, prepare};
use crate::session::Options;
use crate::sources::read_keys;

/// Largest description.
const MAX_SPEC: u64 = 1 << 20;

/// What to build.
#[derive(Clone, Debug)]
pub struct Build {
    /// The description.
    pub file: PathBuf,
    /// Where to write, instead of where the description says.
    pub output: Option<PathBuf>,
    /// Network, trust and cache; the root is the description's.
    pub options: Options,
    /// Plan only.
    pub dry_run: bool,
}

/// What was built.
pub struct Built {
    /// The plan that made it.
    pub prepared: Prepared,
    /// The image.
    pub output: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Maintainer scripts that a live install would have run.
    pub scripts_not_run: Vec<String>,
}

/// Builds the image.
pub fn build(build: &Build, observer: Arc<dyn Observer>) -> Result<Built, Error> {
    let spec = read_spec(&build.file)?;
    let here = build.file.parent().unwrap_or(Path::new(""));
    let observer = observer.as_ref();
    observer.event(Event::Stage { name: "reading", items: None });
    let mut tree = Tree::new().map_err(Error::io("making the spool file"))?;
    let system = start(&mut tree, &spec, here)?;
    let configured = configure(&mut tree, &spec, here, &build.options)?;
    let mut root = VirtualRoot::new(tree, spec.source_date_epoch);
    let known: Vec<_> = spec.base.arch.iter().map(|word| (system.native, word.clone())).collect();
    let arches = xpkg_repos::sources::arch_words(&root, system.native, &known)?;
    let mut sources = xpkg_repos::sources::load(&root, system.native, &arches)?;
    sources.retain(|s| s.enabled && (spec.native_sources || !s.is_native()));
    let cache = Cache::open(cache_dir(&build.options)?)?;
    let transport = Transport::new(xpkg_repos::transport::Options {
        no_network: build.options.no_network,
        ..xpkg_repos::transport::Options::default()
    });
    for outcome in xpkg_repos::update(&sources, &root, &cache, &transport, &UpdateOptions::default(), observer) {
        outcome.result?;
    }
    let request = request(&spec)?;
    let prepared = {
        let ground = Ground {
            root: &root,
            system: &system,
            arches: &arches,
            sources: &sources,
            cache: &cache,
            transport: &transport,
            observer,
            libraries: None,
            relr_probe: None,
            layer: spec.packages.layer,
            permissions: xpkg_install::Options { replace_applets: spec.packages.replace_applets, ..Default::default() },
        };
        prepare(&ground, &request, &[], if build.dry_run { Depth::Plan } else { Depth::Fetch })?
    };
    let output = build.output.clone().unwrap_or_else(|| here.join(&spec.output));
    let mut built = Built { prepared, output, bytes: 0, scripts_not_run: Vec::new() };
    if build.dry_run {
        return Ok(built);
    }
    let apply = Apply { no_scripts: true, replace_applets: spec.packages.replace_applets, overwrite: false };
    let applied = apply_to(&mut root, &system, &built.prepared, &apply, spec.source_date_epoch, observer)?;
    // That none runs here is why, of all of them.
    let name = |text: String| text.rsplit_once(" (").map_or(text.clone(), |(name, _)| name.to_owned());
    built.scripts_not_run = applied.scripts_skipped.into_iter().map(name).collect();
    let mut tree = root.into_tree();
    for path in configured {
        unconfigure(&mut tree, &path).map_err(Error::io(format!("taking {path} out of the image")))?;
    }
    observer.event(Event::Stage { name: "writing", items: None });
    built.bytes = write(&tree, &spec, &built.output)?;
    Ok(built)
}

fn read_spec(file: &Path) -> Result<Spec, Error> {
    let what = || format!("reading {}", file.display());
    let size = file.metadata().map_err(Error::io(what()))?.len();
    if size > MAX_SPEC {
        return Err(Error::NotPossible(format!("{} is too large for a description", file.display())));
    }
    let text = std::fs::read_to_string(file).map_err(Error::io(what()))?;
    Ok(Spec::parse(&file.display().to_string(), &text)?)
}

/// The root to start from: an archive, or an empty root of one world with the databases its manager expects.
fn start(tree: &mut Tree, spec: &Spec, here: &Path) -> Result<System, Error> {
    if let Some(archive) = &spec.base.archive {
        let path = here.join(archive);
        let name = path.display().to_string();
        let file = File::open(&path).map_err(Error::io(format!("opening {name}")))?;
        base::read_archive(tree, &name, BufReader::with_capacity(256 << 10, file))?;
        return identify(tree, &path);
    }
    let native = spec.base.ecosystem.unwrap_or(Ecosystem::Alpine);
    let arch = spec.base.arch.clone().unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let manager = if native == Ecosystem::Openwrt { Manager::Apk3 } else { Manager::Apk2 };
    let text = |tree: &mut Tree, path: &'static str, text: &str| {
        put(tree, RelPath::literal(path), text.as_bytes(), spec.source_date_epoch)
    };
    for (path, content) in [(db::INSTALLED, ""), (db::TRIGGERS, ""), (db::WORLD, ""), (db::ARCH, &format!("{arch}\n"))]
    {
        text(tree, path, content).map_err(Error::io("making an empty root"))?;
    }
    Ok(System { native, manager, release: None })
}

/// Puts the description's sources and keys where a root has its own; gives back those that do not stay.
fn configure(tree: &mut Tree, spec: &Spec, here: &Path, options: &Options) -> Result<Vec<RelPath>, Error> {
    let mut leaving = Vec::new();
    for source in &spec.source {
        for (path, bytes) in files_of(source, here, options)? {
            put(tree, path.clone(), &bytes, spec.source_date_epoch).map_err(Error::io(format!("adding {path}")))?;
            if !source.keep {
                leaving.push(path);
            }
        }
    }
    Ok(leaving)
}

fn files_of(source: &SpecSource, here: &Path, options: &Options) -> Result<Vec<(RelPath, Vec<u8>)>, Error> {
    let remote = source.url.contains("://") || source.url.starts_with('/');
    let url = if remote {
        source.url.clone()
    } else {
        let path = std::path::absolute(here.join(&source.url)).map_err(Error::io(format!("finding {}", source.url)))?;
        path.display().to_string()
    };
    let mut own = OwnSource::new(source.ecosystem, url);
    own.priority = source.priority;
    if options.allow_untrusted || source.trust.as_deref() == Some("none") {
        own.trust = Trust::None;
    }
    let file = own.to_file(&source.name)?;
    let mut files = vec![(file.path, file.bytes)];
    if let Some(keys) = &source.keys {
        let dir = own.keys_dir(&source.name)?;
        for (name, bytes) in read_keys(&here.join(keys))? {
            let path = dir.join(name.as_bytes()).map_err(|e| Error::NotPossible(e.to_string()))?;
            files.push((path, bytes));
        }
    }
    Ok(files)
}

fn put(tree: &mut Tree, path: RelPath, bytes: &[u8], time: u64) -> std::io::Result<()> {
    let content = Some(tree.spool.add(&mut &*bytes)?);
    let mtime = i64::try_from(time).unwrap_or(0);
    let node = TreeNode { kind: NodeKind::File, mode: 0o644, content, ..TreeNode::dir(mtime) };
    tree.insert(path, node)
}

/// Takes a file out again, and what directories of ours are then empty.
fn unconfigure(tree: &mut Tree, path: &RelPath) -> std::io::Result<()> {
    tree.remove(path)?;
    for dir in path.ancestors().collect::<Vec<_>>().into_iter().rev() {
        if !dir.as_bytes().starts_with(b"etc/xpkg") {
            break;
        }
        match tree.remove(&dir) {
            Err(e) if e.kind() == std::io::ErrorKind::DirectoryNotEmpty => break,
            other => other?,
        }
    }
    Ok(())
}

fn request(spec: &Spec) -> Result<Request, Error> {
    let parse = |texts: &[String]| -> Result<Vec<_>, Error> {
        texts
            .iter()
            .map(|t| t.parse().map_err(|e: xpkg_model::dependency::DependencyError| Error::NotPossible(e.to_string())))
            .collect()
    };
    let (install, remove) = (parse(&spec.packages.install)?, parse(&spec.packages.remove)?);
    Ok(Request { install, remove, ..Request::default() })
}

/// Where images keep indexes and packages: the builder's own cache, not the image's.
fn cache_dir(options: &Options) -> Result<PathBuf, Error> {
    if let Some(dir) = &options.cache_dir {
        return Ok(dir.clone());
    }
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let base = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    Ok(base
        .ok_or_else(|| Error::NotPossible("neither HOME nor --cache-dir says where to keep downloads".into()))?
        .join("xpkg"))
}

/// Writes beside the destination and renames, so that a failed build leaves no half an image.
fn write(tree: &Tree, spec: &Spec, output: &Path) -> Result<u64, Error> {
    let what = || format!("writing {}", output.display());
    let dir = output.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let temporary = tempfile::NamedTempFile::new_in(dir).map_err(Error::io(what()))?;
    let time = u32::try_from(spec.source_date_epoch).unwrap_or(u32::MAX);
    {
        let mut writer = BufWriter::with_capacity(1 << 20, temporary.as_file());
        match spec.format {
            Format::Squashfs => squashfs::write(tree, spec.compression, time, &mut writer)?,
        }
        writer.flush().map_err(Error::io(what()))?;
    }
    let mut permissions = temporary.as_file().metadata().map_err(Error::io(what()))?.permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o644);
    temporary.as_file().set_permissions(permissions).map_err(Error::io(what()))?;
    temporary.as_file().sync_all().map_err(Error::io(what()))?;
    let bytes = temporary.as_file().metadata().map_err(Error::io(what()))?.len();
    temporary.persist(output).map_err(|e| Error::Io { what: what(), source: e.error })?;
    Ok(bytes)
}
