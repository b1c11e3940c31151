//! The files in `/lib/apk/packages` in which OpenWrt 25.12 keeps what apk's packages cannot say: read and taken out of a
//! payload, and made for one.

use xpkg_formats::keys::Hash;
use xpkg_model::RelPath;
use xpkg_model::identity::hex;
use xpkg_model::opkg::{Alternative, Opkg};
use xpkg_model::payload::EntryKind;

use super::Draft;
use crate::error::Error;
use crate::package_files::Payload;

/// Where they lie.
const DIR: &str = "lib/apk/packages";
/// The longest list of OpenWrt's feeds has under 100 KiB.
const MAX: u64 = 8 << 20;
/// Configuration files larger than this get no digest; sysupgrade then keeps them in any case.
const MAX_CONFFILE: u64 = 32 << 20;

fn path(package: &str, kind: &str) -> Result<RelPath, Error> {
    RelPath::from_package(format!("{DIR}/{package}.{kind}").as_bytes())
        .map_err(|e| Error::NotPossible(format!("package {package}: {e}")))
}

/// Whether a payload has them: what tells OpenWrt's apk packages from Alpine's.
pub(super) fn are_in(package: &str, payload: &Payload) -> bool {
    path(package, "list").is_ok_and(|path| payload.get(&path).is_some())
}

/// Takes what they say into the draft, and them out of its payload.
pub(super) fn take(draft: &mut Draft) -> Result<(), Error> {
    let name = draft.package.name.clone();
    let mut read = |kind: &str| -> Result<String, Error> {
        let bytes = draft.payload.read(&path(&name, kind)?, MAX)?.unwrap_or_default();
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let (conffiles, rusers, alternatives) = (read("conffiles")?, read("rusers")?, read("alternatives")?);
    let bad = |e: &dyn std::fmt::Display| Error::NotPossible(format!("package {name}: {e}"));
    for line in conffiles.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let path = RelPath::from_absolute(line).map_err(|e| bad(&e))?;
        // What is a directory or no file of the package stands in lib/upgrade/keep.d as well.
        if draft.payload.get(&path).is_some_and(|e| e.kind != EntryKind::Dir) {
            draft.conffiles.push(path);
        }
    }
    let opkg = draft.package.opkg.get_or_insert_with(Box::default);
    opkg.require_user = rusers.split_ascii_whitespace().map(str::to_owned).collect();
    for word in alternatives.split_ascii_whitespace() {
        opkg.alternatives.push(word.parse::<Alternative>().map_err(|e| bad(&e))?);
    }
    let ours: Vec<RelPath> = ["list", "conffiles", "conffiles_static", "rusers", "alternatives"]
        .iter()
        .map(|kind| path(&name, kind))
        .collect::<Result<_, _>>()?;
    draft.payload.retain(|entry| !ours.contains(&entry.path));
    for dir in [DIR, "lib/apk", "lib"] {
        let dir = RelPath::from_package(dir.as_bytes()).map_err(|e| bad(&e))?;
        let used = draft.payload.entries().any(|e| e.path != dir && e.path.starts_with(&dir));
        if !used {
            draft.payload.retain(|entry| entry.path != dir);
        }
    }
    Ok(())
}

/// Adds them to a payload.
pub(super) fn add(
    package: &str,
    opkg: &Opkg,
    conffiles: &[RelPath],
    mtime: u64,
    payload: &mut Payload,
) -> Result<(), Error> {
    let put = |kind: &str, text: &str, payload: &mut Payload| {
        payload.add_file(path(package, kind)?, 0o644, mtime, text.as_bytes())
    };
    if !conffiles.is_empty() {
        let (mut names, mut digests) = (String::new(), String::new());
        for path in conffiles {
            names.push_str(&format!("{path}\n"));
            if let Some(content) = payload.read(path, MAX_CONFFILE)? {
                digests.push_str(&format!("{path} {}\n", hex(&Hash::Sha256.of(&content))));
            }
        }
        put("conffiles", &names, payload)?;
        put("conffiles_static", &digests, payload)?;
    }
    if !opkg.require_user.is_empty() {
        put("rusers", &format!("{}\n", opkg.require_user.join(" ")), payload)?;
    }
    if !opkg.alternatives.is_empty() {
        let words: Vec<String> = opkg.alternatives.iter().map(ToString::to_string).collect();
        put("alternatives", &format!("{}\n", words.join(" ")), payload)?;
    }
    // The list itself is not in it, nor are the lists of configuration files (seen in the feeds of 25.12).
    let mut files: Vec<String> =
        payload.entries().filter(|e| e.kind != EntryKind::Dir).map(|e| e.path.to_string()).collect();
    files
        .retain(|file| !file.ends_with(&format!("/{DIR}/{package}.conffiles")) && !file.ends_with(".conffiles_static"));
    files.sort();
    let list: String = files.iter().map(|file| format!("{file}\n")).collect();
    put("list", &list, payload)
}
