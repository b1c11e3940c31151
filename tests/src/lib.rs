//! Suites across crates, on generated and on real systems.
