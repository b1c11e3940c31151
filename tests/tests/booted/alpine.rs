//! On Alpine 3.19, under OpenRC.

use xpkg_tests::inside::Inside;
use xpkg_tests::{System, Vm};

use crate::procd;

#[test]
fn alpine() {
    let Some(system) = System::alpine() else { return };
    if Inside::new(&system, true).is_none() {
        return;
    }
    let Some(vm) = Vm::boot(&system) else { return };
    procd::installs(&vm);
    answers(&vm);
    // That rebooted.
    procd::works(&vm, 2023);
    procd::goes(&vm);
    vm.power_off();
}

/// The guest is what it should be, and keeps what is written over a reboot.
fn answers(vm: &Vm) {
    assert!(vm.ok("rc-status default").stdout.contains("sshd"));
    vm.wait_until("rc-service sshd status");
    let said = vm.sh("echo out; echo err >&2; exit 3");
    assert_eq!((said.status, said.stdout.as_str(), said.stderr.as_str()), (3, "out\n", "err\n"));
    assert_eq!(vm.ok("apk --version | cut -c 1-14").stdout, "apk-tools 2.14\n");
    vm.ok("apk update; echo kept >/root/kept");
    vm.reboot();
    assert_eq!(vm.ok("cat /root/kept; rm /root/kept").stdout, "kept\n");
}
