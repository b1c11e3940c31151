//! Every rule by itself: whether it holds on a root, and which packages it names. For tests that hold the shipped rules
//! against real roots and real packages; decides nothing.

use xpkg_model::Ecosystem;
use xpkg_model::host::Host;

use super::{Rules, host};
use crate::HostProbe;

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// Whose roots it is for.
    pub native: Ecosystem,
    /// `rules/openwrt.toml [[mask]] musl`: its file is told by the world, its place by its first name.
    pub rule: String,
    /// Whether it holds on this root.
    pub holds: bool,
    /// Packages of the other world that it is about.
    pub packages: Vec<String>,
    /// Tools that scripts of the other world call.
    pub tools: Vec<String>,
}

impl Rules {
    /// All rules but those of architectures, put to one root.
    pub fn trials(&self, probe: &dyn HostProbe) -> Vec<Trial> {
        let mut out = Vec::new();
        for file in &self.files {
            let mut add = |table: &str, first: &str, holds: bool, packages: &[String], tools: &[String]| {
                out.push(Trial {
                    native: file.native,
                    rule: format!("{} [[{table}]] {first}", file.native),
                    holds,
                    packages: packages.to_vec(),
                    tools: tools.to_vec(),
                });
            };
            let first = |names: &[String]| names.first().cloned().unwrap_or_default();
            let empty = || Host {
                native: file.native,
                arches: Vec::new(),
                provides: Vec::new(),
                masked: Vec::new(),
                apart: false,
            };
            let scope = format!("{}:", file.foreign);
            let plain = |name: &str| Some(name.strip_prefix(&scope)?.split('=').next()?.to_owned());
            for row in &file.provide {
                let mut given = empty();
                host::provide(&mut given, file, row, probe);
                let packages: Vec<String> = row.names.iter().filter_map(|name| plain(name)).collect();
                add("provide", &first(&row.names), !given.provides.is_empty(), &packages, &[]);
            }
            let sonames = probe.sonames();
            for row in &file.library {
                let here = host::holds(row.release.as_ref(), probe) && sonames.iter().any(|s| s.soname == row.soname);
                let packages: Vec<String> = row.names.iter().filter_map(|name| plain(name)).collect();
                add("library", &row.soname, here, &packages, &[]);
            }
            for row in &file.mask {
                let here = row.file.is_empty() || row.file.iter().any(|path| probe.exists(path));
                let here = here && host::holds(row.release.as_ref(), probe);
                add("mask", &first(&row.packages), here, &row.packages, &[]);
            }
            for row in &file.hook {
                add("hook", &first(&row.tools), host::holds(row.release.as_ref(), probe), &[], &row.tools);
            }
            for row in &file.account {
                add("account", &first(&row.packages), host::holds(row.release.as_ref(), probe), &row.packages, &[]);
            }
        }
        out
    }
}
