//! From a package file to a draft: takes apart what each build puts together. Changes no name and no version.

use xpkg_formats::package::Format;
use xpkg_model::payload::{EntryKind, ScriptKind, Scripts};
use xpkg_model::{Provide, RelPath};
use xpkg_shims::accounts;

use super::scripts::{self, Opkg};
use super::{Dialect, Draft, Own, sidecars};
use crate::error::Error;
use crate::package_files::PackageFile;

/// OpenWrt's tag for the ABI suffix of a name.
pub(super) const ABI_TAG: &str = "openwrt:abiversion=";

impl Draft {
    /// Understands a package file.
    pub(crate) fn understand(file: PackageFile) -> Result<Self, Error> {
        let PackageFile { meta, payload } = file;
        let name = meta.package.name.clone();
        let dialect = match meta.format {
            Format::Apk3 if !is_openwrt(&meta.package.tags, &meta.package.provides, &name, &payload) => Dialect::Alpine,
            format => Dialect::of(format),
        };
        let mut draft = Self {
            dialect,
            package: meta.package,
            own: Own::Apk(Scripts::new()),
            extra: extra(&meta.control_files),
            triggers: meta.triggers,
            conffiles: meta.conffiles,
            payload,
        };
        draft.package.opkg.get_or_insert_with(Box::default);
        match dialect {
            Dialect::Alpine => draft.alpine(meta.scripts),
            Dialect::Openwrt => {
                sidecars::take(&mut draft)?;
                draft.openwrt(meta.scripts);
            }
            Dialect::Opkg => draft.own = opkg(&meta.control_files),
        }
        Ok(draft)
    }

    fn alpine(&mut self, mut scripts: Scripts) {
        if let Some(own) = scripts::opkg_from_apk(&without_accounts(&scripts).1) {
            self.own = Own::Opkg(own);
            scripts = without_accounts(&scripts).0;
        }
        for kind in [ScriptKind::PreInstall, ScriptKind::PreUpgrade] {
            let Some(text) = scripts.get(&kind).and_then(|text| String::from_utf8(text.clone()).ok()) else { continue };
            let (words, rest) = accounts::from_script(&text);
            if words.is_empty() {
                continue;
            }
            let known = self.package.opkg.get_or_insert_with(Box::default);
            for word in words.iter().map(ToString::to_string) {
                if !known.require_user.contains(&word) {
                    known.require_user.push(word);
                }
            }
            match rest {
                Some(rest) => drop(scripts.insert(kind, rest.into_bytes())),
                None => drop(scripts.remove(&kind)),
            }
        }
        if matches!(self.own, Own::Apk(_)) {
            self.own = Own::Apk(scripts);
        }
        // apk keeps changes to all of /etc but services (apk(8), protected paths): that is what configuration files are.
        let (etc, services) = (RelPath::literal("etc"), RelPath::literal("etc/init.d"));
        let is_one = |path: &RelPath| path.starts_with(&etc) && !path.starts_with(&services);
        let files = self.payload.entries().filter(|e| e.kind == EntryKind::File && is_one(&e.path));
        self.conffiles = files.map(|e| e.path.clone()).collect();
    }

    fn openwrt(&mut self, scripts: Scripts) {
        let any = format!("{}-any", self.package.name);
        self.package.provides.retain(|p| p.name != any);
        let abi = self.package.tags.iter().find_map(|tag| tag.strip_prefix(ABI_TAG)).map(str::to_owned);
        self.package.tags.retain(|tag| !tag.starts_with(ABI_TAG));
        if let (Some(abi), Some(opkg)) = (abi, self.package.opkg.as_mut()) {
            opkg.abi_version = abi;
        }
        let mut own = Scripts::new();
        let mut stock = false;
        for (kind, text) in scripts {
            let (stub, rest) = scripts::without_stub(&text);
            stock |= stub && String::from_utf8_lossy(&text).contains("default_post");
            if let Some(rest) = rest {
                own.insert(kind, scripts::opkg_section(&rest).unwrap_or(rest));
            }
        }
        self.own = fold(&own, stock).map_or(Own::Apk(own), Own::Opkg);
    }
}

fn is_openwrt(tags: &[String], provides: &[Provide], name: &str, payload: &crate::package_files::Payload) -> bool {
    let any = format!("{name}-any");
    sidecars::are_in(name, payload)
        || tags.iter().any(|tag| tag.starts_with("openwrt:"))
        || provides.iter().any(|p| p.name == any)
}

/// Scripts as they are, and as they are without the block that makes accounts.
fn without_accounts(scripts: &Scripts) -> (Scripts, Scripts) {
    let stripped = scripts.iter().filter_map(|(kind, text)| {
        let text = String::from_utf8(text.clone()).ok()?;
        let (words, rest) = accounts::from_script(&text);
        if words.is_empty() { Some((*kind, text.into_bytes())) } else { rest.map(|rest| (*kind, rest.into_bytes())) }
    });
    (scripts.clone(), stripped.collect())
}

/// OpenWrt's build makes apk's scripts of opkg's four; where the upgrade scripts are those of the installation, this is
/// the way back.
fn fold(own: &Scripts, stock: bool) -> Option<Opkg> {
    let same = |install, upgrade| {
        let plain =
            |kind| own.get(&kind).map(|text| String::from_utf8_lossy(text).replace("export PKG_UPGRADE=1\n", ""));
        plain(install) == plain(upgrade)
    };
    if !same(ScriptKind::PreInstall, ScriptKind::PreUpgrade)
        || !same(ScriptKind::PostInstall, ScriptKind::PostUpgrade)
        || own.contains_key(&ScriptKind::Trigger)
    {
        return None;
    }
    let mut out = Opkg { stock, ..Opkg::default() };
    for (name, kind) in [
        ("preinst", ScriptKind::PreInstall),
        ("postinst", ScriptKind::PostInstall),
        ("prerm", ScriptKind::PreDeinstall),
        ("postrm", ScriptKind::PostDeinstall),
    ] {
        if let Some(text) = own.get(&kind) {
            out.texts.insert(name.to_owned(), text.clone());
        }
    }
    Some(out)
}

/// opkg's control members: the stock stubs with `-pkg` beside them, or scripts of the package's own.
fn opkg(members: &std::collections::BTreeMap<String, Vec<u8>>) -> Own {
    let mut out = Opkg::default();
    for name in scripts::NAMES {
        let Some(text) = members.get(name).and_then(|text| scripts::without_accounts(text)) else { continue };
        let (stub, rest) = scripts::without_stub(&text);
        out.stock |= stub && String::from_utf8_lossy(&text).contains("default_postinst");
        let own = if stub { members.get(&format!("{name}-pkg")).cloned().or(rest) } else { rest };
        if let Some(own) = own {
            out.texts.insert(name.to_owned(), own);
        }
    }
    match scripts::apk_from_opkg(&out.texts) {
        Some(scripts) => Own::Apk(scripts),
        None => Own::Opkg(out),
    }
}

/// Members that no script and no list of configuration files is.
fn extra(members: &std::collections::BTreeMap<String, Vec<u8>>) -> std::collections::BTreeMap<String, Vec<u8>> {
    let known = |name: &str| name == "conffiles" || scripts::NAMES.contains(&name.trim_end_matches("-pkg"));
    members.iter().filter(|(name, _)| !known(name)).map(|(name, text)| (name.clone(), text.clone())).collect()
}
