//! Round trips on generated packages: what both sides can say survives, byte for byte where it is text.

use std::collections::BTreeMap;

use proptest::prelude::*;
use xpkg_formats::package::Format;
use xpkg_model::opkg::Opkg;
use xpkg_model::payload::{Entry, EntryKind, ScriptKind, Scripts};
use xpkg_model::{Dependency, Ecosystem, Package, Provide, RelPath, Requirement, VersionScheme};

use super::{Dialect, Draft, Own, render_alone, scripts};
use crate::package_files::{PackageFile, Payload};

/// A package as opkg's feeds have them.
fn of_opkg() -> impl Strategy<Value = Draft> {
    let version = prop_oneof![
        "[1-9][0-9]{0,2}(\\.[1-9][0-9]?){0,3}-[1-9]",
        "20[12][0-9]-0[1-9]-[12][0-9]-[0-9a-f]{8}-[1-9]",
        "[1-9]\\.[0-9]~rc[1-9]-[1-9]"
    ];
    let name = "[a-z][a-z0-9]{2,8}";
    let depends = proptest::collection::btree_set("[a-z]{3,8}(>=[1-9]\\.[0-9]-[1-9])?", 0..4);
    let texts = proptest::collection::btree_map(
        prop_oneof![Just("preinst"), Just("postinst"), Just("prerm"), Just("postrm")],
        "echo [a-z]{1,9}(\nexit [0-9])?\n?",
        0..4,
    );
    let accounts = proptest::collection::vec("[a-z]{2,6}=[1-9][0-9]{2}:[a-z]{2,6}=[1-9][0-9]{2}", 0..2);
    (name, version, depends, texts, accounts, any::<(bool, bool, bool)>()).prop_map(
        |(name, version, depends, texts, accounts, (abi, alternative, stock))| {
            let mut package = Package::new(Ecosystem::Openwrt, name.clone(), version);
            package.scheme = VersionScheme::Deb;
            package.arch = "all".to_owned();
            package.build_time = 1_700_000_000;
            let parsed = depends.iter().map(|text| Requirement::from(text.parse::<Dependency>().unwrap()));
            package.depends = parsed.collect();
            let mut opkg = Opkg { require_user: accounts, ..Opkg::default() };
            if abi {
                package.name.push_str("20200101");
                package.provides.push(Provide::new(name.clone()));
                opkg.abi_version = "20200101".to_owned();
            }
            if alternative {
                opkg.alternatives.push(format!("100:/usr/bin/{name}:/usr/libexec/{name}-x").parse().unwrap());
            }
            // Without the stock stubs nothing would make accounts and alternatives.
            let stock = stock || alternative || !opkg.require_user.is_empty();
            package.opkg = Some(Box::new(opkg));
            let texts: BTreeMap<String, Vec<u8>> =
                texts.into_iter().map(|(name, text)| (name.to_owned(), text.into_bytes())).collect();
            draft(Dialect::Opkg, package, Own::Opkg(scripts::Opkg { texts, stock }))
        },
    )
}

fn draft(dialect: Dialect, package: Package, own: Own) -> Draft {
    let mut payload = Payload::new();
    let conf = RelPath::literal("etc/config/x");
    payload.add_file(conf.clone(), 0o600, package.build_time, b"a conf\n").unwrap();
    payload.add_file(RelPath::literal("usr/bin/x"), 0o755, package.build_time, b"#!/bin/sh\n").unwrap();
    let mut link = Entry::new(RelPath::literal("usr/bin/y"), EntryKind::Hardlink(RelPath::literal("usr/bin/x")), 0o755);
    link.mtime = package.build_time;
    payload.add(&link, &mut std::io::empty()).unwrap();
    Draft { dialect, package, own, extra: BTreeMap::new(), triggers: Vec::new(), conffiles: vec![conf], payload }
}

/// Writes a package file and reads it again.
fn through_a_file(mut file: PackageFile) -> PackageFile {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    let mut out = std::fs::File::create(&path).unwrap();
    file.write(None, &mut out).unwrap();
    PackageFile::read(&path).unwrap()
}

/// What is compared: everything but sizes and identities.
fn said(file: &PackageFile) -> impl PartialEq + std::fmt::Debug + use<> {
    let mut package = file.meta.package.clone();
    (package.identity, package.size, package.installed_size) = (None, 0, 0);
    let mut paths: Vec<(String, u32)> = file.payload.entries().map(|e| (e.path.to_string(), e.mode)).collect();
    paths.sort();
    (package, file.meta.scripts.clone(), file.meta.control_files.clone(), file.meta.conffiles.clone(), paths)
}

fn there_and_back(draft: Draft, home: Dialect, way: Dialect) {
    let first = through_a_file(render_alone(draft, home, &mut Vec::new()).unwrap());
    let wanted = said(&first);
    let abroad = Draft::understand(first).unwrap();
    let abroad = through_a_file(render_alone(abroad, way, &mut Vec::new()).unwrap());
    assert_eq!(abroad.meta.format, way.format());
    let back = Draft::understand(abroad).unwrap();
    let back = through_a_file(render_alone(back, home, &mut Vec::new()).unwrap());
    assert_eq!(said(&back), wanted);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn ipk_to_apk3_and_back(draft in of_opkg()) {
        there_and_back(draft, Dialect::Opkg, Dialect::Openwrt);
    }

    #[test]
    fn alpines_scripts_and_accounts_to_ipk_and_back(
        kinds in proptest::collection::btree_map(0usize..6, "#!/bin/sh\n(echo [a-z]{1,9}\n){1,3}", 0..5),
        account in proptest::option::of("[a-z]{2,6}=[1-9][0-9]{2}:[a-z]{2,6}=[1-9][0-9]{2}"),
        version in "[1-9][0-9]?(\\.[0-9][1-9]?){0,2}(_rc[1-9]|_p[1-9])?-r[0-9]",
    ) {
        let mut package = Package::new(Ecosystem::Alpine, "hello", version.clone());
        // As Alpine's build writes them; a conversion finds them in the files again.
        package.provides = ["cmd:x", "cmd:y"].map(|name| Provide::versioned(name, version.clone())).to_vec();
        package.arch = "noarch".to_owned();
        package.build_time = 1_700_000_000;
        package.depends.push("world>=1.2".parse::<Dependency>().unwrap().into());
        package.opkg = Some(Box::new(Opkg { require_user: account.into_iter().collect(), ..Opkg::default() }));
        let scripts: Scripts =
            kinds.into_iter().filter_map(|(i, text)| Some((*ScriptKind::ALL.get(i)?, text.into_bytes()))).collect();
        there_and_back(draft(Dialect::Alpine, package, Own::Apk(scripts)), Dialect::Alpine, Dialect::Opkg);
    }
}

#[test]
fn formats_have_their_dialects() {
    for format in [Format::Ipk, Format::Apk2, Format::Apk3] {
        assert_eq!(Dialect::of(format).format(), format);
    }
}
