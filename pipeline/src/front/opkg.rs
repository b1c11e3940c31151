//! opkg's command line carried out: configuration, lists, status files, the walk of [`xpkg_resolver::native::opkg`] and what
//! it asks for. A root needs no more than opkg does: a bare directory with a status file will do.

mod hands;
mod load;
mod options;
mod owners;
mod perform;
mod place;
mod plan;
mod show;
mod stanza;
mod update;
mod verbs;

pub use options::{Options, Voice};
pub use show::{info, status};
pub use stanza::{described, read_stanzas};
pub use verbs::{Ended, run};
