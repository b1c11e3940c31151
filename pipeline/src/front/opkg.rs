//! opkg's command line carried out: configuration, lists, status files, the walk of [`xpkg_resolver::native::opkg`] and what
//! it asks for. A root needs no more than opkg does: a bare directory with a status file will do.

mod show;
mod stanza;

pub use show::{info, status};
pub use stanza::{described, read_stanzas};
