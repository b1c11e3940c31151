//! The sources of a root whose manager is opkg: `/etc/opkg.conf` and `/etc/opkg/*.conf`. Reads a root, never writes one.

use xpkg_model::root::RootView;
use xpkg_model::{Ecosystem, RelPath};

use super::{list, path, read_text};
use crate::error::Result;
use crate::source::{Format, Origin, Source, Trust};

/// Read first; what lies in the directory comes after it, by name (opkg_load_config of opkg-lede).
const CONF: &str = "/etc/opkg.conf";
const CONF_DIR: &str = "/etc/opkg";
/// What opkg knows of a root.
const STATUS: &str = "/usr/lib/opkg/status";
/// Words that stand for every architecture.
const EVERY: [&str; 2] = ["all", "noarch"];

/// Whether opkg is the manager of a root that has no database of apk.
pub(super) fn owns(root: &dyn RootView) -> Result<bool> {
    let has = |text: &str| {
        let node = root.node(&path(text)?).map_err(|e| super::failed("look for", text, e))?;
        Ok::<bool, crate::Error>(node.is_some())
    };
    Ok(!has("/lib/apk/db/installed")? && (has(STATUS)? || has(CONF)?))
}

/// What the files say, as far as it is about sources.
#[derive(Debug, Default)]
struct Conf {
    /// `src NAME URL` and `src/gz NAME URL`: format, name, URL, file, line.
    feeds: Vec<(Format, String, String, RelPath, u32)>,
    /// `arch NAME PRIORITY`.
    arches: Vec<(String, i64)>,
    /// `option check_signature`.
    signed: bool,
}

fn read(root: &dyn RootView) -> Result<Conf> {
    let mut files = vec![path(CONF)?];
    for name in list(root, CONF_DIR)?.into_iter().filter(|n| n.ends_with(".conf") && !n.starts_with('.')) {
        files.push(path(&format!("{CONF_DIR}/{name}"))?);
    }
    let mut conf = Conf::default();
    for file in files {
        for (number, line) in (1..).zip(read_text(root, &file)?.lines()) {
            let words = words(line);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            match words.as_slice() {
                [word @ ("src" | "src/gz"), name, url, ..] => {
                    let format = if *word == "src" { Format::OpkgPlain } else { Format::Opkg };
                    conf.feeds.push((format, (*name).to_owned(), (*url).to_owned(), file.clone(), number));
                }
                ["arch", name, priority, ..] => {
                    conf.arches.push(((*name).to_owned(), priority.parse().unwrap_or(0)));
                }
                // opkg takes `0` for no; the option by itself is a yes.
                ["option", "check_signature", value @ ..] => conf.signed = value.first() != Some(&"0"),
                _ => {}
            }
        }
    }
    Ok(conf)
}

/// The words of a line; quotes hold one together, `#` at its start makes it a remark.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    if line.trim_start().starts_with('#') {
        return words;
    }
    for c in line.chars() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// The sources, in the order that opkg reads them.
pub(super) fn load(root: &dyn RootView, arches: &[(Ecosystem, String)]) -> Result<Vec<Source>> {
    let native = Ecosystem::Openwrt;
    let arch = arches.iter().find(|(e, _)| *e == native).map(|(_, a)| a.clone()).unwrap_or_default();
    let conf = read(root)?;
    let trust = if conf.signed { Trust::Signed } else { Trust::None };
    let source = |(format, name, url, file, line): (Format, String, String, RelPath, u32)| Source {
        group: name.clone(),
        name,
        ecosystem: native,
        url,
        component: None,
        arch: arch.clone(),
        format: Some(format),
        keys: Vec::new(),
        priority: 0,
        trust,
        enabled: true,
        tag: None,
        origin: Origin::Native { file, line },
    };
    Ok(conf.feeds.into_iter().map(source).collect())
}

/// Architecture words that opkg installs, the preferred one first. Without `arch` lines opkg knows the one that it was built
/// for; the root's release file says which that is.
pub(super) fn arches(root: &dyn RootView) -> Result<Vec<String>> {
    let mut arches = read(root)?.arches;
    arches.retain(|(name, priority)| *priority > 0 && !EVERY.contains(&name.as_str()));
    arches.sort_by_key(|(_, priority)| std::cmp::Reverse(*priority));
    Ok(arches.into_iter().map(|(name, _)| name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_may_be_quoted() {
        assert_eq!(words("src/gz \"a b\" 'http://h/x y'  # no"), ["src/gz", "a b", "http://h/x y", "#", "no"]);
        assert_eq!(words(" # src a b"), Vec::<String>::new());
        assert_eq!(words("option\tx ''"), ["option", "x", ""]);
    }
}
