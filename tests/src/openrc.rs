//! A root of OpenRC as if it had been started, without a kernel of its own: namespaces of processes, mounts and network, and
//! OpenRC's records saying that the default runlevel is reached. A booted suite is the judge; this is quick.

use std::process::Command;

use xpkg_fixtures::real::{Output, capture};

use crate::System;

/// What a start leaves behind, then the line.
const START: &str = r#"set -e
mount --bind "$0" "$0"; cd "$0"
mount -t proc proc proc
for dir in run dev tmp; do mount -t tmpfs tmpfs $dir -o mode=755; done
chmod 1777 tmp
for device in null:3 zero:5 full:7 random:8 urandom:9; do
    mknod -m 666 dev/${device%:*} c 1 ${device#*:}
done
mkdir dev/pts dev/shm
mount -t devpts devpts dev/pts -o newinstance,ptmxmode=666
ln -s pts/ptmx dev/ptmx
ip link set lo up
for dir in daemons exclusive failed hotplugged inactive options scheduled started starting stopping tmp wasinactive; do
    mkdir -p run/openrc/$dir
done
echo default >run/openrc/softlevel
exec chroot . /bin/sh -c "$1"
"#;

/// Runs a line of the root's shell; everything that it started ends with it.
pub fn started(system: &System, line: &str) -> Output {
    let mut command = Command::new("unshare");
    command.args([
        "--mount",
        "--pid",
        "--net",
        "--fork",
        "--kill-child",
        "--propagation",
        "private",
        "sh",
        "-c",
        START,
    ]);
    command.arg(system.dir()).arg(line).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").current_dir("/");
    capture(command).unwrap()
}
