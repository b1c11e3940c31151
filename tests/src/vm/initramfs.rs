//! The initramfs of a guest: loads the modules, mounts the disk, readies what the real roots leave open, starts the agent,
//! and hands over to the root's own init. Written as cpio's "newc", which the kernel reads (Documentation/driver-api/early-userspace/buffer-format.rst).

use std::fs;
use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::agent::LOOP;
use super::kernel::Kernel;
use super::machine::{GUEST, HOST};

const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;

/// Runs as process 1. Whatever fails ends the guest, which its console explains. The initramfs stays where it is, below
/// the new root, because the agent's tools lie there.
const INIT: &str = r#"#!/bin/busybox sh
export PATH=/bin
/bin/busybox --install -s /bin
fail() { echo "vm: $1" >/dev/console; sleep 1; poweroff -f; }
mount -t devtmpfs dev /dev && mount -t proc proc /proc && mount -t sysfs sys /sys || fail mounts
for module in /modules/*; do insmod "$module" || fail "$module"; done
ip link set eth0 name vm0 && ip addr add GUEST/24 dev vm0 && ip link set vm0 up || fail network
mount -t ext4 -o noatime /dev/vda /new || fail disk
cd /new || fail root
. /prepare
port=$(ls /dev/vport*p1) || fail port
setsid sh /agent </dev/null >/dev/null 2>&1 3<>"$port" &
mount -t devtmpfs dev dev; umount /proc /sys
mount --move . / || fail move
exec chroot . /sbin/init </dev/console >/dev/console 2>&1
"#;

/// What is changed on the disk, in the new root: addresses of the test's servers; on Alpine the services that its
/// `setup-alpine` enables; on OpenWrt those that have nothing to do in a guest are disabled, because under emulation each
/// start script costs seconds.
const PREPARE: &str = r#"for file in etc/apk/repositories etc/apk/repositories.d/* etc/opkg/*.conf etc/xpkg/sources.d/*; do
  test ! -f "$file" || sed -i 's,//127\.0\.0\.1:,//HOST:,' "$file"
done
for name in autossh zerotier sshtunnel gpio_switch led ucitrack packet_steering sysntpd odhcpd; do
  rm -f etc/rc.d/[SK][0-9][0-9]$name
done
enable() { level=$1; shift; for name; do ln -s "/etc/init.d/$name" "etc/runlevels/$level/$name"; done; }
if test -d etc/runlevels/sysinit && test -z "$(ls etc/runlevels/sysinit)"; then
  enable sysinit devfs dmesg
  enable boot bootmisc hostname networking syslog
  enable default sshd
  enable shutdown killprocs mount-ro savecache
  test -e etc/network/interfaces || { mkdir -p etc/network; printf 'auto lo\niface lo inet loopback\n' >etc/network/interfaces; }
fi
"#;

/// The archive, compressed.
pub fn initramfs(kernel: &Kernel) -> Vec<u8> {
    let mut archive = Newc::default();
    for dir in ["bin", "dev", "proc", "sys", "new", "modules"] {
        archive.add(dir, DIRECTORY, &[]);
    }
    archive.add("bin/busybox", PROGRAM, &fs::read(&kernel.busybox).unwrap());
    for (number, module) in kernel.modules.iter().enumerate() {
        let name = module.file_name().unwrap().to_str().unwrap();
        archive.add(&format!("modules/{number:02}-{name}"), PROGRAM, &fs::read(module).unwrap());
    }
    archive.add("init", PROGRAM, INIT.replace("GUEST", GUEST).as_bytes());
    archive.add("prepare", PROGRAM, PREPARE.replace("HOST", HOST).as_bytes());
    archive.add("agent", PROGRAM, LOOP.as_bytes());
    archive.finish().unwrap()
}

/// Writes "newc": a header of hexadecimal fields, the name, the content, each padded to four bytes.
#[derive(Default)]
struct Newc {
    bytes: Vec<u8>,
    members: u32,
}

impl Newc {
    fn add(&mut self, name: &str, mode: u32, content: &[u8]) {
        self.members += 1;
        let size = u32::try_from(content.len()).unwrap();
        let name_size = u32::try_from(name.len() + 1).unwrap();
        self.bytes.extend_from_slice(b"070701");
        // Inode, mode, owner, group, links, time, size, device, device of a node, length of the name, checksum.
        for field in [self.members, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0] {
            self.bytes.extend_from_slice(format!("{field:08X}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn finish(mut self) -> io::Result<Vec<u8>> {
        self.add("TRAILER!!!", 0, &[]);
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&self.bytes)?;
        gzip.finish()
    }
}
