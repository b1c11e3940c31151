//! The maintainer scripts of OpenWrt packages on a root of OpenRC: what OpenWrt's own `default_postinst` and `default_prerm`
//! do there, as plain shell that asks for nothing but what it looks for first, so that it also serves the native manager.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use xpkg_model::payload::{ScriptKind, Scripts};

use super::InitScript;
use crate::rules::Setting;
use crate::scripts::is_stub;

/// The first words of a composed script.
const HEAD: &str = "#!/bin/sh\n# Composed by xpkg from the package's services and its own script.\n";
/// Whether procd runs and answers.
const RUNS: &str = "procd_runs() { [ -x /usr/lib/xpkg/procd/enter ] && ubus -t 2 wait_for service >/dev/null 2>&1; }\n";
/// Ends the package's own lines in the composed text.
const END: &str = "XPKG_OWN_LINES";

/// What a package brings.
pub(super) struct Brought<'a> {
    /// Its init scripts, by name.
    pub services: &'a BTreeMap<String, InitScript>,
    /// Names of its files in `/etc/uci-defaults`.
    pub defaults: &'a [String],
    /// How its configuration begins.
    pub settings: &'a [&'a Setting],
    /// Its own scripts.
    pub own: &'a Scripts,
    /// Services of the root's own init that it brings.
    pub native: &'a [&'a str],
    /// Paths that come into being while it runs.
    pub leaves: &'a [&'a str],
}

/// All scripts that differ from the package's own.
pub(super) fn compose(brought: &Brought<'_>) -> BTreeMap<ScriptKind, Vec<u8>> {
    let steps = [
        (ScriptKind::PostInstall, install(brought)),
        (ScriptKind::PostUpgrade, upgrade(brought)),
        (ScriptKind::PreDeinstall, remove(brought)),
        (ScriptKind::PostDeinstall, sweep(brought)),
    ];
    let mut scripts = BTreeMap::new();
    for kind in ScriptKind::ALL {
        let ours = steps.iter().find(|(k, _)| *k == kind).map(|(_, text)| text.as_str()).unwrap_or_default();
        let own = brought.own.get(&kind).map(|text| own_lines(text)).unwrap_or_default();
        let text = match kind {
            // What the package undoes, it undoes while its service is still known.
            ScriptKind::PreDeinstall => [own.as_str(), ours].concat(),
            _ => [ours, own.as_str()].concat(),
        };
        if !text.is_empty() {
            scripts.insert(kind, [HEAD, RUNS, &text, "exit 0\n"].concat().into_bytes());
        } else if brought.own.contains_key(&kind) {
            scripts.insert(kind, Vec::new());
        }
    }
    scripts
}

fn install(brought: &Brought<'_>) -> String {
    let mut text = String::new();
    for setting in brought.settings {
        let Setting { option, from, to, .. } = setting;
        let config = option.split('.').next().unwrap_or_default();
        let _ = writeln!(
            text,
            "[ -x /sbin/uci ] && [ \"$(uci -q get '{option}')\" = '{from}' ] && uci set '{option}={to}' && uci commit '{config}'"
        );
    }
    if !brought.services.is_empty() {
        text.push_str("mkdir -p /etc/openwrt/rc.d\n");
    }
    for (name, script) in brought.services {
        text.push_str(&link(name, script, ""));
    }
    if !brought.defaults.is_empty() {
        text.push_str("procd_runs && /usr/lib/xpkg/procd/enter /usr/lib/xpkg/procd/defaults\n");
    }
    for name in brought.services.keys() {
        let _ = writeln!(text, "procd_runs && /usr/lib/xpkg/procd/enter /etc/init.d/{name} start");
    }
    for name in brought.native {
        let _ = writeln!(text, "rc-update -q add {name} default");
        let _ = writeln!(text, "[ ! -e /run/openrc/softlevel ] || rc-service {name} start");
    }
    text
}

/// The links of the start order; `before` stands in front of each line.
fn link(name: &str, script: &InitScript, before: &str) -> String {
    script.links(name).into_iter().fold(String::new(), |mut text, (link, to)| {
        let _ = writeln!(text, "{before}ln -sf {to} /etc/openwrt/rc.d/{link}");
        text
    })
}

fn upgrade(brought: &Brought<'_>) -> String {
    let mut text = String::new();
    for (name, script) in brought.services {
        // A service that was disabled stays so; one whose numbers changed moves.
        let _ = writeln!(text, "if ls /etc/openwrt/rc.d/[SK]??{name} >/dev/null 2>&1; then");
        let _ = writeln!(text, "\trm -f /etc/openwrt/rc.d/[SK]??{name}");
        text.push_str(&link(name, script, "\t"));
        text.push_str("fi\n");
    }
    if !brought.defaults.is_empty() {
        text.push_str("procd_runs && /usr/lib/xpkg/procd/enter /usr/lib/xpkg/procd/defaults\n");
    }
    for name in brought.services.keys() {
        let _ = writeln!(
            text,
            "procd_runs && /usr/lib/xpkg/procd/enter /etc/init.d/{name} enabled && /usr/lib/xpkg/procd/enter /etc/init.d/{name} restart"
        );
    }
    for name in brought.native {
        let _ = writeln!(text, "[ ! -e /run/openrc/softlevel ] || rc-service --ifstarted {name} restart");
    }
    text
}

fn remove(brought: &Brought<'_>) -> String {
    let mut text = String::new();
    for name in brought.services.keys() {
        let _ = writeln!(text, "procd_runs && /usr/lib/xpkg/procd/enter /etc/init.d/{name} stop");
        let _ = writeln!(text, "rm -f /etc/openwrt/rc.d/[SK]??{name} /var/lock/procd_{name}.lock");
    }
    for name in brought.defaults {
        let _ = writeln!(text, "rm -f /var/lib/xpkg/uci-defaults/{name}");
    }
    if !brought.defaults.is_empty() {
        text.push_str("rmdir /var/lib/xpkg/uci-defaults /var/lib/xpkg 2>/dev/null\n");
    }
    for name in brought.native {
        let _ = writeln!(text, "[ ! -e /run/openrc/softlevel ] || rc-service --ifstarted {name} stop");
        let _ = writeln!(text, "rm -f /etc/runlevels/*/{name}");
    }
    text
}

fn sweep(brought: &Brought<'_>) -> String {
    if brought.leaves.is_empty() { String::new() } else { format!("rm -rf {}\n", brought.leaves.join(" ")) }
}

/// What a package's own script does beyond OpenWrt's default steps, put where its functions and its paths are; nothing when
/// that is nothing. Where procd was not installed, nothing of it can be done.
fn own_lines(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let has_own = text.lines().map(str::trim).any(|line| !is_stub(line));
    if !has_own || text.lines().any(|line| line.trim() == END) {
        return String::new();
    }
    let mut own = String::from("if [ -x /usr/lib/xpkg/procd/enter ] && [ -s /lib/functions.sh ]; then\n");
    let _ = writeln!(own, "/usr/lib/xpkg/procd/enter /bin/sh -s \"$@\" <<'{END}'");
    own.push_str(". /lib/functions.sh\n");
    for line in text.lines().filter(|line| !is_default_step(line.trim())) {
        own.push_str(line);
        own.push('\n');
    }
    let _ = writeln!(own, "{END}\nfi");
    own
}

/// Lines that do for every package what is done here already.
fn is_default_step(line: &str) -> bool {
    let steps = ["default_postinst", "default_prerm", "default_preinst", "default_postrm", "add_group_and_user"];
    line.starts_with("#!") || line.split_ascii_whitespace().next().is_some_and(|word| steps.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(scripts: &BTreeMap<ScriptKind, Vec<u8>>, kind: ScriptKind) -> String {
        String::from_utf8(scripts.get(&kind).cloned().unwrap_or_default()).unwrap()
    }

    #[test]
    fn a_service_with_an_own_script() {
        let stub = "#!/bin/sh\n[ \"${IPKG_NO_SCRIPT}\" = \"1\" ] && exit 0\n. ${IPKG_INSTROOT}/lib/functions.sh\n\
            export pkgname=\"rpcd\"\ndefault_postinst\n";
        let own: Scripts = [
            (ScriptKind::PostInstall, format!("{stub}/etc/init.d/rpcd reload\n").into_bytes()),
            (ScriptKind::PreDeinstall, stub.as_bytes().to_vec()),
            (ScriptKind::PreUpgrade, stub.as_bytes().to_vec()),
        ]
        .into();
        let script = InitScript::parse(b"#!/bin/sh /etc/rc.common\nSTART=12\nUSE_PROCD=1\n").unwrap();
        let services = [("rpcd".to_owned(), script)].into();
        let brought =
            Brought { services: &services, defaults: &[], settings: &[], own: &own, native: &[], leaves: &[] };
        let scripts = compose(&brought);
        let install = text(&scripts, ScriptKind::PostInstall);
        assert!(install.contains("ln -sf ../init.d/rpcd /etc/openwrt/rc.d/S12rpcd\n"), "{install}");
        assert!(install.contains("/etc/init.d/rpcd reload\n") && !install.contains("default_postinst"), "{install}");
        let remove = text(&scripts, ScriptKind::PreDeinstall);
        assert!(remove.contains("/etc/init.d/rpcd stop\n") && !remove.contains("<<"), "{remove}");
        assert_eq!(scripts.get(&ScriptKind::PreUpgrade), Some(&Vec::new()), "only default steps: nothing is left");
        assert_eq!(scripts.get(&ScriptKind::PostDeinstall), None);
        for kind in [ScriptKind::PostInstall, ScriptKind::PostUpgrade, ScriptKind::PreDeinstall] {
            let text = text(&scripts, kind);
            let read = std::process::Command::new("/bin/sh").args(["-n", "-c", &text]).output().unwrap();
            assert!(read.status.success(), "{kind:?}\n{text}\n{read:?}");
        }
    }
}
