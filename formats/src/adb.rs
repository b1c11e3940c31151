//! The ADB container of apk v3 and the value heap inside it: envelope, blocks, signatures, values. Knows nothing of packages
//! or indexes beyond their four-letter schema names, and never trusts an offset, a length or a count.
//!
//! Layout: apk-package(5) and adb.h of apk-tools 3.0. A file is an envelope (plain, deflate, zstd) around a header and
//! blocks, one ADB block first, then signatures, then data. The ADB block is a heap of values that point at each other.

pub(crate) mod block;
pub(crate) mod container;
pub(crate) mod envelope;
pub(crate) mod heap;
pub(crate) mod heap_writer;
pub(crate) mod signature;
pub(crate) mod store;

pub use envelope::Compression;

/// What the root value of an ADB block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Schema {
    /// `pckg`
    Package,
    /// `indx`
    Index,
}

impl Schema {
    /// The four bytes in the file header; signatures cover them too.
    pub(crate) const fn bytes(self) -> [u8; 4] {
        match self {
            Self::Package => *b"pckg",
            Self::Index => *b"indx",
        }
    }

    const fn noun(self) -> &'static str {
        match self {
            Self::Package => "package",
            Self::Index => "index",
        }
    }
}
