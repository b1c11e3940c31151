//! The static build of `xpkg` inside a root, as on a device: no `--root`, its own `/etc/xpkg`, whatever lies around it there.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use xpkg_fixtures::real::{self, Output, capture, skip};
use xpkg_model::Ecosystem;

use crate::System;
use crate::system::data_server;

/// Where `.ci/static` puts it, from the project's root.
const BUILT: &str = "target/static/x86_64-unknown-linux-musl/device/xpkg";
/// Where it lies in the root.
const PROGRAM: &str = "usr/bin/xpkg";
/// Where the public keys of the other world lie in the root.
pub const KEYS: &str = "root/keys";

/// The static build: `XPKG_STATIC_BIN`, else what `.ci/static` made. `None`, said aloud, where there is none.
pub fn static_binary() -> Option<PathBuf> {
    let given = std::env::var_os("XPKG_STATIC_BIN").map(PathBuf::from);
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
    let binary = given.unwrap_or_else(|| project.join(BUILT));
    if binary.is_file() {
        Some(binary)
    } else {
        skip(&format!("no static build at {}: see .ci/static", binary.display()))
    }
}

/// `xpkg` in a system.
pub struct Inside<'s> {
    system: &'s System,
    proc: bool,
}

impl<'s> Inside<'s> {
    /// Copies the static build into the root, and the other world's keys. `proc`: whether `/proc` is there when it runs.
    pub fn new(system: &'s System, proc: bool) -> Option<Self> {
        let program = system.dir().join(PROGRAM);
        fs::copy(static_binary()?, &program).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let release = if system.native == Ecosystem::Openwrt { "alpine-3.19" } else { "openwrt-25.12" };
        for entry in fs::read_dir(real::data()?.join(release).join("keys")).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().and_then(OsStr::to_str).unwrap();
            system.write(&format!("{KEYS}/{name}"), fs::read(&path).unwrap());
        }
        Some(Self { system, proc })
    }

    /// The same program in a root that has it already.
    pub fn of(system: &'s System) -> Self {
        Self { system, proc: true }
    }

    /// Runs it, by its name as a person does.
    pub fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Output {
        let args: Vec<_> = args.into_iter().map(|a| a.as_ref().to_owned()).collect();
        let words = ["xpkg", "--yes"].map(Into::into).into_iter().chain(args);
        if self.proc {
            return self.system.chroot.run(words).unwrap();
        }
        let mut command = Command::new("chroot");
        command.arg(self.system.dir()).args(words).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        capture(command).unwrap()
    }

    /// Runs it and expects success.
    pub fn ok<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Output {
        self.run(args).expect_success().unwrap()
    }

    /// Runs it with `--json`, expects success and reads the answer.
    pub fn json<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Value {
        let args = args.into_iter().map(|a| a.as_ref().to_owned());
        let out = self.ok(["--json".into()].into_iter().chain(args));
        serde_json::from_str(&out.stdout).unwrap_or_else(|e| panic!("{e}: {out:?}"))
    }

    /// Adds the sources of the other world and fetches every index, over http from loopback.
    pub fn bridge(&self) {
        let url = data_server().url();
        let (world, sources): (_, &[(&str, &str)]) = match self.system.native {
            Ecosystem::Openwrt => {
                ("alpine", &[("alpine-main", "alpine-3.19/main"), ("alpine-community", "alpine-3.19/community")])
            }
            _ => (
                "openwrt",
                &[
                    ("openwrt-base", "openwrt-25.12/base"),
                    ("openwrt-target", "openwrt-25.12/target/packages.adb"),
                    ("openwrt-packages", "openwrt-25.12/packages"),
                ],
            ),
        };
        for (name, path) in sources {
            let (url, keys) = (format!("{url}/{path}"), format!("/{KEYS}"));
            self.ok(["source", "add", name, &url, "--ecosystem", world, "--keys", &keys]);
        }
        self.ok(["update"]);
    }
}
