//! The native managers' own decisions, for the fronts that stand in for them. Pure: no files, no network.

pub mod apk;
