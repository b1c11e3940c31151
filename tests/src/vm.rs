//! A real root booted: its own init on Debian's kernel under qemu, driven through an agent of ours. What the guest writes
//! stays on a disk of its own; the root it was made from is never changed.
//!
//! The emulation is TCG: a nested KVM may accept a guest and then hang. Nothing here looks at how long anything took; the
//! limits only end a guest that hangs.

mod agent;
mod initramfs;
pub(crate) mod kernel;
mod machine;

use std::sync::Mutex;

use serde_json::Value;
use xpkg_fixtures::Server;
use xpkg_fixtures::real::{Output, run, skip};
use xpkg_model::Ecosystem;

use crate::{Answers, System};
use kernel::Kernel;
use machine::{Machine, Running};

/// Bytes of the guest's disk: sparse, so that only what is written costs anything.
const DISK: u64 = 1 << 30;
/// Seconds that a condition may take to come true; a hang ends there.
const PATIENCE: u32 = 600;

/// The running guest; it is switched off when dropped.
pub struct Vm {
    native: Ecosystem,
    machine: Machine,
    running: Mutex<Running>,
}

impl Vm {
    /// Boots a copy of the system as it lies there and waits until its init has started everything. Its `lo` is up,
    /// [`Vm::url`] reaches servers of the test, and on Alpine, whose real root has no service enabled, the usual ones
    /// and sshd are. `None`, said aloud, where that cannot be.
    pub fn boot(system: &System) -> Option<Self> {
        if run("sh", ["-c", "command -v qemu-system-x86_64"]).is_ok_and(|o| !o.success()) {
            return skip("needs qemu-system-x86_64");
        }
        let kernel = Kernel::find()?;
        let machine = Machine::new(&kernel, system.dir(), DISK);
        let running = Mutex::new(machine.start());
        let vm = Self { native: system.native, machine, running };
        vm.greet();
        Some(vm)
    }

    /// Waits for the agent, then for the end of the boot.
    fn greet(&self) {
        let hello = self.running.lock().unwrap().agent.hello();
        hello.unwrap_or_else(|why| panic!("the guest did not start: {why}\n{}", self.console()));
        self.wait_until(match self.native {
            Ecosystem::Openwrt => "dmesg | grep -q 'procd: - init complete -' || logread | grep -q 'init complete'",
            _ => "grep -qx default /run/openrc/softlevel && ! test -e /run/openrc/rc.starting",
        });
    }

    /// Runs a line of the guest's own shell as root. Several lines will do as well. Its output goes to files, so that
    /// something it leaves running keeps nobody waiting.
    pub fn sh(&self, line: &str) -> Output {
        let said = self.running.lock().unwrap().agent.ask(line);
        said.unwrap_or_else(|why| panic!("{line}: {why}\n{}", self.console()))
    }

    /// Runs a line of the guest's own shell and expects success.
    pub fn ok(&self, line: &str) -> Output {
        self.sh(line).expect_success().unwrap_or_else(|e| panic!("{e}\n{}", self.log()))
    }

    /// Runs the line once a second until it succeeds.
    pub fn wait_until(&self, condition: &str) {
        let line = format!(
            "i=0; until {{ {condition}\n}}; do i=$((i+1)); test $i -lt {PATIENCE} || exit 124; sleep 1; done >/dev/null 2>&1"
        );
        let said = self.sh(&line);
        if !said.success() {
            panic!("never came true: {condition}\n{:?}\n{}", self.sh(condition), self.log());
        }
    }

    /// Runs the static `xpkg` that [`crate::inside::Inside::new`] put into the system before it was booted, with `--json`;
    /// expects success and reads the answer.
    pub fn xpkg(&self, words: &str) -> Value {
        let out = self.ok(&format!("xpkg --yes --json {words}"));
        serde_json::from_str(&out.stdout).unwrap_or_else(|e| panic!("{e}: {out:?}"))
    }

    /// What the guest's native manager says to the judge's questions.
    pub fn answers(&self) -> Answers {
        Answers::by(self.native, |line| self.sh(line))
    }

    /// Reboots as its administrator would, and waits until everything is started again.
    pub fn reboot(&self) {
        self.go_down("reboot");
        *self.running.lock().unwrap() = self.machine.start();
        self.greet();
    }

    /// Switches off as its administrator would, and waits for the end.
    pub fn power_off(self) {
        self.go_down("poweroff");
    }

    fn go_down(&self, how: &str) {
        // Whether the answer still comes out is a matter of luck.
        drop(self.running.lock().unwrap().agent.ask(how));
        let off = self.running.lock().unwrap().wait();
        off.unwrap_or_else(|why| panic!("{how}: {why}\n{}", self.console()));
    }

    /// Where the guest finds a server of the test.
    pub fn url(&self, server: &Server) -> String {
        server.url().replace("127.0.0.1", machine::HOST)
    }

    /// What the kernel and init wrote on the console.
    pub fn console(&self) -> String {
        self.machine.console()
    }

    /// Console and system log, for messages.
    fn log(&self) -> String {
        let log = self.sh("logread 2>/dev/null | tail -n 60 || tail -n 60 /var/log/messages; ps");
        format!("{}\n{}", self.console(), log.stdout)
    }
}
