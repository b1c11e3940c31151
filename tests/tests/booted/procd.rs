//! OpenWrt's procd, uci and dropbear, brought by one command to an Alpine that runs, with its own sshd on port 22.

use xpkg_tests::Vm;
use xpkg_tests::inside::KEYS;
use xpkg_tests::system::data_server;

const FEEDS: [(&str, &str); 2] =
    [("openwrt-base", "openwrt-25.12/base"), ("openwrt-target", "openwrt-25.12/target/packages.adb")];

/// The command, and what it must do at once.
pub fn installs(vm: &Vm) {
    for (name, path) in FEEDS {
        let url = vm.url(data_server());
        vm.xpkg(&format!("source add {name} {url}/{path} --ecosystem openwrt --keys /{KEYS}"));
    }
    vm.xpkg("update");
    let done = vm.xpkg("install openwrt:procd openwrt:uci openwrt:dropbear");
    assert_eq!(done["script_failures"], serde_json::json!([]), "{done:#}");
    works(vm, 2022);
    // Supervised, and by procd: it comes back as procd's child.
    vm.ok("kill -9 $(cat /var/run/dropbear.main.pid)");
    works(vm, 2022);
    vm.ok("test $(cut -d ' ' -f 4 /proc/$(cat /var/run/dropbear.main.pid)/stat) = $(pidof procd)");
    vm.ok("uci set dropbear.@dropbear[0].Port=2023; uci commit; reload_config");
    works(vm, 2023);
    vm.wait_until("! netstat -ltn | grep -q ':2022 '");
    for program in ["procd", "ubusd"] {
        vm.ok(&format!("pidof {program} >/tmp/old; kill -9 $(cat /tmp/old)"));
        vm.wait_until(&format!("pidof {program} && ! pidof {program} | grep -qx \"$(cat /tmp/old)\""));
        works(vm, 2023);
    }
    let said = vm.ok("rc-service procd stop 2>&1");
    assert!(!said.stdout.contains("rror"), "{said:?}");
    vm.ok("! pidof procd && ! pidof dropbear && rc-service sshd status");
    vm.ok("rc-service procd start");
    works(vm, 2023);
    let listed = vm.xpkg("service list");
    let services = listed["services"].as_array().unwrap();
    let dropbear = services.iter().find(|s| s["name"] == "dropbear").unwrap();
    assert_eq!((&dropbear["running"], &dropbear["ecosystem"]), (&true.into(), &"openwrt".into()), "{listed:#}");
}

/// Everything is as it should be, dropbear on this port.
pub fn works(vm: &Vm, port: u16) {
    vm.wait_until("ubus list service && ubus list system");
    vm.wait_until(&format!("netstat -ltnp | grep -q ':{port} .*/dropbear'"));
    vm.ok("netstat -ltnp | grep -q ':22 .*/sshd'");
}

/// The root's own manager takes it away, and then nothing of it runs.
pub fn goes(vm: &Vm) {
    vm.ok("apk del dropbear procd uci");
    vm.ok("! pidof procd && ! pidof dropbear && ! pidof ubusd && rc-service sshd status");
    vm.ok("! ls -d /etc/openwrt /etc/init.d/procd /run/ubus /etc/runlevels/default/procd 2>/dev/null");
}
