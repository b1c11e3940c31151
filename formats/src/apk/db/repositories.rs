//! Repository lines: `/etc/apk/repositories` and `repositories.d/*.list`, in apk 3's grammar, which holds apk 2's:
//! `[v2|v3|ndx] [@tag] url [component…]` and `set [-default] name=value`. Fetches nothing.

use xpkg_model::Package;

pub use super::variables::Variables;
use super::variables::substitute;
use crate::Error;

/// Longest file read.
const MAX_FILE: usize = 1 << 20;

/// How a repository is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `url/ARCH/APKINDEX.tar.gz`
    V2,
    /// `url/ARCH/Packages.adb`
    V3,
    /// The URL is the index itself; its packages lie beside it.
    Ndx,
}

/// One repository. A line with components gives one for each of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepoLine {
    /// `@tag`, without the `@`: only dependencies with this tag choose from it.
    pub tag: Option<String>,
    /// Layout.
    pub kind: Kind,
    /// Base URL or path, component included, without `/` at its end; of [`Kind::Ndx`] the index's.
    pub url: String,
    /// The component, where the line has some.
    pub component: Option<String>,
    /// Line number in its file, from 1.
    pub line: usize,
}

/// Reads a file. Variables carry over from file to file of one root, in the order apk reads them: hand the same ones in.
pub fn parse(text: &[u8], what: &str, vars: &mut Variables) -> Result<Vec<RepoLine>, Error> {
    if text.len() > MAX_FILE {
        return Err(Error::limit(what, "the file", MAX_FILE as u64));
    }
    let text = std::str::from_utf8(text).map_err(|e| Error::malformed(what, e.to_string()))?;
    let mut repos = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let found = parse_line(line, i + 1, vars);
        repos.extend(found.map_err(|reason| Error::malformed(what, format!("line {}: {reason}", i + 1)))?);
    }
    Ok(repos)
}

fn parse_line(line: &str, number: usize, vars: &mut Variables) -> Result<Vec<RepoLine>, String> {
    if line.trim().is_empty() || line.starts_with('#') {
        return Ok(Vec::new());
    }
    let mut words = line.split([' ', '\t']).filter(|word| !word.is_empty()).peekable();
    let no_url = || "a repository without a URL".to_owned();
    let mut kind = None;
    match words.peek().copied() {
        Some("set") => {
            words.next();
            return set(words, vars).map(|()| Vec::new());
        }
        Some("v2") => kind = Some(Kind::V2),
        Some("v3") => kind = Some(Kind::V3),
        Some("ndx") => kind = Some(Kind::Ndx),
        Some(word) if !word.starts_with(['@', '$']) && !is_url(word) => {
            return Err(format!("`{}` is neither a keyword nor a URL", word.escape_debug()));
        }
        _ => {}
    }
    if kind.is_some() {
        words.next();
    }
    let tag = words.next_if(|word| word.starts_with('@')).and_then(|word| word.strip_prefix('@'));
    let word = words.next().ok_or_else(no_url)?;
    // The ending of the word as written decides, before variables are filled in.
    let implied = if word.ends_with(".adb") || word.ends_with(".tar.gz") { Kind::Ndx } else { Kind::V2 };
    let base = RepoLine {
        tag: tag.map(str::to_owned),
        kind: kind.unwrap_or(implied),
        url: vars.substitute(word)?.trim_end_matches('/').to_owned(),
        component: None,
        line: number,
    };
    if !is_url(&base.url) {
        return Err(format!("`{}` is no URL", base.url.escape_debug()));
    }
    let components = vars.substitute(&words.collect::<Vec<_>>().join(" "))?;
    let mut repos: Vec<RepoLine> = components
        .split([' ', '\t'])
        .filter(|component| !component.is_empty())
        .map(|component| RepoLine {
            url: format!("{}/{component}", base.url),
            component: Some(component.to_owned()),
            ..base.clone()
        })
        .collect();
    if repos.is_empty() {
        repos.push(base);
    }
    Ok(repos)
}

fn set<'w>(mut words: std::iter::Peekable<impl Iterator<Item = &'w str>>, vars: &mut Variables) -> Result<(), String> {
    let mut keep = false;
    while let Some(option) = words.next_if(|word| word.starts_with('-')) {
        if option != "-default" {
            return Err(format!("`set` knows no option `{}`", option.escape_debug()));
        }
        keep = true;
    }
    let definition = words.collect::<Vec<_>>().join(" ");
    let (name, value) = definition.split_once('=').ok_or_else(|| "`set` needs `name=value`".to_owned())?;
    vars.set(name, value, keep)
}

fn is_url(word: &str) -> bool {
    word.starts_with('/') || word.find("://").is_some_and(|at| at > 0)
}

impl RepoLine {
    /// URL of the index for an architecture.
    pub fn index_url(&self, arch: &str) -> String {
        match self.kind {
            Kind::V2 => format!("{}/{arch}/APKINDEX.tar.gz", self.url),
            Kind::V3 => format!("{}/{arch}/Packages.adb", self.url),
            Kind::Ndx => self.url.clone(),
        }
    }

    /// What the names of packages are relative to: an index's own directory, or the base URL.
    pub fn package_base(&self) -> &str {
        match self.kind {
            Kind::V2 | Kind::V3 => &self.url,
            Kind::Ndx => self.url.rsplit_once('/').map_or("", |(base, _)| base),
        }
    }

    /// URL of a package file. `arch` is the architecture of the index, `spec` the index's own `pkgname-spec`.
    pub fn package_url(&self, package: &Package, arch: &str, spec: Option<&str>) -> Result<String, Error> {
        let spec = spec.filter(|spec| !spec.is_empty()).unwrap_or(match self.kind {
            Kind::V2 | Kind::V3 => "${arch}/${name}-${version}.apk",
            Kind::Ndx => "${name}-${version}.apk",
        });
        let hash = package.identity.map(|identity| identity.hex());
        // Packages for every architecture lie in the directory of the index that lists them.
        let arch = if package.arch.is_empty() || package.arch == "noarch" { arch } else { &package.arch };
        let value = |name: &str| match name {
            "name" => Some(package.name.as_str()),
            "version" => Some(package.version.as_str()),
            "arch" => Some(arch),
            "hash" => hash.as_deref(),
            _ => None,
        };
        let name = substitute(spec, &value).and_then(|name| match is_plain(&name) {
            true => Ok(name),
            false => Err(format!("`{}` would leave the repository", name.escape_debug())),
        });
        let name = name.map_err(|reason| Error::malformed(format!("the file name of {}", package.name), reason))?;
        Ok(format!("{}/{name}", self.package_base()))
    }
}

/// Whether a file name from an index stays below its repository.
fn is_plain(name: &str) -> bool {
    !name.contains("://")
        && !name.bytes().any(|b| b <= b' ' || matches!(b, 0x7f | b'?' | b'#' | b'\\'))
        && name.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
}

#[cfg(test)]
mod tests;
