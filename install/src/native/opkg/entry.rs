//! What opkg's database says of one package that comes: its stanza, and its files in the info directory. Pure.

use std::collections::BTreeMap;

use xpkg_formats::opkg::Control;
use xpkg_model::RelPath;

use super::super::{Changes, Registration};
use crate::{Error, Result};

/// What opkg wants to know beyond a package's metadata.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// The package's own `control` file, as it came; made from the metadata when empty.
    pub control: Vec<u8>,
    /// What else came with it: scripts and lists, by their suffix (`postinst`, `prerm-pkg`, `conffiles` …).
    pub files: BTreeMap<String, Vec<u8>>,
    /// Paths that it has on the root, without directories.
    pub paths: Vec<RelPath>,
    /// Configuration files and the SHA-256, in hex, of what was delivered.
    pub conffiles: Vec<(RelPath, String)>,
    /// Named by a person.
    pub explicit: bool,
    /// Upgrades shall leave it alone.
    pub held: bool,
}

/// The order of opkg's own stanzas (opkg-lede, libopkg/pkg.c, pkg_print_status).
const BEFORE_STATUS: [&str; 8] =
    ["ABIVersion", "Version", "Depends", "Recommends", "Suggests", "Provides", "Replaces", "Conflicts"];

/// The stanza of a package that comes; `old` is that of the version in whose place it comes, and `abi` says
/// whether this opkg writes `ABIVersion`.
pub(super) fn stanza(new: &Registration, old: Option<&Control>, changes: &Changes, abi: bool) -> Result<Control> {
    let package = &new.record.package;
    let bad = |e: xpkg_formats::Error| Error::Package { package: package.name.clone(), source: Box::new(e) };
    let described = Control::from_package(package).map_err(bad)?;
    let empty = Entry::default();
    let entry = new.opkg.as_deref().unwrap_or(&empty);
    let mut control = Control::new();
    let mut push = |name: &str, value: Option<&str>| match value {
        Some(value) => control.push(name, value).map_err(bad),
        None => Ok(()),
    };
    push("Package", Some(&package.name))?;
    for field in BEFORE_STATUS.into_iter().filter(|field| abi || *field != "ABIVersion") {
        push(field, described.get(field).map(spaced).as_deref())?;
    }
    let was_auto = old.is_some_and(|old| old.get("Auto-Installed") == Some("yes"));
    let named = entry.explicit || changes.world_set.iter().any(|d| d.name == package.name && !d.conflict);
    let auto = !named && (old.is_none() || was_auto);
    let mut flags: Vec<String> = Vec::new();
    let was = |flag: &str| old.is_some_and(|old| super::flags(old).any(|f| f == flag));
    let held = changes.hold.get(&package.name).copied();
    if held.unwrap_or(entry.held || was("hold")) {
        flags.push("hold".to_owned());
    }
    if named || was("user") {
        flags.push("user".to_owned());
    }
    push("Status", Some(&status(&flags, "installed")))?;
    push("Essential", described.get("Essential"))?;
    push("Architecture", described.get("Architecture"))?;
    if !entry.conffiles.is_empty() {
        let lines: String = entry.conffiles.iter().map(|(path, digest)| format!("\n {path} {digest}")).collect();
        push("Conffiles", Some(&lines))?;
    }
    push("Installed-Time", Some(&changes.now.to_string()))?;
    push("Auto-Installed", auto.then_some("yes"))?;
    push("Alternatives", described.get("Alternatives"))?;
    Ok(control)
}

/// opkg writes a blank between relation and version.
fn spaced(list: &str) -> String {
    let mut out = String::with_capacity(list.len() + 8);
    let mut rest = list;
    while let Some((before, condition)) = rest.split_once('(') {
        let op = condition.len() - condition.trim_start_matches(['<', '=', '>']).len();
        let (op, after) = condition.split_at_checked(op).unwrap_or(("", condition));
        out.push_str(before);
        out.push('(');
        out.push_str(op);
        if !op.is_empty() && !after.starts_with(' ') {
            out.push(' ');
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// `Status` of a package whose files are there. `hold` stands before `user`, or opkg loses it.
pub(super) fn status(flags: &[String], state: &str) -> String {
    let mut flags: Vec<&str> = flags.iter().map(String::as_str).filter(|f| !f.is_empty()).collect();
    let rank = |flag: &&str| match *flag {
        "hold" => 0,
        "user" => 2,
        _ => 1,
    };
    flags.sort_by_key(rank);
    flags.dedup();
    let flags = if flags.is_empty() { "ok".to_owned() } else { flags.join(",") };
    format!("install {flags} {state}")
}

/// Puts `Auto-Installed: yes` where opkg writes it.
pub(super) fn push_auto(control: &mut Control) -> Result<()> {
    let bad = |e: xpkg_formats::Error| Error::native(format!("/{}", super::STATUS), e);
    let last = control.get("Alternatives").map(str::to_owned);
    control.remove("Auto-Installed");
    control.remove("Alternatives");
    control.push("Auto-Installed", "yes").map_err(bad)?;
    match last {
        Some(alternatives) => control.push("Alternatives", &alternatives).map_err(bad),
        None => Ok(()),
    }
}

/// Files in the info directory: suffix, mode, content.
pub(super) fn files(new: &Registration) -> Result<Vec<(String, u32, Vec<u8>)>> {
    let package = &new.record.package;
    let empty = Entry::default();
    let entry = new.opkg.as_deref().unwrap_or(&empty);
    let control = if entry.control.is_empty() {
        let control = Control::from_package(package);
        control.map_err(|e| Error::Package { package: package.name.clone(), source: Box::new(e) })?.to_bytes()
    } else {
        entry.control.clone()
    };
    let mut files = vec![("list".to_owned(), 0o644, list_text(&entry.paths)), ("control".to_owned(), 0o644, control)];
    for (suffix, bytes) in &entry.files {
        // A suffix becomes part of a file name.
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        if suffix.is_empty() || matches!(suffix.as_str(), "list" | "control") || !suffix.bytes().all(plain) {
            continue;
        }
        let mode = if suffix == "conffiles" { 0o644 } else { 0o755 };
        files.push((suffix.clone(), mode, bytes.clone()));
    }
    Ok(files)
}

/// Absolute paths, one a line.
pub(super) fn list_text(paths: &[RelPath]) -> Vec<u8> {
    let mut text = Vec::new();
    for path in paths.iter().filter(|path| !path.as_bytes().contains(&b'\n')) {
        text.push(b'/');
        text.extend_from_slice(path.as_bytes());
        text.push(b'\n');
    }
    text
}
