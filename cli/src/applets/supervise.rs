//! `xpkg applet supervise`: stands between procd and a program that puts itself into the background. As a subreaper it
//! inherits what the program leaves running, follows the process that the pid file names, passes signals on, and ends when
//! that process ends, so that procd starts both again. It restarts nothing itself, and needs nothing but /proc.

mod family;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::process::{Pid, WaitId, WaitIdOptions, WaitOptions, kill_process, set_child_subreaper, wait, waitid};
use std::os::fd::AsFd as _;

use family::{Process, Table};

const HELP: &str = "usage: xpkg applet supervise [--pidfile FILE] [--term SIGNAL] [--grace SECONDS] -- PROGRAM [ARGS]";
/// How long the program has to write its pid file once it has put itself into the background, and its successor after it
/// ended (sshd starts itself anew on SIGHUP).
const HANDOVER: Duration = Duration::from_secs(4);
/// How often files and processes are looked at while something is awaited.
const TICK: Duration = Duration::from_millis(200);
/// Signals that are passed on.
const PASSED: [Signal; 4] = [Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGUSR2, Signal::SIGWINCH];
/// Signals that end the service.
const ENDING: [Signal; 3] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT];

struct Order {
    pidfile: Option<PathBuf>,
    term: Signal,
    grace: Duration,
    program: Vec<OsString>,
}

/// Runs it; `args` are those after `supervise`.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut args = args.into_iter().peekable();
    if args.next_if(|a| a == "--become").is_some() {
        return become_program(args);
    }
    let order = match read(args) {
        Ok(order) => order,
        Err(why) => {
            say(&format!("{why}\n{HELP}"));
            return ExitCode::from(2);
        }
    };
    match supervise(&order) {
        Ok(code) => code,
        Err(why) => {
            say(&why);
            ExitCode::FAILURE
        }
    }
}

fn read(mut args: impl Iterator<Item = OsString>) -> Result<Order, String> {
    let mut order = Order { pidfile: None, term: Signal::SIGTERM, grace: Duration::from_secs(8), program: Vec::new() };
    while let Some(word) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{} needs a value", word.display()));
        match word.to_str() {
            Some("--") => {
                order.program = args.collect();
                break;
            }
            Some("--pidfile") => order.pidfile = Some(PathBuf::from(value()?)),
            Some("--term") => order.term = signal(&value()?)?,
            Some("--grace") => {
                let text = value()?;
                let seconds = text.to_str().and_then(|t| t.parse::<u32>().ok()).filter(|s| *s <= 86_400);
                order.grace = Duration::from_secs(seconds.ok_or("--grace is no number of seconds")?.into());
            }
            _ => return Err(format!("`{}` is not known", word.display())),
        }
    }
    if order.program.is_empty() { Err("no program is named".to_owned()) } else { Ok(order) }
}

/// `TERM`, `SIGTERM` or `15`.
fn signal(text: &OsStr) -> Result<Signal, String> {
    let unknown = || format!("`{}` is no signal", text.display());
    let text = text.to_str().ok_or_else(unknown)?;
    let number = text.parse::<i32>().ok().and_then(|n| Signal::try_from(n).ok());
    let name = text.strip_prefix("SIG").unwrap_or(text);
    number.or_else(|| format!("SIG{name}").parse().ok()).ok_or_else(unknown)
}

fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "xpkg supervise: {text}");
}

/// The second stage: signals were blocked before the program was started, so that none is missed; it must not inherit that.
fn become_program(args: impl Iterator<Item = OsString>) -> ExitCode {
    let _ = SigSet::all().thread_unblock();
    let program: Vec<OsString> = args.collect();
    let [first, rest @ ..] = program.as_slice() else { return ExitCode::from(2) };
    let error = Command::new(first).args(rest).exec();
    say(&format!("{} could not be started: {error}", first.display()));
    ExitCode::from(127)
}

fn supervise(order: &Order) -> Result<ExitCode, String> {
    set_child_subreaper(Some(rustix::process::getpid())).map_err(|e| format!("the kernel has no subreapers: {e}"))?;
    let heard: SigSet = PASSED.into_iter().chain(ENDING).chain([Signal::SIGCHLD]).collect();
    heard.thread_block().map_err(|e| format!("signals could not be blocked: {e}"))?;
    let signals = SignalFd::with_flags(&heard, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
        .map_err(|e| format!("signals could not be heard: {e}"))?;
    clear(order);
    let child = Command::new("/proc/self/exe")
        .args(["applet", "supervise", "--become"])
        .args(&order.program)
        .spawn()
        .map_err(|e| format!("no second process could be started: {e}"))?;
    let starter = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or("a process without a number")?;
    let mut watch = Watch::new(order, starter);
    loop {
        if let Some(code) = watch.look() {
            return Ok(code);
        }
        let timeout = if watch.is_waiting() { Some(TICK) } else { None };
        let timeout = timeout.and_then(|t| PollTimeout::try_from(t).ok()).unwrap_or(PollTimeout::NONE);
        match poll(&mut [PollFd::new(signals.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(e) => return Err(format!("waiting failed: {e}")),
        }
        while let Ok(Some(info)) = signals.read_signal() {
            let number = i32::try_from(info.ssi_signo).ok().and_then(|n| Signal::try_from(n).ok());
            if let Some(signal) = number.filter(|s| *s != Signal::SIGCHLD) {
                watch.heard(signal);
            }
        }
    }
}

/// Ends what an earlier life of this service left behind, and takes its pid file away: nobody may follow that.
fn clear(order: &Order) {
    let Some(file) = &order.pidfile else { return };
    let Some(pid) = named(file) else { return };
    let same = |exe: PathBuf| order.program.iter().any(|word| fs::canonicalize(word).is_ok_and(|w| w == exe));
    if fs::read_link(format!("/proc/{}/exe", pid.as_raw_nonzero())).is_ok_and(same) {
        say(&format!("ending {}, which an earlier start left behind", pid.as_raw_nonzero()));
        let end = Instant::now() + order.grace;
        let _ = send(pid, order.term);
        while Table::read().get(pid).is_some() && Instant::now() < end {
            let _ = poll(&mut [], PollTimeout::from(100u8));
        }
        let _ = send(pid, Signal::SIGKILL);
    }
    let _ = fs::remove_file(file);
}

/// Whether this process has a child, ended ones included that nobody waited for yet.
fn has_children() -> bool {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(WaitId::All, look), Err(rustix::io::Errno::CHILD))
}

/// The process that a pid file names.
fn named(file: &Path) -> Option<Pid> {
    let mut text = String::new();
    std::io::Read::read_to_string(&mut std::io::Read::take(fs::File::open(file).ok()?, 64), &mut text).ok()?;
    Pid::from_raw(text.split_ascii_whitespace().next()?.parse().ok().filter(|pid| *pid > 1)?)
}

fn send(pid: Pid, signal: Signal) -> Result<(), rustix::io::Errno> {
    match rustix::process::Signal::from_named_raw(signal as i32) {
        Some(signal) => kill_process(pid, signal),
        None => Ok(()),
    }
}

/// What is known of the program, and what is awaited.
struct Watch<'a> {
    order: &'a Order,
    /// The process that was started; gone once the program is in the background.
    starter: Option<Pid>,
    /// The process that is the service.
    main: Option<Process>,
    /// Until when a pid file may still name one.
    handover: Option<Instant>,
    /// Until when what was told to end may take its time.
    stop: Option<Instant>,
    /// The service did its work and left nothing running: it counts as running until it is stopped.
    done: bool,
    code: u8,
}

impl<'a> Watch<'a> {
    fn new(order: &'a Order, starter: Pid) -> Self {
        Self { order, starter: Some(starter), main: None, handover: None, stop: None, done: false, code: 0 }
    }

    fn is_waiting(&self) -> bool {
        self.handover.is_some() || self.stop.is_some()
    }

    /// Looks at what ended; answers the exit code once all is over.
    fn look(&mut self) -> Option<ExitCode> {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if self.starter == Some(pid) {
                self.starter = None;
                let status = status.exit_status().and_then(|s| u8::try_from(s).ok()).unwrap_or(1);
                if self.stop.is_none() && status != 0 {
                    self.code = status;
                } else {
                    self.handover = Some(Instant::now() + HANDOVER);
                }
            }
        }
        let table = Table::read();
        let main = self.main.filter(|main| table.get(main.pid).is_some());
        if self.stop.is_some() {
            return self.stopping(&table, main);
        }
        if self.code != 0 {
            // It says itself that it could not start.
            return self.leave(&table, self.code);
        }
        if self.starter.is_some() || main.is_some() || self.done {
            if main.is_some() {
                self.handover = None;
            }
            return None;
        }
        // In the background, or ended: somebody else may be the service now.
        let family = table.family();
        let next = match &self.order.pidfile {
            Some(file) => named(file).and_then(|pid| family.iter().find(|p| p.pid == pid)),
            None => family.first(),
        };
        if let Some(next) = next {
            self.main = Some(*next);
            self.handover = None;
            return None;
        }
        if self.main.is_some() && self.handover.is_none() {
            self.handover = Some(Instant::now() + HANDOVER);
        }
        // A picture of /proc may miss one that forks and ends while it is taken (musl's daemon(3) forks twice); the kernel does
        // not: whoever is left without a parent is this process's own child.
        let alone = family.is_empty() && !has_children();
        let over = alone || self.handover.is_none_or(|until| Instant::now() >= until);
        match (over, self.main, &self.order.pidfile) {
            (false, ..) => None,
            (true, Some(_), _) => self.leave(&table, 1),
            (true, None, None) => {
                (self.done, self.handover) = (true, None);
                None
            }
            (true, None, Some(file)) => {
                match family.first() {
                    // It runs and does not say so: the oldest that is left is taken for it.
                    Some(process) => {
                        say(&format!("{} names no process of this service", file.display()));
                        (self.main, self.handover) = (Some(*process), None);
                        None
                    }
                    None => self.leave(&table, 1),
                }
            }
        }
    }

    /// The service ended by itself. What shares its session goes with it; what made a session of its own (a login over
    /// ssh) lives its own life.
    fn leave(&mut self, table: &Table, code: u8) -> Option<ExitCode> {
        self.code = code;
        self.starter = None;
        let left = self.mine(table);
        if left.is_empty() {
            return Some(ExitCode::from(code));
        }
        for process in &left {
            let _ = send(process.pid, Signal::SIGTERM);
        }
        self.stop = Some(Instant::now() + HANDOVER);
        None
    }

    /// Those that belong to the service itself.
    fn mine(&self, table: &Table) -> Vec<Process> {
        let session = self.main.map(|main| main.session);
        table.family().into_iter().filter(|p| session.is_none_or(|s| s == p.session)).collect()
    }

    fn stopping(&mut self, table: &Table, main: Option<Process>) -> Option<ExitCode> {
        let left = self.mine(table);
        if left.is_empty() {
            return Some(ExitCode::from(self.code));
        }
        let late = self.stop.is_some_and(|until| Instant::now() >= until);
        for process in &left {
            if late {
                let _ = send(process.pid, Signal::SIGKILL);
            } else if main.is_none() && self.main.is_some() {
                // The service is gone: what it left in its session has no reason to stay.
                let _ = send(process.pid, Signal::SIGTERM);
            }
        }
        None
    }

    fn heard(&mut self, signal: Signal) {
        let table = Table::read();
        // The program may be about to become one in the background: the file knows best.
        if self.main.is_none() {
            let named = self.order.pidfile.as_deref().and_then(named);
            self.main = named.and_then(|pid| table.family().into_iter().find(|p| p.pid == pid));
        }
        let main = self.main.filter(|main| table.get(main.pid).is_some()).map(|main| main.pid);
        if !ENDING.contains(&signal) {
            if let Some(pid) = main.or(self.starter) {
                let _ = send(pid, signal);
            }
            return;
        }
        self.stop = Some(Instant::now() + self.order.grace);
        self.code = 0;
        let told: Vec<Pid> = match main {
            Some(pid) if self.starter.is_none() => vec![pid],
            _ => table.family().into_iter().map(|p| p.pid).collect(),
        };
        for pid in told {
            let _ = send(pid, self.order.term);
        }
    }
}
