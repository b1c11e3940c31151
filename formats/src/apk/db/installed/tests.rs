//! Paragraphs by hand. Whole databases of real roots are read in `tests/db_real.rs`.

use xpkg_model::{Ecosystem, Identity};

use super::*;
use crate::apk::db::{owners, write_record};

const BUSYBOX: &str = "\
C:Q1AYNx2pLOAHRYZQgv3nM8TNtvRWY=
P:busybox
V:1.36.1-r15
A:x86_64
S:518
I:950272
T:Size optimized toolbox – of many
U:https://busybox.net/
L:GPL-2.0-only
o:busybox
m:Sören <s@alpinelinux.org>
t:1699383189
c:d1b6f274f29076967826e0ecf6ebcaa5d360272f
k:100
D:so:libc.musl-x86_64.so.1 !old<2 x~1.2
p:/bin/sh cmd:busybox=1.36.1-r15
i:a b=1
g:openwrt:abiversion=1 other
r:busybox-initscripts b<2.64-r1
q:1000
s:edge
f:fsxS
F:
R:init
a:0:0:777
Z:Q11/SNZz/8cK2dSKK+cJpVrZIuF4Q=
F:etc/empty
M:0:42:1777:Q1AYNx2pLOAHRYZQgv3nM8TNtvRWY=
F:bin
R:busybox
a:0:0:4755:Q1AYNx2pLOAHRYZQgv3nM8TNtvRWY=
Z:Q1AYNx2pLOAHRYZQgv3nM8TNtvRWY=
R:null

";

fn read(text: &str) -> Result<Vec<InstalledRecord>, Error> {
    let mut records = Vec::new();
    read_installed(text.as_bytes(), "installed", Ecosystem::Alpine, &Limits::default(), &mut |record| {
        records.push(record);
        Ok(())
    })?;
    Ok(records)
}

fn write(records: &[InstalledRecord]) -> String {
    let mut out = Vec::new();
    records.iter().for_each(|record| write_record(&mut out, record).unwrap());
    String::from_utf8(out).unwrap()
}

#[test]
fn every_field_is_kept() {
    let records = read(BUSYBOX).unwrap();
    assert_eq!(write(&records), BUSYBOX);
    let record = &records[0];
    assert!(record.verbatim.is_none());
    assert_eq!(record.package.provides.len(), 2);
    assert_eq!((record.package.replaces_priority, record.repo_tag.as_deref()), (1000, Some("edge")));
    assert!(matches!(record.package.identity, Some(Identity::ApkSha256Short(_))));
    assert_eq!(
        record.file_paths().map(|(p, _)| p.to_string()).collect::<Vec<_>>(),
        ["/init", "/bin/busybox", "/bin/null"]
    );
    assert_eq!(record.file(&RelPath::literal("/bin/busybox")).unwrap().acl.as_ref().unwrap().mode, 0o4755);
}

#[test]
fn a_header_in_another_order_stays_until_it_is_changed() {
    let odd = "P:a\nV:1\nC:X1012345678901234567890123456789012345678a\nT:\nS:1\nI:1\nU:\nL:\np:x  y\n\n";
    let mut records = read(&odd.repeat(2)).unwrap();
    assert_eq!(write(&records), odd.repeat(2));
    records[1].package.version = "2".to_owned();
    let changed = write(&records);
    assert!(changed.starts_with(odd) && changed.contains("P:a\nV:2\nS:1\n"), "{changed}");
}

#[test]
fn what_apk_refuses_is_refused() {
    let with = |extra: &str| BUSYBOX.replace("F:\n", &format!("{extra}\nF:\n"));
    for (text, reason) in [
        (with("z:1"), "line 23: field `z` is of a newer apk"),
        (with("f:N"), "flag `N`"),
        (with("Z:Q11/SNZz/8cK2dSKK+cJpVrZIuF4Q="), "before the entry"),
        (with("k:x"), "no number"),
        (with("nonsense"), "no `X:`"),
        (with("F:../etc"), "leaves its directory"),
        (with("F:etc\nR:a/b"), "no file name"),
        (with("F:etc\nM:0:0:99"), "octal"),
        (BUSYBOX.trim_end().to_owned(), "ends within the package `busybox`"),
        (BUSYBOX.replace("C:Q1A", "c:Q1A"), "no identity"),
    ] {
        let error = read(&text).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}\nwanted: {reason}");
    }
}

#[test]
fn owners_are_found_without_reading_records() {
    let found = owners(BUSYBOX.as_bytes(), "installed", &Limits::default(), &mut |path| {
        path.as_bytes() == b"init" || path.as_bytes() == b"bin/null" || path.as_bytes() == b"bin"
    });
    let found: Vec<_> = found.unwrap().into_iter().map(|(path, owner)| format!("{path} {owner}")).collect();
    assert_eq!(found, ["/init busybox", "/bin/null busybox"]);
}

#[test]
fn long_lines_are_refused() {
    let limits = Limits { max_line: 100, ..Limits::default() };
    let text = format!("T:{}\n", "x".repeat(200));
    let refused = read_installed(text.as_bytes(), "installed", Ecosystem::Alpine, &limits, &mut |_| Ok(()));
    assert!(matches!(refused, Err(Error::Limit { limit: 100, .. })));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 2048, failure_persistence: None, ..Default::default() })]

    /// Damage is refused or kept; it never panics and never changes by being written and read again.
    #[test]
    fn what_was_read_can_be_written_and_read_again(
        changes in proptest::collection::vec((proptest::prelude::any::<proptest::sample::Index>(), proptest::prelude::any::<u8>()), 1..6),
    ) {
        let mut bytes = BUSYBOX.as_bytes().to_vec();
        for (place, value) in changes {
            let at = place.index(bytes.len());
            bytes[at] = value;
        }
        let read = |bytes: &[u8]| {
            let mut out = Vec::new();
            read_installed(bytes, "installed", Ecosystem::Alpine, &Limits::default(), &mut |record| {
                write_record(&mut out, &record)?;
                Ok(())
            })
            .map(|()| out)
        };
        if let Ok(once) = read(&bytes) {
            proptest::prop_assert_eq!(read(&once).unwrap(), once);
        }
    }
}
