//! Small changes of a root's own files of xpkg (sources, keys, holds): through the same target and journal as packages.

use xpkg_install::target::{Begin, Meta, Target};
use xpkg_model::{Observer, RelPath};

use crate::error::Error;

/// What becomes of one file.
pub(crate) enum Change {
    /// This content, readable by everyone.
    Write(Vec<u8>),
    /// Gone.
    Remove,
}

/// Applies the changes in one transaction. Missing directories are made; directories of xpkg that become empty go.
pub(crate) fn apply<T: Target>(
    root: &mut T,
    changes: &[(RelPath, Change)],
    observer: &dyn Observer,
) -> Result<(), Error> {
    root.lock()?;
    root.recover(observer)?;
    let result = stage(root, changes).and_then(|()| Ok(root.commit()?));
    if result.is_err() {
        root.rollback()?;
    }
    result
}

fn stage<T: Target>(root: &mut T, changes: &[(RelPath, Change)]) -> Result<(), Error> {
    let mut resolved = Vec::new();
    for (path, change) in changes {
        let real = root.real_path(path, false).map_err(Error::io(format!("following {path}")))?;
        resolved.push((real, change));
    }
    let dirs = resolved.iter().filter_map(|(path, _)| path.parent()).collect();
    root.begin(&Begin { dirs })?;
    for (path, change) in &resolved {
        match change {
            Change::Write(bytes) => {
                for dir in path.ancestors() {
                    let there = root.node(&dir).map_err(Error::io(format!("reading {dir}")))?.is_some();
                    if !there && root.staged(&dir)?.is_none() {
                        root.stage_dir(&dir, &Meta::new(0o755), false)?;
                    }
                }
                root.stage_file(path, &Meta::new(0o644), &mut bytes.as_slice())?;
            }
            Change::Remove => {
                root.stage_remove(path)?;
                for dir in path.ancestors().collect::<Vec<_>>().into_iter().rev() {
                    // etc/xpkg and what is below it are ours; a directory goes only when it is empty then.
                    if dir.as_bytes().starts_with(b"etc/xpkg") {
                        root.stage_remove(&dir)?;
                    }
                }
            }
        }
    }
    Ok(())
}
