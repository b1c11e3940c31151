//! Who owns which path, as the native manager's database says: apk's, or opkg's lists, or our own record. Streams; keeps nothing, writes nothing.

use std::io::BufReader;

use xpkg_formats::apk::db::{self, Claim};
use xpkg_formats::limits::Limits;
use xpkg_formats::opkg::{info, status};
use xpkg_install::native::place::OWN;
use xpkg_model::RelPath;
use xpkg_model::root::RootView;

use crate::error::Error;

/// Calls `visit` for every path of every installed package. opkg lists no directories.
pub(crate) fn visit(root: &dyn RootView, visit: &mut dyn FnMut(Claim<'_>)) -> Result<(), Error> {
    let limits = Limits::default();
    let open = |path: &RelPath| root.open(path).map_err(Error::io(format!("opening {path}")));
    if let Some(file) = open(&RelPath::literal(db::INSTALLED))? {
        return Ok(db::visit_claims(BufReader::new(file), db::INSTALLED, &limits, visit)?);
    }
    let Some(file) = open(&RelPath::literal(status::STATUS))? else {
        let Some(own) = open(&RelPath::literal(OWN.installed))? else { return Ok(()) };
        return Ok(db::visit_claims(BufReader::new(own), OWN.installed, &limits, visit)?);
    };
    let mut packages = Vec::new();
    status::read(BufReader::new(file), status::STATUS, &limits, &mut |record| {
        packages.push((record.name().to_owned(), record.version().to_owned()));
        Ok(())
    })?;
    for (package, version) in &packages {
        let name = info::path(package, info::LIST);
        // A name that leaves the directory has no list there.
        let Ok(path) = RelPath::from_package(name.as_bytes()) else { continue };
        let Some(file) = open(&path)? else { continue };
        for path in info::read_list(BufReader::new(file), &name, &limits)? {
            visit(Claim { package, version, path: path.as_bytes(), is_dir: false });
        }
    }
    Ok(())
}

/// The owners of the paths that `wanted` accepts.
pub(crate) fn owners(root: &dyn RootView, wanted: &dyn Fn(&RelPath) -> bool) -> Result<Vec<(RelPath, String)>, Error> {
    let mut found = Vec::new();
    visit(root, &mut |claim| {
        if let Ok(path) = RelPath::from_package(claim.path)
            && !claim.is_dir
            && wanted(&path)
        {
            found.push((path, claim.package.to_owned()));
        }
    })?;
    Ok(found)
}
