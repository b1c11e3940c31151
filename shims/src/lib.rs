//! What lets a package of one world live on the other. Pure: takes text and facts, gives facts and actions.
//!
//! - [`accounts`]: users and groups that scripts make, and scripts that make them
//! - [`alternatives`]: OpenWrt's links of alternatives on another system
//! - [`rules`]: what a root gives to foreign packages, and which of them never go there (data in `rules/*.toml`)
//! - [`probe`]: the questions that rules ask about a root
//! - [`hints`]: which OpenWrt package probably has a soname, and the other way (data in `hints/*.toml`)
//! - [`provider`]: the generated package that tells the native manager what the root gives
//! - [`registration`]: how versions and choices are written into native databases
//! - [`environment`]: programs that need a variable which nobody sets (data in `rules/environment.toml`)
//! - [`foreign`]: what a translator is told of a package that comes
//! - [`layer`]: packages that live with a loader and libraries of their own world
//! - [`scripts`]: which foreign maintainer scripts can run here
//! - [`services`]: services of one world under the init of the other

pub mod accounts;
pub mod alternatives;
pub mod environment;
pub mod error;
pub mod foreign;
pub mod hints;
pub mod layer;
pub mod plugins;
pub mod probe;
pub mod provider;
pub mod registration;
pub mod rules;
pub mod scripts;
pub mod services;

pub use error::Error;
pub use foreign::{Delivered, Foreign};
pub use probe::{Apart, Command, HostProbe, Libc, NativeSoname, RootProbe};
pub use rules::{Rules, load_builtin};
