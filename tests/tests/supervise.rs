//! The applet that stands between procd and programs which put themselves into the background, with programs that do: small
//! shell scripts, each with one habit of a real daemon.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use tempfile::TempDir;
use xpkg_tests::program::binary;

/// Rounds that something is waited for; each is a tenth of a second. Only a hang reaches the end.
const ROUNDS: u32 = 600;

struct Case {
    dir: TempDir,
    child: Child,
}

impl Case {
    /// `script` finds its pid file as `$P` and its directory as `$D`.
    fn start(script: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // A shell cannot catch what was ignored when it began, as nohup has SIGHUP ignored.
        let mut command = Command::new("/usr/bin/env");
        command.arg("--default-signal=HUP").arg(binary()).args(["applet", "supervise", "--grace", "3"]);
        command.arg("--pidfile").arg(dir.path().join("pid"));
        let command = command.args(["--", "/bin/sh", "-c", script]).env("P", dir.path().join("pid"));
        // What every system has, wherever the tests were called from.
        let command = command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        let child = command.env("D", dir.path()).stdin(Stdio::null()).spawn().unwrap();
        Self { dir, child }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn pid(&self, name: &str) -> i32 {
        let file = self.file(name);
        wait_for(|| fs::read_to_string(&file).ok()?.trim().parse().ok())
    }

    fn signal(&self, name: &str) {
        kill(i32::try_from(self.child.id()).unwrap(), name);
    }

    fn end(mut self) -> ExitStatus {
        wait_for(|| self.child.try_wait().unwrap())
    }
}

impl Drop for Case {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

fn wait_for<T>(mut found: impl FnMut() -> Option<T>) -> T {
    for _ in 0..ROUNDS {
        if let Some(value) = found() {
            return value;
        }
        Command::new("/bin/sleep").arg("0.1").status().unwrap();
    }
    panic!("it never happened");
}

fn kill(pid: i32, signal: &str) {
    let line = format!("kill -{signal} {pid}");
    assert!(Command::new("/bin/sh").args(["-c", &line]).status().unwrap().success(), "{line}");
}

fn lives(pid: i32) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

fn gone(pid: i32) {
    wait_for(|| (!lives(pid)).then_some(()));
}

/// Puts a process into the background and ends well.
const DAEMON: &str = "/bin/sleep 1000 & echo $! >$P";

#[test]
fn ends_when_the_service_is_killed() {
    let case = Case::start(DAEMON);
    kill(case.pid("pid"), "KILL");
    assert_eq!(case.end().code(), Some(1));
}

#[test]
fn stops_the_service_when_told() {
    let case = Case::start(DAEMON);
    let pid = case.pid("pid");
    case.signal("TERM");
    assert_eq!(case.end().code(), Some(0));
    gone(pid);
}

#[test]
fn a_service_that_does_not_listen_is_killed() {
    let case = Case::start("(trap '' TERM; echo up >$D/up; while :; do /bin/sleep 1; done) & echo $! >$P");
    let pid = case.pid("pid");
    wait_for(|| case.file("up").exists().then_some(()));
    case.signal("TERM");
    assert_eq!(case.end().code(), Some(0));
    gone(pid);
}

#[test]
fn a_successor_is_followed() {
    // As sshd: HUP starts another one, which writes the pid file after the first has ended.
    let script = "(trap '(/bin/sleep 1; /bin/sleep 1000 & echo $! >$P.new; mv $P.new $P) & exit 0' HUP; \
                  echo up >$D/up; while :; do /bin/sleep 0.1; done) & echo $! >$P";
    let case = Case::start(script);
    let first = case.pid("pid");
    wait_for(|| case.file("up").exists().then_some(()));
    case.signal("HUP");
    gone(first);
    let file = case.file("pid");
    let second: i32 = wait_for(|| fs::read_to_string(&file).ok()?.trim().parse().ok().filter(|pid| *pid != first));
    assert!(lives(second));
    kill(second, "KILL");
    assert_eq!(case.end().code(), Some(1));
}

#[test]
fn stop_ends_what_has_not_yet_put_itself_into_the_background() {
    // As chronyd, which waits before it lets its starter go.
    let case = Case::start("/bin/sleep 1000 & echo $! >$D/inner; wait");
    let inner = case.pid("inner");
    case.signal("TERM");
    case.end();
    gone(inner);
}

#[test]
fn a_start_that_fails_fails() {
    let case = Case::start("/bin/sleep 1000 & echo $! >$D/left; exit 3");
    let left = case.pid("left");
    assert_eq!(case.end().code(), Some(3));
    gone(left);
    assert_eq!(Case::start("exit 0").end().code(), Some(1), "a pid file was promised and nothing runs");
    let unknown = Command::new(binary()).args(["applet", "supervise", "--", "/nothing/here"]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(127), "{unknown:?}");
}

#[test]
fn logins_outlive_the_service() {
    let script = "(/usr/bin/setsid /bin/sleep 1001 & echo $! >$D/login; /bin/sleep 1002 & echo $! >$D/worker; \
                  exec /bin/sleep 1000) & echo $! >$P";
    let case = Case::start(script);
    let (login, worker) = (case.pid("login"), case.pid("worker"));
    case.pid("pid");
    // setsid may still be on its way into its session.
    let session = |pid: i32| fs::read_to_string(format!("/proc/{pid}/stat")).ok()?.split(' ').nth(5)?.parse().ok();
    wait_for(|| (session(login) == Some(login)).then_some(()));
    case.signal("TERM");
    assert_eq!(case.end().code(), Some(0));
    gone(worker);
    assert!(lives(login));
    kill(login, "KILL");
}

#[test]
fn what_an_earlier_life_left_behind_ends_first() {
    let dir = tempfile::tempdir().unwrap();
    let pidfile = dir.path().join("pid");
    let mut old = Command::new("/bin/sleep").arg("1003").spawn().unwrap();
    fs::write(&pidfile, old.id().to_string()).unwrap();
    let mut command = Command::new(binary());
    command.args(["applet", "supervise", "--pidfile"]).arg(&pidfile).args(["--", "/bin/sleep", "1004"]);
    let mut new = command.spawn().unwrap();
    assert_eq!(wait_for(|| old.try_wait().unwrap()).signal(), Some(15));
    kill(i32::try_from(new.id()).unwrap(), "TERM");
    assert!(wait_for(|| new.try_wait().unwrap()).success());
}
