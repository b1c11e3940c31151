//! The mini-language of the cases: a universe, what is installed, the host, a request, and what must come of it.
//!
//! ```text
//! == title                      a new case
//! native openwrt                whose root it is (first line of a case)
//! have openwrt:zlib 1.3-r1 explicit held | provides: so:libz.so.1
//! offer alpine:jq 1.7-r0 | depends: so:libz.so.1 !foo | install_if: a b | priority: 10 | arch: x | layer: 1 | id: 7 | scheme: deb
//! file alpine:x 1-r0            a package file given by the request
//! host alpine so:libc.so by words [native NAME [any WHY …]]      `-` instead of a world: shared
//! mask alpine:musl why …
//! world foo=1
//! hint openwrt so:libz.so.1 zlib
//! proves openwrt:zlib 1.3-r1 so:libz.so.1
//! unfit openwrt:zlib 1.3-r1 so:libz.so.1 [for alpine:jq 1.7-r0] : why …
//! unavailable|impossible alpine:x 1 : why …      clash alpine:a 1 openwrt:b 1 : why …      hostunfit CAP for alpine:x 1 : why …
//! install …   remove …   upgrade [NAME…]   autoremove   cascade   prefer alpine
//! + alpine:jq 1.7-r0 [reason]   ~ alpine:x 1 -> 2   - alpine:y 1     the steps, in order
//! nothing                                         no steps
//! uses alpine:jq so:libz.so.1 from WORDS          a host use, in any order
//! notes WORDS · fails WORDS                       text that must be there
//! ```
#![allow(dead_code, reason = "each test uses its part")]

use std::sync::Arc;

use xpkg_model::candidates::CandidatesError;
use xpkg_model::dependency::parse_list;
use xpkg_model::host::{Host, HostProvide};
use xpkg_model::installed::{Installed, InstalledPackage};
use xpkg_model::learnt::Fact;
use xpkg_model::plan::Reason;
use xpkg_model::{
    Action, Candidates, Dependency, Ecosystem, Identity, Package, PackageKey, Plan, Provide, Requirement, Spec,
    VersionScheme,
};
use xpkg_resolver::{Problem, Request, Solution, Unsolvable, Upgrade, plan, solve};

/// Offered packages and hints.
#[derive(Default)]
pub struct Offers {
    pub packages: Vec<Arc<Package>>,
    pub hints: Vec<(Ecosystem, String, String)>,
}

impl Candidates for Offers {
    fn named(&self, ecosystem: Ecosystem, name: &str) -> Result<Vec<Arc<Package>>, CandidatesError> {
        Ok(self.packages.iter().filter(|p| p.ecosystem == ecosystem && p.name == name).cloned().collect())
    }
    fn providing(&self, ecosystem: Ecosystem, name: &str) -> Result<Vec<Arc<Package>>, CandidatesError> {
        let gives = |p: &&Arc<Package>| p.ecosystem == ecosystem && p.provides.iter().any(|v| v.name == name);
        Ok(self.packages.iter().filter(gives).cloned().collect())
    }
    fn installed_if(&self, ecosystem: Ecosystem, name: &str) -> Result<Vec<Arc<Package>>, CandidatesError> {
        let names = |p: &&Arc<Package>| p.ecosystem == ecosystem && p.install_if.iter().any(|v| v.name == name);
        Ok(self.packages.iter().filter(names).cloned().collect())
    }
    fn hinted(&self, ecosystem: Ecosystem, capability: &str) -> Result<Vec<String>, CandidatesError> {
        let fits = self.hints.iter().filter(|(e, c, _)| *e == ecosystem && c == capability);
        Ok(fits.map(|(_, _, name)| name.clone()).collect())
    }
}

/// Everything a case says.
pub struct Case {
    pub title: String,
    pub offers: Offers,
    pub installed: Installed,
    pub host: Host,
    pub learnt: Vec<Fact>,
    pub request: Request,
    pub steps: Vec<String>,
    pub nothing: bool,
    pub uses: Vec<String>,
    pub notes: Vec<String>,
    pub fails: Vec<String>,
}

impl Case {
    pub fn new(title: &str) -> Self {
        let arch = |e: Ecosystem| (e, "x86_64".to_owned());
        Self {
            title: title.to_owned(),
            offers: Offers::default(),
            installed: Installed::default(),
            host: Host {
                apart: false,
                native: Ecosystem::Alpine,
                arches: Ecosystem::ALL.into_iter().map(arch).collect(),
                provides: Vec::new(),
                masked: Vec::new(),
            },
            learnt: Vec::new(),
            request: Request::default(),
            steps: Vec::new(),
            nothing: false,
            uses: Vec::new(),
            notes: Vec::new(),
            fails: Vec::new(),
        }
    }

    pub fn solve(&self) -> Result<(Solution, Plan), Unsolvable> {
        let problem = Problem {
            installed: &self.installed,
            host: &self.host,
            candidates: &self.offers,
            request: &self.request,
            learnt: &self.learnt,
        };
        let solution = solve(&problem)?;
        let plan = plan(&problem, &solution);
        Ok((solution, plan))
    }

    /// What differs from what the case expects.
    pub fn check(&self) -> Result<(), String> {
        match self.solve() {
            Err(e) if self.fails.is_empty() => Err(format!("unexpected failure\n{e}")),
            Err(e) => {
                let text = e.to_string();
                match self.fails.iter().find(|f| !text.contains(f.as_str())) {
                    Some(missing) => Err(format!("the reasons do not say `{missing}`\n{text}")),
                    None => Ok(()),
                }
            }
            Ok((_, plan)) => self.check_plan(&plan),
        }
    }

    fn check_plan(&self, plan: &Plan) -> Result<(), String> {
        let all: Vec<String> = plan.steps.iter().map(step).collect();
        let listing = all.join("\n");
        if !self.fails.is_empty() {
            return Err(format!("no failure, but\n{listing}"));
        }
        let same = |(got, wanted): (&String, &String)| got == wanted || got.starts_with(&format!("{wanted} "));
        if all.len() != self.steps.len() || !all.iter().zip(&self.steps).all(same) {
            return Err(format!("other steps:\n{listing}\nnotes: {:?}", plan.notes));
        }
        if all.is_empty() && !self.nothing {
            return Err("the case expects nothing but does not say so".to_owned());
        }
        let uses: Vec<String> = plan
            .host_uses
            .iter()
            .map(|u| {
                let settled = u.settled.iter().map(|why| format!(" because {why}")).collect::<String>();
                format!("{} {} from {}{settled}", u.consumer, u.requirement, u.by)
            })
            .collect();
        if let Some(missing) = self.uses.iter().find(|u| !uses.contains(u)) {
            return Err(format!("no use `{missing}` among {uses:#?}"));
        }
        match self.notes.iter().find(|n| !plan.notes.iter().any(|note| note.contains(n.as_str()))) {
            Some(missing) => Err(format!("no note `{missing}` among {:#?}", plan.notes)),
            None => Ok(()),
        }
    }
}

fn step(step: &xpkg_model::Step) -> String {
    let p = &step.package;
    let reason = match &step.reason {
        Reason::Requested => "requested",
        Reason::Needed { .. } => "needed",
        Reason::InstallIf => "install-if",
        Reason::Upgrade => "upgrade",
        Reason::Orphan => "orphan",
        Reason::Displaced { .. } => "displaced",
    };
    match (step.action, &step.old) {
        (Action::Install, _) => format!("+ {}:{} {} {reason}", p.ecosystem, p.name, p.version),
        (Action::Remove, _) => format!("- {}:{} {} {reason}", p.ecosystem, p.name, p.version),
        (Action::Replace, Some(old)) => {
            format!("~ {}:{} {} -> {} {reason}", p.ecosystem, p.name, old.version, p.version)
        }
        (Action::Replace, None) => format!("~ {}:{} ? -> {} {reason}", p.ecosystem, p.name, p.version),
    }
}

/// Reads a file of cases.
pub fn parse(text: &str) -> Result<Vec<Case>, String> {
    let mut cases: Vec<Case> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(title) = line.strip_prefix("== ") {
            cases.push(Case::new(title));
            continue;
        }
        let case = cases.last_mut().ok_or("a line before the first case")?;
        read_line(case, line).map_err(|e| format!("line {}: `{line}`: {e}", number + 1))?;
    }
    Ok(cases)
}

type Failure = Box<dyn std::error::Error>;

fn read_line(case: &mut Case, line: &str) -> Result<(), Failure> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let (facts, why) = rest.split_once(" : ").unwrap_or((rest, ""));
    let words: Vec<&str> = facts.split_whitespace().collect();
    let why = why.to_owned();
    match word {
        "native" => case.host.native = rest.parse()?,
        "have" => {
            let (package, flags) = package(rest)?;
            let foreign = package.ecosystem != case.host.native;
            let has = |flag: &str| flags.iter().any(|f| f == flag);
            let (explicit, held) = (has("explicit"), has("held"));
            case.installed.packages.push(InstalledPackage {
                package: package.into(),
                explicit,
                held,
                foreign,
                registered_as: None,
            });
        }
        "offer" => case.offers.packages.push(Arc::new(package(rest)?.0)),
        "file" => case.request.local.push(Arc::new(package(rest)?.0)),
        "host" => {
            let [scope, capability, "by", by, native @ ..] = words.as_slice() else { return Err("host?".into()) };
            case.host.provides.push(HostProvide {
                ecosystem: (*scope != "-").then(|| scope.parse()).transpose()?,
                provide: Provide::from(capability.parse::<Dependency>()?),
                by: (*by).to_owned(),
                native: native.get(1).map(|n| (*n).to_owned()),
                any_version: native.get(2).map(|_| native.get(3..).unwrap_or_default().join(" ")),
            });
        }
        "mask" => {
            let (name, why) = rest.split_once(' ').ok_or("why?")?;
            let (ecosystem, name) = name.split_once(':').ok_or("world?")?;
            case.host.masked.push((ecosystem.parse()?, name.to_owned(), why.to_owned()));
        }
        "world" => case.installed.world.push(rest.parse()?),
        "hint" => {
            let [ecosystem, capability, name] = words.as_slice() else { return Err("hint?".into()) };
            case.offers.hints.push((ecosystem.parse()?, (*capability).to_owned(), (*name).to_owned()));
        }
        "proves" => {
            let [name, version, capabilities @ ..] = words.as_slice() else { return Err("proves?".into()) };
            let provides =
                capabilities.iter().map(|c| c.parse::<Dependency>().map(Provide::from)).collect::<Result<_, _>>()?;
            case.learnt.push(Fact::Provides { package: key(name, version)?, provides });
        }
        "unfit" => {
            let [name, version, capability, whom @ ..] = words.as_slice() else { return Err("unfit?".into()) };
            let consumer = match whom {
                ["for", name, version] => Some(key(name, version)?),
                _ => None,
            };
            let (provider, capability) = (key(name, version)?, (*capability).to_owned());
            case.learnt.push(Fact::Unfit { provider, capability, consumer, why });
        }
        "unavailable" | "impossible" => {
            let [name, version] = words.as_slice() else { return Err("which?".into()) };
            let package = key(name, version)?;
            case.learnt.push(match word {
                "impossible" => Fact::Impossible { package, why },
                _ => Fact::Unavailable { package, why },
            });
        }
        "hostunfit" => {
            let [capability, "for", name, version] = words.as_slice() else { return Err("hostunfit?".into()) };
            let (capability, consumer) = ((*capability).to_owned(), key(name, version)?);
            case.learnt.push(Fact::HostUnfit { capability, consumer, why });
        }
        "clash" => {
            let [a, b, c, d] = words.as_slice() else { return Err("clash?".into()) };
            case.learnt.push(Fact::Clash { first: key(a, b)?, second: key(c, d)?, why });
        }
        "install" => case.request.install.extend(specs(rest)?),
        "remove" => case.request.remove.extend(specs(rest)?),
        "upgrade" if rest.is_empty() => case.request.upgrade = Upgrade::All,
        "upgrade" => case.request.upgrade = Upgrade::Named(specs(rest)?),
        "autoremove" => case.request.autoremove = true,
        "cascade" => case.request.cascade = true,
        "prefer" => case.request.prefer = Some(rest.parse()?),
        "+" | "~" | "-" => case.steps.push(line.to_owned()),
        "nothing" => case.nothing = true,
        "uses" => case.uses.push(rest.to_owned()),
        "notes" => case.notes.push(rest.to_owned()),
        "fails" => case.fails.push(rest.to_owned()),
        other => return Err(format!("unknown word `{other}`").into()),
    }
    Ok(())
}

fn specs(text: &str) -> Result<Vec<Spec>, Failure> {
    text.split_whitespace().map(|s| Ok(s.parse()?)).collect()
}

fn key(name: &str, version: &str) -> Result<PackageKey, Failure> {
    let (ecosystem, name) = name.split_once(':').ok_or("world?")?;
    Ok(PackageKey { ecosystem: ecosystem.parse()?, name: name.to_owned(), version: version.to_owned(), identity: None })
}

/// `world:name version flags | field: values | …`
fn package(text: &str) -> Result<(Package, Vec<String>), Failure> {
    let mut parts = text.split('|').map(str::trim);
    let mut head = parts.next().unwrap_or_default().split_whitespace();
    let (name, version) = (head.next().ok_or("name?")?, head.next().ok_or("version?")?);
    let key = key(name, version)?;
    let mut package = Package::new(key.ecosystem, key.name, key.version);
    package.arch = "x86_64".to_owned();
    for part in parts {
        let (field, value) = part.split_once(':').ok_or("field?")?;
        let value = value.trim();
        match field {
            // `a/b` stands for opkg's `a | b`.
            "depends" => {
                for token in value.split_whitespace() {
                    let alternatives = match token.starts_with('/') {
                        true => parse_list(token)?,
                        false => token.split('/').map(str::parse).collect::<Result<_, _>>()?,
                    };
                    package.depends.extend(Requirement::any_of(alternatives));
                }
            }
            "provides" => package.provides = parse_list(value)?.into_iter().map(Provide::from).collect(),
            "replaces" => package.replaces = parse_list(value)?,
            "install_if" => package.install_if = parse_list(value)?,
            "recommends" => package.recommends = parse_list(value)?.into_iter().map(Requirement::from).collect(),
            "essential" => package.opkg.get_or_insert_default().essential = value == "yes",
            "priority" => package.provider_priority = Some(value.parse()?),
            "arch" => package.arch = value.to_owned(),
            "scheme" if value == "deb" => package.scheme = VersionScheme::Deb,
            "layer" => package.layer = value.parse()?,
            "id" => package.identity = Some(Identity::ApkSha1([value.parse()?; 20])),
            other => return Err(format!("unknown field `{other}`").into()),
        }
    }
    Ok((package, head.map(str::to_owned).collect()))
}
