//! Every byte layout that OpenWrt and Alpine use: packages, indexes, signatures, native databases, ELF.
//!
//! Readers take bytes or seekable readers, never paths; they are bounded by [`Limits`] and stream: a large package or index
//! is never held in memory. Writers live beside the readers of the same layout. Nothing here touches a root, a network or a
//! terminal, and nothing decides whether a key is to be trusted for a source: that is the caller's [`keys::Keyring`].

pub mod adb;
pub mod apk;
pub mod archive;
pub mod elf;
mod error;
pub mod keys;
pub mod limits;
pub mod opkg;
pub mod package;

pub use error::{BoxError, Error};
pub use limits::Limits;
