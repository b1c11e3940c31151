//! How much a file may ask for. Every reader checks these before it allocates or goes on; none of them is a format's own rule.

/// Upper bounds for everything that a file's author chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Entries of one archive, packages of one index.
    pub max_entries: u64,
    /// Bytes of one piece of metadata, unpacked: a control member, an ADB block, a database.
    pub max_metadata: u64,
    /// Bytes of a package's payload, unpacked.
    pub max_unpacked: u64,
    /// Bytes of an index, unpacked.
    pub max_index_unpacked: u64,
    /// Bytes of one maintainer script: apk's own bound.
    pub max_script: u64,
    /// Bytes of one line of a text format, and of one field. The longest line of Alpine's indexes is under 24 KiB.
    pub max_line: u64,
    /// Dependencies, provides and the like of one package. Alpine's longest list has under 5,000.
    pub max_list: u64,
    /// Bytes of an extended tar header: path, attributes.
    pub max_tar_header: u64,
    /// Extended attributes of one entry.
    pub max_xattrs: u64,
    /// Bytes of the signatures before a file's content, unpacked.
    pub max_signatures: u64,
    /// How deep values may nest.
    pub max_nesting: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_entries: 1_000_000,
            max_metadata: 64 << 20,
            max_unpacked: 8 << 30,
            max_index_unpacked: 512 << 20,
            max_script: 262_144,
            max_line: 1 << 20,
            max_list: 65_536,
            max_tar_header: 1 << 20,
            max_xattrs: 64,
            max_signatures: 256 << 10,
            max_nesting: 16,
        }
    }
}
