//! Links that enable services, where no script runs to make or take them: an image, another machine's root, `--no-scripts`.
//! Elsewhere the packages' own scripts do it. Like those links they belong to no package, because whether a service is
//! enabled is a person's choice. Starts nothing.

use xpkg_model::root::{NodeKind, RootView};
use xpkg_model::{Action, RelPath};

use crate::transaction::stage::{Work, ensure_dir};
use crate::{Error, Meta, Result, Target};

/// Where services lie, and where the links of their start order do.
const ORDERED: [(&str, &str); 2] = [("etc/init.d", "etc/rc.d"), ("etc/openwrt/init.d", "etc/openwrt/rc.d")];
/// OpenRC's runlevels, a directory each.
const RUNLEVELS: &str = "etc/runlevels";

/// Stages the links of services that come for the first time, and takes away those of services that go. An upgrade changes
/// nothing: what was disabled stays so.
pub(crate) fn stage(target: &mut dyn Target, work: &Work<'_>) -> Result<()> {
    let prepared = &work.prepared;
    for path in &prepared.removals.files {
        for link in links_to(target, path)? {
            target.stage_remove(&link)?;
        }
    }
    for package in prepared.incoming.iter().filter(|p| p.step.action == Action::Install) {
        for (link, to) in &package.adaptation.enables {
            let dir = link.parent().unwrap_or_else(RelPath::root);
            let dir = target.real_path(&dir, true).map_err(|e| Error::io("resolving", &dir, e))?;
            let real = dir.join(link.file_name()).map_err(|e| Error::refused(link, e.to_string()))?;
            if target.node(&real).map_err(|e| Error::io("reading", &real, e))?.is_none() {
                ensure_dir(target, &dir)?;
                target.stage_symlink(&real, to.as_bytes(), &Meta::new(0o777))?;
            }
        }
    }
    Ok(())
}

/// The links by which a service is enabled.
fn links_to(root: &dyn Target, service: &RelPath) -> Result<Vec<RelPath>> {
    let Some(dir) = service.parent() else { return Ok(Vec::new()) };
    let mut places: Vec<RelPath> = Vec::new();
    for (services, links) in ORDERED {
        if dir == RelPath::literal(services) {
            places.push(RelPath::literal(links));
        }
    }
    if dir == RelPath::literal("etc/init.d") {
        let runlevels = RelPath::literal(RUNLEVELS);
        let levels = names(root, &runlevels)?;
        places.extend(levels.iter().filter_map(|level| runlevels.join(level).ok()));
    }
    let mut found = Vec::new();
    for place in places {
        for name in names(root, &place)? {
            let Ok(link) = place.join(&name) else { continue };
            let node = root.node(&link).map_err(|e| Error::io("reading", &link, e))?;
            let Some(NodeKind::Symlink(to)) = node.map(|node| node.kind) else { continue };
            if link.linked(&to).as_ref() == Some(service) {
                found.push(link);
            }
        }
    }
    Ok(found)
}

fn names(root: &(impl RootView + ?Sized), dir: &RelPath) -> Result<Vec<Vec<u8>>> {
    let failed = |e| Error::io("reading", dir, e);
    match root.node(dir).map_err(failed)?.map(|node| node.kind) {
        Some(NodeKind::Dir) => root.list(dir).map_err(failed),
        _ => Ok(Vec::new()),
    }
}
