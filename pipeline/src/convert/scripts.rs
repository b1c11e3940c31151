//! Maintainer scripts between opkg's four and apk's six. Pure text; runs nothing.
//!
//! OpenWrt itself puts opkg's scripts into apk packages (include/package-pack.mk): a stub that reads `/lib/functions.sh`
//! and calls its default steps, and behind it the package's own text. That form is read and written here. Everything else
//! goes into the other manager's scripts as marked sections: what they say comes back byte for byte on the way back.

use std::collections::BTreeMap;

use xpkg_model::payload::{ScriptKind, Scripts};
use xpkg_shims::scripts::is_stub;

/// A package's own scripts, without what its build put around them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Own {
    /// Scripts in apk's sense: one per occasion.
    Apk(Scripts),
    /// Scripts in opkg's sense: `preinst`, `postinst`, `prerm`, `postrm`, which run at upgrades too.
    Opkg(Opkg),
}

impl Own {
    /// Scripts as a person writes them for opkg: OpenWrt's default steps run beside them.
    pub(crate) fn opkg(texts: BTreeMap<String, Vec<u8>>) -> Self {
        Self::Opkg(Opkg { texts, stock: true })
    }
}

/// opkg's scripts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Opkg {
    /// Own text by name.
    pub texts: BTreeMap<String, Vec<u8>>,
    /// Whether OpenWrt's default steps run (`default_postinst`, `default_prerm`); `postinst` and `prerm` then are what
    /// those steps read, not scripts that opkg starts.
    pub stock: bool,
}

/// opkg's names, in the order of an installation.
pub(super) const NAMES: [&str; 4] = ["preinst", "postinst", "prerm", "postrm"];
/// First line of a script that holds another manager's scripts.
const HOLDS: &str = "# holds the scripts of another package manager, one section each";
/// Begins a section: name, number of lines, and whether the last of them has its line break.
const SECTION: &str = "#section ";

/// The scripts as sections, each as the body of a function of the shell. A script for another interpreter cannot be one.
fn sections<'a>(parts: impl Iterator<Item = (&'a str, &'a [u8])>) -> String {
    let mut out = String::new();
    for (name, text) in parts {
        let text = String::from_utf8_lossy(text);
        let whole = text.ends_with('\n');
        let function = name.replace('-', "_");
        out.push_str(&format!("{function}() (\n{SECTION}{name} {} {whole}\n{text}", text.lines().count()));
        if !whole {
            out.push('\n');
        }
        out.push_str(":\n)\n");
    }
    out
}

/// Whether a shell can run it as a part of another script.
pub(super) fn fits_a_section(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    let Some(first) = text.lines().next().and_then(|line| line.trim_start().strip_prefix("#!")) else { return true };
    let interpreter = first.split_ascii_whitespace().next().unwrap_or_default();
    matches!(interpreter, "/bin/sh" | "/bin/ash" | "/bin/busybox" | "/bin/dash")
}

/// The sections of a script.
fn read_sections(script: &str) -> Option<BTreeMap<String, Vec<u8>>> {
    if !script.lines().take(3).any(|line| line == HOLDS) {
        return None;
    }
    let lines: Vec<&str> = script.split_inclusive('\n').collect();
    let mut out = BTreeMap::new();
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        at += 1;
        let Some(head) = line.strip_prefix(SECTION) else { continue };
        let [name, count, whole] = head.split_ascii_whitespace().collect::<Vec<_>>()[..] else { return None };
        let count: usize = count.parse().ok()?;
        let mut text = lines.get(at..at.checked_add(count)?)?.concat();
        at += count;
        if whole != "true" {
            text.pop();
        }
        out.insert(name.to_owned(), text.into_bytes());
    }
    Some(out)
}

/// apk's scripts as opkg's. `lost` hears of what cannot come along.
pub(super) fn apk_in_opkg(scripts: &Scripts, version: &str, lost: &mut dyn FnMut(String)) -> BTreeMap<String, Vec<u8>> {
    let mut usable: BTreeMap<ScriptKind, &[u8]> = BTreeMap::new();
    for (kind, text) in scripts {
        if *kind == ScriptKind::Trigger {
            lost("the trigger script: opkg has no triggers".to_owned());
        } else if fits_a_section(text) {
            usable.insert(*kind, text);
        } else {
            lost(format!("the {} script: it is not for a shell", kind.as_str()));
        }
    }
    let mut out = BTreeMap::new();
    let mut put = |name: &str, kinds: &[ScriptKind], calls: &str| {
        let parts: Vec<_> = kinds.iter().filter_map(|k| usable.get(k).map(|text| (k.as_str(), *text))).collect();
        if parts.is_empty() {
            return;
        }
        let known: Vec<String> = parts.iter().map(|(name, _)| name.replace('-', "_")).collect();
        // A function that is not there is not called.
        let calls: String = calls
            .lines()
            .filter(|line| !line.contains("run ") || known.iter().any(|name| line.contains(&format!("run {name} "))))
            .map(|line| format!("{}\n", line.replace("run ", "")))
            .collect();
        let body = sections(parts.into_iter());
        let guard = "[ -n \"${IPKG_INSTROOT}\" ] && exit 0\n";
        out.insert(
            name.to_owned(),
            format!("#!/bin/sh\n{HOLDS}\n{guard}new='{version}'\n{body}{calls}exit 0\n").into_bytes(),
        );
    };
    use ScriptKind::{PostDeinstall, PostInstall, PostUpgrade, PreDeinstall, PreInstall, PreUpgrade};
    put(
        "preinst",
        &[PreInstall, PreUpgrade],
        "if [ \"$1\" = upgrade ]; then :\nrun pre_upgrade \"$new\" \"$2\" || exit $?\nelse :\nrun pre_install \"$new\" || exit $?\nfi",
    );
    put(
        "postinst",
        &[PostInstall, PostUpgrade],
        "if [ \"$PKG_UPGRADE\" = 1 ]; then :\nrun post_upgrade \"$new\" || exit $?\nelse :\nrun post_install \"$new\" || exit $?\nfi",
    );
    put("prerm", &[PreDeinstall], "[ \"$1\" = upgrade ] && exit 0\nrun pre_deinstall \"$new\" || exit $?");
    put("postrm", &[PostDeinstall], "[ \"$1\" = upgrade ] && exit 0\nrun post_deinstall \"$new\" || exit $?");
    if usable.contains_key(&PostUpgrade) {
        lost("the old version that apk gives to post-upgrade: opkg does not tell it".to_owned());
    }
    out
}

/// apk's scripts out of opkg's, where [`apk_in_opkg`] put them.
pub(super) fn apk_from_opkg(texts: &BTreeMap<String, Vec<u8>>) -> Option<Scripts> {
    let mut out = Scripts::new();
    for text in texts.values() {
        for (name, text) in read_sections(std::str::from_utf8(text).ok()?)? {
            out.insert(ScriptKind::parse(&name)?, text);
        }
    }
    (!out.is_empty()).then_some(out)
}

/// One of apk's scripts that runs one of opkg's: with opkg's arguments and environment, in a function of its own.
pub(super) fn opkg_in_apk(name: &str, stock: bool, text: &[u8], kind: ScriptKind) -> Vec<u8> {
    let upgrade = matches!(kind, ScriptKind::PreUpgrade | ScriptKind::PostUpgrade);
    let arguments = match (name, upgrade) {
        ("preinst", false) => "install \"$1\"",
        ("preinst", true) => "upgrade \"$2\"",
        ("postinst", _) => "configure",
        _ => "remove",
    };
    let body = sections(std::iter::once((if stock { format!("{name}-pkg") } else { name.to_owned() }.as_str(), text)));
    let function = if stock { format!("{name}_pkg") } else { name.to_owned() };
    format!("#!/bin/sh\n{HOLDS}\nexport PKG_ROOT=/ PKG_UPGRADE={}\n{body}{function} {arguments}\n", u8::from(upgrade))
        .into_bytes()
}

/// opkg's scripts out of apk's, where [`opkg_in_apk`] put them; `None` when some are not of that kind.
pub(super) fn opkg_from_apk(scripts: &Scripts) -> Option<Opkg> {
    let mut out = Opkg::default();
    for text in scripts.values() {
        for (name, text) in read_sections(std::str::from_utf8(text).ok()?)? {
            out.stock |= name.ends_with("-pkg");
            out.texts.insert(name.trim_end_matches("-pkg").to_owned(), text);
        }
    }
    (!out.texts.is_empty()).then_some(out)
}

/// What one of opkg's scripts said, where [`opkg_in_apk`] put it into one of apk's.
pub(super) fn opkg_section(text: &[u8]) -> Option<Vec<u8>> {
    let sections = read_sections(std::str::from_utf8(text).ok()?)?;
    let known = |(name, text): (String, Vec<u8>)| NAMES.contains(&name.as_str()).then_some(text);
    sections.into_iter().find_map(known)
}

/// Begins the lines that make accounts.
const ACCOUNTS: &str = "#accounts\n";
/// Ends them.
const ACCOUNTS_END: &str = "\n)\n";
/// A script that does nothing.
const NOTHING: &str = "#!/bin/sh\nexit 0\n";

/// A `postinst` that first has OpenWrt's own function make the package's accounts, without its other default steps.
pub(super) fn with_accounts(script: Option<Vec<u8>>, package: &str) -> Vec<u8> {
    let text = script.map_or(NOTHING.to_owned(), |text| String::from_utf8_lossy(&text).into_owned());
    let call = format!(
        "{ACCOUNTS}[ -s ${{IPKG_INSTROOT}}/lib/functions.sh ] && (\n. ${{IPKG_INSTROOT}}/lib/functions.sh\n\
         root=\"${{IPKG_INSTROOT}}\"\nadd_group_and_user {package}{ACCOUNTS_END}"
    );
    let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
    let holds = format!("{HOLDS}\n");
    match rest.strip_prefix(&holds) {
        Some(rest) => format!("{first}\n{holds}{call}{rest}"),
        None => format!("{first}\n{call}{rest}"),
    }
    .into_bytes()
}

/// The script without those lines; `None` when it then does nothing.
pub(super) fn without_accounts(text: &[u8]) -> Option<Vec<u8>> {
    let stripped = std::str::from_utf8(text).ok().and_then(|text| {
        let (before, rest) = text.split_once(ACCOUNTS)?;
        let (_, after) = rest.split_once(ACCOUNTS_END)?;
        Some(format!("{before}{after}"))
    });
    match stripped {
        Some(rest) if rest == NOTHING => None,
        Some(rest) => Some(rest.into_bytes()),
        None => Some(text.to_vec()),
    }
}

/// OpenWrt's stub in an apk package, up to the package's own text.
pub(super) fn openwrt_stub(package: &str, kind: ScriptKind, default_steps: bool) -> String {
    let mut out = "#!/bin/sh\n".to_owned();
    if kind == ScriptKind::PostUpgrade {
        out.push_str("export PKG_UPGRADE=1\n");
    }
    if kind != ScriptKind::PreDeinstall {
        out.push_str("[ \"${IPKG_NO_SCRIPT}\" = \"1\" ] && exit 0\n");
    }
    out.push_str("[ -s ${IPKG_INSTROOT}/lib/functions.sh ] || exit 0\n. ${IPKG_INSTROOT}/lib/functions.sh\n");
    out.push_str(&format!("export root=\"${{IPKG_INSTROOT}}\"\nexport pkgname=\"{package}\"\n"));
    match (kind, default_steps) {
        (ScriptKind::PreDeinstall, true) => out.push_str("default_prerm\n"),
        (ScriptKind::PreDeinstall, false) => {}
        (_, true) => out.push_str("add_group_and_user\ndefault_postinst\n"),
        (_, false) => out.push_str("add_group_and_user\n"),
    }
    out
}

/// A script without OpenWrt's stub at its start: whether there was one, and the own text (`None` when nothing is left).
pub(super) fn without_stub(text: &[u8]) -> (bool, Option<Vec<u8>>) {
    let Ok(text) = std::str::from_utf8(text) else { return (false, Some(text.to_vec())) };
    if !text.contains("/lib/functions.sh") {
        return (false, Some(text.as_bytes().to_vec()));
    }
    let (mut seen, mut stub) = (0, 0);
    for line in text.split_inclusive('\n').take_while(|line| is_stub(line.trim())) {
        seen += line.len();
        // Comments and empty lines behind the last of these are the package's own.
        let ends = ["default_", "add_group_and_user", "export pkgname", ". "];
        if ends.iter().any(|word| line.trim_start().starts_with(word)) {
            stub = seen;
        }
    }
    let (stub, own) = text.split_at_checked(stub).unwrap_or(("", text));
    if !stub.contains("/lib/functions.sh") {
        return (false, Some(text.as_bytes().to_vec()));
    }
    (true, (!own.trim().is_empty()).then(|| own.as_bytes().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apk_scripts_survive_opkg() {
        let scripts: Scripts = [
            (ScriptKind::PreInstall, b"#!/bin/sh\ncat <<X\nexit 0\nX\nexit 0".to_vec()),
            (ScriptKind::PostInstall, b"#!/bin/sh\n#section fake 3 true\necho $1\n".to_vec()),
            (ScriptKind::PostUpgrade, b"".to_vec()),
            (ScriptKind::PreDeinstall, b"#!/bin/sh\n".to_vec()),
        ]
        .into();
        let opkg = apk_in_opkg(&scripts, "1-r0", &mut |_| {});
        assert_eq!(apk_from_opkg(&opkg), Some(scripts));
    }

    #[test]
    fn opkg_scripts_survive_apk() {
        let opkg = Opkg {
            texts: [
                ("preinst".to_owned(), b"\t#!/bin/sh\n\texit 0 # x".to_vec()),
                ("postinst".to_owned(), b"echo\n".to_vec()),
            ]
            .into(),
            stock: false,
        };
        let mut scripts = Scripts::new();
        for (name, kind) in [
            ("preinst", ScriptKind::PreInstall),
            ("preinst", ScriptKind::PreUpgrade),
            ("postinst", ScriptKind::PostInstall),
            ("postinst", ScriptKind::PostUpgrade),
        ] {
            scripts.insert(kind, opkg_in_apk(name, false, &opkg.texts[name], kind));
        }
        assert_eq!(opkg_from_apk(&scripts), Some(opkg));
    }

    #[test]
    fn stubs_are_told_from_own_text() {
        for kind in [ScriptKind::PostInstall, ScriptKind::PostUpgrade, ScriptKind::PreDeinstall] {
            let stub = openwrt_stub("x", kind, true);
            assert_eq!(without_stub(stub.as_bytes()), (true, None), "{stub}");
            let own = format!("{stub}echo own\n\nexit 0\n");
            assert_eq!(without_stub(own.as_bytes()), (true, Some(b"echo own\n\nexit 0\n".to_vec())));
        }
        for stub in [xpkg_formats::opkg::ipk::STOCK_POSTINST, xpkg_formats::opkg::ipk::STOCK_PRERM] {
            assert_eq!(without_stub(stub.as_bytes()), (true, None));
        }
        assert!(!without_stub(b"#!/bin/sh\nexit 0\n").0);
    }
}
