//! Services of one world under the other's init: what both directions share. Translators read text and give files, moves
//! and scripts; they start nothing.
//!
//! - [`openrc`]: services written for OpenRC, under procd
//! - [`procd`]: services written for OpenWrt's procd, under OpenRC
//! - [`compose`]: steps that are put behind or before a package's own maintainer script
//! - [`volatile`]: what a package keeps below a `/var` that is emptied at every start

pub mod compose;
pub mod openrc;
pub mod procd;
#[cfg(test)]
mod testing;
pub mod volatile;

use serde::{Deserialize, Serialize};
use xpkg_model::{Adaptation, Ecosystem, RelPath};

use crate::{Foreign, HostProbe};

/// What starts the services of a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Init {
    /// OpenWrt's procd, with scripts of `/etc/rc.common`.
    Procd,
    /// OpenRC.
    Openrc,
    /// Nothing that we know: a container, a bare tree. Services are brought and not started.
    None,
}

impl Init {
    /// The init of a root, by its files.
    pub fn of(probe: &dyn HostProbe) -> Self {
        // OpenRC first: OpenWrt's procd and its shell functions may be guests of a root of OpenRC.
        if probe.exists("/sbin/openrc-run") {
            Self::Openrc
        } else if probe.exists("/etc/rc.common") && probe.exists("/sbin/procd") {
            Self::Procd
        } else {
            Self::None
        }
    }
}

/// What a foreign package's services, and what it keeps in directories that a restart empties, ask for on this root.
pub fn translate(foreign: &Foreign<'_>) -> Adaptation {
    let mut adaptation = Adaptation::default();
    if foreign.native == Ecosystem::Openwrt && foreign.package.ecosystem == Ecosystem::Alpine {
        openrc::translate(foreign, &mut adaptation);
        let memory = |at: String| ["/tmp", "/run"].iter().any(|dir| at == *dir || at.starts_with(&format!("{dir}/")));
        if foreign.probe.leads_to("/var").is_some_and(memory) {
            volatile::translate(foreign, &mut adaptation);
        }
    } else if foreign.package.ecosystem == Ecosystem::Openwrt && foreign.native == Ecosystem::Alpine {
        procd::translate(foreign, &mut adaptation);
    }
    adaptation
}

/// A name that may be a service's on either side, and is safe in a path and in a script.
pub fn is_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._+@-".contains(&b);
    name.len() <= 64 && name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') && name.bytes().all(plain)
}

/// A path of ours whose parts were checked.
pub(crate) fn path(text: &str) -> Option<RelPath> {
    RelPath::from_package(text.as_bytes()).ok()
}
