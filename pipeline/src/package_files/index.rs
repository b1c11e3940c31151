//! The index of a directory of packages, in the format of its manager, signed when a key is given. Lists only packages of
//! that format; what else lies there is named, not guessed at.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use xpkg_formats::apk::index::{write_adb, write_v2};
use xpkg_formats::keys::{SecretKey, usign};
use xpkg_formats::opkg::feed::{self, Detail};
use xpkg_formats::package::Format;
use xpkg_model::{Package, version};

use super::output::{load_secret, place};
use crate::error::Error;

/// What is to be indexed.
pub struct Index<'a> {
    /// Where the packages lie.
    pub dir: &'a Path,
    /// Whose index.
    pub format: Format,
    /// apk: free text in the index.
    pub description: &'a str,
    /// apk 2: the architecture that every package is listed under.
    pub arch: Option<&'a str>,
    /// Secret key.
    pub key: Option<&'a Path>,
    /// Where to write; `None`: beside the packages.
    pub output: Option<&'a Path>,
}

/// What was written.
#[derive(Clone, Debug, Serialize)]
pub struct IndexWritten {
    /// The files.
    pub files: Vec<PathBuf>,
    /// Packages listed.
    pub packages: usize,
    /// Files that were passed over, and why.
    pub skipped: Vec<String>,
    /// File name of the key that signed.
    pub signed_by: Option<String>,
}

/// Writes `APKINDEX.tar.gz`, `packages.adb`, or `Packages` with `Packages.gz`, `Packages.manifest` and `Packages.sig`.
pub fn index(request: &Index<'_>) -> Result<IndexWritten, Error> {
    let key = request.key.map(load_secret).transpose()?;
    let (mut packages, skipped) = collect(request.dir, request.format)?;
    if let Some(arch) = request.arch.filter(|_| request.format == Format::Apk2) {
        packages.iter_mut().for_each(|package| arch.clone_into(&mut package.arch));
    }
    let dir = request.output.unwrap_or(request.dir);
    let signed_by = key.as_ref().map(|key| key.public().name.clone());
    let mut out = IndexWritten { files: Vec::new(), packages: packages.len(), skipped, signed_by };
    match request.format {
        Format::Apk2 => {
            let path = dir.join("APKINDEX.tar.gz");
            place(&path, 0o644, |file| Ok(write_v2(file, request.description, &packages, key.as_ref())?))?;
            out.files.push(path);
        }
        Format::Apk3 => {
            let path = dir.join("packages.adb");
            place(&path, 0o644, |file| Ok(write_adb(file, request.description, &packages, key.as_ref())?))?;
            out.files.push(path);
        }
        Format::Ipk => opkg(dir, &packages, key.as_ref(), &mut out)?,
    }
    Ok(out)
}

fn opkg(dir: &Path, packages: &[Package], key: Option<&SecretKey>, out: &mut IndexWritten) -> Result<(), Error> {
    let (mut plain, mut manifest) = (Vec::new(), Vec::new());
    feed::write(&mut plain, packages, Detail::Packages)?;
    feed::write(&mut manifest, packages, Detail::Manifest)?;
    let mut files = vec![
        (feed::PACKAGES, plain.clone()),
        (feed::PACKAGES_GZ, feed::compress(&plain)?),
        (feed::PACKAGES_MANIFEST, manifest),
    ];
    match key {
        Some(key) => files.push((feed::PACKAGES_SIG, usign::sign(key, &plain)?.into_bytes())),
        None => {
            // A signature of an earlier index would be a wrong one.
            let stale = dir.join(feed::PACKAGES_SIG);
            if stale.exists() {
                fs::remove_file(&stale).map_err(Error::io(format!("removing {}", stale.display())))?;
            }
        }
    }
    for (name, bytes) in files {
        let path = dir.join(name);
        place(&path, 0o644, |file| file.write_all(&bytes).map_err(Error::io(format!("writing {}", path.display()))))?;
        out.files.push(path);
    }
    Ok(())
}

/// The packages of a directory, sorted by name and version; each is read whole, so that none that is damaged is listed.
fn collect(dir: &Path, format: Format) -> Result<(Vec<Package>, Vec<String>), Error> {
    let reading = || Error::io(format!("reading {}", dir.display()));
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(reading())? {
        files.push(entry.map_err(reading())?.path());
    }
    files.sort();
    let (mut packages, mut skipped): (Vec<Package>, Vec<String>) = (Vec::new(), Vec::new());
    let wanted = if format == Format::Ipk { "ipk" } else { "apk" };
    for path in files.into_iter().filter(|p| p.extension().is_some_and(|e| e == "apk" || e == "ipk")) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.extension().is_none_or(|e| e != wanted) {
            skipped.push(format!("{name}: another format"));
            continue;
        }
        let mut opened = super::open(&path)?;
        if opened.meta().format != format {
            skipped.push(format!("{name}: another generation of apk"));
            continue;
        }
        opened.read_payload(&mut |_, content| {
            std::io::copy(content, &mut std::io::sink())?;
            Ok(())
        })?;
        let mut package = opened.meta().package.clone();
        package.identity = Some(opened.identity());
        package.size = fs::metadata(&path).map_err(reading())?.len();
        if format == Format::Ipk {
            package.filename = Some(name);
        } else if name != super::file_name(opened.meta()) {
            skipped.push(format!("{name}: apk would look for it as {}", super::file_name(opened.meta())));
            continue;
        }
        packages.push(package);
    }
    packages.sort_by(|a, b| {
        let newer = || std::cmp::Ordering::from(version::compare(a.scheme, &a.version, &b.version, false));
        a.name.cmp(&b.name).then_with(newer)
    });
    Ok((packages, skipped))
}
