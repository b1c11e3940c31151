//! What the resolver may choose from, seen through a trait so that it never meets a file or a database.

use std::sync::Arc;

use crate::{Ecosystem, Package};

/// A question that could not be answered, for example because a catalogue file is damaged.
pub type CandidatesError = Box<dyn std::error::Error + Send + Sync>;

/// Offers packages by name and by what they provide. Answers may be large; ask only for what is reachable.
pub trait Candidates {
    /// Packages of exactly this name in that world, from every enabled source, newest source priority first.
    fn named(&self, ecosystem: Ecosystem, name: &str) -> Result<Vec<Arc<Package>>, CandidatesError>;

    /// Packages of that world that provide the name (not those merely called so).
    fn providing(&self, ecosystem: Ecosystem, name: &str) -> Result<Vec<Arc<Package>>, CandidatesError>;

    /// Packages of that world whose `install_if` names the given package or capability.
    fn installed_if(&self, ecosystem: Ecosystem, name: &str) -> Result<Vec<Arc<Package>>, CandidatesError>;

    /// Names of packages that might provide a capability although no index says so (soname hints). Never proof.
    fn hinted(&self, ecosystem: Ecosystem, capability: &str) -> Result<Vec<String>, CandidatesError>;
}
