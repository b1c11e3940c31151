//! A package as `opkg info` and `opkg status` show it, and as a status file has it: fields in opkg's order.

use std::fmt::Write as _;

use xpkg_resolver::native::opkg::{Package, Possibility, Strength};

/// The stanza of `opkg info`, with the blank line behind it. `full`: what only lists say is shown too.
pub fn info(package: &Package, full: bool) -> String {
    let mut out = relations(package);
    let model = &package.package;
    let opkg = model.opkg.as_deref();
    let other =
        |name: &str| opkg.and_then(|o| o.other.iter().find(|(n, _)| n == name)).map(|(_, value)| value.as_str());
    let mut field = |name: &str, value: Option<&str>| {
        if let Some(value) = value.filter(|v| !v.is_empty()) {
            let _ = writeln!(out, "{name}: {value}");
        }
    };
    field("Section", opkg.map(|o| o.section.as_str()));
    field("Essential", package.essential.then_some("yes"));
    // One that is not accepted is forgotten when the stanza is read.
    field("Architecture", Some(model.arch.as_str()).filter(|_| package.arch_priority != 0));
    field("Maintainer", Some(&model.maintainer));
    field("MD5Sum", other("MD5Sum").or_else(|| other("MD5sum")));
    field("Size", (model.size > 0).then(|| model.size.to_string()).as_deref());
    field("Filename", model.filename.as_deref());
    conffiles(&mut out, package);
    let mut field = |name: &str, value: Option<&str>| {
        if let Some(value) = value.filter(|v| !v.is_empty()) {
            let _ = writeln!(out, "{name}: {value}");
        }
    };
    if full {
        field("Source", Some(&model.origin));
        field("Description", Some(&package.description()));
    }
    let time = package.installed_time;
    field("Installed-Time", (time > 0).then(|| time.to_string()).as_deref());
    field("Tags", other("Tags"));
    out.push('\n');
    out
}

/// The stanza of a status file, with the blank line behind it.
pub fn status(package: &Package) -> String {
    let mut out = relations(package);
    if package.essential {
        out.push_str("Essential: yes\n");
    }
    if package.arch_priority != 0 {
        let _ = writeln!(out, "Architecture: {}", package.package.arch);
    }
    conffiles(&mut out, package);
    if package.installed_time > 0 {
        let _ = writeln!(out, "Installed-Time: {}", package.installed_time);
    }
    if package.auto_installed {
        out.push_str("Auto-Installed: yes\n");
    }
    let alternatives = package.package.opkg.iter().flat_map(|o| &o.alternatives);
    let alternatives: Vec<_> = alternatives
        .map(|a| format!("{}:/{}:{}", a.priority, a.link.to_string().trim_start_matches('/'), a.target))
        .collect();
    if !alternatives.is_empty() {
        let _ = writeln!(out, "Alternatives: {}", alternatives.join(", "));
    }
    out.push('\n');
    out
}

fn relations(package: &Package) -> String {
    let mut out = format!("Package: {}\n", package.name());
    if let Some(abi) = package.package.opkg.as_deref().map(|o| o.abi_version.as_str()).filter(|abi| !abi.is_empty()) {
        let _ = writeln!(out, "ABIVersion: {abi}");
    }
    let _ = writeln!(out, "Version: {}", package.version());
    let needs = |strength| needs(package, strength);
    let mut list = |name: &str, items: Vec<String>| {
        if !items.is_empty() {
            let _ = writeln!(out, "{name}: {}", items.join(", "));
        }
    };
    list("Depends", needs(Strength::Depend));
    list("Recommends", needs(Strength::Recommend));
    list("Suggests", needs(Strength::Suggest));
    list("Provides", package.provides.iter().skip(1).cloned().collect());
    list("Replaces", package.replaces.clone());
    // Only the first alternative of a conflict is ever written.
    list("Conflicts", package.conflicts.iter().filter_map(|c| c.first().map(Possibility::shown)).collect());
    let _ = writeln!(out, "Status: {} {} {}", package.want.word(), package.flags.words(), package.status.word());
    out
}

fn conffiles(out: &mut String, package: &Package) {
    if package.conffiles.is_empty() {
        return;
    }
    out.push_str("Conffiles:\n");
    for (path, digest) in &package.conffiles {
        let _ = writeln!(out, " {path} {digest}");
    }
}

/// The needs of one strength as opkg prints them: it counts from the first need of that strength and looks the count up
/// among the needs of all strengths, so that behind other needs the wrong ones are told (pkg_formatted_field and
/// pkg_depend_str of opkg's pkg.c and pkg_depends.c).
fn needs(package: &Package, strength: Strength) -> Vec<String> {
    let first = package.requires.iter().position(|r| r.strength == strength).unwrap_or_default();
    let of_strength = package.requires.iter().skip(first).enumerate().filter(|(_, r)| r.strength == strength);
    of_strength.filter_map(|(count, _)| package.requires.get(count)).map(|r| r.shown()).collect()
}
