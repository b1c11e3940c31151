//! Services that were written for OpenRC, under procd: the package's script moves aside and stays as it is, and a generated
//! script of rc.common takes its place, which asks it at run time (see `shell/openrc`). Reading its text here gives only
//! what must be known before: the place in the start order, the commands, what a person should know.

mod order;
mod read;
mod script;

use xpkg_model::adaptation::{Added, AddedKind};
use xpkg_model::payload::{EntryKind, ScriptKind};
use xpkg_model::{Adaptation, RelPath};

use super::{Init, compose, is_name, path};
use crate::{Foreign, HostProbe};

pub use read::{Depend, Script, is_for_openrc};

/// Where the scripts for OpenRC lie on a root without it.
const MOVED: &str = "usr/lib/xpkg/alpine/init.d";
/// Where services are looked for.
const SERVICES: &str = "etc/init.d";
/// Where the links of procd's start order lie.
const LINKS: &str = "etc/rc.d";

/// The shell that runs them. Each package has its own copy, of the version that its scripts were made for: two packages
/// cannot own one file, and every native manager removes what a package owns.
const LIBRARY: &str = "usr/lib/xpkg/openrc";
const FILES: [(&str, u32, &str); 6] = [
    ("run.sh", 0o644, include_str!("../../shell/openrc/run.sh")),
    ("functions.sh", 0o644, include_str!("../../shell/openrc/functions.sh")),
    ("daemon.sh", 0o644, include_str!("../../shell/openrc/daemon.sh")),
    ("procd.sh", 0o644, include_str!("../../shell/openrc/procd.sh")),
    ("bin/rc-service", 0o755, include_str!("../../shell/openrc/bin/rc-service")),
    ("bin/start-stop-daemon", 0o755, include_str!("../../shell/openrc/bin/start-stop-daemon")),
];
/// Where the services' shell looks for xpkg (`xpkg_supervisor` in daemon.sh).
const PROGRAM: &str = "/usr/bin/xpkg";
const PROGRAMS: [&str; 3] = [PROGRAM, "/usr/sbin/xpkg", "/usr/lib/xpkg/bin/xpkg"];
/// The same program under another name: it tells them apart by its own.
const SUPERVISE: (&str, &str) = ("bin/supervise-daemon", "start-stop-daemon");

/// Adds to `adaptation` what this package's services ask for on a root of procd.
pub(super) fn translate(foreign: &Foreign<'_>, adaptation: &mut Adaptation) {
    let services = RelPath::literal(SERVICES);
    let mut started = Vec::new();
    let mut names = Vec::new();
    for file in foreign.in_dir(&services).filter(|f| f.kind == EntryKind::File) {
        let Some(text) = (foreign.contents)(&file.path).filter(|text| read::is_for_openrc(text)) else { continue };
        let Some(name) = file.path.as_str().and_then(|p| p.rsplit('/').next()).filter(|n| is_name(n)) else {
            adaptation.left_out.insert(file.path.clone(), "its name is no service's".to_owned());
            continue;
        };
        if let Some(reason) = order::left_out(name) {
            adaptation.left_out.insert(file.path.clone(), reason.to_owned());
            adaptation.notes.push(format!("service {name} is left out: {reason}"));
            continue;
        }
        if Init::of(foreign.probe) != Init::Procd {
            adaptation.notes.push(format!("service {name} is not started: this root has no procd"));
            continue;
        }
        let library = format!("{LIBRARY}/{}", foreign.package.name);
        let service = service_name(name, foreign.probe);
        let (Some(moved), Some(at)) = (path(&format!("{MOVED}/{name}")), path(&format!("{SERVICES}/{service}"))) else {
            continue;
        };
        let read = Script::read(&String::from_utf8_lossy(&text));
        let start = order::start(name, &read.depend);
        let text = script::init(&service, name, &moved, &read, start, &library);
        adaptation.moved.insert(file.path.clone(), moved);
        adaptation.added.push(Added { path: at, kind: AddedKind::File(text.into_bytes()), mode: 0o755 });
        if service != name {
            adaptation.notes.push(format!("service {name} is called {service} here: the root has one of that name"));
        }
        if read.starts && !read.background && !PROGRAMS.iter().any(|at| foreign.probe.exists(at)) {
            adaptation.notes.push(format!(
                "service {service} puts itself into the background: it is looked after best where xpkg is on the root, as {PROGRAM}"
            ));
        }
        match order::manual(name, &read.depend) {
            Some(reason) => adaptation
                .notes
                .push(format!("service {service} is not enabled ({reason}): `xpkg service enable {service}` does it")),
            None => {
                for link in [format!("S{start:02}{service}"), format!("K{:02}{service}", order::stop(start))] {
                    let at = path(&format!("{LINKS}/{link}"));
                    adaptation.enables.extend(at.map(|at| (at, format!("../init.d/{service}"))));
                }
                started.push(service.clone());
            }
        }
        names.push(service);
    }
    if !names.is_empty() {
        adaptation.added.extend(shell(&foreign.package.name));
        maintain(foreign, &names, &started, adaptation);
    }
}

/// A native service of the same name stays what it is.
fn service_name(name: &str, probe: &dyn HostProbe) -> String {
    let other = format!("alpine-{name}");
    let there = |at: String| probe.exists(&at);
    let native = there(format!("/{SERVICES}/{name}")) && !there(format!("/{MOVED}/{name}"));
    if native || there(format!("/{SERVICES}/{other}")) { other } else { name.to_owned() }
}

/// The package's copy of the shell.
fn shell(package: &str) -> Vec<Added> {
    let at = |name: &str| path(&format!("{LIBRARY}/{package}/{name}"));
    let files = FILES.iter().filter_map(|(name, mode, text)| {
        Some(Added { path: at(name)?, kind: AddedKind::File(text.as_bytes().to_vec()), mode: *mode })
    });
    let dirs =
        ["", "bin"].into_iter().filter_map(|name| Some(Added { path: at(name)?, kind: AddedKind::Dir, mode: 0o755 }));
    let link = at(SUPERVISE.0).map(|path| Added { path, kind: AddedKind::Symlink(SUPERVISE.1.into()), mode: 0o777 });
    dirs.chain(files).chain(link).collect()
}

/// Enables and starts with the package, stops and disables with it, also when the native manager removes it.
fn maintain(foreign: &Foreign<'_>, names: &[String], started: &[String], adaptation: &mut Adaptation) {
    let opkg = foreign.probe.exists("/usr/lib/opkg/status");
    let mut put = |kind, lines: &str, before| {
        let own = foreign.scripts.get(&kind).map(Vec::as_slice);
        if !lines.is_empty() && !compose::add(&mut adaptation.scripts, own, kind, lines, before) {
            adaptation.notes.push(format!(
                "its {} script is no shell script: enable and start its services by hand",
                kind.as_str()
            ));
        }
    };
    put(ScriptKind::PostInstall, &script::on_install(started), false);
    put(ScriptKind::PostUpgrade, &script::on_upgrade(names), false);
    put(ScriptKind::PreDeinstall, &script::on_removal(names, opkg), true);
}

#[cfg(test)]
mod tests {
    use super::super::testing::translated_with;
    use super::*;

    const ROOT: [(&str, &str); 4] = [
        ("/usr/bin/xpkg", "/usr/bin/xpkg"),
        ("/etc/rc.common", "/etc/rc.common"),
        ("/sbin/procd", "/sbin/procd"),
        ("/etc/init.d/dnsmasq", "/etc/init.d/dnsmasq"),
    ];
    const CHRONYD: &str =
        "#!/sbin/openrc-run\ncommand=/usr/sbin/chronyd\ndepend() {\n\tneed net\n\tafter firewall\n}\n";

    fn adapted(name: &str, text: &str, own: &[(ScriptKind, &str)]) -> Adaptation {
        let at = format!("etc/init.d/{name}");
        translated_with("x-openrc", &[(&at, EntryKind::File)], text, own, &ROOT)
    }

    #[test]
    fn a_service_moves_aside_and_is_generated() {
        let made = adapted("chronyd", CHRONYD, &[(ScriptKind::PostInstall, "#!/bin/sh\necho own\nexit 0\n")]);
        let moved: Vec<String> = made.moved.iter().map(|(a, b)| format!("{a} {b}")).collect();
        assert_eq!(moved, ["/etc/init.d/chronyd /usr/lib/xpkg/alpine/init.d/chronyd"]);
        assert_eq!(made.added.first().unwrap().path.to_string(), "/etc/init.d/chronyd");
        let all: Vec<String> = made.added.iter().map(|a| a.path.to_string()).collect();
        assert!(all.contains(&"/usr/lib/xpkg/openrc/x-openrc/bin/supervise-daemon".to_owned()), "{all:?}");
        let script = |kind| String::from_utf8(made.scripts.get(&kind).unwrap().clone()).unwrap();
        assert!(
            script(ScriptKind::PostInstall).contains("echo own") && script(ScriptKind::PostInstall).contains("enable")
        );
        assert!(script(ScriptKind::PreDeinstall).contains("disable"));
        assert!(made.notes.is_empty(), "{:?}", made.notes);
        let links: Vec<String> = made.enables.iter().map(|(at, to)| format!("{at} {to}")).collect();
        assert_eq!(links, ["/etc/rc.d/K40chronyd ../init.d/chronyd", "/etc/rc.d/S60chronyd ../init.d/chronyd"]);
    }

    #[test]
    fn a_name_that_is_taken_gets_another() {
        let made = adapted("dnsmasq", CHRONYD, &[]);
        assert_eq!(made.added.first().unwrap().path.to_string(), "/etc/init.d/alpine-dnsmasq");
        assert_eq!(made.moved.values().next().unwrap().to_string(), "/usr/lib/xpkg/alpine/init.d/dnsmasq");
    }

    #[test]
    fn what_the_root_does_itself_is_left_out_or_not_started() {
        let made = adapted("mdev", CHRONYD, &[]);
        assert!(made.added.is_empty() && made.left_out.len() == 1 && made.scripts.is_empty(), "{made:?}");
        let dhcpcd = adapted("dhcpcd", CHRONYD, &[]);
        assert!(dhcpcd.enables.is_empty());
        assert!(!dhcpcd.scripts.contains_key(&ScriptKind::PostInstall) && dhcpcd.notes.len() == 1, "{dhcpcd:?}");
        assert!(adapted("notes", "#!/bin/sh\necho no service\n", &[]).is_nothing());
        let hostile = adapted("a b;reboot", CHRONYD, &[]);
        assert!(hostile.added.is_empty() && hostile.scripts.is_empty());
        let nowhere = translated_with("x-openrc", &[("etc/init.d/chronyd", EntryKind::File)], CHRONYD, &[], &[]);
        assert!(nowhere.added.is_empty() && nowhere.notes.len() == 1);
    }
}
