//! Every package of a release on a root of the other world: asked for, installed, its programs started; or refused, and the
//! refusal confirmed by something other than xpkg. Never keeps what it installed: each package gets a layer of its own.

mod layer;
mod reason;
mod start;
mod table;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use xpkg_fixtures::real;
use xpkg_formats::{Limits, package};
use xpkg_model::Ecosystem;

use crate::inside::static_binary;
use crate::{System, Xpkg};
use layer::Layers;
pub use reason::{Class, Refusal};
pub use start::Started;
pub use table::{document, summary};

/// A release and the root that its packages are put on.
pub struct Journey {
    /// Heading in the table.
    pub title: &'static str,
    /// A sentence about the root and the packages.
    pub about: &'static str,
    /// Whose the packages are.
    pub world: Ecosystem,
    /// Directory of the release in the real data.
    pub release: &'static str,
    /// Its repositories, and the folder of each in which the package files lie.
    pub repositories: &'static [(&'static str, &'static str)],
    /// Directory of the keys.
    pub keys: &'static str,
}

/// What reads OpenWrt's init scripts.
const RC_COMMON: &str = "etc/rc.common";

/// All that are looked at.
pub const JOURNEYS: [Journey; 4] = [
    Journey {
        title: "Alpine 3.19 on OpenWrt 25.12",
        about: "musl 1.2.5, apk 3; `main` and `community`, of which the data holds some package files only",
        world: Ecosystem::Alpine,
        release: "alpine-3.19",
        repositories: &[("main", "x86_64"), ("community", "x86_64")],
        keys: "alpine-3.19/keys",
    },
    Journey {
        title: "Alpine 3.19.1's installation medium on OpenWrt 25.12",
        about: "musl 1.2.5, apk 3; a repository complete in itself",
        world: Ecosystem::Alpine,
        release: "alpine-3.19-iso",
        repositories: &[("", "x86_64")],
        keys: "alpine-3.19/keys",
    },
    Journey {
        title: "OpenWrt 25.12 on Alpine 3.19",
        about: "musl 1.2.4, apk 2.14, OpenRC",
        world: Ecosystem::Openwrt,
        release: "openwrt-25.12",
        repositories: &[("target", ""), ("base", ""), ("luci", ""), ("packages", ""), ("routing", "")],
        keys: "openwrt-25.12/keys",
    },
    Journey {
        title: "OpenWrt 19.07 on Alpine 3.19",
        about: "ipk packages; musl 1.2.4, apk 2.14, OpenRC",
        world: Ecosystem::Openwrt,
        release: "openwrt-19.07",
        repositories: &[("target", ""), ("base", ""), ("luci", ""), ("packages", "")],
        keys: "openwrt-19.07/keys",
    },
];

/// What became of one package.
pub struct Row {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// How it went.
    pub outcome: Outcome,
}

/// How it went.
pub enum Outcome {
    /// It is there.
    Installed(Installed),
    /// Nothing was changed.
    Refused(Refusal),
}

/// What is there after an installation.
pub struct Installed {
    /// It took the place of busybox's links, which had to be asked for.
    pub replaced_applets: bool,
    /// It lies in a private layer.
    pub layered: bool,
    /// Scripts that failed, and how: on a root without an init some have nothing to talk to.
    pub scripts: Vec<String>,
    /// Programs that were started.
    pub programs: Vec<Started>,
    /// Services that the init scripts' own reader was asked about.
    pub services: Vec<Started>,
    /// For that, procd had to come.
    pub with_procd: bool,
}

impl Journey {
    fn dir(&self, repository: &(&str, &str)) -> PathBuf {
        real::data().unwrap().join(self.release).join(repository.0)
    }

    /// Name, version and file of every package of userland, once each; kernel modules of OpenWrt are none.
    fn packages(&self) -> BTreeMap<String, (String, PathBuf)> {
        let mut found = BTreeMap::new();
        for repository in self.repositories {
            for entry in fs::read_dir(self.dir(repository).join(repository.1)).unwrap() {
                let path = entry.unwrap().path();
                if path.extension().is_none_or(|e| e != "apk" && e != "ipk") {
                    continue;
                }
                let file = fs::File::open(&path).unwrap();
                let what = path.display().to_string();
                let opened = package::open(file, &what, self.world, &Limits::default()).unwrap();
                let package = &opened.meta().package;
                if !package.name.starts_with("kmod-") {
                    found.insert(package.name.clone(), (package.version.clone(), path));
                }
            }
        }
        found
    }

    /// The file of a package.
    fn file_of(&self, name: &str) -> Option<PathBuf> {
        self.packages().remove(name).map(|(_, path)| path)
    }

    /// Goes through all its packages, two at a time. `None`, said aloud, where that cannot be.
    pub fn go(&self) -> Option<Vec<Row>> {
        let native = if self.world == Ecosystem::Alpine { Ecosystem::Openwrt } else { Ecosystem::Alpine };
        let system = System::fresh(native)?;
        let data = real::data()?;
        // Files beside this test need no server.
        system.point_at(&data.display().to_string());
        // What goes onto devices: scripts of the root can be lent its applets, and it is the quicker one.
        let program = static_binary()?;
        let xpkg = system.xpkg().run_by(&program);
        let world = self.world.to_string();
        for (number, repository) in self.repositories.iter().enumerate() {
            let (dir, keys) = (self.dir(repository), data.join(self.keys));
            let packed = dir.join("packages.adb");
            let url = if packed.is_file() { packed } else { dir };
            let words = ["source", "add", &format!("journey-{number}"), url.to_str()?, "--ecosystem", &world];
            xpkg.ok(words.into_iter().chain(["--keys", keys.to_str()?]));
        }
        xpkg.ok(["update"]);
        let layers = Layers::over(&system);
        let packages: Vec<_> = self.packages().into_iter().map(|(name, (version, _))| (name, version)).collect();
        let (next, rows) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while let Some((name, version)) = packages.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let row = self.one(&layers, &system, &program, name, version);
                        rows.lock().unwrap().push(row);
                    }
                });
            }
        });
        let mut rows = rows.into_inner().unwrap();
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        Some(rows)
    }

    fn one(&self, layers: &Layers, system: &System, program: &Path, name: &str, version: &str) -> Row {
        let layer = layers.fresh();
        let xpkg = Xpkg::on(layer.root()).run_by(program);
        let world = self.world.to_string();
        let asked = format!("{world}:{name}");
        let mut answer = ask(&xpkg, &["install", &asked]);
        let mut replaced_applets = false;
        if reason::is_about_applets(&answer) {
            let again = ask(&xpkg, &["install", "--replace-applets", &asked]);
            if again["done"] == true {
                (replaced_applets, answer) = (true, again);
            }
        }
        let outcome = if answer["done"] == true {
            let scripts = answer["script_failures"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let scripts = scripts.map(str::to_owned).collect();
            let listed = ask(&xpkg, &["files", name]);
            let files: Vec<&str> = listed["files"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            // What services need lies beside the layer's own tree.
            let tree = ["usr", "lib", "bin", "sbin"].map(|dir| format!("/usr/lib/xpkg/{world}/{dir}/"));
            let layered = files.iter().any(|f| tree.iter().any(|dir| f.starts_with(dir)));
            let programs = start::programs(&layer, &files);
            let init_scripts = start::init_scripts(&files);
            // OpenWrt's services need its procd, which their packages do not ask for: on OpenWrt it is always there.
            let with_procd = !init_scripts.is_empty() && !layer.root().join(RC_COMMON).exists();
            if with_procd && self.world == Ecosystem::Openwrt {
                xpkg.ok(["install", "openwrt:procd"]);
            }
            let services = start::services(&layer, &init_scripts, system.native == Ecosystem::Alpine);
            Outcome::Installed(Installed { replaced_applets, layered, scripts, programs, services, with_procd })
        } else {
            let refusal = Refusal::of(&answer).unwrap_or_else(|| panic!("{asked}: not classified: {answer:#}"));
            refusal.confirm(self, system, &layer).unwrap_or_else(|why| panic!("{asked}: {refusal:?}: {why}"));
            Outcome::Refused(refusal)
        };
        Row { name: name.to_owned(), version: version.to_owned(), outcome }
    }
}

/// Runs it with `--json`; it answers in JSON whatever happens, and ends with 0 or 1.
fn ask(xpkg: &Xpkg, words: &[&str]) -> Value {
    let out = xpkg.clone().with(["--json"]).run(words);
    assert!(out.status == 0 || out.status == 1, "it did not end well: {out:?}");
    serde_json::from_str(&out.stdout).unwrap_or_else(|e| panic!("{e}: {out:?}"))
}
