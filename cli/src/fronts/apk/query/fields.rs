//! The fields of a package that can be asked for, in the order in which apk shows them. Formats nothing.

use xpkg_pipeline::front::apk::{Database, Known};

/// Every field; `owner` can only be compared.
pub(in super::super) const FIELDS: &[&str] = &[
    "package",
    "name",
    "version",
    "description",
    "arch",
    "license",
    "origin",
    "maintainer",
    "url",
    "commit",
    "build-time",
    "installed-size",
    "file-size",
    "provider-priority",
    "depends",
    "provides",
    "replaces",
    "install-if",
    "recommends",
    "layer",
    "tags",
    "repositories",
    "download-url",
    "reverse-depends",
    "reverse-install-if",
    "contents",
    "triggers",
    "scripts",
    "replaces-priority",
    "status",
    "owner",
];

/// A field's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Value {
    /// Words.
    Text(String),
    /// A number.
    Number(u64),
    /// Several, on one line where that is possible; counted in YAML.
    Words(Vec<String>),
    /// Several that are gathered from elsewhere: on one line, not counted, shown even when there are none.
    Gathered(Vec<String>),
    /// Several, each on its own line.
    Lines(Vec<String>),
}

impl Value {
    /// Everything it holds.
    pub fn words(self) -> Vec<String> {
        match self {
            Self::Text(text) => vec![text],
            Self::Number(number) => vec![number.to_string()],
            Self::Words(words) | Self::Gathered(words) | Self::Lines(words) => words,
        }
    }
}

/// A field of a package; `None` where it has none.
pub(in super::super) fn value(database: &Database, known: &Known, field: &str) -> Option<Value> {
    let package = &known.package;
    let text = |text: &str| (!text.is_empty()).then(|| Value::Text(text.to_owned()));
    let number = |number: u64| (number != 0).then_some(Value::Number(number));
    let words = |words: Vec<String>| (!words.is_empty()).then_some(Value::Words(words));
    let record = database.record(&package.name).filter(|_| known.installed.is_some());
    match field {
        "package" => text(&known.id()),
        "name" => text(&package.name),
        "version" => text(&package.version),
        "description" => text(crate::fronts::apk::talk::description(package, database.generation)),
        "arch" => text(&package.arch),
        "license" => text(&package.license),
        "origin" => text(&package.origin),
        "maintainer" => text(&package.maintainer),
        "url" => text(&package.url),
        "commit" => text(&package.commit),
        "build-time" => number(package.build_time),
        "installed-size" => number(package.installed_size),
        "file-size" => number(package.size),
        "provider-priority" => number(package.provider_priority.unwrap_or(0).into()),
        "depends" => words(package.depends.iter().map(ToString::to_string).collect()),
        "provides" => words(package.provides.iter().map(ToString::to_string).collect()),
        "replaces" => words(package.replaces.iter().map(ToString::to_string).collect()),
        "install-if" => words(package.install_if.iter().map(ToString::to_string).collect()),
        "recommends" => words(package.recommends.iter().map(ToString::to_string).collect()),
        "layer" => number(package.layer.into()),
        "tags" => words(package.tags.clone()),
        "repositories" => {
            let installed = known.installed.map(|_| "lib/apk/db/installed".to_owned());
            let places = known.places.iter().filter_map(|at| database.places.get(*at)).map(|p| p.shown.clone());
            Some(Value::Lines(installed.into_iter().chain(places).collect()))
        }
        "download-url" => database.url_of(known).ok().map(Value::Text),
        "reverse-depends" => Some(Value::Gathered(names(&database.dependents(known, record.is_some())))),
        "reverse-install-if" => Some(Value::Gathered(names(&database.install_if_dependents(known, record.is_some())))),
        "contents" => {
            let paths = record?.file_paths().map(|(path, _)| path.to_string().trim_start_matches('/').to_owned());
            Some(Value::Lines(paths.collect()))
        }
        "triggers" => words(record.map(|_| database.triggers_of(known))?),
        "scripts" => words(record.map(|_| database.scripts_of(known))?),
        "replaces-priority" => number(package.replaces_priority.into()),
        "status" => {
            let record = record?;
            let flags = [('f', "broken-files"), ('s', "broken-scripts"), ('x', "broken-xattr")];
            let broken =
                flags.iter().filter(|(flag, _)| record.flags.contains(*flag)).map(|(_, word)| (*word).to_owned());
            Some(Value::Gathered(["installed".to_owned()].into_iter().chain(broken).collect()))
        }
        _ => None,
    }
}

fn names(all: &[&Known]) -> Vec<String> {
    let mut names: Vec<String> = all.iter().map(|k| k.package.name.clone()).collect();
    names.dedup();
    names
}
