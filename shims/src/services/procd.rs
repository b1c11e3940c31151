//! OpenWrt's services on a root of OpenRC: their init scripts stay as they are and lie in `/etc/openwrt/init.d`; OpenWrt's own
//! procd runs them, as a service of OpenRC, in a mount namespace in which `/etc/init.d` is theirs. Scripts call each other by
//! that path, so that rewriting it would silently lose their reload triggers. Reads text, gives files; starts nothing.

mod init_script;
mod steps;

use std::collections::BTreeMap;

use xpkg_model::adaptation::{Added, AddedKind};
use xpkg_model::payload::EntryKind;
use xpkg_model::{Adaptation, RelPath};

use super::{Init, is_name, path};
use crate::{Foreign, rules};

pub use init_script::InitScript;

/// Where OpenWrt's init scripts lie here.
pub const INIT_DIR: &str = "etc/openwrt/init.d";
/// Where the links of their start order lie.
pub const RC_DIR: &str = "etc/openwrt/rc.d";
/// Runs a command with `/etc/init.d` and `/etc/rc.d` being OpenWrt's: `enter /etc/init.d/dropbear restart`.
pub const ENTER: &str = "usr/lib/xpkg/procd/enter";

/// Where they lie in packages.
const PACKAGED: &str = "etc/init.d";
const DEFAULTS: &str = "etc/uci-defaults";
/// Where OpenRC's links lie of what it starts at the end of a boot.
const RUNLEVEL: &str = "etc/runlevels/default";

/// What comes with procd.
const WITH_PROCD: [(&str, &str); 7] = [
    ("usr/lib/xpkg/procd/enter", include_str!("../../shell/procd/enter.sh")),
    ("usr/lib/xpkg/procd/main", include_str!("../../shell/procd/main.sh")),
    ("usr/lib/xpkg/procd/run", include_str!("../../shell/procd/run.sh")),
    ("usr/lib/xpkg/procd/sweep", include_str!("../../shell/procd/sweep.sh")),
    ("usr/lib/xpkg/procd/stop", include_str!("../../shell/procd/stop.sh")),
    ("usr/lib/xpkg/procd/defaults", include_str!("../../shell/procd/defaults.sh")),
    ("etc/init.d/procd", include_str!("../../shell/procd/procd.initd")),
];
const WITH_UBUSD: [(&str, &str); 1] = [("etc/init.d/ubusd", include_str!("../../shell/procd/ubusd.initd"))];
/// What they leave in memory.
const OF_PROCD: [&str; 4] = ["/run/uci", "/run/config.md5", "/run/config.check", "/tmp/.uci"];
const OF_UBUSD: [&str; 2] = ["/run/ubus", "/run/ubus.sock"];

/// What is done to an OpenWrt package because of its services, on a root that is not OpenWrt's. Where its files land is a
/// matter of the rules.
pub(super) fn translate(foreign: &Foreign<'_>, adaptation: &mut Adaptation) {
    let placed = rules::translate(foreign);
    let named = |dir: &'static str| {
        let dir = RelPath::literal(dir);
        let files = foreign.files.iter().filter(|f| f.kind != EntryKind::Dir && placed.lands(&f.path).is_some());
        let of_dir = files.filter(move |f| f.path.parent().as_ref() == Some(&dir));
        of_dir.filter_map(|f| Some((plain_name(f.path.file_name())?, &f.path))).collect::<Vec<_>>()
    };
    let services: BTreeMap<String, InitScript> = named(PACKAGED)
        .into_iter()
        .filter_map(|(name, path)| Some((name, InitScript::parse(&(foreign.contents)(path)?)?)))
        .collect();
    let defaults: Vec<String> = named(DEFAULTS).into_iter().map(|(name, _)| name).collect();
    let openrc = Init::of(foreign.probe) == Init::Openrc;
    let (files, native_services, leaves): (&[(&'static str, &str)], &[&str], &[&str]) =
        match foreign.package.name.as_str() {
            "procd" | "procd-selinux" if openrc => (&WITH_PROCD, &["procd"], &OF_PROCD),
            "ubusd" if openrc => (&WITH_UBUSD, &["ubusd"], &OF_UBUSD),
            _ => (&[], &[], &[]),
        };
    let with_procd = (foreign.companion)("procd") || (foreign.companion)("procd-selinux");
    // Any script's own lines run where its functions and paths are; without procd they are a matter of its script alone.
    if services.is_empty() && defaults.is_empty() && files.is_empty() && !with_procd {
        return;
    }
    for (path, text) in files {
        let kind = AddedKind::File(text.as_bytes().to_vec());
        adaptation.added.push(Added { path: RelPath::literal(path), kind, mode: 0o755 });
    }
    let dirs: &[&'static str] = match (native_services, services.is_empty()) {
        (["procd"], _) => &[INIT_DIR, RC_DIR, "etc/rc.d"],
        (_, false) => &[RC_DIR],
        _ => &[],
    };
    for dir in dirs {
        adaptation.added.push(Added { path: RelPath::literal(dir), kind: AddedKind::Dir, mode: 0o755 });
    }
    for (name, script) in &services {
        for (link, to) in script.links(name) {
            adaptation.enables.extend(path(&format!("{RC_DIR}/{link}")).map(|at| (at, to)));
        }
    }
    for name in native_services {
        let at = path(&format!("{RUNLEVEL}/{name}"));
        adaptation.enables.extend(at.map(|at| (at, format!("/{PACKAGED}/{name}"))));
    }
    let settings: Vec<_> = foreign.rules.settings(foreign.native, foreign.package, foreign.probe).collect();
    let brought = steps::Brought {
        services: &services,
        defaults: &defaults,
        settings: &settings,
        own: foreign.scripts,
        native: native_services,
        leaves,
    };
    adaptation.scripts.extend(steps::compose(&brought));
    adaptation.notes.extend(settings.iter().map(|s| format!("{} begins as {}: {}", s.option, s.to, s.reason)));
    adaptation.notes.extend(note(&services, openrc, with_procd));
}

/// What starts its services, or why nothing does.
fn note(services: &BTreeMap<String, InitScript>, openrc: bool, with_procd: bool) -> Option<String> {
    let names: Vec<&str> = services.keys().map(String::as_str).collect();
    if names.is_empty() {
        return None;
    }
    let names = names.join(", ");
    Some(match (openrc, with_procd) {
        (true, true) => format!("{names}: started and watched by OpenWrt's procd, under OpenRC's service procd"),
        (true, false) => {
            format!("{names}: nothing starts this here; OpenWrt's procd does once openwrt:procd is installed")
        }
        (false, _) => format!("{names}: this root has no OpenRC, nothing starts this"),
    })
}

/// A file name that may stand in a shell script.
fn plain_name(name: &[u8]) -> Option<String> {
    std::str::from_utf8(name).ok().filter(|name| is_name(name)).map(str::to_owned)
}
