//! A root on a file system of a few megabytes, for full disks. Undoes its own mount only.

use std::io::Write as _;
use std::path::PathBuf;

use tempfile::TempDir;
use xpkg_fixtures::real::{Output, run};

use crate::System;

/// A tmpfs that holds a copy of a system; unmounted when dropped.
pub struct SmallDisk {
    dir: TempDir,
    /// The system that lies there.
    pub system: System,
}

impl SmallDisk {
    /// Copies the system onto a tmpfs of that many bytes.
    pub fn with(fresh: &System, bytes: u64) -> Self {
        let dir = tempfile::Builder::new().prefix("xpkg-small-").tempdir().unwrap();
        let point = dir.path().display().to_string();
        say("mount", &["-t", "tmpfs", "-o", &format!("size={bytes},mode=755"), "xpkg-test", &point]);
        say("cp", &["-a", &format!("{}/.", fresh.dir().display()), &point]);
        let system = System::at(fresh.native, dir.path());
        Self { dir, system }
    }

    /// Where the filler lies.
    fn filler(&self) -> PathBuf {
        self.dir.path().join("filler")
    }

    /// Fills it until no more than `free` bytes are left.
    pub fn fill_up_to(&self, free: u64) {
        let stat = rustix::fs::statvfs(self.dir.path()).unwrap();
        let available = stat.f_bavail * stat.f_frsize;
        let file = std::fs::File::create(self.filler()).unwrap();
        let mut file = std::io::BufWriter::new(file);
        let block = vec![0; 4096];
        for _ in 0..available.saturating_sub(free) / 4096 {
            file.write_all(&block).unwrap();
        }
        file.flush().unwrap();
    }

    /// Takes the filler away, whoever wrote it.
    pub fn free(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Nothing can be done here about a mount that is still in use; the machine's owner sees it in /proc/mounts.
        drop(run("umount", [self.dir.path()]));
    }
}

fn say(program: &str, args: &[&str]) {
    run(program, args).and_then(Output::expect_success).unwrap();
}
