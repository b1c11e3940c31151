//! Roots of real distributions, unpacked for one test. Never writes into the real data.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder with real data; `None` (after saying so) when a test is to be passed over.
pub fn data() -> Option<PathBuf> {
    if let Some(dir) = std::env::var_os("XPKG_REAL_DATA") {
        return Some(dir.into());
    }
    assert!(std::env::var("XPKG_REQUIRE").as_deref() != Ok("all"), "XPKG_REAL_DATA is not set");
    let _ = std::io::Write::write_all(&mut std::io::stderr(), b"skipped: XPKG_REAL_DATA is not set\n");
    None
}

#[allow(dead_code, reason = "not every test that includes this needs a root")]
/// Unpacks `roots/<name>.tar.gz`, or only some members of it.
pub fn unpack(data: &Path, name: &str, members: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let archive = data.join("roots").join(format!("{name}.tar.gz"));
    let status = Command::new("tar")
        .args(["--no-same-owner", "-xzf"])
        .arg(&archive)
        .arg("-C")
        .arg(dir.path())
        .args(members)
        .status()
        .expect("tar runs");
    assert!(status.success(), "tar could not unpack {}", archive.display());
    dir
}
