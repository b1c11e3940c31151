//! Containers, bounded and streaming: gzip members with exact boundaries, tar entries with their extensions. Never writes
//! to a file system and never trusts a size.

pub(crate) mod ar;
pub(crate) mod bounded;
pub(crate) mod gzip;
pub(crate) mod lines;
pub(crate) mod member;
mod pax;
pub mod tar;
pub(crate) mod tar_write;
