//! Packages of one format made into packages of another: names, versions, dependencies, provides, configuration files,
//! accounts, alternatives and scripts in the words of the other manager. What has no words there is listed, never dropped
//! silently. Works on files only; knows no root and runs nothing.
//!
//! A package is first understood (a [`Draft`]: what it says, whatever its format), then rendered for a [`Dialect`].

mod draft;
mod libraries;
mod names;
mod render;
mod scripts;
mod sidecars;
mod understand;
mod versions;

use std::path::{Path, PathBuf};

use serde::Serialize;
use xpkg_formats::keys::SecretKey;
use xpkg_formats::package::Format;

use crate::error::Error;
use crate::package_files::{PackageFile, Written};

pub(crate) use draft::{Draft, Own};

/// Whose conventions a package follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Alpine's.
    Alpine,
    /// OpenWrt's since 25.12: apk, with lists beside its database.
    Openwrt,
    /// OpenWrt's before: opkg.
    Opkg,
}

impl Dialect {
    /// The conventions that a format is written in.
    pub fn of(format: Format) -> Self {
        match format {
            Format::Apk2 => Self::Alpine,
            Format::Apk3 => Self::Openwrt,
            Format::Ipk => Self::Opkg,
        }
    }

    /// The format that its packages have.
    pub fn format(self) -> Format {
        match self {
            Self::Alpine => Format::Apk2,
            Self::Openwrt => Format::Apk3,
            Self::Opkg => Format::Ipk,
        }
    }
}

/// Something that a package said and its converted self does not say, or says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lost {
    /// Package.
    pub package: String,
    /// What kind of thing.
    pub what: &'static str,
    /// Which, and what became of it.
    pub detail: String,
}

/// What is to be converted.
pub struct Convert<'a> {
    /// Package files; what they provide each other is known to all of them.
    pub inputs: &'a [PathBuf],
    /// Into which format.
    pub to: Format,
    /// Directory, or file where there is one input.
    pub output: Option<&'a Path>,
    /// Signs the results, where the format has signatures of its own.
    pub key: Option<&'a SecretKey>,
    /// Another architecture word than the one that corresponds.
    pub arch: Option<&'a str>,
    /// Refuse what would lose anything; nothing is written then.
    pub strict: bool,
}

/// What was written, and what was lost.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Converted {
    /// The package files.
    pub packages: Vec<Written>,
    /// What could not be carried over.
    pub lost: Vec<Lost>,
}

/// Renders a draft that was described for the dialect itself, so that nothing is looked up.
pub(crate) fn render_alone(mut draft: Draft, to: Dialect, lost: &mut Vec<Lost>) -> Result<PackageFile, Error> {
    let libraries = libraries::read(&mut draft.payload)?;
    render::render(draft, &libraries, &names::Batch::default(), to, lost)
}

/// Converts packages. All are read and rendered before the first is written.
pub fn convert(request: &Convert<'_>) -> Result<Converted, Error> {
    let to = Dialect::of(request.to);
    if request.inputs.len() > 1 && request.output.is_some_and(|path| !path.is_dir()) {
        return Err(Error::NotPossible("several packages need a directory: `-o DIR`".to_owned()));
    }
    if request.to == Format::Ipk && request.key.is_some() {
        return Err(Error::NotPossible(
            "an ipk holds no signature; `xpkg index --format ipk --sign KEY` signs the feed that lists it".to_owned(),
        ));
    }
    let mut drafts = Vec::new();
    let mut batch = names::Batch::default();
    for path in request.inputs {
        let mut draft = Draft::understand(PackageFile::read(path)?)?;
        let libraries = libraries::read(&mut draft.payload)?;
        batch.add(&draft.package, &libraries.sonames.keys().cloned().collect());
        drafts.push((draft, libraries));
    }
    let mut out = Converted::default();
    let mut files = Vec::new();
    for (draft, libraries) in drafts {
        let mut file = render::render(draft, &libraries, &batch, to, &mut out.lost)?;
        if let Some(arch) = request.arch {
            out.lost.retain(|lost| lost.package != file.meta.package.name || lost.what != "architecture");
            arch.clone_into(&mut file.meta.package.arch);
        }
        files.push(file);
    }
    if request.strict && !out.lost.is_empty() {
        let lost = out.lost.iter().map(|l| format!("{}: {}: {}", l.package, l.what, l.detail)).collect();
        return Err(Error::Lossy { lost });
    }
    for file in &mut files {
        out.packages.push(file.place(request.output, request.key)?);
    }
    Ok(out)
}

#[cfg(test)]
mod tests;
