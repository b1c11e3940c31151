//! The sources of a root whose manager is opkg: `/etc/opkg.conf`, then `/etc/opkg/*.conf`. Reads a root, never writes one.

use xpkg_formats::Limits;
use xpkg_formats::opkg::conf::{CONF_DIR, Conf, OPKG_CONF, Source as Feed};
use xpkg_model::root::RootView;
use xpkg_model::{Ecosystem, RelPath};

use super::{list, path, read_text};
use crate::error::{Error, Result};
use crate::source::{Format, Origin, Source, Trust};

/// What opkg knows of a root.
const STATUS: &str = "/usr/lib/opkg/status";
/// Words that stand for every architecture.
const EVERY: [&str; 2] = ["all", "noarch"];

/// Whether opkg is the manager of a root that has no database of apk.
pub(super) fn owns(root: &dyn RootView) -> Result<bool> {
    let has = |text: &str| {
        let node = root.node(&path(text)?).map_err(|e| super::failed("look for", text, e))?;
        Ok::<bool, crate::Error>(node.is_some())
    };
    Ok(!has("/lib/apk/db/installed")? && (has(STATUS)? || has(&format!("/{OPKG_CONF}"))?))
}

/// What the files say, and which file each source is from.
fn read(root: &dyn RootView) -> Result<(Conf, Vec<(RelPath, u32)>)> {
    let mut files = vec![path(&format!("/{OPKG_CONF}"))?];
    for name in list(root, &format!("/{CONF_DIR}"))?.into_iter().filter(|n| n.ends_with(".conf") && !n.starts_with('.'))
    {
        files.push(path(&format!("/{CONF_DIR}/{name}"))?);
    }
    let (mut conf, mut origins) = (Conf::new(), Vec::new());
    for file in files {
        let (text, what) = (read_text(root, &file)?, file.to_string());
        let bad = |e: xpkg_formats::Error| Error::BadSource { file: what.clone(), reason: e.to_string() };
        conf.read(text.as_bytes(), &what, &Limits::default()).map_err(bad)?;
        for source in conf.sources.iter().skip(origins.len()) {
            let line = text.lines().position(|l| l.contains(&source.name) && l.contains(&source.url));
            origins.push((file.clone(), line.map_or(0, |n| u32::try_from(n + 1).unwrap_or(u32::MAX))));
        }
    }
    for problem in &conf.problems {
        tracing::warn!(file = %problem.what, line = problem.line, text = %problem.text, "not understood, as by opkg");
    }
    Ok((conf, origins))
}

/// The sources, in the order that opkg reads them.
pub(super) fn load(root: &dyn RootView, arches: &[(Ecosystem, String)]) -> Result<Vec<Source>> {
    let native = Ecosystem::Openwrt;
    let arch = arches.iter().find(|(e, _)| *e == native).map(|(_, a)| a.clone()).unwrap_or_default();
    let (conf, origins) = read(root)?;
    let trust = if conf.check_signature() { Trust::Signed } else { Trust::None };
    let source = |(feed, (file, line)): (&Feed, (RelPath, u32))| Source {
        name: feed.name.clone(),
        group: feed.name.clone(),
        ecosystem: native,
        url: feed.base_url(),
        component: None,
        arch: arch.clone(),
        format: Some(if feed.gzip { Format::Opkg } else { Format::OpkgPlain }),
        keys: Vec::new(),
        priority: 0,
        trust,
        enabled: true,
        tag: None,
        origin: Origin::Native { file, line },
    };
    // `dist` is a Debian repository; no OpenWrt has ever had one.
    Ok(conf.sources.iter().zip(origins).filter(|(feed, _)| !feed.dist).map(source).collect())
}

/// Architecture words that opkg installs, the preferred one first. Without `arch` lines opkg knows the one that it was built
/// for; the root's release file says which that is.
pub(super) fn arches(root: &dyn RootView) -> Result<Vec<String>> {
    let (conf, _) = read(root)?;
    let mut arches: Vec<(String, i64)> = conf.arches.iter().map(|a| (a.name.clone(), a.priority())).collect();
    arches.retain(|(name, priority)| *priority > 0 && !EVERY.contains(&name.as_str()));
    arches.sort_by_key(|(_, priority)| std::cmp::Reverse(*priority));
    Ok(arches.into_iter().map(|(name, _)| name).collect())
}
