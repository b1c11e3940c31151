//! A real OpenWrt or Alpine in a directory of its own, its sources pointed at the real repositories on loopback.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use tempfile::TempDir;
use xpkg_fixtures::Server;
use xpkg_fixtures::real::{self, ALPINE_3_19, Chroot, OPENWRT_19_07, OPENWRT_25_12, Output};
use xpkg_model::Ecosystem;

use crate::{Databases, Xpkg};

/// The feeds of OpenWrt 19.07; `telephony` is empty.
const OPKG_FEEDS: [&str; 5] = ["target", "base", "luci", "packages", "telephony"];

/// A running root, as far as a chroot runs.
pub struct System {
    /// Whose manager owns it.
    pub native: Ecosystem,
    /// Runs its programs.
    pub chroot: Chroot,
    dir: PathBuf,
    /// What holds `dir`; mounts of other people may lie there instead.
    _temporary: Option<TempDir>,
}

impl System {
    /// A fresh OpenWrt 25.12; `None`, said aloud, where that cannot be.
    pub fn openwrt() -> Option<Self> {
        Self::fresh(Ecosystem::Openwrt)
    }

    /// A fresh Alpine 3.19; `None`, said aloud, where that cannot be.
    pub fn alpine() -> Option<Self> {
        Self::fresh(Ecosystem::Alpine)
    }

    /// A fresh OpenWrt 19.07, whose manager is opkg; `None`, said aloud, where that cannot be.
    pub fn openwrt_opkg() -> Option<Self> {
        Self::unpacked(OPENWRT_19_07, Ecosystem::Openwrt)
    }

    /// A fresh Debian, which is neither: the root that `.ci/setup` makes of its packages. `None`, said aloud, where it is not.
    pub fn debian() -> Option<Self> {
        if !ready() {
            return None;
        }
        let archive = std::env::var_os("XPKG_TOOLS").map(|dir| Path::new(&dir).join("debian/root.tar"));
        let Some(archive) = archive.filter(|archive| archive.is_file()) else {
            return real::skip("needs Debian's packages in $XPKG_TOOLS/debian: see .ci/setup");
        };
        let temporary = TempDir::with_prefix("xpkg-root-").unwrap();
        let dir = temporary.path().to_owned();
        let unpack: [&std::ffi::OsStr; 5] =
            ["--numeric-owner".as_ref(), "-xpf".as_ref(), archive.as_ref(), "-C".as_ref(), dir.as_ref()];
        real::run("tar", unpack).unwrap().expect_success().unwrap();
        Some(Self { native: Ecosystem::Other, chroot: Chroot::new(&dir).unwrap(), dir, _temporary: Some(temporary) })
    }

    /// A root of one static busybox, without any loader or library. `None`, said aloud, where there is no such busybox.
    pub fn bare() -> Option<Self> {
        let busybox = crate::vm::kernel::Kernel::find().filter(|_| ready())?.busybox;
        let temporary = TempDir::with_prefix("xpkg-root-").unwrap();
        let dir = temporary.path().to_owned();
        for name in ["bin", "etc", "lib", "proc", "tmp", "usr/bin", "usr/lib"] {
            fs::create_dir_all(dir.join(name)).unwrap();
        }
        fs::copy(busybox, dir.join("bin/busybox")).unwrap();
        for name in ["sh", "grep", "mount", "mountpoint", "mkdir", "ln", "sleep", "cat", "readlink"] {
            std::os::unix::fs::symlink("busybox", dir.join("bin").join(name)).unwrap();
        }
        fs::write(dir.join("etc/passwd"), "root:x:0:0:root:/:/bin/sh\n").unwrap();
        fs::write(dir.join("etc/group"), "root:x:0:\n").unwrap();
        Some(Self { native: Ecosystem::Other, chroot: Chroot::new(&dir).unwrap(), dir, _temporary: Some(temporary) })
    }

    /// A fresh system of that world.
    pub fn fresh(native: Ecosystem) -> Option<Self> {
        Self::unpacked(if native == Ecosystem::Openwrt { OPENWRT_25_12 } else { ALPINE_3_19 }, native)
    }

    fn unpacked(name: &str, native: Ecosystem) -> Option<Self> {
        if !ready() {
            return None;
        }
        let temporary = real::unpack_root(name).unwrap();
        let dir = temporary.path().to_owned();
        let system = Self { native, chroot: Chroot::new(&dir).unwrap(), dir, _temporary: Some(temporary) };
        system.point_at(&data_server().url());
        Some(system)
    }

    /// A root that lies here already, with its sources as they are.
    pub fn at(native: Ecosystem, dir: impl Into<PathBuf>) -> Self {
        let dir = dir.into();
        Self { native, chroot: Chroot::new(&dir).unwrap(), dir, _temporary: None }
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The list of native sources.
    pub fn list_file(&self) -> PathBuf {
        self.dir.join(match self.native {
            Ecosystem::Openwrt if self.has_opkg() => "etc/opkg/distfeeds.conf",
            Ecosystem::Openwrt => "etc/apk/repositories.d/distfeeds.list",
            _ => "etc/apk/repositories",
        })
    }

    /// Makes the native sources those of the real data, served at `url`.
    pub fn point_at(&self, url: &str) {
        let text: String = match self.native {
            Ecosystem::Openwrt if self.has_opkg() => {
                OPKG_FEEDS.iter().map(|feed| format!("src/gz openwrt_{feed} {url}/openwrt-19.07/{feed}\n")).collect()
            }
            Ecosystem::Openwrt => {
                let feeds = ["target", "base", "luci", "packages", "routing"];
                feeds.iter().map(|feed| format!("{url}/openwrt-25.12/{feed}/packages.adb\n")).collect()
            }
            _ => format!("{url}/alpine-3.19/main\n{url}/alpine-3.19/community\n"),
        };
        fs::write(self.list_file(), text).unwrap();
    }

    /// Adds a native source and the key that its index is signed with.
    pub fn add_native_source(&self, line: &str, key: xpkg_fixtures::Key) {
        let mut text = fs::read_to_string(self.list_file()).unwrap();
        text.push_str(line);
        text.push('\n');
        fs::write(self.list_file(), text).unwrap();
        let dir = if self.has_opkg() { "etc/opkg/keys" } else { "etc/apk/keys" };
        key.write_public(&self.dir.join(dir)).unwrap();
    }

    /// xpkg from outside.
    pub fn xpkg(&self) -> Xpkg {
        Xpkg::on(&self.dir)
    }

    /// Adds the sources of the other world to xpkg, with the keys that the real data names for them.
    pub fn add_foreign_sources(&self, xpkg: &Xpkg) {
        let sources: &[(&str, &str)] = match self.native {
            Ecosystem::Openwrt => &[("alpine-main", "alpine-3.19/main"), ("alpine-community", "alpine-3.19/community")],
            _ => &[
                ("openwrt-base", "openwrt-25.12/base"),
                ("openwrt-target", "openwrt-25.12/target/packages.adb"),
                ("openwrt-packages", "openwrt-25.12/packages"),
            ],
        };
        for (name, path) in sources {
            add_source(xpkg, name, path);
        }
    }

    /// Adds OpenWrt 19.07's feeds to xpkg, with the key that signs them.
    pub fn add_opkg_sources(&self, xpkg: &Xpkg) {
        for feed in OPKG_FEEDS {
            add_source(xpkg, &format!("owrt-{feed}"), &format!("openwrt-19.07/{feed}"));
        }
    }

    /// Whether its manager is opkg.
    pub fn has_opkg(&self) -> bool {
        self.has("usr/lib/opkg/status")
    }

    /// Runs a program of the root and expects success.
    pub fn ok<A: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Output {
        self.chroot.run(args).unwrap().expect_success().unwrap()
    }

    /// Runs a line of the root's shell and expects success.
    pub fn sh(&self, line: &str) -> Output {
        self.chroot.sh(line).unwrap().expect_success().unwrap()
    }

    /// Writes a file as the user of the system would.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.dir.join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Reads a file.
    pub fn read(&self, path: &str) -> Vec<u8> {
        let path = self.dir.join(path.trim_start_matches('/'));
        fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// Whether anything, a dangling link too, is at that path.
    pub fn has(&self, path: &str) -> bool {
        self.dir.join(path.trim_start_matches('/')).symlink_metadata().is_ok()
    }

    /// Permission bits, owner and group.
    pub fn mode_and_ids(&self, path: &str) -> (u32, u32, u32) {
        let meta = self.dir.join(path.trim_start_matches('/')).symlink_metadata().unwrap();
        (meta.permissions().mode() & 0o7777, meta.uid(), meta.gid())
    }

    /// What the native manager has on record.
    pub fn databases(&self) -> Databases {
        Databases::read(&self.dir, self.native)
    }
}

/// Real data and root rights, or words about what is missing.
pub fn ready() -> bool {
    real::data().is_some() && real::root_rights()
}

/// Serves the real data; one for all tests of a process.
pub fn data_server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| Server::start(real::data().unwrap()).unwrap())
}

/// Adds a repository of the real data, served on loopback, to xpkg, with the keys of its release.
pub fn add_source(xpkg: &Xpkg, name: &str, path: &str) {
    let world = if path.starts_with("alpine-") { "alpine" } else { "openwrt" };
    // The installation medium is signed as its release is.
    let release = path.split('/').next().unwrap().trim_end_matches("-iso");
    let keys = real::data().unwrap().join(release).join("keys");
    let url = format!("{}/{path}", data_server().url());
    xpkg.ok(["source", "add", name, &url, "--ecosystem", world, "--keys", keys.to_str().unwrap()]);
}
