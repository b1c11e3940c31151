//! The ground of one run: configuration files read, destinations, lists directory, settings. Writes nothing.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use xpkg_formats::Limits;
use xpkg_formats::opkg::conf::{self, Conf, ProblemKind, Source};
use xpkg_resolver::native::opkg::Settings;

use super::options::Options;

/// What opkg was built for, where the configuration names no architectures.
const MACHINE: &str = std::env::consts::ARCH;

/// A destination.
#[derive(Clone, Debug)]
pub(super) struct Dest {
    /// Its name.
    pub name: String,
    /// Its directory on this machine, with the offline root before it and a slash behind it, as opkg prints it.
    pub dir: String,
}

/// The ground.
pub(super) struct Place {
    /// The offline root; empty without.
    pub prefix: String,
    pub dests: Vec<Dest>,
    pub lists_dir: String,
    pub sources: Vec<Source>,
    pub settings: Settings,
    pub conf: Conf,
    pub options: Options,
    /// Collected errors of reading.
    pub errors: Vec<String>,
    pub verbosity: i32,
}

impl Place {
    /// Reads the configuration as opkg does: the conf file, then every `*.conf` of the directory. The error is what opkg
    /// says before it gives up.
    pub fn open(options: &Options) -> Result<Self, Vec<String>> {
        let prefix = options.offline_root.clone().unwrap_or_default();
        let prefix = prefix.trim_end_matches('/').to_owned();
        let offline = options.offline_root.is_some();
        let mut conf = Conf::new();
        let first = options.conf_file.clone().or_else(|| (!offline).then(|| format!("/{}", conf::OPKG_CONF)));
        if let Some(first) = &first {
            if let Err(error) = fs::metadata(first) {
                return Err(vec![format!("opkg_conf_load: Couldn't stat {first}: {}.\n", reason(&error))]);
            }
            read(&mut conf, first)?;
        }
        for path in conf_files(&format!("{prefix}/{}", conf::CONF_DIR)) {
            if first.as_deref() != Some(path.as_str()) {
                read(&mut conf, &path)?;
            }
        }
        let errors = problems(&conf);
        for (name, text) in &options.add_arch {
            conf.arches.insert(0, conf::Arch { name: name.clone(), text: text.clone() });
        }
        let (dests, default, only) = destinations(&conf, options, &prefix)?;
        // The configuration's word counts before that of the command line (opkg, `libopkg/opkg_conf.c`).
        let given = conf.lists_dir.clone().or_else(|| options.lists_dir.clone());
        let lists = given.unwrap_or_else(|| conf.lists_dir().to_owned());
        let lists_dir = if offline { format!("{prefix}/{lists}") } else { lists };
        let verbosity = options.verbosity.or_else(|| conf.option("verbosity")?.parse().ok()).unwrap_or(1);
        let mut place = Self {
            prefix,
            lists_dir,
            sources: conf.sources.iter().filter(|s| !s.dist).cloned().collect(),
            settings: Settings::default(),
            dests,
            conf,
            options: options.clone(),
            errors,
            verbosity,
        };
        place.settings = place.settings_with(default, only);
        Ok(place)
    }

    /// Whether a switch is set, by command line or configuration.
    pub fn has(&self, switch: &str) -> bool {
        self.options.switches.contains(switch) || self.conf.option(switch).is_some()
    }

    fn settings_with(&self, dest: usize, only_dest: bool) -> Settings {
        Settings {
            arches: self.conf.architectures(MACHINE),
            dests: self.dests.iter().map(|d| d.name.clone()).collect(),
            dest,
            only_dest,
            force_depends: self.has("force_depends"),
            force_downgrade: self.has("force_downgrade"),
            force_reinstall: self.has("force_reinstall"),
            force_removal_of_dependents: self.has("force_removal_of_dependent_packages"),
            force_removal_of_essential: self.has("force_removal_of_essential_packages"),
            force_remove: self.has("force_remove"),
            no_deps: self.has("nodeps"),
            no_action: self.has("noaction") || self.has("test"),
            download_only: self.has("download_only"),
            autoremove: self.has("autoremove"),
            no_case: self.has("nocase"),
            query_all: self.options.query_all || self.has("query-all"),
            size: self.options.size || self.has("size"),
        }
    }

    /// A destination's directory without the offline root.
    pub fn base(&self, dest: usize) -> &str {
        self.dir(dest).strip_prefix(self.prefix.as_str()).unwrap_or("/")
    }

    /// Directory of a destination.
    pub fn dir(&self, dest: usize) -> &str {
        self.dests.get(dest).map_or("/", |d| d.dir.as_str())
    }
}

/// The system's words for a failure, without the number.
pub(super) fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text.get(..end).unwrap_or(&text).to_owned(),
        None => text,
    }
}

fn read(conf: &mut Conf, path: &str) -> Result<(), Vec<String>> {
    let file = File::open(path)
        .map_err(|e| vec![format!("opkg_conf_parse_file: Failed to open {path}: {}.\n", reason(&e))])?;
    conf.read(BufReader::new(file), path, &Limits::default()).map_err(|e| vec![format!("opkg_conf_parse_file: {e}\n")])
}

fn conf_files(dir: &str) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path());
    let wanted = |path: &PathBuf| {
        let hidden = path.file_name().is_some_and(|n| n.as_encoded_bytes().starts_with(b"."));
        !hidden && path.extension().is_some_and(|e| e == "conf")
    };
    let mut paths: Vec<String> = entries.filter(wanted).map(|p: PathBuf| p.display().to_string()).collect();
    paths.sort();
    paths
}

/// The lines that were passed over, in opkg's words.
fn problems(conf: &Conf) -> Vec<String> {
    let mut told = Vec::new();
    for problem in &conf.problems {
        let (what, line, text) = (&problem.what, problem.line, &problem.text);
        let words: Vec<&str> = text.split_whitespace().collect();
        let word = |n: usize| words.get(n).copied().unwrap_or_default();
        told.push(match problem.kind {
            ProblemKind::TrailingGarbage => {
                format!("opkg_conf_parse_file: {what}:{line}: Ignoring config line with trailing garbage: `{text}'\n")
            }
            ProblemKind::DuplicateSource => {
                let kind = if word(0).starts_with("dist") { "dist" } else { "src" };
                format!("opkg_conf_parse_file: Duplicate {kind} declaration ({} {}). Skipping.\n", word(1), word(2))
            }
            ProblemKind::UnknownOption => {
                format!("opkg_conf_set_option: Unrecognized option: {}={}\n", word(1), word(2))
            }
            ProblemKind::DuplicateOption if conf.option(word(1)) == Some("") => {
                format!("opkg_conf_set_option: Duplicate boolean option {}, leaving this option on.\n", word(1))
            }
            ProblemKind::DuplicateOption => format!(
                "opkg_conf_set_option: Duplicate option {}, using first seen value \"{}\".\n",
                word(1),
                conf.option(word(1)).unwrap_or_default()
            ),
            _ => format!("opkg_conf_parse_file: {what}:{line}: Ignoring invalid line: `{text}'\n"),
        });
    }
    told
}

type Destinations = (Vec<Dest>, usize, bool);

fn destinations(conf: &Conf, options: &Options, prefix: &str) -> Result<Destinations, Vec<String>> {
    let added = options.add_dest.iter().cloned();
    let mut all: Vec<(String, String)> =
        added.chain(conf.dests.iter().map(|d| (d.name.clone(), d.path.clone()))).collect();
    if all.is_empty() {
        all.push(("root".to_owned(), "/".to_owned()));
    }
    let dir = |path: &str| {
        let path = format!("{prefix}{path}");
        if path.ends_with('/') { path } else { path + "/" }
    };
    let dests: Vec<_> = all.iter().map(|(name, path)| Dest { name: name.clone(), dir: dir(path) }).collect();
    let Some(wanted) = &options.dest else { return Ok((dests, 0, false)) };
    match dests.iter().rposition(|d| d.name == *wanted) {
        Some(at) => Ok((dests, at, true)),
        None => Err(vec![format!("resolve_pkg_dest_list: Unknown dest name: `{wanted}'.\n")]),
    }
}

/// Whether a path names something.
pub(super) fn exists(path: impl AsRef<Path>) -> bool {
    fs::metadata(path).is_ok()
}
