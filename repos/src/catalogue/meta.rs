//! What a catalogue file says of itself: where its index came from, who signed it, how to ask for a newer one.

use std::path::Path;

use rusqlite::Connection;
use xpkg_model::schema;

use crate::error::{Error, Result};
use crate::source::IndexUrl;
use crate::transport::Validators;

/// The facts of one catalogue file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    pub(crate) schema: String,
    /// Where the index was found.
    pub index_url: String,
    /// Base of the packages' paths; `None`: beside the index.
    pub repository: Option<String>,
    /// How the index names its package files, where it says so.
    pub spec: Option<String>,
    /// The server's words for this version.
    pub validators: Validators,
    /// Name of the key that signed it; `None` when nothing was asked for.
    pub signed_by: Option<String>,
    /// That key's fingerprint.
    pub fingerprint: Option<String>,
    /// The index's own description.
    pub description: String,
    /// Packages.
    pub packages: u32,
    /// Newest build time among them; 0 when none says one.
    pub newest: u64,
    pub(crate) per_block: u32,
    pub(crate) bits: [u32; 3],
}

impl Meta {
    /// The index's place.
    pub fn index(&self) -> IndexUrl {
        IndexUrl { url: self.index_url.clone(), repository: self.repository.clone() }
    }

    pub(super) fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = vec![
            ("schema", self.schema.clone()),
            ("index_url", self.index_url.clone()),
            ("description", self.description.clone()),
            ("packages", self.packages.to_string()),
            ("newest", self.newest.to_string()),
            ("per_block", self.per_block.to_string()),
            ("bits", self.bits.map(|b| b.to_string()).join(" ")),
        ];
        let optional = [
            ("repository", &self.repository),
            ("spec", &self.spec),
            ("etag", &self.validators.etag),
            ("last_modified", &self.validators.last_modified),
            ("signed_by", &self.signed_by),
            ("fingerprint", &self.fingerprint),
        ];
        pairs.extend(optional.into_iter().filter_map(|(key, value)| Some((key, value.clone()?))));
        pairs
    }

    pub(super) fn read(conn: &Connection, path: &Path) -> Result<Self> {
        let failed = |e| Error::database(path, e);
        let mut meta = Self::default();
        let mut select = conn.prepare("SELECT key, value FROM meta").map_err(failed)?;
        let mut rows = select.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let key: String = row.get(0).map_err(failed)?;
            let value: String = row.get(1).map_err(failed)?;
            match key.as_str() {
                "schema" => meta.schema = value,
                "index_url" => meta.index_url = value,
                "description" => meta.description = value,
                "packages" => meta.packages = value.parse().unwrap_or(0),
                "newest" => meta.newest = value.parse().unwrap_or(0),
                "per_block" => meta.per_block = value.parse().unwrap_or(0),
                "bits" => {
                    for (slot, bits) in meta.bits.iter_mut().zip(value.split(' ')) {
                        *slot = bits.parse().unwrap_or(0);
                    }
                }
                "repository" => meta.repository = Some(value),
                "spec" => meta.spec = Some(value),
                "etag" => meta.validators.etag = Some(value),
                "last_modified" => meta.validators.last_modified = Some(value),
                "signed_by" => meta.signed_by = Some(value),
                "fingerprint" => meta.fingerprint = Some(value),
                _ => {}
            }
        }
        let damaged = |reason: &str| Error::Damaged { path: path.to_owned(), reason: reason.to_owned() };
        if meta.schema != schema::CATALOGUE.to_string() {
            return Err(damaged("it was written by another version of xpkg"));
        }
        if meta.per_block == 0 || meta.bits.iter().any(|b| *b > 24) {
            return Err(damaged("it says nonsense of itself"));
        }
        Ok(meta)
    }
}
