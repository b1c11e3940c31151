//! opkg's scripts where another manager runs them: with the words and the environment that opkg gives them, and at an upgrade
//! too, for which opkg has no scripts of their own. Text in, text out; runs nothing.
//!
//! What opkg calls was seen with opkg 2020-01-25: `preinst install` or `preinst upgrade OLD`, `postinst configure`,
//! `prerm remove`, `postrm remove`, each with `PKG_ROOT` and `PKG_UPGRADE`. At an upgrade it also calls `prerm` and `postrm` of
//! what goes; apk calls nothing of what goes, and OpenWrt's own packages for apk (include/package-pack.mk) do without them.

use std::collections::BTreeMap;

use xpkg_model::payload::{ScriptKind, Scripts};

use super::openwrt;

/// Each occasion, the script of opkg that runs then, and its words; apk gives the new version and, at an upgrade, the old one.
const CALLS: [(ScriptKind, ScriptKind, &str); 6] = [
    (ScriptKind::PreInstall, ScriptKind::PreInstall, "install"),
    (ScriptKind::PreUpgrade, ScriptKind::PreInstall, "upgrade \"$2\""),
    (ScriptKind::PostInstall, ScriptKind::PostInstall, "configure"),
    (ScriptKind::PostUpgrade, ScriptKind::PostInstall, "configure"),
    (ScriptKind::PreDeinstall, ScriptKind::PreDeinstall, "remove"),
    (ScriptKind::PostDeinstall, ScriptKind::PostDeinstall, "remove"),
];

/// The scripts of an ipk for each occasion on which they do something of their own. `configures`: the default steps alone do
/// something, because the package brings first configuration.
pub(super) fn on_each_occasion(own: &Scripts, configures: bool) -> BTreeMap<ScriptKind, Vec<u8>> {
    let mut scripts = BTreeMap::new();
    for (occasion, kind, words) in CALLS {
        let Some(text) = own.get(&kind) else { continue };
        let upgrade = matches!(occasion, ScriptKind::PreUpgrade | ScriptKind::PostUpgrade);
        if !openwrt::own_lines(&String::from_utf8_lossy(text)).is_empty() {
            scripts.insert(occasion, called(text, words, upgrade));
        } else if configures && occasion == ScriptKind::PostUpgrade {
            scripts.insert(occasion, text.clone());
        }
    }
    scripts
}

/// A script that takes the words of opkg for its own. One that is for another interpreter stays as it is.
fn called(text: &[u8], words: &str, upgrade: bool) -> Vec<u8> {
    let end = text.iter().position(|b| *b == b'\n').map_or(text.len(), |at| at.saturating_add(1));
    let (first, rest) = text.split_at(end);
    let shells = ["/bin/sh", "/bin/ash", "/bin/dash", "/bin/bash", "/usr/bin/env"];
    let first_text = String::from_utf8_lossy(first);
    let (head, rest) = match first_text.strip_prefix("#!") {
        None => (&b"#!/bin/sh\n"[..], text),
        Some(line) => {
            let mut parts = line.split_ascii_whitespace();
            let program = parts.next().unwrap_or_default();
            if !shells.contains(&program) || program.ends_with("/env") && parts.next() != Some("sh") {
                return text.to_vec();
            }
            (first, rest)
        }
    };
    let gap: &[u8] = if head.ends_with(b"\n") { b"" } else { b"\n" };
    let line = format!("set -- {words}\nexport PKG_ROOT=/ PKG_UPGRADE={}\n", u8::from(upgrade));
    [head, gap, line.as_bytes(), rest].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_hear_what_opkg_tells_them() {
        let text = "#!/bin/sh\necho \"$0 $* $PKG_UPGRADE\"\n";
        let own: Scripts = [ScriptKind::PreInstall, ScriptKind::PostInstall, ScriptKind::PreDeinstall]
            .map(|kind| (kind, text.as_bytes().to_vec()))
            .into();
        let all = on_each_occasion(&own, false);
        let said = |kind: ScriptKind| {
            let text = String::from_utf8(all[&kind].clone()).unwrap();
            let out = std::process::Command::new("/bin/sh").args(["-c", &text, "it", "2", "1"]).output().unwrap();
            String::from_utf8(out.stdout).unwrap()
        };
        assert_eq!(all.len(), 5);
        for (kind, words) in [
            (ScriptKind::PreInstall, "it install 0\n"),
            (ScriptKind::PreUpgrade, "it upgrade 1 1\n"),
            (ScriptKind::PostInstall, "it configure 0\n"),
            (ScriptKind::PostUpgrade, "it configure 1\n"),
            (ScriptKind::PreDeinstall, "it remove 0\n"),
        ] {
            assert_eq!(said(kind), words, "{kind:?}");
        }
    }

    #[test]
    fn what_only_takes_the_default_steps_or_is_for_others_stays() {
        let stub = "#!/bin/sh\n[ \"${IPKG_NO_SCRIPT}\" = \"1\" ] && exit 0\n. ${IPKG_INSTROOT}/lib/functions.sh\n\
            default_postinst $0 $@\n";
        let own: Scripts = [(ScriptKind::PostInstall, stub.as_bytes().to_vec())].into();
        assert!(on_each_occasion(&own, false).is_empty());
        let kept = on_each_occasion(&own, true);
        assert_eq!(kept, [(ScriptKind::PostUpgrade, stub.as_bytes().to_vec())].into());
        // The lines that are put in are none of its own.
        assert!(openwrt::own_lines(&String::from_utf8_lossy(&called(stub.as_bytes(), "configure", true))).is_empty());
        for (text, first) in [
            ("#!/usr/bin/lua\nprint(1)\n", "#!/usr/bin/lua\nprint"),
            ("echo\n", "#!/bin/sh\nset -- x\n"),
            ("#!/bin/sh", "#!/bin/sh\nset -- x\n"),
            ("#!/usr/bin/env sh\necho\n", "#!/usr/bin/env sh\nset -- x\n"),
        ] {
            let text = String::from_utf8(called(text.as_bytes(), "x", false)).unwrap();
            assert!(text.starts_with(first), "{text}");
        }
    }
}
