//! Links that several packages offer, as OpenWrt has them: of the installed packages the one with the highest priority
//! gives its program the name; when the last one goes, busybox's applet comes back. Decides and stages, never commits.
//!
//! opkg keeps these links itself (opkg-lede, pkg_alternatives.c). On OpenWrt 25.12 the packages' scripts do it
//! (lib/functions.sh, update_alternatives): there it is done here only when scripts do not run.

use std::collections::BTreeSet;

use xpkg_model::opkg::Alternative;
use xpkg_model::root::NodeKind;
use xpkg_model::{Ecosystem, Package, RelPath};

use crate::native::opkg;
use crate::state::State;
use crate::transaction::stage::{Work, ensure_dir};
use crate::transaction::survey::Fate;
use crate::transaction::{ApplyInput, Receipt};
use crate::{Error, Meta, Result, Target};

const BUSYBOX: &str = "/bin/busybox";
/// One link each, and few packages have more than ten.
const MAX_LIST: u64 = 1 << 20;

/// What is offered before and after.
#[derive(Debug, Default)]
struct Offers {
    /// By packages that come or go: only their links are looked at.
    touched: Vec<Alternative>,
    /// By packages that are there afterwards.
    after: Vec<Alternative>,
    /// Applets of busybox; `None`: it is taken to have each.
    applets: Option<BTreeSet<RelPath>>,
}

/// Stages the links that a plan changes.
pub(crate) fn stage(
    target: &mut dyn Target,
    input: &ApplyInput<'_>,
    work: &Work<'_>,
    scripts_run: bool,
    receipt: &mut Receipt,
) -> Result<()> {
    if input.native != Ecosystem::Openwrt {
        return Ok(());
    }
    let offers = match (work.prepared.native.is_opkg(), scripts_run) {
        (true, _) => of_opkg(target, input, work)?,
        (false, false) => of_sidecars(target, work)?,
        (false, true) => return Ok(()),
    };
    settle_in(target, work, &offers, receipt)
}

/// Directories in which links of these packages stand.
pub(crate) fn dirs(target: &dyn Target, work: &Work<'_>, names: &BTreeSet<String>) -> Result<BTreeSet<RelPath>> {
    parents(target, &without(target, work, names)?.touched)
}

/// Directories in which the links of one package stand.
pub(crate) fn dirs_of(target: &dyn Target, package: &Package) -> Result<BTreeSet<RelPath>> {
    parents(target, &offered_by(package))
}

fn parents(target: &dyn Target, of: &[Alternative]) -> Result<BTreeSet<RelPath>> {
    let parents = of.iter().filter_map(|a| a.link.parent());
    parents.map(|dir| target.real_path(&dir, true).map_err(|e| Error::io("resolving", &dir, e))).collect()
}

/// Makes the links of a package whose last script has run at last; `installed` are all packages, itself included.
pub(crate) fn stage_configured(
    target: &mut dyn Target,
    package: &Package,
    installed: &[Package],
    receipt: &mut Receipt,
) -> Result<()> {
    let state = State::load(target)?;
    let after = installed.iter().flat_map(offered_by).collect();
    let applets = Some(opkg::list(target, "busybox")?.into_iter().collect());
    let offers = Offers { touched: offered_by(package), after, applets };
    let around = Around { taken: &|real| state.displaced.contains_key(real), removed: &|_| false };
    settle(target, &around, &offers, receipt)
}

fn offered_by(package: &Package) -> Vec<Alternative> {
    package.opkg.iter().flat_map(|opkg| opkg.alternatives.clone()).collect()
}

/// What else happens to paths.
struct Around<'a> {
    /// Another's, or brought by this transaction itself.
    taken: &'a dyn Fn(&RelPath) -> bool,
    /// Goes.
    removed: &'a dyn Fn(&RelPath) -> bool,
}

fn settle_in(target: &mut dyn Target, work: &Work<'_>, offers: &Offers, receipt: &mut Receipt) -> Result<()> {
    let prepared = &work.prepared;
    let brought = |real: &RelPath| {
        prepared.incoming.iter().flat_map(|p| &p.items).any(|i| i.real == *real && i.fate != Fate::Skip)
    };
    let around = Around {
        taken: &|real| prepared.state.displaced.contains_key(real) || brought(real),
        removed: &|real| prepared.removals.files.contains(real),
    };
    settle(target, &around, offers, receipt)
}

/// Takes back the links of packages whose last script failed: opkg makes them only when it succeeds.
pub(crate) fn stage_without(
    target: &mut dyn Target,
    work: &Work<'_>,
    names: &BTreeSet<String>,
    receipt: &mut Receipt,
) -> Result<()> {
    let offers = without(target, work, names)?;
    settle_in(target, work, &offers, receipt)
}

fn without(target: &dyn Target, work: &Work<'_>, names: &BTreeSet<String>) -> Result<Offers> {
    let (gone, stay): (Vec<_>, Vec<_>) = work.neighbours.iter().partition(|(name, _)| names.contains(name));
    let touched = gone.iter().flat_map(|(_, p)| offered_by(p)).collect();
    let after = stay.iter().flat_map(|(_, p)| offered_by(p)).collect();
    Ok(Offers { touched, after, applets: Some(opkg::list(target, "busybox")?.into_iter().collect()) })
}

fn settle(target: &mut dyn Target, around: &Around<'_>, offers: &Offers, receipt: &mut Receipt) -> Result<()> {
    let links: BTreeSet<&RelPath> = offers.touched.iter().map(|a| &a.link).collect();
    for link in links {
        let there = offers.after.iter().filter(|a| a.link == *link);
        // Of equals the first stays.
        let best = there.fold(None, |best: Option<&Alternative>, a| match best {
            Some(b) if b.priority >= a.priority => Some(b),
            _ => Some(a),
        });
        let applet = || offers.applets.as_ref().is_none_or(|applets| applets.contains(link));
        let wanted = best.map(|a| a.target.as_str()).or_else(|| applet().then_some(BUSYBOX));
        let offered = |to: &[u8]| offers.touched.iter().any(|a| a.link == *link && a.target.as_bytes() == to);
        put(target, around, link, wanted, &offered, receipt)?;
    }
    Ok(())
}

fn put(
    target: &mut dyn Target,
    around: &Around<'_>,
    link: &RelPath,
    wanted: Option<&str>,
    offered: &dyn Fn(&[u8]) -> bool,
    receipt: &mut Receipt,
) -> Result<()> {
    let failed = |e| Error::io("reading", link, e);
    let dir = link.parent().unwrap_or_else(RelPath::root);
    let dir = target.real_path(&dir, true).map_err(failed)?;
    let real = dir.join(link.file_name()).map_err(|e| Error::refused(link, e.to_string()))?;
    if (around.taken)(&real) {
        return Ok(());
    }
    let node = target.node(&real).map_err(failed)?.filter(|_| !(around.removed)(&real));
    match (node.map(|n| n.kind), wanted) {
        (Some(NodeKind::Symlink(to)), Some(wanted)) if to == wanted.as_bytes() => Ok(()),
        (Some(NodeKind::Symlink(_)) | None, Some(wanted)) => {
            ensure_dir(target, &dir)?;
            target.stage_symlink(&real, wanted.as_bytes(), &Meta::new(0o777)).map(drop)
        }
        (Some(NodeKind::Symlink(to)), None) if offered(&to) => target.stage_remove(&real),
        (Some(NodeKind::Symlink(_)) | None, None) => Ok(()),
        (Some(_), _) => {
            receipt.notes.push(format!("{link} is no link: alternatives leave it alone"));
            Ok(())
        }
    }
}

fn of_opkg(target: &dyn Target, input: &ApplyInput<'_>, work: &Work<'_>) -> Result<Offers> {
    let of = |package: &Package| {
        let native = package.ecosystem == input.native;
        if native { offered_by(package) } else { Vec::new() }
    };
    let prepared = &work.prepared;
    let going = prepared.outgoing.records.values().flat_map(|r| of(&r.package));
    let coming = prepared.incoming.iter().flat_map(|p| of(p.package()));
    let touched = going.chain(coming).collect();
    let after = work.neighbours.iter().flat_map(|(_, p)| of(p)).collect();
    let busybox = |name: &str| name == "busybox";
    let mut applets = BTreeSet::new();
    if work.neighbours.iter().any(|(name, _)| busybox(name)) {
        let coming = prepared.incoming.iter().find(|p| busybox(&p.registered));
        applets = match coming {
            Some(package) => package.items.iter().map(|i| i.entry.path.clone()).collect(),
            None => opkg::list(target, "busybox")?.into_iter().collect(),
        };
    }
    Ok(Offers { touched, after, applets: Some(applets) })
}

/// OpenWrt 25.12: `/lib/apk/packages/NAME.alternatives`.
fn of_sidecars(target: &dyn Target, work: &Work<'_>) -> Result<Offers> {
    let dir = RelPath::literal("lib/apk/packages");
    let failed = |e| Error::io("reading", &dir, e);
    let is_list = |path: &RelPath| path.parent().as_ref() == Some(&dir) && path.file_name().ends_with(b".alternatives");
    let prepared = &work.prepared;
    let mut offers = Offers::default();
    let going: BTreeSet<&RelPath> = prepared.outgoing.files.keys().filter(|path| is_list(path)).collect();
    for name in target.list(&dir).map_err(failed)? {
        let Ok(path) = dir.join(&name) else { continue };
        if !is_list(&path) {
            continue;
        }
        let words = parse(&target.read(&path, MAX_LIST).map_err(failed)?.unwrap_or_default());
        if going.contains(&path) { offers.touched.extend(words) } else { offers.after.extend(words) }
    }
    let coming = prepared.incoming.iter().flat_map(|p| &p.items);
    for item in coming.filter(|i| is_list(&i.real) && i.fate == Fate::Write) {
        let Some(file) = target.open_staged(&item.real)? else { continue };
        let mut bytes = Vec::new();
        let mut file = std::io::Read::take(file, MAX_LIST);
        std::io::Read::read_to_end(&mut file, &mut bytes).map_err(failed)?;
        let words = parse(&bytes);
        offers.touched.extend(words.clone());
        offers.after.extend(words);
    }
    Ok(offers)
}

/// What is no alternative is left out, as the script would fail on it.
fn parse(bytes: &[u8]) -> Vec<Alternative> {
    String::from_utf8_lossy(bytes).split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect()
}
