//! Decisions as the native managers make them, quirks included: for the fronts that stand in for those programs. Never
//! mixes worlds, and never improves on what the program it stands in for would do.

pub mod apk;
pub mod opkg;
mod smoothsort;
