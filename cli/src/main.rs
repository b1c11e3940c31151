//! The `xpkg` binary.
fn main() {}
