//! What a package says, whatever its format: metadata in its own grammar, but accounts, alternatives and configuration files
//! as values and scripts without what its build put around them. Holds no rule of any target.

use std::collections::BTreeMap;

use xpkg_model::{Package, RelPath};

use super::Dialect;
pub(crate) use super::scripts::Own;
use crate::package_files::Payload;

/// A package between two formats.
#[derive(Debug)]
pub(crate) struct Draft {
    /// Whose conventions its names and versions follow.
    pub dialect: Dialect,
    /// Metadata; accounts, alternatives and the ABI are in [`Package::opkg`].
    pub package: Package,
    /// Own scripts.
    pub own: Own,
    /// Members of a control archive that are neither script nor list of configuration files.
    pub extra: BTreeMap<String, Vec<u8>>,
    /// What its trigger script watches.
    pub triggers: Vec<String>,
    /// Configuration files.
    pub conffiles: Vec<RelPath>,
    /// Entries, without the lists that OpenWrt's build adds.
    pub payload: Payload,
}
