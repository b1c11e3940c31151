//! opkg's layouts: control files, packages, feeds, configuration, and the database of a root.
//!
//! Pure: takes readers and text, gives values and bytes. Opens no file, locks nothing, and decides nothing about what
//! should be installed. The rules are those of OpenWrt's opkg (opkg-lede), the last one that OpenWrt shipped.

pub mod conf;
pub mod control;
pub mod depends;
pub mod feed;
mod fields;
pub mod info;
pub mod ipk;
pub mod status;

pub use control::{Control, Stanzas};
