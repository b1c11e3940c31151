//! Changes a root: staging, conflicts, journal, commit, recovery, scripts. The only writer of a root.
//!
//! The way of a transaction is [`transaction::apply`]: survey the payloads → space of the whole plan → exact conflicts →
//! stage beside the destinations → scripts before → native databases and own state staged too → commit → scripts after →
//! triggers. Everything it changes goes through [`Target`], which a live root ([`LiveRoot`]) and an image implement.

pub mod accounts;
mod alternatives;
pub mod conflicts;
mod enabled;
pub mod error;
pub mod helper;
pub mod installed;
pub mod live;
pub mod native;
pub mod payload;
pub mod protect;
pub mod scripts;
pub mod state;
pub mod target;
pub mod transaction;
pub mod triggers;

pub use conflicts::ONLY_ON_REQUEST;
pub use error::{Error, Result};
pub use live::{LiveRoot, Ownership};
pub use payload::PayloadSource;
pub use target::{Begin, Meta, Need, Special, Staged, Target};
pub use transaction::{ApplyInput, Options, Receipt, apply, configure};
