//! The native databases of an apk root, as apk 2 (Alpine) and apk 3 (OpenWrt 25.12) keep them: what is installed, its
//! triggers and scripts, the world, the architectures and the repositories.
//!
//! Pure: takes readers and text, gives values and bytes. Locks nothing, opens nothing, and decides nothing about what
//! should be installed.

pub mod arch;
pub mod digest;
mod installed;
mod lines;
mod make;
mod owners;
mod record;
pub mod repositories;
pub mod scripts;
pub mod triggers;
pub mod variables;
pub mod world;
mod write;

pub use digest::{DigestKind, xattr_digest};
pub use installed::read_installed;
pub use make::{Generation, Placed, without_hash};
pub use owners::{Claim, owners, visit_claims};
pub use record::{Acl, DbDir, DbFile, InstalledRecord};
pub use scripts::{Script, ScriptsWriter, read_scripts};
pub use triggers::Trigger;
pub use write::{write_header, write_record};

/// What apk sorts names by in its database and its `world`: letters of either case alike (seen with 2.14.0 and 3.0.5).
pub fn name_order(name: &str) -> (String, String) {
    (name.to_ascii_lowercase(), name.to_owned())
}

/// The installed packages and their files.
pub const INSTALLED: &str = "lib/apk/db/installed";
/// Which package wants to know about which directory.
pub const TRIGGERS: &str = "lib/apk/db/triggers";
/// Maintainer scripts, as apk 2 keeps them.
pub const SCRIPTS_TAR: &str = "lib/apk/db/scripts.tar";
/// Maintainer scripts, as apk 3 keeps them where there is no `scripts.tar`.
pub const SCRIPTS_TAR_GZ: &str = "lib/apk/db/scripts.tar.gz";
/// Locked (flock, exclusive) by whoever changes the others.
pub const LOCK: &str = "lib/apk/db/lock";
/// What a person asked for.
pub const WORLD: &str = "etc/apk/world";
/// Which architectures may be installed.
pub const ARCH: &str = "etc/apk/arch";
/// Where packages come from; `*.list` files below `etc/apk/repositories.d` and `lib/apk/repositories.d` add to it.
pub const REPOSITORIES: &str = "etc/apk/repositories";
