//! Slot numbers of apk v3's objects (apk_adb.h of apk-tools 3.0). Only numbers.

/// pkginfo: in packages and indexes.
pub(crate) mod info {
    pub(crate) const NAME: usize = 1;
    pub(crate) const VERSION: usize = 2;
    pub(crate) const HASHES: usize = 3;
    pub(crate) const DESCRIPTION: usize = 4;
    pub(crate) const ARCH: usize = 5;
    pub(crate) const LICENSE: usize = 6;
    pub(crate) const ORIGIN: usize = 7;
    pub(crate) const MAINTAINER: usize = 8;
    pub(crate) const URL: usize = 9;
    pub(crate) const COMMIT: usize = 10;
    pub(crate) const BUILD_TIME: usize = 11;
    pub(crate) const INSTALLED_SIZE: usize = 12;
    pub(crate) const FILE_SIZE: usize = 13;
    pub(crate) const PROVIDER_PRIORITY: usize = 14;
    pub(crate) const DEPENDS: usize = 15;
    pub(crate) const PROVIDES: usize = 16;
    pub(crate) const REPLACES: usize = 17;
    pub(crate) const INSTALL_IF: usize = 18;
    pub(crate) const RECOMMENDS: usize = 19;
    pub(crate) const LAYER: usize = 20;
    pub(crate) const TAGS: usize = 21;
    pub(crate) const SLOTS: usize = 21;
}

/// A dependency.
pub(crate) mod dependency {
    pub(crate) const NAME: usize = 1;
    pub(crate) const VERSION: usize = 2;
    pub(crate) const MATCH: usize = 3;
    pub(crate) const SLOTS: usize = 3;
}

/// The root of a package.
pub(crate) mod package {
    pub(crate) const INFO: usize = 1;
    pub(crate) const PATHS: usize = 2;
    pub(crate) const SCRIPTS: usize = 3;
    pub(crate) const TRIGGERS: usize = 4;
    pub(crate) const REPLACES_PRIORITY: usize = 5;
    pub(crate) const SLOTS: usize = 5;
}

/// The root of an index.
pub(crate) mod index {
    pub(crate) const DESCRIPTION: usize = 1;
    pub(crate) const PACKAGES: usize = 2;
    pub(crate) const PKGNAME_SPEC: usize = 3;
    pub(crate) const SLOTS: usize = 3;
}

/// A directory.
pub(crate) mod dir {
    pub(crate) const NAME: usize = 1;
    pub(crate) const ACL: usize = 2;
    pub(crate) const FILES: usize = 3;
    pub(crate) const SLOTS: usize = 3;
}

/// Whatever is not a directory.
pub(crate) mod file {
    pub(crate) const NAME: usize = 1;
    pub(crate) const ACL: usize = 2;
    pub(crate) const SIZE: usize = 3;
    pub(crate) const MTIME: usize = 4;
    pub(crate) const HASH: usize = 5;
    pub(crate) const TARGET: usize = 6;
    pub(crate) const SLOTS: usize = 6;
}

/// Owner and mode.
pub(crate) mod acl {
    pub(crate) const MODE: usize = 1;
    pub(crate) const USER: usize = 2;
    pub(crate) const GROUP: usize = 3;
    pub(crate) const XATTRS: usize = 4;
    pub(crate) const SLOTS: usize = 4;
}

/// What the first two bytes of a file's `target` say: the file type bits of `st_mode`.
pub(crate) mod file_type {
    pub(crate) const FIFO: u16 = 0x1000;
    pub(crate) const CHAR: u16 = 0x2000;
    pub(crate) const BLOCK: u16 = 0x6000;
    pub(crate) const REGULAR: u16 = 0x8000;
    pub(crate) const SYMLINK: u16 = 0xa000;
}

/// Maintainer scripts in the order of their slots.
pub(crate) const SCRIPTS: [xpkg_model::payload::ScriptKind; 7] = {
    use xpkg_model::payload::ScriptKind::*;
    [Trigger, PreInstall, PostInstall, PreDeinstall, PostDeinstall, PreUpgrade, PostUpgrade]
};
