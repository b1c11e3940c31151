//! apk's commit hooks: programs of the root that are run before the first and after the last change of a transaction
//! (apk-tools, apk-commit_hooks.d in apk(8)). Runs nothing.

use xpkg_model::RelPath;
use xpkg_model::root::{NodeKind, RootView};

use super::ApplyInput;
use super::stage::Work;
use crate::scripts::ScriptCall;
use crate::{Error, Result, Target};

/// Where hooks lie, in the order in which apk looks.
const DIRS: [&str; 2] = ["etc/apk/commit_hooks.d", "lib/apk/commit_hooks.d"];

/// When a hook is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// Its failure stops the transaction.
    Pre,
    /// Its failure is told.
    Post,
}

/// The hooks of a root; none where they are not wanted, on opkg's roots, and for plans that change nothing.
pub(super) fn calls(
    target: &dyn Target,
    input: &ApplyInput<'_>,
    work: &Work<'_>,
    when: When,
) -> Result<Vec<ScriptCall>> {
    let options = &input.options;
    if options.no_scripts || options.no_commit_hooks || work.prepared.native.is_opkg() || input.plan.is_empty() {
        return Ok(Vec::new());
    }
    let root: &dyn RootView = target;
    let mut calls = Vec::new();
    for dir in DIRS.map(RelPath::literal) {
        let failed = |e| Error::io("reading", &dir, e);
        for name in root.list(&dir).map_err(failed)?.iter().filter(|name| !name.starts_with(b".")) {
            let Ok(path) = dir.join(name) else { continue };
            let real = root.real_path(&path, true).map_err(failed)?;
            if root.node(&real).map_err(failed)?.is_none_or(|n| n.kind != NodeKind::File || n.mode & 0o111 == 0) {
                continue;
            }
            let word = if when == When::Pre { "pre-commit" } else { "post-commit" };
            calls.push(ScriptCall {
                package: String::from_utf8_lossy(path.as_bytes()).into_owned(),
                version: String::new(),
                kind: None,
                text: Vec::new(),
                place: Some(path),
                name: None,
                args: vec![word.as_bytes().to_vec()],
                env: Vec::new(),
            });
        }
    }
    Ok(calls)
}
