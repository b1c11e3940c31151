//! Which files programs open at run time: data in `rules/plugins.toml`, applied to a view of a root. Tells paths; judges none.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::LazyLock;

use globset::{Glob, GlobMatcher};
use semver::Version;
use serde::Deserialize;
use xpkg_model::root::{NodeKind, RootView};
use xpkg_model::{RelPath, schema};

const BUILTIN: &str = include_str!("../rules/plugins.toml");
/// How deep below a directory of plugins: `/usr/lib/lua/luci/template/parser.so`.
const MAX_DEPTH: usize = 4;
/// Most plugins that one root is asked for; the largest collections (asterisk, perl) have some hundreds.
const MAX_PLUGINS: usize = 4096;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    schema: Version,
    plugins: Vec<Row>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    programs: Vec<String>,
    dir: String,
    names: String,
    #[serde(default)]
    deep: bool,
    #[serde(rename = "from")]
    _from: String,
}

struct Home {
    programs: Vec<RelPath>,
    dir: RelPath,
    names: GlobMatcher,
    deep: bool,
}

/// The shipped table; a test holds that it can be read.
static TABLE: LazyLock<Vec<Home>> = LazyLock::new(|| parse(BUILTIN).unwrap_or_default());

fn parse(text: &str) -> Result<Vec<Home>, String> {
    let table: Table = toml::from_str(text).map_err(|e| e.to_string())?;
    if !schema::readable(&schema::RULES, &table.schema) {
        return Err(format!("schema {}", table.schema));
    }
    let path = |text: &String| RelPath::from_absolute(text).map_err(|e| e.to_string());
    let home = |row: &Row| {
        Ok(Home {
            programs: row.programs.iter().map(path).collect::<Result<_, _>>()?,
            dir: path(&row.dir)?,
            names: Glob::new(&row.names).map_err(|e| e.to_string())?.compile_matcher(),
            deep: row.deep,
        })
    };
    table.plugins.iter().map(home).collect()
}

/// The plugins of known programs on a root: where each really lies, and the program that opens it.
pub fn opened(root: &dyn RootView) -> io::Result<BTreeMap<RelPath, RelPath>> {
    let mut found = BTreeMap::new();
    for home in TABLE.iter() {
        let Some(program) = first(root, &home.programs)? else { continue };
        let mut seen = BTreeSet::new();
        let mut todo = vec![(root.real_path(&home.dir, true)?, 0)];
        while let Some((dir, depth)) = todo.pop() {
            if !seen.insert(dir.clone()) {
                continue;
            }
            for name in root.list(&dir)? {
                let Ok(path) = dir.join(&name) else { continue };
                let named = std::str::from_utf8(&name).is_ok_and(|name| home.names.is_match(name));
                if !named && !home.deep {
                    continue;
                }
                match root.node(&path)?.map(|node| node.kind) {
                    Some(NodeKind::Dir) if home.deep && depth < MAX_DEPTH => todo.push((path, depth + 1)),
                    Some(NodeKind::File | NodeKind::Symlink(_)) if named && found.len() < MAX_PLUGINS => {
                        found.insert(root.real_path(&path, true)?, program.clone());
                    }
                    _ => {}
                }
            }
        }
    }
    Ok(found)
}

fn first(root: &dyn RootView, programs: &[RelPath]) -> io::Result<Option<RelPath>> {
    for program in programs {
        let real = root.real_path(program, true)?;
        if root.node(&real)?.is_some_and(|node| node.kind == NodeKind::File) {
            return Ok(Some(real));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_table_can_be_read() {
        assert!(parse(BUILTIN).is_ok_and(|homes| homes.iter().all(|home| !home.programs.is_empty())));
        let schema = BUILTIN.replace("\"1.0.0\"", "\"9.0.0\"");
        assert!(parse(&schema).is_err_and(|why| why.contains("9.0.0")));
    }
}
