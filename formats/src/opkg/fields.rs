//! What the fields of a package's stanza mean: from a stanza to a [`Package`] and back. What has no place in the model
//! stays in [`Opkg::other`] as written, so that nothing is lost on the way back. Checks that name, version, architecture
//! and file name can become part of a path; decides nothing else.

use std::fmt::Display;

use xpkg_model::identity::parse_hex;
use xpkg_model::opkg::Opkg;
use xpkg_model::{Dependency, Ecosystem, Identity, Package, Provide, RelPath, Requirement, VersionScheme};

use super::control::Control;
use super::depends;
use crate::apk::v2::fields::{check_words, number};
use crate::{Error, Limits};

/// Fields that OpenWrt's `Packages` leaves to `Packages.manifest` (scripts/ipkg-make-index.sh and include/package-ipkg.mk).
const MANIFEST_ONLY: [&str; 6] =
    ["Maintainer", "LicenseFiles", "Source", "SourceName", "Require-User", "SourceDateEpoch"];

/// The order in which OpenWrt's build writes a control file (include/package-ipkg.mk); other fields stand before
/// `Architecture`, where it has none of its own.
const ORDER: [&str; 28] = [
    "Package",
    "Version",
    "Pre-Depends",
    "Depends",
    "Recommends",
    "Suggests",
    "Conflicts",
    "Provides",
    "Replaces",
    "Alternatives",
    "Source",
    "SourceName",
    "License",
    "LicenseFiles",
    "Section",
    "Require-User",
    "SourceDateEpoch",
    "URL",
    "ABIVersion",
    "CPE-ID",
    "Status",
    "Essential",
    "Maintainer",
    "*",
    "Architecture",
    "Installed-Size",
    "#",
    "Description",
];

/// Which of a package's fields are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// A package's own `control`.
    Control,
    /// An entry of `Packages`.
    Packages,
    /// An entry of `Packages.manifest`.
    Manifest,
}

impl Control {
    /// The package that the stanza describes; its scheme is Debian's. `Conflicts` become dependencies with
    /// [`Dependency::conflict`], `Pre-Depends` stand before the other dependencies, and `SHA256sum` becomes the identity.
    pub fn to_package(&self, ecosystem: Ecosystem, limits: &Limits) -> Result<Package, String> {
        let mut package = Package::new(ecosystem, "", "");
        package.scheme = VersionScheme::Deb;
        let mut opkg = Opkg::default();
        let mut lists = Lists::default();
        for (name, value) in self.iter() {
            take(&mut package, &mut opkg, &mut lists, name, value, limits.max_list)
                .map_err(|reason| format!("field {name}: {reason}"))?;
        }
        package.depends = [opkg.pre_depends.clone(), lists.depends, lists.conflicts].concat();
        check_words(&package)?;
        package.opkg = Some(Box::new(opkg));
        Ok(package)
    }

    /// A package's own `control`. Versions of what it provides are not written: opkg knows none.
    pub fn from_package(package: &Package) -> Result<Self, Error> {
        Self::describe(package, Detail::Control)
    }

    /// A package's stanza with as many fields as `detail` asks for. An index entry needs file name, size and SHA-256.
    pub fn describe(package: &Package, detail: Detail) -> Result<Self, Error> {
        let unfit =
            |reason: String| Error::Unwritable { what: format!("the control file of {}", package.name), reason };
        check_words(package).map_err(unfit)?;
        let other: &[(String, String)] = package.opkg.as_ref().map_or(&[], |opkg| &opkg.other);
        let mut control = Self::new();
        for name in ORDER {
            match name {
                "*" => {
                    for (name, value) in other.iter().filter(|(name, _)| !ORDER.contains(&name.as_str())) {
                        control.push(name, value)?;
                    }
                }
                "#" if detail != Detail::Control => located(&mut control, package).map_err(unfit)?,
                "#" => {}
                _ if detail == Detail::Packages && MANIFEST_ONLY.contains(&name) => {}
                _ => {
                    let value = value(package, name).map_err(unfit)?;
                    if !value.is_empty() {
                        control.push(name, &value)?;
                    }
                }
            }
        }
        Ok(control)
    }
}

#[derive(Default)]
struct Lists {
    depends: Vec<Requirement>,
    conflicts: Vec<Requirement>,
}

fn take(
    package: &mut Package,
    opkg: &mut Opkg,
    lists: &mut Lists,
    name: &str,
    value: &str,
    max: u64,
) -> Result<(), String> {
    match name {
        "Package" => package.name = value.to_owned(),
        "Version" => package.version = value.to_owned(),
        "Architecture" => package.arch = value.to_owned(),
        "License" => package.license = value.to_owned(),
        "URL" => package.url = value.to_owned(),
        "Source" => package.origin = value.to_owned(),
        "Maintainer" => package.maintainer = value.to_owned(),
        "SourceDateEpoch" => package.build_time = number(value)?,
        "Installed-Size" => package.installed_size = number(value)?,
        "Size" => package.size = number(value)?,
        "Filename" => package.filename = Some(filename(value)?),
        "SHA256sum" => {
            package.identity = Some(Identity::File(parse_hex(value).ok_or("no SHA-256 in hex")?));
        }
        "Depends" => lists.depends = depends::parse(value, max)?,
        "Pre-Depends" => opkg.pre_depends = depends::parse(value, max)?,
        "Recommends" => package.recommends = depends::parse(value, max)?,
        "Suggests" => opkg.suggests = flat(depends::parse(value, max)?),
        "Conflicts" => {
            let conflict = |dependency| Dependency { conflict: true, ..dependency };
            lists.conflicts = flat(depends::parse(value, max)?).into_iter().map(|d| conflict(d).into()).collect();
        }
        "Provides" => package.provides = depends::names(value, max)?.into_iter().map(Provide::new).collect(),
        "Replaces" => package.replaces = depends::names(value, max)?.into_iter().map(Dependency::any).collect(),
        "ABIVersion" => opkg.abi_version = value.to_owned(),
        "Section" => opkg.section = value.to_owned(),
        "Alternatives" => opkg.alternatives = items(value, ',', max)?,
        "Require-User" => opkg.require_user = value.split_ascii_whitespace().map(str::to_owned).collect(),
        "Essential" if value == "yes" => opkg.essential = true,
        "Description" => {
            let (first, more) = value.split_once('\n').map_or((value, false), |(first, _)| (first, true));
            first.trim_end().clone_into(&mut package.description);
            if more {
                keep(opkg, name, value);
            }
        }
        _ => keep(opkg, name, value),
    }
    Ok(())
}

fn keep(opkg: &mut Opkg, name: &str, value: &str) {
    opkg.other.retain(|(known, _)| known != name);
    opkg.other.push((name.to_owned(), value.to_owned()));
}

fn flat(list: Vec<Requirement>) -> Vec<Dependency> {
    list.iter().flat_map(Requirement::alternatives).cloned().collect()
}

fn items<T: std::str::FromStr>(text: &str, separator: char, max: u64) -> Result<Vec<T>, String>
where
    T::Err: Display,
{
    let mut out = Vec::new();
    for item in text.split(separator).map(str::trim).filter(|item| !item.is_empty()) {
        if out.len() as u64 >= max {
            return Err(format!("more than {max} items in one list"));
        }
        out.push(item.parse().map_err(|e: T::Err| e.to_string())?);
    }
    Ok(out)
}

/// A file below the feed's own directory.
fn filename(text: &str) -> Result<String, String> {
    let path = RelPath::from_package(text.as_bytes()).map_err(|e| e.to_string())?;
    match path.as_str() {
        Some(path) if !path.is_empty() && path.bytes().all(|b| b.is_ascii_graphic()) => Ok(path.to_owned()),
        _ => Err("no file name".to_owned()),
    }
}

/// The text of one field; empty when there is none.
fn value(package: &Package, name: &str) -> Result<String, String> {
    let none = Opkg::default();
    let opkg = package.opkg.as_deref().unwrap_or(&none);
    let other = || opkg.other.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let some = |n: u64| if n == 0 { String::new() } else { n.to_string() };
    Ok(match name {
        "Package" => package.name.clone(),
        "Version" => package.version.clone(),
        "Architecture" => package.arch.clone(),
        "License" => package.license.clone(),
        "URL" => package.url.clone(),
        "Source" => package.origin.clone(),
        "Maintainer" => package.maintainer.clone(),
        "SourceDateEpoch" => some(package.build_time),
        "Installed-Size" => package.installed_size.to_string(),
        "Depends" => {
            // They were put in front of the others.
            let mut pre = opkg.pre_depends.as_slice();
            let others: Vec<_> = package
                .requirements()
                .filter(|r| match pre.split_first() {
                    Some((first, rest)) if first == *r => {
                        pre = rest;
                        false
                    }
                    _ => true,
                })
                .cloned()
                .collect();
            depends::join(&others)?
        }
        "Pre-Depends" => depends::join(&opkg.pre_depends)?,
        "Recommends" => depends::join(&package.recommends)?,
        "Suggests" => depends::join(&opkg.suggests.iter().cloned().map(Requirement::from).collect::<Vec<_>>())?,
        "Conflicts" => depends::join(&package.conflicts().cloned().map(Requirement::from).collect::<Vec<_>>())?,
        "Provides" => join(package.provides.iter().map(|provide| &provide.name)),
        "Replaces" => join(package.replaces.iter().map(|replaced| &replaced.name)),
        "ABIVersion" => opkg.abi_version.clone(),
        "Section" => opkg.section.clone(),
        "Alternatives" => join(&opkg.alternatives),
        "Require-User" => opkg.require_user.join(" "),
        "Essential" if opkg.essential => "yes".to_owned(),
        "Description" => match other() {
            // Changed since it was read: what was kept no longer holds.
            Some(long) if long.lines().next().map(str::trim_end) == Some(&package.description) => long,
            _ => package.description.lines().map(str::trim).collect::<Vec<_>>().join(" ").trim().to_owned(),
        },
        _ => other().unwrap_or_default(),
    })
}

fn located(control: &mut Control, package: &Package) -> Result<(), String> {
    let Some(Identity::File(sha256)) = package.identity else {
        return Err("a feed lists packages by the SHA-256 of their files".to_owned());
    };
    let name = package.filename.as_deref().ok_or("no file name is known")?;
    let mut push = |name: &str, value: &str| control.push(name, value).map_err(|e| e.to_string());
    push("Filename", &filename(name)?)?;
    push("Size", &package.size.to_string())?;
    push("SHA256sum", &xpkg_model::identity::hex(&sha256))
}

fn join<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
