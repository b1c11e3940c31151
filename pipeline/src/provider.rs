//! The generated package that tells the native manager what this root gives to foreign packages: for all of them that will
//! be there, not only for those that come.

use xpkg_model::host::Host;
use xpkg_model::installed::Installed;
use xpkg_model::plan::HostUse;
use xpkg_model::{Action, Dependency, Ecosystem, Op, Package, Plan, Provide, Requirement, dependency};
use xpkg_shims::provider::{ProviderInput, generate as build};

use crate::error::Error;
use crate::libraries::Library;
use crate::prepare::Ground;

/// The provider that the root needs after the plan; `None` when no foreign package will be there.
pub(crate) fn generate(
    ground: &Ground<'_>,
    host: &Host,
    installed: &Installed,
    libraries: &[Library],
    plan: &Plan,
) -> Result<Option<Package>, Error> {
    let native = ground.system.native;
    if native == Ecosystem::Other {
        return Ok(None); // nobody there would read it
    }
    let Some(foreign) = Ecosystem::ALL.into_iter().find(|e| *e != native) else { return Ok(None) };
    let goes = |p: &Package| {
        plan.steps.iter().any(|s| {
            s.package.ecosystem == p.ecosystem && s.package.name == p.name
                || s.action == Action::Replace
                    && s.old.as_ref().is_some_and(|o| o.ecosystem == p.ecosystem && o.name == p.name)
        })
    };
    let staying: Vec<&Package> = installed.packages.iter().map(|p| &*p.package).filter(|p| !goes(p)).collect();
    let coming: Vec<&Package> = plan.incoming().map(|s| s.package.as_ref()).collect();
    let all: Vec<&Package> = staying.iter().chain(&coming).copied().collect();
    let guests: Vec<&Package> = all.iter().filter(|p| p.ecosystem == foreign).copied().collect();
    if guests.is_empty() {
        return Ok(None);
    }
    let mut uses: Vec<HostUse> = Vec::new();
    let mut aliases: Vec<(Provide, String)> = Vec::new();
    for guest in &guests {
        for requirement in guest.requirements() {
            if all.iter().any(|p| registered_meets(p, guest, requirement, libraries)) {
                continue; // the native database says so by itself
            }
            let planned = plan
                .host_uses
                .iter()
                .find(|u| u.consumer == guest.scoped() && u.requirement == requirement.to_string());
            let used = planned.cloned().or_else(|| from_host(host, guest, requirement, libraries));
            let Some(used) = used else { continue };
            for wanted in requirement.alternatives() {
                let of_host = host.provides.iter().any(|p| p.provide.name == wanted.name);
                if let (false, false, Some(name)) = (dependency::is_shared(&wanted.name), of_host, &used.native) {
                    aliases.push((alias(wanted, name, &all, native), name.clone()));
                }
            }
            uses.push(used);
        }
    }
    let mut input = ProviderInput::from_uses(host, foreign, &uses, ground.system.manager);
    for (provide, name) in aliases {
        input.provides.push(provide);
        input.depends.push(name);
    }
    Ok(Some(build(input)))
}

/// Whether the native database, which knows names and declared provides but not the sonames that we read from files, sees
/// the requirement met by this package.
fn registered_meets(package: &Package, consumer: &Package, requirement: &Requirement, libraries: &[Library]) -> bool {
    let declared = |wanted: &Dependency| {
        let by_name = package.ecosystem == consumer.ecosystem && package.meets_by_name(wanted);
        let scope = package.ecosystem == consumer.ecosystem || dependency::is_shared(&wanted.name);
        let proven = wanted.name.strip_prefix("so:").is_some_and(|soname| {
            package.ecosystem == Ecosystem::Openwrt
                && libraries.iter().any(|l| l.soname == soname && l.owner.as_deref() == Some(&package.name))
        });
        by_name || scope && !proven && package.provides.iter().any(|p| wanted.met_by(package.scheme, p))
    };
    requirement.alternatives().iter().any(declared)
}

/// What an installed guest takes from the host, by the same rules that let it in.
fn from_host(host: &Host, guest: &Package, requirement: &Requirement, libraries: &[Library]) -> Option<HostUse> {
    requirement.alternatives().iter().find_map(|wanted| {
        let rule = host
            .provides
            .iter()
            .find(|p| p.provide.name == wanted.name && p.ecosystem.is_none_or(|e| e == guest.ecosystem));
        let (by, native, settled) = match rule {
            Some(rule) => {
                let settled = rule.settled(wanted, guest.ecosystem, guest.scheme).map(str::to_owned);
                (rule.by.clone(), rule.native.clone(), settled)
            }
            None => {
                let soname = wanted.name.strip_prefix("so:")?;
                let library = libraries.iter().find(|l| l.soname == soname)?;
                (library.file.to_string(), library.owner.clone(), None)
            }
        };
        Some(HostUse { consumer: guest.scoped(), requirement: requirement.to_string(), by, native, settled })
    })
}

/// A foreign package name that a native package stands for. It carries the native version when that meets the
/// condition, else the one that was asked for.
fn alias(wanted: &Dependency, native_name: &str, all: &[&Package], native: Ecosystem) -> Provide {
    let package = all.iter().find(|p| p.ecosystem == native && p.name == native_name);
    let version = match package {
        Some(package) if wanted.met_by_version(package.scheme, &package.version) => package.version.clone(),
        _ if wanted.op != Op::ANY => wanted.version.clone(),
        _ => "0".to_owned(),
    };
    Provide::versioned(wanted.name.clone(), version)
}
