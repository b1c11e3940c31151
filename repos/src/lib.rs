//! Sources, trust, transport, cache and catalogue. The only crate that uses the network.
//!
//! The way of the data: [`sources::load`] reads which sources a root has; [`update`](update::update) fetches each index, proves its
//! signature and writes it as a [`Catalogue`]; the resolver asks the catalogue; [`fetch`](fetch::fetch) brings the packages of a plan
//! and hands out [`FetchedPackage`]s, values that exist only after every digest was checked.
//! Nothing here writes to a root: own source files are returned as text, and only the cache directory is written.

pub mod cache;
pub mod catalogue;
pub mod error;
pub mod facts;
pub mod fetch;
pub mod fetched;
pub mod keys;
pub mod outlines;
pub mod profiles;
pub mod seen;
pub mod source;
pub mod sources;
pub mod transport;
pub mod update;

pub use cache::Cache;
pub use catalogue::Catalogue;
pub use error::{Error, Result};
pub use facts::{EntryFact, FileFact, PackageFacts};
pub use fetch::fetch;
pub use fetched::FetchedPackage;
pub use keys::keyring_for;
pub use outlines::Outlines;
pub use source::{Format, Origin, Source, Trust};
pub use transport::Transport;
pub use update::update;
