//! The native package manager's own files on a root. Decides nothing; see [`apk`].

pub mod apk;
mod lists;
mod registration;

pub use apk::{Changes, NativeApk};
pub use registration::{Registration, registered_package};

use xpkg_model::root::RootView;
use xpkg_model::{Ecosystem, RelPath};

/// The world whose files a root consists of, as its release files say.
pub fn ecosystem(root: &(impl RootView + ?Sized)) -> Option<Ecosystem> {
    let exists = |path: &'static str| matches!(root.node(&RelPath::literal(path)), Ok(Some(_)));
    if exists("etc/openwrt_release") || exists("etc/openwrt_version") {
        Some(Ecosystem::Openwrt)
    } else if exists("etc/alpine-release") {
        Some(Ecosystem::Alpine)
    } else {
        None
    }
}
