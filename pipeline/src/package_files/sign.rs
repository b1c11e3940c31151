//! Signatures of single files: making them, checking them, and making keys. Whether a key may be trusted is the person's
//! decision, who names it.

use std::fs::File;
use std::path::{Path, PathBuf};

use serde::Serialize;
use xpkg_formats::Limits;
use xpkg_formats::apk::{v2, v3};
use xpkg_formats::keys::{Keyring, SecretKey};
use xpkg_formats::package::{self, Format};
use xpkg_model::Identity;

use super::output::{Written, load_secret, place};
use crate::error::Error;

/// What a check found; there is one only when everything was in order.
#[derive(Clone, Debug, Serialize)]
pub struct Verification {
    /// The file.
    pub path: PathBuf,
    /// What an index calls it by, computed from its bytes.
    pub identity: Identity,
    /// The key that signed it; `None` where no signature was asked for.
    pub signed_by: Option<String>,
    /// That key's SHA-256, in hex.
    pub fingerprint: Option<String>,
    /// Entries whose declared digests were compared, with those that declare none.
    pub entries: u64,
    /// Entries that declare a digest themselves.
    pub digests: u64,
}

/// Checks a package: its signature by one of `keys` (when there are any) and every digest that it declares.
pub fn verify(path: &Path, keys: &Keyring) -> Result<Verification, Error> {
    let mut opened = super::open(path)?;
    let ipk = opened.meta().format == Format::Ipk;
    if ipk && !keys.is_empty() {
        return Err(Error::NotPossible(format!(
            "{}: an ipk holds no signature; the feed's Packages.sig vouches for it",
            path.display()
        )));
    }
    let verified = if keys.is_empty() { None } else { Some(opened.verify_signature(keys)?) };
    let (mut entries, mut digests) = (0, 0);
    opened.read_payload(&mut |entry, content| {
        entries += 1;
        digests += u64::from(entry.digest.is_some());
        std::io::copy(content, &mut std::io::sink())?;
        Ok(())
    })?;
    Ok(Verification {
        path: path.to_owned(),
        identity: opened.identity(),
        signed_by: verified.as_ref().map(|v| v.key.clone()),
        fingerprint: verified.map(|v| v.fingerprint),
        entries,
        digests,
    })
}

/// Signs an apk anew with one key; its earlier signatures go, its identity stays. `output`: the same file when `None`.
pub fn sign(path: &Path, key: &Path, output: Option<&Path>) -> Result<Written, Error> {
    let opened = super::open(path)?;
    let (format, identity, package) = (opened.meta().format, opened.identity(), opened.meta().package.clone());
    drop(opened);
    let what = path.display().to_string();
    let key = load_secret(key)?;
    let file = File::open(path).map_err(Error::io(format!("reading {what}")))?;
    let limits = Limits::default();
    let to = output.unwrap_or(path).to_owned();
    place(&to, 0o644, |out| match format {
        Format::Apk2 => Ok(v2::resign(file, &what, &limits, &key, out)?),
        Format::Apk3 => Ok(v3::resign(file, &what, &limits, &key, out)?),
        Format::Ipk => Err(Error::NotPossible(format!(
            "{what}: an ipk holds no signature; `xpkg index --format ipk --sign KEY` signs the feed that lists it"
        ))),
    })?;
    // What was written is read again: a signature that does not verify must not leave this function.
    let reading = || Error::io(format!("reading {}", to.display()));
    let keys = [key.public().clone()].into_iter().collect::<Keyring>();
    let file = File::open(&to).map_err(reading())?;
    let size = file.metadata().map_err(reading())?.len();
    let mut again = package::open(file, &what, package.ecosystem, &limits)?;
    again.verify_signature(&keys)?;
    Ok(Written {
        path: to,
        name: package.name,
        version: package.version,
        arch: package.arch,
        identity,
        size,
        signed_by: Some(key.public().name.clone()),
    })
}

/// Makes a key pair: the secret half at `path` (mode 600), the public half beside it with `.pub` behind its name.
/// `kind` is `p256` (apk 3) or `usign` (opkg). RSA keys cannot be made here; ring only uses them.
pub fn generate_key(path: &Path, kind: &str) -> Result<(PathBuf, String), Error> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if path.exists() {
        return Err(Error::NotPossible(format!("{} is there already, and a key is not overwritten", path.display())));
    }
    let key = match kind {
        "p256" => SecretKey::generate_p256(&name)?,
        "usign" => SecretKey::generate_usign(&name)?,
        "rsa" => {
            return Err(Error::NotPossible(format!(
                "xpkg makes no RSA keys; `openssl genrsa -out {} 4096` makes one that it signs with",
                path.display()
            )));
        }
        other => return Err(Error::NotPossible(format!("there is no kind of key called `{other}`"))),
    };
    let secret = key.to_pem().ok_or_else(|| Error::NotPossible("this kind of key cannot be written".to_owned()))?;
    place(path, 0o600, |out| out.write_all(secret.as_bytes()).map_err(Error::io("writing the secret key")))?;
    let public = path.with_file_name(&key.public().name);
    let text = key.public().to_pem();
    place(&public, 0o644, |out| out.write_all(text.as_bytes()).map_err(Error::io("writing the public key")))?;
    Ok((public, key.public().fingerprint()))
}
