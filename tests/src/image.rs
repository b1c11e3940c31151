//! Images as ordinary users build them, each in a directory of their own, and as the kernel mounts them. Undoes its own mounts only.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use xpkg_fixtures::real::{Output, capture, run};

use crate::program::binary;

/// Shifts the clock that a dynamically linked program reads by a day.
const ANOTHER_DAY: &str = "
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t id, struct timespec *t) {
    int failed = syscall(SYS_clock_gettime, id, t);
    if (!failed && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) t->tv_sec += 24 * 60 * 60;
    return failed;
}
int gettimeofday(struct timeval *t, void *zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    t->tv_sec = now.tv_sec, t->tv_usec = now.tv_nsec / 1000;
    return 0;
}
time_t time(time_t *t) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (t) *t = now.tv_sec;
    return now.tv_sec;
}
";

/// A user without any rights, with a directory that holds a home, a copy of the program and what they were given.
pub struct Builder {
    uid: u32,
    dir: TempDir,
    clock: Option<PathBuf>,
}

impl Builder {
    /// A user of that number. Needs root's rights to become them.
    pub fn new(uid: u32) -> Self {
        let dir = tempfile::Builder::new().prefix("xpkg-builder-").tempdir().unwrap();
        for path in [dir.path().to_owned(), dir.path().join("home")] {
            fs::create_dir_all(&path).unwrap();
            chown(&path, Some(uid), Some(uid)).unwrap();
        }
        fs::copy(binary(), dir.path().join("xpkg")).unwrap();
        Self { uid, dir, clock: None }
    }

    /// The same user tomorrow. `cc` makes what moves the clock; that it does is checked with `date`.
    pub fn tomorrow(mut self) -> Self {
        let (source, library) = (self.dir.path().join("clock.c"), self.dir.path().join("clock.so"));
        fs::write(&source, ANOTHER_DAY).unwrap();
        let args = ["-shared", "-fPIC", "-o"].map(AsRef::as_ref);
        run("cc", args.into_iter().chain([library.as_os_str(), source.as_os_str()])).unwrap().expect_success().unwrap();
        fs::set_permissions(&library, fs::Permissions::from_mode(0o755)).unwrap();
        self.clock = Some(library);
        let seconds = |out: Output| out.stdout.trim().parse::<u64>().unwrap();
        let (now, then) = (seconds(run("date", ["+%s"]).unwrap()), seconds(self.run("date", &["+%s"])));
        assert!(then > now + 23 * 60 * 60, "the clock does not move: {now} and {then}");
        self
    }

    /// Where they work.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Gives them a copy of a file, or of a directory of files.
    pub fn give(&self, name: &str, from: &Path) {
        let to = self.dir().join(name);
        if from.is_dir() {
            fs::create_dir(&to).unwrap();
            fs::set_permissions(&to, fs::Permissions::from_mode(0o755)).unwrap();
            for entry in fs::read_dir(from).unwrap() {
                let path = entry.unwrap().path();
                self.give(&format!("{name}/{}", path.file_name().unwrap().to_str().unwrap()), &path);
            }
            return;
        }
        fs::copy(from, &to).unwrap();
        fs::set_permissions(&to, fs::Permissions::from_mode(0o644)).unwrap();
    }

    /// Builds the image that the description says; `args` come last.
    pub fn build(&self, description: &str, args: &[&str]) -> Output {
        let file = self.dir().join("image.toml");
        fs::write(&file, description).unwrap();
        let program = self.dir().join("xpkg");
        let all: Vec<&str> = ["image", "build", "image.toml"].into_iter().chain(args.iter().copied()).collect();
        self.run(program.to_str().unwrap(), &all)
    }

    fn run(&self, program: &str, args: &[&str]) -> Output {
        let mut command = Command::new(program);
        command.args(args).current_dir(self.dir()).env_clear().env("PATH", "/usr/bin:/bin");
        command.env("HOME", self.dir().join("home")).uid(self.uid).gid(self.uid);
        if let Some(clock) = &self.clock {
            command.env("LD_PRELOAD", clock);
        }
        capture(command).unwrap()
    }
}

/// A squashfs that the kernel has mounted; unmounted when dropped.
pub struct Mounted {
    point: TempDir,
}

impl Mounted {
    /// Mounts it.
    pub fn new(image: &Path) -> Self {
        let point = tempfile::Builder::new().prefix("xpkg-image-").tempdir().unwrap();
        // The loop device of `-o loop` detaches itself when its mount goes.
        let args = ["-t", "squashfs", "-o", "loop,ro"].map(AsRef::as_ref);
        let args = args.into_iter().chain([image.as_os_str(), point.path().as_os_str()]);
        run("mount", args).unwrap().expect_success().unwrap();
        Self { point }
    }

    /// Where.
    pub fn path(&self) -> &Path {
        self.point.path()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Nothing can be done here about a mount that is still in use; the machine's owner sees it in /proc/mounts.
        drop(run("umount", [self.path()]));
    }
}
