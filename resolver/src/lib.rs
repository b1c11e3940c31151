//! Universe to plan, explanations, and the ABI verdicts. Pure: no files, no network.
//!
//! [`solve`] finds what a root would hold after a [`Request`]; [`plan`] turns that into ordered steps; [`why`] tells what keeps
//! a package there. A failure is an [`Unsolvable`]: the tree of who needs what and why each way to give it was refused.
//!
//! Inside: `universe` holds the packages met so far, `lookup` says which of them meet a requirement (and `alias` which native
//! ones may stand in for a foreign name), `engine` puts that to resolvo, `solve` repeats it under apk's softer rules, `refute` explains.

pub mod abi;
mod alias;
mod engine;
pub mod explain;
mod lookup;
mod lore;
pub mod native;
mod needs;
mod orphan;
mod outcome;
pub mod plan;
mod recommend;
mod refusal;
mod refute;
pub mod request;
mod rounds;
pub mod solution;
pub mod solve;
mod targets;
mod trigger;
mod universe;
mod virtuals;
pub mod why;

pub use explain::{Node, Unsolvable, What};
pub use plan::plan;
pub use request::{Problem, Request, Upgrade};
pub use solution::Solution;
pub use solve::solve;
pub use why::why;
