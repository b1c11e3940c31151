//! Files that a person asked for: written under a temporary name beside their place and renamed, so that a name never
//! stands for half a file. Also reads the keys that a person names.

use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize;
use xpkg_formats::keys::{Keyring, PublicKey, SecretKey};
use xpkg_model::Identity;

use crate::error::Error;

/// Key files are a few kilobytes; nothing larger is read.
const MAX_KEY: u64 = 64 << 10;

/// A package file that was written.
#[derive(Clone, Debug, Serialize)]
pub struct Written {
    /// Where.
    pub path: PathBuf,
    /// Package name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Architecture word.
    pub arch: String,
    /// What an index calls it by.
    pub identity: Identity,
    /// Bytes.
    pub size: u64,
    /// File name of the key that it was signed with.
    pub signed_by: Option<String>,
}

/// Writes a file through `fill`. What `fill` gives back is passed on.
pub(crate) fn place<T>(
    path: &Path,
    mode: u32,
    fill: impl FnOnce(&mut dyn std::io::Write) -> Result<T, Error>,
) -> Result<T, Error> {
    let writing = || Error::io(format!("writing {}", path.display()));
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(dir).map_err(writing())?;
    let given = {
        let mut out = std::io::BufWriter::new(file.as_file_mut());
        let given = fill(&mut out)?;
        out.flush().map_err(writing())?;
        given
    };
    file.as_file().set_permissions(Permissions::from_mode(mode)).map_err(writing())?;
    file.persist(path).map_err(|e| writing()(e.error))?;
    Ok(given)
}

/// Where a package goes: a directory gets the format's own file name, anything else is the file.
pub(crate) fn target(output: Option<&Path>, file_name: &str) -> PathBuf {
    match output {
        None => PathBuf::from(file_name),
        Some(path) if path.is_dir() => path.join(file_name),
        Some(path) => path.to_owned(),
    }
}

/// Reads a secret key.
pub fn load_secret(path: &Path) -> Result<SecretKey, Error> {
    let bytes = read_key(path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(SecretKey::parse(&name, &bytes)?)
}

/// Reads public keys: a file, or every key file of a directory. In a directory, what is no key is passed over.
pub fn load_keys(paths: &[PathBuf]) -> Result<Keyring, Error> {
    let mut keys = Keyring::new();
    for path in paths {
        let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !path.is_dir() {
            keys.push(PublicKey::parse(&name(path), &read_key(path)?)?);
            continue;
        }
        let reading = || Error::io(format!("reading {}", path.display()));
        let mut files: Vec<PathBuf> = Vec::new();
        for entry in fs::read_dir(path).map_err(reading())? {
            files.push(entry.map_err(reading())?.path());
        }
        files.sort();
        for file in files.into_iter().filter(|file| file.is_file()) {
            if let Ok(key) = PublicKey::parse(&name(&file), &read_key(&file)?) {
                keys.push(key);
            }
        }
    }
    Ok(keys)
}

fn read_key(path: &Path) -> Result<Vec<u8>, Error> {
    use std::io::Read as _;
    let reading = || Error::io(format!("reading key {}", path.display()));
    let mut bytes = Vec::new();
    File::open(path).map_err(reading())?.take(MAX_KEY + 1).read_to_end(&mut bytes).map_err(reading())?;
    Ok(bytes)
}
