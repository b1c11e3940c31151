//! ipk packages and feeds that somebody made to do harm: bombs end at the limits, and no change of any byte makes a reader
//! panic or lets an entry through that lies. Single tricks are recipes of the fixtures.

use std::io::{Cursor, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use proptest::sample::Index;
use xpkg_formats::opkg::ipk::{Builder, Outer};
use xpkg_formats::opkg::{Control, feed, info, status};
use xpkg_formats::package::{self, Meta};
use xpkg_formats::{Error, Limits};
use xpkg_model::payload::Entry;
use xpkg_model::{Ecosystem, RelPath};

const CONTROL: &[u8] = b"Package: a\nVersion: 1.0-1\nDepends: libc, b (>= 2) | c\nProvides: x, y\nArchitecture: all\nConffiles:\n /etc/a 0123\nDescription: one\n two\n";

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        archive.append_data(&mut header, name, *content).unwrap();
    }
    archive.into_inner().unwrap()
}

/// An `ar` of plain archives: no checksum of a compressor stands between a changed byte and the parsers.
fn plain(control: &[u8], data: &[u8]) -> Vec<u8> {
    let mut out = b"!<arch>\n".to_vec();
    for (name, content) in [("debian-binary", &b"2.0\n"[..]), ("control.tar", control), ("data.tar", data)] {
        let size = content.len();
        out.extend(format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, 100_644).bytes());
        out.extend(content);
        out.resize(out.len().next_multiple_of(2), b'\n');
    }
    out
}

fn sample() -> Vec<u8> {
    let control = tar(&[("control", CONTROL), ("conffiles", b"/etc/a\n/etc/b\n"), ("postinst", b"#!/bin/sh\n")]);
    plain(&control, &tar(&[("etc/a", b"a"), (&format!("usr/{}", "l".repeat(150)), b"long"), ("usr/b", &[7; 600])]))
}

type Whole = (Meta, Vec<(Entry, Vec<u8>)>);

fn read(bytes: &[u8], limits: &Limits) -> Result<Whole, Error> {
    let mut opened = package::open(Cursor::new(bytes), "a.ipk", Ecosystem::Openwrt, limits)?;
    let mut entries = Vec::new();
    opened.read_payload(&mut |entry, content| {
        let mut data = Vec::new();
        content.read_to_end(&mut data)?;
        entries.push((entry.clone(), data));
        Ok(())
    })?;
    Ok((opened.meta().clone(), entries))
}

fn rewrite((meta, entries): &Whole) -> Result<Vec<u8>, Error> {
    let mut builder = Builder::new(meta.package.clone())?;
    for (name, content) in &meta.control_files {
        builder = builder.control_file(name, content.clone());
    }
    for (entry, content) in entries {
        builder.entry(entry, &mut content.as_slice())?;
    }
    let mut bytes = Vec::new();
    builder.finish(&mut bytes, Outer::Ar)?;
    Ok(bytes)
}

#[test]
fn the_package_that_is_changed_is_good() {
    let whole = read(&sample(), &Limits::default()).unwrap();
    assert_eq!((whole.0.conffiles.len(), whole.1.len()), (2, 3));
    assert!(rewrite(&whole).is_ok());
}

#[test]
fn everything_is_bounded() {
    let limits = |change: fn(&mut Limits)| {
        let mut limits = Limits::default();
        change(&mut limits);
        limits
    };
    let good = tar(&[("control", CONTROL)]);
    let control = |name, content: &[u8]| tar(&[("control", CONTROL), (name, content)]);
    let zeros = vec![0; 4 << 20];
    let many: Vec<_> = (0..20).map(|i| format!("f{i}")).collect();
    let many: Vec<_> = many.iter().map(|name| (name.as_str(), &b""[..])).collect();
    let conffiles: String = (0..60).map(|i| format!("/etc/{i}\n")).collect();
    let line = [CONTROL, b"Maintainer: ", &b"x".repeat(2000), b"\n"].concat();
    let depends = [CONTROL, b"Suggests: ", "a, ".repeat(60).as_bytes(), b"b\n"].concat();
    for (what, package, limits) in [
        ("bomb of a payload", plain(&good, &gzip(&tar(&[("z", &zeros)]))), limits(|l| l.max_unpacked = 1 << 20)),
        ("bomb of a control archive", plain(&gzip(&control("x", &zeros)), b""), limits(|l| l.max_metadata = 1 << 20)),
        ("script", plain(&control("prerm", &[b'#'; 2000]), b""), limits(|l| l.max_script = 1000)),
        ("entries", plain(&good, &tar(&many)), limits(|l| l.max_entries = 10)),
        ("conffiles", plain(&control("conffiles", conffiles.as_bytes()), b""), limits(|l| l.max_list = 50)),
        ("line", plain(&tar(&[("control", &line)]), b""), limits(|l| l.max_line = 1000)),
        ("long name", plain(&good, &tar(&[(&"n".repeat(2000), b"")])), limits(|l| l.max_tar_header = 1000)),
    ] {
        match read(&package, &limits) {
            Err(Error::Limit { .. }) => {}
            other => panic!("{what}: {other:?}"),
        }
    }
    // Told by the field that holds them.
    let error = read(&plain(&tar(&[("control", &depends)]), b""), &limits(|l| l.max_list = 50)).unwrap_err();
    assert!(error.to_string().contains("50"), "{error}");
    let bomb = tar(&[("debian-binary", b"2.0\n"), ("other", &zeros)]);
    let error = read(&gzip(&bomb), &Limits { max_unpacked: 1 << 20, max_metadata: 1 << 20, ..Limits::default() });
    assert!(matches!(error, Err(Error::Limit { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Changed bytes are an error, or a package that can be written and read again.
    #[test]
    fn hostile_packages_are_refused_or_whole(
        changes in prop::collection::vec((any::<Index>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<Index>()),
    ) {
        let mut bytes = sample();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(at) = cut {
            bytes.truncate(at.index(bytes.len()));
        }
        if let Ok(whole) = read(&bytes, &Limits::default()) {
            for (entry, content) in &whole.1 {
                prop_assert_eq!(entry.size, content.len() as u64);
                prop_assert!(RelPath::from_package(entry.path.as_bytes()).is_ok());
            }
            if let Ok(again) = rewrite(&whole) {
                let again = read(&again, &Limits::default()).unwrap();
                prop_assert_eq!(&again.0.control_files, &whole.0.control_files);
            }
        }
    }

    /// Text of feeds and databases: no panic, and a stanza that is read is written as it was.
    #[test]
    fn hostile_stanzas_are_refused_or_kept(changes in prop::collection::vec((any::<Index>(), any::<u8>()), 1..6)) {
        let mut bytes = [CONTROL, b"Status: install user installed\nInstalled-Time: 1\n\n", CONTROL].concat();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let limits = Limits::default();
        if let Ok(control) = Control::parse(&bytes, "control", &limits) {
            let _ = control.to_package(Ecosystem::Openwrt, &limits);
            let again = control.to_bytes();
            prop_assert_eq!(Control::parse(&again, "control", &limits).unwrap().to_bytes(), again);
        }
        if let Ok(mut opened) = feed::open(Cursor::new(&bytes), "Packages", &limits) {
            let _ = opened.read(Ecosystem::Openwrt, &mut |_| Ok(()));
        }
        let _ = status::read(bytes.as_slice(), "status", &limits, &mut |record| {
            let _ = record.package(Ecosystem::Openwrt, &limits);
            Ok(status::write(&mut Vec::new(), &record)?)
        });
        let _ = info::read_list(bytes.as_slice(), "list", &limits);
    }
}
