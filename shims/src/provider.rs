//! The generated package that tells the native manager what the root gives to foreign packages: without it, its next
//! run would find their dependencies unmet. It has no files. This builds its metadata; others write and remove it.

use std::collections::BTreeSet;

use ring::digest;
use xpkg_model::host::Host;
use xpkg_model::plan::HostUse;
use xpkg_model::{Dependency, Ecosystem, Identity, Op, Package, Provide, Requirement, dependency, version};

use crate::registration::{Generation, scheme};

/// Wins every choice between providers of a virtual name (Alpine's own `/bin/sh` has 100).
const PRIORITY: u32 = 1000;

/// What goes into the provider.
#[derive(Clone, Debug)]
pub struct ProviderInput {
    /// The world whose manager owns the root.
    pub native: Ecosystem,
    /// The world whose packages ask.
    pub foreign: Ecosystem,
    /// Names that installed foreign packages use and the root gives.
    pub provides: Vec<Provide>,
    /// Native packages that give them: the manager then refuses to take those away.
    pub depends: Vec<String>,
    /// The native manager.
    pub generation: Generation,
}

/// `xpkg-abi-alpine`, `xpkg-abi-openwrt`.
pub fn name(foreign: Ecosystem) -> String {
    format!("xpkg-abi-{foreign}")
}

/// Whether a native package is one of these.
pub fn is_provider(name: &str) -> bool {
    Ecosystem::ALL.into_iter().any(|e| self::name(e) == name)
}

impl ProviderInput {
    /// Collects what the uses of a plan (and of what is installed) take from the host. The caller gives the uses of
    /// *all* foreign packages that will be installed: the provider replaces the one before it.
    pub fn from_uses<'a>(
        host: &Host,
        foreign: Ecosystem,
        uses: impl IntoIterator<Item = &'a HostUse>,
        generation: Generation,
    ) -> Self {
        let mut out = Self { native: host.native, foreign, provides: Vec::new(), depends: Vec::new(), generation };
        for used in uses {
            for part in used.requirement.split(" | ") {
                let Ok(wanted) = part.parse::<Dependency>() else { continue };
                let rule = host
                    .provides
                    .iter()
                    .find(|p| p.provide.name == wanted.name && p.ecosystem.is_none_or(|e| e == foreign));
                let given = match rule {
                    Some(rule) => rule.provide.clone(),
                    None if dependency::is_shared(&wanted.name) => Provide::new(wanted.name.clone()),
                    None => continue, // a native package's own name: the manager finds it by itself
                };
                let native = used.native.clone().or_else(|| rule.and_then(|rule| rule.native.clone()));
                match &used.settled {
                    // The native package of that very name is there: apk lets no two packages give one name with a version.
                    Some(_) if native.as_deref() == Some(&wanted.name) => {}
                    Some(_) => out.provides.push(given),
                    None => out.provides.push(meet(given, &wanted)),
                }
                out.depends.extend(native);
            }
        }
        out
    }
}

/// The plan has settled that the root does for the requirement; the name must then carry a version that says so.
fn meet(given: Provide, wanted: &Dependency) -> Provide {
    let fits = Dependency { conflict: false, tag: None, ..wanted.clone() };
    if wanted.op == Op::ANY || fits.met_by(xpkg_model::VersionScheme::Apk, &given) || !wanted.op.has(Op::EQUAL) {
        given
    } else {
        Provide::versioned(given.name, wanted.version.clone())
    }
}

/// Builds the package. The same input gives the same version and identity, whatever its order.
pub fn generate(input: ProviderInput) -> Package {
    let mut provides: Vec<Provide> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut sorted = input.provides;
    // Versioned before unversioned: of two the one that says more stays.
    sorted.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| b.version.cmp(&a.version)));
    for mut provide in sorted {
        if !dependency::valid_name(&provide.name) || !seen.insert(provide.name.clone()) {
            continue;
        }
        provide.version = provide.version.and_then(|v| readable(&v, input.generation));
        provides.push(provide);
    }
    let depends: BTreeSet<String> =
        input.depends.into_iter().filter(|n| dependency::valid_package_name(n) && !is_provider(n)).collect();

    let mut package = Package::new(input.native, name(input.foreign), String::new());
    package.scheme = scheme(input.generation);
    package.arch = if input.generation == Generation::Opkg { "all" } else { "noarch" }.to_owned();
    package.description = format!("What this system gives to packages of {} (made by xpkg)", input.foreign);
    package.license = "MIT OR Apache-2.0".to_owned();
    package.origin.clone_from(&package.name);
    package.provider_priority = Some(PRIORITY);
    package.depends = depends.into_iter().map(|n| Requirement::from(Dependency::any(n))).collect();
    package.provides = provides;
    seal(&mut package, input.generation);
    package
}

fn readable(raw: &str, generation: Generation) -> Option<String> {
    match generation {
        Generation::Opkg => None, // opkg takes a versioned provide for a literal name
        Generation::Apk3 => version::is_valid_apk(raw).then(|| raw.to_owned()),
        Generation::Apk2 => {
            let mut whole = Package::new(Ecosystem::Alpine, "x", raw);
            whole.scheme = xpkg_model::VersionScheme::Apk;
            version::is_valid_apk(raw).then(|| crate::registration::native_version(&whole, Generation::Apk2))
        }
    }
}

/// Version and identity come from the content: another content is another package to the manager.
fn seal(package: &mut Package, generation: Generation) {
    use std::fmt::Write as _;
    let mut text = format!("{}\n{}\n", package.name, package.description);
    for requirement in &package.depends {
        let _ = writeln!(text, "D:{requirement}");
    }
    for provide in &package.provides {
        let _ = writeln!(text, "p:{provide}");
    }
    let sha256 = digest::digest(&digest::SHA256, text.as_bytes());
    let number = sha256.as_ref().iter().take(4).fold(0u32, |n, b| (n << 8) | u32::from(*b)) % 1_000_000_000;
    package.version = match generation {
        Generation::Opkg => format!("0-{number}"),
        Generation::Apk2 | Generation::Apk3 => format!("0-r{number}"),
    };
    let _ = writeln!(text, "V:{}", package.version);
    let first_20 = |bytes: &[u8]| std::array::from_fn(|i| bytes.get(i).copied().unwrap_or_default());
    package.identity = Some(match generation {
        Generation::Apk3 => {
            Identity::ApkSha256Short(first_20(digest::digest(&digest::SHA256, text.as_bytes()).as_ref()))
        }
        Generation::Apk2 | Generation::Opkg => {
            Identity::ApkSha1(first_20(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()).as_ref()))
        }
    });
}

#[cfg(test)]
mod tests {
    use xpkg_model::host::HostProvide;

    use super::*;

    fn input(provides: &[&str], depends: &[&str], generation: Generation) -> ProviderInput {
        ProviderInput {
            native: Ecosystem::Openwrt,
            foreign: Ecosystem::Alpine,
            provides: provides.iter().map(|p| p.parse::<Dependency>().unwrap().into()).collect(),
            depends: depends.iter().map(|d| (*d).to_owned()).collect(),
            generation,
        }
    }

    #[test]
    fn order_and_repetition_do_not_matter() {
        let a =
            generate(input(&["so:libz.so.1", "/bin/sh", "so:libz.so.1"], &["zlib", "libc", "zlib"], Generation::Apk3));
        let b = generate(input(&["/bin/sh", "so:libz.so.1"], &["libc", "zlib"], Generation::Apk3));
        assert_eq!(a, b);
        assert_eq!(a.name, "xpkg-abi-alpine");
        assert_eq!(a.depends.iter().map(ToString::to_string).collect::<Vec<_>>(), ["libc", "zlib"]);
        assert!(version::is_valid_apk(&a.version), "{}", a.version);
        let c = generate(input(&["/bin/sh"], &["libc", "zlib"], Generation::Apk3));
        assert!(a.version != c.version && a.identity != c.identity);
    }

    #[test]
    fn apk_2_sees_no_hash() {
        let made = generate(input(&["libc=2026.01.16~85922056-r1"], &[], Generation::Apk2));
        assert_eq!(made.provides, [Provide::versioned("libc", "2026.01.16-r1")]);
        let made = generate(input(&["libc=2026.01.16~85922056-r1"], &[], Generation::Apk3));
        assert_eq!(made.provides, [Provide::versioned("libc", "2026.01.16~85922056-r1")]);
    }

    #[test]
    fn uses_become_names_and_dependencies() {
        let rule = |ecosystem, text: &str, native: Option<&str>| HostProvide {
            ecosystem,
            provide: text.parse::<Dependency>().unwrap().into(),
            by: "rule".to_owned(),
            native: native.map(str::to_owned),
            any_version: None,
        };
        let host = Host {
            native: Ecosystem::Openwrt,
            arches: Vec::new(),
            provides: vec![
                rule(Some(Ecosystem::Alpine), "libcrypto3=3.5.5-r1", Some("libopenssl3")),
                rule(None, "/bin/sh", Some("busybox")),
                rule(None, "cmd:unused", None),
            ],
            masked: Vec::new(),
            apart: false,
        };
        let used = |requirement: &str, native: Option<&str>| HostUse {
            consumer: "alpine:x".to_owned(),
            requirement: requirement.to_owned(),
            by: String::new(),
            native: native.map(str::to_owned),
            settled: None,
        };
        let uses = [used("libcrypto3>=3.1.0", None), used("/bin/sh", None), used("so:libz.so.1", Some("zlib"))];
        let made = generate(ProviderInput::from_uses(&host, Ecosystem::Alpine, &uses, Generation::Apk3));
        let provides: Vec<String> = made.provides.iter().map(ToString::to_string).collect();
        assert_eq!(provides, ["/bin/sh", "libcrypto3=3.5.5-r1", "so:libz.so.1"]);
        let depends: Vec<String> = made.depends.iter().map(ToString::to_string).collect();
        assert_eq!(depends, ["busybox", "libopenssl3", "zlib"]);

        // Another version than the one asked for does: said with the version that is there, or by the package itself.
        let settled = |requirement: &str, native: &str| HostUse {
            settled: Some("it is only started".to_owned()),
            ..used(requirement, Some(native))
        };
        let mut host = host;
        host.provides.push(rule(Some(Ecosystem::Alpine), "openssh-keygen=10.2_p1-r1", Some("openssh-keygen")));
        let uses =
            [settled("libcrypto3=3.1.4-r5", "libopenssl3"), settled("openssh-keygen=9.6_p1-r0", "openssh-keygen")];
        let made = generate(ProviderInput::from_uses(&host, Ecosystem::Alpine, &uses, Generation::Apk3));
        assert_eq!(made.provides, [Provide::versioned("libcrypto3", "3.5.5-r1")]);
        let depends: Vec<String> = made.depends.iter().map(ToString::to_string).collect();
        assert_eq!(depends, ["libopenssl3", "openssh-keygen"]);
    }
}
