//! The texts that are generated: the script of rc.common, and the lines of maintainer scripts. Every name in them was
//! checked before.

use std::fmt::Write as _;

use xpkg_model::RelPath;

use super::{Script, order};

/// procd is there when its bus is (25.12 and 19.07 have it in different places). In a tree that nobody booted, services are
/// enabled and not started.
const RUNS: &str = "if [ -S /var/run/ubus/ubus.sock ] || [ -S /var/run/ubus.sock ]; then\n";

/// rc.common cannot even enable a service without it, and a tree that nobody booted has none.
const LOCKS: &str = "mkdir -p /var/lock\n";

/// The script in `/etc/init.d`.
pub(super) fn init(
    service: &str,
    name: &str,
    original: &RelPath,
    script: &Script,
    start: u32,
    library: &str,
) -> String {
    let mut text = format!(
        "#!/bin/sh /etc/rc.common\n\
         # Made by xpkg for procd from {original}, which was written for OpenRC. Settings: /etc/conf.d/{name}.\n\n\
         USE_PROCD=1\nSTART={start:02}\nSTOP={:02}\n",
        order::stop(start),
    );
    let _ = writeln!(
        text,
        "XPKG_SCRIPT={original}\nXPKG_NAME={name}\nXPKG_SERVICE={service}\nXPKG_COMMANDS=\"{}\"\n\
         XPKG_OPENRC=/{library}\n\n. $XPKG_OPENRC/procd.sh",
        script.commands.join(" ")
    );
    text
}

/// After the first install.
pub(super) fn on_install(started: &[String]) -> String {
    if started.is_empty() {
        return String::new();
    }
    let list = started.join(" ");
    format!(
        "{LOCKS}for service in {list}; do /etc/init.d/$service enable; done\n{RUNS}\
         \tfor service in {list}; do /etc/init.d/$service start || echo \"service $service does not start\"; done\nfi\n"
    )
}

/// After an upgrade: what is enabled stays so, at the place that the new script names; what runs runs the new version.
pub(super) fn on_upgrade(names: &[String]) -> String {
    format!(
        "{LOCKS}for service in {}; do\n\
         \tls /etc/rc.d/S[0-9][0-9]$service >/dev/null 2>&1 || continue\n\
         \t/etc/init.d/$service disable\n\t/etc/init.d/$service enable\n\
         \t{RUNS}\t\t/etc/init.d/$service restart || echo \"service $service does not start\"\n\tfi\ndone\n",
        names.join(" ")
    )
}

/// Before removal. opkg runs this before an upgrade too, with `upgrade` as the first word.
pub(super) fn on_removal(names: &[String], opkg: bool) -> String {
    let unless = if opkg { "\t[ \"$1\" = upgrade ] || " } else { "\t" };
    format!(
        "{LOCKS}for service in {}; do\n\
         \t[ -x /etc/init.d/$service ] || continue\n\
         \t{}\t\t/etc/init.d/$service stop\n\tfi\n{unless}/etc/init.d/$service disable\ndone\n",
        names.join(" "),
        RUNS
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        let script = Script { commands: vec!["checkconfig".to_owned(), "reload".to_owned()], ..Script::default() };
        let text = init(
            "sshd",
            "sshd",
            &RelPath::literal("usr/lib/xpkg/alpine/init.d/sshd"),
            &script,
            60,
            "usr/lib/xpkg/openrc/x",
        );
        let want = "#!/bin/sh /etc/rc.common\n\
            # Made by xpkg for procd from /usr/lib/xpkg/alpine/init.d/sshd, which was written for OpenRC. Settings: /etc/conf.d/sshd.\n\n\
            USE_PROCD=1\nSTART=60\nSTOP=40\nXPKG_SCRIPT=/usr/lib/xpkg/alpine/init.d/sshd\nXPKG_NAME=sshd\n\
            XPKG_SERVICE=sshd\nXPKG_COMMANDS=\"checkconfig reload\"\nXPKG_OPENRC=/usr/lib/xpkg/openrc/x\n\n. $XPKG_OPENRC/procd.sh\n";
        assert_eq!(text, want);
        assert!(on_install(&[]).is_empty());
        for text in [on_install(&["a".into()]), on_upgrade(&["a".into()]), on_removal(&["a".into()], true)] {
            let checked = std::process::Command::new("/bin/sh").args(["-n", "-c", &text]).status().unwrap();
            assert!(checked.success(), "{text}");
        }
    }
}
