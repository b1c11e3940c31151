//! On OpenWrt 25.12, under procd.

use xpkg_tests::{System, Vm};

#[test]
fn openwrt() {
    let Some(system) = System::openwrt() else { return };
    let Some(vm) = Vm::boot(&system) else { return };
    answers(&vm);
    vm.power_off();
}

/// The guest is what it should be.
fn answers(vm: &Vm) {
    assert!(vm.ok("ubus list").stdout.contains("service\n"));
    let said = vm.sh("echo out; echo err >&2; exit 3");
    assert_eq!((said.status, said.stdout.as_str(), said.stderr.as_str()), (3, "out\n", "err\n"));
    vm.ok("apk update");
}
