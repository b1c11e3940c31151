//! Who owns which path: one pass over the installed database that keeps nothing but answers.

use std::io::BufRead;

use xpkg_model::RelPath;

use super::lines::Lines;
use crate::{Error, Limits};

/// One package's claim on one path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim<'a> {
    /// The owner.
    pub package: &'a str,
    /// Its version.
    pub version: &'a str,
    /// Where, without a leading `/`.
    pub path: &'a [u8],
    /// Directories may have several owners, files one.
    pub is_dir: bool,
}

/// Calls `visit` for every directory and file of every package, in the database's order.
pub fn visit_claims(
    reader: impl BufRead,
    what: &str,
    limits: &Limits,
    visit: &mut dyn FnMut(Claim<'_>),
) -> Result<(), Error> {
    let mut lines = Lines::new(reader, what, limits);
    let (mut package, mut version) = (String::new(), String::new());
    let mut path = Vec::new();
    let mut dir_len = None;
    while lines.advance()? {
        let line = lines.line();
        let value = line.get(2..).unwrap_or_default();
        match line {
            [] | [_] => {
                package.clear();
                version.clear();
                dir_len = None;
            }
            [b'P', b':', ..] => package = String::from_utf8_lossy(value).into_owned(),
            [b'V', b':', ..] => version = String::from_utf8_lossy(value).into_owned(),
            [b'F', b':', ..] => {
                path.clear();
                path.extend_from_slice(value);
                dir_len = Some(path.len());
                visit(Claim { package: &package, version: &version, path: &path, is_dir: true });
            }
            [b'R', b':', ..] => {
                let Some(len) = dir_len else { return Err(lines.bad("`R:` before its directory")) };
                path.truncate(len);
                if len > 0 {
                    path.push(b'/');
                }
                path.extend_from_slice(value);
                visit(Claim { package: &package, version: &version, path: &path, is_dir: false });
            }
            [_, b':', ..] => {}
            _ => return Err(lines.bad("no `X:` at its start")),
        }
    }
    Ok(())
}

/// The owners of the files for which `wanted` says so: path and package name. Directories are not asked about.
pub fn owners(
    reader: impl BufRead,
    what: &str,
    limits: &Limits,
    wanted: &mut dyn FnMut(&RelPath) -> bool,
) -> Result<Vec<(RelPath, String)>, Error> {
    let mut found = Vec::new();
    visit_claims(reader, what, limits, &mut |claim| {
        if claim.is_dir {
            return;
        }
        if let Ok(path) = RelPath::from_package(claim.path)
            && wanted(&path)
        {
            found.push((path, claim.package.to_owned()));
        }
    })?;
    Ok(found)
}
