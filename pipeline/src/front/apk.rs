//! The apk front: a root, its repositories and its packages as apk sees them, what apk's verbs ask of them, and the changes
//! they make. Foreign and generated packages lie in the native database, so they are seen as apk would. Never prints.
//!
//! It opens any directory that apk would open, also a bare one without release files.

pub mod audit;
pub mod change;
mod database;
mod error;
mod files;
mod indexes;
mod keys;
pub mod packages;
pub mod pattern;
mod places;
mod relations;
mod settings;
mod universe;

pub use database::{Database, Need, Refresh};
pub use error::Error;
pub use files::PackageFile;
pub use indexes::Availability;
pub use places::{Place, Standing};
pub use relations::Owner;
pub use settings::{Settings, append_log, built_for, generation, is_superuser, main_arch};
pub use universe::{Known, Universe, relation_sign};
pub use xpkg_formats::apk::db::{Generation, InstalledRecord};
