//! When foreign packages live in a private layer, and what that means for a plan. One world has one place on one root: when the
//! first of its packages needs the layer, those that were among the root's own files move into it in the same transaction.
//! Writes nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use xpkg_install::target::Target;
use xpkg_model::adaptation::{LayerPolicy, Placement};
use xpkg_model::installed::{Installed, InstalledPackage};
use xpkg_model::plan::{Reason, Step};
use xpkg_model::{Action, Dependency, Ecosystem, Op, Plan, Spec};
use xpkg_resolver::Request;
use xpkg_shims::{HostProbe as _, Libc};

use crate::error::Error;
use crate::prepare::Ground;

/// Where foreign packages go, before anything was tried; and why into a layer, for the plan, where neither a person said so
/// nor the layer is there already.
pub(crate) fn placement(
    ground: &Ground<'_>,
    installed: &Installed,
) -> Result<(Placement, Option<&'static str>), Error> {
    let inside = xpkg_install::installed::layered(ground.root)?;
    match ground.layer {
        LayerPolicy::Always => Ok((Placement::Layer, None)),
        LayerPolicy::Never => match inside.first() {
            None => Ok((Placement::Host, None)),
            Some((ecosystem, name)) => Err(Error::NotPossible(format!(
                "{ecosystem}:{name} lives in the private layer of its world: remove it before `--layer=never`"
            ))),
        },
        LayerPolicy::Auto if !inside.is_empty() => Ok((Placement::Layer, None)),
        LayerPolicy::Auto => {
            let libc = crate::host::probe(ground, installed, &[]).libc();
            let host = if ground.system.native == Ecosystem::Other {
                // Such a root may have a loader of musl beside that of its own programs, for programs of a person's own.
                let machine =
                    xpkg_repos::sources::machine(ground.root).map_err(Error::io("reading the root's shell"))?;
                machine.and_then(|m| m.interpreter).is_some_and(|loader| loader.contains("/ld-musl-"))
            } else {
                // A root on which nothing is yet has no libc either, and gets its own.
                libc == Libc::Musl || libc == Libc::None && installed.packages.is_empty()
            };
            Ok(if host { (Placement::Host, None) } else { (Placement::Layer, Some(unfit(libc))) })
        }
    }
}

fn unfit(libc: Libc) -> &'static str {
    match libc {
        Libc::Glibc => "the root's C library is glibc, and their programs are built for musl",
        Libc::Uclibc => "the root's C library is uClibc, and their programs are built for musl",
        Libc::None => "the root has no loader",
        Libc::Musl => "the root's own programs do not use musl",
    }
}

/// Foreign packages that are among the root's own files and would have to move.
pub(crate) fn outside(root: &dyn Target, installed: &Installed) -> Result<Vec<InstalledPackage>, Error> {
    let inside = xpkg_install::installed::layered(root)?;
    let key = |p: &InstalledPackage| (p.package.ecosystem, p.package.name.clone());
    Ok(installed.packages.iter().filter(|p| p.foreign && !inside.contains(&key(p))).cloned().collect())
}

/// The root as if those packages were not there, and the request with those among them that a person wanted.
pub(crate) fn without(installed: &Installed, moving: &[InstalledPackage], request: &Request) -> (Installed, Request) {
    let mut rest = installed.clone();
    let is = |a: &InstalledPackage, b: &InstalledPackage| {
        (a.package.ecosystem, &a.package.name) == (b.package.ecosystem, &b.package.name)
    };
    rest.packages.retain(|p| !moving.iter().any(|m| is(m, p)));
    let mut request = request.clone();
    let named = |specs: &[Spec], m: &InstalledPackage| {
        let (ecosystem, name) = (m.package.ecosystem, &m.package.name);
        specs.iter().any(|s| s.ecosystem.is_none_or(|e| e == ecosystem) && s.dependency.name == *name)
    };
    let removed: Vec<Spec> = request.remove.clone();
    request.remove.retain(|s| !moving.iter().any(|m| named(std::slice::from_ref(s), m)));
    for package in moving.iter().filter(|m| m.explicit && !named(&removed, m)) {
        if named(&request.install, package) {
            continue;
        }
        let exact = Dependency {
            op: Op::EQUAL,
            version: package.package.version.clone(),
            ..Dependency::any(package.package.name.clone())
        };
        request.install.push(Spec { ecosystem: Some(package.package.ecosystem), dependency: exact });
    }
    (rest, request)
}

/// Says in the plan that those packages move: they are there already, and what is no longer needed goes.
pub(crate) fn move_in(plan: &mut Plan, moving: &[InstalledPackage], asked: &Request) {
    let mut comes: BTreeSet<(Ecosystem, String)> = BTreeSet::new();
    for step in plan.steps.iter_mut().filter(|s| s.action == Action::Install) {
        let key = (step.package.ecosystem, step.package.name.clone());
        let Some(old) = moving.iter().find(|m| (m.package.ecosystem, &m.package.name) == (key.0, &key.1)) else {
            continue;
        };
        step.action = Action::Replace;
        step.old = Some(Arc::clone(&old.package));
        let named = asked.install.iter().any(|s| step.package.meets(&s.dependency));
        step.explicit = old.explicit || step.explicit && named;
        step.reason = Reason::Displaced { why: "moves into the private layer".to_owned() };
        comes.insert(key);
    }
    for old in moving.iter().filter(|m| !comes.contains(&(m.package.ecosystem, m.package.name.clone()))) {
        let named = asked.remove.iter().any(|s| s.dependency.name == old.package.name);
        let reason = if named { Reason::Requested } else { Reason::Orphan };
        let package = Arc::clone(&old.package);
        plan.steps.insert(0, Step { action: Action::Remove, package, old: None, reason, explicit: false });
    }
}
