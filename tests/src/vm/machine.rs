//! The qemu process and the files that it works on.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use xpkg_fixtures::real::{Output, run};

use super::agent::Agent;
use super::initramfs::initramfs;
use super::kernel::Kernel;

/// The machine that runs the test, as the guest sees it: qemu passes connections on to its loopback.
pub const HOST: &str = "10.0.2.2";
/// The guest's own address.
pub const GUEST: &str = "10.0.2.15";
/// MiB of memory.
const MEMORY: &str = "384";

/// A machine that is switched off: its kernel and its disk.
pub struct Machine {
    image: PathBuf,
    dir: TempDir,
}

impl Machine {
    /// With a disk that holds a copy of `root`.
    pub fn new(kernel: &Kernel, root: &Path, disk: u64) -> Self {
        let dir = tempfile::Builder::new().prefix("xpkg-vm-").tempdir().unwrap();
        let machine = Self { image: kernel.image.clone(), dir };
        fs::write(machine.at("initramfs"), initramfs(kernel)).unwrap();
        File::create(machine.at("disk")).unwrap().set_len(disk).unwrap();
        let line = "PATH=$PATH:/usr/sbin:/sbin exec mke2fs -q -F -t ext4 -d \"$0\" \"$1\"";
        let image = machine.at("disk");
        let words = ["-c".as_ref(), line.as_ref(), root.as_os_str(), image.as_os_str()];
        run("sh", words).and_then(Output::expect_success).unwrap();
        machine
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Switches it on.
    pub fn start(&self) -> Running {
        let of = |name: &str| self.at(name).display().to_string();
        // Ends with the thread that started it, so that nothing is left of a test that was killed.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "qemu-system-x86_64"]);
        command.args([
            "-machine",
            "q35",
            "-accel",
            "tcg",
            "-cpu",
            "max",
            "-m",
            MEMORY,
            "-nodefaults",
            "-display",
            "none",
        ]);
        // A reboot ends it as well, and it is started again: the guest's way down is its own, and what follows is a cold start.
        command.args(["-no-reboot", "-serial", &format!("file:{}", of("console"))]);
        command.arg("-kernel").arg(&self.image).args(["-initrd", &of("initramfs")]);
        // The address space's randomness and the processors' old faults only cost time here.
        command.args(["-append", "console=ttyS0 quiet panic=-1 mitigations=off nokaslr random.trust_cpu=on"]);
        // Nobody needs the disk after the guest, so nothing has to reach a platter.
        command.args(["-drive", &format!("file={},format=raw,if=none,id=disk,cache=unsafe", of("disk"))]);
        command.args(["-device", "virtio-blk-pci,drive=disk", "-device", "virtio-serial-pci"]);
        command.args(["-chardev", "stdio,id=agent,signal=off", "-device", "virtserialport,chardev=agent,name=agent"]);
        command.args(["-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile="]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(File::create(self.at("said")).unwrap());
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Running { child, agent: Agent::new(input, output) }
    }

    /// What it said since it was switched on: qemu's own words, then the console.
    pub fn console(&self) -> String {
        let text = |name: &str| String::from_utf8_lossy(&fs::read(self.at(name)).unwrap_or_default()).into_owned();
        format!("{}{}", text("said"), text("console"))
    }
}

/// A machine that is switched on; switched off when dropped.
pub struct Running {
    child: Child,
    /// Runs lines of shell in it.
    pub agent: Agent,
}

impl Running {
    /// Waits until it is off.
    pub fn wait(&mut self) -> Result<(), String> {
        // The line closes when qemu ends, not when the guest's agent does.
        self.agent.drain()?;
        self.child.wait().map_err(|e| e.to_string())?;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
