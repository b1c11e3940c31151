//! apk's layouts, both generations: packages, indexes, and the databases of a root.

pub mod db;
pub mod index;
pub mod index_adb;
pub mod index_v2;
pub mod v2;
pub mod v3;

pub use db::{arch, repositories, world};
