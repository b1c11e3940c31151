//! On OpenWrt 25.12, under procd.

use xpkg_fixtures::real;
use xpkg_tests::inside::Inside;
use xpkg_tests::judge::Ours;
use xpkg_tests::system::data_server;
use xpkg_tests::{System, Vm, tmux};

use crate::openrc_services;

/// Where the keys of the made packages lie in the guest.
const KEYS: &str = "/root/made-keys";

#[test]
fn openwrt() {
    let Some(system) = System::openwrt() else { return };
    let Some(_copied) = Inside::new(&system, true) else { return };
    for entry in std::fs::read_dir(real::data().unwrap().join("made/alpine-tmux")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "pub") {
            let name = path.file_name().unwrap().to_str().unwrap();
            system.write(&format!("{KEYS}/{name}"), std::fs::read(&path).unwrap());
        }
    }
    let Some(vm) = Vm::boot(&system) else { return };
    answers(&vm);
    alpines_tmux(&vm);
    openrc_services::suite(&vm);
    vm.power_off();
}

/// The guest is what it should be.
fn answers(vm: &Vm) {
    assert!(vm.ok("ubus list").stdout.contains("service\n"));
    let said = vm.sh("echo out; echo err >&2; exit 3");
    assert_eq!((said.status, said.stdout.as_str(), said.stderr.as_str()), (3, "out\n", "err\n"));
}

/// One command, and a whole session runs; the native manager is content; nothing is left.
fn alpines_tmux(vm: &Vm) {
    let url = format!("{}/made/alpine-tmux", vm.url(data_server()));
    vm.ok(&format!("xpkg source add tmux {url} --ecosystem alpine --keys {KEYS}"));
    vm.ok("xpkg update");
    let before = vm.answers();
    let paths = || vm.ok("find / -xdev ! -path '/etc/xpkg/*' ! -path '/var/*' ! -path '/tmp/*' | sort").stdout;
    let was = paths();
    let plan = vm.xpkg("install alpine:tmux");
    assert_eq!(plan["done"], true, "{plan:#}");
    tmux::session(|script| vm.sh(script));
    let after = vm.answers();
    let ours = Ours::listed(&before, &after);
    assert!(ours.0.contains_key("tmux"), "{ours:?}");
    before.assert_same_but_for(&after, &ours);
    tmux::session(|script| vm.sh(script));
    vm.xpkg("remove alpine:tmux");
    assert_eq!(was, paths(), "something is left");
    vm.ok("xpkg source remove tmux");
}
