//! Runs maintainer scripts of a live root: writes the script into the root for a moment, starts the helper, passes on what
//! it prints, and kills it when its time is over. Leaves nothing behind in the root.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Mode, OFlags, mkdirat, openat, unlinkat};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group};
use xpkg_model::{Event, Observer, RelPath};

use super::tools::Tools;
use super::{recover, view, walk};
use crate::helper;
use crate::scripts::{ScriptCall, ScriptRunner, TIMEOUT, interpreter};

/// What apk gives its scripts.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
/// Longer lines are cut into pieces.
const MAX_LINE: u64 = 4096;
/// A script that prints more is only heard so far.
const MAX_OUTPUT: usize = 1 << 20;
/// Pause between two looks at a script that closed its output but still runs.
const PAUSE: Duration = Duration::from_millis(5);

/// Runs scripts by chroot, in their own mount and process namespaces where that is allowed.
#[derive(Debug)]
pub struct LiveRunner {
    dir: PathBuf,
    root: Arc<OwnedFd>,
    program: Option<PathBuf>,
    timeout: Duration,
    path_first: Option<String>,
}

impl LiveRunner {
    pub(super) fn new(dir: PathBuf, root: Arc<OwnedFd>) -> Self {
        Self { dir, root, program: None, timeout: TIMEOUT, path_first: None }
    }

    /// The program that understands `__run-script`; by default this one.
    pub fn set_helper(&mut self, program: PathBuf) {
        self.program = Some(program);
    }

    /// How long one script may run.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// A directory of the root that is searched for tools before the system's.
    pub fn set_path_first(&mut self, dir: &str) {
        self.path_first = Some(dir.to_owned());
    }

    fn program(&self) -> Result<PathBuf, String> {
        match &self.program {
            Some(program) => Ok(program.clone()),
            None => own_program().map_err(|e| format!("the helper program is not known: {e}")),
        }
    }

    fn start(
        &self,
        call: &ScriptCall,
        script: &RelPath,
        text: &[u8],
        tools: Option<&Tools>,
    ) -> Result<(Child, File), String> {
        let program = self.program()?;
        let (output, input) = std::io::pipe().map_err(|e| e.to_string())?;
        let second = input.try_clone().map_err(|e| e.to_string())?;
        let mut argv = interpreter(text);
        argv.push([b"/", script.as_bytes()].concat());
        argv.extend(call.args.iter().cloned());
        let first = tools.map(|tools| tools.path.as_str()).into_iter().chain(self.path_first.as_deref());
        let path = first.chain([PATH]).collect::<Vec<_>>().join(":");
        let mount = tools.and_then(|tools| tools.program.as_ref());
        let child = Command::new(&program)
            .args([helper::WORD, helper::OUTER])
            .arg(&program)
            .arg(&self.dir)
            .args(argv.into_iter().map(OsString::from_vec))
            .env_clear()
            .env("PATH", path)
            .env("HOME", "/")
            .envs(mount.map(|at| (helper::PROGRAM_AT, at)))
            .envs(call.env.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            // A pipe whose other end is closed: the root may have no /dev/null to open.
            .stdin(Stdio::piped())
            .stdout(Stdio::from(input))
            .stderr(Stdio::from(second))
            .process_group(0)
            .spawn()
            .map_err(|e| format!("{} could not be started: {e}", program.display()))?;
        Ok((child, File::from(OwnedFd::from(output))))
    }

    /// The beginning of a script that lies on the root.
    fn first_line(&self, place: &RelPath) -> Result<Vec<u8>, String> {
        let failed = |e: std::io::Error| format!("{place} could not be read: {e}");
        let walked = walk::walk(&self.root, place, true).map_err(failed)?;
        let parent = walked.parent.ok_or_else(|| format!("{place} is not there"))?;
        let file = view::open_regular(&parent, walked.real.file_name()).map_err(failed)?;
        let mut text = Vec::new();
        let file = file.ok_or_else(|| format!("{place} is no file"))?;
        file.take(MAX_LINE).read_to_end(&mut text).map_err(failed)?;
        Ok(text)
    }

    /// Makes the script file; the guard removes it again.
    fn write(&self, call: &ScriptCall) -> Result<Scratch, String> {
        let text = |e: Errno| format!("the script could not be written: {e}");
        let own = walk::walk(&self.root, &super::own_dir(), true).map_err(|e| e.to_string())?.real;
        let dir = own.join(b"exec").map_err(|e| e.to_string())?;
        let mut here = self.root.clone();
        let mut made = Vec::new();
        let mut at = RelPath::root();
        for name in dir.components() {
            at = at.join(name).map_err(|e| e.to_string())?;
            match mkdirat(&here, name, Mode::from_raw_mode(0o755)) {
                Ok(()) => made.push(at.clone()),
                Err(Errno::EXIST) => {}
                Err(e) => return Err(text(e)),
            }
            here = Arc::new(openat(&here, name, walk::STAND, Mode::empty()).map_err(text)?);
        }
        let name = call.name.clone().unwrap_or_else(|| call.title()).replace('/', "_");
        let path = dir.join(name.as_bytes()).map_err(|e| e.to_string())?;
        // A left-over of a crash; nobody else writes here.
        let _ = unlinkat(&here, name.as_str(), AtFlags::empty());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = openat(&here, name.as_str(), flags, Mode::RWXU).map_err(text)?;
        let scratch = Scratch { root: self.root.clone(), dir: here, name, path, made };
        File::from(fd).write_all(&call.text).map_err(|e| format!("the script could not be written: {e}"))?;
        Ok(scratch)
    }
}

/// This program's own file. Without a mounted /proc it is what the program was called by, found as a shell finds it: the
/// helper starts in another directory.
fn own_program() -> std::io::Result<PathBuf> {
    let error = match std::env::current_exe() {
        Ok(path) => return Ok(path),
        Err(error) => error,
    };
    let called = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
    if called.components().nth(1).is_some() {
        return std::path::absolute(called);
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| PATH.into());
    std::env::split_paths(&path).map(|dir| dir.join(&called)).find(|file| file.is_file()).ok_or(error)
}

/// A script file in the root, for as long as it runs.
struct Scratch {
    root: Arc<OwnedFd>,
    dir: Arc<OwnedFd>,
    name: String,
    path: RelPath,
    made: Vec<RelPath>,
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed now is overwritten or removed by the next run.
        let _ = unlinkat(self.dir.as_fd(), self.name.as_str(), AtFlags::empty());
        for dir in self.made.iter().rev() {
            let _ = recover::remove_empty(&self.root, dir);
        }
    }
}

impl ScriptRunner for LiveRunner {
    fn run(&mut self, call: &ScriptCall, observer: &dyn Observer) -> Result<(), String> {
        let (scratch, tools);
        let (path, text) = match &call.place {
            Some(place) => (place, self.first_line(place)?),
            None => {
                scratch = self.write(call)?;
                (&scratch.path, call.text.clone())
            }
        };
        let exec = path.parent().unwrap_or_else(RelPath::root);
        tools = match &call.place {
            None => Tools::new(&self.root, &exec, call, &self.program()?, self.dir == Path::new("/"))?,
            Some(_) => None,
        };
        if let Some(lost) = tools.as_ref().and_then(|tools| tools.lost.as_ref()) {
            observer.event(Event::Warning(format!("{}: {lost}", call.title())));
        }
        let (mut child, output) = self.start(call, path, &text, tools.as_ref())?;
        drop(child.stdin.take());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || listen(output, &sender));
        let script = call.title();
        let (status, in_time) = self.wait(&mut child, &lines, &mut |line| {
            observer.event(Event::ScriptOutput { script: script.clone(), line });
        })?;
        match (in_time, status.code()) {
            (false, _) => Err(format!("it did not end within {} seconds and was killed", self.timeout.as_secs())),
            (true, Some(0)) => Ok(()),
            (true, Some(code)) => Err(format!("it ended with exit code {code}")),
            (true, None) => Err(format!("it was ended by a signal ({status})")),
        }
    }
}

impl LiveRunner {
    fn wait(
        &self,
        child: &mut Child,
        lines: &Receiver<String>,
        line: &mut dyn FnMut(String),
    ) -> Result<(ExitStatus, bool), String> {
        let begun = Instant::now();
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let kill = || group.map(|group| kill_process_group(group, Signal::KILL));
        let mut in_time = true;
        let mut silent = false;
        loop {
            if !silent {
                match lines.recv_timeout(Duration::from_millis(50)) {
                    Ok(text) => line(text),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => silent = true,
                }
            }
            if let Some(status) = child.try_wait().map_err(|e| e.to_string())? {
                // Without namespaces a script may leave processes behind that hold the pipe: hear what is there, then go.
                while let Ok(text) = lines.recv_timeout(Duration::from_millis(200)) {
                    line(text);
                }
                return Ok((status, in_time));
            }
            if in_time && begun.elapsed() > self.timeout {
                in_time = false;
                kill();
            }
            if silent {
                #[allow(
                    clippy::disallowed_methods,
                    reason = "waits for a child that closed its output; bounded by the timeout"
                )]
                std::thread::sleep(PAUSE);
            }
        }
    }
}

/// Cuts the output into lines until it ends.
fn listen(output: File, sender: &mpsc::Sender<String>) {
    let mut reader = BufReader::new(output);
    let mut heard = 0;
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut reader).take(MAX_LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(n) => heard += n,
        }
        let text = String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(&line)).into_owned();
        if heard <= MAX_OUTPUT && sender.send(text).is_err() {
            return;
        }
    }
}
