//! Searching by pattern, for people: reads every block once, keeps one in memory.

use std::ops::ControlFlow;

use xpkg_model::{Ecosystem, Package};

use super::Catalogue;
use super::file::CatalogueFile;
use crate::error::Result;

/// What is looked for.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// With `*` or `?` the whole text must fit; without, a part suffices. Letter case is not looked at. Empty: everything.
    pub pattern: String,
    /// One world only.
    pub ecosystem: Option<Ecosystem>,
    /// Look into descriptions too.
    pub descriptions: bool,
    /// Look into what packages provide too (`so:libz.so.1`, `cmd:jq`).
    pub provides: bool,
    /// The pattern is a whole name.
    pub exact: bool,
}

impl Catalogue {
    /// Hands out every package that fits, with all its fields, source by source in the order of their indexes.
    pub fn search(&self, query: &Query, sink: &mut dyn FnMut(Package) -> ControlFlow<()>) -> Result<()> {
        let matcher = Matcher::new(query);
        for file in self.files_of(query.ecosystem) {
            if search_file(file, query, &matcher, sink)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Hands out the names that begin so, for completing what a person types; the same name may come more than once.
    pub fn names(
        &self,
        ecosystem: Option<Ecosystem>,
        prefix: &str,
        sink: &mut dyn FnMut(Ecosystem, &str),
    ) -> Result<()> {
        for (source, file) in self.sources.iter().zip(&self.files) {
            let Some(file) = file.as_ref().filter(|_| ecosystem.is_none_or(|e| e == source.ecosystem)) else {
                continue;
            };
            for block in 0..file.block_count() {
                let hot = file.hot(block, false)?;
                file.names(&hot)?.into_iter().filter(|n| n.starts_with(prefix)).for_each(|n| sink(source.ecosystem, n));
            }
        }
        Ok(())
    }
}

fn search_file(
    file: &CatalogueFile,
    query: &Query,
    matcher: &Matcher,
    sink: &mut dyn FnMut(Package) -> ControlFlow<()>,
) -> Result<ControlFlow<()>> {
    for block in 0..file.block_count() {
        let hot = file.hot(block, false)?;
        let mut wanted: Vec<bool> = file.names(&hot)?.into_iter().map(|n| matcher.fits(n)).collect();
        let first = block * file.meta.per_block;
        if query.provides {
            for (ordinal, slot) in (first..).zip(&mut wanted).filter(|(_, w)| !**w) {
                *slot = file.decode(&hot, ordinal)?.provides.iter().any(|p| matcher.fits(&p.name));
            }
        }
        let mut cold = None;
        if query.descriptions {
            let bytes = file.cold(block)?;
            let found = file.descriptions(&bytes, |d| matcher.fits(d))?;
            wanted.iter_mut().zip(found).for_each(|(slot, found)| *slot |= found);
            cold = Some(bytes);
        }
        if !wanted.contains(&true) {
            continue;
        }
        let cold = match cold {
            Some(bytes) => bytes,
            None => file.cold(block)?,
        };
        for (ordinal, _) in (first..).zip(&wanted).filter(|(_, w)| **w) {
            let mut package = file.decode(&hot, ordinal)?;
            file.complete(&mut package, &cold, ordinal)?;
            if sink(package).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }
    Ok(ControlFlow::Continue(()))
}

enum Matcher {
    Exact(String),
    Part(String),
    Glob(Vec<u8>),
}

impl Matcher {
    fn new(query: &Query) -> Self {
        let pattern = query.pattern.to_ascii_lowercase();
        if query.exact {
            Self::Exact(query.pattern.clone())
        } else if pattern.contains(['*', '?']) {
            Self::Glob(pattern.into_bytes())
        } else {
            Self::Part(pattern)
        }
    }

    fn fits(&self, text: &str) -> bool {
        match self {
            Self::Exact(name) => text == name,
            Self::Part(part) => {
                let (part, text) = (part.as_bytes(), text.as_bytes());
                part.is_empty() || text.windows(part.len()).any(|w| w.eq_ignore_ascii_case(part))
            }
            Self::Glob(pattern) => glob(pattern, text.as_bytes()),
        }
    }
}

/// `*` and `?` over a whole text. Goes back to the last star only, so that it is never slower than pattern times text.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t, mut star) = (0, 0, None);
    while let Some(c) = text.get(t) {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p + 1, t));
                p += 1;
            }
            Some(b'?') => (p, t) = (p + 1, t + 1),
            Some(x) if x.eq_ignore_ascii_case(c) => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((after, at)) => {
                    star = Some((after, at + 1));
                    (p, t) = (after, at + 1);
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|c| *c == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("lib*.so", "libz.so", true),
            ("lib*.so", "libz.so.1", false),
            ("l?bz", "LIBZ", true),
            ("*a*b*", "xxaxxbx", true),
            ("*a*b*", "xxbxxax", false),
            ("?", "", false),
        ] {
            assert_eq!(glob(pattern.as_bytes(), text.as_bytes()), fits, "{pattern} {text}");
        }
        let matcher = Matcher::new(&Query { pattern: "TMux".into(), ..Query::default() });
        assert!(matcher.fits("alpine tmux") && !matcher.fits("tmu"));
    }
}
