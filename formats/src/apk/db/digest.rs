//! The 20-byte digests of the database. Reads no files: bytes are handed in.

use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use xpkg_model::payload::{Digest, Entry, EntryKind};

/// How a record's digests are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigestKind {
    /// apk v2 packages, and everything on a root with apk 2.
    Sha1,
    /// The first 20 bytes of SHA-256: apk v3 packages (flag `S`).
    Sha256Short,
}

impl DigestKind {
    /// Begins a digest over bytes that come piece by piece.
    pub fn start(self) -> Running {
        Running(Context::new(match self {
            Self::Sha1 => &SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256Short => &SHA256,
        }))
    }

    /// The digest of bytes.
    pub fn of(self, bytes: &[u8]) -> [u8; 20] {
        let mut running = self.start();
        running.update(bytes);
        running.finish()
    }

    /// The digest of an entry, where it can be told without its content: from its link text, or because the package
    /// declares one of this kind.
    pub fn of_entry(self, entry: &Entry) -> Option<[u8; 20]> {
        match (&entry.kind, self, &entry.digest) {
            (EntryKind::Symlink(target), _, _) => Some(self.of(target)),
            (_, Self::Sha1, Some(Digest::Sha1(digest))) => Some(*digest),
            (_, Self::Sha256Short, Some(Digest::Sha256(digest))) => Some(std::array::from_fn(|i| digest[i])),
            _ => None,
        }
    }
}

/// A digest being made.
pub struct Running(Context);

impl Running {
    /// Takes more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The first 20 bytes of the digest.
    pub fn finish(self) -> [u8; 20] {
        let digest = self.0.finish();
        let bytes = digest.as_ref();
        // Both algorithms give at least 20 bytes.
        std::array::from_fn(|i| bytes.get(i).copied().unwrap_or_default())
    }
}

/// The digest of extended attributes that `M:` and `a:` lines carry: SHA-1 over name and value of each, sorted by name,
/// each preceded by its length (`apk_fileinfo_hash_xattr`, apk-tools io.c). `None` when there are none.
pub fn xattr_digest(xattrs: &[(String, Vec<u8>)]) -> Option<[u8; 20]> {
    if xattrs.is_empty() {
        return None;
    }
    let mut sorted: Vec<_> = xattrs.iter().collect();
    sorted.sort_by(|a, b| a.0.cmp(&b.0));
    let mut running = DigestKind::Sha1.start();
    for (name, value) in sorted {
        for part in [name.as_bytes(), value] {
            // The kernel allows 255 bytes of name and 64 KiB of value: no length comes near 32 bits.
            running.update(&(part.len() as u32).to_be_bytes());
            running.update(part);
        }
    }
    Some(running.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use xpkg_model::identity::{hex, q1};

    #[test]
    fn link_of_a_real_root_has_the_digest_its_database_says() {
        // alpine-baselayout 3.4.3-r2: /var/run -> /run.
        assert_eq!(q1(&DigestKind::Sha1.of(b"/run")), "Q11/SNZz/8cK2dSKK+cJpVrZIuF4Q=");
        assert_eq!(hex(&DigestKind::Sha256Short.of(b"")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4");
    }

    #[test]
    fn order_of_attributes_does_not_matter() {
        let one = ("user.a".to_owned(), b"1".to_vec());
        let two = ("security.capability".to_owned(), vec![1, 0, 0, 2]);
        assert_eq!(xattr_digest(&[one.clone(), two.clone()]), xattr_digest(&[two, one.clone()]));
        // printf '\0\0\0\6user.a\0\0\0\0011' | sha1sum
        let expected = DigestKind::Sha1.of(b"\0\0\0\x06user.a\0\0\0\x011");
        assert_eq!(xattr_digest(&[one]), Some(expected));
        assert_eq!(xattr_digest(&[]), None);
    }
}
