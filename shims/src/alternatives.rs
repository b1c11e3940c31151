//! Links of alternatives that OpenWrt's packages offer, on a root where nobody keeps alternatives: a link where nothing stands
//! yet belongs to the package; what is there stays. Decides nothing else.

use std::collections::BTreeMap;

use xpkg_model::adaptation::{Adaptation, Added, AddedKind};
use xpkg_model::opkg::Alternative;
use xpkg_model::{Ecosystem, RelPath};

use crate::Foreign;

/// The links of a package of OpenWrt on a root of another system.
pub fn translate(foreign: &Foreign<'_>) -> Adaptation {
    let mut out = Adaptation::default();
    if foreign.package.ecosystem != Ecosystem::Openwrt || foreign.native == Ecosystem::Openwrt {
        return out;
    }
    let list = RelPath::from_package(format!("lib/apk/packages/{}.alternatives", foreign.package.name).as_bytes());
    let list = list.ok().and_then(|path| foreign.text(&path)).unwrap_or_default();
    let words = list.split_ascii_whitespace().filter_map(|word| word.parse::<Alternative>().ok());
    let own = foreign.package.opkg.iter().flat_map(|opkg| opkg.alternatives.clone());
    let mut best: BTreeMap<RelPath, Alternative> = BTreeMap::new();
    for offer in own.chain(words) {
        let known = best.get(&offer.link).map(|known| known.priority);
        if known.is_none_or(|priority| priority < offer.priority) {
            best.insert(offer.link.clone(), offer);
        }
    }
    for Alternative { link, target, .. } in best.into_values() {
        if stands(foreign, &link, &target) {
            out.notes.push(format!("{}: {link} stays the root's own; its own is {target}", foreign.title()));
            continue;
        }
        out.added.push(Added { path: link, kind: AddedKind::Symlink(target.into_bytes()), mode: 0o777 });
    }
    out
}

/// Whether something else than this very link is at its place.
fn stands(foreign: &Foreign<'_>, link: &RelPath, target: &str) -> bool {
    if !foreign.probe.exists(&link.to_string()) {
        return false;
    }
    let dir = link.parent().map(|dir| dir.to_string()).unwrap_or_default();
    let is_it = |command: &crate::probe::Command| command.path == link.to_string() && command.real == target;
    !foreign.probe.commands(&[dir]).iter().any(is_it)
}
