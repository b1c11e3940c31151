//! The questions that rules ask about a root, and the answers of any [`RootView`]. Reads only names and links.

use std::collections::BTreeMap;

use xpkg_model::root::{NodeKind, RootView};
use xpkg_model::{Ecosystem, RelPath};

/// The libc of a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Libc {
    /// musl.
    Musl,
    /// GNU libc.
    Glibc,
    /// uClibc and uClibc-ng.
    Uclibc,
    /// None found.
    None,
}

/// A library of a native package, proven from its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NativeSoname {
    /// `libz.so.1`.
    pub soname: String,
    /// Native package that has it.
    pub package: String,
}

/// A command of the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// File name.
    pub name: String,
    /// Absolute path.
    pub path: String,
    /// Absolute path with links followed: an applet's is its busybox.
    pub real: String,
    /// Native package that owns the real file, where known.
    pub owner: Option<String>,
}

/// What rules want to know about a root.
pub trait HostProbe {
    /// Whether something is at an absolute path, links followed.
    fn exists(&self, path: &str) -> bool;
    /// Where an absolute path leads once its links are followed; `None` when nothing is there.
    fn leads_to(&self, _path: &str) -> Option<String> {
        None
    }
    /// Version of an installed native package, raw.
    fn native_package(&self, name: &str) -> Option<String>;
    /// Architecture words that the native manager accepts (`/etc/apk/arch`, opkg's `arch` lines), `noarch` left out.
    fn arch_words(&self) -> Vec<String>;
    /// The root's libc.
    fn libc(&self) -> Libc;
    /// `x86_64` of `/lib/ld-musl-x86_64.so.1`.
    fn musl_arch(&self) -> Option<String>;
    /// Commands in these directories; the first of a name counts.
    fn commands(&self, dirs: &[String]) -> Vec<Command>;
    /// The release of the root's system: `25.12.2`, `3.19.1`; `None` where its files do not say.
    fn release(&self) -> Option<String> {
        None
    }
    /// Libraries of native packages, as far as their files were read.
    fn sonames(&self) -> Vec<NativeSoname> {
        Vec::new()
    }
}

/// Finds the native owner of an absolute real path.
pub type OwnerOf<'a> = Box<dyn Fn(&str) -> Option<String> + 'a>;

/// A file that names a release has a few lines.
const MAX_RELEASE: u64 = 64 << 10;
/// How many names of one directory are looked at.
const MAX_NAMES: usize = 20_000;

/// Answers from a root's files and a list of its native packages.
pub struct RootProbe<'a> {
    root: &'a dyn RootView,
    packages: BTreeMap<String, String>,
    arch_words: Vec<String>,
    sonames: Vec<NativeSoname>,
    owner: Option<OwnerOf<'a>>,
}

impl<'a> RootProbe<'a> {
    /// A probe that knows the native packages (name, version) and the accepted architecture words.
    pub fn new(
        root: &'a dyn RootView,
        packages: impl IntoIterator<Item = (String, String)>,
        arch_words: Vec<String>,
    ) -> Self {
        Self { root, packages: packages.into_iter().collect(), arch_words, sonames: Vec::new(), owner: None }
    }

    /// Adds what reading the native packages' files proved.
    pub fn with_sonames(mut self, sonames: Vec<NativeSoname>) -> Self {
        self.sonames = sonames;
        self
    }

    /// Adds who owns which file.
    pub fn with_owner(mut self, owner: OwnerOf<'a>) -> Self {
        self.owner = Some(owner);
        self
    }

    fn real(&self, path: &str) -> Option<RelPath> {
        let path = RelPath::from_absolute(path).ok()?;
        let real = self.root.real_path(&path, true).ok()?;
        self.root.node(&real).ok().flatten().map(|_| real)
    }

    fn loaders(&self) -> Vec<String> {
        let mut names = Vec::new();
        for dir in ["/lib", "/lib64"] {
            let Ok(dir) = RelPath::from_absolute(dir) else { continue };
            for name in self.root.list(&dir).unwrap_or_default() {
                match String::from_utf8(name) {
                    Ok(name) if name.starts_with("ld") => names.push(format!("{dir}/{name}")),
                    _ => {}
                }
            }
        }
        names
    }
}

impl HostProbe for RootProbe<'_> {
    fn leads_to(&self, path: &str) -> Option<String> {
        self.real(path).map(|real| real.to_string())
    }

    fn exists(&self, path: &str) -> bool {
        self.real(path).is_some()
    }

    fn native_package(&self, name: &str) -> Option<String> {
        self.packages.get(name).cloned()
    }

    fn arch_words(&self) -> Vec<String> {
        self.arch_words.clone()
    }

    fn libc(&self) -> Libc {
        let loaders = self.loaders();
        let file = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        let any = |prefixes: &[&str]| {
            loaders.iter().any(|l| prefixes.iter().any(|p| file(l).starts_with(p)) && self.exists(l))
        };
        // A wrapper such as gcompat's ld-linux beside musl's loader does not make a glibc root.
        if any(&["ld-musl-"]) {
            Libc::Musl
        } else if any(&["ld-uClibc", "ld64-uClibc"]) {
            Libc::Uclibc
        } else if any(&["ld-linux", "ld64.so", "ld.so.1"]) {
            Libc::Glibc
        } else {
            Libc::None
        }
    }

    fn musl_arch(&self) -> Option<String> {
        self.loaders().into_iter().filter(|path| self.exists(path)).find_map(|path| {
            let name = path.rsplit('/').next()?;
            Some(name.strip_prefix("ld-musl-")?.strip_suffix(".so.1")?.to_owned())
        })
    }

    fn commands(&self, dirs: &[String]) -> Vec<Command> {
        let mut seen = BTreeMap::new();
        for dir in dirs {
            let Ok(parsed) = RelPath::from_absolute(dir) else { continue };
            for name in self.root.list(&parsed).unwrap_or_default().into_iter().take(MAX_NAMES) {
                let Ok(name) = String::from_utf8(name) else { continue };
                if seen.contains_key(&name) || !xpkg_model::dependency::valid_name(&name) {
                    continue;
                }
                let path = format!("{}/{name}", dir.trim_end_matches('/'));
                let Some(real) = self.real(&path) else { continue }; // a link that leads nowhere
                let node = self.root.node(&real).ok().flatten();
                if !node.is_some_and(|n| matches!(n.kind, NodeKind::File) && n.mode & 0o111 != 0) {
                    continue;
                }
                let real = real.to_string();
                let owner = self.owner.as_ref().and_then(|owner| owner(&real));
                seen.insert(name.clone(), Command { name, path, real, owner });
            }
        }
        seen.into_values().collect()
    }

    fn sonames(&self) -> Vec<NativeSoname> {
        self.sonames.clone()
    }

    fn release(&self) -> Option<String> {
        let read = |path: &'static str| {
            let bytes = self.root.read(&RelPath::literal(path), MAX_RELEASE).ok().flatten()?;
            Some(String::from_utf8_lossy(&bytes).into_owned())
        };
        let plain = |text: &str| text.trim().trim_matches(['"', '\'']).to_owned();
        if let Some(text) = read("etc/openwrt_release") {
            return text.lines().find_map(|line| line.strip_prefix("DISTRIB_RELEASE=")).map(plain);
        }
        read("etc/alpine-release").map(|text| plain(&text)).filter(|text| !text.is_empty())
    }
}

/// A root as packages in a private layer see it: its files and commands, but neither its libc nor its libraries.
pub struct Apart<'a>(pub &'a dyn HostProbe);

impl HostProbe for Apart<'_> {
    fn leads_to(&self, path: &str) -> Option<String> {
        self.0.leads_to(path)
    }
    fn exists(&self, path: &str) -> bool {
        self.0.exists(path)
    }
    fn native_package(&self, name: &str) -> Option<String> {
        self.0.native_package(name)
    }
    fn arch_words(&self) -> Vec<String> {
        self.0.arch_words()
    }
    fn libc(&self) -> Libc {
        Libc::None
    }
    fn musl_arch(&self) -> Option<String> {
        None
    }
    fn commands(&self, dirs: &[String]) -> Vec<Command> {
        self.0.commands(dirs)
    }
}

/// The native side of a root by its own files: OpenWrt has `/etc/openwrt_release`, Alpine `/etc/alpine-release`.
pub fn native_of(root: &dyn RootView) -> Option<Ecosystem> {
    let has = |path| RelPath::from_absolute(path).ok().and_then(|p| root.node(&p).ok().flatten()).is_some();
    if has("/etc/openwrt_release") || has("/etc/openwrt_version") {
        Some(Ecosystem::Openwrt)
    } else if has("/etc/alpine-release") {
        Some(Ecosystem::Alpine)
    } else {
        None
    }
}
