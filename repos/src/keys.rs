//! Which keys vouch for which source. A key vouches for its own source only: own sources never borrow the native
//! manager's keys, and native ones never see the keys of own sources.

use std::io;

use xpkg_formats::keys::{Keyring, PublicKey};
use xpkg_model::RelPath;
use xpkg_model::root::RootView;

use crate::error::{Error, Result};
use crate::source::{Format, Source};

/// Where apk keeps the keys it trusts, in both generations. Not `/usr/share/apk/keys`, which holds keys for all
/// architectures that nobody has chosen to trust.
const APK: [&str; 2] = ["/etc/apk/keys", "/lib/apk/keys"];
/// Where opkg does; a file's name is the fingerprint of its key (opkg-key of OpenWrt).
const OPKG: [&str; 1] = ["/etc/opkg/keys"];
/// Largest key file; a 16,384 bit RSA key in PEM has 3 KiB.
const MAX_KEY: u64 = 64 * 1024;
/// Most keys of one source.
const MAX_KEYS: usize = 256;

/// The keys that may sign this source's index. Files that are no keys are passed over, as apk does.
pub fn keyring_for(root: &dyn RootView, source: &Source) -> Result<Keyring> {
    let mut ring = Keyring::new();
    if source.is_native() {
        let opkg = matches!(source.format, Some(Format::Opkg | Format::OpkgPlain));
        for dir in if opkg { &OPKG[..] } else { &APK[..] } {
            read_place(root, &place(dir)?, &mut ring)?;
        }
    }
    for place in &source.keys {
        read_place(root, place, &mut ring)?;
    }
    Ok(ring)
}

/// The keys that the native manager trusts, for a package given as a file. opkg's packages are never signed themselves.
pub fn native_keyring(root: &dyn RootView) -> Result<Keyring> {
    let mut ring = Keyring::new();
    for dir in APK {
        read_place(root, &place(dir)?, &mut ring)?;
    }
    Ok(ring)
}

fn place(text: &str) -> Result<RelPath> {
    RelPath::from_absolute(text).map_err(|e| Error::BadSource { file: text.to_owned(), reason: e.to_string() })
}

fn read_place(root: &dyn RootView, place: &RelPath, ring: &mut Keyring) -> Result<()> {
    let failed = |source: io::Error| Error::Io { what: format!("cannot read the keys in {place}"), source };
    let names = root.list(place).map_err(failed)?;
    let mut files = Vec::new();
    for name in names.iter().filter(|n| !n.starts_with(b".")).take(MAX_KEYS) {
        files.push(place.join(name).map_err(|e| Error::BadSource { file: place.to_string(), reason: e.to_string() })?);
    }
    if names.is_empty() {
        files.push(place.clone());
    }
    for file in files {
        let Some(bytes) = root.read(&file, MAX_KEY).map_err(failed)? else { continue };
        let name = String::from_utf8_lossy(file.file_name()).into_owned();
        match PublicKey::parse(&name, &bytes) {
            Ok(key) => ring.push(key),
            Err(error) => tracing::warn!(%file, %error, "not a key"),
        }
    }
    Ok(())
}
