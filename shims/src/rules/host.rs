//! Applies rules to one root: the answers become a [`Host`], which is all that the resolver sees.

use std::collections::{BTreeMap, BTreeSet};

use xpkg_model::accounts::Account;
use xpkg_model::host::{Host, HostProvide};
use xpkg_model::{Ecosystem, Provide};

use super::{HookAction, ProvideRow, Release, RuleFile, Rules, glob, rule_name};
use crate::registration::apk_version;
use crate::{HostProbe, hints};

impl Rules {
    /// What a root gives to foreign packages. Sonames of native packages themselves are not among it: whoever has read
    /// their files adds them.
    pub fn host(&self, native: Ecosystem, probe: &dyn HostProbe) -> Host {
        let words = probe.arch_words();
        let mut host = Host {
            native,
            arches: words.iter().map(|word| (native, word.clone())).collect(),
            provides: Vec::new(),
            masked: Vec::new(),
            apart: false,
        };
        for file in self.files.iter().filter(|f| f.native == native) {
            arches(&mut host, file, &words);
            for row in &file.provide {
                provide(&mut host, file, row, probe);
            }
            libraries(&mut host, file, probe);
            commands(&mut host, file, probe);
            for row in &file.mask {
                let there = row.file.is_empty() || row.file.iter().any(|path| probe.exists(path));
                let fits = row.loader.is_none_or(|libc| libc == probe.libc());
                if there && fits && holds(row.release.as_ref(), probe) {
                    for package in &row.packages {
                        host.masked.push((file.foreign, package.clone(), row.reason.clone()));
                    }
                }
            }
        }
        tidy(&mut host);
        host
    }
}

impl Rules {
    /// What a rule says of scripts that call a tool which the root has not: whether they are not run at all, and why.
    pub fn hook(&self, foreign: Ecosystem, probe: &dyn HostProbe, tool: &str) -> Option<(bool, String)> {
        let rows = self.files.iter().filter(|f| f.foreign == foreign).flat_map(|f| &f.hook);
        let row =
            rows.filter(|row| holds(row.release.as_ref(), probe)).find(|row| row.tools.iter().any(|t| t == tool))?;
        Some((row.action == HookAction::Refuse, row.reason.clone()))
    }

    /// Accounts that a package counts on although it does not say so: those of its own world's base.
    pub fn accounts(&self, foreign: Ecosystem, probe: &dyn HostProbe, package: &str) -> Vec<Account> {
        let rows = self.files.iter().filter(|f| f.foreign == foreign).flat_map(|f| &f.account);
        let rows = rows.filter(|row| holds(row.release.as_ref(), probe) && row.packages.iter().any(|p| p == package));
        rows.flat_map(|row| {
            row.accounts.iter().filter_map(|word| word.parse::<Account>().ok()).map(|mut account| {
                if let Some(user) = &mut account.user {
                    user.home.clone_from(&row.home);
                }
                account
            })
        })
        .collect()
    }
}

pub(super) fn holds(condition: Option<&Release>, probe: &dyn HostProbe) -> bool {
    condition.is_none_or(|condition| probe.release().is_some_and(|release| condition.met_by(&release)))
}

fn arches(host: &mut Host, file: &RuleFile, words: &[String]) {
    for row in &file.arch {
        let matches = |word: &String| row.native.iter().any(|p| glob(p).is_ok_and(|g| g.is_match(word)));
        if words.iter().any(matches) {
            host.arches.extend(row.foreign.iter().map(|word| (file.foreign, word.clone())));
        }
    }
}

pub(super) fn provide(host: &mut Host, file: &RuleFile, row: &ProvideRow, probe: &dyn HostProbe) {
    let native = row.native.iter().find_map(|name| Some((name, probe.native_package(name)?)));
    let holds = holds(row.release.as_ref(), probe)
        && (row.file.is_empty() || row.file.iter().any(|path| probe.exists(path)))
        && row.loader.is_none_or(|libc| libc == probe.libc())
        && (row.native.is_empty() || row.optional || native.is_some());
    if !holds {
        return;
    }
    let version = native.as_ref().and_then(|(_, version)| apk_version(version));
    let arch = probe.musl_arch();
    for written in &row.names {
        if written.contains("$ARCH") && arch.is_none() {
            continue;
        }
        let Ok(name) = rule_name(written, file, arch.as_deref().unwrap_or_default(), version.as_deref()) else {
            continue; // checked when the file was read; a native version may still be no word of the grammar
        };
        host.provides.push(HostProvide {
            ecosystem: name.ecosystem,
            provide: name.provide,
            by: row.by.clone(),
            native: native.as_ref().map(|(name, _)| (*name).clone()),
            any_version: row.any_version.clone(),
        });
    }
}

/// Names of packages that come with the libraries which the root has.
fn libraries(host: &mut Host, file: &RuleFile, probe: &dyn HostProbe) {
    let sonames = probe.sonames();
    let owners: BTreeMap<&str, &str> = sonames.iter().map(|s| (s.soname.as_str(), s.package.as_str())).collect();
    for row in &file.library {
        let Some(package) = owners.get(row.soname.as_str()).filter(|_| holds(row.release.as_ref(), probe)) else {
            continue;
        };
        let version = probe.native_package(package).and_then(|v| apk_version(&v));
        for written in &row.names {
            let Ok(name) = rule_name(written, file, "", version.as_deref()) else { continue };
            host.provides.push(HostProvide {
                ecosystem: name.ecosystem,
                provide: name.provide,
                by: format!("{} of {package}", row.soname),
                native: Some((*package).to_owned()),
                any_version: row.any_version.clone(),
            });
        }
    }
    if file.foreign == Ecosystem::Openwrt {
        openwrt_names(host, &owners);
    }
}

/// OpenWrt's packages ask for each other by name, never by soname: a package whose libraries are all here is here.
fn openwrt_names(host: &mut Host, owners: &BTreeMap<&str, &str>) {
    for (soname, package) in owners {
        for name in hints::packages_for(soname) {
            let wanted = hints::sonames_of(&name);
            let all_here = !wanted.is_empty() && wanted.iter().all(|s| owners.contains_key(s.as_str()));
            if all_here && wanted.iter().any(|s| s == soname) {
                host.provides.push(HostProvide {
                    ecosystem: Some(Ecosystem::Openwrt),
                    provide: Provide::new(name),
                    by: format!("{soname} of {package}"),
                    native: Some((*package).to_owned()),
                    any_version: None,
                });
            }
        }
    }
}

fn commands(host: &mut Host, file: &RuleFile, probe: &dyn HostProbe) {
    if file.commands.dirs.is_empty() {
        return;
    }
    for command in probe.commands(&file.commands.dirs) {
        host.provides.push(HostProvide {
            ecosystem: None,
            provide: Provide::new(format!("cmd:{}", command.name)),
            by: if command.real == command.path {
                command.path
            } else {
                format!("{} (it is {})", command.path, command.real)
            },
            native: command.owner,
            any_version: None,
        });
    }
}

/// Drops what is said twice; what was said first stays.
fn tidy(host: &mut Host) {
    let mut seen = BTreeSet::new();
    host.provides.retain(|p| seen.insert((p.ecosystem, p.provide.name.clone())));
    let mut seen = BTreeSet::new();
    host.masked.retain(|(ecosystem, name, _)| seen.insert((*ecosystem, name.clone())));
    let mut seen = BTreeSet::new();
    host.arches.retain(|entry| seen.insert(entry.clone()));
}

#[cfg(test)]
mod tests {
    use crate::probe::{Command, HostProbe, Libc, NativeSoname};

    use super::*;

    struct Facts {
        files: &'static [&'static str],
        packages: &'static [(&'static str, &'static str)],
        sonames: &'static [(&'static str, &'static str)],
        arch: &'static str,
    }

    impl HostProbe for Facts {
        fn exists(&self, path: &str) -> bool {
            self.files.contains(&path)
        }
        fn native_package(&self, name: &str) -> Option<String> {
            self.packages.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())
        }
        fn arch_words(&self) -> Vec<String> {
            vec![self.arch.to_owned()]
        }
        fn libc(&self) -> Libc {
            Libc::Musl
        }
        fn musl_arch(&self) -> Option<String> {
            Some("x86_64".to_owned())
        }
        fn commands(&self, _: &[String]) -> Vec<Command> {
            let (path, real) = ("/bin/grep".to_owned(), "/bin/busybox".to_owned());
            vec![Command { name: "grep".to_owned(), path, real, owner: Some("busybox".to_owned()) }]
        }
        fn sonames(&self) -> Vec<NativeSoname> {
            let one = |(s, p): &(&str, &str)| NativeSoname { soname: (*s).to_owned(), package: (*p).to_owned() };
            self.sonames.iter().map(one).collect()
        }
    }

    fn given(host: &Host, ecosystem: Option<Ecosystem>, name: &str) -> Option<(String, Option<String>)> {
        let found = host.provides.iter().find(|p| p.ecosystem == ecosystem && p.provide.name == name)?;
        Some((found.provide.to_string(), found.native.clone()))
    }

    fn some(provide: &str, native: &str) -> Option<(String, Option<String>)> {
        Some((provide.to_owned(), Some(native.to_owned())))
    }

    #[test]
    fn an_openwrt_host() {
        let facts = Facts {
            files: &["/bin/sh", "/etc/ssl/certs/ca-certificates.crt"],
            packages: &[
                ("libc", "1.2.5-r5"),
                ("busybox", "1.37.0-r6"),
                ("libopenssl3", "3.5.5-r1"),
                ("base-files", "1"),
            ],
            sonames: &[("libcrypto.so.3", "libopenssl3")],
            arch: "aarch64_cortex-a53",
        };
        let host = crate::load_builtin().unwrap().host(Ecosystem::Openwrt, &facts);
        assert_eq!(given(&host, None, "so:libc.musl-x86_64.so.1"), some("so:libc.musl-x86_64.so.1=1", "libc"));
        assert_eq!(given(&host, Some(Ecosystem::Alpine), "musl"), some("musl=1.2.5-r5", "libc"));
        assert_eq!(given(&host, None, "/bin/sh"), some("/bin/sh", "busybox"));
        assert_eq!(given(&host, None, "cmd:grep"), some("cmd:grep", "busybox"));
        assert_eq!(given(&host, Some(Ecosystem::Alpine), "libcrypto3"), some("libcrypto3=3.5.5-r1", "libopenssl3"));
        // The file is there, no package has it: given, but by nobody.
        let bundle = given(&host, Some(Ecosystem::Alpine), "ca-certificates-bundle");
        assert_eq!(bundle, Some(("ca-certificates-bundle".to_owned(), None)));
        assert_eq!(given(&host, Some(Ecosystem::Alpine), "tzdata"), None);
        assert!(host.accepts(Ecosystem::Alpine, "aarch64") && !host.accepts(Ecosystem::Alpine, "x86_64"));
        assert!(host.masked(Ecosystem::Alpine, "musl").is_some_and(|why| why.contains("C library")));
        assert!(host.masked(Ecosystem::Alpine, "jq").is_none());
    }

    #[test]
    fn an_alpine_host() {
        let facts = Facts {
            files: &["/bin/sh"],
            packages: &[("musl", "1.2.4_git20230717-r4"), ("busybox-binsh", "1.36.1-r15"), ("zlib", "1.3.1-r0")],
            sonames: &[("libz.so.1", "zlib"), ("libjson-c.so.5", "json-c"), ("libcrypto.so.3", "libcrypto3")],
            arch: "x86_64",
        };
        let host = crate::load_builtin().unwrap().host(Ecosystem::Alpine, &facts);
        let openwrt = Some(Ecosystem::Openwrt);
        assert_eq!(given(&host, openwrt, "libc"), some("libc=1.2.4_git20230717-r4", "musl"));
        assert_eq!(given(&host, openwrt, "zlib"), some("zlib", "zlib"));
        assert_eq!(given(&host, openwrt, "libjson-c5"), some("libjson-c5", "json-c"));
        assert_eq!(given(&host, openwrt, "libopenssl3"), None, "libssl.so.3 is not there");
        // No bundle on this root: OpenWrt's may come.
        assert!(host.masked(Ecosystem::Openwrt, "ca-bundle").is_none());
        assert!(host.masked(Ecosystem::Openwrt, "kernel").is_some());
    }

    #[test]
    fn rules_of_the_person_add_to_the_built_in() {
        let text = "schema = '1.0.0'\nrequires-xpkg = '*'\nnative = 'openwrt'\nforeign = 'alpine'\n\
                    [[mask]]\npackages = ['vim']\nreason = 'use nano'\n[[provide]]\nnames = ['cmd:vi']\nby = 'me'\n";
        let mut rules = crate::load_builtin().unwrap();
        rules.merge(Rules::parse("mine.toml", text).unwrap());
        let facts = Facts { files: &[], packages: &[("libc", "1.1.24-2")], sonames: &[], arch: "x86_64" };
        let host = rules.host(Ecosystem::Openwrt, &facts);
        assert_eq!(host.masked(Ecosystem::Alpine, "vim"), Some("use nano"));
        assert_eq!(given(&host, None, "cmd:vi"), Some(("cmd:vi".to_owned(), None)));
        // opkg's version becomes a word of apk's grammar, so that `musl>=1.2.3` can be refused.
        assert_eq!(given(&host, Some(Ecosystem::Alpine), "musl"), some("musl=1.1.24-r2", "libc"));
    }
}
