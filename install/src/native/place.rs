//! Where apk's databases lie on a root: where apk has them, or, on a root that no package manager of ours owns, beside our own
//! state. Paths only.

use xpkg_formats::apk::db;
use xpkg_model::Ecosystem;

/// The files of one set of databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Packages and their files.
    pub installed: &'static str,
    /// Patterns of triggers.
    pub triggers: &'static str,
    /// Scripts, packed or not; the first that is there counts, the last is made where there is none.
    pub scripts: [&'static str; 2],
    /// What a person asked for and which architectures may come; `None` where our own state says so.
    pub lists: Option<Lists>,
    /// Directories of all of them.
    pub dirs: &'static [&'static str],
}

/// The word lists that only apk itself reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lists {
    /// The world.
    pub world: &'static str,
    /// The architectures.
    pub arch: &'static str,
}

/// Where apk has them.
pub const OF_APK: Place = Place {
    installed: db::INSTALLED,
    triggers: db::TRIGGERS,
    scripts: [db::SCRIPTS_TAR, db::SCRIPTS_TAR_GZ],
    lists: Some(Lists { world: db::WORLD, arch: db::ARCH }),
    dirs: &["lib/apk/db", "etc/apk"],
};

/// Our own record, on roots that neither apk nor opkg owns: in apk 3's layout, so that one reader serves both. It lies where
/// our state lies and no manager looks.
pub const OWN: Place = Place {
    installed: "usr/lib/xpkg/installed",
    triggers: "usr/lib/xpkg/triggers",
    scripts: ["usr/lib/xpkg/scripts.tar", "usr/lib/xpkg/scripts.tar.gz"],
    lists: None,
    dirs: &["usr/lib/xpkg"],
};

impl Place {
    /// Where the records of a root are.
    pub const fn of(native: Ecosystem) -> Self {
        match native {
            Ecosystem::Other => OWN,
            Ecosystem::Alpine | Ecosystem::Openwrt => OF_APK,
        }
    }

    /// Whether the files are ours alone, and go when they say nothing.
    pub const fn is_own(&self) -> bool {
        self.lists.is_none()
    }
}
