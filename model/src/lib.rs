//! The vocabulary of xpkg: what every other crate talks about, and nothing that reads or writes.
//!
//! One noun per module. Byte layouts live in `formats`, decisions in `resolver`; here are only the
//! values that travel between them, and the rules that belong to the value itself (the order of two
//! versions, whether a dependency is met, whether a path may be written).

pub mod accounts;
pub mod adaptation;
pub mod candidates;
pub mod dependency;
pub mod ecosystem;
pub mod elf;
pub mod event;
pub mod fnmatch;
pub mod host;
pub mod identity;
pub mod installed;
pub mod learnt;
pub mod opkg;
pub mod package;
pub mod path;
pub mod payload;
pub mod plan;
pub mod root;
pub mod schema;
pub mod verdict;
pub mod version;

pub use adaptation::Adaptation;
pub use candidates::Candidates;
pub use dependency::{Dependency, Op, Provide, Requirement};
pub use ecosystem::{Ecosystem, PackageKey, Spec};
pub use elf::ElfFacts;
pub use event::{Event, Observer};
pub use identity::Identity;
pub use package::Package;
pub use path::RelPath;
pub use plan::{Action, Plan, Step};
pub use version::VersionScheme;
