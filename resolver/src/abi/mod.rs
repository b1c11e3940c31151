//! The ABI verdict: would the loader of a root start these files, and would every name be found? Pure: it asks a
//! [`LinkSpace`] for facts and never opens a file.
//!
//! Order of the questions: architecture → interpreter → what the loader can do → libraries → names → sizes of copied
//! data → duplicate providers → things only a person can judge. The way libraries are searched is musl's
//! (`ldso/dynlink.c` of musl 1.2): names of libc's parts mean the loader itself, RPATH and RUNPATH are one and are
//! inherited, symbol versions do not exist.
//!
//! What it cannot see: plugins opened by name at run time, unless it is told of them ([`Checker::check_plugin`]); structures that
//! changed under one soname, CPU instructions, kernel features.

mod arch;
mod behaviour;
mod check;
mod closure;
mod gate;
mod interpose;
mod names;
mod relr;
mod report;
mod reverse;
mod space;
mod symbols;
#[cfg(test)]
mod tests;

pub use arch::{Arch, Mismatch, compare as compare_arch};
pub use check::{Checker, check_all, check_file};
pub use closure::{Closure, MAX_OBJECTS, Object, expand_origin, load};
pub use names::{is_lfs64, is_reserved};
pub use relr::{Release, judge as judge_relr, table as relr_table};
pub use report::{Failure, FailureKind, Report, Role, Subject, Suspect};
pub use reverse::{Gone, reverse_check, touched};
pub use space::{DEFAULT_SEARCH, Found, LinkSpace, Loader, LoaderKind, Owner, RelrSupport, parse_path_file};
