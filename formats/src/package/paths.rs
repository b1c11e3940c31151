//! Which entries of one package may stand beside each other. Refuses duplicates, content under what is no directory, and
//! hard links to what is no earlier file. Knows only the package itself, never a root.

use std::collections::HashMap;

use xpkg_model::RelPath;
use xpkg_model::payload::{Digest, Entry, EntryKind};

use crate::Error;

/// The entries admitted so far.
#[derive(Default)]
pub(crate) struct Paths {
    seen: HashMap<RelPath, Seen>,
}

#[derive(Clone, Copy)]
enum Seen {
    /// Only named as the parent of another entry.
    Implied,
    Dir,
    File(Option<Digest>),
    Other,
}

impl Paths {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Checks one entry against all before it and remembers it. The digest returned is the linked file's for a hard link,
    /// otherwise the entry's own.
    pub(crate) fn admit(&mut self, what: &str, entry: &Entry) -> Result<Option<Digest>, Error> {
        let refuse = |reason: String| Error::entry(what, entry.path.as_bytes(), reason);
        for parent in entry.path.ancestors() {
            match self.seen.get(&parent) {
                None => {
                    self.seen.insert(parent, Seen::Implied);
                }
                Some(Seen::Implied | Seen::Dir) => {}
                Some(_) => return Err(refuse(format!("`{parent}` is no directory in this package"))),
            }
        }
        let is_dir = entry.kind == EntryKind::Dir;
        match self.seen.get(&entry.path) {
            None => {}
            Some(Seen::Implied) if is_dir => {}
            Some(Seen::Implied) => return Err(refuse("other entries lie below it".into())),
            Some(_) => return Err(refuse("the package holds it twice".into())),
        }
        if entry.path.is_root() && !is_dir {
            return Err(refuse("it would replace the root directory".into()));
        }
        let (seen, digest) = match &entry.kind {
            EntryKind::Dir => (Seen::Dir, None),
            EntryKind::File => (Seen::File(entry.digest), entry.digest),
            EntryKind::Hardlink(target) => match self.seen.get(target) {
                Some(Seen::File(digest)) => (Seen::File(*digest), *digest),
                _ => return Err(refuse(format!("hard link to `{target}`, which is no earlier file of this package"))),
            },
            _ => (Seen::Other, entry.digest),
        };
        self.seen.insert(entry.path.clone(), seen);
        Ok(digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(paths: &mut Paths, path: &'static str, kind: EntryKind) -> Result<(), String> {
        let entry = Entry::new(RelPath::literal(path), kind, 0o644);
        paths.admit("p", &entry).map(drop).map_err(|e| e.to_string())
    }

    #[test]
    fn a_package_cannot_contradict_itself() {
        let mut paths = Paths::new();
        let link = |to| EntryKind::Hardlink(RelPath::literal(to));
        admit(&mut paths, "usr/lib/a", EntryKind::File).unwrap();
        admit(&mut paths, "usr", EntryKind::Dir).unwrap();
        admit(&mut paths, "b", link("usr/lib/a")).unwrap();
        admit(&mut paths, "c", link("b")).unwrap();
        admit(&mut paths, "s", EntryKind::Symlink(b"usr".to_vec())).unwrap();
        for (path, kind) in [
            ("usr/lib/a", EntryKind::File),
            ("usr", EntryKind::Dir),
            ("usr/lib", EntryKind::Symlink(b"x".to_vec())),
            ("s/x", EntryKind::File),
            ("usr/lib/a/x", EntryKind::File),
            ("d", link("nowhere")),
            ("e", link("s")),
            ("/", EntryKind::File),
        ] {
            assert!(admit(&mut paths, path, kind).is_err(), "{path}");
        }
    }
}
