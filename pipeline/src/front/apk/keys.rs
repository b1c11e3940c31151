//! The keys that a run of the front trusts: the root's own, or those of `--keys-dir`. Decides nothing about signatures.

use std::path::Path;

use xpkg_formats::keys::{Keyring, PublicKey};
use xpkg_model::RelPath;
use xpkg_model::root::RootView;

use super::Error;

/// Largest key file.
const MAX_KEY: u64 = 64 << 10;

/// The trusted keys. A `--keys-dir` takes the place of the root's directories and lies below the root, as apk has it.
pub(super) fn keyring(root: &dyn RootView, dir: Option<&Path>) -> Result<Keyring, Error> {
    let Some(dir) = dir else { return Ok(xpkg_repos::keys::native_keyring(root)?) };
    let place = below_root(dir)?;
    let mut ring = Keyring::new();
    for name in root.list(&place).map_err(Error::io(format!("reading {place}")))? {
        let Ok(path) = place.join(&name) else { continue };
        let Some(bytes) = root.read(&path, MAX_KEY).map_err(Error::io(format!("reading {path}")))? else { continue };
        if let Ok(key) = PublicKey::parse(&String::from_utf8_lossy(&name), &bytes) {
            ring.push(key);
        }
    }
    Ok(ring)
}

/// An option's path, read as one of the root.
pub(super) fn below_root(path: &Path) -> Result<RelPath, Error> {
    use std::os::unix::ffi::OsStrExt as _;
    RelPath::from_package(
        path.as_os_str().as_bytes().trim_ascii_start().strip_prefix(b"/").unwrap_or(path.as_os_str().as_bytes()),
    )
    .map_err(|e| Error::Said(format!("{}: {e}", path.display())))
}
