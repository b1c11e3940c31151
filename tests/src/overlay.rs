//! A root as devices have it: a squashfs below, an ext4 above, overlay-mounted by the kernel. Undoes its own mounts only.

use std::collections::BTreeSet;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use xpkg_fixtures::real::{run, skip};

/// Bytes of the upper file system: sparse, so that only what is written costs anything.
const UPPER: u64 = 256 << 20;

/// The mounted root; unmounted when dropped.
pub struct Overlay {
    dir: TempDir,
    mounted: Vec<PathBuf>,
}

impl Overlay {
    /// Makes a squashfs of the tree at `root` and mounts it under an empty ext4. `None`, said aloud, where the tools are
    /// not here.
    pub fn new(root: &Path) -> Option<Self> {
        for tool in ["mksquashfs", "mkfs.ext4"] {
            if run("sh", ["-c", &format!("PATH=$PATH:/usr/sbin:/sbin command -v {tool}")]).is_ok_and(|o| !o.success()) {
                return skip(&format!("needs {tool}"));
            }
        }
        let dir = tempfile::Builder::new().prefix("xpkg-overlay-").tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        let source = root.display().to_string();
        say("mksquashfs", &[&source, &at("lower.sqfs"), "-quiet", "-no-progress", "-comp", "gzip"]);
        std::fs::File::create(at("upper.ext4")).unwrap().set_len(UPPER).unwrap();
        say("mkfs.ext4", &["-q", "-F", &at("upper.ext4")]);
        for name in ["lower", "data", "merged"] {
            std::fs::create_dir(at(name)).unwrap();
        }
        let mut overlay = Self { dir, mounted: Vec::new() };
        overlay.mount_loop("squashfs", "ro", "lower.sqfs", "lower");
        overlay.mount_upper();
        Some(overlay)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The root that programs see.
    pub fn merged(&self) -> PathBuf {
        self.at("merged")
    }

    /// What was written.
    pub fn upper(&self) -> PathBuf {
        self.at("data/upper")
    }

    /// What lies below and never changes.
    pub fn lower(&self) -> PathBuf {
        self.at("lower")
    }

    fn mount_loop(&mut self, kind: &str, options: &str, image: &str, point: &str) {
        let of = |name: &str| self.at(name).display().to_string();
        // The loop device of `-o loop` detaches itself when its mount goes.
        say("mount", &["-t", kind, "-o", &format!("loop,{options}"), &of(image), &of(point)]);
        self.mounted.push(self.at(point));
    }

    fn mount_upper(&mut self) {
        self.mount_loop("ext4", "rw", "upper.ext4", "data");
        for name in ["data/upper", "data/work"] {
            std::fs::create_dir_all(self.at(name)).unwrap();
        }
        let of = |name: &str| self.at(name).display().to_string();
        let options = format!("lowerdir={},upperdir={},workdir={}", of("lower"), of("data/upper"), of("data/work"));
        say("mount", &["-t", "overlay", "-o", &options, "xpkg-test", &of("merged")]);
        self.mounted.push(self.merged());
    }

    /// As after a reboot: overlay and upper file system leave and come back.
    pub fn remount(&mut self) {
        for _ in 0..2 {
            self.unmount_last();
        }
        self.mount_upper();
    }

    fn unmount_last(&mut self) {
        let point = self.mounted.pop().unwrap();
        say("umount", &[&point.display().to_string()]);
    }

    /// Every path of the upper layer, relative; whiteouts apart.
    pub fn upper_paths(&self) -> (BTreeSet<PathBuf>, BTreeSet<PathBuf>) {
        let (mut paths, mut whiteouts) = (BTreeSet::new(), BTreeSet::new());
        let mut todo = vec![PathBuf::new()];
        while let Some(below) = todo.pop() {
            let path = self.upper().join(&below);
            let meta = path.symlink_metadata().unwrap();
            if meta.file_type().is_char_device() && meta.rdev() == 0 {
                whiteouts.insert(below);
                continue;
            }
            if meta.is_dir() {
                todo.extend(std::fs::read_dir(&path).unwrap().map(|e| below.join(e.unwrap().file_name())));
            }
            paths.insert(below);
        }
        (paths, whiteouts)
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        for point in self.mounted.drain(..).rev() {
            // Nothing can be done here about a mount that is still in use; the machine's owner sees it in /proc/mounts.
            drop(run("umount", [point.as_os_str()]));
        }
    }
}

fn say(program: &str, args: &[&str]) {
    run(program, args).and_then(xpkg_fixtures::real::Output::expect_success).unwrap();
}
