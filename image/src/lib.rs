//! Virtual roots and the images made of them. No root rights, no tree on disk: contents lie in one anonymous spool file.
//!
//! A [`tree::Tree`] is a root like any other to the rest of xpkg: plans are applied to it through the same code that changes
//! live roots, then [`squashfs`] writes it.

pub mod base;
pub mod error;
pub mod spec;
pub mod spool;
pub mod squashfs;
pub mod tree;
mod virtual_root;

pub use error::Error;
pub use virtual_root::VirtualRoot;
