//! Where a service stands in OpenWrt's start order, and which services a root of procd does not want. Data in
//! `rules/services-openrc.toml`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use globset::Glob;
use serde::Deserialize;

use super::Depend;

/// A service that says nothing comes when the network is there and its base services are up.
const USUAL: u32 = 60;
/// Before `S95done`, at which OpenWrt takes its start for complete.
const LAST: u32 = 94;
/// After `S00sysfixtime`.
const FIRST: u32 = 1;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    services: Vec<String>,
    reason: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Table {
    #[serde(rename = "schema")]
    _schema: Option<semver::Version>,
    #[serde(rename = "requires-xpkg")]
    _requires_xpkg: Option<semver::VersionReq>,
    order: BTreeMap<String, u32>,
    #[serde(default)]
    manual: Vec<Row>,
    #[serde(default)]
    left_out: Vec<Row>,
}

const TEXT: &str = include_str!("../../../rules/services-openrc.toml");

/// A table that cannot be read says nothing; a test reads it.
static TABLE: LazyLock<Table> = LazyLock::new(|| toml::from_str(TEXT).unwrap_or_default());

/// The number of OpenWrt's start order for a service: after what it wants to come after, else before what it wants to come
/// before, else the usual one.
pub(super) fn start(name: &str, depend: &Depend) -> u32 {
    let number = |name: &String| if name == "*" { None } else { Some(TABLE.order.get(name).copied().unwrap_or(USUAL)) };
    if depend.after.iter().any(|w| w == "*") {
        return LAST;
    }
    let own = TABLE.order.get(name).copied().unwrap_or(USUAL);
    let earlier = [&depend.need, &depend.use_, &depend.want, &depend.after].into_iter().flatten();
    let least = earlier.filter_map(number).max().map_or(FIRST, |n| n + 1);
    let most = if depend.before.iter().any(|w| w == "*") {
        FIRST
    } else {
        depend.before.iter().filter_map(number).min().map_or(LAST, |n| n.saturating_sub(1))
    };
    own.min(most).max(least).clamp(FIRST, LAST)
}

/// The number of OpenWrt's stop order: what starts late stops early, and all of it before the network does (`K90`).
pub(super) fn stop(start: u32) -> u32 {
    100_u32.saturating_sub(start).clamp(1, 88)
}

/// Why a service is not started by being installed.
pub(super) fn manual<'a>(name: &str, depend: &Depend) -> Option<&'a str> {
    let net = |names: &[String]| names.iter().any(|n| matches!(n.as_str(), "net" | "network" | "networking"));
    find(&TABLE.manual, name)
        .or_else(|| net(&depend.provide).then_some("it offers the network itself, which this root has of its own"))
}

/// Why a service is not brought at all.
pub(super) fn left_out<'a>(name: &str) -> Option<&'a str> {
    find(&TABLE.left_out, name)
}

fn find(rows: &'static [Row], name: &str) -> Option<&'static str> {
    let is = |pattern: &String| Glob::new(pattern).is_ok_and(|glob| glob.compile_matcher().is_match(name));
    rows.iter().find(|row| row.services.iter().any(is)).map(|row| row.reason.as_str())
}

#[cfg(test)]
mod tests {
    use super::super::Script;
    use super::*;

    #[test]
    fn the_table_can_be_read() {
        let table: Table = toml::from_str(TEXT).unwrap();
        assert!(table.order.values().all(|n| *n <= 95) && !table.manual.is_empty() && !table.left_out.is_empty());
    }

    #[test]
    fn places_in_the_order() {
        // depend() of Alpine 3.19's scripts.
        for (name, depend, place) in [
            ("sshd", "use logger dns\nafter entropy\nneed net", 60),
            ("chronyd", "need net\nafter firewall\nprovide ntp-client ntp-server\nuse dns", 60),
            ("dhcpcd", "provide net\nneed localmount\nuse logger network\nafter bootmisc modules\nbefore dns", 21),
            ("syslog", "need clock hostname localmount\nprovide logger", 12),
            ("klogd", "need clock hostname localmount logger\nbefore net", 13),
            ("wpa_cli", "need wpa_supplicant", 61),
            ("tiny-cloud-boot", "after root logger\nbefore net", 19),
            ("tiny-cloud-early", "need net\nbefore tiny-cloud-main", 59),
            ("tiny-cloud-main", "need net\nbefore sshd", 59),
            ("tiny-cloud-final", "after *\nprovide cloud-final", 94),
            ("loadkmap", "provide keymaps\nneed localmount", 60),
        ] {
            let script = Script::read(&format!("#!/sbin/openrc-run\ndepend() {{\n{depend}\n}}\n"));
            assert_eq!(start(name, &script.depend), place, "{name}");
        }
        assert_eq!((stop(60), stop(1), stop(99)), (40, 88, 1));
    }

    #[test]
    fn the_network_is_the_roots_own() {
        assert!(
            manual("dhcpcd", &Depend::default()).is_some() && manual("tiny-cloud-main", &Depend::default()).is_some()
        );
        let offers = Depend { provide: vec!["net".to_owned()], ..Depend::default() };
        assert!(manual("x", &offers).is_some() && manual("sshd", &Depend::default()).is_none());
        assert!(left_out("udev-trigger").is_some() && left_out("chronyd").is_none());
    }
}
