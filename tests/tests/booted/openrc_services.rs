//! Services that were written for OpenRC, kept by procd: Alpine's sshd and chronyd beside OpenWrt's own dropbear, and the root's
//! own apk beside all of it.

use xpkg_tests::Vm;
use xpkg_tests::inside::KEYS;
use xpkg_tests::system::data_server;

const WANTED: [&str; 2] = ["alpine:openssh-server", "alpine:chrony"];
/// Pid files, and a word of the supervisor's command line. (The brackets keep the pattern from finding the shell that asks.)
const SERVICES: [(&str, &str, &str); 2] = [
    ("sshd", "/run/sshd.pid", "[a]pplet supervise.*sshd"),
    ("chronyd", "/run/chrony/chronyd.pid", "[a]pplet supervise.*chronyd"),
];
/// From the install to the last trace.
pub fn suite(vm: &Vm) {
    let url = format!("{}/alpine-3.19-iso", vm.url(data_server()));
    vm.ok(&format!("xpkg source add alpine-iso {url} --ecosystem alpine --keys /{KEYS} && xpkg update && apk update"));
    let keygen = || vm.ok("readlink /usr/bin/ssh-keygen; apk list -I openssh-keygen").stdout;
    let before = (vm.ok("apk list -I | sort").stdout, keygen());
    let plan = vm.xpkg(&format!("install {}", WANTED.join(" ")));
    assert_eq!((&plan["done"], &plan["script_failures"]), (&true.into(), &serde_json::json!([])), "{plan:#}");
    let uses = plan["host_uses"].as_array().unwrap();
    let settled = uses.iter().find(|u| u["requirement"] == "openssh-keygen=9.6_p1-r0").unwrap();
    assert_eq!((&settled["native"], settled["settled"].is_string()), (&"openssh-keygen".into(), true), "{settled:#}");
    // dropbear has 22, so it could not start yet.
    vm.ok("echo 'Port 2222' >>/etc/ssh/sshd_config; xpkg service restart sshd");
    started(vm);
    killed(vm);
    reloaded(vm);

    vm.reboot();
    started(vm);
    vm.ok("test -d /var/empty && ls -ld /var/lib/chrony/ | grep -q ' chrony '");
    assert_eq!(keygen(), before.1);
    content(vm);

    vm.ok("xpkg service disable chronyd && xpkg service stop chronyd && ! ls /etc/rc.d/*chronyd");
    vm.wait_until("! pgrep -f '[/]usr/sbin/chronyd'");
    // The native manager's own removal stops and disables, too.
    vm.ok("apk del openssh-server && ! ls /etc/rc.d/*sshd && ! test -e /etc/init.d/sshd");
    vm.wait_until("! pgrep -f '[/]usr/sbin/sshd'");
    vm.xpkg("remove alpine:chrony");
    vm.ok("xpkg source remove alpine-iso; rm -f /etc/ssh/sshd_config /etc/ssh/ssh_host_*");
    vm.ok("! ls -d /etc/init.d/chronyd /usr/lib/xpkg/openrc 2>/dev/null");
    assert_eq!((vm.ok("apk list -I | sort").stdout, keygen()), before);
}

/// Both run under procd, and dropbear has kept its port.
fn started(vm: &Vm) {
    vm.wait_until("netstat -ltn | grep -q ':2222 ' && test -s /run/chrony/chronyd.pid");
    vm.ok("netstat -ltn | grep -q ':22 ' && test -d /var/empty");
    vm.wait_until("xpkg service list | grep -Eq '^sshd +running +enabled +S60 +alpine'");
    vm.ok("xpkg service list | grep -E '^chronyd +running +enabled' && xpkg service list | grep -E '^dropbear +running +enabled'");
}

/// What is killed comes back, whichever half of it.
fn killed(vm: &Vm) {
    let back = |file: &str, old: &str| {
        vm.wait_until(&format!("test -s {file} && test $(cat {file}) != {old} && kill -0 $(cat {file})"));
    };
    // Both at the same time: procd waits five seconds each time.
    let all = |what: &dyn Fn(&str, &str) -> String| {
        let old = SERVICES.map(|(_, file, _)| vm.ok(&format!("cat {file}")).stdout.trim().to_owned());
        for (_, file, supervisor) in SERVICES {
            vm.ok(&what(file, supervisor));
        }
        for ((_, file, _), old) in SERVICES.iter().zip(&old) {
            back(file, old);
        }
    };
    all(&|file, _| format!("kill -9 $(cat {file})"));
    all(&|_, supervisor| format!("kill -9 $(pgrep -f '{supervisor}')"));
    vm.wait_until("netstat -ltn | grep -q ':2222 '");
}

/// sshd becomes another process on SIGHUP, and stays under its supervisor.
fn reloaded(vm: &Vm) {
    let supervisor = format!("pgrep -f '{}'", SERVICES[0].2);
    let above = vm.ok(&supervisor).stdout;
    vm.ok("sed -i 's/^Port 2222/Port 2223/' /etc/ssh/sshd_config; xpkg service reload sshd");
    vm.wait_until("netstat -ltn | grep -q ':2223 '");
    vm.ok("sed -i 's/^Port 2223/Port 2222/' /etc/ssh/sshd_config; xpkg service reload sshd");
    vm.wait_until("netstat -ltn | grep -q ':2222 '");
    assert_eq!(vm.ok(&supervisor).stdout, above);
}

/// The native manager goes on with its work, and leaves ours alone. (To the last line this is compared on a root that nobody
/// booted, in `openrc_on_openwrt.rs`.)
fn content(vm: &Vm) {
    // Its indexes lie in memory.
    vm.ok(
        "apk update && apk list -I | grep '^chrony-4.5-r0' && apk info -L chrony-openrc | grep -x etc/init.d/chronyd",
    );
    let upgrade = vm.ok("apk upgrade -s").stdout;
    assert!(!upgrade.contains("chrony") && !upgrade.contains("openssh-server"), "{upgrade}");
    vm.ok("apk add iw && apk info -L iw && apk del iw && apk list -I | grep '^openssh-server-9.6_p1-r0'");
}
