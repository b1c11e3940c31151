//! The solve against trying every set of packages, on small generated universes.

mod support;

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use support::Case;
use xpkg_model::dependency::is_shared;
use xpkg_model::installed::InstalledPackage;
use xpkg_model::{Dependency, Ecosystem, Package, Provide, Requirement, Spec};

/// What one package of a generated universe looks like: world, name, version, requirements, conflict, provides.
type Seed = (bool, u8, u8, Vec<(u8, u8)>, Option<(u8, u8)>, Vec<(u8, bool)>);

fn dependency((name, condition): (u8, u8)) -> Dependency {
    let name = match name % 6 {
        n @ 0..=3 => format!("p{n}"),
        4 => "so:l.so".to_owned(),
        _ => "cmd:c".to_owned(),
    };
    let text = match condition % 5 {
        0 => format!("{name}>=2"),
        1 => format!("{name}<2"),
        _ => name,
    };
    text.parse().unwrap()
}

fn package((foreign, name, version, needs, conflict, provides): Seed) -> Package {
    let ecosystem = if foreign { Ecosystem::Openwrt } else { Ecosystem::Alpine };
    // Other builds of an OpenWrt package are presumed to give the same: one version each, so that nothing is presumed.
    let version = if foreign { 1 } else { version % 2 + 1 };
    let mut package = Package::new(ecosystem, format!("p{}", name % 4), version.to_string());
    package.arch = "noarch".to_owned();
    package.provider_priority = Some(10); // without one, apk asks the person
    package.depends = needs.into_iter().map(|n| Requirement::from(dependency(n))).collect();
    if let Some(against) = conflict {
        package.depends.push(Dependency { conflict: true, ..dependency(against) }.into());
    }
    for (name, versioned) in provides {
        let name = dependency((name, 4)).name;
        package.provides.push(if versioned { Provide::versioned(name, "1") } else { Provide::new(name) });
    }
    package
}

fn seed() -> impl Strategy<Value = Seed> {
    let needs = vec((any::<u8>(), any::<u8>()), 0..=2).prop_map(|mut n| {
        n.retain(|(a, _)| a % 3 > 0);
        n
    });
    let conflict = proptest::option::weighted(0.25, (any::<u8>(), any::<u8>()));
    let provides = vec((any::<u8>(), any::<bool>()), 0..2);
    (proptest::bool::weighted(0.3), any::<u8>(), any::<u8>(), needs, conflict, provides)
}

fn meets(all: &[Package], consumer: &Package, other: &Package, d: &Dependency) -> bool {
    (is_shared(&d.name) || consumer.ecosystem == other.ecosystem) && other.meets(d)
        || stands_in(all, consumer, other, d)
}

/// A native package that gives every library of a foreign one which meets the name.
fn stands_in(all: &[Package], consumer: &Package, other: &Package, d: &Dependency) -> bool {
    let libraries = |p: &Package| -> Vec<String> {
        p.provides.iter().filter(|v| v.name.starts_with("so:")).map(|v| v.name.clone()).collect()
    };
    let given = libraries(other);
    let replaced = |p: &Package| {
        let wanted = libraries(p);
        p.ecosystem == consumer.ecosystem
            && p.meets(d)
            && !wanted.is_empty()
            && wanted.iter().all(|w| given.contains(w))
    };
    consumer.ecosystem == Ecosystem::Openwrt
        && other.ecosystem == Ecosystem::Alpine
        && !is_shared(&d.name)
        && d.met_by_version(other.scheme, &other.version)
        && all.iter().any(replaced)
}

fn conflicts(consumer: &Package, other: &Package, d: &Dependency) -> bool {
    (is_shared(&d.name) || consumer.ecosystem == other.ecosystem) && other.meets(d)
}

/// Whether these packages may be on one root together.
fn valid(all: &[Package], set: &[&Package]) -> bool {
    let claims =
        |p: &Package, name: &str| p.name == name || p.provides.iter().any(|v| v.version.is_some() && v.name == name);
    set.iter().enumerate().all(|(i, p)| {
        let met = |r: &Requirement| r.alternatives().iter().any(|d| set.iter().any(|o| meets(all, p, o, d)));
        let free = |d: &Dependency| {
            !set.iter().any(|o| (o.name != p.name || o.ecosystem != p.ecosystem) && conflicts(p, o, d))
        };
        let alone = set.iter().skip(i + 1).all(|o| {
            let names =
                std::iter::once(&p.name).chain(p.provides.iter().filter(|v| v.version.is_some()).map(|v| &v.name));
            o.name != p.name && (o.ecosystem != p.ecosystem || !names.into_iter().any(|n| claims(o, n)))
        });
        p.requirements().all(met) && p.conflicts().all(free) && alone
    })
}

fn answers(all: &[Package], installed: &[Package], wanted: &[Spec]) -> bool {
    (0u32..1 << all.len()).any(|bits| {
        let set: Vec<&Package> = all.iter().enumerate().filter(|(i, _)| bits >> i & 1 == 1).map(|(_, p)| p).collect();
        let stays =
            |i: &Package| set.iter().any(|p| p.name == i.name && p.ecosystem == i.ecosystem && p.version >= i.version);
        let there = |s: &Spec| set.iter().any(|p| Some(p.ecosystem) == s.ecosystem && p.meets(&s.dependency));
        installed.iter().all(stays) && wanted.iter().all(there) && valid(all, &set)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn finds_an_answer_exactly_where_there_is_one(
        seeds in vec(seed(), 1..8),
        here in any::<u8>(),
        wanted in vec((any::<bool>(), 0u8..4, any::<u8>()), 1..3),
        upgrade in any::<bool>(),
    ) {
        let mut all: Vec<Package> = Vec::new();
        for package in seeds.into_iter().map(package) {
            if !all.iter().any(|p| p.key() == package.key()) {
                all.push(package);
            }
        }
        // Of a random set, what can be on one root together.
        let mut chosen: Vec<&Package> = all.iter().enumerate().filter(|(i, _)| here >> i & 1 == 1).map(|(_, p)| p).collect();
        while !valid(&all, &chosen) {
            chosen.pop();
        }
        let installed: Vec<Package> = chosen.into_iter().cloned().collect();
        let mut case = Case::new("generated");
        case.offers.packages = all.iter().cloned().map(Arc::new).collect();
        for (i, package) in installed.iter().cloned().enumerate() {
            let foreign = package.ecosystem != Ecosystem::Alpine;
            let one = InstalledPackage { package: package.into(), explicit: i % 2 == 0, held: false, foreign, registered_as: None };
            case.installed.packages.push(one);
        }
        for (foreign, name, condition) in wanted {
            let ecosystem = if foreign { Ecosystem::Openwrt } else { Ecosystem::Alpine };
            case.request.install.push(Spec { ecosystem: Some(ecosystem), dependency: dependency((name, condition)) });
        }
        if upgrade {
            case.request.upgrade = xpkg_resolver::Upgrade::All;
        }
        let possible = answers(&all, &installed, &case.request.install);
        match case.solve() {
            Ok((solution, _)) => {
                let set: Vec<&Package> = solution.packages().map(|p| &**p).collect();
                prop_assert!(valid(&all, &set), "not a valid root: {:?}", set.iter().map(|p| p.key().to_string()).collect::<Vec<_>>());
                prop_assert!(possible);
            }
            Err(e) => prop_assert!(!possible, "{}", e),
        }
    }
}
