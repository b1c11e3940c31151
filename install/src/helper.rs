//! The other side of the script runner: what the binary does when it is started as `xpkg __run-script …`. Two stages: the
//! outer one makes namespaces and private mounts, the inner one is process 1 in them, enters the root and becomes the
//! script's interpreter. Never returns into the command line.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sched::{CloneFlags, unshare};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_bind, mount_change};
use rustix::process::{Signal, chdir, chroot, set_parent_process_death_signal, umask};

/// First argument that makes the program a helper.
pub const WORD: &str = "__run-script";
/// In the environment: where in the root this program is mounted, for tools that are links to it.
pub(crate) const PROGRAM_AT: &str = "XPKG_PROGRAM_AT";
pub(crate) const OUTER: &str = "outer";
const INNER: &str = "inner";
const INNER_ALONE: &str = "inner-alone";

/// As shells report a program that cannot be started.
const CANNOT_START: u8 = 127;
/// Devices that scripts may count on: name, major, minor.
const DEVICES: [(&str, u32, u32); 5] =
    [("null", 1, 3), ("zero", 1, 5), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

/// Runs one stage. `args` are the program's arguments after [`WORD`]; the answer is the exit code.
pub fn main(args: impl IntoIterator<Item = OsString>) -> u8 {
    let mut args = args.into_iter();
    let (Some(stage), Some(program), Some(root)) = (args.next(), args.next(), args.next()) else {
        return complain("it is not meant to be called by hand");
    };
    let (program, root) = (PathBuf::from(program), PathBuf::from(root));
    let argv: Vec<OsString> = args.collect();
    match stage.to_str() {
        Some(OUTER) => outer(&program, &root, &argv),
        Some(INNER) => inner(&root, &argv, true),
        Some(INNER_ALONE) => inner(&root, &argv, false),
        _ => complain("unknown stage"),
    }
}

fn outer(program: &Path, root: &Path, argv: &[OsString]) -> u8 {
    let death = set_parent_process_death_signal(Some(Signal::KILL));
    if let Err(e) = death {
        return complain(&format!("{e}"));
    }
    // On a running system a script starts services, which must see the system's mounts and outlive the script. In any other
    // root nothing mounted or started here may reach the host.
    let running = root == Path::new("/") && is_device(&root.join("dev/null")) && root.join("proc/self").exists();
    let private = !running
        && unshare(CloneFlags::CLONE_NEWNS).is_ok()
        && mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).is_ok();
    let stage = if private && unshare(CloneFlags::CLONE_NEWPID).is_ok() { INNER } else { INNER_ALONE };
    if private && let Err(e) = devices(root) {
        let _ = writeln!(std::io::stderr(), "no device files for the script: {e}");
    }
    if let Some(at) = std::env::var_os(PROGRAM_AT).filter(|_| private) {
        let at = root.join(Path::new(&at).strip_prefix("/").unwrap_or(Path::new("")));
        if let Err(e) = mount_bind(program, &at) {
            let _ = writeln!(std::io::stderr(), "no tools of xpkg for the script: {e}");
        }
    }
    match Command::new(program).args([WORD, stage]).arg(program).arg(root).args(argv).status() {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => u8::try_from(code).unwrap_or(CANNOT_START),
            (None, signal) => u8::try_from(128 + signal.unwrap_or(0)).unwrap_or(CANNOT_START),
        },
        Err(e) => complain(&format!("{} could not be started: {e}", program.display())),
    }
}

fn inner(root: &Path, argv: &[OsString], own_processes: bool) -> u8 {
    let [first, rest @ ..] = argv else { return complain("there is no script") };
    let enter = || -> Result<(), rustix::io::Errno> {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        if own_processes {
            processes(root);
        }
        umask(Mode::from_raw_mode(0o022));
        chroot(root)?;
        chdir("/")
    };
    if let Err(e) = enter() {
        return complain(&format!("the root {} could not be entered: {e}", root.display()));
    }
    let error = Command::new(first).args(rest).exec();
    complain(&format!("{} could not be started: {error}", first.to_string_lossy()))
}

/// Mounts /proc for the script's own processes where the root has none. Optional: few scripts look.
fn processes(root: &Path) {
    let at = root.join("proc");
    if is_plain_dir(&at) && (root != Path::new("/") || !at.join("self").exists()) {
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        let _ = mount("proc", &at, "proc", flags, None::<&std::ffi::CStr>);
    }
}

/// Gives the root the device files that scripts count on, in memory and for this process's children only.
fn devices(root: &Path) -> Result<(), rustix::io::Errno> {
    let dev = root.join("dev");
    if is_device(&dev.join("null")) || !is_plain_dir(&dev) {
        return Ok(());
    }
    mount("xpkg-dev", &dev, "tmpfs", MountFlags::NOSUID | MountFlags::NOEXEC, Some(c"mode=0755,size=64k"))?;
    for (name, major, minor) in DEVICES {
        let path = dev.join(name);
        let device = rustix::fs::makedev(major, minor);
        let mode = Mode::from_raw_mode(0o666);
        let made = rustix::fs::mknodat(rustix::fs::CWD, &path, FileType::CharacterDevice, mode, device)
            .and_then(|()| rustix::fs::chmod(&path, mode));
        // Containers may forbid making devices, or make ones that cannot be opened: then the host's own are lent.
        let opens = rustix::fs::open(&path, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty());
        if name != "tty" && (made.is_err() || opens.is_err()) {
            let _ = rustix::fs::unlink(&path);
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            drop(rustix::fs::open(&path, flags, mode)?);
            let _ = mount_bind(Path::new("/dev").join(name), &path);
        }
    }
    Ok(())
}

fn is_plain_dir(path: &Path) -> bool {
    rustix::fs::lstat(path).is_ok_and(|s| FileType::from_raw_mode(s.st_mode) == FileType::Directory)
}

fn is_device(path: &Path) -> bool {
    rustix::fs::lstat(path).is_ok_and(|s| FileType::from_raw_mode(s.st_mode) == FileType::CharacterDevice)
}

fn complain(what: &str) -> u8 {
    let _ = writeln!(std::io::stderr(), "{WORD}: {what}");
    CANNOT_START
}
