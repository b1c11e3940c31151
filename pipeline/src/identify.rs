//! Which system a root is, from its own files. Decides nothing else.

use std::io::BufReader;

use xpkg_formats::apk::db;
use xpkg_formats::limits::Limits;
use xpkg_model::root::RootView;
use xpkg_model::{Ecosystem, RelPath};
use xpkg_resolver::abi::Release;
pub use xpkg_shims::registration::Generation as Manager;

use crate::error::Error;

/// Largest identification file read.
const MAX_TEXT: u64 = 64 << 10;
/// What opkg knows of a root.
const OPKG_STATUS: &str = "usr/lib/opkg/status";
/// Where that is; a root on which nothing was installed yet has no more.
const OPKG_DIR: &str = "usr/lib/opkg";

/// What a root says of itself.
#[derive(Clone, Debug)]
pub struct System {
    /// The world whose manager owns it.
    pub native: Ecosystem,
    /// Which manager that is.
    pub manager: Manager,
    /// Its release, where it says one.
    pub release: Option<Release>,
}

/// Looks at `/etc/os-release`, `/etc/openwrt_release`, `/etc/alpine-release` and the native database.
pub fn identify(root: &dyn RootView, dir: &std::path::Path) -> Result<System, Error> {
    let unknown = |reason: &str| Error::UnknownRoot { root: dir.to_owned(), reason: reason.to_owned() };
    let text = |path: &'static str| -> Result<Option<String>, Error> {
        let bytes = root.read(&RelPath::literal(path), MAX_TEXT).map_err(Error::io(format!("reading /{path}")))?;
        Ok(bytes.map(|b| String::from_utf8_lossy(&b).into_owned()))
    };
    let os = text("etc/os-release")?.or(text("usr/lib/os-release")?).unwrap_or_default();
    let alpine = text("etc/alpine-release")?;
    let openwrt = text("etc/openwrt_release")?;
    let id = value(&os, "ID").unwrap_or_default();
    let like = value(&os, "ID_LIKE").unwrap_or_default();
    let is = |word: &str| id == word || like.split_whitespace().any(|w| w == word);
    let has = |path: &'static str| {
        let node = root.node(&RelPath::literal(path)).map_err(Error::io(format!("looking for /{path}")))?;
        Ok::<bool, Error>(node.is_some())
    };
    let native = if openwrt.is_some() || is("openwrt") || is("lede") {
        Ecosystem::Openwrt
    } else if alpine.is_some() || is("alpine") {
        Ecosystem::Alpine
    } else {
        return other(root, &os).map_err(Error::io("looking for a program"))?.ok_or_else(|| {
            unknown("no file of it says that it is OpenWrt or Alpine, and it has no program such as /bin/sh that would say what runs there")
        });
    };
    // A root that went from opkg to apk may keep what opkg left; its database is apk's.
    let manager = if has(db::INSTALLED)? {
        generation(root, native)?
    } else if native == Ecosystem::Openwrt && (has(OPKG_STATUS)? || has(OPKG_DIR)?) {
        Manager::Opkg
    } else {
        return Err(unknown("it has no database of apk (/lib/apk/db/installed) or opkg (/usr/lib/opkg/status)"));
    };
    let version = match native {
        Ecosystem::Alpine | Ecosystem::Other => {
            alpine.map(|v| v.trim().to_owned()).or_else(|| value(&os, "VERSION_ID"))
        }
        Ecosystem::Openwrt => openwrt
            .and_then(|t| value(&t, "DISTRIB_RELEASE"))
            .or_else(|| value(&os, "VERSION_ID").or(value(&os, "VERSION"))),
    };
    let release = version.filter(|v| !v.is_empty()).map(|version| Release { ecosystem: native, version });
    Ok(System { native, manager, release })
}

/// A root of neither world: some system that says its name, or has a program that could run here. An empty directory is none.
/// There the records are our own, in apk 3's layout.
fn other(root: &dyn RootView, os_release: &str) -> std::io::Result<Option<System>> {
    let named = value(os_release, "ID").is_some();
    Ok(xpkg_repos::sources::machine(root)?
        .filter(|_| named || root.node(&RelPath::literal("etc")).is_ok_and(|node| node.is_some()))
        .map(|_| System { native: Ecosystem::Other, manager: Manager::Apk3, release: None }))
}

/// apk 3 writes `f:S` or `g:`; a database without either is apk 3's only if its apk-tools package says so.
fn generation(root: &dyn RootView, native: Ecosystem) -> Result<Manager, Error> {
    if native == Ecosystem::Openwrt {
        return Ok(Manager::Apk3);
    }
    let path = RelPath::literal(db::INSTALLED);
    let Some(file) = root.open(&path).map_err(Error::io("opening the native database"))? else {
        return Ok(Manager::Apk2);
    };
    let mut major = None;
    db::visit_claims(BufReader::new(file), db::INSTALLED, &Limits::default(), &mut |claim| {
        if claim.package == "apk-tools" && major.is_none() {
            major = claim.version.split('.').next().and_then(|m| m.parse::<u32>().ok());
        }
    })?;
    Ok(if major.is_some_and(|m| m >= 3) { Manager::Apk3 } else { Manager::Apk2 })
}

/// A shell-like `KEY=value` line, quotes taken off.
fn value(text: &str, key: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let value = line.trim().strip_prefix(key)?.strip_prefix('=')?;
        Some(value.trim_matches(['"', '\'']).to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::value;

    #[test]
    fn quotes_come_off() {
        let text = "DISTRIB_ID='OpenWrt'\nDISTRIB_RELEASE=\"25.12.2\"\nID=alpine\n";
        assert_eq!(value(text, "DISTRIB_RELEASE").as_deref(), Some("25.12.2"));
        assert_eq!(value(text, "ID").as_deref(), Some("alpine"));
        assert_eq!(value(text, "NONE"), None);
    }
}
