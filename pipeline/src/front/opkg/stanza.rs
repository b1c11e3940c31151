//! Stanzas of lists and status files as the walk wants them: relations in the order of the stanza. Opens nothing.

use std::io::BufRead;
use std::sync::Arc;

use xpkg_formats::Limits;
use xpkg_formats::opkg::{Control, Stanzas, depends};
use xpkg_model::{Dependency, Ecosystem, Requirement};
use xpkg_resolver::native::opkg::{Described, Field, Flags, Possibility, Requires, State, Status, Strength, Want};

use crate::Error;

/// Every stanza of a file. `status`: it is a status file, whose packages are in a state. What makes no sense is left out,
/// as opkg does; the answer's second half says what that was.
pub fn read_stanzas(
    reader: impl BufRead,
    what: &str,
    place: usize,
    status: bool,
    limits: &Limits,
) -> Result<(Vec<Described>, Vec<String>), Error> {
    let (mut found, mut skipped) = (Vec::new(), Vec::new());
    let mut stanzas = Stanzas::new(reader, what, limits);
    while let Some(control) = stanzas.next()? {
        match described(&control, place, status, limits) {
            Ok(described) => found.push(described),
            Err(reason) => skipped.push(format!("{what}: {}: {reason}", control.get("Package").unwrap_or("no name"))),
        }
    }
    Ok((found, skipped))
}

/// One stanza. `place` is the index of its list or destination.
pub fn described(control: &Control, place: usize, status: bool, limits: &Limits) -> Result<Described, String> {
    let package = control.to_package(Ecosystem::Openwrt, limits)?;
    let max = limits.max_list;
    let mut fields = Vec::new();
    let (mut state, mut conffiles) = (State::default(), Vec::new());
    let mut essential = false;
    for (name, value) in control.iter() {
        match name {
            "Pre-Depends" => fields.push(requires(value, Strength::PreDepend, max)?),
            "Depends" => fields.push(requires(value, Strength::Depend, max)?),
            "Recommends" => fields.push(requires(value, Strength::Recommend, max)?),
            "Suggests" => fields.push(requires(value, Strength::Suggest, max)?),
            "Conflicts" => {
                let items = depends::parse(value, max)?;
                fields.push(Field::Conflicts(items.iter().map(possibilities).collect()));
            }
            "Provides" => fields.push(Field::Provides(depends::names(value, max)?)),
            "Replaces" => fields.push(Field::Replaces(depends::names(value, max)?)),
            "Essential" => essential = value == "yes",
            "Status" => (state.want, state.flags, state.status) = states(value),
            "Auto-Installed" => state.auto_installed = value == "yes",
            "Installed-Time" => state.installed_time = value.parse().unwrap_or_default(),
            "Conffiles" => conffiles = control.lines(name).filter_map(conffile).collect(),
            _ => {}
        }
    }
    let package = Arc::new(package);
    // A list may hold `Status: unknown hold not-installed`, which counts; the package is still only offered.
    let offered = !status;
    Ok(Described { package, fields, essential, conffiles, state, offered, place, by_hand: false })
}

fn conffile(line: &str) -> Option<(String, String)> {
    let (path, digest) = line.split_once(char::is_whitespace)?;
    Some((path.to_owned(), digest.trim().to_owned()))
}

fn states(value: &str) -> (Want, Flags, Status) {
    let mut words = value.split_ascii_whitespace();
    let want = match words.next() {
        Some("install") => Want::Install,
        Some("deinstall") => Want::Deinstall,
        Some("purge") => Want::Purge,
        _ => Want::Unknown,
    };
    let flags = words.next().map(Flags::parse).unwrap_or_default();
    let status = words.next().map(Status::parse).unwrap_or_default();
    (want, flags, status)
}

fn requires(value: &str, strength: Strength, max: u64) -> Result<Field, String> {
    let items = depends::parse(value, max)?;
    // The parser takes the `*` of a greedy need and forgets it; it counts for the whole item.
    let texts = value.split(',').map(str::trim).filter(|item| !item.is_empty());
    let list = items.iter().zip(texts).map(|(item, text)| Requires {
        strength: if text.contains('*') { Strength::Greedy } else { strength },
        any_of: possibilities(item),
    });
    Ok(Field::Requires(list.collect()))
}

fn possibilities(item: &Requirement) -> Vec<Possibility> {
    let one = |d: &Dependency| Possibility { name: d.name.clone(), op: d.op, version: d.version.clone() };
    item.alternatives().iter().map(one).collect()
}
