//! The processes below this one, read from /proc. A picture of one moment: nothing is remembered between two.

use std::collections::BTreeMap;
use std::fs;

use rustix::process::{Pid, getpid};

/// How many processes are looked at.
const MAX: usize = 32_768;

/// One process that is no zombie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    pub pid: Pid,
    pub session: i32,
    parent: i32,
    /// In ticks since the start of the system.
    begun: u64,
}

/// All processes.
pub struct Table(BTreeMap<i32, Process>);

impl Table {
    pub fn read() -> Self {
        let names = fs::read_dir("/proc").into_iter().flatten().flatten().take(MAX);
        let numbers = names.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        Self(numbers.filter_map(|pid| Some((pid, process(pid)?))).collect())
    }

    pub fn get(&self, pid: Pid) -> Option<Process> {
        self.0.get(&pid.as_raw_nonzero().get()).copied()
    }

    /// Those below this process, at any depth, the oldest first.
    pub fn family(&self) -> Vec<Process> {
        let own = getpid().as_raw_nonzero().get();
        let below = |process: &&Process| {
            let mut at = process.parent;
            // A chain is never longer than the table, whatever the table says.
            for _ in 0..self.0.len() {
                match self.0.get(&at) {
                    _ if at == own => return true,
                    Some(parent) => at = parent.parent,
                    None => return false,
                }
            }
            false
        };
        let mut family: Vec<Process> = self.0.values().filter(below).copied().collect();
        family.sort_by_key(|p| (p.begun, p.pid.as_raw_nonzero()));
        family
    }
}

/// proc(5), `/proc/PID/stat`: the name stands in brackets and may hold anything; what follows are plain fields.
fn process(pid: i32) -> Option<Process> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    parse(pid, &String::from_utf8_lossy(&text))
}

fn parse(pid: i32, text: &str) -> Option<Process> {
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse().ok();
    if matches!(fields.first(), None | Some(&("Z" | "X"))) {
        return None;
    }
    let begun = fields.get(19)?.parse().ok()?;
    Some(Process { pid: Pid::from_raw(pid)?, parent: number(1)?, session: number(3)?, begun })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_proc() {
        let line = "7 (a) R 1) S 3 7 5 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 421 1 2 3";
        let process = parse(7, line).unwrap();
        assert_eq!((process.parent, process.session, process.begun), (3, 5, 421));
        assert!(parse(7, &line.replace(" S ", " Z ")).is_none());
        assert!(parse(7, "7 (x").is_none() && parse(0, line).is_none());
    }
}
