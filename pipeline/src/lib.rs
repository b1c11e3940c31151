//! The way of the data, written once: open a root, solve, fetch, check, learn and solve again, apply; or build an image in
//! the same way. Never prints and never asks: the command line does.

mod abi;
mod adapt;
pub mod applets;
mod change;
mod check;
mod claims;
mod clashes;
mod configure;
pub mod convert;
mod error;
mod findings;
pub mod front;
mod host;
mod identify;
pub mod image;
mod layer;
mod libraries;
mod offers;
pub mod package_files;
mod prepare;
mod prospect;
mod provider;
mod query;
mod relr_probe;
mod service;
mod session;
mod sources;
mod space;

pub use change::{Applied, Apply};
pub use error::Error;
pub use findings::{Findings, Found};
pub use prepare::{Depth, PackageVerdict, Prepared};
pub use query::{CacheInfo, Info, SourceOutcome, WhyAnswer};
pub use service::{Service, ServiceAction, Services};
pub use session::{Options, Session};
pub use sources::{AddedRelease, KeyLine, NewSource, SourceLine};
pub use xpkg_model::adaptation::LayerPolicy;
pub use xpkg_resolver::{Request, Upgrade};

/// First argument of the copy of this program that runs a maintainer script inside a root.
pub const HELPER_ARGUMENT: &str = "__run-script";

/// The main function of that copy; gives its exit code.
pub fn script_helper(arguments: Vec<std::ffi::OsString>) -> u8 {
    xpkg_install::helper::main(arguments)
}
