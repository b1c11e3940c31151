//! The talk with the shell loop in the guest: one line asks (`number base64`), one line answers (`number status base64
//! base64`). Knows nothing of qemu.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use xpkg_fixtures::real::Output;

/// What ends the wait for a guest that hangs.
const LIMIT: Duration = Duration::from_secs(900);
/// What the loop says when it starts.
const HELLO: &str = "hello";

/// The loop in the guest, run by busybox with the guest's root as working directory and the port as descriptor 3.
pub const LOOP: &str = r#"echo hello >&3
while :; do
  read -r number line <&3 || { sleep 1; continue; }
  line=$(echo "$line" | base64 -d; echo .)
  env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=vt100 chroot . /bin/sh -c "${line%.}" 3>&- >/out 2>/err
  status=$?
  printf '%s %s %s. %s.\n' "$number" "$status" "$(base64 /out | tr -d '\n')" "$(base64 /err | tr -d '\n')" >&3
done
"#;

/// The test's end of the line.
pub struct Agent {
    input: Box<dyn Write + Send>,
    lines: Receiver<String>,
    asked: u64,
}

impl Agent {
    /// Talks over these two.
    pub fn new(input: impl Write + Send + 'static, output: impl Read + Send + 'static) -> Self {
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { input: Box::new(input), lines, asked: 0 }
    }

    /// The next line; `None` when the guest is off.
    fn next(&self) -> Result<Option<String>, String> {
        match self.lines.recv_timeout(LIMIT) {
            Ok(line) => Ok(Some(line)),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => Err("the guest does not answer".to_owned()),
        }
    }

    fn line(&self) -> Result<String, String> {
        self.next()?.ok_or_else(|| "the guest is off".to_owned())
    }

    /// Waits until the loop runs.
    pub fn hello(&self) -> Result<(), String> {
        while self.line()? != HELLO {}
        Ok(())
    }

    /// Reads until the other end closes.
    pub fn drain(&self) -> Result<(), String> {
        while self.next()?.is_some() {}
        Ok(())
    }

    /// Runs a line of shell in the guest.
    pub fn ask(&mut self, line: &str) -> Result<Output, String> {
        self.asked += 1;
        let question = format!("{} {}\n", self.asked, BASE64_STANDARD.encode(line));
        self.input.write_all(question.as_bytes()).and_then(|()| self.input.flush()).map_err(|e| e.to_string())?;
        let number = self.asked.to_string();
        loop {
            let answer = self.line()?;
            let words: Vec<&str> = answer.split(' ').collect();
            match words.as_slice() {
                [n, status, stdout, stderr] if *n == number => {
                    let status = status.parse().map_err(|e| format!("{answer}: {e}"))?;
                    let (stdout, stderr) = (decoded(stdout)?, decoded(stderr)?);
                    return Ok(Output { command: line.to_owned(), status, stdout, stderr });
                }
                _ => {}
            }
        }
    }
}

fn decoded(word: &str) -> Result<String, String> {
    let bytes = BASE64_STANDARD.decode(word.trim_end_matches('.')).map_err(|e| format!("{word}: {e}"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
