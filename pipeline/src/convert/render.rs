//! From a draft to a package file of one dialect. What the dialect has no words for goes into the list of what was lost.

use std::collections::BTreeMap;

use xpkg_formats::opkg::ipk;
use xpkg_formats::package::Meta;
use xpkg_model::accounts::Account;
use xpkg_model::opkg::Opkg;
use xpkg_model::payload::{Entry, EntryKind, ScriptKind, Scripts};
use xpkg_model::{Ecosystem, Package, RelPath, VersionScheme};
use xpkg_shims::accounts;

use super::names::{Batch, Libraries, Translate};
use super::understand::ABI_TAG;
use super::{Dialect, Draft, Lost, Own, scripts, sidecars, versions};
use crate::error::Error;
use crate::package_files::PackageFile;

/// Renders a draft.
pub(crate) fn render(
    draft: Draft,
    libraries: &Libraries,
    batch: &Batch,
    to: Dialect,
    lost: &mut Vec<Lost>,
) -> Result<PackageFile, Error> {
    let name = draft.package.name.clone();
    let mut say = |what: &'static str, detail: String| lost.push(Lost { package: name.clone(), what, detail });
    let Draft { dialect: from, mut package, own, extra, triggers, mut conffiles, mut payload } = draft;
    let source = package.clone();
    let opkg: Opkg = package.opkg.take().map(|o| *o).unwrap_or_default();
    let translate = Translate { from, to, package: &source, libraries, batch };
    words(&mut package, &translate, &mut say);
    let mut meta = Meta::new(package, to.format());
    meta.package.opkg = (to == Dialect::Opkg).then(|| Box::new(opkg.clone()));
    if to != Dialect::Opkg {
        fields(&mut meta.package, &opkg, from, to, &mut say);
    }
    render_scripts(&mut meta, &own, &opkg, to, &mut say);
    match to {
        Dialect::Opkg => meta.control_files.extend(extra),
        _ => extra.keys().for_each(|name| say("control member", name.clone())),
    }
    match to {
        Dialect::Opkg if !triggers.is_empty() => say("triggers", triggers.join(" ")),
        Dialect::Opkg => {}
        _ => meta.triggers = triggers,
    }
    owners(&mut payload, &opkg, to, &mut say);
    let there = |path: &RelPath| payload.get(path).is_some_and(|e| e.kind != EntryKind::Dir);
    if from == Dialect::Alpine && to != Dialect::Alpine {
        let services = RelPath::literal("etc/init.d");
        for entry in payload.entries().filter(|e| e.path.starts_with(&services) && e.kind == EntryKind::File) {
            say("service", format!("{}: an OpenRC script, which procd does not start", entry.path));
        }
    }
    let stock = matches!(&own, Own::Opkg(own) if own.stock);
    if stock && from != Dialect::Alpine && to == Dialect::Alpine {
        for entry in payload.entries().filter(|e| e.kind == EntryKind::File && is_for_default_steps(&e.path)) {
            say("service", format!("{}: OpenWrt's default steps start or run it, Alpine's apk does not", entry.path));
        }
    }
    conffiles.retain(there);
    match to {
        Dialect::Alpine => {
            let etc = RelPath::literal("etc");
            for path in conffiles.iter().filter(|path| !path.starts_with(&etc)) {
                say("configuration file", format!("{path}: apk keeps changes below /etc only"));
            }
        }
        Dialect::Openwrt => sidecars::add(&meta.package.name, &opkg, &conffiles, source.build_time, &mut payload)?,
        Dialect::Opkg => meta.conffiles = conffiles,
    }
    Ok(PackageFile { meta, payload })
}

/// Files that `default_postinst` of OpenWrt's lib/functions.sh does something about.
fn is_for_default_steps(path: &RelPath) -> bool {
    ["etc/init.d/", "etc/uci-defaults/", "etc/modules.d/", "etc/sysctl.d/", "rootfs-overlay/"]
        .iter()
        .any(|dir| path.as_bytes().starts_with(dir.as_bytes()))
}

/// Names and versions.
fn words(package: &mut Package, translate: &Translate<'_>, say: &mut dyn FnMut(&'static str, String)) {
    let (from, to) = (translate.from, translate.to);
    let source = translate.package;
    let (version, faithful) = versions::version(&source.version, source.scheme, to);
    if !faithful {
        say("version", format!("{} became {version}", source.version));
    }
    match versions::arch(&source.arch, from, to) {
        Some(arch) => package.arch = arch,
        None => say("architecture", format!("{}: no counterpart is known; kept as it is", source.arch)),
    }
    package.depends = translate.depends(say);
    package.recommends = translate.recommends(say);
    package.provides = translate.provides(&version, say);
    package.replaces = translate.plain(&source.replaces);
    package.install_if = translate.plain(&source.install_if);
    package.version = version;
    package.scheme = if to == Dialect::Opkg { VersionScheme::Deb } else { VersionScheme::Apk };
    package.ecosystem = if to == Dialect::Alpine { Ecosystem::Alpine } else { Ecosystem::Openwrt };
    (package.identity, package.filename, package.source) = (None, None, None);
    // The writer computes both anew.
    (package.size, package.installed_size) = (0, 0);
    if to == Dialect::Opkg {
        if !package.install_if.is_empty() {
            let list: Vec<String> = package.install_if.iter().map(ToString::to_string).collect();
            say("install_if", list.join(" "));
            package.install_if.clear();
        }
        for versioned in source.replaces.iter().filter(|r| !r.version.is_empty()) {
            say("version of a replaced name", versioned.to_string());
        }
        if let Some(priority) = package.provider_priority.take() {
            say("provider_priority", priority.to_string());
        }
        if package.replaces_priority != 0 {
            say("replaces_priority", package.replaces_priority.to_string());
        }
        if !package.commit.is_empty() {
            say("commit", package.commit.clone());
        }
        package.replaces_priority = 0;
        package.commit.clear();
    }
    if to != Dialect::Openwrt {
        for tag in package.tags.drain(..) {
            say("tag", tag);
        }
        if package.layer != 0 {
            say("layer", package.layer.to_string());
            package.layer = 0;
        }
    }
    // apk's metadata is one line each; opkg's descriptions have more.
    package.description = package.description.replace(|c: char| c.is_control(), " ");
}

/// What only opkg's control files say.
fn fields(package: &mut Package, opkg: &Opkg, from: Dialect, to: Dialect, say: &mut dyn FnMut(&'static str, String)) {
    if !opkg.abi_version.is_empty() {
        match to {
            Dialect::Openwrt => package.tags.push(format!("{ABI_TAG}{}", opkg.abi_version)),
            _ => say("field", format!("ABIVersion {}: it stays in the name only", opkg.abi_version)),
        }
    }
    if opkg.essential {
        say("field", "Essential: apk has no packages that are never removed".to_owned());
    }
    if !opkg.section.is_empty() {
        say("field", format!("Section: {}", opkg.section));
    }
    for suggested in &opkg.suggests {
        say("field", format!("Suggests: {suggested}"));
    }
    for (name, value) in &opkg.other {
        // The file itself, and what every writer says anew.
        if !matches!(name.as_str(), "Description" | "SourceName" | "Installed-Size") {
            say("field", format!("{name}: {}", value.lines().next().unwrap_or_default()));
        }
    }
    if to == Dialect::Alpine && from != Dialect::Alpine {
        for alternative in &opkg.alternatives {
            say("alternative", format!("{alternative}: a link is made where nothing is; priorities decide nothing"));
        }
    }
}

fn render_scripts(meta: &mut Meta, own: &Own, opkg: &Opkg, to: Dialect, say: &mut dyn FnMut(&'static str, String)) {
    let version = meta.package.version.clone();
    match (to, own) {
        (Dialect::Opkg, Own::Opkg(texts)) => {
            for (name, text) in &texts.texts {
                let stub = texts.stock && matches!(name.as_str(), "postinst" | "prerm");
                meta.control_files.insert(if stub { format!("{name}-pkg") } else { name.clone() }, text.clone());
            }
            if texts.stock || !opkg.require_user.is_empty() {
                ipk_stubs(meta);
            }
        }
        (Dialect::Opkg, Own::Apk(scripts)) => {
            let mut texts = scripts::apk_in_opkg(scripts, &version, &mut |detail| say("script", detail));
            if !opkg.require_user.is_empty() {
                // OpenWrt's own steps make the accounts, and nothing else of them is wanted: its services are OpenRC's.
                let text = scripts::with_accounts(texts.remove("postinst"), &meta.package.name);
                texts.insert("postinst".to_owned(), text);
            }
            meta.control_files.extend(texts);
        }
        (Dialect::Openwrt, Own::Opkg(texts)) => openwrt_scripts(meta, texts, opkg, say),
        (Dialect::Openwrt, Own::Apk(scripts)) => {
            meta.scripts = scripts.clone();
            if !opkg.require_user.is_empty() || !opkg.alternatives.is_empty() {
                for kind in [ScriptKind::PostInstall, ScriptKind::PostUpgrade] {
                    let stub = scripts::openwrt_stub(&meta.package.name, kind, false);
                    let own = scripts.get(&kind).map(Vec::as_slice).unwrap_or_default();
                    meta.scripts.insert(kind, [stub.as_bytes(), own].concat());
                }
            }
        }
        (Dialect::Alpine, own) => alpine_scripts(meta, own, opkg, say),
    }
}

/// The stubs around `postinst-pkg` and `prerm-pkg`; a script of the same name stays.
fn ipk_stubs(meta: &mut Meta) {
    for (name, stub) in [("postinst", ipk::STOCK_POSTINST), ("prerm", ipk::STOCK_PRERM)] {
        meta.control_files.entry(name.to_owned()).or_insert_with(|| stub.as_bytes().to_vec());
    }
}

/// opkg's four scripts as OpenWrt's build gives them to apk.
fn openwrt_scripts(meta: &mut Meta, own: &scripts::Opkg, opkg: &Opkg, say: &mut dyn FnMut(&'static str, String)) {
    use ScriptKind::{PostDeinstall, PostInstall, PostUpgrade, PreDeinstall, PreInstall, PreUpgrade};
    let name = meta.package.name.clone();
    let stock = own.stock || !opkg.require_user.is_empty() || !opkg.alternatives.is_empty();
    let mut out = Scripts::new();
    for (script, kinds) in [("postinst", [PostInstall, PostUpgrade].as_slice()), ("prerm", &[PreDeinstall])] {
        for kind in kinds {
            let text = own.texts.get(script).map(Vec::as_slice);
            match (stock, text) {
                (true, text) => {
                    let stub = scripts::openwrt_stub(&name, *kind, own.stock);
                    drop(out.insert(*kind, [stub.as_bytes(), text.unwrap_or_default()].concat()));
                }
                (false, Some(text)) => drop(out.insert(*kind, scripts::opkg_in_apk(script, false, text, *kind))),
                (false, None) => {}
            }
        }
    }
    for (script, kinds) in [("preinst", [PreInstall, PreUpgrade].as_slice()), ("postrm", &[PostDeinstall])] {
        if let Some(text) = own.texts.get(script) {
            for kind in kinds {
                out.insert(*kind, scripts::opkg_in_apk(script, false, text, *kind));
            }
        }
    }
    at_upgrades(own, say);
    meta.scripts = out;
}

/// apk runs no script of the version that goes when a newer one comes.
fn at_upgrades(own: &scripts::Opkg, say: &mut dyn FnMut(&'static str, String)) {
    for name in ["prerm", "postrm"].iter().filter(|name| own.texts.contains_key(**name)) {
        say("script", format!("{name} at upgrades: apk runs no script of the version that goes"));
    }
}

fn alpine_scripts(meta: &mut Meta, own: &Own, opkg: &Opkg, say: &mut dyn FnMut(&'static str, String)) {
    use ScriptKind::{PostDeinstall, PostInstall, PostUpgrade, PreDeinstall, PreInstall, PreUpgrade};
    let mut out = match own {
        Own::Apk(scripts) => scripts.clone(),
        Own::Opkg(own) => {
            let mut out = Scripts::new();
            for (script, kinds) in [
                ("preinst", [PreInstall, PreUpgrade].as_slice()),
                ("postinst", &[PostInstall, PostUpgrade]),
                ("prerm", &[PreDeinstall]),
                ("postrm", &[PostDeinstall]),
            ] {
                let Some(text) = own.texts.get(script) else { continue };
                if !scripts::fits_a_section(text) {
                    say("script", format!("{script}: it is not for a shell"));
                    continue;
                }
                let stock = own.stock && matches!(script, "postinst" | "prerm");
                for kind in kinds {
                    out.insert(*kind, scripts::opkg_in_apk(script, stock, text, *kind));
                }
            }
            at_upgrades(own, say);
            out
        }
    };
    if !opkg.require_user.is_empty() {
        let commands = accounts::to_commands(&required(opkg));
        for kind in [PreInstall, PreUpgrade] {
            let text = out.remove(&kind).map(|text| String::from_utf8_lossy(&text).into_owned());
            let text = match text {
                Some(text) if text.starts_with("#!") => text.replacen('\n', &format!("\n{commands}"), 1),
                Some(text) => format!("#!/bin/sh\n{commands}{text}"),
                None => format!("#!/bin/sh\n{commands}exit 0\n"),
            };
            out.insert(kind, text.into_bytes());
        }
    }
    links(&mut out, opkg);
    meta.scripts = out;
}

/// Alternatives where there is no manager of them: a link where nothing is, taken away again while it is ours.
fn links(out: &mut Scripts, opkg: &Opkg) {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "'\\''"));
    let (mut make, mut unmake) = (String::new(), String::new());
    for alternative in &opkg.alternatives {
        let (link, target) = (quoted(&alternative.link.to_string()), quoted(&alternative.target));
        make.push_str(&format!("[ -e {link} ] || ln -s {target} {link}\n"));
        unmake.push_str(&format!("[ \"$(readlink {link})\" != {target} ] || rm -f {link}\n"));
    }
    if make.is_empty() {
        return;
    }
    let kinds =
        [(ScriptKind::PostInstall, &make), (ScriptKind::PostUpgrade, &make), (ScriptKind::PostDeinstall, &unmake)];
    for (kind, lines) in kinds {
        let text = out.remove(&kind).unwrap_or_else(|| b"#!/bin/sh\nexit 0\n".to_vec());
        let text = String::from_utf8_lossy(&text).replacen('\n', &format!("\n{lines}"), 1);
        out.insert(kind, text.into_bytes());
    }
}

/// Accounts that the package asks for.
fn required(opkg: &Opkg) -> Vec<Account> {
    opkg.require_user.iter().filter_map(|word| word.parse().ok()).collect()
}

/// Numbers that accounts give to names: `(users, groups)`.
fn numbers(accounts: &[Account]) -> (BTreeMap<String, u32>, BTreeMap<String, u32>) {
    let users = accounts.iter().filter_map(|a| a.user.as_ref()).filter_map(|u| Some((u.name.clone(), u.uid?)));
    let groups = accounts.iter().flat_map(Account::groups).filter_map(|g| Some((g.name.clone(), g.gid?)));
    (users.collect(), groups.collect())
}

/// Owners that the other format can write, and attributes that it cannot.
fn owners(
    payload: &mut crate::package_files::Payload,
    opkg: &Opkg,
    to: Dialect,
    say: &mut dyn FnMut(&'static str, String),
) {
    let (users, groups) = numbers(&required(opkg));
    payload.change(&mut |entry: &mut Entry| {
        let path = entry.path.to_string();
        for (kind, name, number, known) in
            [("user", &mut entry.user, &mut entry.uid, &users), ("group", &mut entry.group, &mut entry.gid, &groups)]
        {
            match to {
                // apk v3 keeps names only.
                Dialect::Openwrt if name.is_empty() && *number != 0 => {
                    match known.iter().find(|(_, known)| **known == *number) {
                        Some((known, _)) => known.clone_into(name),
                        None => {
                            say("owner", format!("{path}: {kind} {number} has no name; it became root's"));
                            (*name, *number) = ("root".to_owned(), 0);
                        }
                    }
                }
                // opkg and tar go by numbers.
                Dialect::Opkg | Dialect::Alpine if *number == 0 && !matches!(name.as_str(), "" | "root") => {
                    match known.get(name) {
                        Some(known) => *number = *known,
                        None if to == Dialect::Opkg => {
                            say("owner", format!("{path}: {kind} {name} has no number here; opkg goes by numbers"));
                        }
                        None => {}
                    }
                }
                _ => {}
            }
        }
        if to == Dialect::Opkg && !entry.xattrs.is_empty() {
            for (name, _) in std::mem::take(&mut entry.xattrs) {
                say("extended attribute", format!("{path}: {name}"));
            }
        }
    });
}
