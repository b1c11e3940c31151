//! The native manager's own sources: apk's repository files, both generations. Reads a root, never writes one.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _};

use xpkg_formats::apk::db::arch::Arches;
use xpkg_formats::apk::db::repositories::{self, Kind, Variables};
use xpkg_model::root::RootView;
use xpkg_model::{Ecosystem, RelPath};

use super::{MAX_FILE, failed, list, path, read_text};
use crate::error::{Error, Result};
use crate::source::{Format, Origin, Source, Trust};

/// Further files; where both have one of the same name, the first directory's counts (apk-tools, `apk_db_open`).
const DIRS: [&str; 2] = ["/etc/apk/repositories.d", "/lib/apk/repositories.d"];
/// How much of the installed database is read for an architecture; the first packages tell.
const MAX_INSTALLED: u64 = 1 << 20;

/// The sources of the native manager, in the order it reads them.
pub(super) fn load(root: &dyn RootView, native: Ecosystem, arches: &[(Ecosystem, String)]) -> Result<Vec<Source>> {
    let arch = arches.iter().find(|(e, _)| *e == native).map(|(_, a)| a.clone()).unwrap_or_default();
    let mut files = vec![path("/etc/apk/repositories")?];
    let mut further = BTreeMap::new();
    for dir in DIRS {
        for name in list(root, dir)?.into_iter().filter(|n| n.ends_with(".list") && !n.starts_with('.')) {
            let file = path(&format!("{dir}/{name}"))?;
            further.entry(name).or_insert(file);
        }
    }
    files.extend(further.into_values());
    let (mut vars, mut sources) = (Variables::new(&arch), Vec::new());
    for file in files {
        let text = read_text(root, &file)?;
        let lines = repositories::parse(text.as_bytes(), &file.to_string(), &mut vars)
            .map_err(|e| Error::BadSource { file: file.to_string(), reason: e.to_string() })?;
        for line in lines {
            let name = name_of(&line.url, line.kind);
            sources.push(Source {
                group: name.clone(),
                name,
                ecosystem: native,
                url: line.url,
                component: None,
                arch: arch.clone(),
                format: Some(match line.kind {
                    Kind::V2 => Format::ApkV2,
                    Kind::V3 => Format::ApkV3,
                    Kind::Ndx => Format::Index,
                }),
                keys: Vec::new(),
                priority: 0,
                trust: Trust::Signed,
                enabled: true,
                tag: line.tag,
                origin: Origin::Native { file: file.clone(), line: line.line.try_into().unwrap_or(u32::MAX) },
            });
        }
    }
    Ok(sources)
}

/// A short name for a URL: `v3.19-main`, `base`, `target`, `kmods`.
fn name_of(url: &str, kind: Kind) -> String {
    let dir = if kind == Kind::Ndx { url.rsplit_once('/').map_or(url, |(dir, _)| dir) } else { url };
    let parts: Vec<&str> = dir.split('/').filter(|p| !p.is_empty() && !p.contains(':')).collect();
    if kind == Kind::Ndx {
        for word in ["kmods", "targets"] {
            if parts.contains(&word) {
                return word.to_owned();
            }
        }
        return parts.last().map_or_else(|| "native".to_owned(), |p| (*p).to_owned());
    }
    let tail = parts.get(parts.len().saturating_sub(2)..).unwrap_or_default();
    if tail.is_empty() { "native".to_owned() } else { tail.join("-") }
}

/// The architecture word of the root's own packages.
pub(super) fn arch_of_root(root: &dyn RootView) -> Result<Option<String>> {
    let file = path("/etc/apk/arch")?;
    let text = read_text(root, &file)?;
    let arches = Arches::parse(text.as_bytes(), &file.to_string())
        .map_err(|e| Error::BadSource { file: file.to_string(), reason: e.to_string() })?;
    if let Some(word) = arches.primary() {
        return Ok(Some(word.to_owned()));
    }
    // OpenWrt says it in a file of its own; apk's database in every package that is not for all architectures.
    let release = read_text(root, &path("/etc/openwrt_release")?)?;
    let word =
        release.lines().find_map(|l| l.strip_prefix("DISTRIB_ARCH=")).map(|w| w.trim_matches(['\'', '"']).to_owned());
    match word.filter(|w| !w.is_empty()) {
        Some(word) => Ok(Some(word)),
        None => installed_arch(root, &path("/lib/apk/db/installed")?),
    }
}

fn installed_arch(root: &dyn RootView, file: &RelPath) -> Result<Option<String>> {
    let broken = |e| failed("read", &file.to_string(), e);
    let Some(db) = root.open(file).map_err(broken)? else { return Ok(None) };
    let mut lines = BufReader::new(db.take(MAX_INSTALLED));
    let mut line = Vec::new();
    loop {
        line.clear();
        // Longer lines than any file's are cut, which no `A:` line is.
        let n = (&mut lines).take(MAX_FILE).read_until(b'\n', &mut line).map_err(broken)?;
        if n == 0 {
            return Ok(None);
        }
        let word = std::str::from_utf8(&line).ok().and_then(|l| l.strip_prefix("A:")).map(str::trim_end);
        if let Some(word) = word.filter(|w| !w.is_empty() && *w != "noarch") {
            return Ok(Some(word.to_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_say_what_it_is() {
        for (url, kind, name) in [
            ("https://dl-cdn.alpinelinux.org/alpine/v3.19/main", Kind::V2, "v3.19-main"),
            ("https://downloads.openwrt.org/releases/25.12.2/packages/x86_64/base/packages.adb", Kind::Ndx, "base"),
            (
                "https://downloads.openwrt.org/releases/25.12.2/targets/x86/64/packages/packages.adb",
                Kind::Ndx,
                "targets",
            ),
            ("/packages.adb", Kind::Ndx, "native"),
            ("http://127.0.0.1:8000", Kind::V2, "native"),
        ] {
            assert_eq!(name_of(url, kind), name);
        }
    }
}
