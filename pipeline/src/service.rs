//! Services of a root, of both worlds behind one face: which there are, what is enabled, what runs; and starting them, which
//! their own scripts do inside the root. Never prints.

use std::sync::Mutex;

use serde::Serialize;
use xpkg_install::scripts::ScriptCall;
use xpkg_install::target::Target as _;
use xpkg_model::root::{NodeKind, RootView};
use xpkg_model::{Ecosystem, Event, Observer, RelPath};
use xpkg_shims::RootProbe;
use xpkg_shims::services::{Init, is_name, openrc, procd};

use crate::error::Error;
use crate::session::Session;

/// Where services lie.
const SERVICES: &str = "etc/init.d";
/// OpenWrt's links of enabled services.
const LINKS: &str = "etc/rc.d";
/// OpenRC's directories of enabled services.
const RUNLEVELS: &str = "etc/runlevels";
/// The runlevel that `enable` puts a service into on a root of OpenRC.
const RUNLEVEL: &str = "default";
/// How much of a script is looked at.
const MAX_SCRIPT: u64 = 262_144;
/// How many services are looked at.
const MAX_SERVICES: usize = 4096;

/// What can be asked of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ServiceAction {
    /// Start it when the system starts.
    Enable,
    /// Do not.
    Disable,
    /// Start it now.
    Start,
    /// Stop it now.
    Stop,
    /// Stop and start it.
    Restart,
    /// Have it read its configuration again.
    Reload,
}

impl ServiceAction {
    /// The word that scripts know.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enable => "enable",
            Self::Disable => "disable",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Reload => "reload",
        }
    }
}

/// One service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// The world whose package it is of, or whose script it is.
    pub ecosystem: Ecosystem,
    /// Whether it was written for the other world's init.
    pub translated: bool,
    /// Whether it starts with the system.
    pub enabled: bool,
    /// Where it stands in OpenWrt's start order.
    pub start: Option<u32>,
    /// OpenRC's runlevels that have it.
    pub runlevels: Vec<String>,
    /// Whether it runs; `None` where nothing runs.
    pub running: Option<bool>,
}

/// The services of a root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Services {
    /// What starts them.
    pub init: Init,
    /// Whether this root is the running system, started by that.
    pub booted: bool,
    /// By name.
    pub services: Vec<Service>,
}

impl Session {
    /// The services of this root.
    pub fn services(&mut self) -> Result<Services, Error> {
        let init = self.init();
        let booted = self.is_booted(init);
        let mut services = match init {
            Init::None => Vec::new(),
            _ => self.read_services(init)?,
        };
        if booted {
            let running = self.running(init)?;
            let has_guests = services.iter().any(|s| is_guest(init, s.ecosystem));
            let guests = if has_guests { self.guests_running()? } else { Vec::new() };
            for service in &mut services {
                let among = if is_guest(init, service.ecosystem) { &guests } else { &running };
                service.running = Some(among.contains(&service.name));
            }
        }
        Ok(Services { init, booted, services })
    }

    /// Does something with one service. Answers what its script said.
    pub fn service(&mut self, name: &str, action: ServiceAction) -> Result<Vec<String>, Error> {
        let init = self.init();
        // A world before the name chooses between two services of one name; alone, the root's own comes first.
        let (world, name) = match name.split_once(':').map(|(world, rest)| (world.parse::<Ecosystem>(), rest)) {
            Some((Ok(world), rest)) => (Some(world), rest),
            _ => (None, name),
        };
        let has = |dir: &str| {
            is_name(name)
                && RelPath::from_package(format!("{dir}/{name}").as_bytes())
                    .is_ok_and(|path| self.root.node(&path).ok().flatten().is_some())
        };
        let own = has(SERVICES) && !world.is_some_and(|world| is_guest(init, world));
        let guest = !own && init == Init::Openrc && world != Some(Ecosystem::Alpine) && has(procd::INIT_DIR);
        let there = own || guest;
        if init == Init::None {
            return Err(Error::NotPossible(
                "this root has neither procd nor OpenRC: no service starts here".to_owned(),
            ));
        }
        if !there {
            return Err(Error::NoSuch { what: "service", name: name.to_owned() });
        }
        let lasting = matches!(action, ServiceAction::Enable | ServiceAction::Disable);
        if !lasting && !self.is_booted(init) {
            return Err(Error::NotPossible(format!(
                "{name}: this root is not the running system, so nothing is started or stopped in it; what is enabled starts with it"
            )));
        }
        let command = match (init, action) {
            (Init::Openrc, action) if guest => {
                format!("mkdir -p /var/lock; /{} /etc/init.d/{name} {}", procd::ENTER, action.as_str())
            }
            (Init::Openrc, ServiceAction::Enable) => format!("rc-update add {name} {RUNLEVEL}"),
            (Init::Openrc, ServiceAction::Disable) => {
                let levels = self
                    .runlevels()?
                    .into_iter()
                    .filter(|(level, names)| is_name(level) && names.iter().any(|n| n == name));
                let each: Vec<String> = levels.map(|(level, _)| format!("rc-update delete {name} {level}")).collect();
                if each.is_empty() { "true".to_owned() } else { each.join(" && ") }
            }
            (Init::Openrc, action) => format!("rc-service {name} {}", action.as_str()),
            // rc.common cannot even enable a service without its lock, and a tree that nobody booted has none.
            (_, action) => format!("mkdir -p /var/lock; /etc/init.d/{name} {}", action.as_str()),
        };
        self.run_in_root(name, &command).and_then(|(said, failed)| match failed {
            None => Ok(said),
            Some(why) => {
                let said = said.last().map(|line| format!(": {}", line.trim())).unwrap_or_default();
                Err(Error::NotPossible(format!("{name} {}: {why}{said}", action.as_str())))
            }
        })
    }

    fn init(&self) -> Init {
        Init::of(&RootProbe::new(&self.root, [], Vec::new()))
    }

    /// Services are asked and started only where they run: in the system that this program runs on, started by its init.
    fn is_booted(&self, init: Init) -> bool {
        let there = |path: &'static str| {
            let real = self.root.real_path(&RelPath::literal(path), true);
            real.and_then(|real| self.root.node(&real)).is_ok_and(|node| node.is_some())
        };
        let started = match init {
            Init::Procd => there("var/run/ubus/ubus.sock") || there("var/run/ubus.sock"),
            Init::Openrc => there("run/openrc/softlevel"),
            Init::None => false,
        };
        started && self.root.dir() == std::path::Path::new("/")
    }

    fn read_services(&self, init: Init) -> Result<Vec<Service>, Error> {
        let links = self.names(LINKS)?;
        let levels = if init == Init::Openrc { self.runlevels()? } else { Vec::new() };
        let mut services = Vec::new();
        for name in self.names(SERVICES)?.into_iter().filter(|name| is_name(name)) {
            let Some(text) = self.script(SERVICES, &name)? else { continue };
            let Some(kind) = Kind::of(&text) else { continue };
            let runlevels: Vec<String> =
                levels.iter().filter(|(_, names)| names.contains(&name)).map(|(level, _)| level.clone()).collect();
            let linked = |link: &String| link.strip_prefix('S').and_then(|l| l.get(2..)).is_some_and(|l| l == name);
            services.push(Service {
                enabled: if init == Init::Openrc { !runlevels.is_empty() } else { links.iter().any(linked) },
                ecosystem: kind.ecosystem,
                translated: kind.translated,
                start: kind.start,
                runlevels,
                running: None,
                name,
            });
        }
        if init == Init::Openrc {
            services.extend(self.guests()?);
        }
        services.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(services)
    }

    /// OpenRC's runlevels and what is in each.
    fn runlevels(&self) -> Result<Vec<(String, Vec<String>)>, Error> {
        let of = |level: String| Ok((level.clone(), self.names(&format!("{RUNLEVELS}/{level}"))?));
        self.names(RUNLEVELS)?.into_iter().map(of).collect()
    }

    /// OpenWrt's services on a root of OpenRC, which OpenWrt's procd runs there.
    fn guests(&self) -> Result<Vec<Service>, Error> {
        let links = self.names(procd::RC_DIR)?;
        let mut guests = Vec::new();
        for name in self.names(procd::INIT_DIR)?.into_iter().filter(|name| is_name(name)) {
            let Some(text) = self.script(procd::INIT_DIR, &name)? else { continue };
            let Some(script) = procd::InitScript::parse(text.as_bytes()) else { continue };
            let enabled = script.links(&name).iter().any(|(link, _)| link.starts_with('S') && links.contains(link));
            guests.push(Service {
                enabled,
                ecosystem: Ecosystem::Openwrt,
                translated: true,
                start: script.start.and_then(|number| number.parse().ok()),
                runlevels: Vec::new(),
                running: None,
                name,
            });
        }
        Ok(guests)
    }

    /// Names of the guests that run; none while their procd does not.
    fn guests_running(&mut self) -> Result<Vec<String>, Error> {
        let (said, failed) = self.run_in_root("services", "ubus -t 5 call service list")?;
        Ok(if failed.is_none() { running_instances(&said.join("\n")) } else { Vec::new() })
    }

    fn names(&self, dir: &str) -> Result<Vec<String>, Error> {
        let failed = |e| Error::io(format!("reading /{dir}"))(e);
        let Ok(path) = RelPath::from_package(dir.as_bytes()) else { return Ok(Vec::new()) };
        if self.root.node(&path).map_err(failed)?.is_none() {
            return Ok(Vec::new());
        }
        let names = self.root.list(&path).map_err(failed)?;
        Ok(names.into_iter().filter_map(|name| String::from_utf8(name).ok()).take(MAX_SERVICES).collect())
    }

    fn script(&self, dir: &str, name: &str) -> Result<Option<String>, Error> {
        let Ok(path) = RelPath::from_package(format!("{dir}/{name}").as_bytes()) else { return Ok(None) };
        let failed = |e| Error::io(format!("reading {path}"))(e);
        let real = self.root.real_path(&path, true).map_err(failed)?;
        match self.root.node(&real).map_err(failed)? {
            Some(node) if node.kind == NodeKind::File && node.size <= MAX_SCRIPT => {}
            _ => return Ok(None),
        }
        let text = self.root.read(&real, MAX_SCRIPT).map_err(failed)?;
        Ok(text.map(|text| String::from_utf8_lossy(&text).into_owned()))
    }

    /// Names of what runs.
    fn running(&mut self, init: Init) -> Result<Vec<String>, Error> {
        match init {
            // OpenRC keeps a link for each (openrc, "RC_SVCDIR").
            Init::Openrc => self.names("run/openrc/started"),
            Init::Procd => {
                let (said, failed) = self.run_in_root("services", "ubus call service list")?;
                match failed {
                    None => Ok(running_instances(&said.join("\n"))),
                    Some(why) => Err(Error::NotPossible(format!("procd does not say what runs: {why}"))),
                }
            }
            Init::None => Ok(Vec::new()),
        }
    }

    /// Runs a line of shell in the root: what it said, and how it failed.
    fn run_in_root(&mut self, title: &str, command: &str) -> Result<(Vec<String>, Option<String>), Error> {
        let heard = Heard::default();
        let Some(runner) = self.root.script_runner() else {
            return Err(Error::NotPossible("that needs root's rights".to_owned()));
        };
        let call = ScriptCall {
            package: title.to_owned(),
            version: String::new(),
            kind: None,
            text: format!("#!/bin/sh\n{command}\n").into_bytes(),
            place: None,
            name: Some(format!("service.{title}")),
            args: Vec::new(),
            env: Vec::new(),
        };
        let failed = runner.run(&call, &heard).err();
        let said = heard.0.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        Ok((said, failed))
    }
}

/// Whether services of this world run under another init than the root's own.
fn is_guest(init: Init, world: Ecosystem) -> bool {
    init == Init::Openrc && world == Ecosystem::Openwrt
}

/// Keeps what a script says.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Observer for Heard {
    fn event(&self, event: Event) {
        if let Event::ScriptOutput { line, .. } = event {
            self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(line);
        }
    }
}

/// What a script's text says of itself.
struct Kind {
    ecosystem: Ecosystem,
    translated: bool,
    start: Option<u32>,
}

impl Kind {
    fn of(text: &str) -> Option<Self> {
        if openrc::is_for_openrc(text.as_bytes()) {
            return Some(Self { ecosystem: Ecosystem::Alpine, translated: false, start: None });
        }
        let script = procd::InitScript::parse(text.as_bytes())?;
        let translated = text.lines().any(|line| line.starts_with("XPKG_SCRIPT="));
        let start = script.start.and_then(|number| number.parse().ok());
        let ecosystem = if translated { Ecosystem::Alpine } else { Ecosystem::Openwrt };
        Some(Self { ecosystem, translated, start })
    }
}

/// Services with an instance that runs, from procd's answer to `service list`.
fn running_instances(answer: &str) -> Vec<String> {
    let Ok(serde_json::Value::Object(services)) = serde_json::from_str(answer) else { return Vec::new() };
    let runs = |service: &serde_json::Value| {
        let instances = service.get("instances").and_then(|i| i.as_object());
        instances.is_some_and(|all| {
            all.values().any(|i| i.get("running").and_then(serde_json::Value::as_bool) == Some(true))
        })
    };
    services.into_iter().filter(|(_, service)| runs(service)).map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_procd_says_runs() {
        let answer = r#"{ "dropbear": { "instances": { "instance1": { "running": true, "pid": 7 } } },
            "log": { "instances": { "a": { "running": false }, "b": { "running": true } } }, "boot": { }, "x": [] }"#;
        assert_eq!(running_instances(answer), ["dropbear", "log"]);
        assert!(running_instances("Command failed: Not found").is_empty());
    }

    #[test]
    fn scripts_say_what_they_are() {
        let kind = |text: &str| Kind::of(text).map(|k| (k.ecosystem, k.translated, k.start));
        assert_eq!(kind("#!/bin/sh /etc/rc.common\nSTART=19\n"), Some((Ecosystem::Openwrt, false, Some(19))));
        let made = "#!/bin/sh /etc/rc.common\nUSE_PROCD=1\nSTART=60\nXPKG_SCRIPT=/x\n";
        assert_eq!(kind(made), Some((Ecosystem::Alpine, true, Some(60))));
        assert_eq!(kind("#!/sbin/openrc-run\n"), Some((Ecosystem::Alpine, false, None)));
        assert_eq!(kind("#!/bin/sh\n"), None);
    }
}
