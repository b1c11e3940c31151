//! Archives in memory. Those of real roots are read in `tests/db_real.rs`.

use xpkg_model::{Ecosystem, Identity};

use super::*;

fn script(name: &str, generation: Generation) -> Script {
    let mut package = Package::new(Ecosystem::Alpine, name, "1.0-r0");
    package.identity = Some(Identity::ApkSha1([0xfe; 20]));
    package.build_time = 1_699_383_189;
    Script::new(&package, ScriptKind::PostInstall, b"#!/bin/sh\nexit 0\n".to_vec(), generation).unwrap()
}

#[test]
fn both_spellings_and_packings_round_trip() {
    let long = "a".repeat(120);
    let scripts = [script("a", Generation::Apk2), script("a", Generation::Apk3), script(&long, Generation::Apk3)];
    assert_eq!(scripts[0].entry_name(), "a-1.0-r0.Q1/v7+/v7+/v7+/v7+/v7+/v7+/v4=.post-install");
    assert_eq!(scripts[1].entry_name(), format!("a-1.0-r0.X1{}.post-install", "fe".repeat(20)));
    for packing in [Packing::Plain, Packing::Gzip] {
        let mut writer = ScriptsWriter::new(Vec::new(), packing);
        scripts.iter().for_each(|script| writer.append(script).unwrap());
        let archive = writer.finish().unwrap();
        let mut found = Vec::new();
        let read = read_scripts(archive.as_slice(), "scripts", &Limits::default(), &mut |script| {
            found.push(script);
            Ok(())
        });
        assert_eq!(read.unwrap(), packing);
        assert_eq!(found, scripts);
        let limits = Limits { max_script: 10, ..Limits::default() };
        let refused = read_scripts(archive.as_slice(), "scripts", &limits, &mut |_| Ok(()));
        assert!(matches!(refused, Err(Error::Limit { limit: 10, .. })));
        let cut = &archive[..archive.len() / 2];
        assert!(read_scripts(cut, "scripts", &Limits::default(), &mut |_| Ok(())).is_err());
    }
}

#[test]
fn an_empty_file_is_an_empty_archive() {
    let read = read_scripts(&b""[..], "scripts.tar", &Limits::default(), &mut |_| Ok(()));
    assert_eq!(read.unwrap(), Packing::Plain);
}
