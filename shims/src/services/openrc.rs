//! Services that were written for OpenRC, under procd: the package's script moves aside and stays as it is, and a generated
//! script of rc.common takes its place, which asks it at run time (see `shell/openrc`). Reading its text here gives only
//! what must be known before: the place in the start order, the commands, what a person should know.

mod order;
mod read;
mod script;

use std::collections::BTreeMap;

use xpkg_model::adaptation::{Added, AddedKind};
use xpkg_model::payload::{Entry, EntryKind, ScriptKind, Scripts};
use xpkg_model::{Adaptation, Ecosystem, Package, RelPath};

use super::{compose, is_name, path};

pub use read::{Depend, Script, is_for_openrc};

/// Where the scripts for OpenRC lie on a root without it.
const MOVED: &str = "usr/lib/xpkg/alpine/init.d";
/// Where services are looked for.
const SERVICES: &str = "etc/init.d";

/// The shell that runs them, by its path on the root. One package owns it, the generated provider.
pub const LIBRARY: [(&str, u32, &str); 5] = [
    ("usr/lib/xpkg/openrc/run.sh", 0o644, include_str!("../../shell/openrc/run.sh")),
    ("usr/lib/xpkg/openrc/functions.sh", 0o644, include_str!("../../shell/openrc/functions.sh")),
    ("usr/lib/xpkg/openrc/daemon.sh", 0o644, include_str!("../../shell/openrc/daemon.sh")),
    ("usr/lib/xpkg/openrc/procd.sh", 0o644, include_str!("../../shell/openrc/procd.sh")),
    ("usr/lib/xpkg/openrc/bin/rc-service", 0o755, include_str!("../../shell/openrc/bin/rc-service")),
];
/// One program under two names: it tells them apart by its own.
const DAEMON: &str = include_str!("../../shell/openrc/bin/start-stop-daemon");

/// The files that services need beside them on a root of procd, whatever package they are of.
pub fn library() -> Vec<Added> {
    let daemon = ["start-stop-daemon", "supervise-daemon"];
    let daemons = daemon.map(|name| (format!("usr/lib/xpkg/openrc/bin/{name}"), 0o755, DAEMON));
    let fixed = LIBRARY.map(|(at, mode, text)| (at.to_owned(), mode, text));
    let file = |(at, mode, text): (String, u32, &str)| {
        Some(Added { path: path(&at)?, kind: AddedKind::File(text.as_bytes().to_vec()), mode })
    };
    fixed.into_iter().chain(daemons).filter_map(file).collect()
}

/// What is looked at.
pub struct Input<'a> {
    /// The package.
    pub package: &'a Package,
    /// What it brings.
    pub entries: &'a [Entry],
    /// Content of what it brings in `/etc/init.d`.
    pub texts: &'a BTreeMap<RelPath, Vec<u8>>,
    /// Its maintainer scripts.
    pub scripts: &'a Scripts,
    /// Whether something that is not this package's is at a path of the root.
    pub taken: &'a dyn Fn(&RelPath) -> bool,
    /// Whether opkg owns the root: it runs a removal script before upgrades too.
    pub opkg: bool,
}

/// Adds to `adaptation` what this package's services ask for on a root of procd. Answers the names of its services there.
pub fn adapt(input: &Input<'_>, adaptation: &mut Adaptation) -> Vec<String> {
    let services = RelPath::literal(SERVICES);
    let mut started = Vec::new();
    let mut names = Vec::new();
    for entry in input.entries.iter().filter(|e| e.path.parent().as_ref() == Some(&services)) {
        let Some(text) = input.texts.get(&entry.path).filter(|_| entry.kind == EntryKind::File) else { continue };
        if !read::is_for_openrc(text) {
            continue;
        }
        let Some(name) = entry.path.as_str().and_then(|p| p.rsplit('/').next()).filter(|n| is_name(n)) else {
            adaptation.left_out.insert(entry.path.clone(), "its name is no service's".to_owned());
            continue;
        };
        if let Some(reason) = order::left_out(name) {
            adaptation.left_out.insert(entry.path.clone(), reason.to_owned());
            adaptation.notes.push(format!("service {name} is left out: {reason}"));
            continue;
        }
        let read = Script::read(&String::from_utf8_lossy(text));
        // A native service of the same name stays what it is.
        let service = if (input.taken)(&entry.path) { format!("alpine-{name}") } else { name.to_owned() };
        let (Some(moved), Some(at)) = (path(&format!("{MOVED}/{name}")), path(&format!("{SERVICES}/{service}"))) else {
            continue;
        };
        let text = script::init(&service, name, &moved, &read, order::start(name, &read.depend));
        adaptation.moved.insert(entry.path.clone(), moved);
        adaptation.added.push(Added { path: at, kind: AddedKind::File(text.into_bytes()), mode: 0o755 });
        if service != name {
            adaptation.notes.push(format!("service {name} is called {service} here: the root has one of that name"));
        }
        match order::manual(name, &read.depend) {
            Some(reason) => adaptation
                .notes
                .push(format!("service {service} is not enabled ({reason}): `xpkg service enable {service}` does it")),
            None => started.push(service.clone()),
        }
        names.push(service);
    }
    if !names.is_empty() {
        maintain(input, &names, &started, adaptation);
    }
    names
}

/// Enables and starts with the package, stops and disables with it, also when the native manager removes it.
fn maintain(input: &Input<'_>, names: &[String], started: &[String], adaptation: &mut Adaptation) {
    let mut put = |kind, lines: &str, before| {
        let own = input.scripts.get(&kind).map(Vec::as_slice);
        if !lines.is_empty() && !compose::add(&mut adaptation.scripts, own, kind, lines, before) {
            adaptation.notes.push(format!(
                "its {} script is no shell script: enable and start its services by hand",
                kind.as_str()
            ));
        }
    };
    put(ScriptKind::PostInstall, &script::on_install(started), false);
    put(ScriptKind::PostUpgrade, &script::on_upgrade(names), false);
    put(ScriptKind::PreDeinstall, &script::on_removal(names, input.opkg), true);
}

/// Whether a package only exists to bring services for OpenRC (`chrony-openrc`): its `install_if` names `openrc`.
pub fn is_services_of(package: &Package) -> bool {
    package.ecosystem == Ecosystem::Alpine && package.install_if.iter().any(|d| d.name == "openrc" && !d.conflict)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapted(name: &str, text: &str, own: &Scripts, taken: bool) -> Adaptation {
        let at = path(&format!("etc/init.d/{name}")).unwrap();
        let entries = [Entry::new(at.clone(), EntryKind::File, 0o755)];
        let texts = [(at, text.as_bytes().to_vec())].into();
        let package = Package::new(Ecosystem::Alpine, format!("{name}-openrc"), "1-r0");
        let input =
            Input { package: &package, entries: &entries, texts: &texts, scripts: own, taken: &|_| taken, opkg: false };
        let mut adaptation = Adaptation::default();
        adapt(&input, &mut adaptation);
        adaptation
    }

    const CHRONYD: &str =
        "#!/sbin/openrc-run\ncommand=/usr/sbin/chronyd\ndepend() {\n\tneed net\n\tafter firewall\n}\n";

    #[test]
    fn a_service_moves_aside_and_is_generated() {
        let own = [(ScriptKind::PostInstall, b"#!/bin/sh\necho own\nexit 0\n".to_vec())].into();
        let made = adapted("chronyd", CHRONYD, &own, false);
        let moved: Vec<String> = made.moved.iter().map(|(a, b)| format!("{a} {b}")).collect();
        assert_eq!(moved, ["/etc/init.d/chronyd /usr/lib/xpkg/alpine/init.d/chronyd"]);
        assert_eq!(made.added.first().unwrap().path.to_string(), "/etc/init.d/chronyd");
        let script = |kind| String::from_utf8(made.scripts.get(&kind).unwrap().clone()).unwrap();
        assert!(
            script(ScriptKind::PostInstall).contains("echo own") && script(ScriptKind::PostInstall).contains("enable")
        );
        assert!(script(ScriptKind::PreDeinstall).contains("disable"));
        assert!(made.notes.is_empty(), "{:?}", made.notes);
    }

    #[test]
    fn a_name_that_is_taken_gets_another() {
        let made = adapted("dnsmasq", CHRONYD, &Scripts::new(), true);
        assert_eq!(made.added.first().unwrap().path.to_string(), "/etc/init.d/alpine-dnsmasq");
        assert_eq!(made.moved.values().next().unwrap().to_string(), "/usr/lib/xpkg/alpine/init.d/dnsmasq");
    }

    #[test]
    fn what_the_root_does_itself_is_left_out_or_not_started() {
        let made = adapted("mdev", CHRONYD, &Scripts::new(), false);
        assert!(made.added.is_empty() && made.left_out.len() == 1 && made.scripts.is_empty(), "{made:?}");
        let dhcpcd = adapted("dhcpcd", CHRONYD, &Scripts::new(), false);
        assert!(!dhcpcd.scripts.contains_key(&ScriptKind::PostInstall) && dhcpcd.notes.len() == 1, "{dhcpcd:?}");
        let other = adapted("notes", "#!/bin/sh\necho no service\n", &Scripts::new(), false);
        assert!(other.is_nothing());
        let hostile = adapted("a b;reboot", CHRONYD, &Scripts::new(), false);
        assert!(hostile.added.is_empty() && hostile.scripts.is_empty());
    }
}
