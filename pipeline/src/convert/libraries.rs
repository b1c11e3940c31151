//! What a payload's ELF files need and give, and which programs it puts into PATH: what Alpine's build writes as `so:` and
//! `cmd:` names. A file that is damaged as ELF says nothing.

use xpkg_formats::{Limits, elf};
use xpkg_model::elf::Kind;
use xpkg_model::payload::EntryKind;

use super::names::Libraries;
use crate::error::Error;
use crate::package_files::Payload;

/// Directories whose programs are commands.
const PROGRAMS: [&str; 4] = ["bin", "sbin", "usr/bin", "usr/sbin"];
/// Directories in which the loader looks.
const LIBRARIES: [&str; 3] = ["lib", "usr/lib", "usr/local/lib"];

/// Reads them.
pub(super) fn read(payload: &mut Payload) -> Result<Libraries, Error> {
    let mut out = Libraries::default();
    let mut all_sonames = Vec::new();
    payload.each(&mut |entry, content| {
        let dir = entry.path.parent().and_then(|p| p.as_str().map(str::to_owned)).unwrap_or_default();
        let Some(name) = std::str::from_utf8(entry.path.file_name()).ok() else { return Ok(()) };
        let executable = match entry.kind {
            EntryKind::File | EntryKind::Hardlink(_) => entry.mode & 0o111 != 0,
            EntryKind::Symlink(_) => true,
            _ => false,
        };
        if executable && PROGRAMS.contains(&dir.as_str()) && xpkg_model::dependency::valid_name(name) {
            out.programs.insert(name.to_owned());
        }
        if entry.kind != EntryKind::File {
            return Ok(());
        }
        let facts = elf::read_outline(content, &entry.path.to_string(), &Limits::default());
        if let Ok(Some(facts)) = facts {
            out.needs.extend(facts.needed);
            if let Some(soname) = facts.soname.filter(|_| facts.kind == Kind::Library) {
                all_sonames.push(soname.clone());
                // What the loader does not find is a plugin, not a capability.
                if LIBRARIES.contains(&dir.as_str()) && xpkg_model::dependency::valid_name(&soname) {
                    out.sonames.insert(soname, file_version(name));
                }
            }
        }
        Ok(())
    })?;
    out.needs.retain(|soname| !all_sonames.contains(soname) && xpkg_model::dependency::valid_name(soname));
    Ok(out)
}

/// The version in a library's file name, as Alpine's build takes it: `libz.so.1.3.1` → `1.3.1`, `libc.so` → `0`.
fn file_version(name: &str) -> String {
    let version = name.split_once(".so.").map_or("0", |(_, version)| version);
    if xpkg_model::version::is_valid_apk(version) { version.to_owned() } else { "0".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_file_names() {
        for (name, version) in
            [("libz.so.1.3.1", "1.3.1"), ("libubox.so", "0"), ("libx.so.1-beta", "0"), ("libjq.so.1.0.4", "1.0.4")]
        {
            assert_eq!(file_version(name), version);
        }
    }
}
